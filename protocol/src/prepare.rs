//! How a device makes its one message of a round (`docs/protocol.md`, sections 4.2 to 4.4).

#[cfg(feature = "simulation")]
mod tampering;

use std::io::{self, Write};

use dawn_crypto::declassify;
use dawn_crypto::digest::Digest;
use dawn_crypto::gaussian::Gaussian;
use dawn_crypto::mask::{MaskError, MaskKey, Masker, PublicMatrix};
use dawn_crypto::noise::NoiseStream;
use dawn_crypto::norm::{FunctionalRow, Hidden, NormError, NormParams, NormProof};
use dawn_crypto::params::N;
use dawn_crypto::secret::SecretVec;
use dawn_crypto::shamir::{ConsistencyProof, ShamirError};
use dawn_crypto::vrf::VrfProof;
use dawn_identity::{CredentialChain, EnvelopeError, SecretKey, Signed};
use rand_core::CryptoRng;

use crate::author::Author;
use crate::container::ContainerHead;
use crate::noise::{Candidate, NoiseSecret, StewardNoise};
use crate::phase::RoundOpen;
use crate::selection::NotSelected;
use crate::shares::{Shares, publish};
use crate::submission::SubmissionHeader;

#[cfg(feature = "simulation")]
pub use tampering::Tampering;

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
    /// The device has no part in this round.
    #[error(transparent)]
    NotSelected(#[from] NotSelected),
    /// The task asks for no noise of stewards.
    #[error("the task asks for no noise of stewards")]
    NoNoise,
    /// The key could not be shared.
    #[error("the mask key cannot be shared: {0}")]
    Share(#[from] ShamirError),
    /// The norm of the masked vector cannot be proven: with an update within the clip bound this happens
    /// with probability below `2^-64`. The device does not submit in this round; noise is never drawn
    /// again to pass.
    #[error("the norm of the masked vector cannot be proven: {0}")]
    Norm(#[from] NormError),
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
    /// Masks an update, proves that what is masked is not too long, shares and seals the mask key and the
    /// proof, and signs.
    ///
    /// `x` has one integer per coordinate and `||x||_2 <= clip`. Key and error are drawn anew in
    /// every call: the result, not the update, is what is kept for sending again.
    ///
    /// An update that the task's functional does not allow is changed so that it does (section 4.5): that a device
    /// fails would be a bit about its data. Nobody can tell, and neither can the caller.
    ///
    /// A seat whose key cannot be sealed to gets an empty package, so that no steward can keep
    /// devices from submitting; it will find the package unsealable.
    ///
    /// Memory: the payload, as much for what is masked, and what does not grow with the dimension.
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
        let (expected, actual) = (round.dimension().coordinates(), x.len());
        if expected != actual {
            return Err(MaskError::Length { expected, actual }.into());
        }
        check_norm(x, task.quantiser.clip)?;
        if credential.credential.peek().key != device.public() {
            return Err(PrepareError::OtherKey);
        }
        let selection = round.select(credential, device)?;
        let key = MaskKey::sample(rng);
        let row = round.functional_row();
        let allowed = allowed(round, row.as_deref(), x)?;
        let x = allowed.as_deref().unwrap_or(x);
        let masked = mask(round, &key, x, &mut NoiseStream::new(rng), each)?;
        let prove = |shares: &Shares, context: &[u8], v: &[i32], rng: &mut R| {
            let params = round.norm_params();
            let row = row.as_deref();
            let hidden = Hidden { v, row };
            shares.prove(params, round.threshold(), context, hidden, rng)
        };
        let author = (credential.into(), selection);
        Self::of(round, author, device, &key, masked, prove, rng)
    }

    /// A candidate of a steward's noise (section 4.8): nothing but noise is masked, and everything follows from the secret,
    /// so that the same candidate of the same session is the same bytes.
    ///
    /// # Errors
    /// [`PrepareError`].
    pub fn noise(
        round: &RoundOpen,
        steward: &SecretKey,
        candidate: Candidate,
        secret: &NoiseSecret,
    ) -> Result<Self, PrepareError> {
        let (noise, params) = noise_of(round).ok_or(PrepareError::NoNoise)?;
        let (key, mut stream) = secret.seed(candidate.index).expand();
        let sigma = Gaussian::new(noise.sigma);
        let masked = mask_blocks(round, &key, &[], |_, out| sigma.fill(&mut stream, out))?;
        let prove = |shares: &Shares, context: &[u8], v: &[i32], rng: &mut NoiseStream| {
            let hidden = Hidden { v, row: None };
            shares.prove(params, round.threshold(), context, hidden, rng)
        };
        let mut rng = secret.shares(candidate.index);
        Self::of(
            round,
            (candidate.into(), None),
            steward,
            &key,
            masked,
            prove,
            &mut rng,
        )
    }

    fn of<R: CryptoRng>(
        round: &RoundOpen,
        (author, selection): (Author, Option<VrfProof>),
        signer: &SecretKey,
        key: &MaskKey,
        masked: Masked,
        prove: impl FnOnce(&Shares, &[u8], &[i32], &mut R) -> Result<NormProof, NormError>,
        rng: &mut R,
    ) -> Result<Self, PrepareError> {
        let shares = Shares::new(key, round.threshold(), rng)?;
        let committed = shares.commitments();
        let (mut header, packages) =
            assemble(round, author, shares, committed, &masked, prove, rng)?;
        header.selection = selection;
        Ok(Self {
            header: Signed::sign(&header, signer)?,
            packages,
            payload: masked.payload,
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

/// Everything is committed before the challenge that depends on it (section 4.3): first the payload and
/// the key's shares, from which the projection follows, then the digits, then the proofs. Gives the header and the
/// packages.
fn assemble<R: CryptoRng>(
    round: &RoundOpen,
    author: Author,
    shares: Shares,
    commitments: Vec<Digest>,
    masked: &Masked,
    prove: impl FnOnce(&Shares, &[u8], &[i32], &mut R) -> Result<NormProof, NormError>,
    rng: &mut R,
) -> Result<(SubmissionHeader, Vec<Vec<u8>>), PrepareError> {
    let mut header = SubmissionHeader {
        round: round.round_id(),
        session: round.session(),
        credential: author,
        payload: masked.digest,
        commitments,
        digit_commitments: Vec::new(),
        proof_commitments: Vec::new(),
        consistency: ConsistencyProof::default(),
        packages: Vec::new(),
        selection: None,
    };
    publish(&mut header);
    let proof = prove(&shares, &header.norm_context(), &masked.hidden, rng)?;
    let packages = shares.seal(round, &mut header, proof, rng);
    Ok((header, packages))
}

/// What the task asks of its stewards, with the parameters of the proofs.
fn noise_of(round: &RoundOpen) -> Option<(StewardNoise, &NormParams)> {
    let params = round.proof_params().noise.as_ref()?;
    Some((round.task().options.noise?, params))
}

/// A masked vector.
struct Masked {
    payload: Vec<u8>,
    digest: Digest,
    /// What is masked, `v = x + e`, all padded coordinates. Its projection depends on the digest of the
    /// whole payload, so that it has to be kept.
    hidden: SecretVec<i32>,
}

/// Masks the update in one pass: a block's noise is drawn, the update and the mask are added, and the words
/// are written and absorbed into the digest before the next block is begun.
fn mask(
    round: &RoundOpen,
    key: &MaskKey,
    x: &[i32],
    noise: &mut NoiseStream,
    mut each: impl FnMut(&[i32]),
) -> Result<Masked, PrepareError> {
    let sigma = Gaussian::new(round.task().sigma_error);
    let masked = mask_blocks(round, key, x, |_, out| sigma.fill(noise, out))?;
    masked.hidden.chunks_exact(N).for_each(&mut each);
    Ok(masked)
}

/// Masks `x` and what `fill` puts into every block.
fn mask_blocks(
    round: &RoundOpen,
    key: &MaskKey,
    x: &[i32],
    mut fill: impl FnMut(usize, &mut [i32]),
) -> Result<Masked, PrepareError> {
    let dimension = round.dimension();
    let matrix = PublicMatrix::from_seed(&round.spec().matrix_seed);
    let mut masker = Masker::with_digest(&matrix, key, &dimension);
    let mut payload = Vec::with_capacity(dimension.payload_bytes());
    let mut hidden = SecretVec::zeroed(dimension.padded());
    let mut words = [0; N];
    // The blocks of x, and then those that have only noise.
    let mut blocks = x.chunks(N);
    for (block, v) in hidden.chunks_exact_mut(N).enumerate() {
        fill(block, v);
        masker.block(blocks.next().unwrap_or_default(), v, &mut words)?;
        payload.extend(words.iter().flat_map(|word| word.to_le_bytes()));
    }
    let digest = masker.digest().expect("every block was masked");
    Ok(Masked {
        payload,
        digest,
        hidden,
    })
}

/// What is submitted of the update where the task has a functional.
fn allowed(
    round: &RoundOpen,
    row: Option<&FunctionalRow>,
    x: &[i32],
) -> Result<Option<SecretVec<i32>>, PrepareError> {
    let task = round.task();
    let params = round.norm_params().functional();
    let (Some(functional), Some(params)) = (task.options.functional, params) else {
        return Ok(None);
    };
    let row = row.ok_or(NormError::Row)?;
    let clip = task.update_quantiser().clip;
    // The row is zero on evaluations, and what it takes from an update is not theirs.
    let (update, evaluation) = x.split_at(x.len() - task.evaluation_coordinates());
    let update = functional.allowed(params, row, update, clip);
    let mut allowed = SecretVec::zeroed(x.len());
    let (first, last) = allowed.split_at_mut(update.len());
    first.copy_from_slice(&update);
    last.copy_from_slice(evaluation);
    Ok(Some(allowed))
}

fn check_norm(x: &[i32], clip: u32) -> Result<(), PrepareError> {
    let squares = x.iter().map(|v| u128::from(v.unsigned_abs()).pow(2));
    if declassify::decision(squares.sum::<u128>() > u128::from(clip).pow(2)) {
        return Err(PrepareError::TooLong { clip });
    }
    Ok(())
}
