//! Another key of the server takes over: the aggregator's or the log's (`docs/identity-formats.md`, section 6.3).
//!
//! Founders decide it, as many as sign a roster, and the old key has no say: whoever has stolen it replaces nothing, and when it
//! is lost nobody needs it.

use dawn_crypto::digest::{Digest, hash, labels};
use minicbor::{Decode, Encode};

use crate::canonical::{DecodeError, from_canonical_bounded, to_canonical};
use crate::federation::MAX_FOUNDERS;
use crate::ids::{KeyId, OrgId};
use crate::keys::{KeyError, PublicKey, SecretKey, Signature};
use crate::roster::RosterSignature;
use crate::rule::BrokenRule;

/// Most keys that may have taken over from another, both roles together.
pub const MAX_SERVER_KEY_CHANGES: u64 = 64;

/// Which of the server's two keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum ServerRole {
    /// The aggregator's: it signs what is said in rounds.
    Aggregator = 0,
    /// The log's: it signs heads and checkpoints.
    Log = 1,
}

impl ServerRole {
    /// Its name for people.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Aggregator => "aggregator",
            Self::Log => "log",
        }
    }
}

impl std::fmt::Display for ServerRole {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// Which key takes over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum ServerKey {
    /// The aggregator's.
    #[n(0)]
    Aggregator {
        /// The new key.
        #[n(0)]
        key: PublicKey,
        /// Its signature ([`ServerKey::prove`]).
        #[n(1)]
        proof: Signature,
    },
    /// The log's.
    #[n(1)]
    Log {
        /// The new key.
        #[n(0)]
        key: PublicKey,
        /// Its signature ([`ServerKey::prove`]).
        #[n(1)]
        proof: Signature,
    },
}

impl ServerKey {
    /// A new key with its proof of possession: its signature over `hash(SERVER_KEY_PROOF, federation, role (one byte), key)`.
    pub fn prove(federation: &Digest, role: ServerRole, key: &SecretKey) -> Self {
        let public = key.public();
        let fields: [&[u8]; 3] = [&federation.0, &[role as u8], public.as_bytes()];
        let proof = key.sign_labelled(labels::SERVER_KEY_PROOF, &fields);
        match role {
            ServerRole::Aggregator => Self::Aggregator { key: public, proof },
            ServerRole::Log => Self::Log { key: public, proof },
        }
    }

    /// What the key is for.
    pub fn role(&self) -> ServerRole {
        match self {
            Self::Aggregator { .. } => ServerRole::Aggregator,
            Self::Log { .. } => ServerRole::Log,
        }
    }

    /// The new key.
    pub fn key(&self) -> &PublicKey {
        match self {
            Self::Aggregator { key, .. } | Self::Log { key, .. } => key,
        }
    }

    /// Whether the new key's holder has consented, in this federation and for this role.
    ///
    /// # Errors
    /// [`KeyError::BadSignature`].
    pub fn verify(&self, federation: &Digest) -> Result<(), KeyError> {
        let (Self::Aggregator { key, proof } | Self::Log { key, proof }) = self;
        let fields: [&[u8]; 3] = [&federation.0, &[self.role() as u8], key.as_bytes()];
        key.verify_labelled(labels::SERVER_KEY_PROOF, &fields, proof)
    }
}

/// A change of one of the server's keys, with its place among all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct ServerKeyChange {
    /// Digest of the founding document.
    #[n(0)]
    pub federation: Digest,
    /// Its number, from 1.
    #[n(1)]
    pub sequence: u64,
    /// Digest of the change before; of the founding document for the first.
    #[n(2)]
    pub previous: Digest,
    /// What changes.
    #[n(3)]
    pub new: ServerKey,
    /// When it was made, unix seconds. For people: what counts is the place in the register.
    #[n(4)]
    pub created: u64,
}

impl ServerKeyChange {
    /// Most bytes of the body.
    pub const MAX_BYTES: usize = 256;

    /// Whether the change is consistent in itself.
    ///
    /// # Errors
    /// The first broken rule.
    pub fn check(&self) -> Result<(), BrokenRule> {
        BrokenRule::unless(
            (1..=MAX_SERVER_KEY_CHANGES).contains(&self.sequence),
            "changes of the server's keys are numbered from 1 to 64",
        )
    }

    /// The change's digest: `hash(SERVER_KEY, body)`, without the signatures.
    pub fn digest(&self) -> Digest {
        hash(labels::SERVER_KEY, &[&to_canonical(self)])
    }

    /// The signature of a founder with its current root key, over `hash(SERVER_KEY_SIGNATURE, body)`.
    pub fn sign_for(&self, org: OrgId, root: &SecretKey) -> RosterSignature {
        let body = to_canonical(self);
        RosterSignature {
            org,
            signature: root.sign_labelled(labels::SERVER_KEY_SIGNATURE, &[&body]),
        }
    }
}

/// Why a change of the server's keys does not count.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ServerKeyError {
    /// Not a change.
    #[error("change of the server's keys: {0}")]
    Decode(#[from] DecodeError),
    /// Of another federation.
    #[error("the change of the server's keys is of federation {named}, not {expected}")]
    OtherFederation {
        /// This federation.
        expected: Digest,
        /// The federation named.
        named: Digest,
    },
    /// Not the next one.
    #[error(
        "change {found} of the server's keys does not follow change {last}, or names another one before it; fetch the newest state and sign again"
    )]
    Sequence {
        /// Number of the last one.
        last: u64,
        /// The number found.
        found: u64,
    },
    /// Signed by somebody who did not found the federation, or has left.
    #[error(
        "organisation {0} signed the change of the server's keys and is not a founder, or has left"
    )]
    NotAFounder(OrgId),
    /// A founder's signature does not verify under its current root key.
    #[error(
        "founder {org} has not signed the change of the server's keys with its current root key: {source}"
    )]
    Signature {
        /// The founder.
        org: OrgId,
        /// What is wrong.
        source: KeyError,
    },
    /// Too few founders signed.
    #[error("{signed} founders signed the change of the server's keys, {quorum} must")]
    NoQuorum {
        /// How many founders signed.
        signed: usize,
        /// How many must.
        quorum: usize,
    },
    /// The new key serves, or has served, another purpose.
    #[error("key {0} serves or has served another purpose; make a new one")]
    KeyInUse(KeyId),
    /// The new key has not consented.
    #[error("the new key of the {role} has not consented: {source}")]
    Proof {
        /// What it is for.
        role: ServerRole,
        /// What is wrong.
        source: KeyError,
    },
}

impl From<BrokenRule> for ServerKeyError {
    fn from(rule: BrokenRule) -> Self {
        Self::Decode(rule.into())
    }
}

/// A change with the signatures of founders, in the order of their identifiers. Not verified.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct SignedServerKeyChange {
    #[n(0)]
    change: ServerKeyChange,
    #[n(1)]
    signatures: Vec<RosterSignature>,
}

impl SignedServerKeyChange {
    /// Most bytes of a signed change.
    pub const MAX_BYTES: usize = ServerKeyChange::MAX_BYTES + 16 + MAX_FOUNDERS * 104;

    /// Puts signatures to a change, in any order.
    ///
    /// # Errors
    /// [`ServerKeyError::Decode`] when the change breaks a rule or two signatures are of one organisation.
    pub fn assemble(
        change: ServerKeyChange,
        mut signatures: Vec<RosterSignature>,
    ) -> Result<Self, ServerKeyError> {
        signatures.sort_by_key(|signature| signature.org);
        let signed = Self { change, signatures };
        signed.check()?;
        Ok(signed)
    }

    /// The same change with one more signature; one of the same organisation is replaced.
    ///
    /// # Errors
    /// [`ServerKeyError::Decode`] when there are too many.
    pub fn with(mut self, signature: RosterSignature) -> Result<Self, ServerKeyError> {
        self.signatures.retain(|known| known.org != signature.org);
        self.signatures.push(signature);
        Self::assemble(self.change, self.signatures)
    }

    /// Reads a signed change: bounded, canonical, consistent. The signatures are not verified.
    ///
    /// # Errors
    /// [`ServerKeyError::Decode`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ServerKeyError> {
        let signed: Self = from_canonical_bounded(bytes, Self::MAX_BYTES)?;
        signed.check()?;
        Ok(signed)
    }

    /// The canonical encoding.
    pub fn to_bytes(&self) -> Vec<u8> {
        to_canonical(self)
    }

    /// The change, although nobody has verified the signatures.
    pub fn peek(&self) -> &ServerKeyChange {
        &self.change
    }

    /// The signatures, in the order of the organisations' identifiers.
    pub fn signatures(&self) -> &[RosterSignature] {
        &self.signatures
    }

    pub(crate) fn check(&self) -> Result<(), BrokenRule> {
        self.change.check()?;
        BrokenRule::unless(
            self.signatures.len() <= MAX_FOUNDERS,
            "a change of the server's keys has at most 64 signatures",
        )?;
        BrokenRule::unless(
            self.signatures
                .windows(2)
                .all(|pair| pair[0].org < pair[1].org),
            "the signatures are of distinct organisations in increasing order",
        )
    }
}
