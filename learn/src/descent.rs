//! The step of a layer's weights: gradient, velocity, new weight and new mantissa.

use crate::backend::{Descent, Kernels, PANEL, Parameters, Portable, Product, ROWS};
use crate::fixed::{shift_right_rounded, to_master};
use crate::layer::{Layer, Sums, wide_product};
use crate::matrix::Matrix;
use crate::noise::{RandomRounding, offset};
use crate::rate::{Rate, STEP_LIMIT, STEP_TO_MASTER, Step};
use alloc::vec;
use alloc::vec::Vec;

/// Master weights and velocities: inputs by outputs, whole eights by whole panels.
pub(crate) struct Weights {
    pub(crate) master: Vec<i32>,
    /// Empty without momentum.
    pub(crate) velocity: Vec<i32>,
    /// Bits of the largest velocity.
    pub(crate) velocity_bits: u32,
}

impl Weights {
    pub(crate) fn new(master: Vec<i32>, moving: bool) -> Self {
        Self {
            velocity: vec![0; if moving { master.len() } else { 0 }],
            velocity_bits: 0,
            master,
        }
    }
}

/// What descents share: the rule and their buffers.
pub(crate) struct Descending<'a> {
    pub(crate) kernels: &'static dyn Kernels,
    /// Inputs of a layer as left operand of the gradient, and gradients by its outputs as right operand.
    pub(crate) columns: &'a mut [i16],
    pub(crate) panels: &'a mut [i16],
    pub(crate) sums: &'a mut Sums,
    pub(crate) rate: Rate,
    pub(crate) momentum: u16,
    /// To nearest without it.
    pub(crate) rounding: Option<&'a mut RandomRounding>,
}

impl Descending<'_> {
    /// The step of a layer's weights, and their new mantissas.
    pub(crate) fn step(
        &mut self,
        layer: &mut Layer,
        weights: &mut Weights,
        (input, gradient): (&Matrix, &Matrix),
        rows: usize,
    ) {
        input.interleave(self.kernels, rows, self.columns);
        gradient.panels(self.kernels, rows, self.panels);
        let step = self.rate.at(gradient.exponent + input.exponent);
        let largest = rows as u64 * u64::from(gradient.largest) * u64::from(input.largest);
        let bits = (layer.bits, weights.velocity_bits);
        let magnitudes = if self.rounding.is_none()
            && let Some(scales) = step.fast(largest, self.momentum, bits)
        {
            let shift = layer.rescale(layer.bits);
            let descent = Descent {
                inputs: self.columns,
                blocks: layer.blocks,
                gradients: self.panels,
                panels: layer.panels,
                pairs: rows.div_ceil(2),
                step: scales.step,
                momentum: scales.momentum,
                velocity_shift: STEP_TO_MASTER,
                shift,
            };
            let mut parameters = Parameters {
                master: &mut weights.master,
                velocity: &mut weights.velocity,
                packed: &mut layer.packed,
            };
            let magnitudes = self.kernels.descend(&descent, &mut parameters);
            let new_shift = layer.rescale(u32::BITS - magnitudes.weights.leading_zeros());
            if new_shift != shift {
                let width = layer.width();
                (self.kernels).pack(&weights.master, width, new_shift, &mut layer.packed);
            }
            magnitudes.velocities
        } else {
            self.step_wide(layer, weights, rows, step)
        };
        weights.velocity_bits = u32::BITS - magnitudes.leading_zeros();
    }

    /// The same where the fast way could overflow or would round to nearest: in 64 bits, weight by weight. Returns the velocities' magnitudes, or-ed.
    fn step_wide(
        &mut self,
        layer: &mut Layer,
        weights: &mut Weights,
        rows: usize,
        step: Step,
    ) -> u32 {
        let (width, pairs) = (layer.width(), rows.div_ceil(2));
        let mut magnitudes = (0, 0);
        for block in 0..layer.blocks {
            let tile = ROWS * width;
            let product = Product {
                a: &self.columns[block * pairs * 2 * ROWS..],
                rows: ROWS,
                row_stride: 2,
                pair_stride: 2 * ROWS,
                b: self.panels,
                panels: layer.panels,
                panel_stride: pairs * PANEL,
                pairs,
                start: &[],
            };
            wide_product(self.kernels, &product, self.sums);
            let places = block * tile..(block + 1) * tile;
            let mut velocities = weights
                .velocity
                .get_mut(places.clone())
                .unwrap_or_default()
                .chunks_exact_mut(width);
            // What is beyond the matrix stays zero, and takes no random bits.
            let (inputs, outputs) = (layer.shape.inputs, layer.shape.outputs);
            let lines = weights.master[places]
                .chunks_exact_mut(width)
                .zip(self.sums.wide.chunks_exact(width));
            for (line, gradients) in lines.take(inputs - block * ROWS) {
                let mut velocity = velocities.next().unwrap_or_default().iter_mut();
                for (weight, &gradient) in line[..outputs].iter_mut().zip(gradients) {
                    let (velocity, offset) = (velocity.next(), offset(&mut self.rounding));
                    magnitudes.1 |= step.take(weight, gradient, self.momentum, velocity, offset);
                    magnitudes.0 |= weight.unsigned_abs();
                }
            }
        }
        repack(self.kernels, layer, &weights.master, magnitudes.0);
        magnitudes.1
    }
}

/// New mantissas of master weights, whose magnitudes or-ed are `magnitudes`.
pub(crate) fn repack(kernels: &dyn Kernels, layer: &mut Layer, master: &[i32], magnitudes: u32) {
    let bits = u32::BITS - magnitudes.leading_zeros();
    let shift = layer.rescale(bits);
    let kernels = if bits > 30 { &Portable } else { kernels };
    let width = layer.width();
    kernels.pack(master, width, shift, &mut layer.packed);
}

/// Draws weights back to where they were by `pull * 2^-24` of the way; what that is enters the velocities as a gradient's
/// step does. Returns the magnitudes of weights and velocities, or-ed.
pub(crate) fn draw_back(
    weights: &mut [i32],
    velocities: &mut [i32],
    anchor: &[i32],
    pull: u32,
) -> (u32, u32) {
    let mut magnitudes = (0, 0);
    let mut velocities = velocities.iter_mut();
    for (weight, &anchor) in weights.iter_mut().zip(anchor) {
        let away = i64::from(*weight) - i64::from(anchor);
        // Below 2^32 times at most 2^24, from 2^-48 to 2^-28.
        let step = shift_right_rounded(away * i64::from(pull), 20).clamp(-STEP_LIMIT, STEP_LIMIT);
        if let Some(velocity) = velocities.next() {
            *velocity = to_master(i64::from(*velocity) + step);
            magnitudes.1 |= velocity.unsigned_abs();
        }
        *weight = to_master(i64::from(*weight) - shift_right_rounded(step, STEP_TO_MASTER));
        magnitudes.0 |= weight.unsigned_abs();
    }
    magnitudes
}
