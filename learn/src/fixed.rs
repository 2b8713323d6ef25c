//! Fixed-point numbers: the format of master weights, rounding, and the narrowing of a tensor to small mantissas
//! that share one power-of-two exponent.
//!
//! A tensor with exponent `e` and mantissas `m` stands for the numbers `m * 2^-e`.

/// Fraction bits of a master weight: a weight `w` is stored as `w * 2^24` in an `i32`, range -128..128.
///
/// The resolution of 6e-8 is that of an `f32` near one, so that small gradient steps do not vanish, and weights of
/// models on scaled inputs stay far below 128.
pub const MASTER_FRACTION_BITS: u32 = 24;

/// Largest magnitude of a master weight. The range is symmetric; everything beyond saturates.
pub const MASTER_MAX: i32 = i32::MAX;

/// Magnitude bits of a mantissa in a matrix product.
///
/// Two mantissas multiply to less than 2^24, so that [`crate::layer::BLOCK`] = 128 products sum to less than 2^31.
pub(crate) const MANTISSA_BITS: u32 = 12;

/// Largest magnitude of a mantissa.
pub(crate) const MANTISSA_MAX: i64 = (1 << MANTISSA_BITS) - 1;

/// Activations and weights are not resolved finer than 2^-24: it bounds the exponent of every accumulator by 48.
pub(crate) const ACTIVATION_EXPONENT_MAX: i32 = 24;

/// Gradients are not resolved finer than 2^-32.
pub(crate) const GRADIENT_EXPONENT_MAX: i32 = 32;

/// `v / 2^shift` rounded to nearest, ties towards plus infinity. Needs `|v| <= 2^62`.
#[inline]
pub(crate) fn shift_right_rounded(v: i64, shift: u32) -> i64 {
    match shift {
        0 => v,
        1..=62 => (v + (1 << (shift - 1))) >> shift,
        _ => 0,
    }
}

/// `v * 2^power`, rounded as [`shift_right_rounded`] does, clamped to `-limit..=limit`. Needs `|v| <= 2^62`.
#[inline]
pub(crate) fn scale(v: i64, power: i32, limit: i64) -> i64 {
    if power <= 0 {
        return shift_right_rounded(v, power.unsigned_abs()).clamp(-limit, limit);
    }
    let shift = power.unsigned_abs();
    if v == 0 {
        0
    } else if shift >= 63 || v.unsigned_abs() > (limit.unsigned_abs() >> shift) {
        limit * v.signum()
    } else {
        v << shift
    }
}

/// `numerator / denominator` rounded to nearest, ties to even; the denominator is positive.
pub(crate) fn div_half_even(numerator: i128, denominator: i128) -> i128 {
    let floor = numerator.div_euclid(denominator);
    let twice = 2 * numerator.rem_euclid(denominator);
    match twice.cmp(&denominator) {
        core::cmp::Ordering::Less => floor,
        core::cmp::Ordering::Greater => floor + 1,
        core::cmp::Ordering::Equal => floor + (floor & 1),
    }
}

/// Clamps to the range of master weights.
#[inline]
pub(crate) fn to_master(v: i64) -> i32 {
    let limit = i64::from(MASTER_MAX);
    i32::try_from(v.clamp(-limit, limit)).expect("clamped to the range of i32")
}

/// The shift that narrows values of at most `bits` magnitude bits to mantissas of [`MANTISSA_BITS`]. The exponent, from which
/// the shift is then subtracted, never exceeds `exponent_max`.
pub(crate) fn narrowing(bits: u32, exponent: i32, exponent_max: i32) -> u32 {
    bits.saturating_sub(MANTISSA_BITS)
        .max(u32::try_from(exponent - exponent_max).unwrap_or(0))
}

/// A bound of the mantissas that a [`narrowing`] gives.
pub(crate) fn largest_mantissa(bits: u32, shift: u32) -> u32 {
    if shift == 0 {
        (1 << bits) - 1
    } else {
        // Rounding up may take one bit more than is left, but not beyond the clamp.
        (1 << bits.saturating_sub(shift)).min(MANTISSA_MAX as u32)
    }
}

/// A value as a mantissa. The largest may round up to 2^12; it is clamped to 2^12 - 1.
#[inline]
pub(crate) fn mantissa(value: i64, shift: u32) -> i16 {
    shift_right_rounded(value, shift).clamp(-MANTISSA_MAX, MANTISSA_MAX) as i16
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn rounding_is_to_nearest_with_ties_up() {
        assert_eq!(shift_right_rounded(5, 1), 3);
        assert_eq!(shift_right_rounded(-5, 1), -2);
        assert_eq!(shift_right_rounded(-7, 2), -2);
        assert_eq!(shift_right_rounded(1 << 62, 63), 0);
        assert_eq!(shift_right_rounded(-(1 << 62), 62), -1);
    }

    #[test]
    fn scaling_saturates_on_both_sides() {
        assert_eq!(scale(3, 4, 1000), 48);
        assert_eq!(scale(3, 40, 1000), 1000);
        assert_eq!(scale(-3, 400, 1000), -1000);
        assert_eq!(scale(0, 400, 1000), 0);
        assert_eq!(scale(-5000, 0, 1000), -1000);
    }

    #[test]
    fn narrowing_follows_the_largest_magnitude() {
        let narrow = |values: &[i64], exponent, exponent_max| {
            let magnitudes = values
                .iter()
                .fold(0, |all, value| all | value.unsigned_abs());
            let bits = u64::BITS - magnitudes.leading_zeros();
            let shift = narrowing(bits, exponent, exponent_max);
            let mantissas: Vec<i16> = values.iter().map(|&value| mantissa(value, shift)).collect();
            let largest = largest_mantissa(bits, shift);
            assert!(
                mantissas
                    .iter()
                    .all(|m| u32::from(m.unsigned_abs()) <= largest)
            );
            (exponent - shift as i32, mantissas)
        };
        let (low, high) = (i64::from(i32::MIN), i64::from(i32::MAX));
        assert_eq!(
            narrow(&[low, high, 1 << 20], 24, 24),
            (4, vec![-2048, 2048, 1])
        );
        assert_eq!(narrow(&[-4095, 17, 0], 10, 24), (10, vec![-4095, 17, 0]));
        assert_eq!(narrow(&[8191, -8191, 0], 10, 24), (9, vec![4095, -4095, 0]));
        assert_eq!(narrow(&[100, 0, 0], 30, 24), (24, vec![2, 0, 0]));
        assert_eq!(narrow(&[127, 0, 0], 30, 24), (24, vec![2, 0, 0]));
        assert_eq!(narrow(&[0], 48, 24), (24, vec![0]));
    }

    proptest! {
        #[test]
        fn division_is_the_nearest_integer(numerator in -(1i128 << 90)..1i128 << 90, denominator in 1i128..1 << 32) {
            let quotient = div_half_even(numerator, denominator);
            let error = 2 * (numerator - quotient * denominator).abs();
            prop_assert!(error <= denominator);
            prop_assert!(error < denominator || quotient & 1 == 0);
        }
    }
}
