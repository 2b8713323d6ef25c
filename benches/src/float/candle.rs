//! The same network as one writes it with candle: its tensors, its differentiation, its optimiser.

use crate::train::Part;
use candle_core::{Device, Result, Tensor, Var};
use candle_nn::{Optimizer, SGD};
use dawn_learn::{Dataset, Model, TrainSpec};

/// A classifier with its samples. Images and what follows from them lie channel by channel, as candle has them, and not pixel by
/// pixel: the samples and the initial weights are turned beforehand.
pub(super) struct Candle {
    layers: Vec<Layer>,
    samples: Tensor,
    labels: Tensor,
    batch: usize,
    rate: f64,
}

enum Layer {
    Convolution { kernels: Var, biases: Var },
    Dense { weights: Var, biases: Var },
}

/// Rows of pixels to rows of channels: `(n, height, width, channels)` to `(n, channels, height, width)`.
fn by_channels(rows: &Tensor, (height, width, channels): (usize, usize, usize)) -> Result<Tensor> {
    let pixels = rows.reshape(((), height, width, channels))?;
    pixels.permute((0, 3, 1, 2))?.contiguous()
}

impl Candle {
    pub(super) fn new(
        model: &Model,
        parts: &[Part],
        data: &Dataset,
        samples: &[f32],
        rule: TrainSpec,
    ) -> Result<Self> {
        let device = &Device::Cpu;
        let mut parameters = model.weights().iter().map(|&w| w as f32 / (1 << 24) as f32);
        let mut take = |rows: usize, columns: usize| {
            let values: Vec<f32> = parameters.by_ref().take(rows * columns).collect();
            Tensor::from_vec(values, (rows, columns), device)
        };
        let mut samples = Tensor::from_slice(samples, (data.len(), data.inputs()), device)?;
        let mut layers = Vec::new();
        // The image that the next dense layer reads.
        let mut image = None;
        for &part in parts {
            layers.push(match part {
                Part::Convolution { before, by } => {
                    let [height, width, channels, kernel, outputs] = [
                        before.height,
                        before.width,
                        before.channels,
                        by.kernel,
                        by.channels,
                    ]
                    .map(|size| size as usize);
                    if layers.is_empty() {
                        samples = by_channels(&samples, (height, width, channels))?;
                    }
                    let half = |side: usize| (side + 1 - kernel) / 2;
                    image = Some((half(height), half(width), outputs));
                    let kernels = take(outputs, kernel * kernel * channels)?;
                    Layer::Convolution {
                        kernels: Var::from_tensor(&by_channels(
                            &kernels,
                            (kernel, kernel, channels),
                        )?)?,
                        biases: Var::from_tensor(&take(1, outputs)?.reshape((1, outputs, 1, 1))?)?,
                    }
                }
                Part::Dense { inputs, outputs } => {
                    let mut weights = take(outputs, inputs)?;
                    if let Some(image) = image.take() {
                        weights = by_channels(&weights, image)?.flatten_from(1)?;
                    }
                    Layer::Dense {
                        weights: Var::from_tensor(&weights)?,
                        biases: Var::from_tensor(&take(1, outputs)?)?,
                    }
                }
            });
        }
        let labels: Vec<u32> = data.labels().iter().map(|&label| label.into()).collect();
        Ok(Self {
            layers,
            samples,
            labels: Tensor::from_vec(labels, data.len(), device)?,
            batch: rule.batch.into(),
            rate: f64::from(rule.learning_rate) / 65536.0,
        })
    }

    /// All samples once, in their order.
    pub(super) fn epoch(&self) -> Result<()> {
        let variables = self.layers.iter().flat_map(|layer| match layer {
            Layer::Convolution { kernels, biases } => [kernels.clone(), biases.clone()],
            Layer::Dense { weights, biases } => [weights.clone(), biases.clone()],
        });
        let mut descent = SGD::new(variables.collect(), self.rate)?;
        let count = self.labels.dim(0)?;
        for first in (0..count).step_by(self.batch) {
            let size = self.batch.min(count - first);
            let logits = self.logits(&self.samples.narrow(0, first, size)?)?;
            let labels = self.labels.narrow(0, first, size)?;
            descent.backward_step(&candle_nn::loss::cross_entropy(&logits, &labels)?)?;
        }
        Ok(())
    }

    fn logits(&self, samples: &Tensor) -> Result<Tensor> {
        let mut values = samples.clone();
        for (index, layer) in self.layers.iter().enumerate() {
            values = match layer {
                Layer::Convolution { kernels, biases } => {
                    let sums = values.conv2d(kernels, 0, 1, 1, 1)?;
                    sums.broadcast_add(biases)?.max_pool2d(2)?
                }
                Layer::Dense { weights, biases } => {
                    let rows = values.flatten_from(1)?;
                    rows.matmul(&weights.t()?)?.broadcast_add(biases)?
                }
            };
            if index + 1 < self.layers.len() {
                values = values.relu()?;
            }
        }
        Ok(values)
    }
}

#[cfg(test)]
mod tests {
    use super::super::product::by_loops;
    use super::super::twin::{Samples, Twin};
    use super::*;
    use dawn_learn::data::digits;

    /// Before an epoch both are the same network; after it both have learned the same. The latter of dense layers only: of a maximum
    /// in a square of four candle 0.9 hands back a quarter of the gradient (it multiplies by the share of maxima, and does not
    /// divide). The operations are those that it takes.
    #[test]
    fn it_is_the_network_that_the_others_train() {
        let data = digits().unwrap().train;
        let samples = Samples::new(&data);
        let rule = TrainSpec {
            epochs: 1,
            batch: 32,
            learning_rate: 1 << 10,
            momentum: 0,
            dropout: None,
            rounding: None,
        };
        for model in [
            "logistic:64-10",
            "mlp:64-32-10",
            "cnn:8x8x1-8k3-32-10",
            "cnn:8x8x1-4k2-8k2-10",
        ] {
            let start = Model::initial(model.parse().unwrap(), [1; 32]).unwrap();
            let parts = crate::train::parts(&start.spec()).unwrap();
            let candle = Candle::new(&start, &parts, &data, samples.values(), rule).unwrap();
            let mut twin = Twin::new(&start, &rule, by_loops).unwrap();
            let apart = |twin: &mut Twin| {
                let found = candle.logits(&candle.samples).unwrap().to_vec2().unwrap();
                let all = found
                    .iter()
                    .enumerate()
                    .flat_map(|(place, found): (_, &Vec<f32>)| {
                        let expected = twin.logits(&samples, place);
                        let pairs = found.iter().zip(expected);
                        pairs.map(|(a, b)| (a - b).abs()).collect::<Vec<_>>()
                    });
                all.fold(0.0, f32::max)
            };
            assert!(apart(&mut twin) < 1e-5, "{model}: {}", apart(&mut twin));
            if model.starts_with("cnn") {
                continue;
            }
            candle.epoch().unwrap();
            let moved = apart(&mut twin);
            let places: Vec<usize> = (0..data.len()).collect();
            for batch in places.chunks(32) {
                twin.step(&samples, data.labels(), batch.iter().copied());
            }
            assert!(
                100.0 * apart(&mut twin) < moved,
                "{model}: {} of {moved}",
                apart(&mut twin)
            );
        }
    }
}
