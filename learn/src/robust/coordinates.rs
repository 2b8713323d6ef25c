//! Coordinate-wise rules (Yin, Chen, Ramchandran, Bartlett 2018): of the fixed-point means they are exact.

use super::Estimate;
use super::points::{ONE, Points};
use alloc::vec::Vec;

/// Coordinate-wise median. The two in the middle of an even number are added, and the denominator doubles.
pub(super) fn median(points: &Points) -> Estimate {
    trimmed_mean(points, (points.count() - 1) / 2)
}

/// Coordinate-wise mean without the `cut` smallest and largest; `2 cut` is below the number of points. At most 64 numbers
/// of 47 bits are added.
pub(super) fn trimmed_mean(points: &Points, cut: usize) -> Estimate {
    let kept = points.count() - 2 * cut;
    let mut column = Vec::with_capacity(points.count());
    let numerators = (0..points.length())
        .map(|coordinate| {
            column.clear();
            column.extend(points.0.iter().map(|point| point[coordinate]));
            column.sort_unstable();
            column[cut..cut + kept].iter().sum()
        })
        .collect();
    Estimate {
        numerators,
        denominator: ONE * kept as u64,
    }
}
