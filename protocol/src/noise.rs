//! Noise that stewards contribute (`docs/protocol.md`, section 4.8).
//!
//! A noise vector is a weapon sqrt(d) times stronger than a device's update, and the norm proof bounds only its length. So
//! every steward submits several *candidates*, each expanded from a seed of its own. The beacon, which nobody knows before
//! the list is closed, picks the one that counts; the seeds of the others are revealed with the steward's report, and
//! everybody who judges recomputes what was submitted.

use dawn_crypto::digest::{Digest, hash, labels};
use dawn_crypto::gaussian::Gaussian;
use dawn_crypto::mask::{MaskKey, Masker, PublicMatrix};
use dawn_crypto::noise::NoiseStream;
use dawn_crypto::params::{Dimension, N, Sigma};
use dawn_crypto::secret::SecretVec;
use dawn_identity::{BrokenRule, DeviceId, StewardId};
use minicbor::decode::{Decoder, Error as DecodeError};
use minicbor::encode::{Encoder, Error as EncodeError, Write};
use minicbor::{Decode, Encode};
use rand_core::CryptoRng;
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::round_context::RoundContext;

/// Most candidates of a steward.
pub const MAX_CANDIDATES: u8 = 64;

/// What a task asks of its stewards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct StewardNoise {
    /// Deviation of a steward's noise; at least [`Sigma::ERROR_MIN`], because its mask needs an error as a device's does.
    #[n(0)]
    pub sigma: Sigma,
    /// Candidates of a steward: a power of two from 2 to 64. A wrong one passes with probability one in so many, times the
    /// number of beacons that an aggregator can choose among when it works with the steward.
    #[n(1)]
    pub candidates: u8,
}

impl StewardNoise {
    pub(crate) fn check(&self) -> Result<(), BrokenRule> {
        BrokenRule::unless(
            self.sigma >= Sigma::ERROR_MIN,
            "a steward's noise has a deviation of at least 4.5 sqrt 2",
        )?;
        BrokenRule::unless(
            (2..=MAX_CANDIDATES).contains(&self.candidates) && self.candidates.is_power_of_two(),
            "a steward has 2, 4, 8, 16, 32 or 64 candidates of noise",
        )
    }

    /// Probability, at most, that a steward which works with the aggregator gets one candidate of its choice into the sum:
    /// the aggregator chooses which `t` of `m` parts make the beacon.
    pub fn undetected(&self, m: u8, t: u8) -> f64 {
        let beacons = (0..t).fold(1.0, |product, i| {
            product * f64::from(m - i) / f64::from(i + 1)
        });
        (beacons / f64::from(self.candidates)).min(1.0)
    }
}

/// One of a steward's noise submissions. In a header it stands in the place of a credential: `[index, steward id]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(array)]
pub struct Candidate {
    /// Which of the steward's.
    #[n(0)]
    pub index: u8,
    /// The steward.
    #[n(1)]
    pub steward: StewardId,
}

impl Candidate {
    /// Under which identifier it is sorted and stored: `hash(NOISE_SUBMITTER, steward id, index)`. No device has it.
    pub fn submitter(&self) -> DeviceId {
        let fields: [&[u8]; 2] = [self.steward.as_bytes(), &[self.index]];
        DeviceId(hash(labels::NOISE_SUBMITTER, &fields))
    }
}

/// Which of `candidates` of a steward counts under a beacon: the first eight bytes of `hash(NOISE_CHOICE, beacon, steward
/// id)`, little-endian, modulo their number, which is a power of two.
pub fn choice(beacon: &Digest, steward: &StewardId, candidates: u8) -> u8 {
    let digest = hash(labels::NOISE_CHOICE, &[&beacon.0, steward.as_bytes()]);
    let (first, _) = digest.0.split_at(8);
    let number = first
        .iter()
        .rev()
        .fold(0u64, |n, byte| n << 8 | u64::from(*byte));
    // At most 64: fits.
    (number % u64::from(candidates.max(1))) as u8
}

/// What one candidate's mask key and noise follow from. Secret until the beacon has not picked it.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct NoiseSeed(pub(crate) [u8; 32]);

impl NoiseSeed {
    /// Bytes of a seed.
    pub const BYTES: usize = 32;

    /// A seed that was revealed.
    pub fn from_bytes(bytes: [u8; Self::BYTES]) -> Self {
        Self(bytes)
    }

    /// The mask key and the stream that the noise is sampled from.
    pub(crate) fn expand(&self) -> (MaskKey, NoiseStream) {
        let stream = |label| NoiseStream::from_seed(&hash(label, &[&self.0]).0);
        let key = MaskKey::sample(&mut stream(labels::NOISE_KEY));
        (key, stream(labels::NOISE_ERROR))
    }
}

impl std::fmt::Debug for NoiseSeed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("NoiseSeed(redacted)")
    }
}

/// The secret that all candidates of a steward in one round follow from, and the randomness of their shares, proofs and
/// packages: who keeps it makes the same bytes again. Never used for another round or session.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct NoiseSecret([u8; 32]);

impl NoiseSecret {
    /// Bytes of the secret.
    pub const BYTES: usize = 32;

    /// A fresh one.
    pub fn generate<R: CryptoRng>(rng: &mut R) -> Self {
        let mut secret = Self([0; Self::BYTES]);
        rng.fill_bytes(&mut secret.0);
        secret
    }

    /// One that was kept.
    pub fn from_bytes(bytes: [u8; Self::BYTES]) -> Self {
        Self(bytes)
    }

    /// The bytes, to keep.
    pub fn as_bytes(&self) -> &[u8; Self::BYTES] {
        &self.0
    }

    /// The seed of a candidate. That of others cannot be computed from it.
    pub fn seed(&self, index: u8) -> NoiseSeed {
        NoiseSeed(hash(labels::NOISE_SEED, &[&self.0, &[index]]).0)
    }

    /// Everything random about a candidate but its key and noise; never revealed.
    pub(crate) fn shares(&self, index: u8) -> NoiseStream {
        NoiseStream::from_seed(&hash(labels::NOISE_SHARES, &[&self.0, &[index]]).0)
    }

    /// The seeds of all candidates but the one that was chosen.
    pub fn reveal(&self, candidates: u8, chosen: u8) -> RevealedSeeds {
        let others = (0..candidates).filter(|index| *index != chosen);
        RevealedSeeds::new(&others.map(|index| self.seed(index)).collect::<Vec<_>>())
    }
}

impl std::fmt::Debug for NoiseSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("NoiseSecret(redacted)")
    }
}

/// The seeds of a steward's candidates that were not chosen, in increasing index. Public with its report.
#[derive(Clone, PartialEq, Eq)]
pub struct RevealedSeeds(Vec<u8>);

impl RevealedSeeds {
    /// Most bytes.
    pub const MAX_BYTES: usize = (MAX_CANDIDATES as usize - 1) * NoiseSeed::BYTES;

    /// Of seeds that nobody needs to hide any more.
    pub fn new(seeds: &[NoiseSeed]) -> Self {
        Self(seeds.iter().flat_map(|seed| seed.0).collect())
    }

    /// Their number.
    pub fn len(&self) -> usize {
        self.0.len() / NoiseSeed::BYTES
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The seeds.
    pub fn seeds(&self) -> impl Iterator<Item = NoiseSeed> + '_ {
        let (seeds, _) = self.0.as_chunks::<{ NoiseSeed::BYTES }>();
        seeds.iter().map(|seed| NoiseSeed(*seed))
    }

    pub(crate) fn check(&self) -> Result<(), BrokenRule> {
        BrokenRule::unless(
            !self.0.is_empty()
                && self.0.len() <= Self::MAX_BYTES
                && self.0.len().is_multiple_of(NoiseSeed::BYTES),
            "a report reveals between 1 and 63 whole seeds, or none",
        )
    }
}

impl std::fmt::Debug for RevealedSeeds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RevealedSeeds({})", self.len())
    }
}

impl<C> Encode<C> for RevealedSeeds {
    fn encode<W: Write>(&self, e: &mut Encoder<W>, _: &mut C) -> Result<(), EncodeError<W::Error>> {
        e.bytes(&self.0)?.ok()
    }
}

impl<'b, C> Decode<'b, C> for RevealedSeeds {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, DecodeError> {
        Ok(Self(d.bytes()?.to_vec()))
    }
}

/// The digest of the payload that a candidate of this seed has in a round: `A k + e`, all padded coordinates.
pub fn candidate_payload(context: &RoundContext, sigma: Sigma, seed: &NoiseSeed) -> Digest {
    let matrix_seed = &context.spec().matrix_seed;
    masked_noise(matrix_seed, &context.dimension(), sigma, seed)
}

/// The same for the round's numbers.
pub fn masked_noise(
    matrix_seed: &[u8; 32],
    dimension: &Dimension,
    sigma: Sigma,
    seed: &NoiseSeed,
) -> Digest {
    let (key, mut noise) = seed.expand();
    let matrix = PublicMatrix::from_seed(matrix_seed);
    let mut masker = Masker::with_digest(&matrix, &key, dimension);
    let sigma = Gaussian::new(sigma);
    let mut error = SecretVec::zeroed(N);
    let mut words = [0; N];
    for _ in 0..dimension.blocks() {
        sigma.fill(&mut noise, &mut error);
        masker
            .block(&[], &mut error, &mut words)
            .expect("a block of nothing but noise can be masked");
    }
    masker.digest().expect("every block was masked")
}
