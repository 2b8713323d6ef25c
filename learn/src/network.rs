//! The forward pass that training and evaluation share.

use crate::backend::{Kernels, LANES, ROWS};
use crate::convolution::{Convolution, sums_len};
use crate::data::Dataset;
use crate::fixed::ACTIVATION_EXPONENT_MAX;
use crate::layer::{Layer, Sums, Width};
use crate::matrix::Matrix;
use crate::spec::ModelSpec;
use alloc::vec;
use alloc::vec::Vec;

/// Buffers of a network for batches of at most `rows` samples. Nothing is allocated after this.
pub(crate) struct Network {
    pub(crate) kernels: &'static dyn Kernels,
    pub(crate) layers: Vec<Layer>,
    /// Of the first layers.
    pub(crate) convolutions: Vec<Convolution>,
    /// Input of each layer: the samples, then the hidden activations.
    pub(crate) inputs: Vec<Matrix>,
    pub(crate) sums: Sums,
    /// A row of outputs for each sample.
    logits: Vec<i64>,
    /// For a row of the widest layer.
    pub(crate) start: Vec<i32>,
}

impl Network {
    pub(crate) fn new(spec: &ModelSpec, rows: usize, kernels: &'static dyn Kernels) -> Self {
        let layers: Vec<Layer> = spec.layers().into_iter().map(Layer::new).collect();
        let shapes: Vec<_> = spec.convolutions().collect();
        let widest = layers.iter().map(Layer::width).max().unwrap_or(0);
        let sums = |(index, layer): (usize, &Layer)| {
            let carries_back = index > 0;
            if let Some(shape) = shapes.get(index) {
                return sums_len(shape, layer, carries_back);
            }
            let back = if carries_back {
                layer.backward_width()
            } else {
                0
            };
            rows.max(ROWS) * layer.width().max(back)
        };
        let sums = layers.iter().enumerate().map(sums).max().unwrap_or(0);
        let input = |(index, layer): (usize, &Layer)| {
            let convolution = shapes.get(index);
            Matrix::zeroed(
                rows,
                convolution.map_or(layer.shape.inputs, |shape| shape.before.features()),
            )
        };
        Self {
            kernels,
            inputs: layers.iter().enumerate().map(input).collect(),
            sums: Sums::zeroed(sums),
            logits: vec![0; rows * spec.outputs()],
            start: vec![0; widest],
            convolutions: shapes
                .into_iter()
                .map(|shape| Convolution::new(shape, rows))
                .collect(),
            layers,
        }
    }

    /// Narrows and packs the weights of every layer.
    pub(crate) fn load_weights(&mut self, weights: &[i32]) {
        for layer in &mut self.layers {
            layer.load(&weights[layer.shape.weights()]);
        }
    }

    /// Gathers and narrows samples: the batch has one shared exponent.
    pub(crate) fn load_samples(
        &mut self,
        data: &Dataset,
        batch: impl ExactSizeIterator<Item = usize>,
    ) {
        let (input, rows) = (&mut self.inputs[0], batch.len());
        let mut magnitudes = 0;
        for (row, sample) in batch.enumerate() {
            input.row_mut(row).copy_from_slice(data.row(sample));
            magnitudes |= data.magnitudes(sample);
        }
        let exponent = data.exponent().into();
        input.narrow_in_place(magnitudes, rows, exponent, ACTIVATION_EXPONENT_MAX);
    }

    /// Computes the sums of the last layer for the loaded samples, its logits: where they are, and their exponent. `biases` gives
    /// those of a layer; `change` may change the input of a layer after the first before it is used.
    pub(crate) fn forward<'a>(
        &mut self,
        rows: usize,
        biases: impl Fn(&Layer, usize) -> &'a [i32],
        change: impl Fn(usize, &mut Matrix),
    ) -> (Width, i32) {
        let last = self.layers.len() - 1;
        let mut result = (Width::Narrow, 0);
        for (index, layer) in self.layers.iter().enumerate() {
            let (before, after) = self.inputs.split_at_mut(index + 1);
            let (input, biases) = (&before[index], biases(layer, index));
            let sums = &mut self.sums;
            if let Some(convolution) = self.convolutions.get_mut(index) {
                convolution.forward(
                    (self.kernels, layer),
                    (input, &mut after[0]),
                    rows,
                    biases,
                    (&mut self.start, sums),
                );
                change(index + 1, &mut after[0]);
                continue;
            }
            let (width, of_sums) =
                layer.forward(self.kernels, input, rows, biases, &mut self.start, sums);
            let exponent = of_sums;
            result = (width, exponent);
            let columns = layer.width();
            let used = rows * columns;
            if index < last {
                let after = &mut after[0];
                match width {
                    Width::Narrow => {
                        let sums = &mut sums.narrow[..used];
                        let magnitudes = self.kernels.rectify(sums);
                        let sums = (&*sums, magnitudes);
                        after.narrow(self.kernels, sums, rows, exponent, ACTIVATION_EXPONENT_MAX);
                    }
                    Width::Wide => {
                        let sums = &mut sums.wide[..used];
                        sums.iter_mut().for_each(|sum| *sum = (*sum).max(0));
                        after.narrow_wide((sums, columns), rows, exponent, ACTIVATION_EXPONENT_MAX);
                    }
                }
                change(index + 1, after);
            }
        }
        result
    }

    /// The logits that [`Network::forward`] has left, row by row without the panels' ends.
    pub(crate) fn logits(&mut self, rows: usize, width: Width) -> &[i64] {
        let Some(last) = self.layers.last() else {
            return &[];
        };
        let (outputs, columns) = (last.shape.outputs, last.width());
        for (row, logits) in self.logits.chunks_exact_mut(outputs).take(rows).enumerate() {
            let places = row * columns..row * columns + outputs;
            match width {
                Width::Narrow => {
                    for (logit, &sum) in logits.iter_mut().zip(&self.sums.narrow[places]) {
                        *logit = sum.into();
                    }
                }
                Width::Wide => logits.copy_from_slice(&self.sums.wide[places]),
            }
        }
        &self.logits[..rows * outputs]
    }
}

const _: () = assert!(LANES.is_multiple_of(ROWS));
