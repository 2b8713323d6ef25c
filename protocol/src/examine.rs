//! What the answers about one submission show (`docs/protocol.md`, section 4.6). Pure, and about one
//! submission at a time: nobody has to hold the answers about all of them.
//!
//! T answers determine a polynomial. The first T-subset, in lexicographic order of the points, whose
//! polynomial has at least A answers on it decides: T of those are honest, and the honest answers lie
//! on one polynomial. With only T, one lying steward and one device would make any vector valid.

use std::sync::Arc;

use dawn_crypto::digest::Digest;
use dawn_crypto::norm::projection::{
    MatrixBlocks, PreparedLambdas, Projection, ProjectionError, PublicCheck, PublicChecker,
};
use dawn_crypto::norm::{
    Answer, Challenge, FunctionalRow, NormError, NormParams, NormSeeds, NormVerifier, Rejection,
};
use dawn_crypto::params::N;
use dawn_crypto::shamir::Threshold;

use crate::package::OpenedPackage;
use crate::statements::check_points;
use crate::subsets::{Subsets, chosen};

/// What the answers about one submission show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Finding {
    /// The points of the stewards whose answers are on the deciding polynomial: bit `p - 1` for point
    /// `p`. None when there is no such polynomial.
    pub agreeing: u16,
    /// The points of the stewards that surely answered wrongly, in the same way.
    pub lied: u16,
    /// What follows for the submission.
    pub result: Examined,
}

/// What follows for an examined submission.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Examined {
    /// What is masked is not too long.
    Valid,
    /// Fewer than A stewards answered, or the header does not verify: not examined.
    TooFew,
    /// No polynomial has the answers of A stewards.
    Disagree,
    /// The digits are not the projections of what is masked.
    Projection,
    /// A digit is none, or the norm is above the bound.
    Norm,
    /// A candidate of a steward's noise that the beacon did not pick: not examined.
    NotChosen,
    /// A steward's noise, not too long, whose other candidates were not all submitted, revealed and found to be noise.
    Unproven,
}

impl Finding {
    /// Nothing can be said.
    pub const NONE: Finding = Finding {
        agreeing: 0,
        lied: 0,
        result: Examined::TooFew,
    };

    /// Nothing is asked about a candidate that was not chosen.
    pub const NOT_CHOSEN: Finding = Finding {
        result: Examined::NotChosen,
        ..Finding::NONE
    };

    /// Whether the answer of the steward at a point is on the deciding polynomial.
    pub fn agrees(&self, point: u8) -> bool {
        bit(self.agreeing, point)
    }

    /// Whether the steward at a point surely answered wrongly.
    pub fn lies(&self, point: u8) -> bool {
        bit(self.lied, point)
    }
}

fn bit(points: u16, point: u8) -> bool {
    let place = u32::from(point).wrapping_sub(1);
    points.checked_shr(place).is_some_and(|rest| rest & 1 == 1)
}

/// Everything that verifying one submission's norm proof needs.
#[derive(Debug)]
pub struct SubmissionVerifier {
    verifier: NormVerifier,
    challenge: Challenge,
    projection: Projection,
    lambdas: PreparedLambdas,
    blocks: usize,
    threshold: Threshold,
    /// Whether there is a functional, and its row when it is known.
    functional: bool,
    row: Option<Arc<FunctionalRow>>,
}

impl SubmissionVerifier {
    /// For a submission of `blocks` blocks with these seeds, whose signed header has this digest.
    pub(crate) fn new(
        params: &NormParams,
        threshold: &Threshold,
        blocks: usize,
        beacon: &Digest,
        header: &Digest,
        seeds: &NormSeeds,
    ) -> Self {
        let derived = "parameters that were derived have rows that a projection can have";
        let verifier = NormVerifier::from_seeds(params, seeds);
        let challenge = Challenge::derive(params, beacon, header);
        Self {
            projection: verifier.projection().expect(derived),
            lambdas: PreparedLambdas::new(&challenge.lambdas).expect(derived),
            verifier,
            challenge,
            blocks,
            threshold: *threshold,
            functional: params.functional().is_some(),
            row: None,
        }
    }

    /// With the row of the round's functional.
    pub(crate) fn with_row(mut self, row: Option<Arc<FunctionalRow>>) -> Self {
        self.row = row;
        self
    }

    /// What is public about the linear check: `u`, and the scalars when the payload is given, which is
    /// canonical. Only `u` of one's own computing may meet a key share: whoever chooses it reads the key.
    ///
    /// # Errors
    /// [`ProjectionError`] for a payload of another length, a cache of fewer blocks, or a functional whose models are not known
    /// ([`crate::RoundContext::learn_models`]).
    pub fn public_check(
        &self,
        matrix: MatrixBlocks<'_>,
        payload: Option<&[u32]>,
    ) -> Result<PublicCheck, ProjectionError> {
        self.checker(matrix)?.all(self.blocks, payload)
    }

    /// The same block by block, for payloads that nobody wants to hold.
    ///
    /// # Errors
    /// [`ProjectionError::Row`] for a functional whose models are not known.
    pub fn checker<'a>(
        &'a self,
        matrix: MatrixBlocks<'a>,
    ) -> Result<PublicChecker<'a>, ProjectionError> {
        let checker = PublicChecker::new(&self.projection, &self.lambdas, matrix)?;
        match &self.row {
            Some(row) => Ok(checker.with_row(row, self.challenge.row_weights())),
            None if self.functional => Err(ProjectionError::Row),
            None => Ok(checker),
        }
    }

    /// A steward's answer, from its package and from [`Self::public_check`]'s `u`.
    ///
    /// # Errors
    /// [`NormError::ShareLength`]; never for a package that [`crate::package::open_package`] gave.
    pub fn answer(
        &self,
        opened: &OpenedPackage,
        u: &[Box<[u32; N]>; 2],
    ) -> Result<Answer, NormError> {
        self.verifier
            .answer(&self.challenge, &opened.key, &opened.proof, u)
    }

    /// Examines the submission: the answers of all stewards that reported `Ok` on it, in increasing
    /// point, and its scalars. [`Finding::NONE`] when the points are not increasing points of stewards:
    /// reports with such points are judged by nobody.
    ///
    /// # Panics
    /// When an answer has another length.
    pub fn examine(&self, answers: &[(u8, Answer)], scalars: [u32; 2]) -> Finding {
        let least = usize::from(self.threshold.a());
        let points: Vec<u8> = answers.iter().map(|(point, _)| *point).collect();
        if answers.len() < least || check_points(&points).is_err() {
            return Finding::NONE;
        }
        let answers: Vec<(u8, &Answer)> = answers.iter().map(|(p, answer)| (*p, answer)).collect();
        let Some(group) = deciding_group(&self.threshold, &answers) else {
            return Finding {
                result: Examined::Disagree,
                ..Finding::NONE
            };
        };
        let t = usize::from(self.threshold.t());
        let inside: Vec<_> = chosen(group, &answers).take(t).copied().collect();
        let opened = Answer::open(&inside).expect(POINTS);
        let points =
            |group: u32| chosen(group, &answers).fold(0, |bits, (p, _)| bits | 1 << (p - 1));
        let outside = !group & ((1 << answers.len()) - 1);
        // With f = 0 any T answers decide: that T - 1 honest ones and a wrong one do not name the others.
        let believed = self.threshold.f() > 0 || group.count_ones() as usize > t;
        Finding {
            agreeing: points(group),
            lied: if believed { points(outside) } else { 0 },
            result: match self.verifier.decide(&opened, scalars) {
                Ok(()) => Examined::Valid,
                Err(Rejection::Projection) => Examined::Projection,
                Err(Rejection::Proof { .. }) => Examined::Norm,
            },
        }
    }
}

const POINTS: &str = "answers are of distinct stewards";

/// The answers on the polynomial that decides, as bits.
fn deciding_group(threshold: &Threshold, answers: &[(u8, &Answer)]) -> Option<u32> {
    let (t, least) = (usize::from(threshold.t()), u32::from(threshold.a()));
    let all = (1u32 << answers.len()) - 1;
    // A polynomial with all answers but `left_out <= f` of them is the only one with A answers: another
    // would have A - left_out >= T of them in common with it. So it need not be looked for in order.
    let most = usize::from(threshold.f()).min(answers.len() - usize::from(threshold.a()));
    for left_out in 0..=most {
        for suspects in Subsets::new(answers.len(), left_out) {
            if is_one_polynomial(all & !suspects, t, answers) {
                return Some(all & !suspects);
            }
        }
    }
    // More lies than there may be: in order.
    let mut tried: Vec<u32> = Vec::new();
    for subset in Subsets::new(answers.len(), t) {
        if tried.iter().any(|group| subset & !group == 0) {
            continue;
        }
        let inside: Vec<_> = chosen(subset, answers).copied().collect();
        let mut group = subset;
        for (place, (point, answer)) in answers.iter().enumerate() {
            if subset >> place & 1 == 0 && answer.agrees(*point, &inside).expect(POINTS) {
                group |= 1 << place;
            }
        }
        if group.count_ones() >= least {
            return Some(group);
        }
        if group != subset {
            tried.push(group);
        }
    }
    None
}

/// Whether the chosen answers, at least T, lie on one polynomial.
fn is_one_polynomial(group: u32, t: usize, answers: &[(u8, &Answer)]) -> bool {
    let inside: Vec<_> = chosen(group, answers).take(t).copied().collect();
    chosen(group, answers)
        .skip(t)
        .all(|(point, answer)| answer.agrees(*point, &inside).expect(POINTS))
}

#[cfg(test)]
mod tests {
    use super::*;
    use dawn_crypto::field;
    use dawn_crypto::norm::Rows;
    use dawn_crypto::params::{Dimension, Q, Sigma};
    use proptest::prelude::*;

    /// The rule as it is written: the first T-subset, in lexicographic order of the points, whose polynomial
    /// has at least A answers on it.
    fn by_definition(threshold: &Threshold, answers: &[(u8, &Answer)]) -> Option<u32> {
        Subsets::new(answers.len(), usize::from(threshold.t()))
            .map(|subset| {
                let inside: Vec<_> = chosen(subset, answers).copied().collect();
                let on = |(place, (point, answer)): (usize, &(u8, &Answer))| {
                    u32::from(answer.agrees(*point, &inside).unwrap()) << place
                };
                answers.iter().enumerate().map(on).sum::<u32>()
            })
            .find(|group| group.count_ones() >= u32::from(threshold.a()))
    }

    /// An answer on a polynomial of degree `t - 1`, another for every `family`, all of which meet at 0 and 1.
    fn on_polynomial(params: &NormParams, family: u32, t: u8, point: u8) -> Answer {
        let x = u32::from(point);
        let power = |k: u32| (0..k).fold(1, |product, _| field::mul(product, x));
        let base = (0..u32::from(t)).fold(0, |sum, k| {
            let coefficient = (k + 1).wrapping_mul(0x9e37_79b9) % Q;
            field::add(sum, field::mul(coefficient, power(k)))
        });
        let meet = field::mul(x, field::sub(x, 1));
        let shape = power(u32::from(t).saturating_sub(3));
        let apart = field::mul(family * 77, field::mul(meet, shape));
        let element = field::add(base, if t >= 3 { apart } else { family * 77 });
        // Only the last element is different: the others are on one polynomial whoever answers.
        let mut elements = vec![base; params.answer_len()];
        if let Some(last) = elements.last_mut() {
            *last = element;
        }
        Answer::new(params, elements).unwrap()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]

        /// However many lie, alone or on one polynomial together: the shortcut finds what the rule says.
        #[test]
        fn the_deciding_polynomial_is_the_first_with_a_answers(
            roster in prop::sample::select(vec![(3u8, 0u8), (4, 1), (6, 1), (8, 1), (9, 2), (11, 2)]),
            away in any::<u16>(),
            families in prop::collection::vec(prop::sample::select(vec![0u32, 0, 0, 0, 1, 1, 2, 3]), 11),
        ) {
            let threshold = Threshold::new(roster.0, roster.1).unwrap();
            let dimension = Dimension::new(10).unwrap();
            let params = NormParams::derive(&dimension, 100, Sigma::ERROR_MIN, Rows::R128).unwrap();
            let all: Vec<(u8, Answer)> = (1..=roster.0)
                .filter(|point| away >> point & 3 != 0)
                .map(|point| {
                    let family = families[usize::from(point) - 1];
                    (point, on_polynomial(&params, family, threshold.t(), point))
                })
                .collect();
            let answers: Vec<(u8, &Answer)> = all.iter().map(|(p, a)| (*p, a)).collect();
            prop_assume!(answers.len() >= usize::from(threshold.a()));
            prop_assert_eq!(deciding_group(&threshold, &answers), by_definition(&threshold, &answers));
        }
    }
}
