//! How a device makes its one message of a round (`docs/protocol.md`, sections 4.2 to 4.4).

use std::io::{self, Write};

use dawn_crypto::commit::key_commitment;
use dawn_crypto::declassify;
use dawn_crypto::digest::Digest;
use dawn_crypto::gaussian::Gaussian;
use dawn_crypto::mask::{MaskError, MaskKey, Masker, PublicMatrix};
use dawn_crypto::noise::NoiseStream;
use dawn_crypto::params::N;
use dawn_crypto::seal;
use dawn_crypto::secret::SecretVec;
use dawn_crypto::shamir::{ConsistencyProof, ShamirError, share_key};
use dawn_identity::{CredentialChain, EnvelopeError, SecretKey, Signed};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::container::ContainerHead;
use crate::phase::RoundOpen;
use crate::submission::{
    PackagePlaintext, SubmissionHeader, package_aad, package_digest, seal_info,
};

/// Why no submission could be made. Nothing about the update is in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PrepareError {
    /// The update has another length than the task's model, or a coordinate that is too large.
    #[error("the update cannot be masked: {0}")]
    Mask(#[from] MaskError),
    /// The update is longer than the task's clip bound.
    #[error("the update is longer than the clip bound {clip}")]
    TooLong {
        /// The clip bound.
        clip: u32,
    },
    /// The device's key is not the one that its credential names.
    #[error("the device key is not the one of the credential")]
    OtherKey,
    /// The key could not be shared.
    #[error("the mask key cannot be shared: {0}")]
    Share(#[from] ShamirError),
    /// The header could not be signed.
    #[error("the header cannot be signed: {0}")]
    Sign(#[from] EnvelopeError),
}

/// A submission, ready to send. It holds only what is sent: the mask key, the error and the shares
/// are gone when it exists, so that sending it again sends the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PreparedSubmission {
    /// The signed header.
    pub header: Signed<SubmissionHeader>,
    /// The sealed packages, in the order of the seated stewards.
    pub packages: Vec<Vec<u8>>,
    /// The masked vector's bytes.
    pub payload: Vec<u8>,
}

impl PreparedSubmission {
    /// Masks an update, shares and seals the mask key, and signs.
    ///
    /// `x` has one integer per coordinate and `||x||_2 <= clip`. Key and error are drawn anew in
    /// every call: the result, not the update, is what is kept for sending again.
    ///
    /// A seat whose key cannot be sealed to gets an empty package, so that no steward can keep
    /// devices from submitting; it will find the package unsealable.
    ///
    /// Memory: the payload, and what does not grow with the dimension.
    ///
    /// # Errors
    /// [`PrepareError`].
    pub fn new<R: CryptoRng>(
        round: &RoundOpen,
        credential: &CredentialChain,
        device: &SecretKey,
        x: &[i32],
        rng: &mut R,
    ) -> Result<Self, PrepareError> {
        Self::make(round, credential, device, x, rng, |_| ())
    }

    /// As [`Self::new`], and `each` is shown what is hidden, `v = x + e`, block by block of 2048
    /// coordinates, the check coordinates last: what a measurement compares the opened sum with. Only
    /// in simulations.
    ///
    /// # Errors
    /// [`PrepareError`].
    #[cfg(feature = "simulation")]
    pub fn observed<R: CryptoRng>(
        round: &RoundOpen,
        credential: &CredentialChain,
        device: &SecretKey,
        x: &[i32],
        rng: &mut R,
        each: impl FnMut(&[i32]),
    ) -> Result<Self, PrepareError> {
        Self::make(round, credential, device, x, rng, each)
    }

    fn make<R: CryptoRng>(
        round: &RoundOpen,
        credential: &CredentialChain,
        device: &SecretKey,
        x: &[i32],
        rng: &mut R,
        each: impl FnMut(&[i32]),
    ) -> Result<Self, PrepareError> {
        let task = round.task();
        check_norm(x, task.quantiser.clip)?;
        if credential.credential.peek().key != device.public() {
            return Err(PrepareError::OtherKey);
        }
        let key = MaskKey::sample(rng);
        let (payload, payload_digest) = mask(round, &key, x, &mut NoiseStream::new(rng), each)?;
        let shares = share_key(&key, round.threshold(), rng);
        drop(key);

        let mut expanded = Vec::with_capacity(shares.len());
        let mut plaintexts = Vec::with_capacity(shares.len());
        let mut commitments = Vec::with_capacity(shares.len());
        for (point, share) in (1u8..).zip(shares) {
            let mut blind = Zeroizing::new([0; 32]);
            rng.fill_bytes(&mut *blind);
            let elements = share.expand()?;
            commitments.push(key_commitment(point, &blind, &elements));
            plaintexts.push(PackagePlaintext {
                blind: *blind,
                share,
            });
            expanded.push((blind, elements));
        }
        let mut header = SubmissionHeader {
            round: round.round_id(),
            session: round.session(),
            credential: credential.clone(),
            payload: payload_digest,
            commitments,
            consistency: ConsistencyProof::default(),
            packages: Vec::new(),
        };
        header.consistency = ConsistencyProof::new(
            round.threshold(),
            &expanded,
            &header.consistency_context(),
            rng,
        );
        drop(expanded);
        let packages = seal_packages(round, &header.pre_header(), &plaintexts, rng);
        header.packages = packages.iter().map(|p| package_digest(p)).collect();
        publish(&mut header);
        Ok(Self {
            header: Signed::sign(&header, device)?,
            packages,
            payload,
        })
    }

    /// Everything before the payload.
    pub fn head(&self) -> ContainerHead {
        ContainerHead {
            header: self.header.bytes().to_vec(),
            packages: self.packages.clone(),
        }
    }

    /// Writes the container.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn write_to(&self, out: &mut impl Write) -> io::Result<()> {
        self.head().write_to(out)?;
        out.write_all(&self.payload)
    }

    /// The container's bytes, in the payload's own memory: a device never holds the payload twice.
    pub fn into_bytes(self) -> Vec<u8> {
        let head = self.head();
        let mut bytes = self.payload;
        let (before, after) = (head.encoded_len(), bytes.len());
        bytes.reserve_exact(before);
        bytes.resize(before + after, 0);
        bytes.copy_within(..after, before);
        head.write_to(&mut &mut bytes[..before])
            .expect("writing to memory does not fail");
        bytes
    }

    /// The container's bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let head = self.head();
        let mut bytes = Vec::with_capacity(head.encoded_len() + self.payload.len());
        self.write_to(&mut bytes)
            .expect("writing to memory does not fail");
        bytes
    }
}

/// Masks the update in one pass: a block's noise is drawn, the update and the mask are added, and the words
/// are written and absorbed into the digest before the next block is begun.
fn mask(
    round: &RoundOpen,
    key: &MaskKey,
    x: &[i32],
    noise: &mut NoiseStream,
    mut each: impl FnMut(&[i32]),
) -> Result<(Vec<u8>, Digest), PrepareError> {
    let dimension = round.dimension();
    let (expected, actual) = (dimension.coordinates(), x.len());
    if expected != actual {
        return Err(MaskError::Length { expected, actual }.into());
    }
    let sigma = Gaussian::new(round.task().sigma_error);
    let matrix = PublicMatrix::from_seed(&round.spec().matrix_seed);
    let mut masker = Masker::with_digest(&matrix, key, &dimension);
    let mut payload = Vec::with_capacity(dimension.payload_bytes());
    let mut v = SecretVec::zeroed(N);
    let mut words = [0; N];
    // The blocks of x, and then those that have only noise.
    let mut blocks = x.chunks(N);
    while masker.left() > 0 {
        sigma.fill(noise, &mut v);
        masker.block(blocks.next().unwrap_or_default(), &mut v, &mut words)?;
        each(&v);
        payload.extend(words.iter().flat_map(|word| word.to_le_bytes()));
    }
    let digest = masker.digest().expect("every block was masked");
    Ok((payload, digest))
}

fn check_norm(x: &[i32], clip: u32) -> Result<(), PrepareError> {
    let squares = x.iter().map(|v| u128::from(v.unsigned_abs()).pow(2));
    if declassify::decision(squares.sum::<u128>() > u128::from(clip).pow(2)) {
        return Err(PrepareError::TooLong { clip });
    }
    Ok(())
}

/// What is signed is sent: everything in the header is public before it is signed.
fn publish(header: &mut SubmissionHeader) {
    declassify::published(&mut header.payload.0);
    for digest in header.commitments.iter_mut().chain(&mut header.packages) {
        declassify::published(&mut digest.0);
    }
}

fn seal_packages<R: CryptoRng>(
    round: &RoundOpen,
    pre_header: &[u8],
    plaintexts: &[PackagePlaintext],
    rng: &mut R,
) -> Vec<Vec<u8>> {
    let info = seal_info(&round.session());
    let roster = round.roster().digest();
    round
        .seats()
        .iter()
        .map(|seat| {
            let aad = package_aad(pre_header, &seat.steward, &roster);
            let plaintext = plaintexts[usize::from(seat.point) - 1].to_bytes();
            seal::seal(&seat.key, &info.0, &aad.0, &plaintext, rng).unwrap_or_default()
        })
        .collect()
}
