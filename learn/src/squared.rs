//! Squared error in integers, for models that predict numbers.

use crate::data::Targets;
use crate::fixed::scale;

/// Fraction bits of a residual, as many as a probability has: the gradient of either loss is narrowed alike.
pub(crate) const RESIDUAL_BITS: u32 = crate::softmax::PROBABILITY_BITS;
/// Bound of a residual: 2^16, twice the largest target.
const RESIDUAL_MAX: i64 = 1 << (16 + RESIDUAL_BITS);
/// Units of a sum of squared residuals in a unit of a loss, as a shift.
const SQUARE_TO_LOSS: u32 = 2 * RESIDUAL_BITS - crate::softmax::LOSS_BITS;

/// What an output has too much, in units of 2^-24. An output is below 2^57; a target has an exponent of at most 15.
pub(crate) fn residual(
    (output, exponent): (i64, i32),
    (target, target_exponent): (i16, u8),
) -> i64 {
    let output = scale(output, RESIDUAL_BITS as i32 - exponent, RESIDUAL_MAX);
    let target = i64::from(target) << (RESIDUAL_BITS - u32::from(target_exponent));
    (output - target).clamp(-RESIDUAL_MAX, RESIDUAL_MAX)
}

/// The sum of a sample's squared residuals, in units of 2^-48.
pub(crate) fn squares(
    (outputs, exponent): (&[i64], i32),
    targets: &Targets,
    sample: usize,
) -> u128 {
    let pairs = outputs.iter().zip(targets.row(sample));
    pairs
        .map(|(&output, &target)| {
            let target = (target, targets.exponent());
            u128::from(residual((output, exponent), target).unsigned_abs()).pow(2)
        })
        .sum()
}

/// The squared error of so many samples as a loss, in units of 2^-16: from the sum of the squared residuals, which are at most
/// 2^80 each, 2^32 of them.
pub(crate) fn loss(squares: u128) -> u64 {
    let rounded = (squares + (1 << (SQUARE_TO_LOSS - 1))) >> SQUARE_TO_LOSS;
    u64::try_from(rounded).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_residual_is_the_difference() {
        // 3.5 - 1.25 and 3.5 + 1.25.
        assert_eq!(residual((7 << 20, 21), (5, 2)), 9 << 22);
        assert_eq!(residual((7 << 20, 21), (-5, 2)), 19 << 22);
        assert_eq!(residual((7, 1), (i16::MIN, 15)), 9 << 23);
        assert_eq!(residual((3, 25), (0, 0)), 2, "to nearest");
    }

    #[test]
    fn residuals_at_the_extremes_are_clamped() {
        for output in [1 << 57, -(1 << 57)] {
            for exponent in [-300, 0, 24] {
                for target in [i16::MIN, i16::MAX] {
                    let found = residual((output, exponent), (target, 0));
                    assert!(found.abs() <= RESIDUAL_MAX);
                    assert_eq!(found.signum(), output.signum());
                }
            }
        }
        assert_eq!(residual((1 << 57, 300), (0, 0)), 0);
        let least = i64::from(i16::MIN) << RESIDUAL_BITS;
        assert_eq!(residual((0, 0), (i16::MIN, 0)), -least);
    }

    #[test]
    fn a_loss_is_the_rounded_sum_of_squares() {
        // Half squared is a quarter.
        assert_eq!(loss((1 << 23) * (1 << 23)), 1 << 14);
        assert_eq!(loss((1 << 31) - 1), 0);
        assert_eq!(loss(1 << 31), 1);
        assert_eq!(loss(1 << 112), u64::MAX);
    }
}
