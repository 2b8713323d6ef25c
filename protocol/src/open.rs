//! The sum of a round, and who answered wrongly (`docs/protocol.md`, section 4.7). A pure function
//! of the accepted payloads' sum and the stewards' answers.
//!
//! T answers determine a polynomial and with it a candidate for the sum of the mask keys. A
//! candidate is *small* when unmasking with it leaves every coordinate, check coordinates included,
//! within `|U| gamma B`. A wrong key sum that is small everywhere is a short vector of a Ring-SIS
//! lattice of at least 2N coordinates, also for somebody who chooses it. All T-subsets are tried in
//! lexicographic order of their points (those on a polynomial that was already tried are skipped).
//!
//! 1. The small candidate is the sum. What every accepted device has masked with is what it has shared,
//!    which the linear check has shown, so that the honest answers' candidate is small, and only it.
//!    Two small candidates with different key sums abort the round.
//! 2. An answer that is off the honest polynomial is a lie, and its steward is named. The honest
//!    polynomial is the one of the sum with at least A - 1 answers: f liars can tell errors that cancel
//!    at 0, so that another polynomial gives the sum too, but that one has in common with the honest one
//!    at most T - 2 answers, and so at most A - 2 in all. With f <= 1 that is fewer than T. This holds while
//!    the scalars of the linear checks are true, which auditors recompute before they look at names.

use dawn_crypto::field;
use dawn_crypto::mask::{KeySum, PublicMatrix, Unmasker};
use dawn_crypto::params::{Dimension, N};
use dawn_crypto::shamir::{ShareSum, Threshold, interpolate_at, reconstruct};

use crate::subsets::{Subsets, chosen};
use crate::terminal::AbortReason;

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
    /// The points of T answers that open it: the first that are right.
    pub points: Vec<u8>,
    /// The points of the answers that are surely wrong.
    pub culprits: Vec<u8>,
}

/// Opens a sum with the stewards' answers, given with their points in increasing order. `bound` is the
/// largest magnitude of a coordinate ([`crate::Judged::bound`]).
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
    bound: u64,
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
    let mut sum: Option<(KeySum, Vec<i32>)> = None;
    // The polynomials of the sum, as sets of the answers that lie on them.
    let mut right: Vec<u32> = Vec::new();
    // All polynomials that were looked at and have more than T answers.
    let mut tried: Vec<u32> = Vec::new();
    for subset in Subsets::new(answers.len(), t) {
        if tried.iter().any(|group| subset & !group == 0) {
            continue;
        }
        let polynomial = Polynomial::through(subset, answers);
        if polynomial.group != subset {
            tried.push(polynomial.group);
        }
        match &sum {
            Some((key, _)) if *key == polynomial.key => right.push(polynomial.group),
            known => {
                let Some(values) = unmask_small(masked, bound, &polynomial.key) else {
                    continue;
                };
                if known.is_some() {
                    return Err(AbortReason::AmbiguousOpening);
                }
                sum = Some((polynomial.key, values));
                right.push(polynomial.group);
            }
        }
    }
    let (_, sum) = sum.ok_or(AbortReason::NoSmallOpening)?;
    let honest = |group: &&u32| group.count_ones() + 1 >= u32::from(threshold.a());
    let mut honest = right.iter().filter(honest);
    let believed = honest.next().copied().filter(|_| honest.next().is_none());
    let points_of = |group: u32| chosen(group, answers).map(|(point, _)| *point);
    Ok(OpenedSum {
        sum,
        points: points_of(believed.unwrap_or(right[0])).take(t).collect(),
        culprits: believed.map_or_else(Vec::new, |group| points_of(!group).collect()),
    })
}

/// The polynomial through T answers.
struct Polynomial {
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
        Self { group, key }
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
fn unmask_small(masked: &MaskedSum<'_>, bound: u64, key: &KeySum) -> Option<Vec<i32>> {
    let dimension = masked.dimension;
    let unmasker = Unmasker::new(masked.matrix, key);
    let first_check = dimension.check_range().start;
    let small_block = |block: usize| {
        let words = &masked.words[block * N..(block + 1) * N];
        let values = unmasker.block(block, words).expect("a block has N words");
        let small = values.iter().all(|v| u64::from(v.unsigned_abs()) <= bound);
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
