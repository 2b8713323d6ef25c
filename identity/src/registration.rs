//! How an organisation presents itself to a federation.

use dawn_crypto::digest::Digest;
use minicbor::{Decode, Encode};

use crate::envelope::EnvelopeError;
use crate::ids::OrgId;
use crate::issuer::{IssuerCertificate, IssuerError};
use crate::keys::PublicKey;
use crate::rule::{BrokenRule, check_name};
use crate::signed::{Signed, Statement, Verified};

/// An organisation's name, root key and first issuer, for one federation. Signed by the root key
/// itself, which proves that whoever registers holds it.
/// Fields and bounds: `docs/identity-formats.md`, section 5.1.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct OrgRegistration {
    /// A name for people, 1 to 64 bytes.
    #[n(0)]
    pub name: String,
    /// The root key.
    #[n(1)]
    pub root: PublicKey,
    /// The issuer that enrols its devices.
    #[n(2)]
    pub issuer: Signed<IssuerCertificate>,
    /// Digest of the federation's founding document, so that a registration cannot be taken to
    /// another federation.
    #[n(3)]
    pub federation: Digest,
    /// When it was made, unix seconds.
    #[n(4)]
    pub created: u64,
}

impl OrgRegistration {
    /// The organisation that registers.
    pub fn org(&self) -> OrgId {
        OrgId::of(&self.root)
    }
}

impl Statement for OrgRegistration {
    const KIND: &'static str = "org-registration";
    const MAX_BYTES: usize = Signed::<IssuerCertificate>::MAX_BYTES + 192;

    fn check(&self) -> Result<(), BrokenRule> {
        check_name(
            &self.name,
            "an organisation's name is 1 to 64 bytes of printable text",
        )
    }
}

/// Why a registration is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegistrationError {
    /// Whoever registers does not hold the root key.
    #[error("organisation {org}: {source}")]
    Signature {
        /// The organisation of the root key.
        org: OrgId,
        /// What is wrong.
        source: EnvelopeError,
    },
    /// Made for another federation.
    #[error("organisation {org} registered with federation {named}, not {expected}")]
    OtherFederation {
        /// The organisation.
        org: OrgId,
        /// This federation.
        expected: Digest,
        /// The federation named.
        named: Digest,
    },
    /// Its issuer does not count.
    #[error(transparent)]
    Issuer(#[from] IssuerError),
}

impl Signed<OrgRegistration> {
    /// Verifies a registration: signed by the root key that it names, for this federation, with an
    /// issuer that counts at this time (unix seconds).
    ///
    /// # Errors
    /// [`RegistrationError`].
    pub fn verify_registration(
        &self,
        federation: &Digest,
        at: u64,
    ) -> Result<Verified<OrgRegistration>, RegistrationError> {
        let root = self.peek().root;
        let org = OrgId::of(&root);
        let registration = self
            .verify(&root)
            .map_err(|source| RegistrationError::Signature { org, source })?;
        if registration.federation != *federation {
            return Err(RegistrationError::OtherFederation {
                org,
                expected: *federation,
                named: registration.federation,
            });
        }
        registration.issuer.verify_issuer(&org, &root, at)?;
        Ok(registration)
    }
}
