//! Models, what is done with them, and tables of data.

use dawn_learn::data::{
    CsvAnswers, CsvFormat, LabelColumn, NpyAnswers, NpyFormat, read_csv, read_npy,
};
use dawn_learn::{Delta, Model, ModelSpec, Quantiser, apply_update};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

use super::canonical::decoded;
use super::{Target, choose};
use crate::memory;

/// Every use by the byte that chooses it.
const USES: &[Target] = &[model, update, quantise, csv, npy];

/// The first byte chooses the use.
pub fn models(data: &[u8]) -> bool {
    choose(USES, data).is_some_and(|(target, bytes)| target(bytes))
}

fn model(bytes: &[u8]) -> bool {
    let Some(model) = decoded(bytes, Model::from_bytes, Model::to_bytes) else {
        return false;
    };
    assert_eq!(model.spec().check(), Ok(()));
    assert_eq!(model.weights().len(), model.spec().parameters());
    assert_eq!(bytes.len(), Model::encoded_len(model.spec()));
    true
}

fn numbers(bytes: &[u8]) -> Vec<i32> {
    bytes
        .as_chunks::<4>()
        .0
        .iter()
        .map(|le| i32::from_le_bytes(*le))
        .collect()
}

/// Count, shift, then four weights and four coordinates of a sum.
fn update(bytes: &[u8]) -> bool {
    let [shift, a, b, c, d, rest @ ..] = bytes else {
        return false;
    };
    let count = u32::from_le_bytes([*a, *b, *c, *d]);
    let numbers = numbers(rest);
    let Some((weights, sum)) = numbers.split_at_checked(4) else {
        return false;
    };
    let spec = ModelSpec::Logistic {
        inputs: 1,
        classes: 2,
    };
    let Ok(model) = Model::from_weights(spec, weights.to_vec()) else {
        return false;
    };
    let Ok(next) = apply_update(&model, sum, count, *shift) else {
        return false;
    };
    // The rule once more in other words: nearest, ties to even, saturating.
    for ((before, step), after) in model.weights().iter().zip(sum).zip(next.weights()) {
        let (scaled, count) = (i128::from(*step) << shift, i128::from(count));
        let mut moved = scaled / count;
        let rest = scaled % count;
        if 2 * rest.abs() > count || (2 * rest.abs() == count && moved % 2 != 0) {
            moved += rest.signum();
        }
        let limit = i128::from(i32::MAX);
        let expected = (i128::from(*before) + moved).clamp(-limit, limit);
        assert_eq!(i128::from(*after), expected);
    }
    assert!(Model::from_bytes(&next.to_bytes()).as_ref() == Ok(&next));
    true
}

/// Shift, clip bound, a seed, then a difference: what comes out is never longer than the clip bound.
fn quantise(bytes: &[u8]) -> bool {
    let [update_shift, a, b, c, d, seed, rest @ ..] = bytes else {
        return false;
    };
    let quantiser = Quantiser {
        update_shift: *update_shift,
        clip: u32::from_le_bytes([*a, *b, *c, *d]),
    };
    let delta = Delta::new(numbers(rest));
    let mut rng = ChaCha20Rng::seed_from_u64((*seed).into());
    let Ok(update) = quantiser.quantise(&delta, &mut rng) else {
        assert!(quantiser.check().is_err());
        return false;
    };
    assert_eq!(update.len(), delta.values().len());
    let norm: u128 = update
        .iter()
        .map(|x| u128::from(x.unsigned_abs()).pow(2))
        .sum();
    assert!(norm <= u128::from(quantiser.clip).pow(2));
    true
}

/// Inputs, classes or targets, and the other choices of a format, then the text.
fn csv(bytes: &[u8]) -> bool {
    let [inputs, answers, fraction, choices, text @ ..] = bytes else {
        return false;
    };
    let format = CsvFormat {
        inputs: usize::from(*inputs),
        answers: if *answers == 0 {
            CsvAnswers::None
        } else if choices & 4 == 0 {
            CsvAnswers::Label {
                classes: (*answers).into(),
            }
        } else {
            CsvAnswers::Targets {
                outputs: (*answers).into(),
                fraction_bits: fraction >> 4,
                scale_bits: fraction & 3,
            }
        },
        fraction_bits: fraction & 15,
        scale_bits: fraction >> 4,
        label: if choices & 1 == 0 {
            LabelColumn::First
        } else {
            LabelColumn::Last
        },
        header: choices & 2 != 0,
        max_samples: usize::from(choices >> 3),
    };
    let room = memory::for_decoding(text);
    let Ok(data) = memory::within(room, || read_csv(text, &format)) else {
        return false;
    };
    assert!(data.len() <= format.max_samples);
    match format.answers {
        CsvAnswers::Label { classes } => {
            assert!(
                data.labels()
                    .iter()
                    .all(|label| u32::from(*label) < classes)
            );
            assert_eq!(data.labels().len(), data.len());
        }
        CsvAnswers::Targets { outputs, .. } => {
            let targets = data.targets().expect("as the format says");
            assert_eq!((targets.len(), targets.outputs()), (data.len(), outputs));
        }
        CsvAnswers::None => assert!(data.targets().is_none()),
    }
    for place in 0..data.len() {
        assert_eq!(data.row(place).len(), format.inputs);
    }
    true
}

/// Classes (0 for targets), bits of the fraction, most samples and the length of the second file, then both files.
fn npy(bytes: &[u8]) -> bool {
    let [classes, fraction, max_samples, length, files @ ..] = bytes else {
        return false;
    };
    let Some(split) = files.len().checked_sub(usize::from(*length)) else {
        return false;
    };
    let (features, answers) = files.split_at(split);
    let format = NpyFormat {
        answers: match (*classes).into() {
            0 => NpyAnswers::Targets {
                fraction_bits: fraction >> 4,
                scale_bits: fraction & 3,
            },
            classes => NpyAnswers::Labels { classes },
        },
        fraction_bits: fraction & 15,
        scale_bits: fraction >> 4,
        max_samples: (*max_samples).into(),
    };
    let room = memory::for_decoding(files);
    let Ok(data) = memory::within(room, || read_npy(features, answers, &format)) else {
        return false;
    };
    assert!(data.len() <= format.max_samples);
    assert!(data.len() * data.inputs() <= features.len());
    match format.answers {
        NpyAnswers::Labels { classes } => {
            let mut labels = data.labels().iter();
            assert!(labels.all(|label| u32::from(*label) < classes));
        }
        NpyAnswers::Targets { .. } => assert!(data.targets().is_some()),
    }
    true
}
