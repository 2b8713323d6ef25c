//! A network that learns in f32 what `dawn_learn::train` learns in fixed point: from the same initial weights, on the same batches in
//! the same order, with the same rate and momentum. What differs is the arithmetic alone.

use super::product::{Product, Shape, Strided};
use dawn_learn::train::epoch_order;
use dawn_learn::{Dataset, Model, ModelSpec, TrainSpec};

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

/// A dense layer.
struct Layer {
    inputs: usize,
    outputs: usize,
    weights: Vec<f32>,
    biases: Vec<f32>,
    /// Velocities of weights and biases; nothing without momentum.
    velocities: (Vec<f32>, Vec<f32>),
    /// Outputs of the batch, and the gradient by them (before the rectification).
    values: Vec<f32>,
    gradient: Vec<f32>,
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

/// The sizes of a classifier: inputs, hidden layers, classes. None of a model that predicts numbers.
pub(crate) fn sizes(spec: &ModelSpec) -> Option<Vec<usize>> {
    let hidden: &[u32] = match spec {
        ModelSpec::Logistic { .. } => &[],
        ModelSpec::Mlp { hidden, .. } => hidden,
        _ => return None,
    };
    let hidden = hidden.iter().map(|&units| units as usize);
    let all = std::iter::once(spec.inputs()).chain(hidden);
    Some(all.chain([spec.classes()]).collect())
}

/// The parts of a model's layers: weights, biases, inputs, outputs.
pub(crate) fn layers(model: &Model, sizes: &[usize]) -> Vec<(Vec<f32>, Vec<f32>, usize, usize)> {
    let mut parameters = model.weights().iter().map(|&w| w as f32 / (1 << 24) as f32);
    let mut take = |count: usize| parameters.by_ref().take(count).collect();
    sizes
        .windows(2)
        .map(|pair| (take(pair[0] * pair[1]), take(pair[1]), pair[0], pair[1]))
        .collect()
}

impl Twin {
    /// A network with a model's weights; nothing for a model that predicts numbers.
    #[must_use]
    pub fn new(model: &Model, rule: &TrainSpec, product: Product) -> Option<Self> {
        let sizes = sizes(&model.spec())?;
        let rows = usize::from(rule.batch);
        let units = |value: u32| (f64::from(value) / 65536.0) as f32;
        let moving = rule.momentum > 0;
        let layer = |(weights, biases, inputs, outputs): (Vec<f32>, Vec<f32>, _, _)| Layer {
            inputs,
            outputs,
            velocities: (
                vec![0.0; if moving { weights.len() } else { 0 }],
                vec![0.0; if moving { outputs } else { 0 }],
            ),
            weights,
            biases,
            values: vec![0.0; rows * outputs],
            gradient: vec![0.0; rows * outputs],
        };
        Some(Self {
            layers: layers(model, &sizes).into_iter().map(layer).collect(),
            batch: vec![0.0; rows * sizes[0]],
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
        let last = self.layers.len() - 1;
        let layer = &mut self.layers[last];
        let rows = layer.values.chunks_exact(layer.outputs).zip(batch);
        for ((logits, sample), out) in rows.zip(layer.gradient.chunks_exact_mut(layer.outputs)) {
            softmax(logits, labels[sample].into(), out);
        }
        for index in (0..=last).rev() {
            self.backward(index, count);
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
            let layer = &mut after[0];
            let values = layer.values.chunks_exact_mut(layer.outputs);
            values.for_each(|row| row.copy_from_slice(&layer.biases));
            let shape = Shape {
                rows: count,
                columns: layer.outputs,
                inner: layer.inputs,
            };
            let (a, b) = (
                Strided(input, layer.inputs, 1),
                Strided(&layer.weights, 1, layer.inputs),
            );
            (self.product)(shape, 1.0, a, b, 1.0, &mut layer.values);
            if index < last {
                let values = layer.values.iter_mut();
                values.for_each(|value| *value = value.max(0.0));
            }
        }
        count
    }

    /// From the gradient of a layer that of the one before, then this layer's step.
    fn backward(&mut self, index: usize, count: usize) {
        let (before, after) = self.layers.split_at_mut(index);
        let layer = &mut after[0];
        if let Some(deeper) = before.last_mut() {
            let back = Shape {
                rows: count,
                columns: layer.inputs,
                inner: layer.outputs,
            };
            let (a, b) = (
                Strided(&layer.gradient, layer.outputs, 1),
                Strided(&layer.weights, layer.inputs, 1),
            );
            (self.product)(back, 1.0, a, b, 0.0, &mut deeper.gradient);
            for (gradient, &value) in deeper.gradient.iter_mut().zip(&deeper.values) {
                *gradient = if value > 0.0 { *gradient } else { 0.0 };
            }
        }
        let input = before.last().map_or(&self.batch, |layer| &layer.values);
        let shape = Shape {
            rows: layer.outputs,
            columns: layer.inputs,
            inner: count,
        };
        let (a, b) = (
            Strided(&layer.gradient, 1, layer.outputs),
            Strided(input, layer.inputs, 1),
        );
        let rate = self.rate / count as f32;
        let rows = layer.gradient.chunks_exact(layer.outputs).take(count);
        if layer.velocities.0.is_empty() {
            // In place: the gradient is not stored, as in fixed point.
            (self.product)(shape, -rate, a, b, 1.0, &mut layer.weights);
            for row in rows {
                for (bias, gradient) in layer.biases.iter_mut().zip(row) {
                    *bias -= rate * gradient;
                }
            }
            return;
        }
        let (weights, biases) = (&mut layer.velocities.0, &mut layer.velocities.1);
        (self.product)(shape, rate, a, b, self.momentum, weights);
        biases.iter_mut().for_each(|v| *v *= self.momentum);
        for row in rows {
            for (velocity, gradient) in biases.iter_mut().zip(row) {
                *velocity += rate * gradient;
            }
        }
        for (values, velocities) in [(&mut layer.weights, weights), (&mut layer.biases, biases)] {
            for (value, velocity) in values.iter_mut().zip(velocities) {
                *value -= *velocity;
            }
        }
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
        let layers = self.layers.iter();
        layers.flat_map(|layer| layer.weights.iter().chain(&layer.biases).copied())
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

    const MODELS: [&str; 3] = ["logistic:64-10", "mlp:64-32-10", "mlp:64-32-16-10"];

    fn rule(momentum: u16) -> TrainSpec {
        TrainSpec {
            epochs: 1,
            batch: 32,
            learning_rate: 1 << 10,
            momentum,
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
    fn a_regressor_has_no_twin() {
        let start = Model::initial("linear:6-2".parse().unwrap(), [1; 32]).unwrap();
        assert!(Twin::new(&start, &rule(0), by_loops).is_none());
    }
}
