//! The baselines of training: the same network, batches and steps in f32, with the products of the crates `matrixmultiply` and
//! `gemm`. The step `W = W - rate * G^T X` is one product, in place, so that the gradient is not stored here either; and the
//! order of the samples costs nothing. Then once more as one writes it with candle.

use crate::products::{Product, Shape, Strided, by_gemm, by_matrixmultiply};
use crate::train::{Failure, Train};
use candle_core::{Device, Tensor, Var};
use candle_nn::{Optimizer, SGD};
use dawn_learn::{Dataset, Model, TrainSpec};
use std::hint::black_box;

/// Adds the baselines to what is measured.
pub(crate) fn ways<'a>(
    model: &'a Model,
    sizes: &[usize],
    data: &'a Dataset,
    rule: TrainSpec,
    ways: &mut Vec<(&'static str, Train<'a>)>,
) -> Result<(), Failure> {
    let samples: Vec<f32> = (0..data.len())
        .flat_map(|row| {
            data.row(row)
                .iter()
                .map(|&x| f32::from(x) / f32::from(1u16 << data.exponent()))
        })
        .collect();
    for (name, product) in [
        ("matrixmultiply", by_matrixmultiply as Product),
        ("gemm", by_gemm),
    ] {
        let mut twin = Twin::new(model, sizes, rule, product);
        let samples = samples.clone();
        let train = move |epochs| {
            for _ in 0..epochs {
                twin.epoch(&samples, data.labels());
            }
            black_box(&twin.layers);
            Ok(())
        };
        ways.push((name, Box::new(train)));
    }
    // One thread for candle too, which would take all.
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build()?;
    let candle = Candle::new(model, sizes, data, &samples, rule)?;
    let train = move |epochs| {
        pool.install(|| (0..epochs).try_for_each(|_| candle.epoch()))
            .map_err(Failure::from)
    };
    ways.push(("candle", Box::new(train)));
    Ok(())
}

/// The same product of both crates, for the table of shapes.
pub(crate) fn products((rows, columns, inner): (usize, usize, usize)) -> Vec<Box<dyn FnMut()>> {
    let shape = Shape {
        rows,
        columns,
        inner,
    };
    [by_matrixmultiply as Product, by_gemm]
        .into_iter()
        .map(|product| -> Box<dyn FnMut()> {
            let (a, b) = (vec![0.5; rows * inner], vec![0.25; columns * inner]);
            let mut c = vec![0.0; rows * columns];
            // Weights lie output by output: the right operand is by columns.
            Box::new(move || {
                product(
                    shape,
                    1.0,
                    Strided(&a, inner, 1),
                    Strided(&b, 1, inner),
                    0.0,
                    &mut c,
                );
                black_box(&c);
            })
        })
        .collect()
}

/// A dense layer in f32.
struct Layer {
    inputs: usize,
    outputs: usize,
    weights: Vec<f32>,
    biases: Vec<f32>,
    /// Outputs of the batch, and the gradient by them.
    values: Vec<f32>,
    gradient: Vec<f32>,
}

struct Twin {
    layers: Vec<Layer>,
    samples: Vec<f32>,
    batch: usize,
    rate: f32,
    product: Product,
}

/// The parts of a model's layers: weights, biases, inputs, outputs.
fn layers(model: &Model, sizes: &[usize]) -> Vec<(Vec<f32>, Vec<f32>, usize, usize)> {
    let mut parameters = model.weights().iter().map(|&w| w as f32 / (1 << 24) as f32);
    let mut take = |count: usize| parameters.by_ref().take(count).collect();
    sizes
        .windows(2)
        .map(|pair| (take(pair[0] * pair[1]), take(pair[1]), pair[0], pair[1]))
        .collect()
}

fn rate(rule: TrainSpec) -> f64 {
    f64::from(rule.learning_rate) / 65536.0
}

impl Twin {
    fn new(model: &Model, sizes: &[usize], rule: TrainSpec, product: Product) -> Self {
        let batch = usize::from(rule.batch);
        let layer = |(weights, biases, inputs, outputs)| Layer {
            inputs,
            outputs,
            weights,
            biases,
            values: vec![0.0; batch * outputs],
            gradient: vec![0.0; batch * outputs],
        };
        Self {
            layers: layers(model, sizes).into_iter().map(layer).collect(),
            samples: vec![0.0; batch * sizes.first().copied().unwrap_or(0)],
            batch,
            rate: rate(rule) as f32,
            product,
        }
    }

    fn epoch(&mut self, samples: &[f32], labels: &[u8]) {
        let inputs = self.layers.first().map_or(1, |layer| layer.inputs);
        let count = labels.len();
        let mut rows = Vec::with_capacity(self.batch);
        for first in (0..count).step_by(self.batch) {
            rows.clear();
            // An odd step through the samples: another order than that in memory.
            rows.extend((first..count.min(first + self.batch)).map(|place| place * 701 % count));
            for (to, &row) in self.samples.chunks_exact_mut(inputs).zip(&rows) {
                to.copy_from_slice(&samples[row * inputs..][..inputs]);
            }
            self.step(&rows, labels);
        }
    }

    fn step(&mut self, rows: &[usize], labels: &[u8]) {
        let (count, last) = (rows.len(), self.layers.len() - 1);
        for index in 0..=last {
            let (before, after) = self.layers.split_at_mut(index);
            let input = before.last().map_or(&self.samples, |layer| &layer.values);
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
                layer
                    .values
                    .iter_mut()
                    .for_each(|value| *value = value.max(0.0));
            } else {
                let rows = layer.values.chunks_exact(layer.outputs).zip(rows);
                for ((logits, &row), out) in
                    rows.zip(layer.gradient.chunks_exact_mut(layer.outputs))
                {
                    softmax(logits, labels[row].into(), out);
                }
            }
        }
        let rate = self.rate / count as f32;
        for index in (0..=last).rev() {
            let (before, after) = self.layers.split_at_mut(index);
            let layer = &mut after[0];
            let shape = Shape {
                rows: layer.outputs,
                columns: layer.inputs,
                inner: count,
            };
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
            let input = before.last().map_or(&self.samples, |layer| &layer.values);
            let (a, b) = (
                Strided(&layer.gradient, 1, layer.outputs),
                Strided(input, layer.inputs, 1),
            );
            (self.product)(shape, -rate, a, b, 1.0, &mut layer.weights);
            for row in layer.gradient.chunks_exact(layer.outputs).take(count) {
                for (bias, gradient) in layer.biases.iter_mut().zip(row) {
                    *bias -= rate * gradient;
                }
            }
        }
    }
}

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

/// The same with candle's tensors, its differentiation and its optimiser.
struct Candle {
    layers: Vec<(Var, Var)>,
    samples: Tensor,
    labels: Tensor,
    batch: usize,
    rate: f64,
}

impl Candle {
    fn new(
        model: &Model,
        sizes: &[usize],
        data: &Dataset,
        samples: &[f32],
        rule: TrainSpec,
    ) -> candle_core::Result<Self> {
        let device = &Device::Cpu;
        let mut all = Vec::new();
        for (weights, biases, inputs, outputs) in layers(model, sizes) {
            let weights = Tensor::from_vec(weights, (outputs, inputs), device)?;
            let biases = Tensor::from_vec(biases, outputs, device)?;
            all.push((Var::from_tensor(&weights)?, Var::from_tensor(&biases)?));
        }
        let labels: Vec<u32> = data.labels().iter().map(|&label| label.into()).collect();
        Ok(Self {
            layers: all,
            samples: Tensor::from_slice(samples, (data.len(), data.inputs()), device)?,
            labels: Tensor::from_vec(labels, data.len(), device)?,
            batch: rule.batch.into(),
            rate: rate(rule),
        })
    }

    fn epoch(&self) -> candle_core::Result<()> {
        let variables = self
            .layers
            .iter()
            .flat_map(|(w, b)| [w.clone(), b.clone()])
            .collect();
        let mut descent = SGD::new(variables, self.rate)?;
        let count = self.labels.dim(0)?;
        for first in (0..count).step_by(self.batch) {
            let size = self.batch.min(count - first);
            let mut values = self.samples.narrow(0, first, size)?;
            for (index, (weights, biases)) in self.layers.iter().enumerate() {
                values = values.matmul(&weights.t()?)?.broadcast_add(biases)?;
                if index + 1 < self.layers.len() {
                    values = values.relu()?;
                }
            }
            let labels = self.labels.narrow(0, first, size)?;
            descent.backward_step(&candle_nn::loss::cross_entropy(&values, &labels)?)?;
        }
        Ok(())
    }
}
