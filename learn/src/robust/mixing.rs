//! Nearest-neighbour mixing (Allouah et al. 2023, "Fixing by Mixing"): every point becomes the mean of the k points that
//! are nearest to it, itself included, so that honest points that differ because their data do come closer together.

use super::points::{Points, quotient, squared_distance};
use alloc::vec::Vec;

/// Every point's mean of its `neighbours` nearest, rounded as means are. Distances are exact; of two that are as far, the
/// first is nearer.
pub(super) fn nearest(points: &Points, neighbours: usize) -> Points {
    let count = points.count();
    let from = |point: &Vec<i64>| -> Vec<u128> {
        let others = points.0.iter();
        others.map(|other| squared_distance(point, other)).collect()
    };
    let distances: Vec<Vec<u128>> = points.0.iter().map(from).collect();
    let mix = |row: &Vec<u128>| {
        let mut order: Vec<usize> = (0..count).collect();
        order.sort_by_key(|other| (row[*other], *other));
        order.truncate(neighbours);
        let sum = |coordinate: usize| {
            order
                .iter()
                .map(|other| points.0[*other][coordinate])
                .sum::<i64>()
        };
        (0..points.length())
            .map(|coordinate| quotient(sum(coordinate).into(), neighbours as i128))
            .collect()
    };
    Points(distances.iter().map(mix).collect())
}
