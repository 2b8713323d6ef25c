//! The baselines of training: the same network, batches and steps in f32, with the products of the crates `matrixmultiply` and
//! `gemm`. The order of the samples costs nothing. Then once more as one writes it with candle.

use super::product::{Product, Shape, Strided};
use super::twin::{Samples, Twin};
use crate::products::{by_gemm, by_gemm_avx2, by_matrixmultiply, by_matrixmultiply_avx2};
use crate::train::{Failure, Train};
use candle_core::{Device, Tensor, Var};
use candle_nn::{Optimizer, SGD};
use dawn_learn::{Dataset, Model, TrainSpec};
use std::hint::black_box;
use std::rc::Rc;

/// Adds the baselines to what is measured.
pub(crate) fn ways<'a>(
    model: &'a Model,
    sizes: &[usize],
    data: &'a Dataset,
    rule: TrainSpec,
    ways: &mut Vec<(&'static str, Train<'a>)>,
) -> Result<(), Failure> {
    let samples = Rc::new(Samples::new(data));
    for (name, product) in [
        ("matrixmultiply", by_matrixmultiply as Product),
        ("gemm", by_gemm),
        ("matrixmultiply held to AVX2", by_matrixmultiply_avx2),
        ("gemm held to AVX2", by_gemm_avx2),
    ] {
        let twin = Twin::new(model, &rule, product);
        let mut twin = twin.ok_or("only classifiers are measured beside f32")?;
        let samples = Rc::clone(&samples);
        let (count, batch) = (data.len(), usize::from(rule.batch));
        let train = move |epochs| {
            for _ in 0..epochs {
                for first in (0..count).step_by(batch) {
                    // An odd step through the samples: another order than that in memory, which costs nothing to find.
                    let places = first..count.min(first + batch);
                    let rows = places.map(move |place| place * 701 % count);
                    twin.step(&samples, data.labels(), rows);
                }
            }
            black_box(&twin);
            Ok(())
        };
        ways.push((name, Box::new(train)));
    }
    // One thread for candle too, which would take all.
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build()?;
    let candle = Candle::new(model, sizes, data, samples.values(), rule)?;
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

fn rate(rule: TrainSpec) -> f64 {
    f64::from(rule.learning_rate) / 65536.0
}

/// The parts of a model's dense layers: weights, biases, inputs, outputs.
fn layers(model: &Model, sizes: &[usize]) -> Vec<(Vec<f32>, Vec<f32>, usize, usize)> {
    let mut parameters = model.weights().iter().map(|&w| w as f32 / (1 << 24) as f32);
    let mut take = |count: usize| parameters.by_ref().take(count).collect();
    sizes
        .windows(2)
        .map(|pair| (take(pair[0] * pair[1]), take(pair[1]), pair[0], pair[1]))
        .collect()
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
