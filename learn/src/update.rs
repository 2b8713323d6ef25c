//! The rule that turns a round's sum into the next model.

use crate::fixed::MASTER_MAX;
use crate::model::Model;
use crate::quantise::MAX_UPDATE_SHIFT;

/// Why a sum cannot be applied.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UpdateError {
    /// The sum has another length than the model.
    #[error("the sum has {sum} coordinates, the model {model} parameters")]
    Length {
        /// Coordinates of the sum.
        sum: usize,
        /// Parameters of the model.
        model: usize,
    },
    /// Nobody is in the sum.
    #[error("a sum of no updates changes nothing")]
    NoUpdates,
    /// The update shift is out of its range.
    #[error("the update shift must be at most {MAX_UPDATE_SHIFT}, not {0}")]
    Shift(u8),
}

/// The next model: `w + round(sum * 2^update_shift / count)` for every weight, ties to even, saturating at the ends of
/// the symmetric range of master weights ([`MASTER_MAX`]).
///
/// `sum` is the sum of `count` quantised updates, noise included, one number a parameter. Exact integers: everybody
/// who knows the sum computes the same model (`docs/protocol.md`, section 4.1).
///
/// # Errors
/// Lengths differ, the count is zero, or the shift is out of range.
pub fn apply_update<S: Copy + Into<i64>>(
    model: &Model,
    sum: &[S],
    count: u32,
    update_shift: u8,
) -> Result<Model, UpdateError> {
    if sum.len() != model.weights().len() {
        return Err(UpdateError::Length {
            sum: sum.len(),
            model: model.weights().len(),
        });
    }
    if count == 0 {
        return Err(UpdateError::NoUpdates);
    }
    if update_shift > MAX_UPDATE_SHIFT {
        return Err(UpdateError::Shift(update_shift));
    }
    let mut next = model.clone();
    for (weight, &sum) in next.weights_mut().iter_mut().zip(sum) {
        // 63 + 24 bits: exact for every i64.
        let step = div_half_even(i128::from(sum.into()) << update_shift, i128::from(count));
        let limit = i128::from(MASTER_MAX);
        let moved = (i128::from(*weight) + step).clamp(-limit, limit);
        *weight = i32::try_from(moved).expect("clamped to the range of i32");
    }
    Ok(next)
}

/// `numerator / denominator` rounded to nearest, ties to even; the denominator is positive.
pub(crate) fn div_half_even(numerator: i128, denominator: i128) -> i128 {
    let floor = numerator.div_euclid(denominator);
    let twice = 2 * numerator.rem_euclid(denominator);
    match twice.cmp(&denominator) {
        std::cmp::Ordering::Less => floor,
        std::cmp::Ordering::Greater => floor + 1,
        std::cmp::Ordering::Equal => floor + (floor & 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn model(weights: [i32; 4]) -> Model {
        Model::from_weights("logistic:1-2".parse().unwrap(), weights.to_vec()).unwrap()
    }

    #[test]
    fn rounds_ties_to_even() {
        let next = apply_update(&model([0; 4]), &[1, 3, -1, -3], 2, 0).unwrap();
        assert_eq!(next.weights(), [0, 2, 0, -2]);
        let next = apply_update(&model([10, 20, 30, 40]), &[5i64, -5, 7, -7], 3, 1).unwrap();
        assert_eq!(next.weights(), [13, 17, 35, 35]);
    }

    #[test]
    fn saturates_at_both_ends() {
        let start = model([i32::MAX, -i32::MAX, 1, -1]);
        let next = apply_update(&start, &[i64::MAX, i64::MIN, i64::MAX, i64::MIN], 1, 24).unwrap();
        assert_eq!(next.weights(), [i32::MAX, -i32::MAX, i32::MAX, -i32::MAX]);
    }

    #[test]
    fn wrong_arguments_are_refused() {
        let start = model([0; 4]);
        assert_eq!(
            apply_update(&start, &[0; 3], 1, 0),
            Err(UpdateError::Length { sum: 3, model: 4 })
        );
        assert_eq!(
            apply_update(&start, &[0; 4], 0, 0),
            Err(UpdateError::NoUpdates)
        );
        assert_eq!(
            apply_update(&start, &[0; 4], 1, 25),
            Err(UpdateError::Shift(25))
        );
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
