//! NPY files (what `numpy.save` writes): one array of numbers each.
//!
//! `\x93NUMPY`, a version (1.0, 2.0 or 3.0), the length of the header (`u16`, since version 2 `u32`), the header (a Python
//! dictionary `{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2)}`), then the elements, the last dimension innermost.
//! Nothing in it is executed: files with Python objects are refused.

mod element;
mod header;

use super::{DataError, Dataset, MAX_EXPONENT, MAX_FEATURES, MAX_SAMPLES, Targets};
use crate::spec::{MAX_CLASSES, MAX_INPUTS, MAX_OUTPUTS};
use element::Number;
use header::Header;
use std::fs::File;
use std::io::{BufReader, ErrorKind, Read};
use std::path::Path;

/// What the second file of a data set holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NpyAnswers {
    /// A label for each sample, of an integer type.
    Labels {
        /// Labels are `0..classes`.
        classes: u32,
    },
    /// Numbers that a model should predict, stored as features are.
    Targets {
        /// As [`NpyFormat::fraction_bits`].
        fraction_bits: u8,
        /// As [`NpyFormat::scale_bits`].
        scale_bits: u8,
    },
}

/// What the two files of a data set hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NpyFormat {
    /// The second file.
    pub answers: NpyAnswers,
    /// Numbers are stored as `round(number * 2^fraction_bits)` and must fit an `i16`; at most 15. Integers too: 0 for pixels.
    pub fraction_bits: u8,
    /// The stored numbers are also divided by `2^scale_bits`, as in [`super::CsvFormat`]. The exponent of the data set is the sum
    /// of both, at most 15.
    pub scale_bits: u8,
    /// Most samples that are read; more are an error.
    pub max_samples: usize,
}

/// Reads a data set: features of two dimensions or more, the first one samples, the others flattened; and as many labels or rows of
/// targets.
///
/// Elements may be `u1`, `i1`, `u2`, `i2`, `u4`, `i4`, `i8`, `f4` or `f8`, little-endian. Floats become fixed point exactly, to
/// nearest, ties to even. Memory is bounded by the format and by what the files really hold, whatever their headers say.
///
/// # Errors
/// Names the file, and the row and column (from 1, features of a sample flattened) of a number that is NaN, infinite or out of range,
/// or no label; also another type, order or shape, longer or shorter than the header says, more samples than allowed, features and
/// answers that differ in number.
pub fn read_npy(
    features: impl Read,
    answers: impl Read,
    format: &NpyFormat,
) -> Result<Dataset, DataError> {
    let name = match format.answers {
        NpyAnswers::Labels { .. } => "labels",
        NpyAnswers::Targets { .. } => "targets",
    };
    read_named(("features", features), (name, answers), format)
}

/// [`read_npy`] of two files, which its errors name.
///
/// # Errors
/// As [`read_npy`]; and a file that cannot be opened.
pub fn read_npy_files(
    features: &Path,
    answers: &Path,
    format: &NpyFormat,
) -> Result<Dataset, DataError> {
    let (name, other) = (
        features.display().to_string(),
        answers.display().to_string(),
    );
    read_named((&name, open(features)?), (&other, open(answers)?), format)
}

fn read_named(
    (features_name, features): (&str, impl Read),
    (answers_name, answers): (&str, impl Read),
    format: &NpyFormat,
) -> Result<Dataset, DataError> {
    format.check()?;
    let table = Table::open(features_name, features, format.max_samples)?;
    let (samples, inputs) = (table.rows, table.columns);
    let exponent = format.fraction_bits + format.scale_bits;
    let features = table.fixed(format.fraction_bits)?;
    let table = Table::open(answers_name, answers, format.max_samples)?;
    let fits = |columns: bool, what: &str| {
        let (rows, found) = (table.rows, table.columns);
        if columns && rows == samples {
            return Ok(());
        }
        let what = format!("has the shape {rows} x {found}; {samples} samples have {what}");
        Err(wrong(answers_name, what))
    };
    match format.answers {
        NpyAnswers::Labels { classes } => {
            fits(table.columns == 1, "one label each")?;
            let labels = table.integers(0, i64::from(classes) - 1)?;
            let labels = labels.into_iter().map(|label| label as u8).collect();
            Dataset::new(features, inputs, exponent, labels)
        }
        NpyAnswers::Targets {
            fraction_bits,
            scale_bits,
        } => {
            let outputs = table.columns;
            let few = outputs <= MAX_OUTPUTS as usize;
            fits(few, &format!("1 to {MAX_OUTPUTS} targets each"))?;
            let targets = table.fixed(fraction_bits)?;
            let targets = Targets::new(targets, outputs, fraction_bits + scale_bits)?;
            Dataset::with_targets(features, inputs, exponent, targets)
        }
    }
}

pub(super) fn open(path: &Path) -> Result<BufReader<File>, DataError> {
    let failed = |error| DataError::Read {
        what: path.display().to_string(),
        error,
    };
    File::open(path).map(BufReader::new).map_err(failed)
}

fn wrong(file: &str, what: String) -> DataError {
    let file = file.to_owned();
    DataError::Npy { file, what }
}

impl NpyFormat {
    fn check(&self) -> Result<(), DataError> {
        let refuse = |what: String| Err(DataError::Shape(what));
        let mut bits = vec![(self.fraction_bits, self.scale_bits)];
        match self.answers {
            NpyAnswers::Labels { classes } if !(2..=MAX_CLASSES).contains(&classes) => {
                return refuse(format!(
                    "there are 2 to {MAX_CLASSES} classes, not {classes}"
                ));
            }
            NpyAnswers::Labels { .. } => (),
            NpyAnswers::Targets {
                fraction_bits,
                scale_bits,
            } => bits.push((fraction_bits, scale_bits)),
        }
        let most = u32::from(MAX_EXPONENT);
        if bits
            .iter()
            .any(|&(a, b)| u32::from(a) + u32::from(b) > most)
        {
            return refuse(format!(
                "fraction bits and scale bits are at most {MAX_EXPONENT} together"
            ));
        }
        Ok(())
    }
}

/// An array as rows of as many numbers each, of which the header has been read.
pub(super) struct Table<R> {
    name: String,
    header: Header,
    pub(super) rows: usize,
    /// All dimensions but the first one, flattened; 1 when there is only one.
    pub(super) columns: usize,
    elements: R,
}

impl<R: Read> Table<R> {
    /// Reads the header. `name` is what errors call the file.
    pub(super) fn open(name: &str, mut reader: R, max_rows: usize) -> Result<Self, DataError> {
        let header = Header::read(&mut reader).map_err(|error| DataError::Read {
            what: name.to_owned(),
            error,
        })?;
        let header = header.map_err(|what| wrong(name, what))?;
        let Some((&rows, columns)) = header.shape.split_first() else {
            return Err(wrong(name, "holds one number and no array".into()));
        };
        let columns = columns
            .iter()
            .try_fold(1usize, |product, &size| product.checked_mul(size))
            .unwrap_or(usize::MAX);
        if rows > max_rows.min(MAX_SAMPLES) {
            let most = max_rows.min(MAX_SAMPLES);
            return Err(wrong(name, format!("{rows} samples are more than {most}")));
        }
        let most = MAX_INPUTS as usize;
        if columns == 0 || columns > most || rows * columns > MAX_FEATURES {
            let what = format!("{rows} samples of {columns} numbers are out of bounds");
            return Err(wrong(name, what));
        }
        Ok(Self {
            name: name.to_owned(),
            header,
            rows,
            columns,
            elements: reader,
        })
    }

    /// All numbers times `2^fraction_bits`, row by row.
    pub(super) fn fixed(self, fraction_bits: u8) -> Result<Vec<i16>, DataError> {
        self.read(|number| number.fixed(fraction_bits))
    }

    /// All numbers as they are, row by row; the file has an integer type.
    pub(super) fn integers(self, least: i64, most: i64) -> Result<Vec<i64>, DataError> {
        if self.header.element.is_float() {
            return Err(wrong(&self.name, "holds floats instead of integers".into()));
        }
        self.read(|number| match number {
            Number::Integer(value) if (least..=most).contains(&value) => Ok(value),
            Number::Integer(value) => Err(format!("{value} is not one of {least} to {most}")),
            Number::Float(value) => Err(format!("{value} is not an integer")),
        })
    }

    fn read<T>(
        mut self,
        convert: impl Fn(Number) -> Result<T, String>,
    ) -> Result<Vec<T>, DataError> {
        let size = self.header.element.size();
        let expected = (self.rows * self.columns) as u64 * size as u64;
        let mut elements = self.elements.by_ref().take(expected);
        let mut values = Vec::new();
        // A multiple of every size. What is left over of an element waits for the rest.
        let mut buffer = [0; 8192];
        let mut kept = 0;
        let failed = |error| DataError::Read {
            what: self.name.clone(),
            error,
        };
        loop {
            let read = match elements.read(&mut buffer[kept..]) {
                Ok(0) => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                read => read.map_err(failed)?,
            };
            let filled = kept + read;
            for element in buffer[..filled].chunks_exact(size) {
                let mut bytes = [0; 8];
                bytes[..size].copy_from_slice(element);
                let value = convert(self.header.element.number(bytes)).map_err(|what| {
                    let (row, column) = (values.len() / self.columns, values.len() % self.columns);
                    let what = format!("row {}, column {}: {what}", row + 1, column + 1);
                    wrong(&self.name, what)
                })?;
                values.push(value);
            }
            kept = filled % size;
            buffer.copy_within(filled - kept..filled, 0);
        }
        let mut more = Vec::new();
        self.elements
            .take(1)
            .read_to_end(&mut more)
            .map_err(failed)?;
        if values.len() != self.rows * self.columns || kept > 0 || !more.is_empty() {
            let what =
                format!("holds another number of bytes than the {expected} that its header says");
            return Err(wrong(&self.name, what));
        }
        Ok(values)
    }
}

#[cfg(test)]
mod tests;
