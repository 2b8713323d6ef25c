//! Thresholds, and Shamir shares of the mask key (`docs/protocol.md`, sections 3, 4.2 and 4.7).
//!
//! Every coefficient of the key is shared by a polynomial of degree `T - 1` over `F_q`; steward `j` of the
//! roster holds its value at `j`, `1 <= j <= m`; the key is its value at 0. The first `T - 1` shares are
//! uniform and so are given by seeds; the others follow and are explicit.

mod consistency;
mod correct;
mod lagrange;
mod share;
mod threshold;

#[cfg(test)]
mod tests;

pub use consistency::{ConsistencyProof, Segments};
pub use correct::{Corrected, are_consistent, correct, correct_vectors};
pub(crate) use lagrange::weights_at;
pub use lagrange::{interpolate_at, reconstruct};
pub use share::{KeyShare, ShareEncoding, ShareSum, share_key};
pub(crate) use share::{share_digits, share_proofs, words_to_bytes};
pub use threshold::Threshold;

/// Why a threshold, a share or a set of answers is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ShamirError {
    /// No threshold exists for these numbers.
    #[error(
        "{stewards} stewards of whom {faulty} may be malicious: need 2 to 16 stewards and floor((m+f)/2)+1+f <= m"
    )]
    Threshold {
        /// `m`.
        stewards: u8,
        /// `f`.
        faulty: u8,
    },
    /// T or A is not what follows from m and f.
    #[error("T and A must follow from m and f")]
    ThresholdParts,
    /// A steward's point is zero, above 16, or given twice.
    #[error("evaluation point {point} is not allowed here")]
    Point {
        /// The point.
        point: u8,
    },
    /// No points at all.
    #[error("at least one point is needed")]
    NoPoints,
    /// Fewer answers than determine the polynomials.
    #[error("{answers} answers are too few: {needed} determine the polynomials")]
    TooFewAnswers {
        /// How many there are.
        answers: usize,
        /// T.
        needed: u8,
    },
    /// No polynomials leave few enough answers off, so that nothing can be said of any of them.
    #[error("more than {correctable} of {answers} answers are wrong: too many to correct")]
    TooManyWrong {
        /// How many there are.
        answers: usize,
        /// How many of them may be wrong.
        correctable: usize,
    },
    /// Vectors to be compared have different lengths.
    #[error("the answers must have one length")]
    Lengths,
    /// An encoding of a share or a sum has another length than N words or a seed.
    #[error("an encoded share has 32 or 8192 bytes and a sum 8192, not {bytes}")]
    EncodedLength {
        /// Its length.
        bytes: usize,
    },
    /// A part of a consistency proof is not 16 bytes a steward.
    #[error(
        "a part of a consistency proof has 16 bytes for each of at most 16 stewards, not {bytes}"
    )]
    ProofLength {
        /// Its length.
        bytes: usize,
    },
    /// An encoding has a word that is not canonical.
    #[error("word {index} of a share is not below q")]
    NotCanonical {
        /// Which one.
        index: usize,
    },
}
