//! The roster of an epoch: which stewards open, and with which thresholds.

use std::collections::BTreeMap;

use dawn_crypto::digest::{Digest, hash, labels};
use dawn_crypto::shamir::Threshold;
use dawn_crypto::vrf::VrfPublicKey;
use minicbor::{Decode, Encode};

use crate::canonical::{DecodeError, from_canonical_bounded, to_canonical};
use crate::federation::MAX_FOUNDERS;
use crate::ids::{OrgId, StewardId};
use crate::keys::{KeyError, PublicKey, SecretKey, Signature};
use crate::member::Revoked;
use crate::members::Members;
use crate::rule::{BrokenRule, all_distinct};

/// Most stewards of a roster.
pub const MAX_STEWARDS: usize = dawn_crypto::params::MAX_STEWARDS;

/// Most signatures on a roster: every founder, and every organisation with a steward.
pub const MAX_SIGNERS: usize = MAX_FOUNDERS + MAX_STEWARDS;

/// One steward. Its evaluation point is its place in the roster plus one.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct RosterEntry {
    /// The organisation that runs it.
    #[n(0)]
    pub org: OrgId,
    /// The steward's key.
    #[n(1)]
    pub steward: PublicKey,
    /// The key of its part of every round's beacon, fixed before anybody knows what it is asked.
    #[n(2)]
    pub vrf: VrfPublicKey,
}

impl RosterEntry {
    /// The steward's identifier.
    pub fn id(&self) -> StewardId {
        StewardId::of(&self.org, &self.steward)
    }
}

/// The stewards of an epoch and their thresholds (`docs/protocol.md`, section 3). Fields and
/// bounds: `docs/identity-formats.md`, section 7.1.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Roster {
    /// Digest of the founding document.
    #[n(0)]
    pub federation: Digest,
    /// Number of the epoch, from 1.
    #[n(1)]
    pub epoch: u64,
    /// m, f and what follows from them.
    #[n(2)]
    pub threshold: Threshold,
    /// The m stewards, of distinct organisations and with distinct keys of both kinds.
    #[n(3)]
    pub stewards: Vec<RosterEntry>,
    /// When it was made, unix seconds.
    #[n(4)]
    pub created: u64,
}

impl Roster {
    /// Most bytes of the body.
    pub const MAX_BYTES: usize = 128 + MAX_STEWARDS * 106;

    /// Whether the roster is consistent and within its bounds.
    ///
    /// # Errors
    /// The first broken rule.
    pub fn check(&self) -> Result<(), BrokenRule> {
        BrokenRule::unless(self.epoch >= 1, "the first epoch is 1")?;
        BrokenRule::unless(
            (1..=MAX_STEWARDS).contains(&self.stewards.len()),
            "a roster has 1 to 16 stewards",
        )?;
        BrokenRule::unless(
            usize::from(self.threshold.m()) == self.stewards.len(),
            "the threshold is one for the number of stewards in the roster",
        )?;
        // One organisation with two stewards would be two of the f that may be malicious.
        BrokenRule::unless(
            all_distinct(self.stewards.iter().map(|entry| entry.org)),
            "an organisation has at most one steward in a roster",
        )?;
        BrokenRule::unless(
            all_distinct(self.stewards.iter().map(|entry| entry.steward)),
            "the stewards' keys are distinct",
        )?;
        // Two stewards with one beacon key would be one. A key that also signs gives its secret away
        // (dawn_crypto::vrf), so no VRF key has the bytes of a steward's key.
        let signing = self.stewards.iter().map(|entry| entry.steward.as_bytes());
        let vrf = self.stewards.iter().map(|entry| entry.vrf.as_bytes());
        BrokenRule::unless(
            all_distinct(signing.chain(vrf)),
            "the stewards' VRF keys are distinct, and none is a steward's key",
        )
    }

    /// The roster's digest: `hash(ROSTER, body)`, without the signatures.
    pub fn digest(&self) -> Digest {
        hash(labels::ROSTER, &[&to_canonical(self)])
    }

    /// The signature, over `hash(ROSTER_SIGNATURE, body)`, of an organisation whose first root key is still its key.
    pub fn sign(&self, root: &SecretKey) -> RosterSignature {
        self.sign_for(OrgId::of(&root.public()), root)
    }

    /// The signature of an organisation with its current root key.
    pub fn sign_for(&self, org: OrgId, root: &SecretKey) -> RosterSignature {
        RosterSignature {
            org,
            signature: root.sign_labelled(labels::ROSTER_SIGNATURE, &[&to_canonical(self)]),
        }
    }
}

/// One organisation's signature on a roster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct RosterSignature {
    /// The organisation.
    #[n(0)]
    pub org: OrgId,
    /// Its root key's signature.
    #[n(1)]
    pub signature: Signature,
}

/// Why a roster does not count.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RosterError {
    /// Not a roster.
    #[error("roster: {0}")]
    Decode(#[from] DecodeError),
    /// Of another federation.
    #[error("the roster is of federation {named}, not {expected}")]
    OtherFederation {
        /// This federation.
        expected: Digest,
        /// The federation named.
        named: Digest,
    },
    /// Signed by somebody who is no member, or has left.
    #[error("organisation {0} signed the roster and is not a member, or has left")]
    ForeignSigner(OrgId),
    /// A member's signature does not verify.
    #[error("organisation {org} has not signed the roster: {source}")]
    Signature {
        /// The organisation.
        org: OrgId,
        /// What is wrong.
        source: KeyError,
    },
    /// An organisation has a steward in the roster and has not signed it.
    #[error("organisation {0} has a steward in the roster and has not signed it")]
    NoConsent(OrgId),
    /// Too few founders signed.
    #[error("{signed} founders signed the roster, {quorum} must")]
    NoQuorum {
        /// How many founders signed.
        signed: usize,
        /// How many must.
        quorum: usize,
    },
    /// A steward's key is also a key of the federation, or the root key of a founder or of an
    /// organisation in the roster.
    #[error("the steward of organisation {0} has a key that serves another purpose")]
    KeyReused(OrgId),
    /// It seats a steward that is revoked.
    #[error("the roster has a steward that is revoked: {0}")]
    Revoked(#[from] Revoked),
}

impl From<BrokenRule> for RosterError {
    fn from(rule: BrokenRule) -> Self {
        Self::Decode(rule.into())
    }
}

/// A roster with the signatures of organisations, in the order of their identifiers. Not verified.
/// `docs/identity-formats.md`, section 7.2.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct SignedRoster {
    #[n(0)]
    roster: Roster,
    #[n(1)]
    signatures: Vec<RosterSignature>,
}

impl SignedRoster {
    /// Most bytes of a signed roster.
    pub const MAX_BYTES: usize = Roster::MAX_BYTES + 16 + MAX_SIGNERS * 104;

    /// Puts signatures to a roster, in any order.
    ///
    /// # Errors
    /// [`RosterError::Decode`] when the roster breaks a rule or two signatures are of one
    /// organisation.
    pub fn assemble(
        roster: Roster,
        mut signatures: Vec<RosterSignature>,
    ) -> Result<Self, RosterError> {
        signatures.sort_by_key(|signature| signature.org);
        let signed = Self { roster, signatures };
        signed.check()?;
        Ok(signed)
    }

    /// Reads a signed roster: bounded, canonical, consistent. The signatures are not verified.
    ///
    /// # Errors
    /// [`RosterError::Decode`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, RosterError> {
        let signed: Self = from_canonical_bounded(bytes, Self::MAX_BYTES)?;
        signed.check()?;
        Ok(signed)
    }

    /// The canonical encoding.
    pub fn to_bytes(&self) -> Vec<u8> {
        to_canonical(self)
    }

    /// The roster, although nobody has verified the signatures.
    pub fn peek(&self) -> &Roster {
        &self.roster
    }

    /// The signatures, in the order of the organisations' identifiers.
    pub fn signatures(&self) -> &[RosterSignature] {
        &self.signatures
    }

    pub(crate) fn check(&self) -> Result<(), BrokenRule> {
        self.roster.check()?;
        BrokenRule::unless(
            self.signatures.len() <= MAX_SIGNERS,
            "a roster has at most 80 signatures",
        )?;
        // Strictly increasing: one signature an organisation, and one order.
        BrokenRule::unless(
            self.signatures
                .windows(2)
                .all(|pair| pair[0].org < pair[1].org),
            "a roster's signatures are of distinct organisations in increasing order",
        )
    }

    /// Verifies a roster as of a place in the register: it is of this federation, every signature is of a member's current
    /// root key, every organisation with a steward signed, enough **founders** signed, and no steward in it is revoked.
    /// Members that were let in never count towards the quorum, or an aggregator under open admission could bring its own.
    ///
    /// Whether its epoch is the next one is another question: rosters count from their place in the register on
    /// ([`crate::RosterPosting`]).
    ///
    /// # Errors
    /// [`RosterError`], naming the organisation to blame.
    pub fn verify(&self, members: &Members) -> Result<VerifiedRoster, RosterError> {
        self.check()?;
        if self.roster.federation != members.federation {
            return Err(RosterError::OtherFederation {
                expected: members.federation,
                named: self.roster.federation,
            });
        }
        let body = to_canonical(&self.roster);
        for RosterSignature { org, signature } in &self.signatures {
            let root = members.root(org).ok_or(RosterError::ForeignSigner(*org))?;
            root.verify_labelled(labels::ROSTER_SIGNATURE, &[&body], signature)
                .map_err(|source| RosterError::Signature { org: *org, source })?;
        }
        let has_signed = |org: &OrgId| {
            self.signatures
                .binary_search_by_key(org, |signature| signature.org)
                .is_ok()
        };
        for entry in &self.roster.stewards {
            if !has_signed(&entry.org) {
                return Err(RosterError::NoConsent(entry.org));
            }
        }
        // Only the keys of founders and of this roster's organisations are compared: otherwise a
        // steward could undo a valid roster by registering its key as another organisation's root.
        for entry in &self.roster.stewards {
            let is_root = |org: &OrgId| {
                let member = members.get(org);
                member.is_some_and(|member| member.roots().any(|root| *root == entry.steward))
            };
            let reused = members.server.contains(&entry.steward)
                || members.founders.iter().any(is_root)
                || self.roster.stewards.iter().any(|other| is_root(&other.org));
            if reused {
                return Err(RosterError::KeyReused(entry.org));
            }
            if let Some(member) = members.get(&entry.org) {
                member.check_steward(&entry.id())?;
            }
        }
        let quorum = usize::from(members.roster_quorum);
        let signed = self
            .signatures
            .iter()
            .filter(|signature| members.is_founder(&signature.org))
            .count();
        if signed < quorum {
            return Err(RosterError::NoQuorum { signed, quorum });
        }
        let points = self.roster.stewards.iter().zip(1u8..);
        Ok(VerifiedRoster {
            digest: self.roster.digest(),
            points: points.map(|(entry, point)| (entry.id(), point)).collect(),
            signed: self.clone(),
        })
    }
}

/// A roster that its organisations and enough founders signed. Only verifying makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedRoster {
    digest: Digest,
    points: BTreeMap<StewardId, u8>,
    signed: SignedRoster,
}

impl VerifiedRoster {
    /// The roster's digest, which round specifications name.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// The federation's digest.
    pub fn federation(&self) -> Digest {
        self.signed.roster.federation
    }

    /// Number of the epoch.
    pub fn epoch(&self) -> u64 {
        self.signed.roster.epoch
    }

    /// m, f, T and A.
    pub fn threshold(&self) -> &Threshold {
        &self.signed.roster.threshold
    }

    /// The stewards; the one at evaluation point `p` is at index `p - 1`.
    pub fn stewards(&self) -> &[RosterEntry] {
        &self.signed.roster.stewards
    }

    /// Whether rounds under `first` may go on under this roster: it is that one or of a later epoch, with the same
    /// organisations at the same points and the same thresholds. Only stewards' keys may be others. So what a task or a
    /// device has been told about who opens stays true.
    pub fn continues(&self, first: &Self) -> bool {
        let organisations = |roster: &Self| -> Vec<OrgId> {
            roster.stewards().iter().map(|entry| entry.org).collect()
        };
        self.epoch() >= first.epoch()
            && self.federation() == first.federation()
            && self.threshold() == first.threshold()
            && organisations(self) == organisations(first)
    }

    /// The steward at an evaluation point, 1 to m.
    pub fn steward_at(&self, point: u8) -> Option<&RosterEntry> {
        let index = usize::from(point).checked_sub(1)?;
        self.stewards().get(index)
    }

    /// The evaluation point of a steward.
    pub fn point_of(&self, steward: &StewardId) -> Option<u8> {
        self.points.get(steward).copied()
    }

    /// The signed roster, to pass on or store.
    pub fn signed(&self) -> &SignedRoster {
        &self.signed
    }
}
