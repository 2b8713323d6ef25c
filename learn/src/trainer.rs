//! Steps of training. Everything is allocated before the first one.
//!
//! During a training the weights of a layer are kept transposed, inputs by outputs, so that a tile of their gradient has the
//! lanes of the mantissas that the next forward pass reads: gradient, step and new mantissas are one pass over the weights.
//! The new mantissas are taken with the shift of the old ones, and once more in the rare case that the largest weight has
//! gained or lost a bit.

use crate::backend::{Kernels, LANES, Logits, PANEL, ROWS};
use crate::convolution::Unpooled;
use crate::data::Dataset;
use crate::descent::{Descending, Weights, draw_back};
use crate::fixed::{GRADIENT_EXPONENT_MAX, to_master};
use crate::layer::{Layer, Width};
use crate::low_rank::LowRank;
use crate::matrix::Matrix;
use crate::model::Model;
use crate::network::Network;
use crate::noise::{Noise, offset};
use crate::quantise::Delta;
use crate::randomness::index;
use crate::rate::Rate;
use crate::softmax;
use crate::squared;
use crate::train::TrainSpec;
use crate::way::part::Part;
use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;

/// What is learnt of a layer, and the buffers of its gradients.
struct Learning {
    weights: Weights,
    biases: Vec<i32>,
    /// All magnitudes of the biases in one, while they are known.
    bias_magnitudes: Option<u32>,
    /// Empty without momentum.
    bias_velocity: Vec<i32>,
    /// By the layer's outputs.
    gradient: Matrix,
    /// The weights for the backward pass; empty where nothing is learnt below.
    transposed: Vec<i16>,
    kind: Kind,
    /// Of a convolution.
    unpooled: Option<Unpooled>,
    /// Weights and biases that steps are drawn back to.
    anchor: Option<(Vec<i32>, Vec<i32>)>,
}

/// How a layer is trained.
enum Kind {
    Frozen,
    Full,
    LowRank(Box<LowRank>),
}

pub(crate) struct Trainer {
    network: Network,
    learning: Vec<Learning>,
    /// Layers below are not trained, and gradients not carried there.
    first: usize,
    learning_rate: u32,
    momentum: u16,
    noise: Noise,
    /// Steps that were made.
    steps: u64,
    /// How far steps are drawn back to the model, in units of 2^-24.
    pull: Option<u32>,
    /// Inputs of a layer as left operand of the gradient, and gradients by its outputs as right operand.
    columns: Vec<i16>,
    panels: Vec<i16>,
    /// Gradient of the logits, and what the softmax keeps for each row.
    wide: Vec<i64>,
    totals: Vec<softmax::Total>,
    labels: Vec<u8>,
}

impl Trainer {
    /// For batches of at most `rows` samples; trains the parts of the layers.
    pub(crate) fn new(
        model: &Model,
        (parts, pull): (Vec<Part>, Option<u32>),
        rows: usize,
        (spec, seed): (&TrainSpec, &[u8; 32]),
        kernels: &'static dyn Kernels,
    ) -> Self {
        let mut network = Network::new(&model.spec(), rows, kernels);
        network.load_weights(model.weights());
        let moving = spec.momentum != 0;
        let trained = parts.iter().position(|part| *part != Part::Frozen);
        let first = trained.unwrap_or(parts.len());
        let learning: Vec<Learning> = network
            .layers
            .iter()
            .zip(parts)
            .enumerate()
            .map(|(index, (layer, part))| {
                let carries_back = index > first;
                let mut learning =
                    Learning::new(layer, model.weights(), rows, moving, carries_back);
                if let Some(convolution) = network.convolutions.get(index) {
                    let (features, back) = (convolution.shape.pooled.features(), carries_back);
                    learning.gradient = Matrix::zeroed(rows, features);
                    learning.unpooled = Some(Unpooled::new(convolution, layer, rows, back));
                }
                match part {
                    Part::Full | Part::Private => {}
                    Part::Frozen => learning.kind = Kind::Frozen,
                    Part::Adapter(adapter) => {
                        let base = learning.weights.master.clone();
                        let adapter = LowRank::new(adapter, &layer.shape, base, rows, moving);
                        learning.weights.velocity = Vec::new();
                        learning.kind = Kind::LowRank(Box::new(adapter));
                    }
                }
                if pull.is_some() {
                    let weights = learning.weights.master.clone();
                    learning.anchor = Some((weights, learning.biases.clone()));
                }
                learning
            })
            .collect();
        // A convolution's gradient sums over the positions of one image, all others over the batch.
        let most = |size: fn(&Layer) -> usize| {
            let layers = network.layers.iter().enumerate();
            let of_layer = layers.map(|(index, layer)| {
                let convolution = network.convolutions.get(index);
                let terms = convolution.map_or(rows, |c| c.shape.convolved.positions());
                size(layer) * terms.div_ceil(2)
            });
            of_layer.max().unwrap_or(0)
        };
        Self {
            columns: vec![0; most(|layer| layer.blocks) * 2 * ROWS],
            panels: vec![0; most(|layer| layer.panels) * PANEL],
            wide: vec![0; rows * model.spec().outputs()],
            totals: vec![softmax::Total::default(); rows],
            labels: vec![0; rows],
            learning_rate: spec.learning_rate,
            momentum: spec.momentum,
            noise: Noise::new(spec, seed),
            steps: 0,
            pull,
            first,
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
        let (dropout, steps) = (&self.noise.dropout, self.steps);
        let convolutions = self.network.convolutions.len();
        let leave_out = |layer: usize, units: &mut Matrix| {
            if let Some(dropout) = dropout
                && layer >= convolutions
            {
                dropout.leave_out(steps, layer, units, rows);
            }
        };
        let outputs = self.network.forward(rows, biases, leave_out);
        self.gradient_of_outputs(data, batch, outputs);
        let rate = Rate::new(self.learning_rate, rows);
        for index in (self.first..self.learning.len()).rev() {
            if index > self.first {
                self.gradient_of_inputs(index, rows);
            }
            self.draw_back(index);
            self.descend(index, rows, rate);
        }
        self.steps += 1;
    }

    /// The loss by the outputs: the cross-entropy of labels, or half the squared error of targets. The softmax is in 32 bits where
    /// the logits are narrow and finer than what it distinguishes.
    fn gradient_of_outputs(
        &mut self,
        data: &Dataset,
        batch: &[u64],
        (width, exponent): (Width, i32),
    ) {
        let Some(last) = self.learning.last_mut() else {
            return;
        };
        let (rows, outputs) = (batch.len(), last.gradient.width);
        let shift = exponent - softmax::LOSS_BITS as i32;
        let samples = batch.iter().map(|&entry| index(entry));
        if data.targets().is_none() && width == Width::Narrow && (2..=31).contains(&shift) {
            let labels = &mut self.labels[..rows];
            for (label, sample) in labels.iter_mut().zip(samples) {
                *label = data.labels()[sample];
            }
            let mut logits = Logits {
                classes: outputs,
                shift: shift.cast_unsigned(),
                labels,
                totals: &mut self.totals[..rows],
            };
            let kernels = self.network.kernels;
            let sums = &mut self.network.sums.narrow[..rows * outputs.next_multiple_of(LANES)];
            let magnitudes = kernels.gradient(&mut logits, sums);
            last.gradient.narrow(
                kernels,
                (sums, magnitudes),
                rows,
                softmax::PROBABILITY_BITS as i32,
                GRADIENT_EXPONENT_MAX,
            );
            return;
        }
        let logits = self.network.logits(rows, width);
        let wide = &mut self.wide[..rows * outputs];
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
            rows,
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
            convolutions,
            inputs,
            sums,
            ..
        } = &mut self.network;
        let (layer, activations) = (&layers[index], &inputs[index]);
        let (before, after) = self.learning.split_at_mut(index);
        let (deeper, here) = (&mut before[index - 1].gradient, &mut after[0]);
        if let (Some(unpooled), Some(convolution)) = (&mut here.unpooled, convolutions.get(index)) {
            let through = (*kernels, layer, convolution);
            let gradient = (&here.gradient, rows);
            let to = (activations, deeper);
            unpooled.carry_back(through, gradient, &mut here.transposed, sums, to);
            return;
        }
        layer.transpose(&mut here.transposed);
        let (width, exponent) =
            layer.backward(*kernels, &here.gradient, rows, &here.transposed, sums);
        let columns = layer.backward_width();
        match width {
            Width::Narrow => {
                let sums = &mut sums.narrow[..rows * columns];
                let magnitudes = kernels.gate(sums, &activations.mantissas, activations.lines());
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
                activations.gate_wide(sums, columns);
                deeper.narrow_wide((sums, columns), rows, exponent, GRADIENT_EXPONENT_MAX);
            }
        }
        if let Some(dropout) = &self.noise.dropout {
            dropout.scale(deeper, rows);
        }
    }

    /// The proximal term of a layer's step.
    fn draw_back(&mut self, index: usize) {
        let (layer, learning) = (&mut self.network.layers[index], &mut self.learning[index]);
        let (Some(pull), Some((weights, biases))) = (self.pull, &learning.anchor) else {
            return;
        };
        let Weights {
            master, velocity, ..
        } = &mut learning.weights;
        let magnitudes = draw_back(master, velocity, weights, pull);
        layer.bits = u32::BITS - magnitudes.0.leading_zeros();
        learning.weights.velocity_bits = u32::BITS - magnitudes.1.leading_zeros();
        learning.bias_magnitudes = None;
        draw_back(
            &mut learning.biases,
            &mut learning.bias_velocity,
            biases,
            pull,
        );
    }

    /// The step of what is trained of a layer, and its new mantissas.
    fn descend(&mut self, index: usize, rows: usize, rate: Rate) {
        let (layer, learning) = (&mut self.network.layers[index], &mut self.learning[index]);
        let operands = (&self.network.inputs[index], &learning.gradient);
        let mut descending = Descending {
            kernels: self.network.kernels,
            columns: &mut self.columns,
            panels: &mut self.panels,
            sums: &mut self.network.sums,
            rate,
            momentum: self.momentum,
            rounding: self.noise.rounding.as_mut(),
        };
        if let Some(rounding) = &mut descending.rounding {
            rounding.begin(self.steps, index);
        }
        if let (Some(unpooled), Kind::Full, Some(convolution)) = (
            &mut learning.unpooled,
            &learning.kind,
            self.network.convolutions.get_mut(index),
        ) {
            let operands = (operands.0, operands.1, rows);
            let biases = (&mut *learning.biases, &mut *learning.bias_velocity);
            let layer = (layer, convolution);
            unpooled.step(
                &mut descending,
                layer,
                operands,
                &mut learning.weights,
                biases,
            );
            return;
        }
        match &mut learning.kind {
            Kind::Frozen => return,
            Kind::Full => descending.step(layer, &mut learning.weights, operands, rows),
            Kind::LowRank(low_rank) => {
                let master = &mut learning.weights.master;
                low_rank.step(&mut descending, layer, master, operands, rows);
            }
        }
        self.descend_biases(index, rows, rate);
    }

    fn descend_biases(&mut self, index: usize, rows: usize, rate: Rate) {
        let learning = &mut self.learning[index];
        let sums = &mut self.network.start[..learning.gradient.width.next_multiple_of(LANES)];
        learning
            .gradient
            .column_sums(self.network.kernels, rows, sums);
        let step = rate.at(learning.gradient.exponent);
        let largest = rows as u64 * u64::from(learning.gradient.largest);
        if self.momentum == 0
            && self.noise.rounding.is_none()
            && let magnitudes = learning.bias_magnitudes.unwrap_or_else(|| {
                let magnitudes = learning.biases.iter().map(|bias| bias.unsigned_abs());
                magnitudes.fold(0, |all, magnitude| all | magnitude)
            })
            && let Some(scales) = step.fast(largest, 0, (u32::BITS - magnitudes.leading_zeros(), 0))
        {
            let mut magnitudes = 0;
            for (bias, &gradient) in learning.biases.iter_mut().zip(&*sums) {
                *bias -= scales.step.apply(gradient);
                magnitudes |= bias.unsigned_abs();
            }
            learning.bias_magnitudes = Some(magnitudes);
            return;
        }
        learning.bias_magnitudes = None;
        // Goes on after the weights.
        let mut rounding = self.noise.rounding.as_mut();
        let mut velocity = learning.bias_velocity.iter_mut();
        for (bias, &gradient) in learning.biases.iter_mut().zip(&*sums) {
            let (velocity, offset) = (velocity.next(), offset(&mut rounding));
            step.take(bias, gradient.into(), self.momentum, velocity, offset);
        }
    }

    /// What was trained, layer by layer: the difference of weights and biases to those that the training began with, of an
    /// adapter `B` itself. What only steps need is freed first.
    pub(crate) fn finish(self, model: &Model) -> Delta {
        let layers = self.network.layers.iter();
        let shapes: Vec<_> = layers.map(|layer| layer.shape).collect();
        drop(self.network);
        let mut after = Vec::with_capacity(self.learning.len());
        for learning in self.learning {
            after.push((learning.weights.master, learning.biases, learning.kind));
        }
        let change = |after: i32, before: i32| to_master(i64::from(after) - i64::from(before));
        let mut difference = Vec::with_capacity(model.weights().len());
        for (shape, (master, biases, kind)) in shapes.into_iter().zip(after) {
            match kind {
                Kind::Frozen => continue,
                Kind::LowRank(low_rank) => difference.extend(low_rank.coordinates()),
                Kind::Full => {
                    let width = shape.outputs.next_multiple_of(LANES);
                    let before = &model.weights()[shape.weights()];
                    for (output, before) in before.chunks_exact(shape.inputs).enumerate() {
                        let after = master[output..].iter().step_by(width);
                        difference.extend(
                            after
                                .zip(before)
                                .map(|(&after, &before)| change(after, before)),
                        );
                    }
                }
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
        Self {
            weights: Weights::new(master, moving),
            bias_velocity: vec![0; if moving { shape.outputs } else { 0 }],
            biases: weights[shape.biases()].to_vec(),
            bias_magnitudes: None,
            gradient: Matrix::zeroed(rows, shape.outputs),
            transposed: vec![
                0;
                if carries_back {
                    layer.backward_width() * width
                } else {
                    0
                }
            ],
            kind: Kind::Full,
            unpooled: None,
            anchor: None,
        }
    }
}
