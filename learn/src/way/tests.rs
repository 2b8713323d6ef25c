//! What ways have in common with averaging everything.

use super::adapter::Adapter;
use super::part::Part;
use super::rank::{Rank, Ranks};
use super::{RoundWay, Way, WayError};
use crate::backend::Backend;
use crate::data::{Dataset, digits};
use crate::direction::direction;
use crate::model::Model;
use crate::quantise::Delta;
use crate::train::{TrainSpec, run, train};
use crate::update::apply_mean;
use proptest::prelude::*;

const SEED: [u8; 32] = [4; 32];

fn spec(momentum: u16) -> TrainSpec {
    TrainSpec {
        epochs: 2,
        batch: 8,
        learning_rate: 5243,
        momentum,
        dropout: None,
        rounding: None,
    }
}

fn few_digits() -> Dataset {
    let samples: Vec<u32> = (0..60).collect();
    digits().unwrap().train.subset(&samples).unwrap()
}

fn model(text: &str) -> Model {
    Model::initial(text.parse().unwrap(), [5; 32]).unwrap()
}

fn way(text: &str, model: &Model) -> RoundWay {
    let way = Way::parse(text, &model.spec()).unwrap();
    RoundWay::new(&model.spec(), way.as_ref(), &[6; 32], 3).unwrap()
}

/// `A` is the identity: `B` is the change of the weights.
fn identity(inputs: usize) -> Part {
    let places = 0..inputs * inputs;
    Part::Adapter(Adapter {
        rank: inputs,
        inputs,
        shift: 0,
        signs: places
            .map(|place| i8::from(place % (inputs + 1) == 0))
            .collect(),
    })
}

#[test]
fn an_adapter_that_reaches_everything_is_full_training() {
    for momentum in [0, 58_982] {
        let (model, data) = (model("mlp:64-32-10"), few_digits());
        let full = train(&model, &data, &spec(momentum), SEED).unwrap();
        for parts in [
            vec![identity(64), identity(32)],
            vec![Part::Full, identity(32)],
        ] {
            let backend = Backend::available()[0];
            let trained = (parts, None);
            let adapted = run(backend, &model, trained, &data, &spec(momentum), SEED).unwrap();
            assert_eq!(adapted, full);
        }
    }
}

#[test]
fn a_pull_of_nothing_is_averaging_and_a_full_one_holds_steps_back() {
    for momentum in [0, 58_982] {
        let (model, data) = (model("mlp:64-32-10"), few_digits());
        let trained = |pull| {
            let parts = vec![Part::Full; 2];
            let backend = Backend::available()[0];
            run(backend, &model, (parts, pull), &data, &spec(momentum), SEED).unwrap()
        };
        assert_eq!(trained(Some(0)), trained(None));
        let length = |delta: &Delta| -> f64 {
            let squares = delta.values().iter().map(|&x| f64::from(x).powi(2));
            squares.sum::<f64>().sqrt()
        };
        let lengths: Vec<f64> = [0, 1 << 18, 1 << 21, 1 << 23]
            .map(|pull| length(&trained(Some(pull))))
            .to_vec();
        assert!(lengths.is_sorted_by(|a, b| a > b), "{lengths:?}");
    }
}

#[test]
fn a_personal_body_and_head_are_those_of_full_training() {
    let (model, data) = (model("mlp:64-32-10"), few_digits());
    let round = way("personal:1", &model);
    assert_eq!((round.dimension(), round.head_len()), (64 * 32 + 32, 330));
    let mut head = round.fresh_head(&model);
    for seed in [[1; 32], [2; 32]] {
        let own = round.personal(&model, &head).unwrap();
        let full = train(&own, &data, &spec(0), seed).unwrap();
        let trained = apply_mean(&own, full.values(), 1, 0).unwrap();
        let sent = round
            .train(&model, &mut head, &data, &spec(0), seed)
            .unwrap();
        assert_eq!(sent.values(), &full.values()[..round.dimension()]);
        assert_eq!(head.weights(), &trained.weights()[round.dimension()..]);
        assert_eq!(round.read_head(&head.to_bytes()), Ok(head.clone()));
    }
    let next = round
        .apply(&model, &vec![7i64; round.dimension()], 1, 3)
        .unwrap();
    let (body, own) = next.weights().split_at(round.dimension());
    assert_eq!(own, &model.weights()[round.dimension()..]);
    assert!(
        body.iter()
            .zip(model.weights())
            .all(|(after, before)| after - before == 56)
    );
    assert!(round.read_head(&head.to_bytes()[1..]).is_err());
    let mut lowest = head.to_bytes();
    lowest[..4].copy_from_slice(&i32::MIN.to_le_bytes());
    assert!(round.read_head(&lowest).is_err());
    let averaging = way("fedavg", &model);
    assert!(
        averaging
            .train(&model, &mut head, &data, &spec(0), SEED)
            .is_err()
    );
}

#[test]
fn a_way_without_options_is_averaging_everything() {
    let (model, data) = (model("mlp:64-32-10"), few_digits());
    let round = way("fedavg", &model);
    let mut head = round.fresh_head(&model);
    assert!(head.weights().is_empty());
    let sent = round
        .train(&model, &mut head, &data, &spec(0), SEED)
        .unwrap();
    assert_eq!(sent, train(&model, &data, &spec(0), SEED).unwrap());
    let numbers: Vec<i64> = (0..sent.values().len() as i64).collect();
    assert_eq!(
        round.apply(&model, &numbers, 3, 2),
        apply_mean(&model, &numbers, 3, 2)
    );
    let next = round.apply(&model, &numbers, 3, 2).unwrap();
    assert_eq!(
        round.direction(&model, &next, 1 << 12),
        direction(&model, &next, 1 << 12)
    );
}

#[test]
fn what_is_sent_is_what_is_trained() {
    let (model, data) = (model("mlp:64-32-10"), few_digits());
    for (text, dimension) in [
        ("fedprox:0.5", 64 * 32 + 32 + 330),
        ("low-rank:8", 8 * 32 + 32 + 8 * 10 + 10),
        ("low-rank:8-full", 8 * 32 + 32 + 330),
        ("low-rank:0-full", 330),
        ("low-rank:3-0", 3 * 32 + 32),
    ] {
        let round = way(text, &model);
        assert_eq!(round.dimension(), dimension, "{text}");
        let sent = round.train(&model, &mut round.fresh_head(&model), &data, &spec(0), SEED);
        assert_eq!(sent.unwrap().values().len(), dimension, "{text}");
        for wrong in [dimension - 1, dimension + 1, 0] {
            assert!(round.apply(&model, &vec![1i64; wrong], 1, 0).is_err());
        }
        assert!(round.apply(&model, &vec![1i64; dimension], 0, 0).is_err());
        let other = self::model("logistic:64-10");
        assert!(round.apply(&other, &vec![1i64; dimension], 1, 0).is_err());
        assert!(round.direction(&model, &other, 1 << 20).is_err());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// The mean of `B` gives the mean of what the `B` give, to half a unit of a weight; and the product of a direction with an
    /// update is that with what the update does to the weights, to what rounding explains.
    #[test]
    fn the_mean_of_adapters_is_the_mean_of_updates(
        updates in prop::collection::vec(prop::collection::vec(-100_000i64..100_000, 3 * 4 + 4 + 2 * 3 + 3), 1..6),
        shift in 0u8..=6,
        round in 1u32..5,
    ) {
        let model = model("mlp:20-4-3");
        let ranks = Way::parse("low-rank:3-2", &model.spec()).unwrap();
        let way = RoundWay::new(&model.spec(), ranks.as_ref(), &[6; 32], round).unwrap();
        let count = updates.len() as i128;
        let sum: Vec<i64> = (0..way.dimension()).map(|at| updates.iter().map(|u| u[at]).sum()).collect();
        let next = way.apply(&model, &sum, count as u64, shift).unwrap();
        let mut exact = vec![0i128; model.weights().len()];
        // In units of 2^-8 of a weight's unit: both scales are at most 8 bits.
        let parts = way.parts();
        for update in &updates {
            let mut rest = &update[..];
            for (layer, part) in model.spec().layers().iter().zip(&parts) {
                let Part::Adapter(adapter) = part else { unreachable!() };
                for (place, weight) in exact[layer.weights()].iter_mut().enumerate() {
                    let (output, input) = (place / layer.inputs, place % layer.inputs);
                    for k in 0..adapter.rank {
                        let sign = i128::from(adapter.signs[k * layer.inputs + input]);
                        *weight += (sign * i128::from(rest[output * adapter.rank + k])) << (8 - adapter.shift);
                    }
                }
                rest = &rest[adapter.rank * layer.outputs..];
                for (bias, &x) in exact[layer.biases()].iter_mut().zip(rest) {
                    *bias += i128::from(x) << 8;
                }
                rest = &rest[layer.outputs..];
            }
        }
        for ((after, before), exact) in next.weights().iter().zip(model.weights()).zip(&exact) {
            let moved = (i128::from(after - before) * count) << 8;
            prop_assert!((2 * (moved - (exact << shift))).abs() <= count << 8);
        }
        let limit = 1 << 20;
        let direction = way.direction(&model, &next, limit).unwrap();
        let whole: f64 = next.weights().iter().zip(model.weights()).map(|(a, b)| f64::from(a - b)).zip(&exact).map(|(d, &x)| d * x as f64 / 256.0).sum();
        let seen: f64 = direction.iter().zip(&sum).map(|(&g, &x)| f64::from(g) * x as f64).sum();
        // Both are sums of squares: of how far the weights moved, in other units.
        prop_assert!(whole >= 0.0 && seen >= 0.0, "{whole} {seen}");
    }
}

/// Whoever follows a task draws its adapters: they must not be larger than the model that the task shows.
#[test]
fn adapters_larger_than_the_model_are_refused_before_they_are_drawn() {
    let refused = |model: &str, ranks: &[u16]| {
        let model = model.parse().unwrap();
        let ranks = Ranks::new(ranks.iter().map(|&rank| Rank::of(rank)).collect());
        matches!(
            Way::LowRank { ranks }.check(&model, &spec(0)),
            Err(WayError::Adapters { .. })
        )
    };
    // 4.3 * 10^9 numbers for 131,074 parameters.
    assert!(refused("logistic:65536-2", &[65_535]));
    assert!(refused("logistic:64-10", &[11]));
    assert!(!refused("logistic:64-10", &[10]));
    // 710 parameters; 320 and 448 numbers.
    assert!(refused("mlp:64-4-64-2", &[5, 0, 7]));
    assert!(!refused("mlp:64-4-64-2", &[4, 0, 7]));
}
