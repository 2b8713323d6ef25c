//! A discrete Gaussian of any deviation from 8 to `2^24`, by the method of BLISS (Ducas, Durmus, Lepoint,
//! Lyubashevsky, CRYPTO 2013) with the constant-time acceptance of FACCT (Zhao, Steinfeld, Sakzad, 2018).
//!
//! Draw `x` from the half-Gaussian of deviation `sigma_0 = 2`, `u` uniform in `[0, K)`,
//! `K = ceil(sigma / sigma_0)`; let `y = K x + u` and accept with probability
//!
//! ```text
//! p = exp(-t),  t = y^2/(2 sigma^2) - x^2/(2 sigma_0^2) >= 0   (because y >= K x >= x sigma / sigma_0)
//! ```
//!
//! Then `y >= 0` has probability proportional to `exp(-y^2/(2 sigma^2))`; a sign, and zero with a minus
//! is refused so that it is not counted twice. Between 0.66 and 0.83 of the trials succeed. Which trials fail is
//! independent of the values that come out, so only they decide how long sampling takes.
//!
//! **Arithmetic.** `t` has 96 fractional bits; `t = k ln 2 + r`; `exp(-r)` has 64 bits, by a Taylor
//! polynomial of degree 20 (remainder below `2^-72`), every step rounding by at most `2^-64`; `2^-k` is
//! `k` further random bits that must be zero. So `p` is right within a *factor* of `1 +- 2^-60`. `u` is
//! a 128-bit number multiplied by K: biased by a factor below `1 + 2^-104`.
//!
//! **Divergence.** Together with the base table, every value's probability is `D(y) (1 + a) + b` with
//! `|a| < 2^-59` and the `|b|` summing to less than `2^-103`. So in `(epsilon, delta)` terms a sample
//! costs at most `epsilon = 2^-58`, `delta = 2^-102`; over `2^24` coordinates `2^-34` and `2^-78`.
//! `|b|` has three parts: the base table's 26 entries, each within `2^-112`, over an acceptance of at
//! least 0.6; what the base table leaves out, below `2^-112`; and exponents `k > 63` cut to 63, which
//! occur only with base values of 23 and more (mass below `2^-90`) and then change less than `2^-63` of it.

use super::cdt::{Cdt, LANES, Shape};
use crate::backend::{self, Backend, SAMPLES};
use crate::declassify;
use crate::secret::wipe;

/// `sigma_0 = 2` in units of `2^-16`. Two, because then `x^2/(2 sigma_0^2) = x^2/8` is exact.
const BASE_UNITS: u64 = 2 << 16;

/// Words of one trial: base high and low, u high and low, mantissa, exponent.
const TRIAL_WORDS: usize = 6;

/// Random bytes of one step, a trial a lane.
const STEP_BYTES: usize = 8 * TRIAL_WORDS * LANES;

/// Steps that are drawn together at most.
const STEPS: usize = 32;

/// `floor(ln 2 * 2^96)`.
const LN2_Q96: u128 = 54_916_777_467_707_473_351_141_471_128;

/// `floor(2^32 / ln 2)`.
const INVERSE_LN2_Q32: u64 = 6_196_328_018;

/// `floor(2^64 / i!)` for i from 2 to 20.
const TAYLOR: [u64; 19] = taylor();

const fn taylor() -> [u64; 19] {
    let mut out = [0; 19];
    let mut factorial: u128 = 1;
    let mut i = 0;
    while i < 19 {
        factorial *= i as u128 + 2;
        out[i] = ((1u128 << 64) / factorial) as u64;
        i += 1;
    }
    out
}

/// The sampler of one deviation.
pub(super) struct Wide {
    base: Cdt,
    /// `K`.
    step: u64,
    /// `y^2` is shifted left by this, to just below 63 bits.
    square_shift: u32,
    /// `1/(2 sigma^2)`, rounded up, scaled to 127 bits.
    inverse: u128,
    /// What remains to be shifted out of the product's high part to leave 96 fractional bits.
    product_shift: u32,
}

impl Wide {
    /// The smallest deviation, in units of `2^-16`, for which `u` has enough steps to be worth it.
    pub(super) const MIN_UNITS: u64 = 8 << 16;

    pub(super) fn new(sigma_units: u64) -> Wide {
        debug_assert!((Wide::MIN_UNITS..=1 << 40).contains(&sigma_units));
        let base = Cdt::new(BASE_UNITS, Shape::Half);
        let step = sigma_units.div_ceil(BASE_UNITS);
        let largest = step * (base.max() + 1);
        let square_shift = (largest * largest).leading_zeros() - 1;

        // 1/(2 sigma^2) = 2^31 / units^2, by long division until the quotient has 127 bits.
        let divisor = u128::from(sigma_units) * u128::from(sigma_units);
        let (mut remainder, mut quotient, mut scale) = (1u128 << 31, 0u128, 0u32);
        while quotient < 1 << 126 {
            remainder <<= 1;
            let bit = u128::from(remainder >= divisor);
            remainder -= divisor * bit;
            quotient = quotient << 1 | bit;
            scale += 1;
        }
        // Rounded up, t never falls below its smallest value, 0.
        let inverse = quotient + 1;
        // (y^2 << square_shift) inverse = y^2/(2 sigma^2) 2^(square_shift + scale); 64 go with the high part.
        let product_shift = square_shift + scale - 64 - 96;
        Wide {
            base,
            step,
            square_shift,
            inverse,
            product_shift,
        }
    }

    /// Fills `out`. Every trial does the same work; only the number of trials varies.
    pub(super) fn fill<R: rand_core::CryptoRng>(&self, rng: &mut R, out: &mut [i32]) {
        let mut drawn = Drawn::default();
        let backend = backend::active();
        let mut filled = 0;
        while filled < out.len() {
            // Never more steps than are needed even if every trial succeeds, so that how many are taken
            // together changes nothing.
            let steps = ((out.len() - filled) / LANES).clamp(1, STEPS);
            let bytes = &mut drawn.bytes[..STEP_BYTES * steps];
            rng.fill_bytes(bytes);
            for (i, word) in bytes.chunks_exact(8).enumerate() {
                let mut le = [0; 8];
                le.copy_from_slice(word);
                drawn.words[i] = u64::from_le_bytes(le);
            }
            drawn.base_values(&self.base, steps, backend);
            for trial in 0..steps * LANES {
                let (y, accepted) = self.attempt(&drawn.trial(trial));
                if filled < out.len() {
                    // Written in any case; kept only when accepted, which is independent of the values kept.
                    out[filled] = y;
                    filled += usize::from(declassify::decision(accepted != 0));
                }
            }
        }
    }

    /// One trial: the signed value and 1 if it is accepted, else 0. No branch, no table index and no
    /// shift other than the public ones depends on the trial, except the shift by `k`, which is a register
    /// shift (constant time on every supported processor).
    #[inline(always)]
    fn attempt(&self, trial: &Trial) -> (i32, u64) {
        // u = floor(uniform K / 2^128). Nothing below overflows; the wrapping forms keep debug builds fast.
        let u_low = wide(trial.uniform as u64, self.step) >> 64;
        let u_high = wide((trial.uniform >> 64) as u64, self.step);
        let u = (u_high.wrapping_add(u_low) >> 64) as u64;
        let y = self.step.wrapping_mul(trial.x).wrapping_add(u);
        let t = self.exponent(trial.x, y);

        let (k, threshold) = exp_neg(t);
        let mantissa_below = u64::from(u128::from(trial.mantissa) < threshold);
        let exponent_zero = is_zero(trial.exponent & (1u64 << k).wrapping_sub(1));
        let doubled_zero = is_zero(y) & trial.negative;
        let accepted = mantissa_below & exponent_zero & (1 - doubled_zero);

        let sign = (trial.negative as i32).wrapping_neg();
        (((y as i32) ^ sign).wrapping_sub(sign), accepted)
    }

    /// `t = y^2/(2 sigma^2) - x^2/8`, 96 fractional bits, never below 0 for `y >= K x`.
    #[inline(always)]
    fn exponent(&self, x: u64, y: u64) -> u128 {
        let square = y.wrapping_mul(y) << self.square_shift;
        let low = wide(square, self.inverse as u64) >> 64;
        let product = wide(square, (self.inverse >> 64) as u64).wrapping_add(low);
        (product >> self.product_shift).wrapping_sub(u128::from(x.wrapping_mul(x)) << 93)
    }
}

/// The randomness of some steps, and their base values. Wiped.
struct Drawn {
    bytes: [u8; STEP_BYTES * STEPS],
    words: [u64; STEP_BYTES * STEPS / 8],
    table: [u8; 16 * LANES * STEPS],
    base: [i32; LANES * STEPS],
}

impl Drop for Drawn {
    fn drop(&mut self) {
        wipe(&mut self.bytes);
        wipe(&mut self.words);
        wipe(&mut self.table);
        wipe(&mut self.base);
    }
}

impl Default for Drawn {
    fn default() -> Drawn {
        Drawn {
            bytes: [0; STEP_BYTES * STEPS],
            words: [0; STEP_BYTES * STEPS / 8],
            table: [0; 16 * LANES * STEPS],
            base: [0; LANES * STEPS],
        }
    }
}

impl Drawn {
    /// Word `row` of a trial: a step has six rows of eight words.
    #[inline(always)]
    fn word(&self, trial: usize, row: usize) -> u64 {
        self.words[(trial / LANES * TRIAL_WORDS + row) * LANES + trial % LANES]
    }

    /// Draws the base values of some steps.
    fn base_values(&mut self, base: &Cdt, steps: usize, backend: &dyn Backend) {
        for trial in 0..steps * LANES {
            // As the table sampler takes them: the low half first, and no sign in bit 0.
            let (high, low) = (self.word(trial, 0), self.word(trial, 1) & !1);
            let sixteen = &mut self.table[16 * trial..][..16];
            sixteen[..8].copy_from_slice(&low.to_le_bytes());
            sixteen[8..].copy_from_slice(&high.to_le_bytes());
        }
        let full = (steps * LANES).next_multiple_of(SAMPLES);
        backend.sample(base, &self.table[..16 * full], &mut self.base[..full]);
    }

    #[inline(always)]
    fn trial(&self, trial: usize) -> Trial {
        Trial {
            x: self.base[trial] as u64,
            uniform: u128::from(self.word(trial, 2)) << 64 | u128::from(self.word(trial, 3)),
            mantissa: self.word(trial, 4),
            exponent: self.word(trial, 5),
            negative: self.word(trial, 0) & 1,
        }
    }
}

/// The secrets of one trial.
struct Trial {
    x: u64,
    uniform: u128,
    mantissa: u64,
    exponent: u64,
    negative: u64,
}

/// 1 for zero, else 0.
#[inline(always)]
fn is_zero(a: u64) -> u64 {
    1 - ((a | a.wrapping_neg()) >> 63)
}

/// `exp(-t)` for `t` with 96 fractional bits, as `(k, m)`: `m 2^-64 2^-k`, `k <= 63`, `2^63 - 2^40 <= m <= 2^64`.
/// A larger `k` is cut to 63 (see the module's comment).
#[inline(always)]
fn exp_neg(t: u128) -> (u64, u128) {
    // Rounded down twice: k is the quotient or one less, and r at most 2^-20 above ln 2.
    let quotient = high((t >> 64) as u64, INVERSE_LN2_Q32);
    let whole = u128::from(quotient).wrapping_mul(LN2_Q96);
    let r = (t.wrapping_sub(whole) >> 32) as u64;
    let over = 63u64.wrapping_sub(quotient) >> 63;
    let k = (quotient & (over.wrapping_sub(1))) | (63 & over.wrapping_neg());

    // 1 - r (1 - r (1/2 - r (1/6 - ...))): the last two steps on 65 bits, because they can reach 1.
    let mut p = TAYLOR[18];
    for coefficient in TAYLOR[..18].iter().rev() {
        p = coefficient.wrapping_sub(high(r, p));
    }
    let inner = (1u128 << 64).wrapping_sub(u128::from(high(r, p)));
    let reached = u128::from(r).wrapping_mul(inner) >> 64;
    (k, (1u128 << 64).wrapping_sub(reached))
}

/// A 64-bit product, whole.
#[inline(always)]
fn wide(a: u64, b: u64) -> u128 {
    u128::from(a).wrapping_mul(u128::from(b))
}

/// The high half of a 64-bit product.
#[inline(always)]
fn high(a: u64, b: u64) -> u64 {
    (wide(a, b) >> 64) as u64
}

#[cfg(test)]
mod tests {
    use super::super::fixed;
    use super::*;
    use rand_chacha::ChaCha20Rng;
    use rand_chacha::rand_core::{Rng, SeedableRng};

    #[test]
    fn constants() {
        assert_eq!(INVERSE_LN2_Q32, ((1u128 << 127) / (LN2_Q96 >> 1)) as u64);
        assert_eq!(TAYLOR[0], 1 << 63);
    }

    /// Against the 120-bit exponential of the start-up arithmetic, over the whole range of `t`.
    #[test]
    fn acceptance_is_right_within_two_to_the_minus_sixty() {
        let mut checked = 0;
        let mut t: u128 = 0;
        while t < 40 << 96 {
            let exact = fixed::exp_neg(t, 1 << 96); // 120 bits
            let (k, m) = exp_neg(t);
            // m 2^-64 2^-k against exact 2^-120, both at 2^-120: relative error below 2^-60.
            let ours = m << 56 >> k;
            assert!(ours.abs_diff(exact) <= (exact >> 60).max(8), "t = {t}");
            t += 1_234_567_890_123_456_789_012_345_677 + t / 1000;
            checked += 1;
        }
        assert!(checked > 1000);
    }

    /// The sampler once more from its definition: plain branches, exact fractions, 120-bit exponentials.
    fn reference(units: u64, count: usize, rng: &mut ChaCha20Rng) -> Vec<i32> {
        let entries = Cdt::new(BASE_UNITS, Shape::Half).entries();
        let step = units.div_ceil(BASE_UNITS);
        let square_units = u128::from(units) * u128::from(units);
        let mut out = Vec::new();
        while out.len() < count {
            let mut block = [[0u64; LANES]; 6];
            for word in block.iter_mut().flatten() {
                *word = rng.next_u64();
            }
            for lane in 0..LANES {
                let [base_high, base_low, u_high, u_low, mantissa, exponent] =
                    block.map(|row| row[lane]);
                let base = u128::from(base_high >> 1) << 63 | u128::from(base_low >> 1);
                let x = entries.iter().filter(|&&e| e <= base).count() as u64;
                let carry = (u128::from(u_low) * u128::from(step)) >> 64;
                let u = (u128::from(u_high) * u128::from(step) + carry) >> 64;
                let y = step * x + u as u64;
                // t = y^2 2^31/units^2 - x^2/8 over one denominator.
                let positive = (u128::from(y * y) << 31) * 8;
                let t = positive - u128::from(x * x) * square_units;
                let p = fixed::exp_neg(t, 8 * square_units);
                if p == 0 {
                    continue;
                }
                let k = (p - 1).leading_zeros() - 8; // 2^119 < p 2^k <= 2^120
                let negative = base_high & 1 == 1;
                let passes = u128::from(mantissa) << 56 < p << k && exponent % (1 << k) == 0;
                if passes && !(y == 0 && negative) {
                    out.push(if negative { -(y as i32) } else { y as i32 });
                }
            }
        }
        out.truncate(count);
        out
    }

    #[test]
    fn agrees_with_the_definition() {
        for units in [8 << 16, 530_001, 6_586_368, 18_000 << 16, 1 << 40] {
            let mut ours = vec![0; 3000];
            Wide::new(units).fill(&mut ChaCha20Rng::seed_from_u64(units), &mut ours);
            let expected = reference(units, 3000, &mut ChaCha20Rng::seed_from_u64(units));
            let first = ours.iter().zip(&expected).position(|(a, b)| a != b);
            assert_eq!(first, None, "units {units}: first difference");
        }
    }

    /// `t` itself: against long division, for every base value and the ends and middle of the steps.
    #[test]
    fn exponents_are_right_for_all_deviations() {
        for units in [
            8 << 16,
            524_289,
            6_586_368,
            18_000 << 16,
            (1 << 40) - 1,
            1 << 40,
        ] {
            let wide = Wide::new(units);
            let square_units = u128::from(units) * u128::from(units);
            for x in 0..=wide.base.max() {
                for u in [0, 1, wide.step / 2, wide.step - 1] {
                    let y = wide.step * x + u;
                    let t = wide.exponent(x, y);
                    let numerator = u128::from(y * y) << 31;
                    let whole = numerator / square_units;
                    let exact =
                        whole << 96 | fixed::fraction(numerator % square_units, square_units, 96);
                    let exact = exact - (u128::from(x * x) << 93).min(exact);
                    assert!(t.abs_diff(exact) < 1 << 12, "{units} {x} {u}");
                }
            }
        }
    }
}
