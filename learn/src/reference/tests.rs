//! Models, data and settings that meet every way to compute, and the extremes.

use super::*;
use crate::train::Rounding;
use core::num::NonZeroU16;
use proptest::prelude::*;

/// Features of which some are large, labels of all classes or targets as large as features.
fn data(samples: usize, model: &ModelSpec, exponent: u8, bits: u32) -> Dataset {
    let (inputs, outputs) = (model.inputs(), model.outputs());
    let mut state = 1u64;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        state >> 33
    };
    let mut numbers = |count: usize| -> Vec<i16> {
        (0..count)
            .map(|_| (next() % (2 << bits)) as i64 - (1 << bits))
            .map(|x| x.clamp(i16::MIN.into(), i16::MAX.into()) as i16)
            .collect()
    };
    let features = numbers(samples * inputs);
    if model.is_regressor() {
        let targets = Targets::new(numbers(samples * outputs), outputs, exponent).expect("fits");
        return Dataset::with_targets(features, inputs, exponent, targets).expect("fits");
    }
    let labels = (0..samples)
        .map(|_| (next() % outputs as u64) as u8)
        .collect();
    Dataset::new(features, inputs, exponent, labels).expect("fits")
}

/// Shapes that meet every way: sums of 32 and of 64 bits forward, backward and over the batch; lanes, rows and pairs that are
/// not full; weights that grow and shrink by bits while they are trained.
#[test]
fn every_backend_gives_the_bits_of_the_document() {
    for (model, samples, batch, bits, rate, momentum) in [
        ("logistic:1-2", 5, 1, 3, 1 << 16, 0),
        ("logistic:300-17", 20, 7, 15, 600, 0),
        ("logistic:300-17", 20, 8, 8, 1 << 14, 58_982),
        ("mlp:20-33-10", 70, 32, 8, 1 << 13, 0),
        ("mlp:20-33-10", 70, 32, 8, 1 << 12, 58_982),
        ("mlp:140-150-150", 150, 9, 12, 500, 0),
        ("mlp:9-24-40", 300, 300, 15, 1 << 10, 30_000),
        ("mlp:9-24-40", 300, 299, 12, 1 << 17, 0),
        ("linear:30-17", 50, 7, 10, 1 << 10, 58_982),
        ("linear:300-2", 50, 32, 15, 1 << 16, 0),
        ("regressor:9-24-3", 70, 32, 8, 1 << 10, 0),
        ("regressor:9-24-20-3", 70, 32, 15, 1 << 12, 58_982),
        ("cnn:2x2x1-1k1-2", 9, 4, 8, 1 << 12, 0),
        ("cnn:8x7x1-3k3-10-4", 40, 16, 8, 1 << 12, 0),
        ("cnn:11x12x2-9k3-17k2-3", 30, 8, 8, 1 << 10, 58_982),
        ("cnn:9x9x3-20k5-4", 20, 20, 15, 1 << 8, 0),
        ("cnn:20x18x15-18k3-5k3-3k1-3", 10, 4, 15, 1 << 9, 30_000),
        ("cnn:26x25x1-3k2-4k3-3", 10, 4, 15, 1 << 10, 0),
        ("mlp:12-33-20-7", 70, 32, 8, 1 << 13, 0),
        ("mlp:20-40-150-17-10", 60, 20, 12, 1 << 11, 58_982),
        ("mlp:5-9-8-7-6-5-4-3-2-3", 40, 7, 10, 1 << 14, 0),
    ] {
        let spec = TrainSpec {
            epochs: 3,
            batch,
            learning_rate: rate,
            momentum,
            dropout: None,
            rounding: None,
        };
        let model = Model::initial(model.parse().expect("a model"), [5; 32]).expect("a model");
        let data = data(samples, &model.spec(), 8, bits);
        check(&model, &data, &spec);
    }
}

/// Images whose sums fit 32 bits and others in one batch, whichever comes first.
#[test]
fn every_backend_gives_the_bits_of_the_document_where_a_batch_becomes_wide() {
    let model: ModelSpec = "cnn:10x9x16-3k3-9k2-2".parse().expect("a model");
    let mut sign = 1;
    let weights = (0..model.parameters()).map(|place| {
        sign = if place % 145 == 0 { -sign } else { sign };
        sign * (i32::MAX - place as i32)
    });
    let start = Model::from_weights(model, weights.collect()).expect("a model");
    let images = (0..9 * model.inputs()).map(|place| match place / model.inputs() % 3 {
        0 => 1,
        1 => i16::MAX - (place % 5) as i16,
        _ => (place % 900) as i16,
    });
    let labels = (0..9).map(|sample| sample % 2).collect();
    let data = Dataset::new(images.collect(), model.inputs(), 8, labels).expect("fits");
    for batch in [2, 3, 9] {
        let spec = TrainSpec {
            epochs: 4,
            batch,
            learning_rate: 1 << 8,
            momentum: 0,
            dropout: None,
            rounding: None,
        };
        check(&start, &data, &spec);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]
    /// At the ends of the ranges of weights, features, rates and momenta.
    #[test]
    fn every_backend_gives_the_bits_of_the_document_at_the_extremes(
        weights in prop::collection::vec(prop_oneof![-i32::MAX..=i32::MAX, -1000i32..1000, Just(i32::MAX), Just(0)], 3 * 4 + 4 + 4 * 3 + 3),
        features in prop::collection::vec(prop_oneof![any::<i16>(), -10i16..10, Just(i16::MIN), Just(i16::MAX)], 3 * 6),
        labels in prop::collection::vec(0u8..3, 6),
        exponent in 0u8..=15,
        shift in 0u32..32,
        batch in 1u16..=6,
        learning_rate in prop_oneof![1u32..=16 << 16, 1u32..100],
        momentum in prop_oneof![Just(0u16), any::<u16>()],
    ) {
        let weights = weights.into_iter().map(|w| w >> shift).map(|w| w.max(-i32::MAX)).collect();
        let model = Model::from_weights("mlp:3-4-3".parse().expect("a model"), weights).expect("a model");
        let data = Dataset::new(features, 3, exponent, labels).expect("fits");
        check(&model, &data, &TrainSpec { epochs: 3, batch, learning_rate, momentum, dropout: None, rounding: None, });
    }

    /// The same for targets.
    #[test]
    fn every_backend_gives_the_bits_of_the_document_at_the_extremes_of_targets(
        weights in prop::collection::vec(prop_oneof![-i32::MAX..=i32::MAX, -1000i32..1000, Just(i32::MAX), Just(0)], 3 * 4 + 4 + 4 * 3 + 3),
        features in prop::collection::vec(prop_oneof![any::<i16>(), -10i16..10, Just(i16::MIN), Just(i16::MAX)], 3 * 6),
        targets in prop::collection::vec(prop_oneof![any::<i16>(), Just(i16::MIN), Just(i16::MAX)], 3 * 6),
        (exponent, target_exponent) in (0u8..=15, 0u8..=15),
        shift in 0u32..32,
        batch in 1u16..=6,
        learning_rate in prop_oneof![1u32..=16 << 16, 1u32..100],
        momentum in prop_oneof![Just(0u16), any::<u16>()],
    ) {
        let weights = weights.into_iter().map(|w| w >> shift).map(|w| w.max(-i32::MAX)).collect();
        let model = Model::from_weights("regressor:3-4-3".parse().expect("a model"), weights).expect("a model");
        let targets = Targets::new(targets, 3, target_exponent).expect("fits");
        let data = Dataset::with_targets(features, 3, exponent, targets).expect("fits");
        check(&model, &data, &TrainSpec { epochs: 3, batch, learning_rate, momentum, dropout: None, rounding: None, });
    }

    /// So do adapters, frozen layers and the proximal term.
    #[test]
    fn every_backend_gives_the_bits_of_the_document_for_every_way(
        weights in prop::collection::vec(prop_oneof![-i32::MAX..=i32::MAX, -1000i32..1000, Just(i32::MAX), Just(0)], 3 * 4 + 4 + 4 * 3 + 3),
        features in prop::collection::vec(prop_oneof![any::<i16>(), -10i16..10, Just(i16::MIN), Just(i16::MAX)], 3 * 6),
        labels in prop::collection::vec(0u8..3, 6),
        exponent in 0u8..=15,
        shift in 0u32..32,
        batch in 1u16..=6,
        learning_rate in prop_oneof![1u32..=16 << 16, 1u32..100],
        momentum in prop_oneof![Just(0u16), any::<u16>()],
        kinds in prop::array::uniform2(0usize..5),
        pull in prop_oneof![Just(None), (1u32..=1 << 24).prop_map(Some)],
    ) {
        let weights = weights.into_iter().map(|w| w >> shift).map(|w| w.max(-i32::MAX)).collect();
        let model = Model::from_weights("mlp:3-4-3".parse().expect("a model"), weights).expect("a model");
        let data = Dataset::new(features, 3, exponent, labels).expect("fits");
        let parts = kinds.into_iter().zip([3, 4]).zip(0u32..).map(|((kind, inputs), layer)| match kind {
            0 => Part::Frozen,
            1 => Part::Full,
            rank => Part::Adapter(Adapter::draw(rank - 1, inputs, &[8; 32], 2, layer)),
        });
        let parts: Vec<Part> = parts.collect();
        // The two are different ways; a pull is of whole layers.
        let pull = pull.filter(|_| parts.iter().all(|part| *part == Part::Full));
        check_parts(&model, (parts, pull), &data, &TrainSpec { epochs: 3, batch, learning_rate, momentum, dropout: None, rounding: None, });
    }
}

/// Dropout and stochastic rounding, alone and together, with momentum, adapters and convolutions.
#[test]
fn every_backend_gives_the_random_bits_of_the_document() {
    for (model, way, momentum, dropout, rounding) in [
        ("logistic:30-17", "fedavg", 0, 0, true),
        ("mlp:20-33-10", "fedavg", 0, 1 << 15, false),
        ("mlp:20-33-10", "fedavg", 0, 0, true),
        ("mlp:20-33-21-10", "fedavg", 58_982, 13_107, true),
        ("mlp:20-33-21-10", "low-rank:4-full-3", 58_982, 1, true),
        ("mlp:20-33-10", "fedprox:1", 0, 61_440, true),
        ("regressor:9-24-3", "fedavg", 30_000, 50_000, true),
        ("cnn:9x9x2-5k2-6k3-9-3", "fedavg", 0, 20_000, true),
        ("cnn:9x9x2-5k2-9-3", "low-rank:full-3-full", 58_982, 0, true),
    ] {
        let spec = TrainSpec {
            epochs: 3,
            batch: 32,
            learning_rate: 1 << 11,
            momentum,
            dropout: NonZeroU16::new(dropout),
            rounding: rounding.then_some(Rounding::Stochastic),
        };
        let model = Model::initial(model.parse().expect("a model"), [5; 32]).expect("a model");
        let shape = model.spec();
        let way = Way::parse(way, &shape).expect("a way");
        let round = RoundWay::new(&shape, way.as_ref(), &[6; 32], 3).expect("a way that fits");
        let pull = match way {
            Some(Way::Proximal { mu }) => pull(spec.learning_rate, mu),
            _ => None,
        };
        check_parts(
            &model,
            (round.parts(), pull),
            &data(70, &shape, 8, 8),
            &spec,
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]
    /// Both at the extremes of everything else.
    #[test]
    fn every_backend_gives_the_random_bits_of_the_document_at_the_extremes(
        weights in prop::collection::vec(prop_oneof![-i32::MAX..=i32::MAX, -1000i32..1000, Just(i32::MAX), Just(0)], 3 * 4 + 4 + 4 * 3 + 3),
        features in prop::collection::vec(prop_oneof![any::<i16>(), -10i16..10, Just(i16::MIN), Just(i16::MAX)], 3 * 6),
        labels in prop::collection::vec(0u8..3, 6),
        exponent in 0u8..=15,
        shift in 0u32..32,
        batch in 1u16..=6,
        learning_rate in prop_oneof![1u32..=16 << 16, 1u32..100],
        momentum in prop_oneof![Just(0u16), any::<u16>()],
        dropout in prop_oneof![Just(0u16), 1u16..=61_440],
        rounding: bool,
    ) {
        let weights = weights.into_iter().map(|w| w >> shift).map(|w| w.max(-i32::MAX)).collect();
        let model = Model::from_weights("mlp:3-4-3".parse().expect("a model"), weights).expect("a model");
        let data = Dataset::new(features, 3, exponent, labels).expect("fits");
        let spec = TrainSpec {
            epochs: 3,
            batch,
            learning_rate,
            momentum,
            dropout: NonZeroU16::new(dropout),
            rounding: rounding.then_some(Rounding::Stochastic),
        };
        check(&model, &data, &spec);
    }
}

/// Ordinary trainings, of shapes with lanes, rows and pairs that are not full.
#[test]
fn every_way_gives_the_bits_of_the_document() {
    for (model, way, batch, rate, momentum) in [
        ("logistic:300-17", "low-rank:5", 7, 600, 0),
        ("mlp:20-33-10", "low-rank:19-1", 32, 1 << 13, 0),
        ("mlp:20-33-10", "low-rank:4-full", 32, 1 << 12, 58_982),
        ("mlp:140-150-150", "low-rank:0-17", 9, 500, 30_000),
        ("mlp:20-33-10", "fedprox:0.5", 32, 1 << 13, 0),
        ("mlp:20-33-10", "fedprox:1", 32, 1 << 12, 58_982),
        ("logistic:300-17", "fedprox:16", 8, 1 << 12, 0),
        ("cnn:9x9x2-5k2-6k3-9-3", "low-rank:4", 16, 1 << 12, 0),
        (
            "cnn:9x9x2-5k2-6k3-9-3",
            "low-rank:0-full-3-full",
            16,
            1 << 10,
            58_982,
        ),
        ("cnn:9x9x2-5k2-6k3-9-3", "fedprox:1", 16, 1 << 10, 58_982),
        ("cnn:9x9x2-5k2-6k3-9-3", "personal:1", 16, 1 << 10, 0),
        ("mlp:20-33-10", "personal:1", 32, 1 << 12, 58_982),
        ("regressor:20-33-2", "low-rank:4-2", 32, 1 << 10, 58_982),
        ("regressor:20-33-2", "fedprox:0.5", 32, 1 << 10, 0),
    ] {
        let spec = TrainSpec {
            epochs: 3,
            batch,
            learning_rate: rate,
            momentum,
            dropout: None,
            rounding: None,
        };
        let model = Model::initial(model.parse().expect("a model"), [5; 32]).expect("a model");
        let shape = model.spec();
        let way = Way::parse(way, &shape).expect("a way");
        let round = RoundWay::new(&shape, way.as_ref(), &[6; 32], 3).expect("a way that fits");
        let data = data(70, &shape, 8, 8);
        let pull = match way {
            Some(Way::Proximal { mu }) => pull(rate, mu),
            _ => None,
        };
        check_parts(&model, (round.parts(), pull), &data, &spec);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]
    /// The same for a convolution after another.
    #[test]
    fn every_backend_gives_the_bits_of_the_document_at_the_extremes_of_images(
        weights in prop::collection::vec(prop_oneof![-i32::MAX..=i32::MAX, -1000i32..1000, Just(i32::MAX), Just(0)], 5 * 2 + 9 * 2 + 3 * 2),
        features in prop::collection::vec(prop_oneof![any::<i16>(), -10i16..10, Just(i16::MIN), Just(i16::MAX)], 7 * 7 * 4),
        labels in prop::collection::vec(0u8..2, 4),
        exponent in 0u8..=15,
        shift in 0u32..32,
        batch in 1u16..=4,
        learning_rate in prop_oneof![1u32..=16 << 16, 1u32..100],
        momentum in prop_oneof![Just(0u16), any::<u16>()],
    ) {
        let weights = weights.into_iter().map(|w| w >> shift).map(|w| w.max(-i32::MAX)).collect();
        let model = Model::from_weights("cnn:7x7x1-2k2-2k2-2".parse().expect("a model"), weights).expect("a model");
        let data = Dataset::new(features, 49, exponent, labels).expect("fits");
        check(&model, &data, &TrainSpec { epochs: 2, batch, learning_rate, momentum, dropout: None, rounding: None, });
    }
}
