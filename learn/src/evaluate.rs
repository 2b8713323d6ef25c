//! Accuracy and loss of a model.

use crate::backend::{self, Backend};
use crate::data::Dataset;
use crate::fixed::{MASTER_FRACTION_BITS, MASTER_MAX, scale};
use crate::layer::Layer;
use crate::model::Model;
use crate::network::Network;
use crate::softmax;
use crate::squared;
use crate::train::{TrainError, check_data, check_inputs};
use alloc::vec::Vec;
use minicbor::{Decode, Encode};

/// Samples that are evaluated together. Part of the rule: activations of a batch share an exponent.
const BATCH: usize = 64;

/// How well a model does on a data set, in integers.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode, serde::Serialize, serde::Deserialize,
)]
#[cbor(array)]
pub struct Evaluation {
    /// Samples whose label has the largest logit (the first one of several); 0 of a regressor.
    #[n(0)]
    pub correct: u64,
    /// All samples.
    #[n(1)]
    pub total: u64,
    /// Sum of the cross-entropies over all samples, in units of 2^-16 nats; of a regressor the sum of the squared errors of all
    /// outputs, in units of 2^-16, rounded once and saturating.
    #[n(2)]
    pub loss: u64,
}

impl Evaluation {
    /// Share of correct samples, for people; 0 of an empty data set.
    #[must_use]
    pub fn accuracy(&self) -> f64 {
        if self.total == 0 {
            0.0
        } else {
            self.correct as f64 / self.total as f64
        }
    }

    /// Mean cross-entropy in nats, or mean squared error of a sample (the sum over its outputs), for people; 0 of an empty data
    /// set.
    #[must_use]
    pub fn mean_loss(&self) -> f64 {
        if self.total == 0 {
            0.0
        } else {
            self.loss as f64 / 65536.0 / self.total as f64
        }
    }
}

/// Evaluates a model, the same bits on every machine.
///
/// # Errors
/// The data does not fit the model. An empty data set gives zeros.
///
/// # Panics
/// When [`backend::VARIABLE`] names a backend that cannot be had; [`backend::choose`] tells beforehand.
pub fn evaluate(model: &Model, data: &Dataset) -> Result<Evaluation, TrainError> {
    evaluate_with(backend::current(), model, data)
}

/// [`evaluate`] on a chosen backend, which changes no bit of the result.
///
/// # Errors
/// As [`evaluate`]; and the processor does not have the backend.
pub fn evaluate_with(
    backend: Backend,
    model: &Model,
    data: &Dataset,
) -> Result<Evaluation, TrainError> {
    check_data(model, data)?;
    let mut evaluation = Evaluation::default();
    let mut network = Network::new(&model.spec(), data.len().min(BATCH), backend.require()?);
    network.load_weights(model.weights());
    let outputs = model.spec().outputs();
    let mut squares = 0;
    for start in (0..data.len()).step_by(BATCH) {
        let batch = start..(start + BATCH).min(data.len());
        network.load_samples(data, batch.clone());
        let biases = |layer: &Layer, _| &model.weights()[layer.shape.biases()];
        let (width, exponent) = network.forward(batch.len(), biases, |_, _| {});
        evaluation.total += batch.len() as u64;
        let logits = network.logits(batch.len(), width);
        let logits = logits.chunks_exact(outputs).zip(batch);
        if let Some(targets) = data.targets() {
            for (outputs, sample) in logits {
                squares += squared::squares((outputs, exponent), targets, sample);
            }
            continue;
        }
        for (logits, sample) in logits {
            let label = usize::from(data.labels()[sample]);
            evaluation.correct += u64::from(softmax::argmax(logits) == label);
            evaluation.loss += softmax::loss(logits, exponent, label);
        }
    }
    evaluation.loss += squared::loss(squares);
    Ok(evaluation)
}

/// The outputs of a model for every sample, in units of 2^-24 (a model's own, saturating), a row of outputs a sample. Labels and
/// targets are not looked at.
pub(crate) fn outputs(
    backend: Backend,
    model: &Model,
    data: &Dataset,
) -> Result<Vec<i32>, TrainError> {
    check_inputs(model, data)?;
    let mut network = Network::new(&model.spec(), data.len().min(BATCH), backend.require()?);
    network.load_weights(model.weights());
    let mut all = Vec::with_capacity(data.len() * model.spec().outputs());
    for start in (0..data.len()).step_by(BATCH) {
        let batch = start..(start + BATCH).min(data.len());
        network.load_samples(data, batch.clone());
        let biases = |layer: &Layer, _| &model.weights()[layer.shape.biases()];
        let (width, exponent) = network.forward(batch.len(), biases, |_, _| {});
        let power = MASTER_FRACTION_BITS as i32 - exponent;
        let outputs = network.logits(batch.len(), width).iter();
        all.extend(outputs.map(|&output| scale(output, power, MASTER_MAX.into()) as i32));
    }
    Ok(all)
}
