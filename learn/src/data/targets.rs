//! What a model that predicts numbers learns from.

use super::{DataError, MAX_EXPONENT, MAX_FEATURES, MAX_SAMPLES};
use crate::spec::MAX_OUTPUTS;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

/// Numbers to be predicted, the same count for every sample.
///
/// A target `t` is stored as an `i16`, `t * 2^exponent`; all targets share the exponent, which is not that of the features.
#[derive(Clone, PartialEq, Eq)]
pub struct Targets {
    values: Vec<i16>,
    outputs: usize,
    exponent: u8,
}

impl Targets {
    /// Targets from their parts: `values` sample by sample, `outputs` each.
    ///
    /// # Errors
    /// The lengths do not fit together or are out of their bounds, or the exponent is above 15.
    pub fn new(values: Vec<i16>, outputs: usize, exponent: u8) -> Result<Self, DataError> {
        let refuse = |what: String| Err(DataError::Shape(what));
        if outputs == 0 || outputs > MAX_OUTPUTS as usize {
            return refuse(format!(
                "a sample has 1 to {MAX_OUTPUTS} targets, not {outputs}"
            ));
        }
        if exponent > MAX_EXPONENT {
            return refuse(format!(
                "the exponent of targets is at most {MAX_EXPONENT}, not {exponent}"
            ));
        }
        if values.len() > MAX_FEATURES.min(MAX_SAMPLES * outputs) {
            return refuse(format!(
                "at most {MAX_SAMPLES} samples and {MAX_FEATURES} targets fit into a data set"
            ));
        }
        if !values.len().is_multiple_of(outputs) {
            let values = values.len();
            return refuse(format!(
                "{values} targets are no whole number of samples with {outputs} each"
            ));
        }
        Ok(Self {
            values,
            outputs,
            exponent,
        })
    }

    /// Number of samples.
    #[must_use]
    pub fn len(&self) -> usize {
        self.values.len() / self.outputs
    }

    /// Whether there are no samples.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Targets of a sample.
    #[must_use]
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// Fraction bits of every target.
    #[must_use]
    pub fn exponent(&self) -> u8 {
        self.exponent
    }

    /// The targets of one sample.
    ///
    /// # Panics
    /// There is no such sample.
    #[must_use]
    pub fn row(&self, sample: usize) -> &[i16] {
        &self.values[sample * self.outputs..][..self.outputs]
    }
}

impl fmt::Debug for Targets {
    /// The shape only: samples may be private.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (len, outputs, exponent) = (self.len(), self.outputs, self.exponent);
        write!(
            f,
            "Targets({len} samples of {outputs} targets, exponent {exponent})"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_that_do_not_fit_are_refused() {
        let targets = Targets::new(vec![1, 2, 3, 4, 5, 6], 3, 15).unwrap();
        assert_eq!((targets.len(), targets.row(1)), (2, &[4, 5, 6][..]));
        assert!(Targets::new(vec![], 256, 0).is_ok_and(|targets| targets.is_empty()));
        for (values, outputs, exponent) in [(3, 2, 0), (0, 0, 0), (257, 257, 0), (2, 2, 16)] {
            assert!(Targets::new(vec![0; values], outputs, exponent).is_err());
        }
    }
}
