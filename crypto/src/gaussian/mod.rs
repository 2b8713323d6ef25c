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
mod limbs;
mod wide;

#[cfg(test)]
mod tests;

use crate::backend::{self, SAMPLES};
use crate::params::Sigma;
use crate::secret::{SecretVec, wipe};
use cdt::Shape;
use core::fmt;
use wide::Wide;

pub(crate) use cdt::Cdt;
pub(crate) use limbs::{LEVELS, LimbTable};

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

/// Samples whose bytes are drawn at once.
const CHUNK: usize = 256;

/// 16 bytes a sample, always for whole lanes of eight (`docs/crypto-table.md`, section 5).
fn fill_from_table<R: rand_core::CryptoRng>(table: &Cdt, rng: &mut R, out: &mut [i32]) {
    let mut bytes = [0u8; 16 * CHUNK];
    let mut drawn = [0i32; CHUNK];
    let backend = backend::active();
    for chunk in out.chunks_mut(CHUNK) {
        let lanes = chunk.len().next_multiple_of(cdt::LANES);
        rng.fill_bytes(&mut bytes[..16 * lanes]);
        // A backend's vectors may hold more; what it makes of stale bytes is not used.
        let full = chunk.len().next_multiple_of(SAMPLES);
        backend.sample(table, &bytes[..16 * full], &mut drawn[..full]);
        chunk.copy_from_slice(&drawn[..chunk.len()]);
    }
    wipe(&mut bytes);
    wipe(&mut drawn);
}
