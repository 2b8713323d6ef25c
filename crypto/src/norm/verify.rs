//! What a steward answers about one submission, and how the opened answer is judged (`docs/protocol.md`, section 4.6).

use super::circuit::NormCircuit;
use super::fiat_shamir::{Challenge, NormSeeds, joint_randomness};
use super::params::{NormParams, REPETITIONS, TOP_BITS};
use super::projection::Projection;
use super::{NormError, ProofShare, wipe_elements};
use crate::declassify;
use crate::digest::Digest;
use crate::field;
use crate::params::{N, Q};
use crate::shamir::{KeyShare, ShamirError, weights_at, words_to_bytes};
use prio::field::FieldPrio2 as F;
use prio::flp::Flp;

/// A steward's share of what is opened about one submission: two linear checks, then the verifier message of every
/// repetition. Published; about any T - 1 shares and one opened answer it says nothing more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer(pub(super) Vec<u32>);

impl Answer {
    /// An answer of given elements.
    ///
    /// # Errors
    /// [`NormError::AnswerLength`], [`NormError::NotCanonical`].
    pub fn new(params: &NormParams, elements: Vec<u32>) -> Result<Answer, NormError> {
        if elements.len() != params.answer_len() {
            return Err(NormError::AnswerLength {
                elements: elements.len(),
            });
        }
        if let Some(index) = elements.iter().position(|&e| e >= Q) {
            return Err(NormError::NotCanonical { index });
        }
        Ok(Answer(elements))
    }

    /// The answer that little-endian words encode.
    ///
    /// # Errors
    /// [`NormError::AnswerLength`], [`NormError::NotCanonical`].
    pub fn from_bytes(params: &NormParams, bytes: &[u8]) -> Result<Answer, NormError> {
        let (words, rest) = bytes.as_chunks::<4>();
        if !rest.is_empty() {
            return Err(NormError::AnswerLength {
                elements: words.len(),
            });
        }
        Answer::new(
            params,
            words.iter().map(|le| u32::from_le_bytes(*le)).collect(),
        )
    }

    /// Little-endian words.
    pub fn to_bytes(&self) -> Vec<u8> {
        words_to_bytes(&self.0)
    }

    /// The elements, canonical.
    pub fn elements(&self) -> &[u32] {
        &self.0
    }

    /// The opened answer: the value at 0 of the polynomials through the answers at T points.
    ///
    /// # Errors
    /// [`ShamirError::NoPoints`], [`ShamirError::Point`].
    pub fn open(answers: &[(u8, &Answer)]) -> Result<Answer, ShamirError> {
        let points: Vec<u8> = answers.iter().map(|&(point, _)| point).collect();
        let weights = weights_at(&points, 0)?;
        let opened = (0..answers[0].1.0.len()).map(|element| combine(&weights, answers, element));
        Ok(Answer(opened.collect()))
    }

    /// Whether this, of the steward at `point`, is on the polynomials through the answers at T points. Stops at the first
    /// element that is not.
    ///
    /// # Errors
    /// As [`Answer::open`].
    pub fn agrees(&self, point: u8, answers: &[(u8, &Answer)]) -> Result<bool, ShamirError> {
        let points: Vec<u8> = answers.iter().map(|&(point, _)| point).collect();
        let weights = weights_at(&points, point)?;
        let mut elements = self.0.iter().enumerate();
        Ok(elements.all(|(at, &element)| combine(&weights, answers, at) == element))
    }
}

/// One element of the value that answers of one length have with these weights.
fn combine(weights: &[u32], answers: &[(u8, &Answer)], element: usize) -> u32 {
    let terms = weights.iter().zip(answers);
    terms.fold(0, |sum, (&weight, (_, answer))| {
        field::add(sum, field::mul(weight, answer.0[element]))
    })
}

/// Why an opened answer shows that a submission is not what it claims.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// The digits are not the projections of what is masked.
    #[error("the digits are not the projections of the masked vector")]
    Projection,
    /// A digit is none, or the norm is above the bound.
    #[error("repetition {repetition} of the proof is wrong")]
    Proof {
        /// Which one.
        repetition: usize,
    },
}

/// The verification of one submission: what follows from its commitments.
#[derive(Debug)]
pub struct NormVerifier {
    params: NormParams,
    seed: Digest,
    repetitions: Vec<(NormCircuit, Vec<F>)>,
}

impl NormVerifier {
    /// For a submission with these commitments; `context` is as in [`super::NormProof::new`].
    pub fn new(params: &NormParams, context: &[u8], digit_commitments: &[Digest]) -> NormVerifier {
        NormVerifier::from_seeds(params, &NormSeeds::new(context, digit_commitments))
    }

    /// For a submission of which the seeds were kept.
    pub fn from_seeds(params: &NormParams, seeds: &NormSeeds) -> NormVerifier {
        let repetitions = (0..REPETITIONS)
            .map(|repetition| {
                let (weights, calls) = joint_randomness(params, &seeds.joint, repetition);
                (NormCircuit::new(params, weights), calls)
            })
            .collect();
        NormVerifier {
            params: *params,
            seed: seeds.projection,
            repetitions,
        }
    }

    /// The projection R of this submission.
    ///
    /// # Errors
    /// As [`Projection::new`]; not with parameters that were derived.
    pub fn projection(&self) -> Result<Projection, NormError> {
        Ok(Projection::new(self.seed.0, self.params.rows())?)
    }

    /// A steward's answer. `u` is `lambda^T R A` for both lambdas, with the weighted row of a functional, which the steward computes itself: with another u
    /// the answer would be another linear combination of the key.
    ///
    /// # Errors
    /// [`NormError::ShareLength`] when the shares are not of these parameters.
    pub fn answer(
        &self,
        challenge: &Challenge,
        key: &KeyShare,
        share: &ProofShare,
        u: &[Box<[u32; N]>; 2],
    ) -> Result<Answer, NormError> {
        let params = &self.params;
        share.expect_length(params)?;
        let mut answer = Vec::with_capacity(params.answer_len());
        for (check, u) in u.iter().enumerate() {
            let projected = self.projected(&challenge.lambdas[check], &share.digits);
            let functional = self.functional(challenge.functional[check], &share.digits);
            let masked = inner_product(u, key.elements());
            answer.push(field::add(field::add(projected, functional), masked));
        }
        let mut input: Vec<F> = share.digits.iter().map(|&x| F::from(x)).collect();
        let proofs = share.proofs.chunks_exact(params.proof_len());
        let queries = self.repetitions.iter().zip(&challenge.queries);
        for (proof, ((circuit, calls), query)) in proofs.zip(queries) {
            let mut proof: Vec<F> = proof.iter().map(|&x| F::from(x)).collect();
            let message = circuit
                .query(&input, &proof, &query.map(F::from), calls, 1)
                .expect("lengths are the circuit's own, and no point is a root of unity");
            wipe_elements(&mut proof);
            answer.extend(message.into_iter().map(u32::from));
        }
        wipe_elements(&mut input);
        declassify::published(&mut answer);
        Ok(Answer(answer))
    }

    /// `<lambda, z>` from (a share of) the digits.
    fn projected(&self, lambda: &[u32], digits: &[u32]) -> u32 {
        let middle = 1u32 << (self.params.range_bits() - 1);
        let rows = digits.chunks_exact(self.params.digits_per_row());
        lambda.iter().zip(rows).fold(0, |sum, (&weight, row)| {
            let value = value(row);
            field::add(sum, field::mul(weight, field::sub(value, middle)))
        })
    }

    /// The part of a functional: both numbers that are the row's product, weighted.
    fn functional(&self, weights: [u32; 2], digits: &[u32]) -> u32 {
        let Some(functional) = self.params.functional() else {
            return 0;
        };
        let differences = &digits[digits.len() - 2 * functional.digits()..];
        let (above, below) = differences.split_at(functional.digits());
        let products = functional.products([value(above), value(below)]);
        let terms = weights.iter().zip(products);
        terms.fold(0, |sum, (&weight, product)| {
            field::add(sum, field::mul(weight, product))
        })
    }

    /// Judges the opened answer; `masked` is `<lambda^T R, c>` for both lambdas.
    ///
    /// # Errors
    /// The [`Rejection`].
    pub fn decide(&self, opened: &Answer, masked: [u32; 2]) -> Result<(), Rejection> {
        if opened.0.len() != self.params.answer_len() || opened.0[..2] != masked {
            return Err(Rejection::Projection);
        }
        let messages = opened.0[2..].chunks_exact(self.params.verifier_len());
        for (repetition, ((circuit, _), message)) in
            self.repetitions.iter().zip(messages).enumerate()
        {
            let message: Vec<F> = message.iter().map(|&x| F::from(x)).collect();
            if !circuit.decide(&message).unwrap_or(false) {
                return Err(Rejection::Proof { repetition });
            }
        }
        Ok(())
    }
}

/// The number of base-4 digits, the least significant first.
fn value(digits: &[u32]) -> u32 {
    let digits = digits.iter().rev();
    digits.fold(0, |value, &digit| field::add(field::mul(value, 4), digit))
}

/// `<a, b>` modulo q.
fn inner_product(a: &[u32; N], b: &[u32; N]) -> u32 {
    a.iter()
        .zip(b)
        .fold(0, |sum, (&a, &b)| field::add(sum, field::mul(a, b)))
}

// The range of a projection is a whole number of digits.
const _: () = assert!(TOP_BITS.is_multiple_of(2));
