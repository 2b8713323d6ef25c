//! A dense layer: its mantissas as the products want them, and the products of forward and backward pass, with sums of 32
//! bits where the operands' magnitudes allow it and of 64 bits where they do not. Both are exact, so that the choice (which
//! depends on nothing but the operands) is invisible in the result.

use crate::backend::{Kernels, LANES, PANEL, Product, ROWS};
use crate::fixed::{
    ACTIVATION_EXPONENT_MAX, MASTER_FRACTION_BITS, largest_mantissa, mantissa, narrowing, scale,
};
use crate::matrix::Matrix;
use crate::spec::LayerShape;
use alloc::vec;
use alloc::vec::Vec;

/// Products of mantissas that always fit an `i32`.
pub(crate) const BLOCK: usize = 128;

// The overflow bound, checked when the crate is compiled: BLOCK * (2^12 - 1)^2 <= 2^31 - 1.
const _: () = {
    let largest = (1u64 << crate::fixed::MANTISSA_BITS) - 1;
    assert!(BLOCK as u64 * largest * largest <= i32::MAX as u64);
};

/// Bound of an aligned bias; sums are below 2^40, so that both together stay below 2^57.
const BIAS_LIMIT: i64 = 1 << 56;

/// Sums of a product: narrow or wide, row by row, whole panels a row.
#[derive(Debug)]
pub(crate) struct Sums {
    pub(crate) narrow: Vec<i32>,
    pub(crate) wide: Vec<i64>,
}

impl Sums {
    pub(crate) fn zeroed(len: usize) -> Self {
        Self {
            narrow: vec![0; len],
            wide: vec![0; len],
        }
    }
}

/// Which of the two [`Sums`] hold the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Width {
    Narrow,
    Wide,
}

/// The mantissas of a layer's weights, from which forward and backward products are computed.
#[derive(Debug)]
pub(crate) struct Layer {
    pub(crate) shape: LayerShape,
    /// Eights of inputs.
    pub(crate) blocks: usize,
    /// Panels of outputs.
    pub(crate) panels: usize,
    pub(crate) packed: Vec<i16>,
    pub(crate) exponent: i32,
    pub(crate) largest: u32,
    /// Bits of the largest master weight.
    pub(crate) bits: u32,
}

impl Layer {
    pub(crate) fn new(shape: LayerShape) -> Self {
        let (blocks, panels) = (shape.inputs.div_ceil(ROWS), shape.outputs.div_ceil(LANES));
        Self {
            packed: vec![0; blocks * ROWS * panels * LANES],
            exponent: 0,
            largest: 0,
            bits: 0,
            shape,
            blocks,
            panels,
        }
    }

    /// Columns of the outputs, whole panels.
    pub(crate) fn width(&self) -> usize {
        self.panels * LANES
    }

    /// Columns of the inputs as outputs of the backward product.
    pub(crate) fn backward_width(&self) -> usize {
        self.shape.inputs.next_multiple_of(LANES)
    }

    /// Takes the exponent for weights of so many bits; returns the shift to mantissas.
    pub(crate) fn rescale(&mut self, bits: u32) -> u32 {
        let exponent = MASTER_FRACTION_BITS as i32;
        let shift = narrowing(bits, exponent, ACTIVATION_EXPONENT_MAX);
        self.bits = bits;
        self.exponent = exponent - shift.cast_signed();
        self.largest = largest_mantissa(bits, shift);
        shift
    }

    /// Narrows and packs a model's weights, row by row.
    pub(crate) fn load(&mut self, weights: &[i32]) {
        let magnitudes = weights
            .iter()
            .fold(0, |all, weight| all | weight.unsigned_abs());
        let shift = self.rescale(u32::BITS - magnitudes.leading_zeros());
        let panel_stride = self.blocks * ROWS * LANES;
        for (output, weights) in weights.chunks_exact(self.shape.inputs).enumerate() {
            let place = output / LANES * panel_stride + 2 * (output % LANES);
            for (input, &weight) in weights.iter().enumerate() {
                self.packed[place + input / 2 * PANEL + input % 2] = mantissa(weight.into(), shift);
            }
        }
    }

    /// The sums of the layer for a batch, biases included; returns where they are and their exponent.
    pub(crate) fn forward(
        &self,
        kernels: &dyn Kernels,
        input: &Matrix,
        rows: usize,
        biases: &[i32],
        start: &mut [i32],
        sums: &mut Sums,
    ) -> (Width, i32) {
        let exponent = input.exponent + self.exponent;
        let align = |bias: i32| {
            scale(
                bias.into(),
                exponent - MASTER_FRACTION_BITS as i32,
                BIAS_LIMIT,
            )
        };
        let largest = biases
            .iter()
            .map(|&bias| align(bias).unsigned_abs())
            .max()
            .unwrap_or(0);
        let product = Product {
            a: &input.mantissas,
            rows,
            row_stride: input.stride,
            pair_stride: 2,
            b: &self.packed,
            panels: self.panels,
            panel_stride: self.blocks * ROWS * LANES,
            pairs: self.blocks * ROWS / 2,
            start: &[],
        };
        if fits(input, rows, self.largest, largest) {
            let start = &mut start[..self.width()];
            start.fill(0);
            for (start, &bias) in start.iter_mut().zip(biases) {
                *start = align(bias) as i32;
            }
            kernels.product(&Product { start, ..product }, &mut sums.narrow);
            return (Width::Narrow, exponent);
        }
        wide_product(kernels, &product, sums);
        for row in sums.wide.chunks_exact_mut(self.width()).take(rows) {
            for (sum, &bias) in row.iter_mut().zip(biases) {
                *sum += align(bias);
            }
        }
        (Width::Wide, exponent)
    }

    /// The sums of gradients back through the weights that [`Layer::transpose`] has unfolded.
    pub(crate) fn backward(
        &self,
        kernels: &dyn Kernels,
        gradient: &Matrix,
        rows: usize,
        transposed: &[i16],
        sums: &mut Sums,
    ) -> (Width, i32) {
        let pairs = self.width() / 2;
        let product = Product {
            a: &gradient.mantissas,
            rows,
            row_stride: gradient.stride,
            pair_stride: 2,
            b: transposed,
            panels: self.backward_width() / LANES,
            panel_stride: pairs * PANEL,
            pairs,
            start: &[],
        };
        let width = if fits(gradient, rows, self.largest, 0) {
            kernels.product(&product, &mut sums.narrow);
            Width::Narrow
        } else {
            wide_product(kernels, &product, sums);
            Width::Wide
        };
        (width, gradient.exponent + self.exponent)
    }

    /// The weights as right operand of the backward product: panels of inputs over pairs of outputs.
    pub(crate) fn transpose(&self, transposed: &mut [i16]) {
        let (from_stride, to_stride) = (self.blocks * ROWS * LANES, self.width() * LANES);
        for (panel, packed) in self.packed.chunks_exact(from_stride).enumerate() {
            for (pair, packed) in packed.chunks_exact(PANEL).enumerate() {
                let input = 2 * pair;
                let to =
                    input / LANES * to_stride + panel * LANES / 2 * PANEL + 2 * (input % LANES);
                for (outputs, square) in packed.as_chunks::<4>().0.iter().enumerate() {
                    let [a, b, c, d] = *square;
                    transposed[to + outputs * PANEL..][..4].copy_from_slice(&[a, c, b, d]);
                }
            }
        }
    }
}

/// Whether every sum of a row of `left` with mantissas of at most `right`, and of a start of at most `start`, fits an `i32` in
/// whatever order it is added: cheaply by the largest mantissa, else by the largest sum of magnitudes.
fn fits(left: &Matrix, rows: usize, right: u32, start: u64) -> bool {
    let Some(most) = (i32::MAX as u64).checked_sub(start) else {
        return false;
    };
    let bounded = |sum: u64| sum * u64::from(right) <= most;
    bounded(left.width as u64 * u64::from(left.largest)) || bounded(left.largest_row(rows))
}

/// The product in blocks of [`BLOCK`], which always fit, added in 64 bits.
pub(crate) fn wide_product(kernels: &dyn Kernels, product: &Product<'_>, sums: &mut Sums) {
    let used = product.rows * product.panels * LANES;
    let wide = &mut sums.wide[..used];
    wide.fill(0);
    for first in (0..product.pairs).step_by(BLOCK / 2) {
        let block = Product {
            a: &product.a[first * product.pair_stride..],
            b: &product.b[first * PANEL..],
            pairs: (product.pairs - first).min(BLOCK / 2),
            ..*product
        };
        kernels.product(&block, &mut sums.narrow[..used]);
        for (wide, &sum) in wide.iter_mut().zip(&sums.narrow) {
            *wide += i64::from(sum);
        }
    }
}
