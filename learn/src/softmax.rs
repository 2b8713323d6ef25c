//! Softmax and cross-entropy in integers.
//!
//! Logits come as accumulators with an exponent. Distances to the largest logit are taken in units of 2^-16;
//! `exp(-d) = 2^-(d log2 e)` comes from a table of 257 entries with linear interpolation, relative error below 2e-5.

use crate::fixed::{scale, shift_right_rounded};

/// Fraction bits of a probability.
pub(crate) const PROBABILITY_BITS: u32 = 24;
/// Fraction bits of a loss (in nats).
pub(crate) const LOSS_BITS: u32 = 16;

/// log2(e) and ln(2) in units of 2^-32.
pub(crate) const LOG2_E: u64 = 6_196_328_019;
const LN_2: u64 = 2_977_044_472;

/// Distances are clamped to 2^16 nats: far beyond where an exponential is zero, and no sum of losses overflows.
const DISTANCE_MAX: i64 = 1 << 32;

/// `EXP2[i] = 2^(-i/256)` in units of 2^-31, from repeated integer square roots of one half.
pub(crate) const EXP2: [u32; 257] = {
    let mut table = [0u32; 257];
    let mut i = 0;
    while i <= 256 {
        let mut product: u128 = 1 << 62;
        let mut root: u128 = 1 << 61;
        if i == 256 {
            product = root;
        }
        let mut bit = 8;
        while bit > 0 {
            bit -= 1;
            // 2^(-2^(bit-8)): the square root of the one before.
            root = (root << 62).isqrt();
            if i & (1 << bit) != 0 && i < 256 {
                product = (product * root) >> 62;
            }
        }
        table[i] = ((product + (1 << 30)) >> 31) as u32;
        i += 1;
    }
    table
};

/// `exp(-distance)` in units of 2^-31, for a distance in units of 2^-16.
pub(crate) fn exp_negative(distance: i64) -> u64 {
    // Beyond 32 nats the result is zero, by the last shift; the clamp keeps the product below 2^54.
    let exponent = (distance.unsigned_abs().min(32 << 16) * LOG2_E) >> 32;
    let whole = exponent >> 16;
    let place = ((exponent >> 8) & 0xff) as usize;
    let rest = exponent & 0xff;
    let (high, low) = (u64::from(EXP2[place]), u64::from(EXP2[place + 1]));
    (high - (((high - low) * rest) >> 8)) >> whole
}

/// The distance of a logit to the largest one in units of 2^-16, at most [`DISTANCE_MAX`].
pub(crate) fn distance(largest: i64, logit: i64, exponent: i32) -> i64 {
    let power = LOSS_BITS as i32 - exponent;
    if (-62..0).contains(&power) {
        // The usual case, without the others' branches; a distance is not negative.
        return shift_right_rounded(largest - logit, power.unsigned_abs()).min(DISTANCE_MAX);
    }
    scale(largest - logit, power, DISTANCE_MAX)
}

/// The class with the largest logit; the first one of several.
pub(crate) fn argmax(logits: &[i64]) -> usize {
    let mut best = 0;
    for (class, logit) in logits.iter().enumerate() {
        if *logit > logits[best] {
            best = class;
        }
    }
    best
}

/// The sum of a row's exponentials, and what stands for the division by it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Total {
    pub(crate) sum: u64,
    pub(crate) inverse: u64,
}

/// Writes the gradients of the cross-entropy by the logits, `p - onehot(label)`, in units of 2^-24: a row for each label. All
/// exponentials first, then all divisions, so that none has to wait for the end of its own row.
pub(crate) fn gradient(
    logits: &[i64],
    exponent: i32,
    labels: impl ExactSizeIterator<Item = usize>,
    totals: &mut [Total],
    out: &mut [i64],
) {
    let classes = logits.len() / labels.len();
    let rows = logits
        .chunks_exact(classes)
        .zip(out.chunks_exact_mut(classes));
    for ((logits, out), total) in rows.zip(&mut *totals) {
        let largest = logits
            .iter()
            .fold(i64::MIN, |largest, &logit| largest.max(logit));
        total.sum = 0;
        for (out, &logit) in out.iter_mut().zip(logits) {
            let exponential = exp_negative(distance(largest, logit, exponent));
            *out = exponential.cast_signed();
            total.sum += exponential;
        }
    }
    // The largest logit contributes 2^31, at most 256 classes: 2^31 <= sum <= 2^39, and 2^(31+24) fits.
    for total in &mut totals[..labels.len()] {
        total.inverse = u64::MAX / total.sum;
    }
    for ((out, total), label) in out.chunks_exact_mut(classes).zip(totals).zip(labels) {
        for out in &mut *out {
            let numerator = (out.unsigned_abs() << PROBABILITY_BITS) + total.sum / 2;
            *out = divide(numerator, total.sum, total.inverse).cast_signed();
        }
        out[label] -= 1 << PROBABILITY_BITS;
    }
}

/// `numerator / divisor` with `inverse = (2^64 - 1) / divisor`, for divisors of at most 2^39 and quotients of at most 2^25: then
/// the product with the inverse is at most one too small. One division for a whole row of classes.
#[inline]
fn divide(numerator: u64, divisor: u64, inverse: u64) -> u64 {
    let quotient = ((u128::from(numerator) * u128::from(inverse)) >> 64) as u64;
    quotient + u64::from(numerator - quotient * divisor >= divisor)
}

/// The cross-entropy `-ln p(label)` in units of 2^-16.
pub(crate) fn loss(logits: &[i64], exponent: i32, label: usize) -> u64 {
    let largest = logits.iter().copied().max().unwrap_or(0);
    let sum: u64 = logits
        .iter()
        .map(|&logit| exp_negative(distance(largest, logit, exponent)))
        .sum();
    let own = distance(largest, logits[label], exponent).unsigned_abs();
    own + ((log2_above_31(sum) * LN_2) >> 32)
}

/// `log2(value / 2^31)` in units of 2^-16, for a value of at least 2^31: the whole part by counting zeros, then a bit
/// of the fraction for every squaring.
fn log2_above_31(value: u64) -> u64 {
    let whole = 32 - u64::from(value.leading_zeros());
    let mut mantissa = value >> whole;
    let mut result = whole;
    for _ in 0..16 {
        mantissa = (mantissa * mantissa) >> 31;
        result <<= 1;
        if mantissa >= 1 << 32 {
            mantissa >>= 1;
            result |= 1;
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one_gradient(logits: &[i64], exponent: i32, label: usize, out: &mut [i64]) {
        gradient(
            logits,
            exponent,
            [label].into_iter(),
            &mut [Total::default()],
            out,
        );
    }

    #[test]
    fn the_table_is_the_power_of_two() {
        for (i, &entry) in EXP2.iter().enumerate() {
            let exact = 2f64.powf(-(i as f64) / 256.0) * 2f64.powi(31);
            assert!((f64::from(entry) - exact).abs() <= 0.51, "{i}");
        }
    }

    #[test]
    fn the_exponential_is_close_everywhere() {
        for d in (0..12 * 65536).step_by(7) {
            let exact = (-(d as f64) / 65536.0).exp();
            let found = exp_negative(d) as f64 / 2f64.powi(31);
            assert!(
                (found - exact).abs() < 2e-5 * exact + 2f64.powi(-31),
                "{d}: {found} {exact}"
            );
        }
        assert_eq!(exp_negative(0), 1 << 31);
        assert_eq!(exp_negative(DISTANCE_MAX), 0);
    }

    #[test]
    fn gradient_and_loss_follow_the_definition() {
        let logits = [3 << 20, -(1 << 20), 5 << 19, 0];
        let exact: Vec<f64> = logits
            .iter()
            .map(|&z| (z as f64 / 2f64.powi(20)).exp())
            .collect();
        let total: f64 = exact.iter().sum();
        for label in 0..4 {
            let mut out = [0; 4];
            one_gradient(&logits, 20, label, &mut out);
            for class in 0..4 {
                let p = exact[class] / total - if class == label { 1.0 } else { 0.0 };
                assert!((out[class] as f64 / 2f64.powi(24) - p).abs() < 1e-4);
            }
            let exact_loss = -(exact[label] / total).ln();
            assert!((loss(&logits, 20, label) as f64 / 65536.0 - exact_loss).abs() < 1e-4);
        }
    }

    #[test]
    fn division_by_the_inverse_is_the_division() {
        for divisor in [
            1 << 31,
            (1 << 31) + 1,
            3_333_333_333,
            (1 << 39) - 1,
            1 << 39,
        ] {
            let inverse = u64::MAX / divisor;
            for quotient in [0, 1, 2, 77_777, (1 << 24) - 1, 1 << 24] {
                for rest in [0, 1, divisor / 2, divisor - 1] {
                    let numerator = quotient * divisor + rest;
                    assert_eq!(divide(numerator, divisor, inverse), quotient);
                }
            }
        }
    }

    #[test]
    fn huge_logits_do_not_overflow() {
        let logits = [1 << 57, -(1 << 57)];
        for exponent in [-100, 0, 48] {
            let mut out = [0; 2];
            one_gradient(&logits, exponent, 1, &mut out);
            assert_eq!(out, [1 << 24, -(1 << 24)], "{exponent}");
            assert!(loss(&logits, exponent, 1) >= 1 << 25);
            assert_eq!(loss(&logits, exponent, 0), 0);
        }
        assert_eq!(argmax(&[1, 7, 7, -3]), 1);
    }
}
