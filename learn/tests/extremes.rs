//! Inputs at the extremes: the right result or a clear error, never a panic. Arithmetic is checked for overflow in this
//! profile, so that these runs also test the bounds of `docs/learning.md`.

#![allow(clippy::unwrap_used)]

use dawn_learn::train::TrainError;
use dawn_learn::{
    Dataset, MASTER_MAX, Model, ModelSpec, Targets, TrainSpec, apply_update, evaluate, train,
};
use proptest::prelude::*;

const MODELS: [&str; 4] = [
    "logistic:200-3",
    "mlp:200-150-3",
    "mlp:200-150-20-30-3",
    "cnn:10x10x2-9k3-20k2-12-3",
];

fn spec(learning_rate: u32, momentum: u16) -> TrainSpec {
    TrainSpec {
        epochs: 3,
        batch: 7,
        learning_rate,
        momentum,
        dropout: None,
        rounding: None,
    }
}

fn learn(model: &Model, data: &Dataset, spec: &TrainSpec) -> Model {
    apply_update(
        model,
        train(model, data, spec, [9; 32]).unwrap().values(),
        1,
        0,
    )
    .unwrap()
}

#[test]
fn features_at_the_extremes() {
    for model in MODELS {
        let start = Model::initial(model.parse().unwrap(), [1; 32]).unwrap();
        for exponent in [0, 15] {
            // Two samples of opposite extremes are learnt perfectly, or at least kept finite.
            let features = [[i16::MIN; 200], [i16::MAX; 200]].concat();
            let data = Dataset::new(features, 200, exponent, vec![0, 2]).unwrap();
            for rate in [1, 1 << 10, 16 << 16] {
                for momentum in [0, u16::MAX] {
                    let trained = learn(&start, &data, &spec(rate, momentum));
                    assert!(
                        trained
                            .weights()
                            .iter()
                            .all(|&weight| weight >= -MASTER_MAX)
                    );
                    assert_eq!(evaluate(&trained, &data).unwrap().total, 2);
                }
            }
        }
    }
    let start = Model::initial("logistic:200-3".parse().unwrap(), [1; 32]).unwrap();
    let data = Dataset::new(
        [[i16::MIN; 200], [i16::MAX; 200]].concat(),
        200,
        15,
        vec![0, 2],
    )
    .unwrap();
    assert_eq!(
        evaluate(&learn(&start, &data, &spec(1 << 12, 0)), &data)
            .unwrap()
            .correct,
        2
    );
}

#[test]
fn weights_at_the_extremes() {
    for model in MODELS {
        let model: ModelSpec = model.parse().unwrap();
        let signs = |i: usize| {
            if i.is_multiple_of(3) {
                -MASTER_MAX
            } else {
                MASTER_MAX
            }
        };
        for weights in [
            vec![MASTER_MAX; model.parameters()],
            (0..model.parameters()).map(signs).collect(),
        ] {
            let start = Model::from_weights(model, weights).unwrap();
            let features = (0..400)
                .map(|i| if i % 2 == 0 { i16::MIN } else { i16::MAX })
                .collect();
            let data = Dataset::new(features, 200, 0, vec![1, 2]).unwrap();
            let trained = learn(&start, &data, &spec(16 << 16, u16::MAX));
            assert!(
                trained
                    .weights()
                    .iter()
                    .all(|&weight| weight >= -MASTER_MAX)
            );
            evaluate(&trained, &data).unwrap();
        }
    }
}

#[test]
fn an_empty_data_set() {
    let data = Dataset::new(vec![], 200, 0, vec![]).unwrap();
    for model in MODELS {
        let start = Model::initial(model.parse().unwrap(), [1; 32]).unwrap();
        assert_eq!(
            train(&start, &data, &spec(1, 0), [0; 32]).unwrap_err(),
            TrainError::EmptyDataset
        );
        assert_eq!(evaluate(&start, &data).unwrap().total, 0);
        assert_eq!(evaluate(&start, &data).unwrap().accuracy(), 0.0);
    }
}

#[test]
fn one_class_is_learnt() {
    let features = (0..200 * 20).map(|i| (i * 37 % 200) as i16).collect();
    let data = Dataset::new(features, 200, 8, vec![1; 20]).unwrap();
    for model in MODELS {
        let start = Model::initial(model.parse().unwrap(), [1; 32]).unwrap();
        let before = evaluate(&start, &data).unwrap();
        let after = evaluate(&learn(&start, &data, &spec(1 << 12, 0)), &data).unwrap();
        assert_eq!(after.correct, 20);
        assert!(after.loss < before.loss / 2);
    }
}

#[test]
fn all_zero_features_move_only_biases() {
    let data = Dataset::new(vec![0; 200 * 4], 200, 3, vec![0, 1, 2, 2]).unwrap();
    let start = Model::initial("logistic:200-3".parse().unwrap(), [1; 32]).unwrap();
    let trained = learn(&start, &data, &spec(1 << 16, 0));
    assert!(trained.weights()[..600].iter().all(|&weight| weight == 0));
    assert!(trained.weights()[602] > 0);
}

const REGRESSORS: [&str; 3] = [
    "linear:200-3",
    "regressor:200-150-3",
    "regressor:200-150-20-30-3",
];

fn targets(values: Vec<i16>, exponent: u8) -> Targets {
    Targets::new(values, 3, exponent).unwrap()
}

#[test]
fn targets_at_the_extremes() {
    let features = [[i16::MIN; 200], [i16::MAX; 200]].concat();
    let wanted = [[i16::MIN; 3], [i16::MAX; 3]].concat();
    for model in REGRESSORS {
        let start = Model::initial(model.parse().unwrap(), [1; 32]).unwrap();
        for (exponent, target_exponent) in [(0, 0), (0, 15), (15, 0), (15, 15)] {
            let targets = targets(wanted.clone(), target_exponent);
            let data = Dataset::with_targets(features.clone(), 200, exponent, targets).unwrap();
            for rate in [1, 1 << 10, 16 << 16] {
                for momentum in [0, u16::MAX] {
                    let trained = learn(&start, &data, &spec(rate, momentum));
                    assert!(trained.weights().iter().all(|&w| w >= -MASTER_MAX));
                    let found = evaluate(&trained, &data).unwrap();
                    assert_eq!((found.total, found.correct), (2, 0));
                }
            }
        }
    }
    // Nothing is predicted: the error is that of the targets, exactly.
    let start = Model::initial("linear:200-3".parse().unwrap(), [1; 32]).unwrap();
    let data = Dataset::with_targets(features, 200, 0, targets(wanted, 0)).unwrap();
    let squares = 3 * (u64::from(i16::MIN.unsigned_abs()).pow(2) + (i16::MAX as u64).pow(2));
    assert_eq!(evaluate(&start, &data).unwrap().loss, squares << 16);
}

#[test]
fn numbers_are_learnt() {
    // The mean of the features, its negative, and a constant.
    let features: Vec<i16> = (0..200 * 20).map(|i| (i * i * 37 % 256) as i16).collect();
    let wanted = features.chunks(200).flat_map(|row| {
        let mean = row.iter().map(|&x| i32::from(x)).sum::<i32>() / 200;
        [mean as i16, -mean as i16, 64]
    });
    let targets = targets(wanted.collect(), 8);
    let data = Dataset::with_targets(features, 200, 8, targets).unwrap();
    for model in REGRESSORS {
        let start = Model::initial(model.parse().unwrap(), [1; 32]).unwrap();
        let before = evaluate(&start, &data).unwrap();
        let train = TrainSpec {
            epochs: 60,
            ..spec(1 << 9, 1 << 15)
        };
        let after = evaluate(&learn(&start, &data, &train), &data).unwrap();
        assert!(
            after.loss < before.loss / 50,
            "{model}: {before:?} {after:?}"
        );
        assert!(after.mean_loss() < 0.02, "{after:?}");
    }
    let nothing = Dataset::with_targets(vec![], 200, 8, self::targets(vec![], 8)).unwrap();
    let start = Model::initial("linear:200-3".parse().unwrap(), [1; 32]).unwrap();
    assert_eq!(
        train(&start, &nothing, &spec(1, 0), [0; 32]).unwrap_err(),
        TrainError::EmptyDataset
    );
    assert_eq!(evaluate(&start, &nothing).unwrap().total, 0);
}

#[test]
fn labels_and_targets_are_not_mixed_up() {
    let classifier = Model::initial("logistic:2-3".parse().unwrap(), [1; 32]).unwrap();
    let regressor = Model::initial("linear:2-3".parse().unwrap(), [1; 32]).unwrap();
    let labels = Dataset::new(vec![0; 4], 2, 0, vec![1, 2]).unwrap();
    let numbers = Dataset::with_targets(vec![0; 4], 2, 0, targets(vec![0; 6], 0)).unwrap();
    let fewer = Targets::new(vec![0; 2], 1, 0).unwrap();
    let fewer = Dataset::with_targets(vec![0; 4], 2, 0, fewer).unwrap();
    for (model, data, error) in [
        (&classifier, &numbers, TrainError::NoLabels),
        (&regressor, &labels, TrainError::NoTargets),
        (
            &regressor,
            &fewer,
            TrainError::Outputs { model: 3, data: 1 },
        ),
    ] {
        assert_eq!(evaluate(model, data), Err(error.clone()));
        assert_eq!(train(model, data, &spec(1, 0), [0; 32]).unwrap_err(), error);
    }
}

/// The largest that a specification allows: the bounds of sums are meant for it.
#[test]
fn the_largest_image_does_not_overflow() {
    let start = Model::initial("cnn:128x128x1-2k1-2".parse().unwrap(), [1; 32]).unwrap();
    let features = vec![i16::MIN; 128 * 128 * 5];
    let data = Dataset::new(features, 128 * 128, 0, vec![1, 0, 1, 1, 1]).unwrap();
    let weights = vec![MASTER_MAX; start.weights().len()];
    for model in [
        Model::from_weights(start.spec(), weights).unwrap(),
        start.clone(),
    ] {
        let trained = learn(&model, &data, &spec(16 << 16, u16::MAX));
        assert!(
            trained
                .weights()
                .iter()
                .all(|&weight| weight >= -MASTER_MAX)
        );
        assert_eq!(evaluate(&trained, &data).unwrap().total, 5);
    }
}

/// Two dots that rise or fall are told apart at places where none were seen: images beside those have the same patches.
#[test]
fn images_are_learnt() {
    let image = |class: usize, y: usize, x: usize| {
        let mut pixels = [0i16; 121];
        let [a, b] = [[(0, 0), (1, 1)], [(0, 1), (1, 0)]][class];
        for (down, right) in [a, b] {
            pixels[(y + down) * 11 + x + right] = 256;
        }
        pixels
    };
    let places = |odd: usize| {
        let all = (0..100).filter(move |place| (place / 10 + place) % 2 == odd);
        let images = all.flat_map(move |place| {
            (0..2).map(move |class| (image(class, place / 10, place % 10), class as u8))
        });
        let (pixels, labels): (Vec<_>, Vec<_>) = images.unzip();
        Dataset::new(pixels.concat(), 121, 8, labels).unwrap()
    };
    let start = Model::initial("cnn:11x11x1-8k2-2".parse().unwrap(), [1; 32]).unwrap();
    let train = TrainSpec {
        epochs: 200,
        ..spec(1 << 13, 1 << 15)
    };
    let trained = learn(&start, &places(0), &train);
    for (data, least) in [(places(0), 0.95), (places(1), 0.85)] {
        let found = evaluate(&trained, &data).unwrap();
        assert!(found.accuracy() > least, "{found:?}");
    }
}

#[test]
fn data_that_does_not_fit_is_refused() {
    let start = Model::initial("logistic:2-3".parse().unwrap(), [1; 32]).unwrap();
    let wide = Dataset::new(vec![0; 3], 3, 0, vec![0]).unwrap();
    assert_eq!(
        evaluate(&start, &wide),
        Err(TrainError::Inputs { model: 2, data: 3 })
    );
    let wrong = Dataset::new(vec![0; 4], 2, 0, vec![2, 3]).unwrap();
    let error = TrainError::Label {
        sample: 1,
        label: 3,
        classes: 3,
    };
    assert_eq!(
        train(&start, &wrong, &spec(1, 0), [0; 32]).unwrap_err(),
        error
    );
    let fine = Dataset::new(vec![0; 4], 2, 0, vec![2, 1]).unwrap();
    let right = spec(1, 0);
    for wrong in [
        TrainSpec { epochs: 0, ..right },
        TrainSpec {
            epochs: 1001,
            ..right
        },
        TrainSpec { batch: 0, ..right },
        TrainSpec {
            batch: 1025,
            ..right
        },
        TrainSpec {
            learning_rate: 0,
            ..right
        },
        TrainSpec {
            learning_rate: (16 << 16) + 1,
            ..right
        },
    ] {
        assert!(
            matches!(
                train(&start, &fine, &wrong, [0; 32]),
                Err(TrainError::Spec { .. })
            ),
            "{wrong:?}"
        );
    }
}

#[test]
fn a_training_is_a_function_of_its_arguments() {
    let features = (0..2000).map(|i| (i * i % 911) as i16).collect();
    let data = Dataset::new(features, 200, 8, vec![0, 1, 2, 0, 1, 2, 0, 1, 2, 0]).unwrap();
    let start = Model::initial("mlp:200-9-3".parse().unwrap(), [1; 32]).unwrap();
    let run = |seed: u8| train(&start, &data, &spec(1 << 12, 1 << 15), [seed; 32]).unwrap();
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn nothing_overflows(
        weights in prop::collection::vec(prop_oneof![-MASTER_MAX..=MASTER_MAX, -1000i32..1000, Just(MASTER_MAX)], 3 * 4 + 4 + 4 * 2 + 2),
        features in prop::collection::vec(prop_oneof![any::<i16>(), -10i16..10, Just(i16::MIN)], 3 * 5),
        labels in prop::collection::vec(0u8..2, 5),
        exponent in 0u8..=15,
        batch in 1u16..=6,
        learning_rate in prop_oneof![1u32..=16 << 16, 1u32..100],
        momentum: u16,
    ) {
        let model = Model::from_weights("mlp:3-4-2".parse().unwrap(), weights).unwrap();
        let data = Dataset::new(features, 3, exponent, labels).unwrap();
        let spec = TrainSpec { epochs: 4, batch, learning_rate, momentum, dropout: None, rounding: None, };
        let trained = learn(&model, &data, &spec);
        prop_assert_eq!(evaluate(&trained, &data).unwrap().total, 5);
    }
}
