//! What a device says in a round, and a steward that contributes noise (`docs/protocol.md`, sections 4.2 to 4.4).

use std::fmt;

use dawn_crypto::declassify;
use dawn_crypto::digest::{Digest, hash, labels};
use dawn_crypto::norm::params::REPETITIONS;
use dawn_crypto::norm::{NormParams, NormSeeds, ProofShare};
use dawn_crypto::params::MAX_STEWARDS;
use dawn_crypto::shamir::{ConsistencyProof, ShareEncoding, ShareSum};
use dawn_crypto::vrf::VrfProof;
use dawn_identity::{BrokenRule, DeviceId, SessionId, Statement, StewardId, to_canonical};
use minicbor::{Decode, Encode};
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::author::Author;
use crate::package::OpenedPackage;
use crate::round_id::RoundId;
use crate::spec::check_round;
use crate::statements::Outcome;

/// Most bytes of one sealed package. A package holds one key share (8 KiB), shares of the norm proof
/// (at most 40 KiB), a blind, and the sealing's overhead.
pub const MAX_PACKAGE_BYTES: usize = 64 * 1024;

/// The header of a submission. Signed by the device, once per round, or by a steward, once a candidate of its noise; it
/// binds the payload, the shares and the packages that travel with it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct SubmissionHeader {
    /// The round.
    #[n(0)]
    pub round: RoundId,
    /// The session that the device was shown.
    #[n(1)]
    pub session: SessionId,
    /// Who the author is.
    #[n(2)]
    pub credential: Author,
    /// Digest of the masked vector's bytes.
    #[n(3)]
    pub payload: Digest,
    /// Commitments to the key shares of all m stewards, by evaluation point (index + 1).
    #[n(4)]
    pub commitments: Vec<Digest>,
    /// Commitments to the shares of the norm proof's digits, by evaluation point.
    #[n(5)]
    pub digit_commitments: Vec<Digest>,
    /// Commitments to the shares of the norm proof itself, by evaluation point.
    #[n(6)]
    pub proof_commitments: Vec<Digest>,
    /// Proof that the committed shares lie on one polynomial, so that no device can make an honest
    /// steward's answer look like a lie.
    #[n(7)]
    pub consistency: ConsistencyProof,
    /// Digests of the sealed packages, one per seated steward in increasing point.
    #[n(8)]
    pub packages: Vec<Digest>,
    /// Proof that the device is selected in this round, when the task selects devices (section 4.10).
    #[n(9)]
    pub selection: Option<VrfProof>,
}

impl SubmissionHeader {
    /// The header's canonical bytes before the package digests, which depend on it: it goes into
    /// the associated data of every package, so that a package opens only under its own header.
    pub fn pre_header(&self) -> Vec<u8> {
        to_canonical(&(
            &self.round,
            &self.session,
            &self.credential,
            &self.payload,
            &self.commitments,
            &self.digit_commitments,
            &self.proof_commitments,
            &self.consistency,
        ))
    }

    /// What the norm proof's projection follows from: the canonical bytes of payload and key
    /// commitments and everything before them. A key chosen after the projection would give any.
    pub fn norm_context(&self) -> Vec<u8> {
        to_canonical(&(
            &self.round,
            &self.session,
            &self.credential,
            &self.payload,
            &self.commitments,
        ))
    }

    /// The seeds of the norm proof, which follow from [`Self::norm_context`] and the commitments to the
    /// digits.
    pub fn norm_seeds(&self) -> NormSeeds {
        NormSeeds::new(&self.norm_context(), &self.digit_commitments)
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
            &self.digit_commitments,
            &self.proof_commitments,
        ))
    }
}

impl Statement for SubmissionHeader {
    const KIND: &'static str = "submission";
    const MAX_BYTES: usize = 8192;

    fn check(&self) -> Result<(), BrokenRule> {
        check_round(&self.round)?;
        let stewards = self.commitments.len();
        BrokenRule::unless(
            (1..=MAX_STEWARDS).contains(&stewards)
                && self.digit_commitments.len() == stewards
                && self.proof_commitments.len() == stewards,
            "a submission commits to between 1 and 16 shares of each kind",
        )?;
        BrokenRule::unless(
            (1..=stewards).contains(&self.packages.len()),
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

/// What a package holds: one steward's shares of the mask key and of the norm proof, and the blind of
/// their commitments.
#[derive(Encode, Zeroize, ZeroizeOnDrop)]
#[cbor(array)]
pub struct PackagePlaintext {
    /// The commitment's blind.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub blind: [u8; 32],
    /// The key share, or the seed that expands to all three shares.
    #[n(1)]
    pub share: ShareEncoding,
    /// The share of the digits as little-endian words; empty beside a seed.
    #[cbor(n(2), with = "minicbor::bytes")]
    pub digits: Vec<u8>,
    /// The share of the norm proof as little-endian words; empty beside a seed.
    #[cbor(n(3), with = "minicbor::bytes")]
    pub proofs: Vec<u8>,
}

impl PackagePlaintext {
    /// The plaintext of a steward's shares. Beside a seed those of the proof are left out: they follow
    /// from it.
    pub fn new(blind: &[u8; 32], share: ShareEncoding, proof: &ProofShare) -> Self {
        let [mut digits, mut proofs] = proof.encode(&share);
        Self {
            blind: *blind,
            share,
            digits: core::mem::take(&mut *digits),
            proofs: core::mem::take(&mut *proofs),
        }
    }

    /// The canonical bytes.
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        // Reserved at once: a growing vector would leave copies of the share behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_PACKAGE_BYTES));
        minicbor::encode(self, &mut *bytes).expect("encoding into memory does not fail");
        bytes
    }

    /// The lengths of blind, key, digits and proofs in both forms: of a seed, and of explicit shares.
    fn forms(params: &NormParams) -> [[usize; 4]; 2] {
        let proofs = REPETITIONS * params.proof_len();
        [
            [32, 32, 0, 0],
            [32, ShareSum::BYTES, 4 * params.digits(), 4 * proofs],
        ]
    }

    /// Bytes of a plaintext with a seed, and of one with explicit shares.
    pub fn lengths(params: &NormParams) -> [usize; 2] {
        Self::forms(params).map(|lengths| length_of(&lengths, &lengths.map(byte_string_head)))
    }

    /// Reads a plaintext; only the canonical encoding of shares of the parameters' lengths is accepted.
    ///
    /// # Errors
    /// [`Outcome::Malformed`].
    pub fn from_bytes(params: &NormParams, bytes: &[u8]) -> Result<Self, Outcome> {
        // Not by a parser, whose branches depend on what it reads: the canonical encoding has one of two forms,
        // told apart by their length, which the package's length shows to everybody.
        for lengths in Self::forms(params) {
            let heads = lengths.map(byte_string_head);
            if bytes.len() == length_of(&lengths, &heads) {
                return Self::of_form(bytes, &lengths, &heads);
            }
        }
        Err(Outcome::Malformed)
    }

    /// Reads a plaintext of byte strings of these lengths, whose sum with that of their heads is its own.
    fn of_form(bytes: &[u8], lengths: &[usize; 4], heads: &[Vec<u8>; 4]) -> Result<Self, Outcome> {
        const ARRAY_OF_FOUR: &[u8] = &[0x84];
        let (array, mut rest) = bytes.split_at(1);
        let mut framed = array.ct_eq(ARRAY_OF_FOUR);
        let mut parts: [&[u8]; 4] = [&[]; 4];
        for (part, (length, head)) in parts.iter_mut().zip(lengths.iter().zip(heads)) {
            let (found, after) = rest.split_at(head.len());
            framed &= found.ct_eq(head);
            (*part, rest) = after.split_at(*length);
        }
        if !declassify::decision(framed.into()) {
            return Err(Outcome::Malformed);
        }
        let [blind, share, digits, proofs] = parts;
        Ok(Self {
            share: ShareEncoding::from_bytes(share).map_err(|_| Outcome::Malformed)?,
            blind: blind.try_into().map_err(|_| Outcome::Malformed)?,
            digits: digits.to_vec(),
            proofs: proofs.to_vec(),
        })
    }
}

/// Bytes of a plaintext of byte strings of these lengths with these heads.
fn length_of(lengths: &[usize; 4], heads: &[Vec<u8>; 4]) -> usize {
    1 + heads.iter().map(Vec::len).sum::<usize>() + lengths.iter().sum::<usize>()
}

/// What comes before a byte string of this length in canonical CBOR.
fn byte_string_head(length: usize) -> Vec<u8> {
    let mut encoder = minicbor::Encoder::new(Vec::with_capacity(9));
    encoder
        .bytes_len(length as u64)
        .expect("encoding into memory does not fail");
    encoder.into_writer()
}

impl PackagePlaintext {
    /// The shares, expanded.
    ///
    /// # Errors
    /// [`Outcome::Malformed`] when they do not have the parameters' lengths.
    pub fn expand(&self, params: &NormParams) -> Result<OpenedPackage, Outcome> {
        Ok(OpenedPackage {
            key: self.share.expand().map_err(|_| Outcome::Malformed)?,
            proof: ProofShare::decode(params, &self.share, &self.digits, &self.proofs)
                .map_err(|_| Outcome::Malformed)?,
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
