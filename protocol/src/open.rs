//! The sum of a round, and who answered wrongly (`docs/protocol.md`, section 4.7). A pure function
//! of the accepted payloads' sum and the stewards' answers.
//!
//! T answers determine a polynomial and with it a candidate for the sum of the mask keys. A
//! candidate is *small* when unmasking with it leaves every check coordinate within
//! `|U| * 16 sigma_error` and every other one within `|U| * (clip + 16 sigma_error)`. A wrong key
//! sum that is small everywhere is a short vector of a Ring-SIS lattice of at least 2N coordinates,
//! also for somebody who chooses it. All T-subsets are tried in lexicographic order of their points
//! (those on a polynomial that was already tried are skipped).
//!
//! 1. A polynomial with at least A answers (and more than T, when f = 0) is the honest one: T of them are honest, and the honest
//!    answers lie on one polynomial, because every steward that reported `Ok` has checked that the
//!    shares are consistent ([`dawn_crypto::shamir::ConsistencyProof`]). Its candidate is the sum,
//!    or the round does not open: then a device has masked with another key than it shared. All
//!    other answers are lies, and their stewards are named.
//! 2. Without one, the small candidate is the sum, and nobody is named. T-1 honest answers and f
//!    lies can lie on one polynomial, and a device that masked with another key than it shared can
//!    make it the small one. Two small candidates with different key sums abort the round.

use dawn_crypto::field;
use dawn_crypto::mask::{KeySum, PublicMatrix, Unmasker};
use dawn_crypto::params::{Dimension, N};
use dawn_crypto::shamir::{ShareSum, Threshold, interpolate_at, reconstruct};

use crate::terminal::AbortReason;

/// What must be small for an opening to be right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Largest magnitude of a check coordinate of the sum.
    pub check: u64,
    /// Largest magnitude of any other coordinate of the sum.
    pub coordinate: u64,
}

impl Bounds {
    /// The bounds on a sum of `accepted` vectors.
    pub fn new(noise_bound: u64, coordinate_bound: u64, accepted: u32) -> Self {
        let accepted = u64::from(accepted);
        Self {
            check: noise_bound.saturating_mul(accepted),
            coordinate: coordinate_bound.saturating_mul(accepted),
        }
    }
}

/// A masked sum and how it was masked.
#[derive(Clone, Copy, Debug)]
pub struct MaskedSum<'a> {
    /// The round's matrix.
    pub matrix: &'a PublicMatrix,
    /// The dimension.
    pub dimension: Dimension,
    /// The sum of the accepted payloads, `dimension.padded()` canonical words.
    pub words: &'a [u32],
}

/// An opened sum.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenedSum {
    /// The sum's `d` coordinates.
    pub sum: Vec<i32>,
    /// The points of the T answers that it was opened with.
    pub points: Vec<u8>,
    /// The points of the answers that are surely wrong; none when fewer than A agree.
    pub culprits: Vec<u8>,
}

/// Opens a sum with the stewards' answers, given with their points in increasing order.
///
/// # Errors
/// [`AbortReason::TooFewOpenings`] with fewer than T answers, [`AbortReason::NoSmallOpening`],
/// [`AbortReason::AmbiguousOpening`].
///
/// # Panics
/// When `masked.words` does not have the dimension's length, or the points are not distinct points
/// of stewards; [`crate::Judged`] makes sure of both.
pub fn open(
    threshold: &Threshold,
    masked: &MaskedSum<'_>,
    bounds: &Bounds,
    answers: &[(u8, &ShareSum)],
) -> Result<OpenedSum, AbortReason> {
    assert_eq!(
        masked.words.len(),
        masked.dimension.padded(),
        "the sum has the dimension's length"
    );
    let t = usize::from(threshold.t());
    if answers.len() < t {
        return Err(AbortReason::TooFewOpenings);
    }
    let points_of = |bits: u32| {
        let numbered = answers.iter().enumerate();
        numbered
            .filter(|(place, _)| bits >> place & 1 == 1)
            .map(|(_, (point, _))| *point)
            .collect()
    };
    let mut found: Option<(Polynomial, Vec<i32>)> = None;
    // Sets of answers that lie on one polynomial, as bits. Every T-subset inside one of them gives
    // a candidate that has been tried.
    let mut tried: Vec<u32> = Vec::new();
    for subset in Subsets::new(answers.len(), t) {
        if tried.iter().any(|group| subset & !group == 0) {
            continue;
        }
        let polynomial = Polynomial::through(subset, answers);
        tried.push(polynomial.group);
        // With f = 0, A is T, and any T answers lie on a polynomial: one more has to agree.
        let believed = threshold.a().max(threshold.t() + 1);
        let honest = polynomial.group.count_ones() >= u32::from(believed);
        let known = found
            .as_ref()
            .is_some_and(|(found, _)| found.key == polynomial.key);
        if known && !honest {
            continue;
        }
        let sum = unmask_small(masked, bounds, &polynomial.key);
        if honest {
            return Ok(OpenedSum {
                sum: sum.ok_or(AbortReason::NoSmallOpening)?,
                points: points_of(subset),
                culprits: points_of(!polynomial.group),
            });
        }
        if let Some(sum) = sum
            && found.replace((polynomial, sum)).is_some()
        {
            return Err(AbortReason::AmbiguousOpening);
        }
    }
    let (polynomial, sum) = found.ok_or(AbortReason::NoSmallOpening)?;
    Ok(OpenedSum {
        sum,
        points: points_of(polynomial.subset),
        culprits: Vec::new(),
    })
}

/// The polynomial through T answers.
struct Polynomial {
    /// The answers that determine it, as bits.
    subset: u32,
    /// All answers that lie on it, as bits.
    group: u32,
    /// Its value at 0.
    key: KeySum,
}

impl Polynomial {
    fn through(subset: u32, answers: &[(u8, &ShareSum)]) -> Self {
        let (inside, outside): (Vec<_>, Vec<_>) = answers
            .iter()
            .enumerate()
            .partition(|(place, _)| subset >> place & 1 == 1);
        let inside: Vec<(u8, &ShareSum)> = inside.into_iter().map(|(_, answer)| *answer).collect();
        let distinct = "the answers have distinct points between 1 and 16";
        let key = reconstruct(&inside).expect(distinct);
        let mut group = subset;
        for (place, (point, answer)) in outside {
            if may_agree(&inside, *point, answer)
                && interpolate_at(&inside, *point).expect(distinct) == **answer
            {
                group |= 1 << place;
            }
        }
        Self { subset, group, key }
    }
}

/// Whether an answer agrees with the polynomial in its first elements: most that do not agree are
/// told apart by these, so that the many candidates of many liars stay cheap.
fn may_agree(inside: &[(u8, &ShareSum)], point: u8, answer: &ShareSum) -> bool {
    const FIRST: usize = 4;
    let x = u32::from(point);
    let weights: Vec<u32> = inside
        .iter()
        .map(|(i, _)| {
            let i = u32::from(*i);
            let others = inside
                .iter()
                .map(|(j, _)| u32::from(*j))
                .filter(|j| *j != i);
            let (above, below) = others.fold((1, 1), |(above, below), j| {
                let above = field::mul(above, field::sub(x, j));
                (above, field::mul(below, field::sub(i, j)))
            });
            field::mul(above, field::inv(below))
        })
        .collect();
    (0..FIRST).all(|element| {
        let terms = inside.iter().zip(&weights);
        let value = terms.fold(0, |sum, ((_, share), weight)| {
            field::add(sum, field::mul(*weight, share.elements()[element]))
        });
        value == answer.elements()[element]
    })
}

/// The sum's `d` coordinates when all are small. Blocks with check coordinates first: they show a
/// wrong key at once.
fn unmask_small(masked: &MaskedSum<'_>, bounds: &Bounds, key: &KeySum) -> Option<Vec<i32>> {
    let dimension = masked.dimension;
    let unmasker = Unmasker::new(masked.matrix, key);
    let first_check = dimension.check_range().start;
    let small_block = |block: usize| {
        let words = &masked.words[block * N..(block + 1) * N];
        let values = unmasker.block(block, words).expect("a block has N words");
        let small = values.iter().zip(block * N..).all(|(value, index)| {
            let bound = if index < first_check {
                bounds.coordinate
            } else {
                bounds.check
            };
            u64::from(value.unsigned_abs()) <= bound
        });
        small.then_some(values)
    };
    let check_from = first_check / N;
    let mut tail = Vec::with_capacity((dimension.blocks() - check_from) * N);
    for block in (check_from..dimension.blocks()).rev() {
        // The last block has nothing but check coordinates; it is tried first.
        let mut values = small_block(block)?;
        values.append(&mut tail);
        tail = values;
    }
    let mut sum = Vec::with_capacity(dimension.padded());
    for block in 0..check_from {
        sum.extend(small_block(block)?);
    }
    sum.append(&mut tail);
    sum.truncate(dimension.coordinates());
    Some(sum)
}

/// All subsets of `size` of `0..count` as bits, in lexicographic order of the sorted elements.
struct Subsets {
    count: usize,
    next: Option<Vec<usize>>,
}

impl Subsets {
    fn new(count: usize, size: usize) -> Self {
        Self {
            count,
            next: (size <= count).then(|| (0..size).collect()),
        }
    }
}

impl Iterator for Subsets {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        let current = self.next.take()?;
        let size = current.len();
        let bits = current.iter().fold(0, |bits, element| bits | 1 << element);
        let movable = (0..size)
            .rev()
            .find(|place| current[*place] < self.count - size + place);
        if let Some(place) = movable {
            let mut following = current;
            let moved = following[place] + 1;
            for (offset, element) in following[place..].iter_mut().enumerate() {
                *element = moved + offset;
            }
            self.next = Some(following);
        }
        Some(bits)
    }
}

#[cfg(test)]
mod tests {
    use super::Subsets;

    #[test]
    fn subsets_are_all_and_in_order() {
        let elements = |bits: u32| (0..6u32).filter(|i| bits >> i & 1 == 1).collect::<Vec<_>>();
        let all: Vec<_> = Subsets::new(6, 4).map(elements).collect();
        assert_eq!(all.len(), 15);
        assert_eq!(all[0], [0, 1, 2, 3]);
        assert_eq!(all[14], [2, 3, 4, 5]);
        assert!(all.windows(2).all(|pair| pair[0] < pair[1]));
        assert_eq!(Subsets::new(3, 4).count(), 0);
        assert_eq!(Subsets::new(16, 9).count(), 11440);
    }
}
