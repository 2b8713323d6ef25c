//! The sum of a round, or of each of its groups, and who answered wrongly (`docs/protocol.md`, section 4.7). A pure function
//! of the accepted payloads' sum and the stewards' answers.
//!
//! T answers determine a polynomial and with it a candidate for the sum of the mask keys. A
//! candidate is *small* when unmasking with it leaves every coordinate, check coordinates included,
//! within `|U| gamma B`, or `gamma B` times the members of a group when the task asks for groups. A wrong key sum that is small everywhere is a short vector of a Ring-SIS
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

/// Masked sums and how they were masked: one, or one a group.
#[derive(Clone, Copy, Debug)]
pub struct MaskedSums<'a> {
    /// The round's matrix.
    pub matrix: &'a PublicMatrix,
    /// The dimension.
    pub dimension: Dimension,
    /// For every group the sum of the accepted payloads, `dimension.padded()` canonical words, and the largest magnitude
    /// of a coordinate ([`crate::Judged::bound`]).
    pub groups: &'a [(&'a [u32], u64)],
}

/// Opened sums.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenedSums {
    /// The `d` coordinates of every group's sum.
    pub sums: Vec<Vec<i32>>,
    /// The points of T answers that open it: the first that are right.
    pub points: Vec<u8>,
    /// The points of the answers that are surely wrong.
    pub culprits: Vec<u8>,
}

/// Opens sums with the stewards' answers, one share sum a group, given with their points in increasing order. The sums of
/// all groups are one long vector here: a polynomial has to have all of an answer, and a candidate is small when it is
/// small in every group.
///
/// # Errors
/// [`AbortReason::TooFewOpenings`] with fewer than T answers, [`AbortReason::NoSmallOpening`],
/// [`AbortReason::AmbiguousOpening`].
///
/// # Panics
/// When the masked words do not have the dimension's length, an answer has another number of sums, or the points are not
/// distinct points of stewards; [`crate::Judged`] makes sure of all.
pub fn open(
    threshold: &Threshold,
    masked: &MaskedSums<'_>,
    answers: &[(u8, &[ShareSum])],
) -> Result<OpenedSums, AbortReason> {
    assert!(
        masked
            .groups
            .iter()
            .all(|(words, _)| words.len() == masked.dimension.padded())
            && answers
                .iter()
                .all(|(_, sums)| sums.len() == masked.groups.len()),
        "sums have the dimension's length, and answers a sum for each"
    );
    let t = usize::from(threshold.t());
    if answers.len() < t {
        return Err(AbortReason::TooFewOpenings);
    }
    let mut sums: Option<(Vec<KeySum>, Vec<Vec<i32>>)> = None;
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
        match &sums {
            Some((keys, _)) if *keys == polynomial.keys => right.push(polynomial.group),
            known => {
                let Some(values) = unmask_small(masked, &polynomial.keys) else {
                    continue;
                };
                if known.is_some() {
                    return Err(AbortReason::AmbiguousOpening);
                }
                sums = Some((polynomial.keys, values));
                right.push(polynomial.group);
            }
        }
    }
    let (_, sums) = sums.ok_or(AbortReason::NoSmallOpening)?;
    let honest = |group: &&u32| group.count_ones() + 1 >= u32::from(threshold.a());
    let mut honest = right.iter().filter(honest);
    let believed = honest.next().copied().filter(|_| honest.next().is_none());
    let points_of = |group: u32| chosen(group, answers).map(|(point, _)| *point);
    Ok(OpenedSums {
        sums,
        points: points_of(believed.unwrap_or(right[0])).take(t).collect(),
        culprits: believed.map_or_else(Vec::new, |group| points_of(!group).collect()),
    })
}

/// The polynomials through T answers, one for every element of every group's sum.
struct Polynomial {
    /// All answers that lie on them, as bits.
    group: u32,
    /// Their values at 0, group by group.
    keys: Vec<KeySum>,
}

impl Polynomial {
    fn through(subset: u32, answers: &[(u8, &[ShareSum])]) -> Self {
        let (inside, outside): (Vec<_>, Vec<_>) = answers
            .iter()
            .enumerate()
            .partition(|(place, _)| subset >> place & 1 == 1);
        let sums = inside.first().map_or(0, |(_, (_, sums))| sums.len());
        let inside: Vec<Vec<(u8, &ShareSum)>> = (0..sums)
            .map(|sum| {
                let answers = inside.iter();
                answers
                    .map(|(_, (point, sums))| (*point, &sums[sum]))
                    .collect()
            })
            .collect();
        let distinct = "the answers have distinct points between 1 and 16";
        let keys = inside
            .iter()
            .map(|answers| reconstruct(answers).expect(distinct));
        let mut polynomial = Self {
            group: subset,
            keys: keys.collect(),
        };
        for (place, (point, answer)) in outside {
            let mut sums = inside.iter().zip(*answer);
            if sums.all(|(inside, answer)| {
                may_agree(inside, *point, answer)
                    && interpolate_at(inside, *point).expect(distinct) == *answer
            }) {
                polynomial.group |= 1 << place;
            }
        }
        polynomial
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

/// The sums' `d` coordinates when all are small. Blocks with check coordinates first: they show a wrong key at once.
fn unmask_small(masked: &MaskedSums<'_>, keys: &[KeySum]) -> Option<Vec<Vec<i32>>> {
    // The check coordinates of every group before the rest of any.
    let check_from = masked.dimension.check_range().start / N;
    let opened = |blocks: std::ops::Range<usize>| {
        let groups = masked.groups.iter().zip(keys);
        groups
            .map(|(group, key)| small_blocks(masked, group, key, blocks.clone()))
            .collect::<Option<Vec<_>>>()
    };
    let tails = opened(check_from..masked.dimension.blocks())?;
    let mut sums = opened(0..check_from)?;
    for (sum, mut tail) in sums.iter_mut().zip(tails) {
        sum.append(&mut tail);
        sum.truncate(masked.dimension.coordinates());
    }
    Some(sums)
}

/// The coordinates of some blocks of a group's sum when all are small; the last is tried first, which of blocks with check
/// coordinates has nothing else.
fn small_blocks(
    masked: &MaskedSums<'_>,
    (words, bound): &(&[u32], u64),
    key: &KeySum,
    blocks: std::ops::Range<usize>,
) -> Option<Vec<i32>> {
    let unmasker = Unmasker::new(masked.matrix, key);
    let mut values = vec![0; blocks.len() * N];
    for (block, out) in blocks.zip(values.chunks_exact_mut(N)).rev() {
        let words = &words[block * N..(block + 1) * N];
        unmasker
            .block_into(block, words, out)
            .expect("a block has N words");
        if out.iter().any(|v| u64::from(v.unsigned_abs()) > *bound) {
            return None;
        }
    }
    Some(values)
}
