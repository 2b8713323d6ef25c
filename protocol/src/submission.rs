//! What a device says in a round (`docs/protocol.md`, sections 4.2 to 4.4).

use std::fmt;

use dawn_crypto::declassify;
use dawn_crypto::digest::{Digest, hash, labels};
use dawn_crypto::params::MAX_STEWARDS;
use dawn_crypto::shamir::{ConsistencyProof, ShareEncoding, ShareSum};
use dawn_identity::{
    BrokenRule, CredentialChain, DeviceId, SessionId, Statement, StewardId, to_canonical,
};
use minicbor::{Decode, Encode};
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::round_id::RoundId;
use crate::spec::check_round;
use crate::statements::Outcome;

/// Most bytes of one sealed package. A package holds one key share (8 KiB), a blind, and the
/// sealing's overhead.
pub const MAX_PACKAGE_BYTES: usize = 16 * 1024;

/// The header of a submission. Signed by the device, once per round; it binds the payload, the
/// shares and the packages that travel with it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct SubmissionHeader {
    /// The round.
    #[n(0)]
    pub round: RoundId,
    /// The session that the device was shown.
    #[n(1)]
    pub session: SessionId,
    /// Who the device is.
    #[n(2)]
    pub credential: CredentialChain,
    /// Digest of the masked vector's bytes.
    #[n(3)]
    pub payload: Digest,
    /// Commitments to the key shares of all m stewards, by evaluation point (index + 1).
    #[n(4)]
    pub commitments: Vec<Digest>,
    /// Proof that the committed shares lie on one polynomial, so that no device can make an honest
    /// steward's answer look like a lie.
    #[n(5)]
    pub consistency: ConsistencyProof,
    /// Digests of the sealed packages, one per seated steward in increasing point.
    #[n(6)]
    pub packages: Vec<Digest>,
}

impl SubmissionHeader {
    /// The header's canonical bytes without the package digests, which depend on it: it goes into
    /// the associated data of every package, so that a package opens only under its own header.
    pub fn pre_header(&self) -> Vec<u8> {
        to_canonical(&(
            &self.round,
            &self.session,
            &self.credential,
            &self.payload,
            &self.commitments,
            &self.consistency,
        ))
    }

    /// What the proof of the shares' consistency is about: the canonical bytes of everything before
    /// it, the commitments among them.
    pub fn consistency_context(&self) -> Vec<u8> {
        to_canonical(&(
            &self.round,
            &self.session,
            &self.credential,
            &self.payload,
            &self.commitments,
        ))
    }
}

impl Statement for SubmissionHeader {
    const KIND: &'static str = "submission";
    const MAX_BYTES: usize = 8192;

    fn check(&self) -> Result<(), BrokenRule> {
        check_round(&self.round)?;
        BrokenRule::unless(
            (1..=MAX_STEWARDS).contains(&self.commitments.len()),
            "a submission commits to between 1 and 16 shares",
        )?;
        BrokenRule::unless(
            (1..=self.commitments.len()).contains(&self.packages.len()),
            "a submission has at least one package and at most one per steward",
        )
    }
}

/// The associated data of a package: which header, which steward, which roster
/// (`docs/protocol.md`, section 4.3).
pub fn package_aad(pre_header: &[u8], steward: &StewardId, roster: &Digest) -> Digest {
    hash(
        labels::PACKAGE_AAD,
        &[pre_header, steward.as_bytes(), &roster.0],
    )
}

/// The `info` of a package's sealing: the label and the session, 32 bytes.
pub fn seal_info(session: &SessionId) -> Digest {
    hash(labels::SEAL_INFO, &[session.as_bytes()])
}

/// The digest of a sealed package that its header names.
pub fn package_digest(sealed: &[u8]) -> Digest {
    hash(labels::PACKAGE, &[sealed])
}

/// Bytes of a plaintext with a seed: array and blind, seed.
const SEED_PLAINTEXT_BYTES: usize = 3 + 32 + 2 + 32;

/// Bytes of a plaintext with the share itself.
const EXPLICIT_PLAINTEXT_BYTES: usize = 3 + 32 + 3 + ShareSum::BYTES;

/// What a package holds: one steward's share of the mask key and the blind of its commitment.
#[derive(Encode, Zeroize, ZeroizeOnDrop)]
#[cbor(array)]
pub struct PackagePlaintext {
    /// The commitment's blind.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub blind: [u8; 32],
    /// The share, or the seed that expands to it.
    #[n(1)]
    pub share: ShareEncoding,
}

impl PackagePlaintext {
    /// The canonical bytes.
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        // Reserved at once: a growing vector would leave copies of the share behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_PACKAGE_BYTES));
        minicbor::encode(self, &mut *bytes).expect("encoding into memory does not fail");
        bytes
    }

    /// Reads a plaintext; only the canonical encoding is accepted.
    ///
    /// # Errors
    /// [`Outcome::Malformed`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Outcome> {
        // Not by a parser, whose branches depend on what it reads: the canonical encoding has one of two forms,
        // told apart by their length, which the package's length shows to everybody.
        const ARRAY_AND_BLIND: &[u8] = &[0x82, 0x58, 32];
        let before_share: &[u8] = match bytes.len() {
            SEED_PLAINTEXT_BYTES => &[0x58, 32],
            EXPLICIT_PLAINTEXT_BYTES => &[0x59, 0x20, 0x00],
            _ => return Err(Outcome::Malformed),
        };
        let (before_blind, rest) = bytes.split_at(ARRAY_AND_BLIND.len());
        let (blind, rest) = rest.split_at(32);
        let (found, share) = rest.split_at(before_share.len());
        let framed = before_blind.ct_eq(ARRAY_AND_BLIND) & found.ct_eq(before_share);
        if !declassify::decision(framed.into()) {
            return Err(Outcome::Malformed);
        }
        Ok(Self {
            share: ShareEncoding::from_bytes(share).map_err(|_| Outcome::Malformed)?,
            blind: blind.try_into().map_err(|_| Outcome::Malformed)?,
        })
    }
}

impl fmt::Debug for PackagePlaintext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PackagePlaintext(redacted)")
    }
}

/// The aggregator's word that a submission is stored durably. Signed by the aggregator; the same
/// submission always gets the same receipt.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Receipt {
    /// The round.
    #[n(0)]
    pub round: RoundId,
    /// The session.
    #[n(1)]
    pub session: SessionId,
    /// The device.
    #[n(2)]
    pub device: DeviceId,
    /// Digest of the signed header's bytes.
    #[n(3)]
    pub header: Digest,
    /// When it was stored, in unix milliseconds.
    #[n(4)]
    pub received_ms: u64,
}

impl Statement for Receipt {
    const KIND: &'static str = "receipt";
    const MAX_BYTES: usize = 512;

    fn check(&self) -> Result<(), BrokenRule> {
        check_round(&self.round)
    }
}
