//! Data at the extremes, by way of every reader into training: the right result or an error that says where and what.

#![allow(clippy::unwrap_used)]

use dawn_learn::data::{
    CsvAnswers, CsvFormat, DataError, LabelColumn, NpyAnswers, NpyFormat, PartitionSpec, partition,
    partition_by_user, read_csv, read_idx, read_npy,
};
use dawn_learn::train::TrainError;
use dawn_learn::{Dataset, Model, TrainSpec, apply_update, evaluate, train};
use std::path::PathBuf;

const INPUTS: usize = 16;
const CLASSES: u32 = 3;
/// Models of 16 features and three classes, and of two numbers instead.
const CLASSIFIERS: [&str; 4] = [
    "logistic:16-3",
    "mlp:16-9-3",
    "mlp:16-9-5-3",
    "cnn:4x4x1-2k2-3",
];
const REGRESSORS: [&str; 2] = ["linear:16-2", "regressor:16-9-2"];

/// What all readers are given: features, and labels.
struct Table {
    features: Vec<i16>,
    labels: Vec<i64>,
    exponent: u8,
}

impl Table {
    fn csv(&self) -> Result<Dataset, DataError> {
        let rows = self.features.chunks(INPUTS).zip(&self.labels);
        let lines = rows.map(|(row, label)| {
            let row: Vec<String> = row.iter().map(ToString::to_string).collect();
            format!("{},{label}\n", row.join(","))
        });
        csv(&lines.collect::<String>(), self.exponent)
    }

    fn npy(&self) -> Result<Dataset, DataError> {
        let features = self.features.iter().flat_map(|f| f.to_le_bytes());
        let labels = self.labels.iter().flat_map(|label| label.to_le_bytes());
        let samples = self.labels.len();
        npy(
            &array("<i2", &format!("({samples}, {INPUTS})"), features),
            &array("<i8", &format!("({samples},)"), labels),
            self.exponent,
        )
    }
}

fn csv(text: &str, scale_bits: u8) -> Result<Dataset, DataError> {
    let format = CsvFormat {
        inputs: INPUTS,
        answers: CsvAnswers::Label { classes: CLASSES },
        fraction_bits: 0,
        scale_bits,
        label: LabelColumn::Last,
        header: false,
        max_samples: 100,
    };
    read_csv(text.as_bytes(), &format)
}

fn npy(features: &[u8], labels: &[u8], scale_bits: u8) -> Result<Dataset, DataError> {
    let format = NpyFormat {
        answers: NpyAnswers::Labels { classes: CLASSES },
        fraction_bits: 0,
        scale_bits,
        max_samples: 100,
    };
    read_npy(features, labels, &format)
}

/// As `numpy.save` writes it.
fn array(descr: &str, shape: &str, elements: impl IntoIterator<Item = u8>) -> Vec<u8> {
    let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n");
    let length = u16::try_from(header.len()).unwrap().to_le_bytes();
    let mut bytes = [b"\x93NUMPY\x01\0", &length[..], header.as_bytes()].concat();
    bytes.extend(elements);
    bytes
}

/// IDX files have bytes: pixels, and labels.
fn idx(pixels: &[u8], labels: &[u8]) -> Result<Dataset, DataError> {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, kind: &[u8], sizes: &[u32], body: &[u8]| -> PathBuf {
        let path = folder.path().join(name);
        let sizes = sizes.iter().flat_map(|size| size.to_be_bytes());
        let bytes = kind
            .iter()
            .copied()
            .chain(sizes)
            .chain(body.iter().copied());
        std::fs::write(&path, bytes.collect::<Vec<u8>>()).unwrap();
        path
    };
    let samples = u32::try_from(labels.len()).unwrap();
    let images = write("images", &[0, 0, 8, 3], &[samples, 4, 4], pixels);
    let labels = write("labels", &[0, 0, 8, 1], &[samples], labels);
    read_idx(&images, &labels, CLASSES, 100)
}

fn spec(learning_rate: u32, momentum: u16) -> TrainSpec {
    TrainSpec {
        epochs: 3,
        batch: 3,
        learning_rate,
        momentum,
        dropout: None,
        rounding: None,
    }
}

fn learn(model: &str, data: &Dataset, spec: &TrainSpec) -> Model {
    let start = Model::initial(model.parse().unwrap(), [1; 32]).unwrap();
    let delta = train(&start, data, spec, [2; 32]).unwrap();
    apply_update(&start, delta.values(), 1, 0).unwrap()
}

/// With the largest and the smallest rate, with and without momentum: everything stays in its range (overflow is checked here), and
/// all samples are judged.
fn everything_learns(models: &[&str], data: &Dataset) {
    for model in models {
        for (rate, momentum) in [
            (1, 0),
            (16 << 16, 0),
            (1 << 12, u16::MAX),
            (16 << 16, u16::MAX),
        ] {
            let trained = learn(model, data, &spec(rate, momentum));
            assert_eq!(evaluate(&trained, data).unwrap().total, data.len() as u64);
        }
    }
}

#[test]
fn the_ends_of_the_range_go_through_every_reader() {
    let ends = |place: usize| {
        if place.is_multiple_of(2) {
            i16::MIN
        } else {
            i16::MAX
        }
    };
    for exponent in [0, 15] {
        for features in [
            vec![i16::MIN; 4 * INPUTS],
            vec![i16::MAX; 4 * INPUTS],
            (0..4 * INPUTS).map(ends).collect(),
        ] {
            let table = Table {
                features,
                labels: vec![0, 2, 1, 0],
                exponent,
            };
            let data = table.csv().unwrap();
            assert_eq!(data, table.npy().unwrap());
            assert_eq!(data.exponent(), exponent);
            assert_eq!(data.row(3), &table.features[3 * INPUTS..]);
            everything_learns(&CLASSIFIERS, &data);
        }
    }
    let pixels: Vec<u8> = (0..2 * INPUTS)
        .map(|i| if i < INPUTS { 0 } else { 255 })
        .collect();
    everything_learns(&CLASSIFIERS, &idx(&pixels, &[0, 2]).unwrap());
    // One step further is an error with its place.
    let mut row = vec!["0"; INPUTS + 1];
    row[2] = "32768";
    let error = csv(&row.join(","), 0).unwrap_err().to_string();
    assert_eq!(error, "line 1: column 3: `32768` is out of range");
    let mut wide = [0i32; INPUTS];
    wide[2] = -32769;
    let features = array("<i4", "(1, 16)", wide.iter().flat_map(|f| f.to_le_bytes()));
    let error = npy(&features, &array("|u1", "(1,)", [0]), 0).unwrap_err();
    assert_eq!(
        error.to_string(),
        "features: row 1, column 3: -32769 is out of range"
    );
}

#[test]
fn targets_at_the_ends_are_learnt_from() {
    let features = array(
        "<i2",
        "(2, 16)",
        [i16::MIN.to_le_bytes(), i16::MAX.to_le_bytes()]
            .concat()
            .repeat(INPUTS),
    );
    let targets: Vec<u8> = [i16::MIN, i16::MAX, i16::MAX, i16::MIN]
        .iter()
        .flat_map(|t| t.to_le_bytes())
        .collect();
    for scale_bits in [0, 15] {
        let format = NpyFormat {
            answers: NpyAnswers::Targets {
                fraction_bits: 0,
                scale_bits,
            },
            fraction_bits: 0,
            scale_bits,
            max_samples: 2,
        };
        let data = read_npy(
            &features[..],
            &array("<i2", "(2, 2)", targets.clone())[..],
            &format,
        );
        let data = data.unwrap();
        assert_eq!(data.targets().unwrap().row(0), [i16::MIN, i16::MAX]);
        everything_learns(&REGRESSORS, &data);
    }
}

#[test]
fn nothing_is_read_and_nothing_is_learnt() {
    let empty = Table {
        features: vec![],
        labels: vec![],
        exponent: 0,
    };
    for data in [empty.csv(), empty.npy(), idx(&[], &[])] {
        let data = data.unwrap();
        // A CSV file says nothing of features, but its format does.
        assert_eq!((data.len(), data.inputs()), (0, INPUTS));
        for model in CLASSIFIERS {
            let start = Model::initial(model.parse().unwrap(), [1; 32]).unwrap();
            let error = train(&start, &data, &spec(1, 0), [0; 32]).unwrap_err();
            assert_eq!(error, TrainError::EmptyDataset);
            assert_eq!(
                evaluate(&start, &data).unwrap(),
                dawn_learn::Evaluation::default()
            );
        }
        let one = PartitionSpec {
            organisations: 1,
            devices: 1,
            alpha: 1,
        };
        assert!(partition(&data, &one, [0; 32]).is_err());
        assert!(partition_by_user(std::iter::empty::<(u32, u8)>(), 1).is_err());
    }
}

#[test]
fn one_class_is_learnt_from_every_reader() {
    let features: Vec<u8> = (0..6 * INPUTS).map(|i| (i * 37 % 256) as u8).collect();
    let table = Table {
        features: features.iter().map(|&f| f.into()).collect(),
        labels: vec![1; 6],
        exponent: 8,
    };
    let data = idx(&features, &[1; 6]).unwrap();
    assert_eq!(table.csv().unwrap(), data);
    assert_eq!(table.npy().unwrap(), data);
    for model in CLASSIFIERS {
        let trained = learn(model, &data, &spec(1 << 13, 0));
        assert_eq!(evaluate(&trained, &data).unwrap().correct, 6, "{model}");
    }
}

#[test]
fn what_is_no_number_is_found() {
    for text in ["nan", "NaN", "inf", "-inf", "infinity", "1e9999", ""] {
        let mut row = vec!["0"; INPUTS + 1];
        row[5] = text;
        let lines = format!("{}\n{}\n", vec!["1"; INPUTS + 1].join(","), row.join(","));
        let error = csv(&lines, 0).unwrap_err().to_string();
        assert!(error.starts_with("line 2: column 6: `"), "{error}");
    }
    for value in [
        f64::NAN,
        -f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::MAX,
    ] {
        let mut rows = [0.0; 2 * INPUTS];
        rows[INPUTS + 5] = value;
        let doubles = array("<f8", "(2, 16)", rows.iter().flat_map(|f| f.to_le_bytes()));
        let singles = rows.iter().flat_map(|&f| (f as f32).to_le_bytes());
        let singles = array("<f4", "(2, 16)", singles);
        for features in [doubles, singles] {
            let error = npy(&features, &array("|u1", "(2,)", [0, 1]), 0).unwrap_err();
            let error = error.to_string();
            assert!(error.starts_with("features: row 2, column 6: "), "{error}");
        }
    }
}

#[test]
fn labels_out_of_range_are_found() {
    for (label, text) in [
        (3, "3"),
        (255, "255"),
        (-1, "-1"),
        (i64::MAX, "9223372036854775807"),
    ] {
        let table = Table {
            features: vec![0; 2 * INPUTS],
            labels: vec![0, label],
            exponent: 0,
        };
        let error = table.csv().unwrap_err().to_string();
        assert!(
            error.starts_with(&format!("line 2: column 17: `{text}` ")),
            "{error}"
        );
        let error = table.npy().unwrap_err().to_string();
        assert_eq!(
            error,
            format!("labels: row 2, column 1: {text} is not one of 0 to 2")
        );
    }
    let error = idx(&[0; 2 * INPUTS], &[0, 3]).unwrap_err().to_string();
    assert!(error.ends_with("label 3 is not below 3"), "{error}");
    // A label that the file may have, but not the model.
    let data = idx(&[0; 2 * INPUTS], &[0, 2]).unwrap();
    let start = Model::initial("logistic:16-2".parse().unwrap(), [1; 32]).unwrap();
    let expected = TrainError::Label {
        sample: 1,
        label: 2,
        classes: 2,
    };
    assert_eq!(
        train(&start, &data, &spec(1, 0), [0; 32]).unwrap_err(),
        expected
    );
    assert_eq!(evaluate(&start, &data).unwrap_err(), expected);
}
