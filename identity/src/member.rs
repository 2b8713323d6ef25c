//! One organisation of a federation, as its registration and its events have left it.

use std::collections::BTreeSet;

use dawn_crypto::digest::Digest;

use crate::ids::{DeviceId, KeyId, OrgId, StewardId};
use crate::issuer::{IssuerCertificate, IssuerError};
use crate::keys::PublicKey;
use crate::signed::{Signed, Verified};

/// What counts of an organisation, and what does not any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    pub(crate) org: OrgId,
    pub(crate) root: PublicKey,
    /// Root keys that another took over from, oldest first.
    pub(crate) former: Vec<PublicKey>,
    /// Events so far.
    pub(crate) sequence: u64,
    /// Body digest of the last event, or of the registration; none before it has registered.
    pub(crate) head: Option<Digest>,
    /// Envelope digests of the issuer certificates that it announced.
    pub(crate) announced: BTreeSet<Digest>,
    /// Issuer keys that it announced, in their order.
    pub(crate) issuers: Vec<PublicKey>,
    pub(crate) revoked_devices: BTreeSet<DeviceId>,
    pub(crate) revoked_issuers: BTreeSet<KeyId>,
    pub(crate) revoked_stewards: BTreeSet<StewardId>,
    pub(crate) revoked: bool,
}

/// What was revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Revoked {
    /// The whole organisation.
    #[error("organisation {0} is revoked")]
    Organisation(OrgId),
    /// An issuer key.
    #[error("issuer {1} of organisation {0} is revoked")]
    Issuer(OrgId, KeyId),
    /// A device.
    #[error("device {1} of organisation {0} is revoked")]
    Device(OrgId, DeviceId),
    /// A steward.
    #[error("steward {1} of organisation {0} is revoked")]
    Steward(OrgId, StewardId),
}

impl Member {
    pub(crate) fn new(root: PublicKey) -> Self {
        Self {
            org: OrgId::of(&root),
            root,
            former: Vec::new(),
            sequence: 0,
            head: None,
            announced: BTreeSet::new(),
            issuers: Vec::new(),
            revoked_devices: BTreeSet::new(),
            revoked_issuers: BTreeSet::new(),
            revoked_stewards: BTreeSet::new(),
            revoked: false,
        }
    }

    /// The organisation.
    pub fn org(&self) -> OrgId {
        self.org
    }

    /// The root key that counts.
    pub fn root(&self) -> &PublicKey {
        &self.root
    }

    /// The root key that counts, and those before it.
    pub fn roots(&self) -> impl Iterator<Item = &PublicKey> {
        std::iter::once(&self.root).chain(&self.former)
    }

    /// Number of its last event; 0 before the first.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// What its next event names as the one before: body digest of the last event or of the registration. None before it
    /// has registered.
    pub fn head(&self) -> Option<Digest> {
        self.head
    }

    /// Whether it has left.
    pub fn is_revoked(&self) -> bool {
        self.revoked
    }

    /// The issuer keys that it announced and did not revoke.
    pub fn issuers(&self) -> impl Iterator<Item = &PublicKey> {
        let counts = |key: &&PublicKey| !self.revoked && !self.revoked_issuers.contains(&key.id());
        self.issuers.iter().filter(counts)
    }

    /// Whether a device of it counts, its issuer aside.
    ///
    /// # Errors
    /// [`Revoked`].
    pub fn check_device(&self, device: &DeviceId) -> Result<(), Revoked> {
        self.check_org()?;
        if self.revoked_devices.contains(device) {
            return Err(Revoked::Device(self.org, *device));
        }
        Ok(())
    }

    /// Whether a steward of it may be seated.
    ///
    /// # Errors
    /// [`Revoked`].
    pub fn check_steward(&self, steward: &StewardId) -> Result<(), Revoked> {
        self.check_org()?;
        if self.revoked_stewards.contains(steward) {
            return Err(Revoked::Steward(self.org, *steward));
        }
        Ok(())
    }

    fn check_org(&self) -> Result<(), Revoked> {
        if self.revoked {
            Err(Revoked::Organisation(self.org))
        } else {
            Ok(())
        }
    }

    /// Verifies an issuer certificate of this organisation at a time (unix seconds): of the current root key, or announced
    /// while a former one was current; and not revoked. Whoever gets hold of a root key that was replaced makes no issuer
    /// with it any more.
    ///
    /// # Errors
    /// [`IssuerError`].
    pub fn verify_issuer(
        &self,
        certificate: &Signed<IssuerCertificate>,
        at: u64,
    ) -> Result<Verified<IssuerCertificate>, IssuerError> {
        self.check_org()?;
        let announced = self.announced.contains(&certificate.envelope_digest());
        let former = self
            .former
            .iter()
            .find(|root| root.id() == certificate.signer());
        let root = former.filter(|_| announced).unwrap_or(&self.root);
        let verified = certificate.verify_issuer(&self.org, root, at)?;
        if self.revoked_issuers.contains(&verified.key.id()) {
            return Err(Revoked::Issuer(self.org, verified.key.id()).into());
        }
        // A key that was root once stays known to more people than an issuer's should.
        if self.roots().any(|root| *root == verified.key) {
            return Err(IssuerError::RootKeyReused(self.org));
        }
        Ok(verified)
    }

    /// Verifies that a certificate was of this organisation once: of any root key that it has had, revoked since or not.
    ///
    /// # Errors
    /// [`IssuerError`].
    pub fn verify_past_issuer(
        &self,
        certificate: &Signed<IssuerCertificate>,
        at: u64,
    ) -> Result<Verified<IssuerCertificate>, IssuerError> {
        let signer = self.roots().find(|root| root.id() == certificate.signer());
        certificate.verify_issuer(&self.org, signer.unwrap_or(&self.root), at)
    }

    /// The issuer key that signed something, if it is announced and counts.
    pub(crate) fn issuer_with(&self, key: &KeyId) -> Option<&PublicKey> {
        self.issuers().find(|issuer| issuer.id() == *key)
    }
}
