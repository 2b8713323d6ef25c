//! Proofs that a masked vector is not too long, without seeing it (`docs/protocol.md`, sections 4.3 and 4.6).
//!
//! A device's `v = x + e` is projected by a random ternary matrix R, which follows from what it has committed to:
//! `z = R v` has `||z||^2` close to `rows/2 ||v||^2`, whatever v is. The device shares the digits of z among the stewards with
//! proofs that they are digits and that the norm of z is bounded. That z belongs to the payload `c = A k + v` is a linear
//! check: `<lambda, z> + <lambda^T R A, k> = <lambda^T R, c>`, of which every steward has a share. All of it is about
//! `rows` numbers, whatever the dimension.
//!
//! | module | explains |
//! |---|---|
//! | [`params`] | how many projections, bounds, gamma |
//! | [`projection`] | R, in both directions, and the public side of the linear check |
//! | [`functional`] | a public row whose product with the vector is bounded in the same check |
//! | `circuit` | the statement as a fully linear proof of `prio` |
//! | [`soundness`] | how unlikely it is that something wrong passes |
//! | `fiat_shamir` | what follows from commitments and from the beacon |
//! | `prove`, `verify` | the device's part and the stewards' |
//!
//! Field elements inside `prio` are wiped where they pass through this module; what `prio` itself allocates while it
//! proves is freed without being wiped.

mod circuit;
mod fiat_shamir;
pub mod functional;
pub mod params;
pub mod projection;
mod prove;
pub mod soundness;
mod verify;

#[cfg(test)]
mod functional_tests;
#[cfg(test)]
mod tests;

#[cfg(test)]
pub(crate) use {
    circuit::NormCircuit, fiat_shamir::joint_randomness, prove::digits_of_projections,
};

pub use fiat_shamir::{Challenge, NormSeeds};
pub use functional::{FunctionalParams, FunctionalRow};
pub use params::{NormParams, Rows};
pub use prove::{Hidden, NormProof};
pub use verify::{Answer, NormVerifier, Rejection};

use crate::declassify;
use crate::digest::labels;
use crate::expand;
use crate::field;
use crate::secret::SecretVec;
use crate::shamir::{ShareEncoding, words_to_bytes};
use prio::field::FieldPrio2;
use zeroize::Zeroizing;

/// One steward's shares of the digits and of all repetitions' proofs, expanded.
#[derive(Debug)]
pub struct ProofShare {
    /// [`NormParams::digits`] elements.
    pub digits: SecretVec<u32>,
    /// [`NormParams::proof_len`] elements for every repetition.
    pub proofs: SecretVec<u32>,
}

impl ProofShare {
    /// The share that travels beside the key share `key`: expanded from the same seed when that is a seed (then both byte
    /// strings are empty), else `digits` and `proofs` are little-endian words.
    ///
    /// # Errors
    /// [`NormError::ShareLength`], [`NormError::ShareNotCanonical`].
    pub fn decode(
        params: &NormParams,
        key: &ShareEncoding,
        digits: &[u8],
        proofs: &[u8],
    ) -> Result<ProofShare, NormError> {
        let lengths = [params.digits(), params::REPETITIONS * params.proof_len()];
        let seeded = |label, seed, len| {
            let mut share = SecretVec::zeroed(len);
            expand::seeded_elements(label, seed, &mut share);
            share
        };
        match key {
            ShareEncoding::Seed(seed) if digits.is_empty() && proofs.is_empty() => Ok(ProofShare {
                digits: seeded(labels::DIGIT_SHARE_SEED, seed, lengths[0]),
                proofs: seeded(labels::PROOF_SHARE_SEED, seed, lengths[1]),
            }),
            ShareEncoding::Seed(_) => Err(NormError::ShareLength),
            ShareEncoding::Explicit(_) => Ok(ProofShare {
                digits: words(digits, lengths[0])?,
                proofs: words(proofs, lengths[1])?,
            }),
        }
    }

    /// Both byte strings that [`ProofShare::decode`] reads.
    pub fn encode(&self, key: &ShareEncoding) -> [Zeroizing<Vec<u8>>; 2] {
        let explicit = matches!(key, ShareEncoding::Explicit(_));
        [&self.digits, &self.proofs].map(|share| {
            let share: &[u32] = if explicit { share } else { &[] };
            Zeroizing::new(words_to_bytes(share))
        })
    }

    /// Whether the lengths are those of the parameters.
    ///
    /// # Errors
    /// [`NormError::ShareLength`].
    pub fn expect_length(&self, params: &NormParams) -> Result<(), NormError> {
        let proofs = params::REPETITIONS * params.proof_len();
        if self.digits.len() != params.digits() || self.proofs.len() != proofs {
            return Err(NormError::ShareLength);
        }
        Ok(())
    }
}

/// Why parameters, a vector or a share are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NormError {
    /// Not a number of projections that there is a table for.
    #[error("a norm proof has 128, 256 or 512 projections, not {rows}")]
    Rows {
        /// What was asked for.
        rows: usize,
    },
    /// Projections would not fit the field.
    #[error("clip or noise is too large: projections would not fit the field of the proofs")]
    TooLarge,
    /// The vector is longer than the task allows.
    #[error(
        "the vector is longer than the task allows: clip it (noise alone does this with probability 2^-64)"
    )]
    TooLong,
    /// A public row may be too long, or its bounds are not ones.
    #[error(
        "a public row of norm {limit} cannot be bounded: the longest has norm {longest}, zero is within its bounds, and they are below q/4"
    )]
    Functional {
        /// The largest norm of the row that was asked for.
        limit: u32,
        /// The largest norm that the parameters allow.
        longest: u32,
    },
    /// What is bounded would be smaller than the noise or the rounding that it has to leave room for.
    #[error(
        "noise or rounding would be larger than what the functional bounds: raise the clip bound or lower the noise"
    )]
    Slack,
    /// There is no public row where one is proven about, or one where none is, or one that is too long.
    #[error("the public row is missing, or is not one of these parameters")]
    Row,
    /// The vector or its coefficients do not fit the projection.
    #[error(transparent)]
    Projection(#[from] projection::ProjectionError),
    /// A share of the proof has another length than the parameters give.
    #[error("a share of the norm proof has the wrong length")]
    ShareLength,
    /// An answer has another length than the parameters give.
    #[error("an answer about a submission has the wrong length: {elements} elements")]
    AnswerLength {
        /// How many there are.
        elements: usize,
    },
    /// A share of the proof has a word that is not canonical.
    #[error("a share of the norm proof has a word that is not below q")]
    ShareNotCanonical,
    /// An encoding has a word that is not canonical.
    #[error("word {index} is not below q")]
    NotCanonical {
        /// Which one.
        index: usize,
    },
}

/// Exactly `len` canonical words.
fn words(bytes: &[u8], len: usize) -> Result<SecretVec<u32>, NormError> {
    let (encoded, rest) = bytes.as_chunks::<4>();
    if encoded.len() != len || !rest.is_empty() {
        return Err(NormError::ShareLength);
    }
    let mut out = SecretVec::zeroed(len);
    let mut wrong = false;
    for (word, le) in out.iter_mut().zip(encoded) {
        *word = u32::from_le_bytes(*le);
        wrong |= !field::is_canonical(*word);
    }
    // That it is no share is said aloud.
    if declassify::decision(wrong) {
        return Err(NormError::ShareNotCanonical);
    }
    Ok(out)
}

/// Overwrites elements of the proof system's own type.
fn wipe_elements(elements: &mut [FieldPrio2]) {
    elements.fill(FieldPrio2::default());
    zeroize::optimization_barrier(elements);
}
