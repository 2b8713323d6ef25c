//! CSV files: one sample a line, decimal numbers between commas, the label in the first or last column.

use super::{DataError, Dataset, MAX_EXPONENT, MAX_FEATURES, MAX_SAMPLES, decimal};
use crate::spec::{MAX_CLASSES, MAX_INPUTS};
use std::io::{BufRead, Read};

/// Longest field, with its comma.
const FIELD_BYTES: usize = 48;

/// Where the label is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LabelColumn {
    /// In the first column.
    First,
    /// In the last column.
    Last,
}

/// What a CSV file looks like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CsvFormat {
    /// Features of a sample: a line has one more column.
    pub inputs: usize,
    /// Labels are `0..classes`.
    pub classes: u32,
    /// Numbers are stored as `round(number * 2^fraction_bits)` and must fit an `i16`; at most 15.
    pub fraction_bits: u8,
    /// The stored numbers are also divided by `2^scale_bits`, which costs nothing: it brings counts or pixels into the
    /// range around one in which models learn well. The exponent of the data set is the sum of both, at most 15.
    pub scale_bits: u8,
    /// Where the label is.
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
    let limit = (format.inputs + 1) * FIELD_BYTES;
    let (mut features, mut labels) = (Vec::new(), Vec::new());
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
        let text = std::str::from_utf8(&bytes)
            .map_err(|_| wrong("is not UTF-8".into()))?
            .trim_end_matches(['\n', '\r']);
        if text.trim().is_empty() || std::mem::take(&mut header) {
            continue;
        }
        if labels.len() == format.max_samples {
            return Err(wrong(format!("more than {} samples", format.max_samples)));
        }
        labels.push(read_line(text, format, &mut features).map_err(wrong)?);
    }
    Dataset::new(
        features,
        format.inputs,
        format.fraction_bits + format.scale_bits,
        labels,
    )
}

fn check(format: &CsvFormat) -> Result<(), DataError> {
    let refuse = |what: String| Err(DataError::Shape(what));
    if format.inputs == 0 || format.inputs > MAX_INPUTS as usize {
        return refuse(format!(
            "a sample has 1 to {MAX_INPUTS} features, not {}",
            format.inputs
        ));
    }
    if format.classes < 2 || format.classes > MAX_CLASSES {
        return refuse(format!(
            "there are 2 to {MAX_CLASSES} classes, not {}",
            format.classes
        ));
    }
    if u32::from(format.fraction_bits) + u32::from(format.scale_bits) > u32::from(MAX_EXPONENT) {
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

fn read_line(text: &str, format: &CsvFormat, features: &mut Vec<i16>) -> Result<u8, String> {
    let columns = text.split(',').count();
    if columns != format.inputs + 1 {
        return Err(format!(
            "{columns} columns instead of {}",
            format.inputs + 1
        ));
    }
    let label_column = if format.label == LabelColumn::First {
        0
    } else {
        format.inputs
    };
    let mut label = 0;
    for (column, field) in text.split(',').enumerate() {
        let field = field.trim();
        let wrong = |what: &str| {
            format!(
                "column {}: `{}` {what}",
                column + 1,
                field.chars().take(40).collect::<String>()
            )
        };
        if column != label_column {
            features.push(decimal::parse(field, format.fraction_bits).map_err(wrong)?);
            continue;
        }
        let class = decimal::parse(field, 0).map_err(wrong)?;
        let exact = field.bytes().all(|byte| byte.is_ascii_digit());
        label = u8::try_from(class)
            .ok()
            .filter(|&label| exact && u32::from(label) < format.classes)
            .ok_or_else(|| wrong(&format!("is not a label of 0 to {}", format.classes - 1)))?;
    }
    Ok(label)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn format() -> CsvFormat {
        CsvFormat {
            inputs: 2,
            classes: 3,
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
                classes: 1,
                ..format()
            },
            CsvFormat {
                classes: 257,
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
