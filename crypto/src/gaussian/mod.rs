//! Discrete Gaussians over the integers, in constant time and without floating point
//! (`docs/protocol.md`, sections 3, 4.2 and 4.8).
//!
//! * Deviations below 8 (the mask key's 4.5 and the smallest error's 6.364 among them): a cumulative
//!   table of 126-bit entries, scanned whole for every sample. **Statistical distance** to the true
//!   distribution below `2^-105` a sample: every one of at most 107 entries is within `2^-112`.
//! * Deviations from 8 to `2^24`: rejection from a wide proposal (`wide.rs`), where every value's
//!   probability is right within a factor of `1 +- 2^-59`, up to a total mass of `2^-103`.
//!
//! Tables are computed when a [`Gaussian`] is made, in integer fixed point, and so are equal on every
//! machine. `docs/gaussian-table.py` prints them from 80-digit decimals; a test compares.

mod cdt;
mod fixed;
mod wide;

#[cfg(test)]
mod tests;

use crate::params::Sigma;
use crate::secret::SecretVec;
use cdt::{Cdt, LANES, Shape};
use core::fmt;
use wide::Wide;
use zeroize::Zeroize;

/// A sampler of the centred discrete Gaussian of one deviation. Holds public tables only.
pub struct Gaussian {
    sigma: Sigma,
    method: Method,
}

enum Method {
    Table(Cdt),
    Wide(Box<Wide>),
}

impl Gaussian {
    /// Largest value, in deviations, that any sampler can draw is below this: sums that must not overflow
    /// may count on it.
    pub const MAX_DEVIATIONS: u64 = 18;

    /// The sampler of deviation `sigma`; computes its tables (well under a millisecond).
    pub fn new(sigma: Sigma) -> Gaussian {
        let method = if sigma.get() < Wide::MIN_UNITS {
            Method::Table(Cdt::new(sigma.get(), Shape::Magnitude))
        } else {
            Method::Wide(Box::new(Wide::new(sigma.get())))
        };
        Gaussian { sigma, method }
    }

    /// Its deviation.
    pub fn sigma(&self) -> Sigma {
        self.sigma
    }

    /// Fills `out` with independent samples.
    pub fn fill<R: rand_core::CryptoRng>(&self, rng: &mut R, out: &mut [i32]) {
        match &self.method {
            Method::Table(table) => fill_from_table(table, rng, out),
            Method::Wide(wide) => wide.fill(rng, out),
        }
    }

    /// `len` independent samples.
    pub fn sample_vec<R: rand_core::CryptoRng>(&self, len: usize, rng: &mut R) -> SecretVec<i32> {
        let mut out = SecretVec::zeroed(len);
        self.fill(rng, &mut out);
        out
    }
}

impl fmt::Debug for Gaussian {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Gaussian({})", self.sigma.to_f64())
    }
}

/// 16 bytes a sample: two halves of 63 bits, and the sign in one of the bits that are left.
fn fill_from_table<R: rand_core::CryptoRng>(table: &Cdt, rng: &mut R, out: &mut [i32]) {
    let mut bytes = [0u8; 16 * LANES];
    for chunk in out.chunks_mut(LANES) {
        rng.fill_bytes(&mut bytes);
        let (mut high, mut low, mut sign) = ([0; LANES], [0; LANES], [0i32; LANES]);
        for (lane, sixteen) in bytes.chunks_exact(16).enumerate() {
            let mut le = [0; 16];
            le.copy_from_slice(sixteen);
            let number = u128::from_le_bytes(le);
            high[lane] = (number >> 65) as u64;
            low[lane] = (number >> 1) as u64 & (u64::MAX >> 1);
            sign[lane] = ((number & 1) as i32).wrapping_neg();
        }
        let mut magnitudes = table.scan(&high, &low);
        for (lane, value) in chunk.iter_mut().enumerate() {
            *value = ((magnitudes[lane] as i32) ^ sign[lane]).wrapping_sub(sign[lane]);
        }
        high.zeroize();
        low.zeroize();
        sign.zeroize();
        magnitudes.zeroize();
    }
    bytes.zeroize();
}
