//! Seeds to uniform field elements, by rejection: exactly uniform, no modular bias
//! (`docs/protocol.md`, sections 3 and 4.2).
//!
//! Words are read little-endian from the stream in order; a word of `q` or more (one in 4096) is skipped.
//! Which words are skipped says nothing about those that are kept.

use crate::backend::{self, Backend};
use crate::digest::{Hasher, Xof, labels};
use crate::keystream::Keystream;
use crate::params::N;
use crate::secret::wipe;

/// Words drawn at once.
const CHUNK: usize = 2048;

/// Fills `out` with uniform elements from a byte stream.
fn fill_uniform(out: &mut [u32], mut next: impl FnMut(&mut [u8])) {
    let mut buffer = [0u8; 4 * CHUNK];
    let backend = backend::active();
    let mut filled = 0;
    while filled < out.len() {
        // Never more words than are missing.
        let missing = (out.len() - filled).min(CHUNK);
        let bytes = &mut buffer[..4 * missing];
        next(bytes);
        let words = &mut out[filled..filled + missing];
        for (word, le) in words.iter_mut().zip(bytes.chunks_exact(4)) {
            *word = u32::from_le_bytes([le[0], le[1], le[2], le[3]]);
        }
        filled += keep_canonical(backend, words);
    }
    wipe(&mut buffer);
}

/// Moves the words below q to the front, in order; returns how many there are.
pub(crate) fn keep_canonical(backend: &dyn Backend, words: &mut [u32]) -> usize {
    let mut kept = backend.canonical_prefix(words);
    let mut read = kept;
    while read < words.len() {
        read += 1; // words[read] is one to skip
        let run = backend.canonical_prefix(&words[read..]);
        words.copy_within(read..read + run, kept);
        kept += run;
        read += run;
    }
    kept
}

/// Block `block` of the public matrix of `seed`: a uniform ring element, already in the transform domain.
///
/// The key is the first 16 bytes of `BLAKE3(MATRIX_BLOCK, seed, LE64(block))` (fields framed); the stream
/// is AES-128 in counter mode, block `i` of it the encryption of `LE64(i) || 0^8`.
pub fn matrix_block(seed: &[u8; 32], block: u64) -> [u32; N] {
    let mut out = [0; N];
    matrix_block_into(seed, block, &mut out);
    out
}

/// [`matrix_block`] in place.
pub(crate) fn matrix_block_into(seed: &[u8; 32], block: u64, out: &mut [u32; N]) {
    let mut hasher = Hasher::new(labels::MATRIX_BLOCK);
    hasher.field(seed).field(&block.to_le_bytes());
    let mut key = [0u8; 16];
    hasher.xof().fill(&mut key);
    let mut stream = Keystream::aes128(&key);
    fill_uniform(out, |chunk| stream.fill(chunk));
}

/// The key share that a 32-byte seed stands for: uniform elements from `BLAKE3-XOF(SHARE_SEED, seed)`.
/// BLAKE3 and not AES-128, so that a share keeps its seed's 256 bits.
pub(crate) fn share_elements(seed: &[u8; 32], out: &mut [u32]) {
    seeded_elements(labels::SHARE_SEED, seed, out);
}

/// A share that a seed stands for, under the label of what is shared.
pub(crate) fn seeded_elements(label: &'static str, seed: &[u8; 32], out: &mut [u32]) {
    let mut hasher = Hasher::new(label);
    hasher.field(seed);
    stream_elements(&mut hasher.xof(), out);
}

/// Uniform elements from a stream.
pub(crate) fn stream_elements(stream: &mut Xof, out: &mut [u32]) {
    fill_uniform(out, |chunk| stream.fill(chunk));
}

/// Uniform elements from a generator.
pub fn uniform<R: rand_core::CryptoRng>(rng: &mut R, out: &mut [u32]) {
    fill_uniform(out, |chunk| rng.fill_bytes(chunk));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::params::Q;
    use aes::Aes128;
    use aes::cipher::{BlockCipherEncrypt, KeyInit};

    /// The layout that the document states, written once more with the bare cipher.
    #[test]
    fn matrix_layout_is_the_documented_one() {
        let seed = [7u8; 32];
        let mut input = Vec::new();
        input.extend_from_slice(&32u64.to_le_bytes());
        input.extend_from_slice(&seed);
        input.extend_from_slice(&8u64.to_le_bytes());
        input.extend_from_slice(&5u64.to_le_bytes());
        let derived = blake3::derive_key(labels::MATRIX_BLOCK, &input);
        let key: [u8; 16] = derived[..16].try_into().expect("16 bytes");
        let cipher = Aes128::new(&key.into());
        let mut words = Vec::new();
        for i in 0..1024u64 {
            let mut block = [0u8; 16];
            block[..8].copy_from_slice(&i.to_le_bytes());
            let mut block = block.into();
            cipher.encrypt_block(&mut block);
            for word in block.chunks_exact(4) {
                let word = u32::from_le_bytes(word.try_into().expect("4 bytes"));
                if word < Q {
                    words.push(word);
                }
            }
        }
        assert_eq!(matrix_block(&seed, 5)[..], words[..N]);
    }

    #[test]
    fn blocks_and_seeds_differ() {
        let a = matrix_block(&[0; 32], 0);
        assert_ne!(a, matrix_block(&[0; 32], 1));
        assert_ne!(a, matrix_block(&[1; 32], 0));
        assert_eq!(a, matrix_block(&[0; 32], 0));
    }

    #[test]
    fn words_of_q_or_more_are_skipped_in_order() {
        let stream = [Q, 1, u32::MAX, Q - 1, Q + 1, 2, 3, 4, 5, 6, 7, 8];
        let mut at = 0;
        let mut out = [0; 4];
        fill_uniform(&mut out, |chunk| {
            for word in chunk.chunks_exact_mut(4) {
                word.copy_from_slice(&stream[at].to_le_bytes());
                at += 1;
            }
        });
        assert_eq!(out, [1, Q - 1, 2, 3]);
    }

    #[test]
    fn expansion_is_uniform() {
        // 64 bins over [0, q): chi-square with 63 degrees of freedom, seed fixed.
        let mut counts = [0f64; 64];
        let blocks = 64;
        for block in 0..blocks {
            for x in matrix_block(&[9; 32], block) {
                assert!(x < Q);
                counts[(u64::from(x) * 64 / u64::from(Q)) as usize] += 1.0;
            }
        }
        let expected = (blocks as usize * N) as f64 / 64.0;
        let chi2: f64 = counts
            .iter()
            .map(|c| (c - expected).powi(2) / expected)
            .sum();
        assert!(chi2 < 63.0 + 5.0 * (2.0 * 63.0f64).sqrt(), "{chi2}");
    }
}
