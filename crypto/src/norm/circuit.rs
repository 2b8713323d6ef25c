//! The statement of the norm proof as a circuit (`docs/protocol.md`, section 4.3): all elements are base-4 digits, and
//! `sum (2h_i + 1)^2 + slack = bound`, where `h_i` is the number of the interval of the projection `z_i`.
//!
//! Input: for every projection the digits of `z_i + 2^(L-1)`, the least significant first; then the digits of the slack; then those of
//! a functional's differences, which only have to be digits.
//! Everything but the gadgets is affine, so that a Shamir share is verified with one "share": a constant is its own
//! sharing.

use super::params::{Chunks, NormParams, TOP_BITS};
use prio::field::{FieldElement, FieldPrio2 as F};
use prio::flp::gadgets::{ParallelSum, ParallelSumGadget, PolyEval};
use prio::flp::{Flp, FlpError, Gadget};
use std::any::Any;

/// `x (x-1) (x-2) (x-3) = x^4 - 6 x^3 + 11 x^2 - 6 x`: zero for digits alone.
fn digit_polynomial() -> Vec<F> {
    let c = F::from;
    vec![F::zero(), -c(6), c(11), -c(6), F::one()]
}

/// `sum weight_i p(x_i)`, `p` being [`digit_polynomial`], with public random weights. They are part of the gadget
/// and not of its inputs, which halves the proof.
#[derive(Debug)]
struct WeightedDigits {
    weights: Vec<F>,
    inner: PolyEval<F>,
}

impl Gadget<F> for WeightedDigits {
    fn eval(&mut self, inputs: &[F]) -> Result<F, FlpError> {
        if inputs.len() != self.weights.len() {
            return Err(FlpError::Gadget("wrong number of digits".into()));
        }
        let mut sum = F::zero();
        for (weight, input) in self.weights.iter().zip(inputs) {
            sum += *weight * self.inner.eval(core::slice::from_ref(input))?;
        }
        Ok(sum)
    }

    fn eval_poly(&self, out: &mut [F], wires: &[Vec<F>]) -> Result<(), FlpError> {
        if wires.len() != self.weights.len() {
            return Err(FlpError::Gadget("wrong number of wires".into()));
        }
        out.fill(F::zero());
        let mut one = vec![F::zero(); out.len()];
        for (weight, wire) in self.weights.iter().zip(wires) {
            self.inner
                .eval_poly(&mut one, core::slice::from_ref(wire))?;
            for (sum, value) in out.iter_mut().zip(&one) {
                *sum += *weight * *value;
            }
        }
        one.fill(F::zero());
        zeroize::optimization_barrier(&one[..]);
        Ok(())
    }

    fn arity(&self) -> usize {
        self.weights.len()
    }

    fn degree(&self) -> usize {
        4
    }

    fn calls(&self) -> usize {
        self.inner.calls()
    }

    fn as_any(&mut self) -> &mut dyn Any {
        self
    }
}

/// The circuit of one repetition: the parameters, and the weights within a call that its joint randomness gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NormCircuit {
    params: NormParams,
    weights: Vec<F>,
}

impl NormCircuit {
    /// A circuit with one weight for each digit of a call.
    pub(crate) fn new(params: &NormParams, weights: Vec<F>) -> NormCircuit {
        debug_assert_eq!(weights.len(), params.digit_chunks().arity);
        NormCircuit {
            params: *params,
            weights,
        }
    }

    fn digits(&self) -> Chunks {
        self.params.digit_chunks()
    }

    fn squares(&self) -> Chunks {
        self.params.square_chunks()
    }
}

/// The value of base-4 digits, the least significant first.
fn value(digits: &[F]) -> F {
    let four = F::from(4);
    digits
        .iter()
        .rev()
        .fold(F::zero(), |sum, digit| sum * four + *digit)
}

impl Flp for NormCircuit {
    type Field = F;

    fn gadget(&self) -> Vec<Box<dyn Gadget<F>>> {
        let square = vec![F::zero(), F::zero(), F::one()];
        vec![
            Box::new(WeightedDigits {
                weights: self.weights.clone(),
                inner: PolyEval::new(digit_polynomial(), self.digits().calls),
            }),
            Box::new(ParallelSum::new(
                PolyEval::new(square, self.squares().calls),
                self.squares().arity,
            )),
        ]
    }

    fn num_gadgets(&self) -> usize {
        2
    }

    /// Two outputs, both zero: the weighted sum over all digits, and `sum (2h+1)^2 + slack - bound`.
    fn valid(
        &self,
        gadgets: &mut Vec<Box<dyn Gadget<F>>>,
        input: &[F],
        joint_rand: &[F],
        num_shares: usize,
    ) -> Result<Vec<F>, FlpError> {
        self.valid_call_check(input, joint_rand)?;
        if num_shares != 1 {
            return Err(FlpError::Valid(
                "Shamir shares are verified one by one".into(),
            ));
        }
        let mut digits = F::zero();
        let mut call = vec![F::zero(); self.digits().arity];
        for (chunk, weight) in input.chunks(call.len()).zip(joint_rand) {
            // Zero is a digit: it fills the last call.
            call.fill(F::zero());
            call[..chunk.len()].copy_from_slice(chunk);
            digits += *weight * gadgets[0].eval(&call)?;
        }

        let per_row = self.params.digits_per_row();
        let (rows, rest) = input.split_at(self.params.rows() * per_row);
        let slack = &rest[..self.params.slack_digits()];
        let top = per_row - TOP_BITS as usize / 2;
        let middle = F::from((1 << TOP_BITS) - 1);
        let odd = |row: &[F]| {
            let interval = value(&row[top..]);
            interval + interval - middle
        };
        let mut norm = value(slack) - F::from(self.params.bound());
        let mut call = vec![F::zero(); self.squares().arity];
        let mut intervals = rows.chunks_exact(per_row).map(odd);
        for _ in 0..self.squares().calls {
            for wire in &mut call {
                *wire = intervals.next().unwrap_or(F::zero());
            }
            norm += gadgets[1].eval(&call)?;
        }
        Ok(vec![digits, norm])
    }

    fn input_len(&self) -> usize {
        self.params.digits()
    }

    fn proof_len(&self) -> usize {
        self.params.proof_len()
    }

    fn verifier_len(&self) -> usize {
        self.params.verifier_len()
    }

    fn joint_rand_len(&self) -> usize {
        self.digits().calls
    }

    fn eval_output_len(&self) -> usize {
        2
    }

    fn prove_rand_len(&self) -> usize {
        self.digits().arity + self.squares().arity
    }
}
