//! CSV files: one sample a line, decimal numbers between commas, the label or the targets in the first or last columns.

use super::{DataError, Dataset, MAX_EXPONENT, MAX_FEATURES, MAX_SAMPLES, Targets, decimal};
use crate::spec::{MAX_CLASSES, MAX_INPUTS, MAX_OUTPUTS};
use std::io::{BufRead, Read};

/// Longest field, with its comma.
const FIELD_BYTES: usize = 48;

/// Where the label is, or where the targets are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LabelColumn {
    /// In the first column, or the first ones.
    First,
    /// In the last column, or the last ones.
    Last,
}

/// What a line has beside its features.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CsvAnswers {
    /// One column with a label.
    Label {
        /// Labels are `0..classes`.
        classes: u32,
    },
    /// Columns of numbers that a model should predict, stored as features are.
    Targets {
        /// How many columns.
        outputs: usize,
        /// As [`CsvFormat::fraction_bits`].
        fraction_bits: u8,
        /// As [`CsvFormat::scale_bits`].
        scale_bits: u8,
    },
    /// Nothing: samples that nobody has labelled. Their labels in the data set are 0 and mean nothing.
    None,
}

impl CsvAnswers {
    fn columns(self) -> usize {
        match self {
            Self::Label { .. } => 1,
            Self::Targets { outputs, .. } => outputs,
            Self::None => 0,
        }
    }
}

/// What a CSV file looks like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CsvFormat {
    /// Features of a sample.
    pub inputs: usize,
    /// The other columns.
    pub answers: CsvAnswers,
    /// Numbers are stored as `round(number * 2^fraction_bits)` and must fit an `i16`; at most 15.
    pub fraction_bits: u8,
    /// The stored numbers are also divided by `2^scale_bits`, which costs nothing: it brings counts or pixels into the
    /// range around one in which models learn well. The exponent of the data set is the sum of both, at most 15.
    pub scale_bits: u8,
    /// Where those are.
    pub label: LabelColumn,
    /// Whether the first line names the columns and is skipped.
    pub header: bool,
    /// Most samples that are read; more are an error.
    pub max_samples: usize,
}

/// Reads a CSV file. Memory is bounded by the format, whatever the file holds. Empty lines are skipped.
///
/// # Errors
/// Names the line and the column: too long, too few or many columns, not a decimal number (so also NaN and infinity), a
/// number or label out of range, too many samples.
pub fn read_csv(mut reader: impl BufRead, format: &CsvFormat) -> Result<Dataset, DataError> {
    check(format)?;
    let limit = (format.inputs + format.answers.columns()) * FIELD_BYTES;
    let mut columns = Columns::default();
    let mut samples = 0;
    let mut bytes = Vec::new();
    let mut header = format.header;
    for line in 1.. {
        let wrong = |what: String| DataError::Line { line, what };
        bytes.clear();
        let read = reader
            .by_ref()
            .take(limit as u64 + 1)
            .read_until(b'\n', &mut bytes);
        let read = read.map_err(|error| DataError::Read {
            what: format!("line {line}"),
            error,
        })?;
        if read == 0 {
            break;
        }
        if read > limit {
            return Err(wrong(format!("longer than {limit} bytes")));
        }
        let text = core::str::from_utf8(&bytes)
            .map_err(|_| wrong("is not UTF-8".into()))?
            .trim_end_matches(['\n', '\r']);
        if text.trim().is_empty() || core::mem::take(&mut header) {
            continue;
        }
        if samples == format.max_samples {
            return Err(wrong(format!("more than {} samples", format.max_samples)));
        }
        samples += 1;
        columns.read_line(text, format).map_err(wrong)?;
    }
    let exponent = format.fraction_bits + format.scale_bits;
    match format.answers {
        CsvAnswers::Label { .. } => {
            Dataset::new(columns.features, format.inputs, exponent, columns.labels)
        }
        CsvAnswers::Targets {
            outputs,
            fraction_bits,
            scale_bits,
        } => {
            let targets = Targets::new(columns.targets, outputs, fraction_bits + scale_bits)?;
            Dataset::with_targets(columns.features, format.inputs, exponent, targets)
        }
        CsvAnswers::None => {
            let labels = vec![0; samples];
            Dataset::new(columns.features, format.inputs, exponent, labels)
        }
    }
}

fn check(format: &CsvFormat) -> Result<(), DataError> {
    let refuse = |what: String| Err(DataError::Shape(what));
    if format.inputs == 0 || format.inputs > MAX_INPUTS as usize {
        return refuse(format!(
            "a sample has 1 to {MAX_INPUTS} features, not {}",
            format.inputs
        ));
    }
    let too_fine = |fraction_bits: u8, scale_bits: u8| {
        u32::from(fraction_bits) + u32::from(scale_bits) > u32::from(MAX_EXPONENT)
    };
    let mut fine = too_fine(format.fraction_bits, format.scale_bits);
    match format.answers {
        CsvAnswers::Label { classes } if !(2..=MAX_CLASSES).contains(&classes) => {
            return refuse(format!(
                "there are 2 to {MAX_CLASSES} classes, not {classes}"
            ));
        }
        CsvAnswers::Label { .. } | CsvAnswers::None => {}
        CsvAnswers::Targets {
            outputs,
            fraction_bits,
            scale_bits,
        } => {
            if outputs == 0 || outputs > MAX_OUTPUTS as usize {
                return refuse(format!(
                    "a sample has 1 to {MAX_OUTPUTS} targets, not {outputs}"
                ));
            }
            fine |= too_fine(fraction_bits, scale_bits);
        }
    }
    if fine {
        return refuse(format!(
            "fraction bits and scale bits are at most {MAX_EXPONENT} together"
        ));
    }
    if format.max_samples > MAX_SAMPLES.min(MAX_FEATURES / format.inputs) {
        return refuse(format!(
            "{} samples of {} features are too many",
            format.max_samples, format.inputs
        ));
    }
    Ok(())
}

/// What was read so far.
#[derive(Default)]
struct Columns {
    features: Vec<i16>,
    labels: Vec<u8>,
    targets: Vec<i16>,
}

impl Columns {
    fn read_line(&mut self, text: &str, format: &CsvFormat) -> Result<(), String> {
        let answers = format.answers.columns();
        let expected = format.inputs + answers;
        let columns = text.split(',').count();
        if columns != expected {
            return Err(format!("{columns} columns instead of {expected}"));
        }
        let first = match format.label {
            LabelColumn::First => 0,
            LabelColumn::Last => format.inputs,
        };
        for (column, field) in text.split(',').enumerate() {
            let field = field.trim();
            let wrong = |what: &str| {
                format!(
                    "column {}: `{}` {what}",
                    column + 1,
                    field.chars().take(40).collect::<String>()
                )
            };
            if !(first..first + answers).contains(&column) {
                let feature = decimal::parse(field, format.fraction_bits).map_err(wrong)?;
                self.features.push(feature);
                continue;
            }
            match format.answers {
                CsvAnswers::Label { classes } => {
                    let class = decimal::parse(field, 0).map_err(wrong)?;
                    let exact = field.bytes().all(|byte| byte.is_ascii_digit());
                    let label = u8::try_from(class)
                        .ok()
                        .filter(|&label| exact && u32::from(label) < classes)
                        .ok_or_else(|| wrong(&format!("is not a label of 0 to {}", classes - 1)))?;
                    self.labels.push(label);
                }
                CsvAnswers::Targets { fraction_bits, .. } => {
                    let target = decimal::parse(field, fraction_bits).map_err(wrong)?;
                    self.targets.push(target);
                }
                CsvAnswers::None => {}
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn format() -> CsvFormat {
        CsvFormat {
            inputs: 2,
            answers: CsvAnswers::Label { classes: 3 },
            fraction_bits: 4,
            scale_bits: 1,
            label: LabelColumn::Last,
            header: false,
            max_samples: 3,
        }
    }

    fn read(text: &str, format: &CsvFormat) -> Result<Dataset, String> {
        read_csv(text.as_bytes(), format).map_err(|error| error.to_string())
    }

    #[test]
    fn samples_without_answers_are_features_alone() {
        let bare = CsvFormat {
            answers: CsvAnswers::None,
            ..format()
        };
        let data = read("0.5,-1\n1.25,3\n", &bare).unwrap();
        assert_eq!((data.len(), data.labels()), (2, &[0u8, 0][..]));
        assert_eq!(data.row(1), &[20i16, 48][..]);
        let label = read("0.5,-1,2\n", &bare).unwrap_err();
        assert!(label.contains("3 columns instead of 2"), "{label}");
    }

    #[test]
    fn samples_are_read() {
        let data = read("0.5,-1,2\r\n\n 1.25 , 3e0,0", &format()).unwrap();
        assert_eq!(
            (data.len(), data.exponent(), data.labels()),
            (2, 5, &[2u8, 0][..])
        );
        assert_eq!(
            (data.row(0), data.row(1)),
            (&[8i16, -16][..], &[20i16, 48][..])
        );
        let first = CsvFormat {
            label: LabelColumn::First,
            header: true,
            ..format()
        };
        assert_eq!(
            read("label,a,b\n1,0.5,2\n", &first).unwrap().row(0),
            [8, 32]
        );
        assert!(read("", &format()).unwrap().is_empty());
    }

    fn targets(outputs: usize, fraction_bits: u8) -> CsvAnswers {
        CsvAnswers::Targets {
            outputs,
            fraction_bits,
            scale_bits: 2,
        }
    }

    #[test]
    fn targets_are_read() {
        let last = CsvFormat {
            answers: targets(2, 3),
            ..format()
        };
        let data = read("0.5,-1,2.25,-4\n1,2,0,0.125\n", &last).unwrap();
        let found = data.targets().unwrap();
        assert_eq!((data.len(), data.exponent(), found.exponent()), (2, 5, 5));
        assert_eq!((data.row(0), found.row(0)), (&[8, -16][..], &[18, -32][..]));
        assert_eq!((data.row(1), found.row(1)), (&[16, 32][..], &[0, 1][..]));
        let first = CsvFormat {
            label: LabelColumn::First,
            ..last.clone()
        };
        let data = read("2.25,-4,0.5,-1\n", &first).unwrap();
        assert_eq!(data.row(0), [8, -16]);
        assert_eq!(data.targets().unwrap().row(0), [18, -32]);
        for (text, error) in [
            ("1,2,3\n", "line 1: 3 columns instead of 4"),
            (
                "1,2,3,nan\n",
                "line 1: column 4: `nan` is not a decimal number",
            ),
            ("1,2,5000,0\n", "line 1: column 3: `5000` is out of range"),
        ] {
            assert_eq!(read(text, &last), Err(error.into()));
        }
    }

    #[test]
    fn errors_name_line_and_column() {
        for (text, error) in [
            (
                "1,2,0\n1,nan,0\n",
                "line 2: column 2: `nan` is not a decimal number",
            ),
            (
                "1,inf,0\n",
                "line 1: column 2: `inf` is not a decimal number",
            ),
            ("1,,0\n", "line 1: column 2: `` is not a decimal number"),
            ("1,2,3\n", "line 1: column 3: `3` is not a label of 0 to 2"),
            (
                "1,2,-1\n",
                "line 1: column 3: `-1` is not a label of 0 to 2",
            ),
            (
                "1,2,1.5\n",
                "line 1: column 3: `1.5` is not a label of 0 to 2",
            ),
            ("1,2\n", "line 1: 2 columns instead of 3"),
            ("1,2,0,4\n", "line 1: 4 columns instead of 3"),
            ("3000,2,0\n", "line 1: column 1: `3000` is out of range"),
            (
                "1,2,0\n1,2,0\n1,2,0\n1,2,0\n",
                "line 4: more than 3 samples",
            ),
        ] {
            assert_eq!(read(text, &format()), Err(error.into()));
        }
        assert!(
            read(&"1".repeat(1000), &format())
                .unwrap_err()
                .contains("longer than")
        );
        assert!(read_csv(&b"\xff,1,0\n"[..], &format()).is_err());
    }

    #[test]
    fn formats_out_of_bounds_are_refused() {
        for wrong in [
            CsvFormat {
                inputs: 0,
                ..format()
            },
            CsvFormat {
                inputs: usize::MAX,
                ..format()
            },
            CsvFormat {
                answers: CsvAnswers::Label { classes: 1 },
                ..format()
            },
            CsvFormat {
                answers: CsvAnswers::Label { classes: 257 },
                ..format()
            },
            CsvFormat {
                answers: targets(0, 3),
                ..format()
            },
            CsvFormat {
                answers: targets(257, 3),
                ..format()
            },
            CsvFormat {
                answers: targets(1, 15),
                ..format()
            },
            CsvFormat {
                fraction_bits: 15,
                ..format()
            },
            CsvFormat {
                max_samples: usize::MAX,
                ..format()
            },
        ] {
            assert!(read("", &wrong).is_err(), "{wrong:?}");
        }
    }
}
