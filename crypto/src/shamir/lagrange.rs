//! Interpolation through the stewards' answers (`docs/protocol.md`, section 4.7).

use super::{ShamirError, ShareSum};
use crate::field;
use crate::mask::KeySum;
use crate::params::{MAX_STEWARDS, N};

/// The weights with which the values at `points` (distinct, public) give the value at `x`.
pub(super) fn coefficients_at(points: &[u8], x: u8) -> Vec<u32> {
    let x = u32::from(x);
    points
        .iter()
        .map(|&i| {
            let i = u32::from(i);
            let (mut numerator, mut denominator) = (1, 1);
            for j in points.iter().map(|&j| u32::from(j)).filter(|&j| j != i) {
                numerator = field::mul(numerator, field::sub(x, j));
                denominator = field::mul(denominator, field::sub(i, j));
            }
            field::mul(numerator, field::inv(denominator))
        })
        .collect()
}

/// At least one point, all of them stewards' and distinct.
pub(super) fn check_points(points: &[u8]) -> Result<(), ShamirError> {
    if points.is_empty() {
        return Err(ShamirError::NoPoints);
    }
    for (at, &point) in points.iter().enumerate() {
        let in_range = (1..=MAX_STEWARDS).contains(&usize::from(point));
        if !in_range || points[..at].contains(&point) {
            return Err(ShamirError::Point { point });
        }
    }
    Ok(())
}

/// The weights with which the values at `points` give the value at `x`.
///
/// # Errors
/// As [`reconstruct`].
pub(crate) fn weights_at(points: &[u8], x: u8) -> Result<Vec<u32>, ShamirError> {
    check_points(points)?;
    Ok(coefficients_at(points, x))
}

fn combine(points: &[(u8, &ShareSum)], x: u8) -> Result<Box<[u32; N]>, ShamirError> {
    let indices: Vec<u8> = points.iter().map(|&(point, _)| point).collect();
    check_points(&indices)?;
    let mut out = Box::new([0; N]);
    for (weight, (_, answer)) in coefficients_at(&indices, x).into_iter().zip(points) {
        for (sum, &element) in out.iter_mut().zip(answer.0.iter()) {
            *sum = field::add(*sum, field::mul(weight, element));
        }
    }
    Ok(out)
}

/// The sum of keys that exactly T answers determine: the value at 0 of the polynomials through them. With a
/// wrong answer among them, or with fewer than T (this function does not know T), it is a wrong sum, which the
/// check coordinates show.
///
/// # Errors
/// [`ShamirError::NoPoints`]; [`ShamirError::Point`] for a point that is 0, above 16 or given twice.
pub fn reconstruct(points: &[(u8, &ShareSum)]) -> Result<KeySum, ShamirError> {
    combine(points, 0).map(KeySum)
}

/// The value at `x` of the polynomials through `points`: what the steward at `x` must have answered.
///
/// # Errors
/// As [`reconstruct`].
pub fn interpolate_at(points: &[(u8, &ShareSum)], x: u8) -> Result<ShareSum, ShamirError> {
    combine(points, x).map(ShareSum)
}
