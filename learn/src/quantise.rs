//! From a weight difference to bounded integers that are ready for masking (`docs/protocol.md`, section 4.2, step 1).

use crate::spec::MAX_PARAMETERS;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt;
use minicbor::{Decode, Encode};
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rand_chacha::ChaCha20Rng;
    use rand_chacha::rand_core::{SeedableRng, TryCryptoRng, TryRng};

    /// Every word is zero, so that every coordinate with a fraction is rounded away from zero.
    struct AlwaysUp;
    impl TryRng for AlwaysUp {
        type Error = core::convert::Infallible;
        fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
            Ok(0)
        }
        fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
            Ok(0)
        }
        fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Self::Error> {
            bytes.fill(0);
            Ok(())
        }
    }
    impl TryCryptoRng for AlwaysUp {}

    fn norm_fits(update: &[i32], clip: u32) -> bool {
        squared_norm(update) <= u128::from(clip).pow(2)
    }

    proptest! {
        #[test]
        fn the_norm_never_exceeds_the_clip_bound(
            delta in prop::collection::vec(prop_oneof![any::<i32>(), -1000i32..1000, Just(i32::MIN), Just(i32::MAX)], 0..200),
            update_shift in 0u8..=MAX_UPDATE_SHIFT,
            clip in prop_oneof![1u32..=MAX_CLIP, 1u32..100, Just(MAX_CLIP)],
            seed: u64,
        ) {
            let quantiser = Quantiser { update_shift, clip };
            let delta = Delta::new(delta);
            let update = quantiser.quantise(&delta, &mut ChaCha20Rng::seed_from_u64(seed)).unwrap();
            prop_assert_eq!(update.len(), delta.values().len());
            prop_assert!(norm_fits(&update, clip));
            let up = quantiser.quantise(&delta, &mut AlwaysUp).unwrap();
            prop_assert!(norm_fits(&up, clip));
            prop_assert!(quantiser.target_norm(delta.values().len()) <= clip);
        }
    }

    #[test]
    fn a_short_difference_keeps_its_mean() {
        let quantiser = Quantiser {
            update_shift: 8,
            clip: 1000,
        };
        let delta = Delta::new(vec![64, -64, 300, -512, 0, 1]);
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let mut sums = [0i64; 6];
        for _ in 0..20_000 {
            for (sum, x) in sums
                .iter_mut()
                .zip(quantiser.quantise(&delta, &mut rng).unwrap())
            {
                *sum += i64::from(x);
            }
        }
        for (sum, value) in sums.iter().zip(delta.values()) {
            let (mean, exact) = (*sum as f64 / 20_000.0, f64::from(*value) / 256.0);
            assert!((mean - exact).abs() < 0.02, "{mean} {exact}");
        }
        assert_eq!((sums[3], sums[4]), (-40_000, 0));
    }

    #[test]
    fn a_long_difference_keeps_its_direction_and_nearly_the_clip_bound() {
        let quantiser = Quantiser {
            update_shift: 14,
            clip: 3072,
        };
        let delta = Delta::new((0..650).map(|i| (i - 300) * 1_000_000).collect());
        let mut rng = ChaCha20Rng::seed_from_u64(2);
        let update = quantiser.quantise(&delta, &mut rng).unwrap();
        let norm = (squared_norm(&update) as f64).sqrt();
        assert!(norm <= 3072.0 && norm > 3066.0, "{norm}");
        let dot: f64 = update
            .iter()
            .zip(delta.values())
            .map(|(&x, &y)| f64::from(x) * f64::from(y))
            .sum();
        let cosine = dot / norm / (squared_norm(delta.values()) as f64).sqrt();
        assert!(cosine > 0.9999, "{cosine}");
    }

    #[test]
    fn when_no_rounding_fits_it_is_towards_zero() {
        // Norm before rounding exactly 3, the target: integers, nothing to round.
        let quantiser = Quantiser {
            update_shift: 2,
            clip: 5,
        };
        assert_eq!(quantiser.target_norm(9), 3);
        let delta = Delta::new(vec![4, -4, 4, -4, 4, -4, 4, -4, 4]);
        assert_eq!(
            quantiser.quantise(&delta, &mut AlwaysUp).unwrap(),
            [1, -1, 1, -1, 1, -1, 1, -1, 1]
        );
        // Scaled to the target every magnitude is 1.06; all of them rounded up would have norm 5.7.
        let delta = Delta::new(vec![5, -5, 5, -5, 5, -5, 5, -5, 0]);
        assert_eq!(
            quantiser.quantise(&delta, &mut AlwaysUp).unwrap(),
            [1, -1, 1, -1, 1, -1, 1, -1, 0]
        );
    }

    #[test]
    fn out_of_bounds_is_refused() {
        let mut rng = AlwaysUp;
        let quantise = |update_shift, clip, rng: &mut AlwaysUp| {
            Quantiser { update_shift, clip }.quantise(&Delta::new(vec![1]), rng)
        };
        assert_eq!(quantise(25, 1, &mut rng), Err(QuantiseError::Shift(25)));
        assert_eq!(quantise(24, 0, &mut rng), Err(QuantiseError::Clip(0)));
        assert_eq!(
            quantise(24, MAX_CLIP + 1, &mut rng),
            Err(QuantiseError::Clip(MAX_CLIP + 1))
        );
        assert_eq!(format!("{:?}", Delta::new(vec![42])), "Delta(1 values)");
    }
}
