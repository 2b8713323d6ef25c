//! The forward pass that training and evaluation share.

use crate::data::Dataset;
use crate::fixed::{ACTIVATION_EXPONENT_MAX, MASTER_FRACTION_BITS, Tensor, scale};
use crate::kernels::{Backend, Kernels, Shape};
use crate::spec::{LayerShape, ModelSpec};

/// Bound of an aligned bias; accumulators are below 2^40, so that both together stay below 2^57.
const BIAS_LIMIT: i64 = 1 << 56;

/// Buffers of a network for batches of at most `rows` samples. Nothing is allocated after this.
pub(crate) struct Network {
    pub(crate) kernels: &'static dyn Kernels,
    pub(crate) layers: Vec<LayerShape>,
    /// Narrowed weights of each layer.
    pub(crate) weights: Vec<Tensor>,
    /// Input of each layer: the samples, then the hidden activations.
    pub(crate) inputs: Vec<Tensor>,
    /// Sums of the layer that was computed last; after `forward` the logits.
    pub(crate) sums: Vec<i64>,
    samples: Vec<i16>,
}

impl Network {
    pub(crate) fn new(spec: &ModelSpec, rows: usize, backend: Backend) -> Self {
        let layers = spec.layers();
        let widest = layers.iter().map(|layer| layer.outputs).max().unwrap_or(0);
        Self {
            kernels: backend.kernels(),
            weights: layers
                .iter()
                .map(|layer| Tensor::zeroed(layer.inputs * layer.outputs))
                .collect(),
            inputs: layers
                .iter()
                .map(|layer| Tensor::zeroed(rows * layer.inputs))
                .collect(),
            sums: vec![0; rows * widest],
            samples: vec![0; rows * spec.inputs()],
            layers,
        }
    }

    /// Narrows the master weights of every layer.
    pub(crate) fn load_weights(&mut self, master: &[i32]) {
        for (layer, weights) in self.layers.iter().zip(&mut self.weights) {
            weights.narrow(
                &master[layer.weights()],
                MASTER_FRACTION_BITS as i32,
                ACTIVATION_EXPONENT_MAX,
            );
        }
    }

    /// Gathers and narrows samples: the batch has one shared exponent.
    pub(crate) fn load_samples(
        &mut self,
        data: &Dataset,
        batch: impl ExactSizeIterator<Item = usize>,
    ) {
        let width = data.inputs();
        let used = batch.len() * width;
        for (row, sample) in self.samples.chunks_exact_mut(width).zip(batch) {
            row.copy_from_slice(data.row(sample));
        }
        self.inputs[0].narrow(
            &self.samples[..used],
            i32::from(data.exponent()),
            ACTIVATION_EXPONENT_MAX,
        );
    }

    /// Computes the logits of the loaded samples into `sums`; returns their exponent.
    pub(crate) fn forward(&mut self, master: &[i32], rows: usize) -> i32 {
        let last = self.layers.len() - 1;
        let mut exponent = 0;
        for (index, layer) in self.layers.iter().enumerate() {
            let (before, after) = self.inputs.split_at_mut(index + 1);
            let (input, weights) = (&before[index], &self.weights[index]);
            let shape = Shape {
                rows,
                columns: layer.outputs,
                inner: layer.inputs,
            };
            let sums = &mut self.sums[..rows * layer.outputs];
            self.kernels
                .forward(shape, &input.mantissas, &weights.mantissas, sums);
            exponent = input.exponent + weights.exponent;
            let rectify = index != last;
            for row in sums.chunks_exact_mut(layer.outputs) {
                for (sum, &bias) in row.iter_mut().zip(&master[layer.biases()]) {
                    *sum += scale(
                        i64::from(bias),
                        exponent - MASTER_FRACTION_BITS as i32,
                        BIAS_LIMIT,
                    );
                    if rectify {
                        *sum = (*sum).max(0);
                    }
                }
            }
            if rectify {
                after[0].narrow(sums, exponent, ACTIVATION_EXPONENT_MAX);
            }
        }
        exponent
    }
}
