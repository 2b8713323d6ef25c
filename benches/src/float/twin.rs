//! A network that learns in f32 what `dawn_learn::train` learns in fixed point: from the same initial weights, on the same batches in
//! the same order, with the same rate and momentum. What differs is the arithmetic alone.

use super::layer::{Layer, Parameters, Rule};
use super::product::Product;
use crate::train::{Part, parts};
use dawn_learn::train::epoch_order;
use dawn_learn::{Dataset, Model, TrainSpec};

/// The features of a data set in f32, sample by sample.
#[derive(Clone, Debug)]
pub struct Samples {
    values: Vec<f32>,
    inputs: usize,
}

impl Samples {
    /// Exact: a feature has sixteen bits.
    #[must_use]
    pub fn new(data: &Dataset) -> Self {
        let scale = 1.0 / f32::from(1u16 << data.exponent());
        let rows = (0..data.len()).flat_map(|row| data.row(row));
        Self {
            values: rows.map(|&x| f32::from(x) * scale).collect(),
            inputs: data.inputs(),
        }
    }

    /// The features of one sample.
    fn row(&self, sample: usize) -> &[f32] {
        &self.values[sample * self.inputs..][..self.inputs]
    }

    /// All features.
    #[cfg(feature = "bench")]
    pub(crate) fn values(&self) -> &[f32] {
        &self.values
    }
}

/// A classifier in f32.
pub struct Twin {
    layers: Vec<Layer>,
    /// Features of the batch.
    batch: Vec<f32>,
    rows: usize,
    rate: f32,
    momentum: f32,
    product: Product,
}

impl Twin {
    /// A network with a model's weights; nothing for a model that predicts numbers, or for a rule with dropout. (Rounding at random is a
    /// matter of fixed point.)
    #[must_use]
    pub fn new(model: &Model, rule: &TrainSpec, product: Product) -> Option<Self> {
        if rule.dropout.is_some() {
            return None;
        }
        let (spec, rows) = (model.spec(), usize::from(rule.batch));
        let units = |value: u32| (f64::from(value) / 65536.0) as f32;
        let mut values = model.weights().iter().map(|&w| w as f32 / (1 << 24) as f32);
        let mut parameters = Parameters {
            values: &mut values,
            moving: rule.momentum > 0,
        };
        let layers = parts(&spec)?.into_iter().map(|part| match part {
            Part::Convolution { before, by } => {
                Layer::convolution(before, by, &mut parameters, rows)
            }
            Part::Dense { inputs, outputs } => {
                Layer::dense((inputs, outputs), &mut parameters, rows)
            }
        });
        let layers = layers.collect();
        Some(Self {
            layers,
            batch: vec![0.0; rows * spec.inputs()],
            rows,
            rate: units(rule.learning_rate),
            momentum: units(rule.momentum.into()),
            product,
        })
    }

    /// Trains as `dawn_learn::train` does with this seed.
    pub fn train(&mut self, samples: &Samples, labels: &[u8], seed: &[u8; 32], epochs: u16) {
        for epoch in 0..epochs {
            let order = epoch_order(seed, epoch, labels.len() as u32);
            for batch in order.chunks(self.rows) {
                self.step(samples, labels, batch.iter().map(|&sample| sample as usize));
            }
        }
    }

    /// One step on some samples, at most as many as a batch has.
    pub(crate) fn step(
        &mut self,
        samples: &Samples,
        labels: &[u8],
        batch: impl Iterator<Item = usize> + Clone,
    ) {
        let count = self.forward(samples, batch.clone());
        let rule = Rule {
            rate: self.rate / count as f32,
            momentum: self.momentum,
            product: self.product,
        };
        let last = self.layers.len() - 1;
        let layer = &mut self.layers[last];
        let rows = layer.values.chunks_exact(layer.outputs).zip(batch);
        for ((logits, sample), out) in rows.zip(layer.gradient.chunks_exact_mut(layer.outputs)) {
            softmax(logits, labels[sample].into(), out);
        }
        for index in (0..=last).rev() {
            let (before, after) = self.layers.split_at_mut(index);
            let Some(before) = before.last_mut() else {
                after[0].backward(rule, &self.batch, count, None);
                continue;
            };
            let Layer {
                values, gradient, ..
            } = before;
            after[0].backward(rule, values, count, Some(gradient));
            for (gradient, &value) in gradient.iter_mut().zip(values.iter()) {
                *gradient = if value > 0.0 { *gradient } else { 0.0 };
            }
        }
    }

    /// The logits of some samples; returns how many those are.
    fn forward(&mut self, samples: &Samples, batch: impl Iterator<Item = usize>) -> usize {
        let mut count = 0;
        for (to, sample) in self.batch.chunks_exact_mut(samples.inputs).zip(batch) {
            to.copy_from_slice(samples.row(sample));
            count += 1;
        }
        let last = self.layers.len() - 1;
        for index in 0..=last {
            let (before, after) = self.layers.split_at_mut(index);
            let input = before.last().map_or(&self.batch, |layer| &layer.values);
            after[0].forward(self.product, input, count, index == last);
        }
        count
    }

    /// The logits of one sample.
    #[cfg(all(test, feature = "bench"))]
    pub(super) fn logits(&mut self, samples: &Samples, sample: usize) -> Vec<f32> {
        self.forward(samples, [sample].into_iter());
        let layer = self.layers.last().expect("the last one");
        layer.values[..layer.outputs].to_vec()
    }

    /// Samples whose label has the largest logit, the first one of several.
    #[must_use]
    pub fn correct(&mut self, samples: &Samples, labels: &[u8]) -> usize {
        let mut correct = 0;
        let all: Vec<usize> = (0..labels.len()).collect();
        for batch in all.chunks(self.rows) {
            self.forward(samples, batch.iter().copied());
            let Some(layer) = self.layers.last() else {
                break;
            };
            for (logits, &sample) in layer.values.chunks_exact(layer.outputs).zip(batch) {
                let best = (0..logits.len())
                    .rev()
                    .max_by(|&a, &b| logits[a].total_cmp(&logits[b]));
                correct += usize::from(best == Some(labels[sample].into()));
            }
        }
        correct
    }

    /// All parameters, in the order of a model's.
    pub fn parameters(&self) -> impl Iterator<Item = f32> {
        self.layers.iter().flat_map(Layer::parameters)
    }
}

/// Probabilities less one at the label.
fn softmax(logits: &[f32], label: usize, out: &mut [f32]) {
    let largest = logits.iter().copied().fold(f32::MIN, f32::max);
    let mut sum = 0.0;
    for (out, &logit) in out.iter_mut().zip(logits) {
        *out = (logit - largest).exp();
        sum += *out;
    }
    let scale = 1.0 / sum;
    out.iter_mut().for_each(|out| *out *= scale);
    out[label] -= 1.0;
}

#[cfg(test)]
mod tests {
    use super::super::product::by_loops;
    use super::*;
    use dawn_learn::data::digits;
    use dawn_learn::{apply_update, evaluate, train};

    const MODELS: [&str; 5] = [
        "logistic:64-10",
        "mlp:64-32-10",
        "mlp:64-32-16-10",
        "cnn:8x8x1-8k3-32-10",
        "cnn:8x8x1-4k2-8k2-10",
    ];

    fn rule(momentum: u16) -> TrainSpec {
        TrainSpec {
            epochs: 1,
            batch: 32,
            learning_rate: 1 << 10,
            momentum,
            dropout: None,
            rounding: None,
        }
    }

    /// After an epoch both are still nearly the same, which they are only when weights, batches, their order, gradients, rate and
    /// momentum are; with another order of the batches they are many times as far apart.
    #[test]
    fn both_go_the_same_way() {
        let data = digits().unwrap().train;
        let samples = Samples::new(&data);
        for model in MODELS {
            for momentum in [0, 58_982] {
                let rule = rule(momentum);
                let start = Model::initial(model.parse().unwrap(), [1; 32]).unwrap();
                let delta = train(&start, &data, &rule, [2; 32]).unwrap();
                let trained = apply_update(&start, delta.values(), 1, 0).unwrap();
                let distance = |seed: u8| {
                    let mut twin = Twin::new(&start, &rule, by_loops).unwrap();
                    twin.train(&samples, data.labels(), &[seed; 32], 1);
                    let weights = trained
                        .weights()
                        .iter()
                        .map(|&w| w as f32 / (1 << 24) as f32);
                    let squares = weights.zip(twin.parameters()).map(|(a, b)| (a - b).powi(2));
                    squares.sum::<f32>().sqrt()
                };
                let moved = delta
                    .values()
                    .iter()
                    .map(|&d| (d as f32 / (1 << 24) as f32).powi(2));
                let moved = moved.sum::<f32>().sqrt();
                let (same, other) = (distance(2), distance(3));
                println!(
                    "{model}, momentum {momentum}: moved {moved}, apart {same}, other order {other}"
                );
                assert!(same < 0.03 * moved, "{model}: {same} of {moved}");
                assert!(other > 5.0 * same, "{model}: {same} and {other}");
            }
        }
    }

    #[test]
    fn the_largest_logit_decides_the_first_one_of_several() {
        let data = digits().unwrap().test;
        let samples = Samples::new(&data);
        // All logits are zero.
        let start = Model::initial("logistic:64-10".parse().unwrap(), [1; 32]).unwrap();
        let mut twin = Twin::new(&start, &rule(0), by_loops).unwrap();
        let zeros = data.labels().iter().filter(|&&label| label == 0).count();
        assert_eq!(twin.correct(&samples, data.labels()), zeros);
        let start = Model::initial("mlp:64-32-10".parse().unwrap(), [1; 32]).unwrap();
        let mut twin = Twin::new(&start, &rule(0), by_loops).unwrap();
        let found = twin.correct(&samples, data.labels());
        assert!(found.abs_diff(evaluate(&start, &data).unwrap().correct as usize) <= 2);
    }

    #[test]
    fn what_has_no_twin() {
        let start = Model::initial("linear:6-2".parse().unwrap(), [1; 32]).unwrap();
        assert!(Twin::new(&start, &rule(0), by_loops).is_none());
        let start = Model::initial("mlp:64-32-10".parse().unwrap(), [1; 32]).unwrap();
        let dropout = TrainSpec {
            dropout: std::num::NonZeroU16::new(1 << 15),
            ..rule(0)
        };
        assert!(Twin::new(&start, &dropout, by_loops).is_none());
    }
}
