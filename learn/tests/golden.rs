//! The same bits everywhere: digests of initial and trained weights against committed vectors.

#![allow(clippy::unwrap_used)]

use dawn_learn::data::digits;
use dawn_learn::{
    Backend, Evaluation, Model, ModelSpec, TrainSpec, apply_update, evaluate::evaluate_with,
    train::train_with,
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

fn compute(vector: &Vector, backend: Backend) -> Vector {
    let data = digits().unwrap();
    let seed = [vector.seed_byte; 32];
    let initial = Model::initial(vector.model, seed).unwrap();
    let delta = train_with(backend, &initial, &data.train, &vector.train, seed).unwrap();
    let trained = apply_update(&initial, delta.values(), 1, 0).unwrap();
    let digest = |model: &Model| blake3::hash(&model.to_bytes()).to_hex().to_string();
    Vector {
        model: vector.model,
        seed_byte: vector.seed_byte,
        train: vector.train,
        initial_blake3: digest(&initial),
        trained_blake3: digest(&trained),
        test: evaluate_with(backend, &trained, &data.test).unwrap(),
    }
}

#[test]
fn weights_have_the_committed_digests() {
    let vectors: Vectors =
        serde_json::from_str(include_str!("../../test_vectors/learn.json")).unwrap();
    let hidden_layers = |vector: &Vector| match vector.model {
        ModelSpec::Logistic { .. } => 0,
        ModelSpec::Mlp { hidden, .. } => hidden.len(),
    };
    for layers in 0..=3 {
        let mut all = vectors.vectors.iter().map(hidden_layers);
        assert!(all.any(|count| count == layers), "{layers} hidden layers");
    }
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
