//! The geometric median by the smoothed Weiszfeld iteration in integers.
//!
//! From zero, a fixed number of times, `z = sum w_g x_g / sum w_g` with weights inversely proportional to the distances
//! `||x_g - z||`, none of which counts as less than one unit of an update (Pillutla, Kakade, Harchaoui 2022; byzfl's
//! `GeometricMedian` with `nu = 1`).
//!
//! * Distances are integer square roots of exact sums of squares: below 2^61.
//! * Weights are `floor(2^30 nearest / distance)`: the nearest point has 2^30, and one that is 2^30 times as far has none.
//! * `z` is rounded as means are: a mean of the points, so that it stays in their range.

use super::Estimate;
use super::points::{ONE, Points, quotient, squared_distance};
use alloc::vec;
use alloc::vec::Vec;

/// Bits of the nearest point's weight.
const WEIGHT_BITS: u32 = 30;

/// The geometric median.
pub(super) fn median(points: &Points, iterations: u8) -> Estimate {
    let mut z = vec![0i64; points.length()];
    for _ in 0..iterations {
        let distances = points.0.iter().map(|point| {
            let squared = squared_distance(point, &z);
            squared.isqrt().max(u128::from(ONE))
        });
        let distances: Vec<u128> = distances.collect();
        let nearest = distances.iter().copied().min().unwrap_or(1);
        let weight = |distance: &u128| {
            i128::try_from((nearest << WEIGHT_BITS) / distance).expect("at most 2^30")
        };
        let weights: Vec<i128> = distances.iter().map(weight).collect();
        // At most 64 * 2^30, and 64 products below 2^77 each.
        let total: i128 = weights.iter().sum();
        for (coordinate, value) in z.iter_mut().enumerate() {
            let terms = points.0.iter().zip(&weights);
            let sum = terms
                .map(|(point, weight)| i128::from(point[coordinate]) * weight)
                .sum();
            *value = quotient(sum, total);
        }
    }
    Estimate {
        numerators: z,
        denominator: ONE,
    }
}
