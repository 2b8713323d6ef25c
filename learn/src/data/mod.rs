//! Data sets: samples of fixed-point features with a label or targets each, their readers, and partitions over devices.

mod partition;
mod targets;

// The readers need files and the errors of reading.
#[cfg(feature = "std")]
mod csv;
#[cfg(feature = "std")]
mod decimal;
#[cfg(feature = "std")]
mod digits;
#[cfg(feature = "std")]
mod idx;
#[cfg(feature = "std")]
mod npy;
#[cfg(feature = "std")]
mod watch;

pub use partition::{MIN_SAMPLES, PartitionSpec, Shard, partition, partition_by_user};
pub use targets::Targets;
#[cfg(feature = "std")]
pub use {
    csv::{CsvAnswers, CsvFormat, LabelColumn, read_csv},
    digits::digits,
    idx::{FASHION_MNIST_FOLDER, fashion_mnist, mnist, read_idx},
    npy::{NpyAnswers, NpyFormat, read_npy, read_npy_files},
    watch::{Arm, Origin, WATCH_ACTIVITIES, WATCH_INPUTS, Watch, watch},
};

use crate::spec::MAX_INPUTS;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

/// Most samples of a data set.
pub const MAX_SAMPLES: usize = 1 << 24;
/// Most features of all samples together: 4 GiB.
pub const MAX_FEATURES: usize = 1 << 31;
/// Largest exponent of features.
pub const MAX_EXPONENT: u8 = 15;

/// Samples with the same number of features, each with a label, or each with targets.
///
/// A feature `f` is stored as an `i16`, `f * 2^exponent`; all features share the exponent.
#[derive(Clone, PartialEq, Eq)]
pub struct Dataset {
    features: Vec<i16>,
    /// Of each sample, or-ed: what a batch is narrowed by, without reading it once more.
    magnitudes: Vec<u16>,
    inputs: usize,
    exponent: u8,
    answers: Answers,
}

/// What a model should answer.
#[derive(Clone, PartialEq, Eq)]
enum Answers {
    Labels(Vec<u8>),
    Targets(Targets),
}

impl Answers {
    fn len(&self) -> usize {
        match self {
            Self::Labels(labels) => labels.len(),
            Self::Targets(targets) => targets.len(),
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Labels(_) => "labels",
            Self::Targets(_) => "rows of targets",
        }
    }
}

/// A data set to learn from and one to judge with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split {
    /// To learn from.
    pub train: Dataset,
    /// To judge with.
    pub test: Dataset,
}

/// Why data is refused.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// Features, labels and sizes do not fit together, or are out of their bounds.
    #[error("{0}")]
    Shape(String),
    /// A line of a CSV file is wrong.
    #[error("line {line}: {what}")]
    Line {
        /// Its number, from 1.
        line: usize,
        /// What is wrong.
        what: String,
    },
    /// An IDX file is wrong.
    #[error("{file}: {what}")]
    Idx {
        /// The file.
        file: String,
        /// What is wrong.
        what: String,
    },
    /// An NPY file is wrong.
    #[error("{file}: {what}")]
    Npy {
        /// The file.
        file: String,
        /// What is wrong, and where.
        what: String,
    },
    /// A data set that has to be fetched first is not there.
    #[error("{data} is not in {folder}: fetch it with `dawn data fetch {name} --out {folder}`")]
    NotFetched {
        /// What it is called.
        data: &'static str,
        /// Where it was looked for.
        folder: String,
        /// Its name for the command.
        name: &'static str,
    },
    /// A data set that the operating system's package manager installs is not there.
    #[error("{data} is not in {folder}: install it with `apt-get install {package}`")]
    NotInstalled {
        /// Its name.
        data: &'static str,
        /// Where it was looked for.
        folder: String,
        /// The package that installs it.
        package: &'static str,
    },
    /// Reading failed.
    #[cfg(feature = "std")]
    #[error("{what}: {error}")]
    Read {
        /// What was being read.
        what: String,
        /// Why it failed.
        #[source]
        error: std::io::Error,
    },
}

impl Dataset {
    /// A data set from its parts: `features` sample by sample, `inputs` each.
    ///
    /// # Errors
    /// The lengths do not fit together or are out of their bounds, or the exponent is above 15.
    pub fn new(
        features: Vec<i16>,
        inputs: usize,
        exponent: u8,
        labels: Vec<u8>,
    ) -> Result<Self, DataError> {
        Self::from_parts(features, inputs, exponent, Answers::Labels(labels))
    }

    /// A data set for a model that predicts numbers: `features` sample by sample, `inputs` each.
    ///
    /// # Errors
    /// As [`Dataset::new`].
    pub fn with_targets(
        features: Vec<i16>,
        inputs: usize,
        exponent: u8,
        targets: Targets,
    ) -> Result<Self, DataError> {
        Self::from_parts(features, inputs, exponent, Answers::Targets(targets))
    }

    fn from_parts(
        features: Vec<i16>,
        inputs: usize,
        exponent: u8,
        answers: Answers,
    ) -> Result<Self, DataError> {
        let refuse = |what: String| Err(DataError::Shape(what));
        if inputs == 0 || inputs > MAX_INPUTS as usize {
            return refuse(format!(
                "a sample has 1 to {MAX_INPUTS} features, not {inputs}"
            ));
        }
        if exponent > MAX_EXPONENT {
            return refuse(format!(
                "the exponent of features is at most {MAX_EXPONENT}, not {exponent}"
            ));
        }
        if answers.len() > MAX_SAMPLES || features.len() > MAX_FEATURES {
            return refuse(format!(
                "at most {MAX_SAMPLES} samples and {MAX_FEATURES} features fit into a data set"
            ));
        }
        if answers.len().checked_mul(inputs) != Some(features.len()) {
            let (samples, features) = (answers.len(), features.len());
            let name = answers.name();
            return refuse(format!(
                "{samples} {name} with {inputs} features each do not make {features} features"
            ));
        }
        let magnitudes = features.chunks_exact(inputs).map(|row| {
            row.iter()
                .fold(0, |all, feature| all | feature.unsigned_abs())
        });
        Ok(Self {
            magnitudes: magnitudes.collect(),
            features,
            inputs,
            exponent,
            answers,
        })
    }

    /// Number of samples.
    #[must_use]
    pub fn len(&self) -> usize {
        self.answers.len()
    }

    /// Whether there are no samples.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Features of a sample.
    #[must_use]
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// Fraction bits of every feature.
    #[must_use]
    pub fn exponent(&self) -> u8 {
        self.exponent
    }

    /// The labels; none of a data set with targets.
    #[must_use]
    pub fn labels(&self) -> &[u8] {
        match &self.answers {
            Answers::Labels(labels) => labels,
            Answers::Targets(_) => &[],
        }
    }

    /// The targets, if the samples have targets instead of labels.
    #[must_use]
    pub fn targets(&self) -> Option<&Targets> {
        match &self.answers {
            Answers::Labels(_) => None,
            Answers::Targets(targets) => Some(targets),
        }
    }

    /// The features of one sample.
    ///
    /// # Panics
    /// There is no such sample.
    #[must_use]
    pub fn row(&self, sample: usize) -> &[i16] {
        &self.features[sample * self.inputs..][..self.inputs]
    }

    /// The magnitudes of a sample's features, or-ed: as many bits as the largest has.
    pub(crate) fn magnitudes(&self, sample: usize) -> u16 {
        self.magnitudes[sample]
    }

    /// Some of the samples, in the order given.
    ///
    /// # Errors
    /// There is no such sample, or they are too many.
    pub fn subset(&self, samples: &[u32]) -> Result<Self, DataError> {
        if let Some(wrong) = samples
            .iter()
            .find(|&&sample| sample as usize >= self.len())
        {
            return Err(DataError::Shape(format!(
                "there is no sample {wrong} among {}",
                self.len()
            )));
        }
        let features = samples
            .iter()
            .flat_map(|&sample| self.row(sample as usize))
            .copied()
            .collect();
        let samples = samples.iter().map(|&sample| sample as usize);
        let answers = match &self.answers {
            Answers::Labels(labels) => {
                Answers::Labels(samples.map(|sample| labels[sample]).collect())
            }
            Answers::Targets(targets) => {
                let values = samples.flat_map(|sample| targets.row(sample)).copied();
                Answers::Targets(Targets::new(
                    values.collect(),
                    targets.outputs(),
                    targets.exponent(),
                )?)
            }
        };
        Self::from_parts(features, self.inputs, self.exponent, answers)
    }
}

impl fmt::Debug for Dataset {
    /// The shape only: samples may be private.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Dataset({} samples of {} features, exponent {})",
            self.len(),
            self.inputs,
            self.exponent
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_that_do_not_fit_are_refused() {
        assert!(Dataset::new(vec![1, 2, 3, 4], 2, 0, vec![0, 1]).is_ok());
        assert!(Dataset::new(vec![], 2, 15, vec![]).is_ok_and(|data| data.is_empty()));
        for (features, inputs, exponent, labels) in [
            (3, 2, 0, 2),
            (4, 0, 0, 2),
            (4, 2, 16, 2),
            (0, 65_537, 0, 0),
            (4, 4, 0, 2),
        ] {
            assert!(Dataset::new(vec![0; features], inputs, exponent, vec![0; labels]).is_err());
        }
    }

    #[test]
    fn a_subset_has_the_chosen_samples() {
        let data = Dataset::new(vec![1, 2, 3, 4, 5, 6], 2, 0, vec![7, 8, 9]).unwrap();
        let subset = data.subset(&[2, 0, 2]).unwrap();
        assert_eq!(subset.labels(), [9, 7, 9]);
        assert_eq!(subset.row(1), [1, 2]);
        assert_eq!(subset.row(2), [5, 6]);
        assert!(data.subset(&[3]).is_err());
    }

    #[test]
    fn targets_go_with_their_samples() {
        let targets = |values| Targets::new(values, 2, 3).unwrap();
        let data =
            Dataset::with_targets(vec![1, 2, 3], 1, 0, targets(vec![4, 5, 6, 7, 8, 9])).unwrap();
        assert_eq!((data.len(), data.labels()), (3, &[][..]));
        let subset = data.subset(&[2, 0]).unwrap();
        assert_eq!(subset.targets(), Some(&targets(vec![8, 9, 4, 5])));
        assert!(
            Dataset::new(vec![1], 1, 0, vec![1])
                .unwrap()
                .targets()
                .is_none()
        );
        let error = Dataset::with_targets(vec![1, 2, 3], 1, 0, targets(vec![0; 4])).unwrap_err();
        assert_eq!(
            error.to_string(),
            "2 rows of targets with 1 features each do not make 3 features"
        );
    }
}
