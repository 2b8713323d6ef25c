//! Local training: minibatch stochastic gradient descent in fixed point.

use crate::backend::{self, Backend, BackendError};
use crate::data::Dataset;
use crate::model::Model;
use crate::quantise::Delta;
use crate::randomness::{index, labels, permutation};
use crate::spec::ModelSpec;
use crate::trainer::Trainer;
use crate::way::part::Part;
use crate::way::{HeadError, PublicSetError, WayError};
use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;
use core::num::NonZeroU16;
use minicbor::{Decode, Encode};

/// Most epochs of one training.
pub const MAX_EPOCHS: u16 = 1000;
/// Largest batch.
pub const MAX_BATCH: u16 = 1024;
/// Largest learning rate: 16.
pub const MAX_LEARNING_RATE: u32 = 16 << 16;
/// Largest share of units that is left out: 15/16.
pub const MAX_DROPOUT: u32 = 15 << 12;

/// How a device trains: part of the task, the same for all of them.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, Encode, Decode, serde::Serialize, serde::Deserialize,
)]
#[cbor(array)]
pub struct TrainSpec {
    /// Passes over the device's data, 1 to 1000.
    #[n(0)]
    pub epochs: u16,
    /// Samples in a minibatch, 1 to 1024; the last one of an epoch may be smaller.
    #[n(1)]
    pub batch: u16,
    /// Learning rate in units of 2^-16, above 0 and at most 16.
    #[n(2)]
    pub learning_rate: u32,
    /// Momentum in units of 2^-16: below 1, 0 for none. Velocities start at zero in every training.
    #[n(3)]
    pub momentum: u16,
    /// Share of hidden units that a step leaves out, in units of 2^-16, at most 15/16; none when absent. A model without hidden layers
    /// has none to leave out.
    #[n(4)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dropout: Option<NonZeroU16>,
    /// How a step is rounded to a weight's units: to nearest when absent.
    #[n(5)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rounding: Option<Rounding>,
}

/// How steps are rounded, if not to nearest.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, Encode, Decode, serde::Serialize, serde::Deserialize,
)]
#[cbor(index_only)]
#[serde(rename_all = "lowercase")]
pub enum Rounding {
    /// Up or down at random, so that the mean is what is rounded: steps far below a unit add up.
    #[n(0)]
    Stochastic,
}

/// Why training or evaluation cannot be done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TrainError {
    /// A field of the training specification is out of its range.
    #[error("{what} must be {least} to {most}, not {value}")]
    Spec {
        /// Which field.
        what: &'static str,
        /// Its value.
        value: u32,
        /// Smallest allowed.
        least: u32,
        /// Largest allowed.
        most: u32,
    },
    /// There is nothing to learn from.
    #[error("the data set is empty")]
    EmptyDataset,
    /// The data has another number of features than the model.
    #[error("the model takes {model} features, the data set has {data}")]
    Inputs {
        /// Features that the model takes.
        model: usize,
        /// Features that the data has.
        data: usize,
    },
    /// A label is not a class of the model.
    #[error("sample {sample} has label {label}, the model has {classes} classes")]
    Label {
        /// Index of the sample.
        sample: usize,
        /// Its label.
        label: u8,
        /// Classes of the model.
        classes: usize,
    },
    /// The model predicts numbers, and the data has labels.
    #[error(
        "the model predicts numbers and the data set has labels: give it targets, or choose logistic or mlp"
    )]
    NoTargets,
    /// The model tells classes apart, and the data has targets.
    #[error(
        "the model tells classes apart and the data set has targets: give it labels, or choose linear or regressor"
    )]
    NoLabels,
    /// The data has another number of targets than the model has outputs.
    #[error("the model predicts {model} numbers, a sample has {data} targets")]
    Outputs {
        /// Numbers that the model predicts.
        model: usize,
        /// Targets of a sample.
        data: usize,
    },
    /// The model is not of the task's shape.
    #[error("the model is a {found}, and the task's a {expected}")]
    Model {
        /// The task's.
        expected: Box<ModelSpec>,
        /// What was given.
        found: Box<ModelSpec>,
    },
    /// The way of learning together does not fit.
    #[error(transparent)]
    Way(#[from] WayError),
    /// The public set is missing or another one.
    #[error(transparent)]
    PublicSet(#[from] PublicSetError),
    /// The task distils, and its public set is not here.
    #[error("the task distils, and its public set was not given")]
    NoPublicSet,
    /// The device's own head does not fit.
    #[error(transparent)]
    Head(#[from] HeadError),
    /// The backend that was asked for cannot be had.
    #[error(transparent)]
    Backend(#[from] BackendError),
}

impl TrainSpec {
    /// Checks every field.
    ///
    /// # Errors
    /// Names the field that is out of its range.
    pub fn check(&self) -> Result<(), TrainError> {
        within("epochs", self.epochs.into(), 1, MAX_EPOCHS.into())?;
        within("batch", self.batch.into(), 1, MAX_BATCH.into())?;
        within(
            "learning rate (in units of 2^-16)",
            self.learning_rate,
            1,
            MAX_LEARNING_RATE,
        )?;
        let dropout = self.dropout.map_or(1, NonZeroU16::get);
        within(
            "dropout (in units of 2^-16)",
            dropout.into(),
            1,
            MAX_DROPOUT,
        )
    }
}

fn within(what: &'static str, value: u32, least: u32, most: u32) -> Result<(), TrainError> {
    if (least..=most).contains(&value) {
        Ok(())
    } else {
        Err(TrainError::Spec {
            what,
            value,
            least,
            most,
        })
    }
}

/// Checks that a sample of the data is one for the model.
pub(crate) fn check_inputs(model: &Model, data: &Dataset) -> Result<(), TrainError> {
    let (model, data) = (model.spec().inputs(), data.inputs());
    if data == model {
        Ok(())
    } else {
        Err(TrainError::Inputs { model, data })
    }
}

/// Checks that the data fits the model.
pub(crate) fn check_data(model: &Model, data: &Dataset) -> Result<(), TrainError> {
    check_inputs(model, data)?;
    let spec = model.spec();
    match data.targets() {
        Some(_) if !spec.is_regressor() => return Err(TrainError::NoLabels),
        None if spec.is_regressor() => return Err(TrainError::NoTargets),
        Some(targets) if targets.outputs() != spec.outputs() => {
            return Err(TrainError::Outputs {
                model: spec.outputs(),
                data: targets.outputs(),
            });
        }
        Some(_) => return Ok(()),
        None => {}
    }
    match data
        .labels()
        .iter()
        .position(|&label| usize::from(label) >= spec.classes())
    {
        Some(sample) => Err(TrainError::Label {
            sample,
            label: data.labels()[sample],
            classes: spec.classes(),
        }),
        None => Ok(()),
    }
}

/// The samples of a data set in the order in which an epoch (from 0) of a training takes them.
#[must_use]
pub fn epoch_order(seed: &[u8; 32], epoch: u16, samples: u32) -> Vec<u32> {
    let mut order = Vec::new();
    permutation(labels::SHUFFLE, seed, epoch.into(), &mut order, samples);
    order.into_iter().map(|entry| index(entry) as u32).collect()
}

/// Trains from `model` on `data` and returns the difference of the weights.
///
/// The result is a function of the arguments alone, the same bits on every machine. The seed decides the order of the
/// samples, and whatever else is random.
///
/// # Errors
/// The specification is out of range, or the data is empty or does not fit the model.
///
/// # Panics
/// When [`backend::VARIABLE`] names a backend that cannot be had; [`backend::choose`] tells beforehand.
pub fn train(
    model: &Model,
    data: &Dataset,
    spec: &TrainSpec,
    seed: [u8; 32],
) -> Result<Delta, TrainError> {
    train_with(backend::current(), model, data, spec, seed)
}

/// [`train`] on a chosen backend, which changes no bit of the result.
///
/// # Errors
/// As [`train`]; and the processor does not have the backend.
pub fn train_with(
    backend: Backend,
    model: &Model,
    data: &Dataset,
    spec: &TrainSpec,
    seed: [u8; 32],
) -> Result<Delta, TrainError> {
    let parts = vec![Part::Full; model.spec().layers().len()];
    run(backend, model, (parts, None), data, spec, seed)
}

/// Trains the parts of layers, drawn back to the model as `pull` says ([`crate::way::part::pull`]); gives what was trained, layer
/// by layer.
pub(crate) fn run(
    backend: Backend,
    model: &Model,
    trained: (Vec<Part>, Option<u32>),
    data: &Dataset,
    spec: &TrainSpec,
    seed: [u8; 32],
) -> Result<Delta, TrainError> {
    check_data(model, data)?;
    run_towards(backend, model, trained, data, spec, seed)
}

/// [`run`], whatever the model is for: towards labels, or towards targets, of which there are as many as outputs.
pub(crate) fn run_towards(
    backend: Backend,
    model: &Model,
    trained: (Vec<Part>, Option<u32>),
    data: &Dataset,
    spec: &TrainSpec,
    seed: [u8; 32],
) -> Result<Delta, TrainError> {
    spec.check()?;
    if data.is_empty() {
        return Err(TrainError::EmptyDataset);
    }
    let samples = u32::try_from(data.len()).expect("a data set has at most 2^31 samples");
    let rows = data.len().min(spec.batch.into());
    let mut trainer = Trainer::new(model, trained, rows, (spec, &seed), backend.require()?);
    let mut order = Vec::with_capacity(data.len());
    for epoch in 0..spec.epochs {
        permutation(labels::SHUFFLE, &seed, epoch.into(), &mut order, samples);
        for batch in order.chunks(spec.batch.into()) {
            trainer.step(data, batch);
        }
    }
    drop(order);
    Ok(trainer.finish(model))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: TrainSpec = TrainSpec {
        epochs: 3,
        batch: 32,
        learning_rate: 300,
        momentum: 5,
        dropout: None,
        rounding: None,
    };

    #[test]
    fn options_that_are_absent_take_no_bytes() {
        let dropout = NonZeroU16::new(4096);
        let rounding = Some(Rounding::Stochastic);
        let head = [3, 24, 32, 25, 1, 44, 5];
        for (dropout, rounding, first, rest) in [
            (None, None, 0x84, &[][..]),
            (dropout, None, 0x85, &[25, 16, 0]),
            (None, rounding, 0x86, &[0xf6, 0]),
            (dropout, rounding, 0x86, &[25, 16, 0, 0]),
        ] {
            let spec = TrainSpec {
                dropout,
                rounding,
                ..PLAIN
            };
            let bytes = [&[first], &head[..], rest].concat();
            assert_eq!(minicbor::to_vec(spec).unwrap(), bytes);
            assert_eq!(minicbor::decode::<TrainSpec>(&bytes).unwrap(), spec);
            let json = serde_json::to_string(&spec).unwrap();
            assert_eq!(serde_json::from_str::<TrainSpec>(&json).unwrap(), spec);
        }
        let json = r#"{"epochs":3,"batch":32,"learning_rate":300,"momentum":5}"#;
        assert_eq!(serde_json::to_string(&PLAIN).unwrap(), json);
        let hostile: [&[u8]; 2] = [&[0], &[25, 16, 0, 1]];
        for rest in hostile {
            let first = if rest.len() == 1 { 0x85 } else { 0x86 };
            let bytes = [&[first], &head[..], rest].concat();
            assert!(minicbor::decode::<TrainSpec>(&bytes).is_err(), "{rest:?}");
        }
    }

    #[test]
    fn too_much_dropout_is_refused() {
        let with = |dropout| TrainSpec {
            dropout: NonZeroU16::new(dropout),
            ..PLAIN
        };
        assert_eq!(with(61_440).check(), Ok(()));
        assert!(matches!(
            with(61_441).check(),
            Err(TrainError::Spec { value: 61_441, .. })
        ));
    }
}
