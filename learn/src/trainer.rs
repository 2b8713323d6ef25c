//! Steps of training. Everything is allocated before the first one.
//!
//! During a training the weights of a layer are kept transposed, inputs by outputs, so that a tile of their gradient has the
//! lanes of the mantissas that the next forward pass reads: gradient, step and new mantissas are one pass over the weights.
//! The new mantissas are taken with the shift of the old ones, and once more in the rare case that the largest weight has
//! gained or lost a bit.

use crate::backend::{Descent, Kernels, LANES, PANEL, Parameters, Portable, Product, ROWS};
use crate::data::Dataset;
use crate::fixed::{GRADIENT_EXPONENT_MAX, to_master};
use crate::layer::{Layer, Width, wide_product};
use crate::matrix::Matrix;
use crate::model::Model;
use crate::network::Network;
use crate::quantise::Delta;
use crate::randomness::index;
use crate::rate::{Rate, STEP_TO_MASTER, Step};
use crate::softmax;
use crate::squared;
use crate::train::TrainSpec;

/// Master weights and velocities of a layer, and the buffers of its gradients.
struct Learning {
    /// Inputs by outputs, whole eights by whole panels.
    master: Vec<i32>,
    biases: Vec<i32>,
    /// Empty without momentum.
    velocity: Vec<i32>,
    bias_velocity: Vec<i32>,
    /// Bits of the largest velocity of a weight.
    velocity_bits: u32,
    /// By the layer's outputs.
    gradient: Matrix,
    /// The weights for the backward pass; empty in the first layer, which has none.
    transposed: Vec<i16>,
}

pub(crate) struct Trainer {
    network: Network,
    learning: Vec<Learning>,
    learning_rate: u32,
    momentum: u16,
    /// Inputs of a layer as left operand of the gradient, and gradients by its outputs as right operand.
    columns: Vec<i16>,
    panels: Vec<i16>,
    /// Gradient of the logits, and what the softmax keeps for each row.
    wide: Vec<i64>,
    totals: Vec<softmax::Total>,
}

impl Trainer {
    /// For batches of at most `rows` samples.
    pub(crate) fn new(
        model: &Model,
        rows: usize,
        spec: &TrainSpec,
        kernels: &'static dyn Kernels,
    ) -> Self {
        let mut network = Network::new(&model.spec(), rows, kernels);
        network.load_weights(model.weights());
        let moving = spec.momentum != 0;
        let learning: Vec<Learning> = network
            .layers
            .iter()
            .enumerate()
            .map(|(index, layer)| Learning::new(layer, model.weights(), rows, moving, index > 0))
            .collect();
        let most = |size: fn(&Layer) -> usize| network.layers.iter().map(size).max().unwrap_or(0);
        let pairs = rows.div_ceil(2);
        Self {
            columns: vec![0; most(|layer| layer.blocks) * pairs * 2 * ROWS],
            panels: vec![0; most(|layer| layer.panels) * pairs * PANEL],
            wide: vec![0; rows * model.spec().outputs()],
            totals: vec![softmax::Total::default(); rows],
            learning_rate: spec.learning_rate,
            momentum: spec.momentum,
            learning,
            network,
        }
    }

    /// One step on one batch, a part of a permutation.
    pub(crate) fn step(&mut self, data: &Dataset, batch: &[u64]) {
        let rows = batch.len();
        self.network
            .load_samples(data, batch.iter().map(|&entry| index(entry)));
        let learning = &self.learning;
        let biases = |layer: &Layer, index: usize| &learning[index].biases[..layer.shape.outputs];
        let exponent = self.network.forward(rows, biases);
        self.gradient_of_outputs(data, batch, exponent);
        let rate = Rate::new(self.learning_rate, rows);
        for index in (0..self.learning.len()).rev() {
            if index > 0 {
                self.gradient_of_inputs(index, rows);
            }
            self.descend(index, rows, rate);
            self.descend_biases(index, rows, rate);
        }
    }

    /// The loss by the outputs: the cross-entropy of labels, or half the squared error of targets.
    fn gradient_of_outputs(&mut self, data: &Dataset, batch: &[u64], exponent: i32) {
        let Some(last) = self.learning.last_mut() else {
            return;
        };
        let outputs = last.gradient.width;
        let used = batch.len() * outputs;
        let (logits, wide) = (&self.network.logits[..used], &mut self.wide[..used]);
        let samples = batch.iter().map(|&entry| index(entry));
        if let Some(targets) = data.targets() {
            let rows = samples.flat_map(|sample| targets.row(sample));
            for ((out, &output), &target) in wide.iter_mut().zip(logits).zip(rows) {
                let target = (target, targets.exponent());
                *out = squared::residual((output, exponent), target);
            }
        } else {
            let labels = samples.map(|sample| data.labels()[sample].into());
            softmax::gradient(logits, exponent, labels, &mut self.totals, wide);
        }
        last.gradient.narrow_wide(
            (&self.wide, outputs),
            batch.len(),
            softmax::PROBABILITY_BITS as i32,
            GRADIENT_EXPONENT_MAX,
        );
    }

    /// Carries the gradient back through the weights that the forward pass used, and through the rectifier: where the
    /// narrowed activation is zero, the gradient is zero.
    fn gradient_of_inputs(&mut self, index: usize, rows: usize) {
        let Network {
            kernels,
            layers,
            inputs,
            sums,
            ..
        } = &mut self.network;
        let (layer, activations) = (&layers[index], &inputs[index]);
        let (before, after) = self.learning.split_at_mut(index);
        let (deeper, here) = (&mut before[index - 1].gradient, &mut after[0]);
        layer.transpose(&mut here.transposed);
        let (width, exponent) =
            layer.backward(*kernels, &here.gradient, rows, &here.transposed, sums);
        let columns = layer.backward_width();
        let activations = activations.mantissas.chunks_exact(activations.stride);
        match width {
            Width::Narrow => {
                let sums = &mut sums.narrow[..rows * columns];
                let mut magnitudes = 0;
                for (sums, activations) in sums.chunks_exact_mut(columns).zip(activations) {
                    magnitudes |= kernels.gate(sums, activations);
                }
                deeper.narrow(
                    *kernels,
                    (sums, magnitudes),
                    rows,
                    exponent,
                    GRADIENT_EXPONENT_MAX,
                );
            }
            Width::Wide => {
                let sums = &mut sums.wide[..rows * columns];
                for (sums, activations) in sums.chunks_exact_mut(columns).zip(activations) {
                    for (sum, &activation) in sums.iter_mut().zip(activations) {
                        if activation == 0 {
                            *sum = 0;
                        }
                    }
                }
                deeper.narrow_wide((sums, columns), rows, exponent, GRADIENT_EXPONENT_MAX);
            }
        }
    }

    /// The step of a layer's weights, and their new mantissas.
    fn descend(&mut self, index: usize, rows: usize, rate: Rate) {
        let layer = &mut self.network.layers[index];
        let (input, learning) = (&self.network.inputs[index], &mut self.learning[index]);
        let gradient = &learning.gradient;
        input.interleave(rows, &mut self.columns);
        gradient.panels(rows, &mut self.panels);
        let step = rate.at(gradient.exponent + input.exponent);
        let largest = rows as u64 * u64::from(gradient.largest) * u64::from(input.largest);
        let bits = (layer.bits, learning.velocity_bits);
        let magnitudes = if let Some(scales) = step.fast(largest, self.momentum, bits) {
            let shift = layer.rescale(layer.bits);
            let descent = Descent {
                inputs: &self.columns,
                blocks: layer.blocks,
                gradients: &self.panels,
                panels: layer.panels,
                pairs: rows.div_ceil(2),
                step: scales.step,
                momentum: scales.momentum,
                velocity_shift: STEP_TO_MASTER,
                shift,
            };
            let mut parameters = Parameters {
                master: &mut learning.master,
                velocity: &mut learning.velocity,
                packed: &mut layer.packed,
            };
            let magnitudes = self.network.kernels.descend(&descent, &mut parameters);
            let new_shift = layer.rescale(u32::BITS - magnitudes.weights.leading_zeros());
            if new_shift != shift {
                let width = layer.width();
                self.network
                    .kernels
                    .pack(&learning.master, width, new_shift, &mut layer.packed);
            }
            magnitudes.velocities
        } else {
            self.descend_wide(index, rows, step)
        };
        self.learning[index].velocity_bits = u32::BITS - magnitudes.leading_zeros();
    }

    /// The same where the fast way could overflow: in 64 bits, weight by weight. Returns the velocities' magnitudes, or-ed.
    fn descend_wide(&mut self, index: usize, rows: usize, step: Step) -> u32 {
        let Network {
            kernels,
            layers,
            sums,
            ..
        } = &mut self.network;
        let (layer, learning) = (&mut layers[index], &mut self.learning[index]);
        let (width, pairs) = (layer.width(), rows.div_ceil(2));
        let mut magnitudes = (0, 0);
        for block in 0..layer.blocks {
            let tile = ROWS * width;
            let product = Product {
                a: &self.columns[block * pairs * 2 * ROWS..],
                rows: ROWS,
                row_stride: 2,
                pair_stride: 2 * ROWS,
                b: &self.panels,
                panels: layer.panels,
                panel_stride: pairs * PANEL,
                pairs,
                start: &[],
            };
            wide_product(*kernels, &product, sums);
            let places = block * tile..(block + 1) * tile;
            let mut velocity = learning
                .velocity
                .get_mut(places.clone())
                .unwrap_or_default()
                .iter_mut();
            for (weight, &gradient) in learning.master[places].iter_mut().zip(&sums.wide) {
                let velocity = velocity.next();
                magnitudes.1 |= step.take(weight, gradient, self.momentum, velocity);
                magnitudes.0 |= weight.unsigned_abs();
            }
        }
        let bits = u32::BITS - magnitudes.0.leading_zeros();
        let shift = layer.rescale(bits);
        let kernels = if bits > 30 { &Portable } else { *kernels };
        kernels.pack(&learning.master, width, shift, &mut layer.packed);
        magnitudes.1
    }

    fn descend_biases(&mut self, index: usize, rows: usize, rate: Rate) {
        let learning = &mut self.learning[index];
        // At most 1024 mantissas: far below 2^31.
        let sums = &mut self.network.start[..learning.gradient.width];
        sums.fill(0);
        for row in 0..rows {
            for (sum, &mantissa) in sums.iter_mut().zip(learning.gradient.row(row)) {
                *sum += i32::from(mantissa);
            }
        }
        let step = rate.at(learning.gradient.exponent);
        let mut velocity = learning.bias_velocity.iter_mut();
        for (bias, &gradient) in learning.biases.iter_mut().zip(&*sums) {
            step.take(bias, gradient.into(), self.momentum, velocity.next());
        }
    }

    /// The difference to the weights that the training began with. What only steps need is freed first.
    pub(crate) fn finish(self, model: &Model) -> Delta {
        let shapes: Vec<_> = self
            .network
            .layers
            .iter()
            .map(|layer| layer.shape)
            .collect();
        drop(self.network);
        let mut after = Vec::with_capacity(self.learning.len());
        for learning in self.learning {
            after.push((learning.master, learning.biases));
        }
        let mut difference = Vec::with_capacity(model.weights().len());
        for (shape, (master, biases)) in shapes.into_iter().zip(after) {
            let width = shape.outputs.next_multiple_of(LANES);
            let before = &model.weights()[shape.weights()];
            let change = |after: i32, before: i32| to_master(i64::from(after) - i64::from(before));
            for (output, before) in before.chunks_exact(shape.inputs).enumerate() {
                let after = master[output..].iter().step_by(width);
                difference.extend(
                    after
                        .zip(before)
                        .map(|(&after, &before)| change(after, before)),
                );
            }
            let before = &model.weights()[shape.biases()];
            difference.extend(
                biases
                    .iter()
                    .zip(before)
                    .map(|(&after, &before)| change(after, before)),
            );
        }
        Delta::new(difference)
    }
}

impl Learning {
    fn new(layer: &Layer, weights: &[i32], rows: usize, moving: bool, carries_back: bool) -> Self {
        let (shape, width) = (layer.shape, layer.width());
        let mut master = vec![0; layer.blocks * ROWS * width];
        for (output, row) in weights[shape.weights()]
            .chunks_exact(shape.inputs)
            .enumerate()
        {
            for (weight, &value) in master[output..].iter_mut().step_by(width).zip(row) {
                *weight = value;
            }
        }
        let velocities = |len: usize| vec![0; if moving { len } else { 0 }];
        Self {
            velocity: velocities(master.len()),
            bias_velocity: velocities(shape.outputs),
            master,
            biases: weights[shape.biases()].to_vec(),
            velocity_bits: 0,
            gradient: Matrix::zeroed(rows, shape.outputs),
            transposed: vec![
                0;
                if carries_back {
                    layer.backward_width() * width
                } else {
                    0
                }
            ],
        }
    }
}
