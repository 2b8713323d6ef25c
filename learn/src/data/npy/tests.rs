use super::*;
use proptest::prelude::*;

fn format() -> NpyFormat {
    NpyFormat {
        answers: NpyAnswers::Labels { classes: 3 },
        fraction_bits: 4,
        scale_bits: 1,
        max_samples: 4,
    }
}

/// As `numpy.save` writes it.
fn npy(descr: &str, shape: &str, elements: &[u8]) -> Vec<u8> {
    let mut header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}");
    while (10 + header.len() + 1) % 64 != 0 {
        header.push(' ');
    }
    header.push('\n');
    let length = u16::try_from(header.len()).unwrap();
    [
        &b"\x93NUMPY\x01\0"[..],
        &length.to_le_bytes(),
        header.as_bytes(),
        elements,
    ]
    .concat()
}

fn floats(values: &[f32]) -> Vec<u8> {
    values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect()
}

fn read(features: &[u8], labels: &[u8]) -> Result<Dataset, String> {
    read_npy(features, labels, &format()).map_err(|error| error.to_string())
}

#[test]
fn samples_are_read() {
    let labels = npy("|u1", "(2,)", &[2, 0]);
    let data = read(
        &npy("<f4", "(2, 2)", &floats(&[0.5, -1.0, 1.25, 3.0])),
        &labels,
    )
    .unwrap();
    assert_eq!(
        (data.row(0), data.row(1)),
        (&[8i16, -16][..], &[20i16, 48][..])
    );
    assert_eq!((data.labels(), data.exponent()), (&[2u8, 0][..], 5));
    // Dimensions after the first one are flattened; labels of NumPy's usual type, in a column.
    let wide: Vec<u8> = [2i64, 0].iter().flat_map(|l| l.to_le_bytes()).collect();
    let images = npy("|u1", "(2, 2, 1)", &[0, 255, 7, 8]);
    let data = read(&images, &npy("<i8", "(2, 1)", &wide)).unwrap();
    assert_eq!((data.row(0), data.inputs()), (&[0i16, 4080][..], 2));
    let empty = read(&npy("<f8", "(0, 7)", &[]), &npy("<i4", "(0,)", &[]));
    assert!(empty.unwrap().is_empty());
}

#[test]
fn errors_name_row_and_column() {
    let labels = npy("|u1", "(2,)", &[2, 0]);
    for (bad, error) in [
        (
            f32::NAN,
            "features: row 2, column 1: NaN is not a finite number",
        ),
        (
            f32::INFINITY,
            "features: row 2, column 1: inf is not a finite number",
        ),
        (
            f32::NEG_INFINITY,
            "features: row 2, column 1: -inf is not a finite number",
        ),
        (2048.0, "features: row 2, column 1: 2.048e3 is out of range"),
    ] {
        let features = npy("<f4", "(2, 2)", &floats(&[0.5, -1.0, bad, 3.0]));
        assert_eq!(read(&features, &labels), Err(error.into()));
    }
    let features = npy("<f4", "(2, 2)", &floats(&[0.5, -1.0, 1.0, 3.0]));
    for (labels, error) in [
        (
            npy("|u1", "(2,)", &[2, 3]),
            "labels: row 2, column 1: 3 is not one of 0 to 2",
        ),
        (
            npy("|i1", "(2,)", &[255, 1]),
            "labels: row 1, column 1: -1 is not one of 0 to 2",
        ),
        (
            npy("<f4", "(2,)", &floats(&[0.0, 1.0])),
            "labels: holds floats instead of integers",
        ),
        (
            npy("|u1", "(3,)", &[0; 3]),
            "labels: has the shape 3 x 1; 2 samples have one label each",
        ),
        (
            npy("|u1", "(2, 2)", &[0; 4]),
            "labels: has the shape 2 x 2; 2 samples have one label each",
        ),
    ] {
        assert_eq!(read(&features, &labels), Err(error.into()));
    }
}

#[test]
fn targets_are_read() {
    let format = NpyFormat {
        answers: NpyAnswers::Targets {
            fraction_bits: 3,
            scale_bits: 2,
        },
        ..format()
    };
    let features = npy("<f4", "(2, 1)", &floats(&[0.5, -1.0]));
    let read = |targets: &[u8]| read_npy(&features[..], targets, &format);
    let data = read(&npy("<f4", "(2, 2)", &floats(&[0.5, 1.0, -2.0, 0.0625]))).unwrap();
    let targets = data.targets().unwrap();
    assert_eq!((targets.outputs(), targets.exponent()), (2, 5));
    assert_eq!(
        (targets.row(0), targets.row(1)),
        (&[4i16, 8][..], &[-16i16, 0][..])
    );
    for (targets, error) in [
        (
            npy("<f4", "(2,)", &floats(&[f32::NAN, 0.0])),
            "targets: row 1, column 1: NaN is not a finite number",
        ),
        (
            npy("<f4", "(1,)", &floats(&[0.0])),
            "targets: has the shape 1 x 1; 2 samples have 1 to 256 targets each",
        ),
        (
            npy("|u1", "(2, 257)", &[0; 514]),
            "targets: has the shape 2 x 257; 2 samples have 1 to 256 targets each",
        ),
    ] {
        assert_eq!(read(&targets).unwrap_err().to_string(), error);
    }
    let wrong = NpyFormat {
        answers: NpyAnswers::Targets {
            fraction_bits: 15,
            scale_bits: 1,
        },
        ..format
    };
    assert!(read_npy(&features[..], &features[..], &wrong).is_err());
}

#[test]
fn wrong_files_are_refused() {
    let labels = npy("|u1", "(2,)", &[2, 0]);
    let whole = npy("<f4", "(2, 2)", &floats(&[0.5, -1.0, 1.0, 3.0]));
    for cut in 0..whole.len() {
        assert!(read(&whole[..cut], &labels).is_err(), "{cut}");
    }
    for (features, error) in [
        (
            [&whole[..], &[0]].concat(),
            "another number of bytes than the 16",
        ),
        (npy("<f4", "(5, 1)", &[0; 20]), "5 samples are more than 4"),
        (npy("<f4", "(2, 0)", &[]), "out of bounds"),
        (npy("<f4", "(2, 65537)", &[]), "out of bounds"),
        (
            npy("<f4", "(4, 9999999999, 9999999999)", &[]),
            "out of bounds",
        ),
        (
            npy("<f4", "(18446744073709551615,)", &[]),
            "are more than 4",
        ),
        // Sixteen gigabytes by the header.
        (npy("<f8", "(4, 65536)", &[0; 9]), "another number of bytes"),
        (npy("<f4", "()", &[0; 4]), "one number and no array"),
        (npy("|O", "(2, 2)", &[]), "Python objects"),
        (npy(">f4", "(2, 2)", &[0; 16]), "astype('<f4')"),
    ] {
        let found = read(&features, &labels).unwrap_err();
        assert!(found.contains(error), "{found}");
    }
    for format in [
        NpyFormat {
            answers: NpyAnswers::Labels { classes: 1 },
            ..format()
        },
        NpyFormat {
            answers: NpyAnswers::Labels { classes: 257 },
            ..format()
        },
        NpyFormat {
            fraction_bits: 15,
            ..format()
        },
        NpyFormat {
            scale_bits: 255,
            ..format()
        },
    ] {
        assert!(read_npy(&whole[..], &labels[..], &format).is_err());
    }
}

#[test]
fn errors_of_files_name_them() {
    let folder = tempfile::tempdir().unwrap();
    let (x, y) = (folder.path().join("x.npy"), folder.path().join("y.npy"));
    let error = |x: &Path, y: &Path| read_npy_files(x, y, &format()).unwrap_err().to_string();
    assert!(error(&x, &y).contains("x.npy"));
    std::fs::write(&x, npy("<f4", "(1, 1)", &floats(&[f32::NAN]))).unwrap();
    std::fs::write(&y, npy("|u1", "(1,)", &[1])).unwrap();
    assert!(error(&x, &y).ends_with("x.npy: row 1, column 1: NaN is not a finite number"));
    std::fs::write(&x, npy("<f4", "(1, 1)", &floats(&[0.25]))).unwrap();
    assert_eq!(read_npy_files(&x, &y, &format()).unwrap().row(0), [4]);
}

/// Gives out what it has in pieces, as a pipe does.
struct Pieces<'a>(&'a [u8], usize);

impl Read for Pieces<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let len = self.1.min(buffer.len()).min(self.0.len());
        buffer[..len].copy_from_slice(&self.0[..len]);
        self.0 = &self.0[len..];
        Ok(len)
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read(values in prop::collection::vec(-1000i16..1000, 1..3000), piece in 1usize..5000) {
        let columns = 1 + values.len() / 4;
        let values = &values[..values.len() / columns * columns];
        let shape = format!("({}, {columns})", values.len() / columns);
        let labels = npy("|u1", &format!("({},)", values.len() / columns), &vec![1; values.len() / columns]);
        // Sixteenths are exact in all of these types.
        let doubles: Vec<u8> = values.iter().flat_map(|&v| (f64::from(v) / 16.0).to_le_bytes()).collect();
        let singles: Vec<u8> = values.iter().flat_map(|&v| (f32::from(v) / 16.0).to_le_bytes()).collect();
        for file in [npy("<f8", &shape, &doubles), npy("<f4", &shape, &singles)] {
            let data = read_npy(Pieces(&file, piece), &labels[..], &format()).unwrap();
            prop_assert!((0..data.len()).flat_map(|row| data.row(row)).eq(values));
        }
    }

    #[test]
    fn damaged_files_never_panic(at in 0usize..160, to: u8, cut in 0usize..200, version in 0u8..5) {
        let labels = npy("|u1", "(2,)", &[2, 0]);
        let mut file = npy("<f4", "(2, 2)", &floats(&[0.5, -1.0, 1.0, 3.0]));
        file[6] = version;
        let place = at % file.len();
        file[place] = to;
        let cut = cut.min(file.len());
        if let Ok(data) = read_npy(&file[..cut], &labels[..], &format()) {
            prop_assert_eq!(data.len(), 2);
        }
        let _ = read_npy(&labels[..], &file[..cut], &format());
    }
}
