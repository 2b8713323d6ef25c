//! From a weight difference to bounded integers that are ready for masking (`docs/protocol.md`, section 4.2, step 1).

use crate::spec::MAX_PARAMETERS;
use minicbor::{Decode, Encode};
use std::fmt;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// Largest update shift: a unit of 2^24 master units, that is 1.
pub const MAX_UPDATE_SHIFT: u8 = 24;
/// Largest clip bound.
pub const MAX_CLIP: u32 = 1 << 30;
/// Stochastic roundings that are tried before rounding towards zero.
const ATTEMPTS: u32 = 16;

/// The difference of the weights after and before local training, in master units (2^-24).
///
/// It tells about the device's data, so that it is not printed and is erased when dropped.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct Delta(Vec<i32>);

impl Delta {
    /// A difference from its numbers.
    #[must_use]
    pub fn new(values: Vec<i32>) -> Self {
        Self(values)
    }

    /// One number a parameter, in units of 2^-24.
    #[must_use]
    pub fn values(&self) -> &[i32] {
        &self.0
    }
}

impl fmt::Debug for Delta {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Delta({} values)", self.0.len())
    }
}

/// How a weight difference becomes an update: part of the task, the same for all devices.
///
/// A unit of an update is `2^update_shift` master units. Choose the shift so that the clip bound is well above the
/// square root of the dimension: rounding adds up to `d/4` to the square of the norm, and that much less than
/// `clip^2` is left for the update itself.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, serde::Serialize, serde::Deserialize,
)]
#[cbor(array)]
pub struct Quantiser {
    /// A unit of an update is `2^update_shift` master units; at most 24.
    #[n(0)]
    pub update_shift: u8,
    /// The clip bound C in units of an update: `||x||_2 <= clip`; 1 to 2^30.
    #[n(1)]
    pub clip: u32,
}

/// Why a difference cannot be quantised.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuantiseError {
    /// The update shift is out of its range.
    #[error("the update shift must be at most {MAX_UPDATE_SHIFT}, not {0}")]
    Shift(u8),
    /// The clip bound is out of its range.
    #[error("the clip bound must be 1 to {MAX_CLIP}, not {0}")]
    Clip(u32),
    /// More coordinates than a round can carry.
    #[error("{0} coordinates are more than {MAX_PARAMETERS}")]
    TooLong(usize),
}

impl Quantiser {
    /// Checks both fields.
    ///
    /// # Errors
    /// Names the field that is out of its range.
    pub fn check(&self) -> Result<(), QuantiseError> {
        if self.update_shift > MAX_UPDATE_SHIFT {
            return Err(QuantiseError::Shift(self.update_shift));
        }
        if !(1..=MAX_CLIP).contains(&self.clip) {
            return Err(QuantiseError::Clip(self.clip));
        }
        Ok(())
    }

    /// Scales the difference down to the target norm, if it is longer, and rounds it stochastically to integers `x`
    /// with `||x||_2 <= clip`, always.
    ///
    /// Every coordinate is rounded up or down with probabilities that make its mean exact (to 2^-64). The norm after
    /// rounding can exceed the clip bound; then all coordinates are rounded again with fresh randomness, sixteen times
    /// at most, then towards zero. The last always fits: no coordinate grows, and before rounding the norm is at
    /// most the target, which is at most the clip bound. The proof is in `docs/learning.md`.
    ///
    /// # Errors
    /// The quantiser is out of its range, or the difference too long for a round.
    pub fn quantise<R: rand_core::CryptoRng>(
        &self,
        delta: &Delta,
        rng: &mut R,
    ) -> Result<Vec<i32>, QuantiseError> {
        self.check()?;
        let delta = delta.values();
        if delta.len() > MAX_PARAMETERS {
            return Err(QuantiseError::TooLong(delta.len()));
        }
        let ratio = self.ratio(delta);
        let bound = u128::from(self.clip) * u128::from(self.clip);
        let mut update = vec![0; delta.len()];
        for _ in 0..ATTEMPTS {
            round_stochastically(delta, ratio, rng, &mut update);
            if squared_norm(&update) <= bound {
                return Ok(update);
            }
        }
        for (out, &value) in update.iter_mut().zip(delta) {
            let (whole, _) = ratio.split(value);
            *out = signed(whole, value);
        }
        Ok(update)
    }

    /// The norm that a difference is scaled down to, in units of an update, for dimension `d`: the clip bound less room
    /// for what rounding adds, `sqrt(clip^2 - d/4 - 2 clip)`, but never below half the clip bound.
    #[must_use]
    pub fn target_norm(&self, dimension: usize) -> u32 {
        let clip = u64::from(self.clip);
        let room = (dimension as u64).div_ceil(4) + 2 * clip;
        let target = (clip * clip)
            .saturating_sub(room)
            .isqrt()
            .max(clip.div_ceil(2));
        u32::try_from(target).unwrap_or(self.clip)
    }

    fn ratio(&self, delta: &[i32]) -> Ratio {
        let target = self.target_norm(delta.len());
        let squared = squared_norm(delta);
        let allowed = u128::from(target) << self.update_shift;
        if squared <= allowed * allowed {
            return Ratio {
                numerator: 1,
                denominator: 1 << self.update_shift,
            };
        }
        // Rounded up: a larger denominator only makes the result shorter.
        let root = squared.isqrt();
        let norm = root + u128::from(root * root < squared);
        Ratio {
            numerator: target.into(),
            denominator: u64::try_from(norm).expect("at most 2^43"),
        }
    }
}

/// Difference to update: multiply by `numerator / denominator`.
#[derive(Clone, Copy)]
struct Ratio {
    numerator: u64,
    denominator: u64,
}

impl Ratio {
    /// Whole part and remainder of `|value| * numerator / denominator`; 2^31 * 2^30 fits.
    fn split(self, value: i32) -> (u64, u64) {
        let product = u64::from(value.unsigned_abs()) * self.numerator;
        (product / self.denominator, product % self.denominator)
    }
}

fn squared_norm(values: &[i32]) -> u128 {
    values
        .iter()
        .map(|&value| u128::from(value.unsigned_abs()).pow(2))
        .sum()
}

fn signed(magnitude: u64, sign: i32) -> i32 {
    let magnitude = i32::try_from(magnitude).unwrap_or(i32::MAX);
    if sign < 0 { -magnitude } else { magnitude }
}

fn round_stochastically<R: rand_core::CryptoRng>(
    delta: &[i32],
    ratio: Ratio,
    rng: &mut R,
    update: &mut [i32],
) {
    let mut random = [0; 8 * 256];
    for (update, delta) in update.chunks_mut(256).zip(delta.chunks(256)) {
        let random = &mut random[..8 * delta.len()];
        rng.fill_bytes(random);
        let (words, _) = random.as_chunks::<8>();
        for ((out, &value), word) in update.iter_mut().zip(delta).zip(words) {
            let (whole, rest) = ratio.split(value);
            let word = u64::from_le_bytes(*word);
            let up = (u128::from(word) * u128::from(ratio.denominator)) >> 64 < u128::from(rest);
            *out = signed(whole + u64::from(up), value);
        }
    }
    random.zeroize();
}
