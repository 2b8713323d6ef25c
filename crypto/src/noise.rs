//! A fast generator for the noise of masks: 16 bytes for every coordinate would take longer from a generator
//! without hardware support than the whole mask.
//!
//! AES-256 in counter mode under a seed from the caller's generator. A mask draws at most `2^24` samples, `2^27`
//! blocks at most, so what distinguishes the stream from random bytes by the absence of repeated blocks is
//! below `2^-74`; the key keeps 256 bits.

use crate::keystream::Keystream;
use core::convert::Infallible;
use core::fmt;
use rand_core::{TryCryptoRng, TryRng};
use zeroize::Zeroize;

/// A generator of one mask's noise; wiped when dropped. Block `i` of its bytes is the encryption of
/// `LE64(i) || 0^8` under the seed.
pub struct NoiseStream(Keystream);

impl NoiseStream {
    /// The stream of a seed, which must not be used again.
    pub fn from_seed(seed: &[u8; 32]) -> NoiseStream {
        NoiseStream(Keystream::aes256(seed))
    }

    /// A stream under a fresh seed.
    pub fn new<R: rand_core::CryptoRng>(rng: &mut R) -> NoiseStream {
        let mut seed = [0; 32];
        rng.fill_bytes(&mut seed);
        let stream = NoiseStream::from_seed(&seed);
        seed.zeroize();
        stream
    }
}

impl TryRng for NoiseStream {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut le = [0; 4];
        self.0.fill(&mut le);
        Ok(u32::from_le_bytes(le))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut le = [0; 8];
        self.0.fill(&mut le);
        Ok(u64::from_le_bytes(le))
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        self.0.fill(out);
        Ok(())
    }
}

impl TryCryptoRng for NoiseStream {}

impl fmt::Debug for NoiseStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NoiseStream(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aes::Aes256;
    use aes::cipher::{BlockCipherEncrypt, KeyInit};
    use rand_core::Rng;

    #[test]
    fn blocks_are_encrypted_counters_however_they_are_drawn() {
        let seed = [3; 32];
        let cipher = Aes256::new(&seed.into());
        let mut expected = Vec::new();
        for i in 0..64u64 {
            let mut block = [0u8; 16];
            block[..8].copy_from_slice(&i.to_le_bytes());
            let mut block = block.into();
            cipher.encrypt_block(&mut block);
            expected.extend_from_slice(&block);
        }
        let mut stream = NoiseStream::from_seed(&seed);
        let mut drawn = stream.next_u32().to_le_bytes().to_vec();
        drawn.extend(stream.next_u64().to_le_bytes());
        drawn.resize(1024, 77);
        stream.fill_bytes(&mut drawn[12..]);
        assert_eq!(drawn, expected);
    }
}
