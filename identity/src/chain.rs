//! From an organisation's root key to one of its devices: what a device sends along with its
//! submission, and what aggregator, stewards and auditors check with the same code.

use dawn_crypto::vrf::VrfPublicKey;
use minicbor::{Decode, Encode};

use crate::credential::DeviceCredential;
use crate::envelope::EnvelopeError;
use crate::ids::{DeviceId, OrgId};
use crate::issuer::{IssuerCertificate, IssuerError};
use crate::keys::PublicKey;
use crate::member::{Member, Revoked};
use crate::members::Members;
use crate::signed::Signed;

/// The certificate of an organisation's issuer and the credential that this issuer signed for a
/// device. Not verified. `docs/identity-formats.md`, section 4.3.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct CredentialChain {
    /// The root key names the issuer.
    #[n(0)]
    pub issuer: Signed<IssuerCertificate>,
    /// The issuer names the device.
    #[n(1)]
    pub credential: Signed<DeviceCredential>,
}

/// Why a device is not the organisation's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    /// The issuer does not count.
    #[error(transparent)]
    Issuer(#[from] IssuerError),
    /// Not signed by the organisation's issuer.
    #[error("device {device} of organisation {org}: {source}")]
    Signature {
        /// The organisation whose issuer should have signed.
        org: OrgId,
        /// The device that the credential names.
        device: DeviceId,
        /// What is wrong.
        source: Box<EnvelopeError>,
    },
    /// An issuer speaks for a device of another organisation.
    #[error("the issuer of organisation {issuer} signed for a device of organisation {named}")]
    OtherOrganisation {
        /// The organisation of the issuer.
        issuer: OrgId,
        /// The organisation that the credential names.
        named: OrgId,
    },
    /// A device uses a key that is already the organisation's.
    #[error("organisation {0} gave its root or issuer key to a device")]
    KeyReused(OrgId),
    /// The device was revoked.
    #[error(transparent)]
    Revoked(#[from] Revoked),
    /// The organisation is no member of the federation.
    #[error("organisation {0} is not a member of the federation")]
    NotAMember(OrgId),
    /// Not valid at the time in question.
    #[error("the credential of device {device} counts from {issued} to {expires}, not at {at}")]
    NotValidAt {
        /// The device.
        device: DeviceId,
        /// First second at which it counts.
        issued: u64,
        /// First second at which it no longer counts.
        expires: u64,
        /// The time in question.
        at: u64,
    },
}

impl CredentialChain {
    /// Most bytes of a chain.
    pub const MAX_BYTES: usize =
        Signed::<IssuerCertificate>::MAX_BYTES + Signed::<DeviceCredential>::MAX_BYTES + 16;

    /// Verifies the chain under an organisation's first root key at a time (unix seconds), when nothing was replaced or
    /// revoked.
    ///
    /// # Errors
    /// [`ChainError`].
    pub fn verify(&self, root: &PublicKey, at: u64) -> Result<VerifiedDevice, ChainError> {
        self.verify_by(&Member::new(*root), at)
    }

    fn verify_by(&self, member: &Member, at: u64) -> Result<VerifiedDevice, ChainError> {
        let issuer = member.verify_issuer(&self.issuer, at)?;
        let credential =
            self.credential
                .verify(&issuer.key)
                .map_err(|source| ChainError::Signature {
                    org: issuer.org,
                    device: self.credential.peek().device,
                    source: Box::new(source),
                })?;
        if credential.org != issuer.org {
            return Err(ChainError::OtherOrganisation {
                issuer: issuer.org,
                named: credential.org,
            });
        }
        if credential.key == issuer.key || member.roots().any(|root| credential.key == *root) {
            return Err(ChainError::KeyReused(issuer.org));
        }
        if !(credential.issued..credential.expires).contains(&at) {
            return Err(ChainError::NotValidAt {
                device: credential.device,
                issued: credential.issued,
                expires: credential.expires,
                at,
            });
        }
        member.check_device(&credential.device)?;
        Ok(VerifiedDevice {
            device: credential.device,
            org: credential.org,
            key: credential.key,
            label: credential.label.clone(),
            issued: credential.issued,
            vrf: credential.vrf.clone(),
            expires: credential.expires.min(issuer.not_after),
        })
    }

    /// Verifies the chain as of the member that it claims to come from, at a time (unix seconds): its keys, its issuers, and
    /// what it has revoked.
    ///
    /// # Errors
    /// [`ChainError`]; [`ChainError::NotAMember`] when there is no such member.
    pub fn verify_member(&self, members: &Members, at: u64) -> Result<VerifiedDevice, ChainError> {
        let org = self.claimed_org();
        let member = members.get(&org).ok_or(ChainError::NotAMember(org))?;
        self.verify_by(member, at)
    }

    /// The organisation that the chain claims to come from (not verified): whose root key to look
    /// up for [`CredentialChain::verify`].
    pub fn claimed_org(&self) -> OrgId {
        self.issuer.peek().org
    }

    /// The device that the chain claims to be about (not verified).
    pub fn claimed_device(&self) -> DeviceId {
        self.credential.peek().device
    }
}

/// A device that an organisation vouches for. Only [`CredentialChain::verify`] makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedDevice {
    device: DeviceId,
    org: OrgId,
    key: PublicKey,
    label: String,
    issued: u64,
    expires: u64,
    vrf: Option<VrfPublicKey>,
}

impl VerifiedDevice {
    /// The device.
    pub fn device(&self) -> DeviceId {
        self.device
    }

    /// Its organisation.
    pub fn org(&self) -> OrgId {
        self.org
    }

    /// The key that its submissions are signed with.
    pub fn key(&self) -> &PublicKey {
        &self.key
    }

    /// Its name for people.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// First second at which its credential counts, unix time.
    pub fn issued(&self) -> u64 {
        self.issued
    }

    /// The key by which it is selected, if its credential names one.
    pub fn vrf(&self) -> Option<&VrfPublicKey> {
        self.vrf.as_ref()
    }

    /// First second at which the chain no longer verifies, unix time: the earlier end of the
    /// credential and of the issuer certificate.
    pub fn expires(&self) -> u64 {
        self.expires
    }
}
