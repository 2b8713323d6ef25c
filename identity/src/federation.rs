//! The founding document: the one thing about a federation that devices, stewards and auditors pin.

use std::ops::Deref;

use dawn_crypto::digest::{Digest, hash, labels};
use minicbor::{Decode, Encode};

use crate::canonical::{DecodeError, from_canonical_bounded, to_canonical};
use crate::ids::OrgId;
use crate::keys::{KeyError, PublicKey, SecretKey, Signature};
use crate::rule::{BrokenRule, all_distinct, check_name};

/// Most founders of a federation.
pub const MAX_FOUNDERS: usize = 64;

/// Who lets an organisation in that did not found the federation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Admission {
    /// Whoever proves possession of its root key. Such members never count towards
    /// [`Federation::roster_quorum`].
    #[n(0)]
    Open,
    /// At least `k` founders approve.
    #[n(1)]
    Approval {
        /// How many founders, 1 to all of them.
        #[n(0)]
        k: u16,
    },
}

/// One founder.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct FounderEntry {
    /// A name for people, 1 to 64 bytes.
    #[n(0)]
    pub name: String,
    /// The founder's root key.
    #[n(1)]
    pub root: PublicKey,
}

/// What the founders agree on. Fields and bounds: `docs/identity-formats.md`, section 6.1.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Federation {
    /// A name for people, 1 to 64 bytes.
    #[n(0)]
    pub name: String,
    /// The founders, 1 to 64, with distinct names and keys.
    #[n(1)]
    pub founders: Vec<FounderEntry>,
    /// The aggregator's key.
    #[n(2)]
    pub aggregator: PublicKey,
    /// The log's key. May be the aggregator's.
    #[n(3)]
    pub log: PublicKey,
    /// Who lets others in.
    #[n(4)]
    pub admission: Admission,
    /// How many founders must sign a roster: more than half of them, so that two rosters of one
    /// epoch have an honest founder in common.
    #[n(5)]
    pub roster_quorum: u16,
    /// When it was made, unix seconds.
    #[n(6)]
    pub created: u64,
}

impl Federation {
    /// Most bytes of the body.
    pub const MAX_BYTES: usize = 256 + MAX_FOUNDERS * 128;

    /// Whether the document is consistent and within its bounds.
    ///
    /// # Errors
    /// The first broken rule.
    pub fn check(&self) -> Result<(), BrokenRule> {
        check_name(
            &self.name,
            "a federation's name is 1 to 64 bytes of printable text",
        )?;
        let founders = self.founders.len();
        BrokenRule::unless(
            (1..=MAX_FOUNDERS).contains(&founders),
            "a federation has 1 to 64 founders",
        )?;
        for founder in &self.founders {
            check_name(
                &founder.name,
                "a founder's name is 1 to 64 bytes of printable text",
            )?;
        }
        BrokenRule::unless(
            all_distinct(self.founders.iter().map(|founder| &founder.name)),
            "the founders' names are distinct",
        )?;
        BrokenRule::unless(
            all_distinct(self.founders.iter().map(|founder| &founder.root)),
            "the founders' root keys are distinct",
        )?;
        BrokenRule::unless(
            self.founders
                .iter()
                .all(|founder| founder.root != self.aggregator && founder.root != self.log),
            "the aggregator's and the log's keys are not a founder's root key",
        )?;
        let quorum = usize::from(self.roster_quorum);
        BrokenRule::unless(
            2 * quorum > founders && quorum <= founders,
            "the roster quorum is more than half of the founders and at most all of them",
        )?;
        match self.admission {
            Admission::Open => Ok(()),
            Admission::Approval { k } => BrokenRule::unless(
                (1..=founders).contains(&usize::from(k)),
                "the number of approvals is between 1 and the number of founders",
            ),
        }
    }

    /// The digest that everybody pins: `hash(FEDERATION, body)`, without the signatures.
    pub fn digest(&self) -> Digest {
        hash(labels::FEDERATION, &[&to_canonical(self)])
    }

    /// A founder's signature, over `hash(FEDERATION_SIGNATURE, body)`.
    pub fn sign(&self, root: &SecretKey) -> Signature {
        root.sign_labelled(labels::FEDERATION_SIGNATURE, &[&to_canonical(self)])
    }
}

/// Why a founding document does not count.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FederationError {
    /// Not a founding document.
    #[error("founding document: {0}")]
    Decode(#[from] DecodeError),
    /// Not one signature for each founder.
    #[error("the founding document has {signatures} signatures of {founders} founders")]
    SignatureCount {
        /// How many founders there are.
        founders: usize,
        /// How many signatures there are.
        signatures: usize,
    },
    /// A founder has not signed.
    #[error("founder {name} ({org}) has not signed the founding document: {source}")]
    Signature {
        /// The founder's name.
        name: String,
        /// The founder.
        org: OrgId,
        /// What is wrong.
        source: KeyError,
    },
    /// A valid document, but not the one that was pinned.
    #[error("this is federation {found}, not {expected}")]
    NotPinned {
        /// The digest that was pinned.
        expected: Digest,
        /// The digest of this one.
        found: Digest,
    },
}

impl From<BrokenRule> for FederationError {
    fn from(rule: BrokenRule) -> Self {
        Self::Decode(rule.into())
    }
}

/// A federation with one signature of every founder, in the founders' order. Not verified.
/// `docs/identity-formats.md`, section 6.2.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct FoundingDocument {
    /// The body.
    #[n(0)]
    pub federation: Federation,
    /// One signature for each founder, in their order.
    #[n(1)]
    pub signatures: Vec<Signature>,
}

impl FoundingDocument {
    /// Most bytes of a founding document.
    pub const MAX_BYTES: usize = Federation::MAX_BYTES + 16 + MAX_FOUNDERS * (Signature::BYTES + 2);

    /// Reads a document: bounded, canonical, consistent. The signatures are not verified.
    ///
    /// # Errors
    /// [`FederationError::Decode`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, FederationError> {
        let document: Self = from_canonical_bounded(bytes, Self::MAX_BYTES)?;
        document.federation.check()?;
        Ok(document)
    }

    /// The canonical encoding.
    pub fn to_bytes(&self) -> Vec<u8> {
        to_canonical(self)
    }

    /// The digest that everybody pins. The signatures are not part of it.
    pub fn digest(&self) -> Digest {
        self.federation.digest()
    }

    /// Verifies that every founder signed. Whether it is the federation one wants is another
    /// question: see [`FoundingDocument::verify_pinned`].
    ///
    /// # Errors
    /// [`FederationError`], naming the founder to blame.
    pub fn verify(&self) -> Result<VerifiedFederation, FederationError> {
        self.federation.check()?;
        let founders = &self.federation.founders;
        if self.signatures.len() != founders.len() {
            return Err(FederationError::SignatureCount {
                founders: founders.len(),
                signatures: self.signatures.len(),
            });
        }
        let body = to_canonical(&self.federation);
        for (founder, signature) in founders.iter().zip(&self.signatures) {
            founder
                .root
                .verify_labelled(labels::FEDERATION_SIGNATURE, &[&body], signature)
                .map_err(|source| FederationError::Signature {
                    name: founder.name.clone(),
                    org: OrgId::of(&founder.root),
                    source,
                })?;
        }
        Ok(VerifiedFederation {
            digest: self.digest(),
            document: self.clone(),
        })
    }

    /// Verifies that this is the pinned federation and that every founder signed.
    ///
    /// # Errors
    /// [`FederationError`].
    pub fn verify_pinned(&self, pinned: &Digest) -> Result<VerifiedFederation, FederationError> {
        let found = self.digest();
        if found != *pinned {
            return Err(FederationError::NotPinned {
                expected: *pinned,
                found,
            });
        }
        self.verify()
    }
}

/// A federation that all its founders signed. Only verifying makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedFederation {
    digest: Digest,
    document: FoundingDocument,
}

impl VerifiedFederation {
    /// The federation's digest.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// The signed document, to pass on or store.
    pub fn document(&self) -> &FoundingDocument {
        &self.document
    }
}

impl Deref for VerifiedFederation {
    type Target = Federation;

    fn deref(&self) -> &Federation {
        &self.document.federation
    }
}
