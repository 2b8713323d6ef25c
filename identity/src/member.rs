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
    pub(crate) issuers: Vec<AnnouncedIssuer>,
    pub(crate) revoked_devices: BTreeSet<DeviceId>,
    pub(crate) revoked_issuers: BTreeSet<KeyId>,
    pub(crate) revoked_stewards: BTreeSet<StewardId>,
    pub(crate) revoked: bool,
}

/// An issuer key with the times of all certificates that were announced for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AnnouncedIssuer {
    pub(crate) key: PublicKey,
    /// First second at which each counts, and the first at which it no longer does.
    valid: Vec<(u64, u64)>,
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

    /// The issuer keys that it announced and did not revoke, whether or not their certificates count now.
    pub fn issuers(&self) -> impl Iterator<Item = &PublicKey> {
        self.counting().map(|issuer| &issuer.key)
    }

    /// The same, each with the times of its certificates: the first second at which one counts, and the first at which it no
    /// longer does.
    pub fn issuers_with_times(&self) -> impl Iterator<Item = (&PublicKey, &[(u64, u64)])> {
        self.counting()
            .map(|issuer| (&issuer.key, &issuer.valid[..]))
    }

    /// Those of them with a certificate that counts at a time (unix seconds).
    pub fn issuers_at(&self, at: u64) -> impl Iterator<Item = &PublicKey> {
        let counts = move |valid: &[(u64, u64)]| {
            let mut valid = valid.iter();
            valid.any(|(from, until)| (*from..*until).contains(&at))
        };
        self.issuers_with_times()
            .filter(move |(_, valid)| counts(valid))
            .map(|(key, _)| key)
    }

    fn counting(&self) -> impl Iterator<Item = &AnnouncedIssuer> {
        let counts = |issuer: &&AnnouncedIssuer| {
            !self.revoked && !self.revoked_issuers.contains(&issuer.key.id())
        };
        self.issuers.iter().filter(counts)
    }

    /// Whether it announced an issuer key, revoked since or not.
    pub(crate) fn has_announced(&self, key: &PublicKey) -> bool {
        self.issuers.iter().any(|issuer| issuer.key == *key)
    }

    /// Notes a certificate of an issuer; the key that was announced last is the last one.
    pub(crate) fn announce(&mut self, certificate: &Signed<IssuerCertificate>) {
        self.announced.insert(certificate.envelope_digest());
        let IssuerCertificate {
            key,
            not_before,
            not_after,
            ..
        } = *certificate.peek();
        let known = self.issuers.iter().position(|issuer| issuer.key == key);
        let mut valid = known.map_or_else(Vec::new, |at| self.issuers.remove(at).valid);
        valid.push((not_before, not_after));
        self.issuers.push(AnnouncedIssuer { key, valid });
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
