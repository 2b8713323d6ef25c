//! NPY files (what `numpy.save` writes): one array of numbers each.
//!
//! `\x93NUMPY`, a version (1.0, 2.0 or 3.0), the length of the header (`u16`, since version 2 `u32`), the header (a Python
//! dictionary `{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2)}`), then the elements, the last dimension innermost.
//! Nothing in it is executed: files with Python objects are refused.

mod element;
mod header;

use super::{DataError, Dataset, MAX_EXPONENT, MAX_FEATURES, MAX_SAMPLES};
use crate::spec::{MAX_CLASSES, MAX_INPUTS};
use element::Number;
use header::Header;
use std::fs::File;
use std::io::{BufReader, ErrorKind, Read};
use std::path::Path;

/// What the two files of a data set hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NpyFormat {
    /// Labels are `0..classes`.
    pub classes: u32,
    /// Numbers are stored as `round(number * 2^fraction_bits)` and must fit an `i16`; at most 15. Integers too: 0 for pixels.
    pub fraction_bits: u8,
    /// The stored numbers are also divided by `2^scale_bits`, as in [`super::CsvFormat`]. The exponent of the data set is the sum
    /// of both, at most 15.
    pub scale_bits: u8,
    /// Most samples that are read; more are an error.
    pub max_samples: usize,
}

/// Reads a data set: features of two dimensions or more, the first one samples, the others flattened; and as many labels of an integer
/// type.
///
/// Elements may be `u1`, `i1`, `u2`, `i2`, `u4`, `i4`, `i8`, `f4` or `f8`, little-endian. Floats become fixed point exactly, to
/// nearest, ties to even. Memory is bounded by the format and by what the files really hold, whatever their headers say.
///
/// # Errors
/// Names the file, and the row and column (from 1, features of a sample flattened) of a number that is NaN, infinite or out of range,
/// or no label; also another type, order or shape, longer or shorter than the header says, more samples than allowed, features and
/// labels that differ in number.
pub fn read_npy(
    features: impl Read,
    labels: impl Read,
    format: &NpyFormat,
) -> Result<Dataset, DataError> {
    read_named("features", features, "labels", labels, format)
}

/// [`read_npy`] of two files, which its errors name.
///
/// # Errors
/// As [`read_npy`]; and a file that cannot be opened.
pub fn read_npy_files(
    features: &Path,
    labels: &Path,
    format: &NpyFormat,
) -> Result<Dataset, DataError> {
    let (name, other) = (features.display().to_string(), labels.display().to_string());
    read_named(&name, open(features)?, &other, open(labels)?, format)
}

fn read_named(
    features_name: &str,
    features: impl Read,
    labels_name: &str,
    labels: impl Read,
    format: &NpyFormat,
) -> Result<Dataset, DataError> {
    format.check()?;
    let table = Table::open(features_name, features, format.max_samples)?;
    let (samples, inputs) = (table.rows, table.columns);
    let features = table.fixed(format.fraction_bits)?;
    let table = Table::open(labels_name, labels, format.max_samples)?;
    if table.columns != 1 || table.rows != samples {
        let what = format!(
            "has the shape {} x {}; there is one label for each of {samples} samples",
            table.rows, table.columns
        );
        return Err(wrong(labels_name, what));
    }
    let labels = table.integers(0, i64::from(format.classes) - 1)?;
    let labels = labels.into_iter().map(|label| label as u8).collect();
    Dataset::new(
        features,
        inputs,
        format.fraction_bits + format.scale_bits,
        labels,
    )
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
        if self.classes < 2 || self.classes > MAX_CLASSES {
            return refuse(format!(
                "there are 2 to {MAX_CLASSES} classes, not {}",
                self.classes
            ));
        }
        if u32::from(self.fraction_bits) + u32::from(self.scale_bits) > u32::from(MAX_EXPONENT) {
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
