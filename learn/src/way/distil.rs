//! Distillation: devices send what they would answer to public samples, and the student learns from the mean.
//!
//! A device trains a copy of the round's model on its own data and sends by how much the copy's outputs on the public set differ
//! from the model's own, which everybody can compute. The update rule adds the mean of the differences to the model's outputs
//! and trains the model towards that with the squared error (Ba and Caruana 2014), in integers and in an order of samples that
//! follows from the task's seed: whoever knows the sum computes the same next model.

use crate::backend::Backend;
use crate::data::{Dataset, MAX_EXPONENT, Targets};
use crate::evaluate::outputs;
use crate::fixed::{MASTER_FRACTION_BITS, div_half_even, to_master};
use crate::model::Model;
use crate::quantise::Delta;
use crate::randomness::labels;
use crate::train::{TrainError, TrainSpec, run_towards};
use crate::update::moved;
use crate::way::part::Part;
use crate::way::public::PublicSet;
use alloc::vec;
use alloc::vec::Vec;

/// Fewest fraction bits of the outputs that the student is trained towards: a range of 128, as that of weights.
const TARGET_BITS: u32 = 8;

/// By how much the outputs of the trained copy differ from the model's, sample by sample, in units of 2^-24. The outputs of a
/// classifier mean the same when all of a sample's move together, so that the mean of a sample's differences is taken away:
/// the update is shorter for it.
pub(crate) fn differences(
    backend: Backend,
    (model, trained): (&Model, &Model),
    set: &PublicSet,
) -> Result<Delta, TrainError> {
    let before = outputs(backend, model, set.samples())?;
    let mut after = outputs(backend, trained, set.samples())?;
    let classes = model.spec().outputs();
    for (after, before) in after
        .chunks_exact_mut(classes)
        .zip(before.chunks_exact(classes))
    {
        for (after, before) in after.iter_mut().zip(before) {
            *after = to_master(i64::from(*after) - i64::from(*before));
        }
        if !model.spec().is_regressor() {
            let sum: i128 = after.iter().map(|&difference| i128::from(difference)).sum();
            let mean = i64::try_from(div_half_even(sum, classes as i128)).expect("below 2^31");
            for difference in after {
                *difference = to_master(i64::from(*difference) - mean);
            }
        }
    }
    Ok(Delta::new(after))
}

/// The next model: the student, trained from the round's model towards its outputs moved by `numerators 2^shift / denominator`.
pub(crate) fn student<S: Copy + Into<i64>>(
    backend: Backend,
    model: &Model,
    set: &PublicSet,
    (numerators, denominator, shift): (&[S], u64, u8),
    (spec, seed): (&TrainSpec, [u8; 32]),
) -> Result<Model, TrainError> {
    let own = outputs(backend, model, set.samples())?;
    let denominator = i128::from(denominator);
    let pairs = own.iter().zip(numerators);
    let towards: Vec<i32> = pairs
        .map(|(&own, &numerator)| moved(own, i128::from(numerator.into()), denominator, shift))
        .collect();
    // As fine as the largest one leaves room for.
    let magnitudes = towards.iter().fold(0, |all, v| all | v.unsigned_abs());
    let spare = magnitudes.leading_zeros().saturating_sub(1);
    let bits = (TARGET_BITS + spare).min(MAX_EXPONENT.into());
    let unit = 1i128 << (MASTER_FRACTION_BITS - bits);
    let towards = towards.iter().map(|&v| {
        let rounded = div_half_even(v.into(), unit);
        rounded.clamp(i16::MIN.into(), i16::MAX.into()) as i16
    });
    let samples = set.samples();
    let features = (0..samples.len()).flat_map(|row| samples.row(row)).copied();
    let targets = Targets::new(towards.collect(), model.spec().outputs(), bits as u8);
    let data = targets.and_then(|targets| {
        Dataset::with_targets(
            features.collect(),
            samples.inputs(),
            samples.exponent(),
            targets,
        )
    });
    let data = data.expect("as many targets as the public set has samples");
    let parts = vec![Part::Full; model.spec().layers().len()];
    let change = run_towards(backend, model, (parts, None), &data, spec, seed)?;
    Ok(moved_by(model, &change))
}

/// A model after a training.
pub(crate) fn moved_by(model: &Model, change: &Delta) -> Model {
    let mut after = model.clone();
    for (weight, &change) in after.weights_mut().iter_mut().zip(change.values()) {
        *weight = to_master(i64::from(*weight) + i64::from(change));
    }
    after
}

/// The seed of the student's training in a round.
pub(crate) fn student_seed(seed: &[u8; 32], round: u32) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_derive_key(labels::STUDENT);
    hasher.update(seed);
    hasher.update(&round.to_le_bytes());
    *hasher.finalize().as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::digits;
    use crate::way::{RoundWay, Way, WayError};
    use crate::{ModelSpec, Quantiser, evaluate};
    use alloc::sync::Arc;

    const STUDENT: TrainSpec = TrainSpec {
        epochs: 10,
        batch: 16,
        learning_rate: 1311,
        momentum: 0,
        dropout: None,
        rounding: None,
    };
    const DEVICE: TrainSpec = TrainSpec {
        epochs: 5,
        batch: 8,
        learning_rate: 1 << 16,
        momentum: 0,
        dropout: None,
        rounding: None,
    };

    /// A public set of 200 digits, and what is left for eight devices.
    fn scene() -> (PublicSet, Vec<Dataset>, Dataset) {
        let data = digits().unwrap();
        let places = |from: usize, step: usize| -> Vec<u32> {
            (from..data.train.len())
                .step_by(step)
                .map(|p| p as u32)
                .collect()
        };
        let public = PublicSet::new(&data.train.subset(&places(0, 7)).unwrap()).unwrap();
        let devices = (1..7).map(|device| data.train.subset(&places(device, 7)).unwrap());
        (public, devices.collect(), data.test)
    }

    #[test]
    fn the_student_learns_what_the_devices_know() {
        let (public, devices, test) = scene();
        let spec: ModelSpec = "mlp:64-32-10".parse().unwrap();
        let way = Way::distillation(&spec, &public, STUDENT).unwrap();
        let quantiser = Quantiser {
            update_shift: 14,
            clip: 1 << 20,
        };
        let public = Arc::new(public);
        let mut model = Model::initial(spec, [1; 32]).unwrap();
        let before = evaluate(&model, &test).unwrap().accuracy();
        let train = TrainSpec {
            learning_rate: 3277,
            momentum: 58_982,
            ..DEVICE
        };
        for round in 1..=4 {
            let way = RoundWay::new(&spec, Some(&way), &[7; 32], round)
                .unwrap()
                .with_public_set(Arc::clone(&public))
                .unwrap();
            let mut sum = vec![0i64; way.dimension()];
            let mut rng = rand_chacha::ChaCha20Rng::from_seed([u8::try_from(round).unwrap(); 32]);
            for (seed, device) in devices.iter().enumerate() {
                let seed = [seed as u8; 32];
                let mut head = way.fresh_head(&model);
                let delta = way.train(&model, &mut head, device, &train, seed).unwrap();
                assert_eq!(delta.values().len(), public.samples().len() * 10);
                let update = quantiser.quantise(&delta, &mut rng).unwrap();
                sum.iter_mut()
                    .zip(update)
                    .for_each(|(sum, x)| *sum += i64::from(x));
            }
            model = way.apply(&model, &sum, devices.len() as u64, 14).unwrap();
        }
        let after = evaluate(&model, &test).unwrap().accuracy();
        assert!(before < 0.3 && after > 0.85, "{before} {after}");
    }

    #[test]
    fn every_backend_gives_the_same_answers_and_the_same_student() {
        let (public, devices, _) = scene();
        for spec in ["mlp:64-16-10", "logistic:64-10"] {
            let model = Model::initial(spec.parse().unwrap(), [3; 32]).unwrap();
            let mut seen: Vec<(Delta, Model)> = Vec::new();
            for backend in Backend::available() {
                let change =
                    crate::train::train_with(backend, &model, &devices[0], &DEVICE, [1; 32]);
                let copy = moved_by(&model, &change.unwrap());
                let answers = differences(backend, (&model, &copy), &public).unwrap();
                let mean = (answers.values(), 1, 0);
                let rule = (&STUDENT, student_seed(&[1; 32], 2));
                let next = student(backend, &model, &public, mean, rule).unwrap();
                seen.push((answers, next));
            }
            assert!(seen.windows(2).all(|pair| pair[0] == pair[1]), "{spec}");
            assert_ne!(seen[0].1, model);
            // Differences of a sample add up to nothing but rounding.
            for row in seen[0].0.values().chunks_exact(10) {
                assert!(row.iter().map(|&x| i64::from(x)).sum::<i64>().abs() <= 10);
            }
        }
    }

    #[test]
    fn nothing_said_changes_nothing_but_rounding() {
        let (public, devices, _) = scene();
        let start = Model::initial("mlp:64-16-10".parse().unwrap(), [3; 32]).unwrap();
        let change = crate::train(&start, &devices[0], &DEVICE, [1; 32]).unwrap();
        let model = moved_by(&start, &change);
        let silence = vec![0i32; public.samples().len() * 10];
        let rule = (&STUDENT, [0; 32]);
        let backend = crate::backend::current();
        let next = student(backend, &model, &public, (&silence, 1, 14), rule).unwrap();
        let moved = model.weights().iter().zip(next.weights());
        // The targets are the outputs in units of 2^-11 or finer.
        assert!(moved.map(|(a, b)| a.abs_diff(*b)).max().unwrap() < 1 << 18);
    }

    #[test]
    fn the_largest_sums_are_learnt_without_overflow() {
        let (public, ..) = scene();
        let model = Model::initial("mlp:64-16-10".parse().unwrap(), [3; 32]).unwrap();
        let sums: Vec<i64> = (0..public.samples().len() * 10)
            .map(|at| [i64::MAX, i64::MIN, 0][at % 3])
            .collect();
        for backend in Backend::available() {
            let rule = (&STUDENT, [0; 32]);
            student(backend, &model, &public, (&sums, 1, 24), rule).unwrap();
        }
    }

    #[test]
    fn without_its_public_set_nothing_is_trained_or_applied() {
        let (public, devices, _) = scene();
        let spec: ModelSpec = "logistic:64-10".parse().unwrap();
        let way = Way::distillation(&spec, &public, STUDENT).unwrap();
        let round = || RoundWay::new(&spec, Some(&way), &[0; 32], 1).unwrap();
        let model = Model::initial(spec, [0; 32]).unwrap();
        let mut head = round().fresh_head(&model);
        let trained = round().train(&model, &mut head, &devices[0], &DEVICE, [0; 32]);
        assert_eq!(trained, Err(TrainError::NoPublicSet));
        let sum = vec![0i32; round().dimension()];
        assert!(round().apply(&model, &sum, 1, 0).is_err());
        let other = Arc::new(PublicSet::new(&devices[0]).unwrap());
        assert!(round().with_public_set(other).is_err());
        assert!(
            RoundWay::new(&spec, None, &[0; 32], 1)
                .unwrap()
                .with_public_set(Arc::new(public))
                .is_err()
        );
    }

    #[test]
    fn a_way_comes_back_from_its_bytes_and_nonsense_is_refused() {
        let (public, ..) = scene();
        let spec: ModelSpec = "logistic:64-10".parse().unwrap();
        let way = Way::distillation(&spec, &public, STUDENT).unwrap();
        let bytes = minicbor::to_vec(&way).unwrap();
        assert_eq!(minicbor::decode::<Way>(&bytes).unwrap(), way);
        assert_eq!(
            way.to_string(),
            format!("distillation:{}", public.samples().len())
        );
        let check = |samples, student| {
            let set = public.digest();
            Way::Distillation {
                set,
                samples,
                student,
            }
            .check(&spec, &DEVICE)
        };
        assert!(check(1, STUDENT).is_ok());
        assert!(check(0, STUDENT).is_err());
        assert!(check(u32::MAX, STUDENT).is_err());
        assert!(check(1 << 20, STUDENT).is_err(), "more than 2^22 bytes");
        assert!(
            check(
                1,
                TrainSpec {
                    epochs: 0,
                    ..STUDENT
                }
            )
            .is_err()
        );
        // Everybody who follows the task trains the student: not for hours.
        let hostile: ModelSpec = "mlp:1-65536-200-2".parse().unwrap();
        let way = |samples, epochs, batch| Way::Distillation {
            set: public.digest(),
            samples,
            student: TrainSpec {
                epochs,
                batch,
                ..STUDENT
            },
        };
        let longest = way(2_097_145, 1000, 1).check(&hostile, &DEVICE);
        assert!(matches!(longest, Err(WayError::Work(work)) if work > 1 << 54));
        assert!(way(100, 20, 16).check(&hostile, &DEVICE).is_ok());
        assert!(way(100, 60, 1).check(&hostile, &DEVICE).is_err());
        let image: ModelSpec = "cnn:28x28x1-8k3-16k3-64-10".parse().unwrap();
        assert!(way(2000, 40, 16).check(&image, &DEVICE).is_ok());
        assert!(way(2000, 400, 16).check(&image, &DEVICE).is_err());
        let other = "logistic:63-10".parse().unwrap();
        assert!(Way::distillation(&other, &public, STUDENT).is_err());
    }

    use rand_core::SeedableRng as _;
}
