//! What the device does: projections, their digits, proofs, shares of all of them (`docs/protocol.md`, section 4.3).

use super::circuit::NormCircuit;
use super::fiat_shamir::{joint_randomness, joint_seed, projection_seed};
use super::functional::FunctionalRow;
use super::params::{NormParams, REPETITIONS, TOP_BITS};
use super::projection::Projection;
use super::{NormError, ProofShare, wipe_elements};
use crate::commit::{digit_commitment, proof_commitment};
use crate::declassify;
use crate::digest::Digest;
use crate::expand;
use crate::secret::SecretVec;
use crate::shamir::{ShareEncoding, Threshold, share_digits, share_proofs};
use prio::field::FieldPrio2 as F;
use prio::flp::Flp;
use zeroize::Zeroizing;

/// A norm proof as the device has it: a share for every steward, and the commitments that go into the header.
#[derive(Debug)]
pub struct NormProof {
    /// One a steward, in the order of their points.
    pub shares: Vec<ProofShare>,
    /// `H(DIGIT_COMMIT, j, blind_j, share of the digits)`, by point.
    pub digit_commitments: Vec<Digest>,
    /// `H(PROOF_COMMIT, j, blind_j, share of the proofs)`, by point.
    pub proof_commitments: Vec<Digest>,
}

/// What is proven about.
#[derive(Clone, Copy, Debug)]
pub struct Hidden<'a> {
    /// `v = x + e`, all padded coordinates.
    pub v: &'a [i32],
    /// The public row, when the parameters have a functional.
    pub row: Option<&'a FunctionalRow>,
}

impl<'a> Hidden<'a> {
    /// A vector alone, for parameters without a functional.
    pub fn vector(v: &'a [i32]) -> Hidden<'a> {
        Hidden { v, row: None }
    }

    /// `<g, v>`.
    fn product(&self, params: &NormParams) -> Result<Option<i64>, NormError> {
        if params.functional().is_some() != self.row.is_some() {
            return Err(NormError::Row);
        }
        Ok(self.row.map(|row| row.product(self.v)))
    }
}

impl NormProof {
    /// Proves that `v = x + e`, of all padded coordinates, is not longer than the parameters allow, and that its product
    /// with the public row is within their bounds.
    ///
    /// `context` is everything that was committed before: round, session, device, payload and key commitments.
    /// `keys` and `blinds` are the key's shares and the blinds of their commitments, one a steward: the proof's shares of the
    /// first `T - 1` stewards come from the same seeds.
    ///
    /// # Errors
    /// [`NormError::TooLong`] when `v` is longer, or outside the bounds; of an honest device's it happens with probability below `2^-64`.
    /// [`NormError::Row`] unless there is a row exactly when the parameters have a functional.
    pub fn new<R: rand_core::CryptoRng>(
        params: &NormParams,
        th: &Threshold,
        context: &[u8],
        hidden: Hidden<'_>,
        keys: &[ShareEncoding],
        blinds: &[Zeroizing<[u8; 32]>],
        rng: &mut R,
    ) -> Result<NormProof, NormError> {
        let seed = projection_seed(context);
        let digits = digits_of(params, &seed, hidden)?;
        Ok(NormProof::of_digits(
            params, th, &seed, &digits, keys, blinds, rng,
        ))
    }

    /// The proof about given digits, whatever they are: what a device does that lies. Only for tests and simulations.
    #[cfg(feature = "simulation")]
    pub fn forged<R: rand_core::CryptoRng>(
        params: &NormParams,
        th: &Threshold,
        context: &[u8],
        digits: &[u32],
        keys: &[ShareEncoding],
        blinds: &[Zeroizing<[u8; 32]>],
        rng: &mut R,
    ) -> NormProof {
        let seed = projection_seed(context);
        NormProof::of_digits(params, th, &seed, digits, keys, blinds, rng)
    }

    /// The digits that an honest device would prove about. Only for tests and simulations.
    ///
    /// # Errors
    /// As [`NormProof::new`].
    #[cfg(feature = "simulation")]
    pub fn digits(
        params: &NormParams,
        context: &[u8],
        hidden: Hidden<'_>,
    ) -> Result<SecretVec<u32>, NormError> {
        digits_of(params, &projection_seed(context), hidden)
    }

    /// The proof about given digits, whatever they are.
    pub(crate) fn of_digits<R: rand_core::CryptoRng>(
        params: &NormParams,
        th: &Threshold,
        seed: &Digest,
        digits: &[u32],
        keys: &[ShareEncoding],
        blinds: &[Zeroizing<[u8; 32]>],
        rng: &mut R,
    ) -> NormProof {
        let digit_shares = share_digits(digits, keys, th);
        let committed = |point: usize, share: &SecretVec<u32>| {
            digit_commitment(point as u8 + 1, &blinds[point], share)
        };
        let mut digit_commitments: Vec<Digest> = digit_shares
            .iter()
            .enumerate()
            .map(|(j, share)| committed(j, share))
            .collect();

        // What is committed to is sent; the questions that follow from it are public.
        for commitment in &mut digit_commitments {
            declassify::published(&mut commitment.0);
        }
        let joint = joint_seed(seed, &digit_commitments);
        let mut input: Vec<F> = digits.iter().map(|&digit| F::from(digit)).collect();
        let mut proofs = SecretVec::zeroed(REPETITIONS * params.proof_len());
        for (repetition, out) in proofs.chunks_exact_mut(params.proof_len()).enumerate() {
            let (weights, calls) = joint_randomness(params, &joint, repetition);
            let circuit = NormCircuit::new(params, weights);
            let mut blinding = SecretVec::<u32>::zeroed(circuit.prove_rand_len());
            expand::uniform(rng, &mut blinding);
            let mut wires: Vec<F> = blinding.iter().map(|&x| F::from(x)).collect();
            let mut proof = circuit
                .prove(&input, &wires, &calls)
                .expect("lengths are the circuit's own");
            for (out, element) in out.iter_mut().zip(&proof) {
                *out = u32::from(*element);
            }
            wipe_elements(&mut wires);
            wipe_elements(&mut proof);
        }
        wipe_elements(&mut input);

        let proof_shares = share_proofs(&proofs, keys, th);
        let proof_commitments = (proof_shares.iter().enumerate())
            .map(|(j, share)| proof_commitment(j as u8 + 1, &blinds[j], share))
            .collect();
        let shares = (digit_shares.into_iter().zip(proof_shares))
            .map(|(digits, proofs)| ProofShare { digits, proofs })
            .collect();
        NormProof {
            shares,
            digit_commitments,
            proof_commitments,
        }
    }
}

/// The digits of what is hidden, under the projection of this seed; see [`digits_of_projections`].
pub(crate) fn digits_of(
    params: &NormParams,
    seed: &Digest,
    hidden: Hidden<'_>,
) -> Result<SecretVec<u32>, NormError> {
    let z = Projection::new(seed.0, params.rows())?.project(hidden.v)?;
    digits_of_projections(params, &z, hidden.product(params)?)
}

/// The base-4 digits of all projections, of the slack and of a functional's differences, the least significant first, in
/// time independent of them.
///
/// # Errors
/// [`NormError::TooLong`], which is one bit about the update, and is returned to the device alone.
pub(crate) fn digits_of_projections(
    params: &NormParams,
    z: &[i32],
    product: Option<i64>,
) -> Result<SecretVec<u32>, NormError> {
    let per_row = params.digits_per_row();
    let mut digits = SecretVec::zeroed(params.digits());
    let half = 1i64 << (params.range_bits() - 1);
    let shift = params.range_bits() - TOP_BITS;
    let (mut outside, mut sum) = (0i64, 0i64);
    let (rows, rest) = digits.split_at_mut(params.rows() * per_row);
    let (slack, differences) = rest.split_at_mut(params.slack_digits());
    for (row, &z) in rows.chunks_exact_mut(per_row).zip(z.iter()) {
        let above = i64::from(z) + half;
        // Negative when z is outside on either side.
        outside |= above | (2 * half - 1 - above);
        write_digits(row, above);
        let odd = 2 * (above >> shift) - ((1 << TOP_BITS) - 1);
        // Outside the range the product says nothing, and must not overflow.
        sum = sum.wrapping_add(odd.wrapping_mul(odd));
    }
    let left = i64::from(params.bound()).wrapping_sub(sum);
    write_digits(slack, left);
    if let (Some(functional), Some(product)) = (params.functional(), product) {
        let values = functional.differences(product);
        let strings = differences.chunks_exact_mut(functional.digits());
        for (string, value) in strings.zip(values) {
            outside |= value;
            write_digits(string, value);
        }
    }
    // It does not submit then, which everybody sees.
    if declassify::decision((outside | left) < 0) {
        return Err(NormError::TooLong);
    }
    Ok(digits)
}

fn write_digits(out: &mut [u32], value: i64) {
    for (i, digit) in out.iter_mut().enumerate() {
        *digit = (value >> (2 * i)) as u32 & 3;
    }
}
