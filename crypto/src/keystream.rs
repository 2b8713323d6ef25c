//! AES in counter mode as a source of bytes: block `i` of a stream is the encryption of `LE64(i) || 0^8`
//! (`docs/crypto-table.md`, sections 3 to 5).
//!
//! Where the processor has AES instructions the backend uses them over many blocks at once; elsewhere, and on the portable
//! backend, the library `aes` computes the same bytes in constant time.

use crate::backend;
use aes::{Aes128, Aes256};
use core::fmt;
use ctr::Ctr64LE;
use ctr::cipher::{KeyIvInit, StreamCipher};
use zeroize::Zeroize;

/// Bytes of a block.
pub(crate) const BLOCK: usize = 16;

/// Most round keys: those of AES-256.
const MAX_ROUND_KEYS: usize = 15;

/// A key, expanded for a backend's AES instructions; wiped when dropped.
pub(crate) struct RoundKeys {
    keys: [[u8; BLOCK]; MAX_ROUND_KEYS],
    used: usize,
}

impl RoundKeys {
    /// Takes the round keys of AES-128 (11) or AES-256 (15).
    pub(crate) fn new(keys: &[[u8; BLOCK]]) -> RoundKeys {
        let mut all = [[0; BLOCK]; MAX_ROUND_KEYS];
        all[..keys.len()].copy_from_slice(keys);
        RoundKeys {
            keys: all,
            used: keys.len(),
        }
    }

    /// The first is added before the first round, the last is that of the last round.
    pub(crate) fn get(&self) -> &[[u8; BLOCK]] {
        &self.keys[..self.used]
    }
}

impl Drop for RoundKeys {
    fn drop(&mut self) {
        self.keys.zeroize();
    }
}

/// A processor's AES instructions.
pub(crate) trait AesUnit: Sync {
    /// The round keys of a key of 16 or 32 bytes.
    ///
    /// # Panics
    /// When it has another length.
    fn expand(&self, key: &[u8]) -> RoundKeys;
    /// Whole blocks of a stream, from block `counter`.
    ///
    /// # Panics
    /// When `out` is not a whole number of blocks.
    fn keystream(&self, keys: &RoundKeys, counter: u64, out: &mut [u8]);
}

/// The bytes of a counter under a key, in order, cut anywhere.
pub(crate) struct Keystream(Source);

enum Source {
    Instructions {
        unit: &'static dyn AesUnit,
        keys: Box<RoundKeys>,
        /// The next block.
        counter: u64,
        /// The last block that was begun, of which bytes `used` and up are next.
        block: [u8; BLOCK],
        used: usize,
    },
    Library128(Box<Ctr64LE<Aes128>>),
    Library256(Box<Ctr64LE<Aes256>>),
}

impl Keystream {
    /// The stream of AES-128 under a key.
    pub(crate) fn aes128(key: &[u8; 16]) -> Keystream {
        Keystream::of(key, |key| {
            Source::Library128(Box::new(Ctr64LE::new(&(*key).into(), &[0; BLOCK].into())))
        })
    }

    /// The stream of AES-256 under a key.
    pub(crate) fn aes256(key: &[u8; 32]) -> Keystream {
        Keystream::of(key, |key| {
            Source::Library256(Box::new(Ctr64LE::new(&(*key).into(), &[0; BLOCK].into())))
        })
    }

    fn of<const LEN: usize>(
        key: &[u8; LEN],
        library: impl FnOnce(&[u8; LEN]) -> Source,
    ) -> Keystream {
        Keystream(match backend::active().aes() {
            Some(unit) => Source::Instructions {
                unit,
                keys: Box::new(unit.expand(key)),
                counter: 0,
                block: [0; BLOCK],
                used: BLOCK,
            },
            None => library(key),
        })
    }

    /// The next bytes.
    pub(crate) fn fill(&mut self, out: &mut [u8]) {
        match &mut self.0 {
            Source::Library128(stream) => stream.write_keystream(out),
            Source::Library256(stream) => stream.write_keystream(out),
            Source::Instructions {
                unit,
                keys,
                counter,
                block,
                used,
            } => {
                let begun = out.len().min(BLOCK - *used);
                let (first, rest) = out.split_at_mut(begun);
                first.copy_from_slice(&block[*used..*used + begun]);
                *used += begun;
                let (whole, last) = rest.split_at_mut(rest.len() / BLOCK * BLOCK);
                unit.keystream(keys, *counter, whole);
                *counter += (whole.len() / BLOCK) as u64;
                if !last.is_empty() {
                    unit.keystream(keys, *counter, block);
                    *counter += 1;
                    *used = last.len();
                    last.copy_from_slice(&block[..*used]);
                }
            }
        }
    }
}

impl Drop for Keystream {
    fn drop(&mut self) {
        if let Source::Instructions { block, .. } = &mut self.0 {
            block.zeroize();
        }
    }
}

impl fmt::Debug for Keystream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keystream(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::BackendKind;
    use aes::cipher::{BlockCipherEncrypt, KeyInit};

    /// Blocks 0 to 159 from the bare cipher.
    fn expected(encrypt: impl Fn(&mut aes::Block)) -> Vec<u8> {
        let blocks = (0..160u64).flat_map(|i| {
            let mut block = aes::Block::default();
            block[..8].copy_from_slice(&i.to_le_bytes());
            encrypt(&mut block);
            block.to_vec()
        });
        blocks.collect()
    }

    fn on_every_backend(work: impl Fn(BackendKind)) {
        for kind in BackendKind::ALL {
            if backend::with(kind, || work(kind)).is_err() {
                eprintln!("skipped: backend {kind} (this processor does not support it)");
            }
        }
    }

    #[test]
    fn every_backend_gives_the_encrypted_counters_however_they_are_cut() {
        let (short, long) = ([0x61; 16], core::array::from_fn(|i| 5 * i as u8));
        let ciphers = (Aes128::new(&short.into()), Aes256::new(&long.into()));
        let right = (
            expected(|block| ciphers.0.encrypt_block(block)),
            expected(|block| ciphers.1.encrypt_block(block)),
        );
        on_every_backend(|kind| {
            let cuts: [&[usize]; 5] = [
                &[2560],
                &[16, 512, 2032],
                &[1, 15, 17, 511, 2016],
                &[0, 7, 3, 300, 6, 0, 2244],
                &[528, 2032],
            ];
            for cut in cuts {
                let mut streams = [Keystream::aes128(&short), Keystream::aes256(&long)];
                let mut drawn = [vec![0xaa; 2560], vec![0xaa; 2560]];
                for (stream, drawn) in streams.iter_mut().zip(&mut drawn) {
                    let mut from = 0;
                    for len in cut {
                        stream.fill(&mut drawn[from..from + len]);
                        from += len;
                    }
                }
                assert!(drawn[0] == right.0 && drawn[1] == right.1, "{kind} {cut:?}");
            }
        });
    }

    /// FIPS 197, appendix A: the round keys of the two examples, the last of each.
    #[test]
    fn round_keys_are_those_of_the_standard() {
        let short = [
            0x2b, 0x7e, 0x15, 0x16, 0x28, 0xae, 0xd2, 0xa6, 0xab, 0xf7, 0x15, 0x88, 0x09, 0xcf,
            0x4f, 0x3c,
        ];
        let long = [
            0x60, 0x3d, 0xeb, 0x10, 0x15, 0xca, 0x71, 0xbe, 0x2b, 0x73, 0xae, 0xf0, 0x85, 0x7d,
            0x77, 0x81, 0x1f, 0x35, 0x2c, 0x07, 0x3b, 0x61, 0x08, 0xd7, 0x2d, 0x98, 0x10, 0xa3,
            0x09, 0x14, 0xdf, 0xf4,
        ];
        on_every_backend(|_| {
            let last = |key: &[u8]| {
                let unit = backend::active().aes()?;
                let keys = unit.expand(key);
                Some(hex::encode(keys.get().last().expect("round keys")))
            };
            let right = |found: Option<String>, last: &str| found.is_none_or(|found| found == last);
            assert!(right(last(&short), "d014f9a8c9ee2589e13f0cc8b6630ca6"));
            assert!(right(last(&long), "fe4890d1e6188d0b046df344706c631e"));
        });
    }
}
