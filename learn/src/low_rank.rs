//! The step of a layer of which an adapter is trained: `W + B A`, with `A` fixed (`docs/learning.md`, section 5.2).
//!
//! The gradient by `B` is `G^T (X A^T)`: that of a layer with the inputs `X A^T`. After the step the weights are made anew
//! from those of the round's model, so that forward and backward pass know nothing of adapters.

use crate::backend::{Kernels, ROWS};
use crate::descent::{Descending, Weights, repack};
use crate::fixed::{ACTIVATION_EXPONENT_MAX, shift_right_rounded, to_master};
use crate::layer::{Layer, Sums, Width};
use crate::matrix::Matrix;
use crate::spec::LayerShape;
use crate::way::adapter::Adapter;
use alloc::vec;
use alloc::vec::Vec;

/// `B` in training, and the buffers of its gradient.
pub(crate) struct LowRank {
    adapter: Adapter,
    /// The round's weights, as the layer's own lie.
    base: Vec<i32>,
    /// `A` as a layer from inputs to rank.
    projection: Layer,
    start: Vec<i32>,
    sums: Sums,
    /// `X A^T`.
    projected: Matrix,
    /// `B` as a layer from rank to outputs.
    layer: Layer,
    weights: Weights,
    /// Of one input, whole panels.
    line: Vec<i64>,
}

impl LowRank {
    /// For a layer of this shape with these weights, and batches of at most `rows` rows.
    pub(crate) fn new(
        adapter: Adapter,
        shape: &LayerShape,
        base: Vec<i32>,
        rows: usize,
        moving: bool,
    ) -> Self {
        let part = |inputs, outputs| {
            Layer::new(LayerShape {
                inputs,
                outputs,
                offset: 0,
            })
        };
        let mut projection = part(shape.inputs, adapter.rank);
        let signs: Vec<i32> = adapter.signs.iter().map(|&sign| sign.into()).collect();
        projection.load(&signs);
        let layer = part(adapter.rank, shape.outputs);
        let width = projection.width();
        Self {
            start: vec![0; width],
            sums: Sums::zeroed(rows.max(ROWS) * width),
            projected: Matrix::zeroed(rows, adapter.rank),
            weights: Weights::new(vec![0; layer.blocks * ROWS * layer.width()], moving),
            line: vec![0; layer.width()],
            base,
            projection,
            layer,
            adapter,
        }
    }

    /// The step of `B`, and the layer's weights and mantissas that follow.
    pub(crate) fn step(
        &mut self,
        descending: &mut Descending<'_>,
        of: &mut Layer,
        master: &mut [i32],
        (input, gradient): (&Matrix, &Matrix),
        rows: usize,
    ) {
        self.project(descending.kernels, input, rows);
        let operands = (&self.projected, gradient);
        descending.step(&mut self.layer, &mut self.weights, operands, rows);
        let magnitudes = self.effective(master);
        repack(descending.kernels, of, master, magnitudes);
    }

    /// `X A^T`, narrowed.
    fn project(&mut self, kernels: &dyn Kernels, input: &Matrix, rows: usize) {
        let (start, sums) = (&mut self.start, &mut self.sums);
        let (width, _) = self
            .projection
            .forward(kernels, input, rows, &[], start, sums);
        // 2^16 mantissas of 12 bits, added or subtracted.
        assert_eq!(width, Width::Narrow, "sums of signs fit 28 bits");
        let sums = &self.sums.narrow[..rows * self.projection.width()];
        let magnitudes = sums.iter().fold(0, |all, sum| all | sum.unsigned_abs());
        let exponent = input.exponent + self.adapter.shift.cast_signed();
        let sums = (sums, magnitudes);
        (self.projected).narrow(kernels, sums, rows, exponent, ACTIVATION_EXPONENT_MAX);
    }

    /// `W + B A`, the product exact and rounded once, ties towards plus infinity. Returns the magnitudes, or-ed.
    fn effective(&mut self, master: &mut [i32]) -> u32 {
        let (width, inputs) = (self.line.len(), self.adapter.inputs);
        let lines = master
            .chunks_exact_mut(width)
            .zip(self.base.chunks_exact(width));
        let mut magnitudes = 0;
        for (input, (line, base)) in lines.take(inputs).enumerate() {
            // Below 2^31, and at most 2^16 of them.
            self.line.fill(0);
            let signs = self.adapter.signs[input..].iter().step_by(inputs);
            for (b, &sign) in self.weights.master.chunks_exact(width).zip(signs) {
                let sign = i64::from(sign);
                for (sum, &b) in self.line.iter_mut().zip(b) {
                    *sum += sign * i64::from(b);
                }
            }
            for ((weight, &base), &sum) in line.iter_mut().zip(base).zip(&self.line) {
                let step = shift_right_rounded(sum, self.adapter.shift);
                *weight = to_master(i64::from(base) + step);
                magnitudes |= weight.unsigned_abs();
            }
        }
        magnitudes
    }

    /// `B`, outputs by rank, row by row.
    pub(crate) fn coordinates(&self) -> impl Iterator<Item = i32> + '_ {
        let (width, rank) = (self.line.len(), self.adapter.rank);
        (0..self.layer.shape.outputs).flat_map(move |output| {
            let column = self.weights.master[output..].iter().step_by(width);
            column.take(rank).copied()
        })
    }
}
