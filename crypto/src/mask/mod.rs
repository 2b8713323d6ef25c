//! Masking and unmasking (`docs/protocol.md`, sections 4.2 and 4.7): `c = A k + v mod q`, `v = x + e`, and
//! `sum v = center(sum c - A sum k mod q)`.

use crate::backend;
use crate::digest::{Digest, Hasher, labels};
use crate::expand;
use crate::gaussian::Gaussian;
use crate::params::{Dimension, MAX_COORDINATE, N, Sigma};
use crate::ring::{Multiplier, RingElement, Transformed};
use crate::secret::SecretVec;
use core::fmt;
use once::{block_mut, block_of};
use std::sync::OnceLock;
use subtle::{Choice, ConstantTimeEq};
use zeroize::{Zeroize, ZeroizeOnDrop};

mod once;

pub use once::{Masked, Masker, mask_once};

/// A device's one-time mask key: `k`, discrete Gaussian of deviation 4.5 in `Z^n`. Never used twice, also
/// not when a failed round is tried again.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct MaskKey(Box<[i32; N]>);

impl MaskKey {
    /// A fresh key.
    pub fn sample<R: rand_core::CryptoRng>(rng: &mut R) -> MaskKey {
        static SAMPLER: OnceLock<Gaussian> = OnceLock::new();
        let mut key = MaskKey(Box::new([0; N]));
        SAMPLER
            .get_or_init(|| Gaussian::new(Sigma::KEY))
            .fill(rng, &mut key.0[..]);
        key
    }

    /// A key that a test vector fixes.
    #[cfg(test)]
    pub(crate) fn from_coefficients(coefficients: &[i32]) -> MaskKey {
        let mut key = MaskKey(Box::new([0; N]));
        key.0.copy_from_slice(coefficients);
        key
    }

    /// The coefficients modulo q, for sharing.
    pub(crate) fn to_ring(&self) -> RingElement {
        RingElement::from_signed(&self.0)
    }
}

impl ConstantTimeEq for MaskKey {
    fn ct_eq(&self, other: &Self) -> Choice {
        self.0[..].ct_eq(&other.0[..])
    }
}

impl fmt::Debug for MaskKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MaskKey(redacted)")
    }
}

/// The public matrix A of a round: one uniform ring element a block, expanded from the seed when needed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PublicMatrix {
    seed: [u8; 32],
}

impl PublicMatrix {
    /// The matrix of a RoundSpec's seed.
    pub fn from_seed(seed: &[u8; 32]) -> PublicMatrix {
        PublicMatrix { seed: *seed }
    }

    /// Block `block`, in the transform domain ([`expand::matrix_block`]).
    pub fn block(&self, block: usize) -> Transformed {
        Transformed::from_values(expand::matrix_block(&self.seed, block as u64))
    }

    /// [`PublicMatrix::block`]'s values, in place.
    pub(crate) fn block_into(&self, block: usize, values: &mut [u32; N]) {
        expand::matrix_block_into(&self.seed, block as u64, values);
    }

    /// `a_block * key` as coefficients.
    fn times(&self, block: usize, key: &Multiplier, product: &mut [u32; N]) {
        self.block_into(block, product);
        key.times(product);
    }
}

/// A fresh error (and share of the DP noise): `dim.padded()` samples.
pub fn sample_error<R: rand_core::CryptoRng>(
    sigma: &Gaussian,
    dim: &Dimension,
    rng: &mut R,
) -> SecretVec<i32> {
    let mut error = SecretVec::zeroed(dim.padded());
    // Block by block, as the one-pass functions draw it: the same generator gives the same error.
    for block in error.chunks_exact_mut(N) {
        sigma.fill(rng, block);
    }
    error
}

/// Why a vector cannot be masked, or a payload not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MaskError {
    /// A vector has another length than the task's.
    #[error("a vector of {expected} values was expected, not {actual}")]
    Length {
        /// What the dimension asks for.
        expected: usize,
        /// What was given.
        actual: usize,
    },
    /// An update's coordinate is too large to be masked without wrapping.
    #[error("coordinate {index} is larger than {MAX_COORDINATE}")]
    CoordinateTooLarge {
        /// Which one.
        index: usize,
    },
    /// A payload's length is not a multiple of 4 bytes.
    #[error("a payload is a whole number of 4-byte words, not {bytes} bytes")]
    NotWords {
        /// Its length.
        bytes: usize,
    },
    /// A payload has a word that is not canonical.
    #[error("word {index} of the payload is not below q")]
    NotCanonical {
        /// Which one.
        index: usize,
    },
}

fn expect_length(expected: usize, actual: usize) -> Result<(), MaskError> {
    if expected == actual {
        Ok(())
    } else {
        Err(MaskError::Length { expected, actual })
    }
}

/// Masks an update: `x` has `d` coordinates and is padded with zeros, `e` has `dim.padded()`; the result is
/// canonical and `dim.padded()` long.
///
/// # Errors
/// [`MaskError::Length`] or [`MaskError::CoordinateTooLarge`].
pub fn mask(
    matrix: &PublicMatrix,
    key: &MaskKey,
    dim: &Dimension,
    x: &[i32],
    e: &[i32],
) -> Result<Vec<u32>, MaskError> {
    expect_length(dim.coordinates(), x.len())?;
    expect_length(dim.padded(), e.len())?;
    let mut masker = Masker::new(matrix, key, dim);
    let mut masked = vec![0; dim.padded()];
    let mut v = SecretVec::zeroed(N);
    for (block, errors) in e.chunks_exact(N).enumerate() {
        v.copy_from_slice(errors);
        masker.block(block_of(x, block), &mut v, block_mut(&mut masked, block))?;
    }
    Ok(masked)
}

/// `sum += c`, coordinate by coordinate.
///
/// # Panics
/// When the lengths differ: both are lengths of one round, checked when a payload is read.
pub fn add_assign(sum: &mut [u32], c: &[u32]) {
    assert_eq!(sum.len(), c.len(), "payloads of one round have one length");
    backend::active().add_assign(sum, c);
}

/// `sum -= c`, to take a rejected submission out again.
///
/// # Panics
/// As [`add_assign`].
pub fn sub_assign(sum: &mut [u32], c: &[u32]) {
    assert_eq!(sum.len(), c.len(), "payloads of one round have one length");
    backend::active().sub_assign(sum, c);
}

/// The sum of the accepted devices' mask keys modulo q: what an opening reveals. Public once the round is
/// opened.
#[derive(Clone, PartialEq, Eq)]
pub struct KeySum(pub(crate) Box<[u32; N]>);

impl KeySum {
    /// A sum from canonical coefficients.
    pub fn from_coefficients(coefficients: [u32; N]) -> KeySum {
        debug_assert!(coefficients.iter().all(|&c| c < crate::params::Q));
        KeySum(Box::new(coefficients))
    }

    /// The coefficients, canonical.
    pub fn coefficients(&self) -> &[u32; N] {
        &self.0
    }
}

impl fmt::Debug for KeySum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeySum(..)")
    }
}

/// Unmasks sums with one key sum; transforms the key once for any number of blocks.
#[derive(Debug)]
pub struct Unmasker<'a> {
    matrix: &'a PublicMatrix,
    key: Multiplier,
}

impl<'a> Unmasker<'a> {
    /// Prepares to unmask with `key`.
    pub fn new(matrix: &'a PublicMatrix, key: &KeySum) -> Unmasker<'a> {
        let key = RingElement::from_coefficients(*key.0).transform();
        Unmasker {
            matrix,
            key: key.into_multiplier(),
        }
    }

    /// `center(c - a_block * key)` for one block of a sum, which has N canonical words.
    ///
    /// # Errors
    /// [`MaskError::Length`].
    pub fn block(&self, block: usize, sum_c: &[u32]) -> Result<Vec<i32>, MaskError> {
        let mut out = vec![0; N];
        self.block_into(block, sum_c, &mut out)?;
        Ok(out)
    }

    /// [`Unmasker::block`] in place of a vector of its own.
    ///
    /// # Errors
    /// [`MaskError::Length`], also when `out` does not have N places.
    pub fn block_into(
        &self,
        block: usize,
        sum_c: &[u32],
        out: &mut [i32],
    ) -> Result<(), MaskError> {
        expect_length(N, sum_c.len())?;
        expect_length(N, out.len())?;
        let mut product = [0; N];
        self.matrix.times(block, &self.key, &mut product);
        backend::active().sub_center(sum_c, &product, out);
        Ok(())
    }
}

/// The sum of the vectors: `center(sum_c - A key)`, `dim.padded()` long. The result means something only
/// if its check coordinates are small (`docs/protocol.md`, section 4.7); the caller looks.
///
/// # Errors
/// [`MaskError::Length`] unless `sum_c` is `dim.padded()` long.
pub fn unmask(
    matrix: &PublicMatrix,
    dim: &Dimension,
    sum_c: &[u32],
    key: &KeySum,
) -> Result<Vec<i32>, MaskError> {
    expect_length(dim.padded(), sum_c.len())?;
    let unmasker = Unmasker::new(matrix, key);
    let mut sum = vec![0; dim.padded()];
    let blocks = sum_c.chunks_exact(N).zip(sum.chunks_exact_mut(N));
    for (block, (words, sum)) in blocks.enumerate() {
        unmasker.block_into(block, words, sum)?;
    }
    Ok(sum)
}

/// One block of [`unmask`]: to try a set of openings on check coordinates alone.
///
/// # Errors
/// [`MaskError::Length`] unless the block has N words.
pub fn unmask_block(
    matrix: &PublicMatrix,
    block: usize,
    sum_c_block: &[u32],
    key: &KeySum,
) -> Result<Vec<i32>, MaskError> {
    Unmasker::new(matrix, key).block(block, sum_c_block)
}

/// A payload as bytes: little-endian words.
pub fn payload_bytes(c: &[u32]) -> Vec<u8> {
    let mut bytes = vec![0; 4 * c.len()];
    write_words(c, &mut bytes);
    bytes
}

fn write_words(words: &[u32], bytes: &mut [u8]) {
    for (bytes, word) in bytes.chunks_exact_mut(4).zip(words) {
        bytes.copy_from_slice(&word.to_le_bytes());
    }
}

/// The words of a payload's bytes.
///
/// # Errors
/// [`MaskError::NotWords`], [`MaskError::NotCanonical`].
pub fn parse_payload(bytes: &[u8]) -> Result<Vec<u32>, MaskError> {
    if !bytes.len().is_multiple_of(4) {
        return Err(MaskError::NotWords { bytes: bytes.len() });
    }
    let words: Vec<u32> = bytes
        .chunks_exact(4)
        .map(|le| u32::from_le_bytes([le[0], le[1], le[2], le[3]]))
        .collect();
    let index = backend::active().canonical_prefix(&words);
    if index == words.len() {
        Ok(words)
    } else {
        Err(MaskError::NotCanonical { index })
    }
}

/// The digest of a payload, `H(c)` of the submission's header, over its little-endian bytes.
pub fn payload_digest(c: &[u32]) -> Digest {
    let mut hasher = PayloadHasher::new();
    // Pieces that are long enough for BLAKE3 to use all its lanes.
    let mut buffer = vec![0u8; 1 << 16];
    for words in c.chunks(1 << 14) {
        let bytes = &mut buffer[..4 * words.len()];
        write_words(words, bytes);
        hasher.update(bytes);
    }
    hasher.finalize()
}

/// [`payload_digest`] of bytes that arrive in pieces.
#[derive(Debug)]
pub struct PayloadHasher(Hasher);

impl Default for PayloadHasher {
    fn default() -> Self {
        PayloadHasher::new()
    }
}

impl PayloadHasher {
    /// Starts.
    pub fn new() -> PayloadHasher {
        PayloadHasher(Hasher::new(labels::PAYLOAD))
    }

    /// Adds the next bytes of the payload, cut anywhere.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest.
    pub fn finalize(&self) -> Digest {
        self.0.finalize()
    }
}

#[cfg(test)]
mod tests;
