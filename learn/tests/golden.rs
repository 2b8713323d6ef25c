//! The same bits everywhere: digests of initial and trained weights against committed vectors. Needs no feature of the crate.

#![allow(clippy::unwrap_used)]

use dawn_learn::{
    Backend, Dataset, Evaluation, Model, ModelSpec, Targets, TrainSpec, apply_update,
    evaluate::evaluate_with, train::train_with,
};

#[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
struct Vector {
    model: ModelSpec,
    seed_byte: u8,
    train: TrainSpec,
    initial_blake3: String,
    trained_blake3: String,
    test: Evaluation,
}

#[derive(serde::Deserialize)]
struct Vectors {
    vectors: Vec<Vector>,
}

/// The digits that are built in, to learn from and to judge with: the crate's own reader of them needs `std`.
fn digits() -> [Dataset; 2] {
    let file = include_str!("../../data/digits.csv");
    let number = |text: &str| text.parse::<i16>().unwrap();
    let rows: Vec<Vec<i16>> = file
        .lines()
        .map(|line| line.split(',').map(number).collect())
        .collect();
    // Every fifth is a test image.
    [false, true].map(|test| {
        let rows = rows.iter().enumerate();
        let rows = rows.filter(|(place, _)| (place % 5 == 4) == test);
        let (mut features, mut labels) = (Vec::new(), Vec::new());
        for (_, row) in rows {
            let (label, pixels) = row.split_last().unwrap();
            features.extend_from_slice(pixels);
            labels.push(u8::try_from(*label).unwrap());
        }
        Dataset::new(features, 64, 4, labels).unwrap()
    })
}

/// The digits for a model that predicts numbers: the sum of the pixels, and the digit.
fn with_targets(data: &Dataset) -> Dataset {
    let rows = || (0..data.len()).map(|sample| data.row(sample));
    let targets = rows()
        .zip(data.labels())
        .flat_map(|(row, label)| [row.iter().sum::<i16>() - 300, 100 * i16::from(*label) - 450]);
    let targets = Targets::new(targets.collect(), 2, 8).unwrap();
    Dataset::with_targets(rows().flatten().copied().collect(), 64, 4, targets).unwrap()
}

fn compute(vector: &Vector, backend: Backend) -> Vector {
    let mut data = digits();
    if vector.model.is_regressor() {
        data = data.map(|half| with_targets(&half));
    }
    let [train, test] = data;
    let seed = [vector.seed_byte; 32];
    let initial = Model::initial(vector.model, seed).unwrap();
    let delta = train_with(backend, &initial, &train, &vector.train, seed).unwrap();
    let trained = apply_update(&initial, delta.values(), 1, 0).unwrap();
    let digest = |model: &Model| blake3::hash(&model.to_bytes()).to_hex().to_string();
    Vector {
        model: vector.model,
        seed_byte: vector.seed_byte,
        train: vector.train,
        initial_blake3: digest(&initial),
        trained_blake3: digest(&trained),
        test: evaluate_with(backend, &trained, &test).unwrap(),
    }
}

#[test]
fn weights_have_the_committed_digests() {
    let vectors: Vectors =
        serde_json::from_str(include_str!("../../test_vectors/learn.json")).unwrap();
    // Every kind of model, and every number of hidden layers up to three.
    for kind in [
        "logistic:64-10",
        "mlp:64-*-10",
        "mlp:64-*-*-10",
        "mlp:64-*-*-*-10",
        "cnn:8x8x1-8k3-*-10",
        "cnn:8x8x1-6k2-12k2-10",
        "linear:64-2",
        "regressor:64-*-2",
        "regressor:64-*-*-2",
    ] {
        let is_it = |vector: &Vector| {
            let text = vector.model.to_string();
            let sizes = |text: &str| text.split('-').map(str::to_owned).collect::<Vec<_>>();
            let (found, kind) = (sizes(&text), sizes(kind));
            found.len() == kind.len() && kind.iter().zip(found).all(|(a, b)| a == "*" || *a == b)
        };
        assert!(vectors.vectors.iter().any(is_it), "{kind}");
    }
    // And every option of a training.
    let has = |option: fn(&TrainSpec) -> bool| vectors.vectors.iter().any(|v| option(&v.train));
    assert!(has(|train| train.momentum > 0));
    assert!(has(
        |train| train.dropout.is_some() && train.rounding.is_none()
    ));
    assert!(has(
        |train| train.rounding.is_some() && train.dropout.is_none()
    ));
    assert!(has(
        |train| train.rounding.is_some() && train.dropout.is_some()
    ));
    for backend in Backend::ALL {
        if !Backend::available().contains(&backend) {
            println!("skipped: backend {backend} (this processor does not support it)");
            continue;
        }
        let computed = vectors
            .vectors
            .iter()
            .map(|vector| compute(vector, backend));
        let wrong: Vec<String> = computed
            .zip(&vectors.vectors)
            .filter(|(computed, vector)| computed != *vector)
            .map(|(computed, _)| serde_json::to_string(&computed).unwrap())
            .collect();
        assert!(wrong.is_empty(), "{backend} computes\n{}", wrong.join("\n"));
    }
}
