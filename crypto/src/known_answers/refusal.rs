//! The stable names of what is refused: vectors name errors by them, whatever the variants are called here.

use crate::digest::ParseDigestError;
use crate::mask::MaskError;
use crate::merkle::MerkleError;
use crate::norm::projection::ProjectionError;
use crate::norm::{NormError, Rejection};
use crate::params::ParameterError;
use crate::shamir::ShamirError;
use core::error::Error;

/// An error by its stable name, and the number that it carries.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) error: &'static str,
    pub(super) at: Option<u64>,
}

impl Refusal {
    pub(super) const fn named(error: &'static str) -> Refusal {
        Refusal { error, at: None }
    }

    pub(super) fn at(error: &'static str, at: impl TryInto<u64>) -> Refusal {
        Refusal {
            error,
            at: at.try_into().ok(),
        }
    }
}

/// Refused as `error` unless it holds: for what the crates answer by a comparison and not by an error.
pub(super) fn unless(holds: bool, error: &'static str) -> Result<(), Refusal> {
    if holds {
        Ok(())
    } else {
        Err(Refusal::named(error))
    }
}

/// Refused as `differs` unless what was computed is what the case says.
pub(super) fn equal<T: PartialEq + ?Sized>(computed: &T, stated: &T) -> Result<(), Refusal> {
    unless(computed == stated, "differs")
}

impl From<MaskError> for Refusal {
    fn from(error: MaskError) -> Refusal {
        match error {
            MaskError::Length { actual, .. } => Refusal::at("length", actual),
            MaskError::CoordinateTooLarge { index } => Refusal::at("coordinate-too-large", index),
            MaskError::NotWords { bytes } => Refusal::at("not-words", bytes),
            MaskError::NotCanonical { index } => Refusal::at("not-canonical", index),
        }
    }
}

impl From<ShamirError> for Refusal {
    fn from(error: ShamirError) -> Refusal {
        match error {
            ShamirError::Threshold { .. } => Refusal::named("no-threshold"),
            ShamirError::ThresholdParts => Refusal::named("threshold-parts"),
            ShamirError::Point { point } => Refusal::at("point", point),
            ShamirError::NoPoints => Refusal::named("no-points"),
            ShamirError::TooFewAnswers { answers, .. } => Refusal::at("too-few-answers", answers),
            ShamirError::TooManyWrong { answers, .. } => Refusal::at("too-many-wrong", answers),
            ShamirError::Lengths => Refusal::named("lengths"),
            ShamirError::EncodedLength { bytes } => Refusal::at("encoded-length", bytes),
            ShamirError::ProofLength { bytes } => Refusal::at("proof-length", bytes),
            ShamirError::NotCanonical { index } => Refusal::at("not-canonical", index),
        }
    }
}

impl From<MerkleError> for Refusal {
    fn from(error: MerkleError) -> Refusal {
        Refusal::named(match error {
            MerkleError::OutOfRange => "out-of-range",
            MerkleError::ProofLength => "proof-length",
            MerkleError::RootMismatch => "root-mismatch",
        })
    }
}

impl From<ParameterError> for Refusal {
    fn from(error: ParameterError) -> Refusal {
        match error {
            ParameterError::Sigma { units } => Refusal::at("deviation", units),
            ParameterError::Dimension { coordinates } => Refusal::at("dimension", coordinates),
            ParameterError::RingTooSmall { n } => Refusal::at("ring-too-small", n),
            ParameterError::OtherModulus { q } => Refusal::at("other-modulus", q),
            ParameterError::KeyTooNarrow { units } => Refusal::at("key-too-narrow", units),
            ParameterError::ErrorTooNarrow { units } => Refusal::at("error-too-narrow", units),
        }
    }
}

impl From<ProjectionError> for Refusal {
    fn from(error: ProjectionError) -> Refusal {
        match error {
            ProjectionError::Rows { rows } => Refusal::at("rows", rows),
            ProjectionError::Coordinates { coordinates } => Refusal::at("coordinates", coordinates),
            ProjectionError::Coefficients { actual, .. } => Refusal::at("coefficients", actual),
            ProjectionError::NotCanonical { index } => Refusal::at("not-canonical", index),
            ProjectionError::NotCached { block } => Refusal::at("not-cached", block),
            ProjectionError::Row => Refusal::named("row"),
            ProjectionError::Payload => Refusal::named("payload"),
        }
    }
}

impl From<NormError> for Refusal {
    fn from(error: NormError) -> Refusal {
        match error {
            NormError::Rows { rows } => Refusal::at("norm-rows", rows),
            NormError::TooLarge => Refusal::named("norm-too-large"),
            NormError::TooLong => Refusal::named("too-long"),
            NormError::Functional { limit, .. } => Refusal::at("functional", limit),
            NormError::Row => Refusal::named("row"),
            NormError::Slack => Refusal::named("functional-slack"),
            NormError::Projection(error) => error.into(),
            NormError::ShareLength => Refusal::named("share-length"),
            NormError::AnswerLength { elements } => Refusal::at("answer-length", elements),
            NormError::ShareNotCanonical => Refusal::named("share-not-canonical"),
            NormError::NotCanonical { index } => Refusal::at("not-canonical", index),
        }
    }
}

impl From<Rejection> for Refusal {
    fn from(rejection: Rejection) -> Refusal {
        match rejection {
            Rejection::Projection => Refusal::named("projection"),
            Rejection::Proof { repetition } => Refusal::at("norm-proof", repetition),
        }
    }
}

impl From<ParseDigestError> for Refusal {
    fn from(_: ParseDigestError) -> Refusal {
        Refusal::named("digest-text")
    }
}

impl From<minicbor::decode::Error> for Refusal {
    fn from(error: minicbor::decode::Error) -> Refusal {
        let source = error.source();
        if let Some(error) = source.and_then(|e| e.downcast_ref::<ShamirError>()) {
            return (*error).into();
        }
        if let Some(error) = source.and_then(|e| e.downcast_ref::<ParameterError>()) {
            return (*error).into();
        }
        Refusal::named(if error.is_type_mismatch() {
            "cbor-type"
        } else if error.is_end_of_input() {
            "cbor-end"
        } else if error.is_message() {
            "cbor-message"
        } else {
            "cbor"
        })
    }
}
