//! Masking in one pass (`docs/protocol.md`, section 4.2): a block is expanded, multiplied, transformed back, added to
//! the noise and the update, and absorbed into the payload's digest while it is in the processor's first
//! cache. What is kept besides the output is one block, whatever the dimension.

use super::{MaskError, MaskKey, PayloadHasher, PublicMatrix, expect_length, write_words};
use crate::backend;
use crate::declassify;
use crate::digest::Digest;
use crate::gaussian::Gaussian;
use crate::params::{Dimension, MAX_COORDINATE, N};
use crate::ring::Multiplier;
use crate::secret::SecretVec;

/// The coordinates of an update that are in a block: N of them, fewer in its last, none in what follows.
pub(super) fn block_of(x: &[i32], block: usize) -> &[i32] {
    let start = (block * N).min(x.len());
    &x[start..(start + N).min(x.len())]
}

/// A block of a vector of whole blocks.
pub(super) fn block_mut(words: &mut [u32], block: usize) -> &mut [u32; N] {
    let block = &mut words[block * N..(block + 1) * N];
    block.try_into().expect("N words")
}

/// Masks one update, block after block, with one key.
#[derive(Debug)]
pub struct Masker<'a> {
    matrix: &'a PublicMatrix,
    key: Multiplier,
    blocks: usize,
    next: usize,
    digest: PayloadHasher,
    absorbs: bool,
}

impl<'a> Masker<'a> {
    /// Prepares to mask an update of dimension `dim`; its blocks are not hashed.
    pub fn new(matrix: &'a PublicMatrix, key: &MaskKey, dim: &Dimension) -> Masker<'a> {
        Masker {
            matrix,
            key: key.to_ring().transform().into_multiplier(),
            blocks: dim.blocks(),
            next: 0,
            digest: PayloadHasher::new(),
            absorbs: false,
        }
    }

    /// As [`Masker::new`], and the payload's digest is computed on the way.
    pub fn with_digest(matrix: &'a PublicMatrix, key: &MaskKey, dim: &Dimension) -> Masker<'a> {
        Masker {
            absorbs: true,
            ..Masker::new(matrix, key, dim)
        }
    }

    /// How many blocks are still to be masked.
    pub fn left(&self) -> usize {
        self.blocks - self.next
    }

    /// Masks the next block. `x` has at most N coordinates of the update; `v` holds the block's error
    /// and becomes `x + e`; `out` becomes the block of the payload, whatever it held.
    ///
    /// # Errors
    /// [`MaskError::CoordinateTooLarge`], [`MaskError::Length`] for an `x` that is longer than a block, a `v` that
    /// is not N long, or a block too many.
    pub fn block(&mut self, x: &[i32], v: &mut [i32], out: &mut [u32; N]) -> Result<(), MaskError> {
        expect_length(N, v.len())?;
        if x.len() > N || self.left() == 0 {
            return Err(MaskError::Length {
                expected: N.min(self.left() * N),
                actual: x.len(),
            });
        }
        // The one place that branches on the update's values: only an update that is not sent is told apart.
        let too_large = |c: &i32| c.unsigned_abs() > MAX_COORDINATE as u32;
        if declassify::decision(x.iter().fold(false, |any, c| any | too_large(c))) {
            let within = x.iter().position(too_large).unwrap_or_default();
            return Err(MaskError::CoordinateTooLarge {
                index: self.next * N + within,
            });
        }
        for (v, x) in v.iter_mut().zip(x) {
            // |x| <= 2^30 and the widest error stays below 2^29: no wrap for what the samplers draw.
            *v = v.wrapping_add(*x);
        }
        self.matrix.times(self.next, &self.key, out);
        backend::active().add_signed(out, v);
        if self.absorbs {
            let mut bytes = [0u8; 4 * N];
            write_words(out, &mut bytes);
            self.digest.update(&bytes);
        }
        self.next += 1;
        Ok(())
    }

    /// The digest of the payload, when it was asked for and all blocks are masked.
    pub fn digest(&self) -> Option<Digest> {
        (self.absorbs && self.left() == 0).then(|| self.digest.finalize())
    }
}

/// A masked update.
#[derive(Debug)]
pub struct Masked {
    /// The payload, canonical, `dim.padded()` long.
    pub payload: Vec<u32>,
    /// Its digest ([`super::payload_digest`]).
    pub digest: Digest,
}

/// Masks an update with fresh noise, in one pass. `each` is shown `v = x + e`, a block at a time: the only
/// trace of the noise that is kept is the one that it keeps.
///
/// The noise comes from `rng` as [`super::sample_error`] draws it: use a [`crate::noise::NoiseStream`].
///
/// # Errors
/// [`MaskError::Length`] or [`MaskError::CoordinateTooLarge`].
pub fn mask_once<R: rand_core::CryptoRng>(
    matrix: &PublicMatrix,
    key: &MaskKey,
    dim: &Dimension,
    x: &[i32],
    sigma: &Gaussian,
    rng: &mut R,
    mut each: impl FnMut(&[i32]),
) -> Result<Masked, MaskError> {
    expect_length(dim.coordinates(), x.len())?;
    let mut masker = Masker::with_digest(matrix, key, dim);
    let mut payload = vec![0; dim.padded()];
    let mut v = SecretVec::zeroed(N);
    for block in 0..dim.blocks() {
        sigma.fill(rng, &mut v);
        let out = block_mut(&mut payload, block);
        masker.block(block_of(x, block), &mut v, out)?;
        each(&v);
    }
    let digest = masker.digest().expect("every block was masked");
    Ok(Masked { payload, digest })
}
