//! IDX files (the format of MNIST), plain or compressed with gzip.
//!
//! Header: two zero bytes, the type (8: unsigned bytes), the number of dimensions, then every dimension as a
//! big-endian u32; then the bytes.

use super::{DataError, Dataset, MAX_FEATURES, MAX_SAMPLES, Split};
use crate::spec::MAX_INPUTS;
use flate2::bufread::MultiGzDecoder;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

/// Where Debian's package `dataset-fashion-mnist` puts its files.
pub const FASHION_MNIST_FOLDER: &str = "/usr/share/datasets/fashion-mnist";

/// Pixels are 0..=255; divided by 256 they are below one.
const PIXEL_EXPONENT: u8 = 8;

/// Reads images and their labels. A pixel `p` becomes the feature `p / 256`.
///
/// Memory is bounded by `max_samples` and by what the files really hold, whatever their headers say.
///
/// # Errors
/// Names the file: cannot be read, not IDX, another type or shape, longer or shorter than its header says, images and
/// labels differ in number, a label that is not below `classes`, more samples than allowed.
pub fn read_idx(
    images: &Path,
    labels: &Path,
    classes: u32,
    max_samples: usize,
) -> Result<Dataset, DataError> {
    let max_samples = max_samples.min(MAX_SAMPLES);
    let image_file = Idx::open(images, 3, max_samples)?;
    let label_file = Idx::open(labels, 1, max_samples)?;
    let wrong = |path: &Path, what: String| DataError::Idx {
        file: path.display().to_string(),
        what,
    };
    if image_file.samples != label_file.samples {
        let what = format!(
            "{} labels for {} images",
            label_file.samples, image_file.samples
        );
        return Err(wrong(labels, what));
    }
    if let Some(label) = label_file
        .bytes
        .iter()
        .find(|&&label| u32::from(label) >= classes)
    {
        return Err(wrong(
            labels,
            format!("label {label} is not below {classes}"),
        ));
    }
    let features = image_file.bytes.into_iter().map(i16::from).collect();
    Dataset::new(
        features,
        image_file.sample_bytes,
        PIXEL_EXPONENT,
        label_file.bytes,
    )
}

/// Fashion-MNIST: 60,000 images of 28 x 28 pixels to learn from, 10,000 to judge with, ten classes.
///
/// Looks in `folder`, or where Debian's package installs it. The files may be compressed or not.
///
/// # Errors
/// The files are not there (the message names the package), or are wrong.
pub fn fashion_mnist(folder: Option<&Path>) -> Result<Split, DataError> {
    let folder = folder.unwrap_or(Path::new(FASHION_MNIST_FOLDER));
    four_files(folder, || DataError::NotInstalled {
        data: "Fashion-MNIST",
        folder: folder.display().to_string(),
        package: "dataset-fashion-mnist",
    })
}

/// MNIST: 60,000 images of 28 x 28 pixels to learn from, 10,000 to judge with, ten digits.
///
/// Looks in the folder that `dawn data fetch mnist` makes. The files may be compressed or not.
///
/// # Errors
/// The files are not there (the message says how to get them), or are wrong.
pub fn mnist(folder: &Path) -> Result<Split, DataError> {
    four_files(folder, || DataError::NotFetched {
        data: "MNIST",
        folder: folder.display().to_string(),
        name: "mnist",
    })
}

/// The files of MNIST, and of what took its form.
fn four_files(folder: &Path, absent: impl Fn() -> DataError) -> Result<Split, DataError> {
    let find = |name: &str| {
        [format!("{name}.gz"), name.to_owned()]
            .into_iter()
            .map(|name| folder.join(name))
            .find(|path| path.is_file())
            .ok_or_else(&absent)
    };
    let read = |part: &str, samples| {
        let images = find(&format!("{part}-images-idx3-ubyte"))?;
        let labels = find(&format!("{part}-labels-idx1-ubyte"))?;
        read_idx(&images, &labels, 10, samples)
    };
    Ok(Split {
        train: read("train", 60_000)?,
        test: read("t10k", 10_000)?,
    })
}

struct Idx {
    samples: usize,
    sample_bytes: usize,
    bytes: Vec<u8>,
}

impl Idx {
    fn open(path: &Path, dimensions: u8, max_samples: usize) -> Result<Self, DataError> {
        let file = || path.display().to_string();
        let failed = |error| DataError::Read {
            what: file(),
            error,
        };
        let mut raw = BufReader::new(File::open(path).map_err(failed)?);
        let compressed = raw.fill_buf().map_err(failed)?.starts_with(&[0x1f, 0x8b]);
        let parsed = if compressed {
            Self::read(MultiGzDecoder::new(raw), dimensions, max_samples)
        } else {
            Self::read(raw, dimensions, max_samples)
        };
        parsed
            .map_err(failed)?
            .map_err(|what| DataError::Idx { file: file(), what })
    }

    fn read(
        mut reader: impl Read,
        dimensions: u8,
        max_samples: usize,
    ) -> std::io::Result<Result<Self, String>> {
        let mut header = Vec::new();
        let header_len = 4 + 4 * usize::from(dimensions);
        reader
            .by_ref()
            .take(header_len as u64)
            .read_to_end(&mut header)?;
        if header.len() != header_len || header[..4] != [0, 0, 8, dimensions] {
            return Ok(Err(format!(
                "is not an IDX file of bytes with {dimensions} dimensions"
            )));
        }
        let (sizes, _) = header[4..].as_chunks::<4>();
        let mut sizes = sizes.iter().map(|size| u32::from_be_bytes(*size) as usize);
        let samples = sizes.next().unwrap_or(0);
        let sample_bytes = sizes
            .try_fold(1usize, usize::checked_mul)
            .unwrap_or(usize::MAX);
        if samples > max_samples {
            return Ok(Err(format!(
                "{samples} samples are more than {max_samples}"
            )));
        }
        if sample_bytes == 0
            || sample_bytes > MAX_INPUTS as usize
            || samples * sample_bytes > MAX_FEATURES
        {
            return Ok(Err(format!(
                "{samples} samples of {sample_bytes} bytes are out of bounds"
            )));
        }
        let expected = samples * sample_bytes;
        let mut bytes = Vec::new();
        reader.take(expected as u64 + 1).read_to_end(&mut bytes)?;
        if bytes.len() != expected {
            return Ok(Err(format!(
                "holds another number of bytes than the {expected} that its header says"
            )));
        }
        Ok(Ok(Self {
            samples,
            sample_bytes,
            bytes,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::path::PathBuf;

    fn idx(sizes: &[u32], body: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0, 0, 8, u8::try_from(sizes.len()).unwrap()];
        sizes
            .iter()
            .for_each(|size| bytes.extend(size.to_be_bytes()));
        bytes.extend(body);
        bytes
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn read(images: &[u8], labels: &[u8]) -> Result<Dataset, String> {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, bytes: &[u8]| -> PathBuf {
            let path = folder.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            path
        };
        read_idx(&file("images", images), &file("labels", labels), 3, 4)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn plain_and_compressed_files_are_the_same() {
        let (images, labels) = (idx(&[2, 1, 2], &[0, 255, 7, 8]), idx(&[2], &[2, 0]));
        let data = read(&images, &labels).unwrap();
        assert_eq!(
            (data.row(0), data.row(1), data.labels()),
            (&[0i16, 255][..], &[7i16, 8][..], &[2u8, 0][..])
        );
        assert_eq!(data.exponent(), 8);
        assert_eq!(read(&gzip(&images), &gzip(&labels)), Ok(data));
    }

    #[test]
    fn wrong_files_are_refused() {
        let images = idx(&[2, 1, 2], &[0, 255, 7, 8]);
        let labels = idx(&[2], &[2, 0]);
        for (images, labels, error) in [
            (&images[..18], &labels[..], "that its header says"),
            (&images[..10], &labels[..], "is not an IDX file"),
            (
                &[&images[..], &[0]].concat()[..],
                &labels[..],
                "that its header says",
            ),
            (&idx(&[5, 1, 2], &[0; 10])[..], &labels[..], "more than 4"),
            (&idx(&[2, 0, 2], &[])[..], &labels[..], "out of bounds"),
            (
                &idx(&[4, u32::MAX, u32::MAX], &[])[..],
                &labels[..],
                "out of bounds",
            ),
            (&images[..], &idx(&[1], &[2])[..], "1 labels for 2 images"),
            (
                &images[..],
                &idx(&[2], &[2, 3])[..],
                "label 3 is not below 3",
            ),
            (&images[..], &images[..], "is not an IDX file"),
            (&gzip(&images)[..20], &labels[..], ""),
            (&b""[..], &labels[..], "is not an IDX file"),
        ] {
            let found = read(images, labels).unwrap_err();
            assert!(found.contains(error), "{found}");
        }
    }

    #[test]
    fn an_absent_data_set_names_its_package() {
        let folder = tempfile::tempdir().unwrap();
        let error = fashion_mnist(Some(folder.path())).unwrap_err().to_string();
        assert!(
            error.contains("apt-get install dataset-fashion-mnist"),
            "{error}"
        );
        let error = mnist(folder.path()).unwrap_err().to_string();
        assert!(error.contains("dawn data fetch mnist"), "{error}");
    }
}
