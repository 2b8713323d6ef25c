//! Local training: minibatch stochastic gradient descent in fixed point.

use crate::data::Dataset;
use crate::fixed::{GRADIENT_EXPONENT_MAX, Tensor, scale, shift_right_rounded, to_master};
use crate::kernels::{Backend, Shape};
use crate::model::Model;
use crate::network::Network;
use crate::quantise::Delta;
use crate::randomness::{labels, permutation};
use crate::softmax;
use minicbor::{Decode, Encode};

/// Most epochs of one training.
pub const MAX_EPOCHS: u16 = 1000;
/// Largest batch.
pub const MAX_BATCH: u16 = 1024;
/// Largest learning rate: 16.
pub const MAX_LEARNING_RATE: u32 = 16 << 16;

/// Steps are computed in units of 2^-32, eight bits finer than a master weight.
const STEP_FRACTION_BITS: i32 = 32;
const STEP_TO_MASTER: u32 = 8;
/// Bound of a step and of a velocity: more than the whole range of a master weight.
const STEP_LIMIT: i64 = 1 << 40;

/// How a device trains: part of the task, the same for all of them.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, serde::Serialize, serde::Deserialize,
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

/// Checks that the data fits the model.
pub(crate) fn check_data(model: &Model, data: &Dataset) -> Result<(), TrainError> {
    let spec = model.spec();
    if data.inputs() != spec.inputs() {
        return Err(TrainError::Inputs {
            model: spec.inputs(),
            data: data.inputs(),
        });
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

/// Trains from `model` on `data` and returns the difference of the weights.
///
/// The result is a function of the arguments alone, the same bits on every machine. The seed decides the order of the
/// samples.
///
/// # Errors
/// The specification is out of range, or the data is empty or does not fit the model.
pub fn train(
    model: &Model,
    data: &Dataset,
    spec: &TrainSpec,
    seed: [u8; 32],
) -> Result<Delta, TrainError> {
    train_with(Backend::best(), model, data, spec, seed)
}

/// [`train`] on a chosen backend.
///
/// # Errors
/// As [`train`].
pub fn train_with(
    backend: Backend,
    model: &Model,
    data: &Dataset,
    spec: &TrainSpec,
    seed: [u8; 32],
) -> Result<Delta, TrainError> {
    spec.check()?;
    check_data(model, data)?;
    if data.is_empty() {
        return Err(TrainError::EmptyDataset);
    }
    let samples = u32::try_from(data.len()).expect("a data set has at most 2^31 samples");
    let mut trained = model.clone();
    let mut trainer = Trainer::new(&trained, data, spec, backend);
    let mut order = Vec::with_capacity(data.len());
    for epoch in 0..spec.epochs {
        permutation(labels::SHUFFLE, &seed, epoch.into(), &mut order, samples);
        for batch in order.chunks(spec.batch.into()) {
            trainer.step(trained.weights_mut(), data, batch);
        }
    }
    let difference =
        |(after, before): (&i32, &i32)| to_master(i64::from(*after) - i64::from(*before));
    Ok(Delta::new(
        trained
            .weights()
            .iter()
            .zip(model.weights())
            .map(difference)
            .collect(),
    ))
}

struct Trainer {
    network: Network,
    learning_rate: u32,
    momentum: i64,
    /// Velocities in units of 2^-32; empty without momentum.
    velocity: Vec<i64>,
    gradient: Tensor,
    deeper_gradient: Tensor,
    /// Gradient of one layer's weights, or of the logits.
    wide: Vec<i64>,
}

impl Trainer {
    fn new(model: &Model, data: &Dataset, spec: &TrainSpec, backend: Backend) -> Self {
        let rows = data.len().min(spec.batch.into());
        let network = Network::new(&model.spec(), rows, backend);
        let widest = network
            .layers
            .iter()
            .map(|layer| layer.outputs)
            .max()
            .unwrap_or(0);
        let largest = network
            .layers
            .iter()
            .map(|layer| layer.inputs * layer.outputs)
            .max()
            .unwrap_or(0);
        Self {
            learning_rate: spec.learning_rate,
            momentum: spec.momentum.into(),
            velocity: vec![
                0;
                if spec.momentum == 0 {
                    0
                } else {
                    model.weights().len()
                }
            ],
            gradient: Tensor::zeroed(rows * widest),
            deeper_gradient: Tensor::zeroed(rows * widest),
            wide: vec![0; largest.max(rows * widest)],
            network,
        }
    }

    /// One step on one batch of (random number, sample) pairs.
    fn step(&mut self, master: &mut [i32], data: &Dataset, batch: &[(u64, u32)]) {
        let rows = batch.len();
        self.network.load_weights(master);
        self.network
            .load_samples(data, batch.iter().map(|&(_, sample)| sample as usize));
        let exponent = self.network.forward(master, rows);
        self.logit_gradient(data, batch, exponent);
        let rate = Rate::new(self.learning_rate, rows);
        for index in (0..self.network.layers.len()).rev() {
            let layer = self.network.layers[index];
            let input = &self.network.inputs[index];
            let weight_gradient = &mut self.wide[..layer.inputs * layer.outputs];
            let shape = Shape {
                rows: layer.outputs,
                columns: layer.inputs,
                inner: rows,
            };
            self.network.kernels.gradient(
                shape,
                &self.gradient.mantissas,
                &input.mantissas,
                weight_gradient,
            );
            let exponent = self.gradient.exponent + input.exponent;
            let weights = layer.weights();
            let velocity = self.velocity.get_mut(weights.clone()).unwrap_or_default();
            descend(
                &mut master[weights],
                weight_gradient,
                rate.at(exponent),
                self.momentum,
                velocity,
            );

            let bias_gradient = &mut self.wide[..layer.outputs];
            bias_gradient.fill(0);
            for row in self.gradient.mantissas[..rows * layer.outputs].chunks_exact(layer.outputs) {
                for (sum, &mantissa) in bias_gradient.iter_mut().zip(row) {
                    *sum += i64::from(mantissa);
                }
            }
            let biases = layer.biases();
            let velocity = self.velocity.get_mut(biases.clone()).unwrap_or_default();
            descend(
                &mut master[biases],
                bias_gradient,
                rate.at(self.gradient.exponent),
                self.momentum,
                velocity,
            );
            if index > 0 {
                self.gradient_of_inputs(index, rows);
            }
        }
    }

    fn logit_gradient(&mut self, data: &Dataset, batch: &[(u64, u32)], exponent: i32) {
        let classes = self.network.layers.last().map_or(1, |layer| layer.outputs);
        let used = batch.len() * classes;
        let logits = self.network.sums[..used].chunks_exact(classes);
        for ((logits, out), &(_, sample)) in
            logits.zip(self.wide.chunks_exact_mut(classes)).zip(batch)
        {
            softmax::gradient(logits, exponent, data.labels()[sample as usize].into(), out);
        }
        self.gradient.narrow(
            &self.wide[..used],
            softmax::PROBABILITY_BITS as i32,
            GRADIENT_EXPONENT_MAX,
        );
    }

    /// Carries the gradient back through the weights that the forward pass used, and through the rectifier: where the
    /// narrowed activation is zero, the gradient is zero.
    fn gradient_of_inputs(&mut self, index: usize, rows: usize) {
        let layer = self.network.layers[index];
        let weights = &self.network.weights[index];
        let shape = Shape {
            rows,
            columns: layer.inputs,
            inner: layer.outputs,
        };
        let sums = &mut self.network.sums[..rows * layer.inputs];
        self.network
            .kernels
            .backward(shape, &self.gradient.mantissas, &weights.mantissas, sums);
        for (sum, &activation) in sums.iter_mut().zip(&self.network.inputs[index].mantissas) {
            if activation == 0 {
                *sum = 0;
            }
        }
        self.deeper_gradient.narrow(
            sums,
            self.gradient.exponent + weights.exponent,
            GRADIENT_EXPONENT_MAX,
        );
        std::mem::swap(&mut self.gradient, &mut self.deeper_gradient);
    }
}

/// `learning rate / batch` as `multiplier * 2^-exponent`, the multiplier rounded to 16 bits.
#[derive(Clone, Copy)]
struct Rate {
    multiplier: i64,
    exponent: i32,
}

impl Rate {
    fn new(learning_rate: u32, rows: usize) -> Self {
        // In units of 2^-48; at least 2^32 / 1024, so that it has at least 23 bits.
        let quotient = (u64::from(learning_rate) << 32) / rows as u64;
        let shift = (u64::BITS - quotient.leading_zeros()).saturating_sub(16);
        let multiplier = shift_right_rounded(i64::try_from(quotient).expect("below 2^53"), shift);
        Self {
            multiplier,
            exponent: 48 - shift as i32,
        }
    }

    /// The rate for gradients of this exponent: steps in units of 2^-32.
    fn at(self, gradient_exponent: i32) -> (i64, i32) {
        (
            self.multiplier,
            STEP_FRACTION_BITS - gradient_exponent - self.exponent,
        )
    }
}

/// `v = momentum * v + rate * gradient; w = w - v`. A gradient is below 2^34 (1024 products of 24 bits), the multiplier
/// at most 2^16, a velocity at most 2^40, the momentum below 2^16: every product is below 2^57.
fn descend(
    master: &mut [i32],
    gradient: &[i64],
    (multiplier, power): (i64, i32),
    momentum: i64,
    velocity: &mut [i64],
) {
    let mut velocity = velocity.iter_mut();
    for (weight, &gradient) in master.iter_mut().zip(gradient) {
        let mut step = scale(gradient * multiplier, power, STEP_LIMIT);
        if let Some(velocity) = velocity.next() {
            step = (step + shift_right_rounded(*velocity * momentum, 16))
                .clamp(-STEP_LIMIT, STEP_LIMIT);
            *velocity = step;
        }
        *weight = to_master(i64::from(*weight) - shift_right_rounded(step, STEP_TO_MASTER));
    }
}
