//! The means of groups as fixed-point vectors.
//!
//! A number is in units of 2^-16 of a unit of an update, rounded to nearest, ties to even. A sum of 32 bits over one
//! member or more is at most 2^47 in these units, and so is every mean of such numbers: differences are at most 2^48,
//! squares 2^96, and the sum of 2^24 of those 2^120. Nothing that follows overflows.

use super::{GroupSum, RobustError};
use crate::fixed::div_half_even;
use alloc::vec::Vec;

/// Bits below a unit of an update.
pub(super) const FRACTION_BITS: u32 = 16;

/// A unit of an update.
pub(super) const ONE: u64 = 1 << FRACTION_BITS;

const MAX_COORDINATES: usize = crate::spec::MAX_PARAMETERS;

/// Vectors of one length, at most 2^24; numbers are at most 2^47 in magnitude.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Points(pub(super) Vec<Vec<i64>>);

impl Points {
    /// The means.
    pub(super) fn of_groups(groups: &[GroupSum<'_>]) -> Result<Self, RobustError> {
        let length = groups.first().map_or(0, |group| group.sum.len());
        if groups.iter().any(|group| group.sum.len() != length) {
            return Err(RobustError::Lengths);
        }
        if length > MAX_COORDINATES {
            return Err(RobustError::TooLong);
        }
        let mean = |group: &GroupSum<'_>| {
            let members = i128::from(group.members);
            if members == 0 {
                return Err(RobustError::Empty);
            }
            let scaled = group
                .sum
                .iter()
                .map(|value| i128::from(*value) << FRACTION_BITS);
            Ok(scaled.map(|value| quotient(value, members)).collect())
        };
        groups.iter().map(mean).collect::<Result<_, _>>().map(Self)
    }

    /// How many.
    pub(super) fn count(&self) -> usize {
        self.0.len()
    }

    /// Number of coordinates.
    pub(super) fn length(&self) -> usize {
        self.0.first().map_or(0, Vec::len)
    }
}

/// A mean of numbers that fit: the quotient fits too.
pub(super) fn quotient(numerator: i128, denominator: i128) -> i64 {
    i64::try_from(div_half_even(numerator, denominator))
        .expect("a mean is in the range of its numbers")
}

/// The square of the distance of two vectors.
pub(super) fn squared_distance(a: &[i64], b: &[i64]) -> u128 {
    a.iter()
        .zip(b)
        .map(|(a, b)| {
            let difference = u128::from(a.abs_diff(*b));
            difference * difference
        })
        .sum()
}
