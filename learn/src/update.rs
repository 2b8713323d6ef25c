//! The rule that turns a round's sum into the next model.

use crate::fixed::{MASTER_MAX, div_half_even};
use crate::model::Model;
use crate::quantise::MAX_UPDATE_SHIFT;
use crate::spec::ModelSpec;
use alloc::boxed::Box;

/// Why a sum cannot be applied.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UpdateError {
    /// The sum has another length than an update.
    #[error("the sum has {sum} coordinates, an update {coordinates}")]
    Length {
        /// Coordinates of the sum.
        sum: usize,
        /// Coordinates of an update.
        coordinates: usize,
    },
    /// The model is not of the task's shape.
    #[error("the model is a {found}, and the task's a {expected}")]
    Model {
        /// The task's.
        expected: Box<ModelSpec>,
        /// What was given.
        found: Box<ModelSpec>,
    },
    /// The task distils, and the student cannot be trained.
    #[error("the student cannot be trained: {0}")]
    Student(Box<crate::train::TrainError>),
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
    apply_mean(model, sum, count.into(), update_shift)
}

/// [`apply_update`] for a mean that has been made otherwise, as a robust rule does ([`crate::robust::Estimate`]): with
/// numerators in the place of the sum, and their denominator in that of the count.
///
/// # Errors
/// As [`apply_update`].
pub fn apply_mean<S: Copy + Into<i64>>(
    model: &Model,
    numerators: &[S],
    denominator: u64,
    update_shift: u8,
) -> Result<Model, UpdateError> {
    check_mean(
        numerators.len(),
        model.weights().len(),
        denominator,
        update_shift,
    )?;
    let mut next = model.clone();
    let whole = i128::from(denominator);
    for (weight, &numerator) in next.weights_mut().iter_mut().zip(numerators) {
        *weight = moved(*weight, i128::from(numerator.into()), whole, update_shift);
    }
    Ok(next)
}

/// Checks what a mean is applied with.
pub(crate) fn check_mean(
    sum: usize,
    coordinates: usize,
    denominator: u64,
    update_shift: u8,
) -> Result<(), UpdateError> {
    if sum != coordinates {
        return Err(UpdateError::Length { sum, coordinates });
    }
    if denominator == 0 {
        return Err(UpdateError::NoUpdates);
    }
    if update_shift > MAX_UPDATE_SHIFT {
        return Err(UpdateError::Shift(update_shift));
    }
    Ok(())
}

/// A weight after a step of `numerator * 2^shift / denominator`, the numerator below 2^80: exact until it is rounded.
pub(crate) fn moved(weight: i32, numerator: i128, denominator: i128, shift: u8) -> i32 {
    let step = div_half_even(numerator << shift, denominator);
    let limit = i128::from(MASTER_MAX);
    let moved = (i128::from(weight) + step).clamp(-limit, limit);
    i32::try_from(moved).expect("clamped to the range of i32")
}

#[cfg(test)]
mod tests {
    use super::*;

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
            Err(UpdateError::Length {
                sum: 3,
                coordinates: 4
            })
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
}
