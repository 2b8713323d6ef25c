//! Where the secrets come from: a generator with a fixed seed, all of whose output is marked.

use crate::marks;
use core::convert::Infallible;
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng, TryCryptoRng, TryRng};

/// A generator whose every byte is a secret.
pub struct SecretRng(ChaCha20Rng);

impl SecretRng {
    /// The generator of a number.
    pub fn new(seed: u64) -> SecretRng {
        SecretRng(ChaCha20Rng::seed_from_u64(seed))
    }

    /// 32 secret bytes.
    pub fn seed(&mut self) -> [u8; 32] {
        let mut seed = [0; 32];
        self.fill_bytes(&mut seed);
        seed
    }

    /// An update: secret values between -100 and 100.
    pub fn update(&mut self, len: usize) -> Vec<i32> {
        let small = |_| (self.0.next_u32() % 201) as i32 - 100;
        let mut x: Vec<i32> = (0..len).map(small).collect();
        marks::secret(&mut x);
        x
    }
}

impl TryRng for SecretRng {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut word = [self.0.next_u32()];
        marks::secret(&mut word);
        Ok(word[0])
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut word = [self.0.next_u64()];
        marks::secret(&mut word);
        Ok(word[0])
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        self.0.fill_bytes(out);
        marks::secret(out);
        Ok(())
    }
}

impl TryCryptoRng for SecretRng {}
