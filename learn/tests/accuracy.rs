//! What the models learn: centrally, and in a federation with the presets.

#![allow(clippy::unwrap_used)]

mod support;

use dawn_learn::data::digits;
use dawn_learn::{Model, ModelSpec, Preset, TrainSpec, apply_update, evaluate, train};
use support::Federation;

const LOGISTIC: &str = "logistic:64-10";
const MLP: &str = "mlp:64-32-10";

fn central(model: &str, spec: &TrainSpec, seed: u8) -> f64 {
    let data = digits().unwrap();
    let start = Model::initial(model.parse().unwrap(), [seed; 32]).unwrap();
    let delta = train(&start, &data.train, spec, [seed; 32]).unwrap();
    let trained = apply_update(&start, delta.values(), 1, 0).unwrap();
    evaluate(&trained, &data.test).unwrap().accuracy()
}

fn mean(accuracies: impl Iterator<Item = f64>) -> f64 {
    let all: Vec<f64> = accuracies.collect();
    all.iter().sum::<f64>() / all.len() as f64
}

#[test]
fn central_training_reaches_its_accuracy() {
    let logistic = TrainSpec {
        epochs: 20,
        batch: 32,
        learning_rate: 1 << 15,
        momentum: 0,
        dropout: None,
        rounding: None,
    };
    let mlp = TrainSpec {
        epochs: 30,
        batch: 32,
        learning_rate: 6554,
        momentum: 58_982,
        dropout: None,
        rounding: None,
    };
    for seed in 1..=3 {
        let accuracy = central(LOGISTIC, &logistic, seed);
        assert!(accuracy >= 0.93, "logistic, seed {seed}: {accuracy}");
        let accuracy = central(MLP, &mlp, seed);
        assert!(accuracy >= 0.95, "mlp, seed {seed}: {accuracy}");
    }
}

fn federated(preset: Preset, model: &str) -> f64 {
    let model: ModelSpec = model.parse().unwrap();
    let settings = preset.settings(&model);
    let federation = match preset {
        Preset::Plain => Federation::plain(model, settings),
        Preset::Private => Federation::private(model, settings),
    };
    mean((1..=3).map(|seed| federation.run(seed).last().unwrap().accuracy()))
}

#[test]
fn ten_plain_rounds_reach_their_accuracy() {
    for model in [LOGISTIC, MLP] {
        let accuracy = federated(Preset::Plain, model);
        assert!(accuracy >= 0.92, "{model}: {accuracy}");
    }
}

#[test]
fn ten_private_rounds_reach_their_accuracy() {
    let accuracy = federated(Preset::Private, LOGISTIC);
    assert!(accuracy >= 0.88, "logistic: {accuracy}");
    let accuracy = federated(Preset::Private, MLP);
    assert!(accuracy >= 0.84, "mlp: {accuracy}");
}
