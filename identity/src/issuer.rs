//! The issuer certificate: an offline root key names the online key that enrols devices.

use minicbor::{Decode, Encode};

use crate::envelope::EnvelopeError;
use crate::ids::OrgId;
use crate::keys::PublicKey;
use crate::member::Revoked;
use crate::rule::BrokenRule;
use crate::signed::{Signed, Statement, Verified};

/// An organisation's issuer key and when it counts. Signed by the organisation's root key.
/// Fields and bounds: `docs/identity-formats.md`, section 4.1.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct IssuerCertificate {
    /// The organisation.
    #[n(0)]
    pub org: OrgId,
    /// The issuer key.
    #[n(1)]
    pub key: PublicKey,
    /// First second at which it counts, unix time.
    #[n(2)]
    pub not_before: u64,
    /// First second at which it no longer counts, unix time.
    #[n(3)]
    pub not_after: u64,
    /// The organisation's number for it, never reused.
    #[n(4)]
    pub serial: u64,
}

impl Statement for IssuerCertificate {
    const KIND: &'static str = "issuer-certificate";
    const MAX_BYTES: usize = 128;

    fn check(&self) -> Result<(), BrokenRule> {
        BrokenRule::unless(
            self.not_before < self.not_after,
            "an issuer certificate ends after it begins",
        )
    }
}

/// Why an issuer certificate does not count.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IssuerError {
    /// Not signed by the organisation's root key.
    #[error("organisation {org}: {source}")]
    Signature {
        /// The organisation whose root key should have signed.
        org: OrgId,
        /// What is wrong.
        source: EnvelopeError,
    },
    /// A root key certifies an issuer of another organisation.
    #[error("organisation {root} certified an issuer of organisation {named}")]
    OtherOrganisation {
        /// The organisation of the root key.
        root: OrgId,
        /// The organisation named in the certificate.
        named: OrgId,
    },
    /// It was revoked, or its organisation was.
    #[error(transparent)]
    Revoked(#[from] Revoked),
    /// The online key is the offline one.
    #[error("organisation {0} uses its root key as its issuer key")]
    RootKeyReused(OrgId),
    /// Not valid at the time in question.
    #[error(
        "the issuer of organisation {org} counts from {not_before} to {not_after}, not at {at}"
    )]
    NotValidAt {
        /// The organisation.
        org: OrgId,
        /// First second at which it counts.
        not_before: u64,
        /// First second at which it no longer counts.
        not_after: u64,
        /// The time in question.
        at: u64,
    },
}

impl Signed<IssuerCertificate> {
    /// Verifies the certificate under a root key of the organisation at a time (unix seconds). Whether that root key and this
    /// issuer still count is known to [`crate::Member::verify_issuer`].
    ///
    /// # Errors
    /// [`IssuerError`].
    pub fn verify_issuer(
        &self,
        org: &OrgId,
        root: &PublicKey,
        at: u64,
    ) -> Result<Verified<IssuerCertificate>, IssuerError> {
        let org = *org;
        let certificate = self
            .verify(root)
            .map_err(|source| IssuerError::Signature { org, source })?;
        if certificate.org != org {
            return Err(IssuerError::OtherOrganisation {
                root: org,
                named: certificate.org,
            });
        }
        if certificate.key == *root {
            return Err(IssuerError::RootKeyReused(org));
        }
        if !(certificate.not_before..certificate.not_after).contains(&at) {
            return Err(IssuerError::NotValidAt {
                org,
                not_before: certificate.not_before,
                not_after: certificate.not_after,
                at,
            });
        }
        Ok(certificate)
    }
}
