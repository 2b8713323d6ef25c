//! What happens to an organisation after it has registered: its keys change, or it takes trust back.
//!
//! The events of an organisation are a chain: each has the next number and names the one before, so that all who see them see
//! one history, in one order, without gaps.

use dawn_crypto::digest::{Digest, labels};
use minicbor::{Decode, Encode};

use crate::ids::{DeviceId, KeyId, OrgId, StewardId};
use crate::issuer::IssuerCertificate;
use crate::keys::{PublicKey, SecretKey, Signature};
use crate::registration::OrgRegistration;
use crate::rule::{BrokenRule, all_distinct};
use crate::signed::{Signed, Statement};

/// Most devices that one event revokes.
pub const MAX_REVOKED_DEVICES: usize = 1000;

/// One change. `docs/identity-formats.md`, section 5.3.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Change {
    /// Another root key takes over. The organisation keeps its identifier.
    #[n(0)]
    Root {
        /// The new root key.
        #[n(0)]
        key: PublicKey,
        /// Its signature over `hash(ROOT_PROOF, federation, organisation, new root key)`.
        #[n(1)]
        proof: Signature,
    },
    /// Announces an issuer. Those before stay, until they end or are revoked.
    #[n(1)]
    Issuer {
        /// Its certificate, of the current root key.
        #[n(0)]
        certificate: Signed<IssuerCertificate>,
    },
    /// These devices do not count any more.
    #[n(2)]
    RevokeDevices {
        /// 1 to 1000, distinct, in increasing order.
        #[n(0)]
        devices: Vec<DeviceId>,
    },
    /// An issuer key does not count any more, and with it no device that it vouches for.
    #[n(3)]
    RevokeIssuer {
        /// The issuer key.
        #[n(0)]
        issuer: KeyId,
    },
    /// A steward is not to be seated any more.
    #[n(4)]
    RevokeSteward {
        /// The steward.
        #[n(0)]
        steward: StewardId,
    },
    /// The organisation leaves: nothing of it counts any more, and nothing follows.
    #[n(5)]
    RevokeOrganisation,
}

impl Change {
    /// Its name for people.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Root { .. } => "root",
            Self::Issuer { .. } => "issuer",
            Self::RevokeDevices { .. } => "revoke-devices",
            Self::RevokeIssuer { .. } => "revoke-issuer",
            Self::RevokeSteward { .. } => "revoke-steward",
            Self::RevokeOrganisation => "revoke-organisation",
        }
    }

    /// Whether it brings a new key; the others take trust back.
    pub fn is_rotation(&self) -> bool {
        matches!(self, Self::Root { .. } | Self::Issuer { .. })
    }
}

/// A change with its place in the organisation's history. Signed by the root key that counts before it; a revocation of
/// devices also by an announced issuer key.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct OrgEvent {
    /// The organisation.
    #[n(0)]
    pub org: OrgId,
    /// Digest of the federation's founding document.
    #[n(1)]
    pub federation: Digest,
    /// Its number among the organisation's events, from 1.
    #[n(2)]
    pub sequence: u64,
    /// Body digest of the event before, or of the registration.
    #[n(3)]
    pub previous: Digest,
    /// When it was made, unix seconds. For people: what counts is the place in the register.
    #[n(4)]
    pub created: u64,
    /// What changes.
    #[n(5)]
    pub change: Change,
}

impl OrgEvent {
    /// What a new root key signs to take over.
    pub fn prove_root(federation: &Digest, org: &OrgId, root: &SecretKey) -> Signature {
        let public = root.public();
        let fields: [&[u8]; 3] = [&federation.0, org.as_bytes(), public.as_bytes()];
        root.sign_labelled(labels::ROOT_PROOF, &fields)
    }
}

impl Statement for OrgEvent {
    const KIND: &'static str = "org-event";
    const MAX_BYTES: usize = 36_864;

    fn check(&self) -> Result<(), BrokenRule> {
        BrokenRule::unless(
            self.sequence >= 1,
            "an organisation's events are numbered from 1",
        )?;
        if let Change::RevokeDevices { devices } = &self.change {
            BrokenRule::unless(
                (1..=MAX_REVOKED_DEVICES).contains(&devices.len()),
                "an event revokes 1 to 1000 devices",
            )?;
            BrokenRule::unless(
                all_distinct(devices) && devices.is_sorted(),
                "the devices of an event are distinct and in increasing order",
            )?;
        }
        Ok(())
    }
}

/// A founder's word that an organisation may come in. It brings the registration along: until a founder has signed one
/// nobody who folds the register knows that the organisation exists. Signed by the founder's current root key.
/// `docs/identity-formats.md`, section 5.4.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct OrgApproval {
    /// The founder.
    #[n(0)]
    pub approver: OrgId,
    /// The registration that is approved, name and all. It says which organisation is let in, and into which federation.
    #[n(1)]
    pub registration: Signed<OrgRegistration>,
    /// When it was made, unix seconds.
    #[n(2)]
    pub created: u64,
}

impl OrgApproval {
    /// The organisation that is let in.
    pub fn org(&self) -> OrgId {
        self.registration.peek().org()
    }

    /// Digest of the federation's founding document.
    pub fn federation(&self) -> Digest {
        self.registration.peek().federation
    }
}

impl Statement for OrgApproval {
    const KIND: &'static str = "org-approval";
    const MAX_BYTES: usize = Signed::<OrgRegistration>::MAX_BYTES + 64;

    fn check(&self) -> Result<(), BrokenRule> {
        BrokenRule::unless(
            self.org() != self.approver,
            "an organisation does not approve itself",
        )
    }
}
