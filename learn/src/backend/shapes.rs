//! What the kernels are given. Matrices are packed so that a product reads them in the order in which it needs them:
//!
//! - The **left operand** has pairs of neighbours along the sum: of rows of a batch they lie side by side anyway; of its
//!   columns (for the gradient of weights) they are interleaved, [`ROWS`] columns at a time.
//! - The **right operand** is in panels of [`LANES`] columns: for every pair along the sum, the pairs of all lanes. One
//!   vector load gives a multiply-and-add of pairs what it needs, at any width of vectors.
//!
//! What is outside of a matrix (the last pair of an odd sum, lanes of the last panel) is zero and stays zero.

use crate::softmax::Total;

/// Columns of a panel. Sixteen, so that the widest vector has one and the narrower ones share its layout.
pub(crate) const LANES: usize = 16;
/// Mantissas of a panel for one pair along the sum.
pub(crate) const PANEL: usize = 2 * LANES;
/// Rows that the left operand is readable for in multiples of.
pub(crate) const ROWS: usize = 8;

/// A matrix product. The caller knows that no sum of it, in any order, leaves the range of an `i32`.
#[derive(Clone, Copy)]
pub(crate) struct Product<'a> {
    /// Left operand; pair `k` of row `r` is at `r * row_stride + k * pair_stride`. Readable for whole [`ROWS`].
    pub(crate) a: &'a [i16],
    pub(crate) rows: usize,
    pub(crate) row_stride: usize,
    pub(crate) pair_stride: usize,
    /// Right operand; pair `k` of lane `l` of panel `p` is at `p * panel_stride + k * PANEL + 2 l`.
    pub(crate) b: &'a [i16],
    pub(crate) panels: usize,
    pub(crate) panel_stride: usize,
    /// Length of the sums, in pairs; at least one.
    pub(crate) pairs: usize,
    /// What each column starts from; zero when empty.
    pub(crate) start: &'a [i32],
}

impl Product<'_> {
    /// The bounds that kernels rely on. Returns the width of a row of the result.
    pub(super) fn check(&self, out: &[i32]) -> usize {
        let width = self.panels * LANES;
        assert!(self.pairs > 0 && self.rows > 0 && self.panels > 0);
        let rows = self.rows.next_multiple_of(ROWS);
        assert!(
            (rows - 1) * self.row_stride + (self.pairs - 1) * self.pair_stride + 2 <= self.a.len()
        );
        assert!((self.panels - 1) * self.panel_stride + self.pairs * PANEL <= self.b.len());
        assert!(self.start.is_empty() || self.start.len() == width);
        assert!(self.rows * width <= out.len());
        width
    }
}

/// `(v * multiplier + rounding) >> shift`, the product and the sum in 64 bits. The result fits an `i32`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Scale {
    /// At most 2^16.
    pub(crate) multiplier: i32,
    /// At most 2^62.
    pub(crate) rounding: i64,
    /// 1 to 63.
    pub(crate) shift: u32,
}

impl Scale {
    #[inline]
    pub(crate) fn apply(self, v: i32) -> i32 {
        ((i64::from(v) * i64::from(self.multiplier) + self.rounding) >> self.shift) as i32
    }

    /// The same scale with a shift of 32 and more, where the multiplier has room: the result is then in upper halves, which costs
    /// vectors a shuffle in the place of two shifts.
    #[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))]
    pub(super) fn raised(self) -> Option<Scale> {
        const MULTIPLIER_BITS: u32 = 16;
        let by = 32u32.saturating_sub(self.shift);
        // A multiplier of up to 2^16 stays an `i32`, and the rounding, at most 2^(shift + 4), below 2^37.
        let room = self.multiplier <= 1 << MULTIPLIER_BITS && by + MULTIPLIER_BITS < 31;
        (by == 0 || room).then(|| Scale {
            multiplier: self.multiplier << by,
            rounding: self.rounding << by,
            shift: self.shift + by,
        })
    }

    /// Shifts by which the low 32 bits of a result come out of a 64-bit lane whose product was even or odd, and what is
    /// left to shift after that.
    #[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))]
    pub(super) fn shifts(self) -> (u32, u32, u32) {
        let right = self.shift.min(32);
        (right, 32 - right, self.shift - right)
    }
}

/// The columns of a batch.
#[derive(Clone, Copy)]
pub(crate) struct Columns<'a> {
    /// Rows, a stride apart; zero beyond the width. Readable for whole panels of whole pairs of rows.
    pub(crate) mantissas: &'a [i16],
    pub(crate) stride: usize,
    pub(crate) width: usize,
    pub(crate) rows: usize,
}

/// Values row by row, and mantissas of the same rows a stride apart.
#[derive(Clone, Copy)]
pub(crate) struct Lines {
    /// Values of a row; whole [`LANES`].
    pub(crate) width: usize,
    /// Mantissas from one row to the next.
    pub(crate) stride: usize,
}

impl Lines {
    /// The bounds that kernels rely on. Returns the number of rows.
    pub(super) fn check(self, values: usize, mantissas: usize) -> usize {
        let Self { width, stride } = self;
        assert!(width > 0 && width.is_multiple_of(LANES) && width <= stride);
        assert!(values > 0 && values.is_multiple_of(width));
        let rows = values / width;
        assert!((rows - 1) * stride + width <= mantissas);
        rows
    }
}

/// Rows of logits, of which a kernel makes gradients in their place.
pub(crate) struct Logits<'a> {
    pub(crate) classes: usize,
    /// Distances of logits to units of 2^-16: 2 to 31.
    pub(crate) shift: u32,
    /// The class of each row.
    pub(crate) labels: &'a [u8],
    /// Room for each row.
    pub(crate) totals: &'a mut [Total],
}

impl Logits<'_> {
    /// The bounds that kernels rely on. Returns the width of a row: whole panels.
    pub(super) fn check(&self, values: &[i32]) -> usize {
        let width = self.classes.next_multiple_of(LANES);
        assert!(self.classes > 0 && (2..=31).contains(&self.shift));
        assert!(self.labels.len() == self.totals.len());
        assert!(values.len() == self.labels.len() * width);
        width
    }
}

/// A step of gradient descent on the weights of one layer.
///
/// The caller knows that no gradient and no velocity leaves the range of an `i32`, and that every new weight stays below 2^30.
#[derive(Clone, Copy)]
pub(crate) struct Descent<'a> {
    /// Inputs of the layer, interleaved: pair `k` of samples of input `8 i + r` is at `2 ROWS (i * pairs + k) + 2 r`.
    pub(crate) inputs: &'a [i16],
    /// Whole eights of inputs.
    pub(crate) blocks: usize,
    /// Gradients by outputs, as panels over pairs of samples.
    pub(crate) gradients: &'a [i16],
    pub(crate) panels: usize,
    /// Pairs of samples; at least one.
    pub(crate) pairs: usize,
    /// Gradient to step.
    pub(crate) step: Scale,
    /// What is left of a velocity, and `None` without momentum.
    pub(crate) momentum: Option<Scale>,
    /// Velocity (or step) to a change of a weight: `(v + velocity_rounding) >> velocity_shift`; with momentum only, else
    /// `step` includes it.
    pub(crate) velocity_shift: u32,
    /// Shift of new weights to mantissas, at most 18.
    pub(crate) shift: u32,
}

/// The weights of one layer during a training: all of `blocks * ROWS` rows of inputs by `panels * LANES` outputs.
pub(crate) struct Parameters<'a> {
    pub(crate) master: &'a mut [i32],
    /// Empty without momentum.
    pub(crate) velocity: &'a mut [i32],
    /// Mantissas as the right operand of a product over pairs of inputs.
    pub(crate) packed: &'a mut [i16],
}

impl Descent<'_> {
    /// The bounds that kernels rely on. Returns the width of a row of weights and the stride of a panel of mantissas.
    pub(super) fn check(&self, parameters: &Parameters<'_>) -> (usize, usize) {
        let width = self.panels * LANES;
        let weights = self.blocks * ROWS * width;
        assert!(self.pairs > 0 && self.blocks > 0 && self.panels > 0);
        assert!(self.blocks * self.pairs * 2 * ROWS <= self.inputs.len());
        assert!(self.panels * self.pairs * PANEL <= self.gradients.len());
        assert!(weights == parameters.master.len() && weights == parameters.packed.len());
        assert!(self.momentum.is_none() || weights == parameters.velocity.len());
        (width, self.blocks * ROWS * LANES)
    }
}

/// Magnitudes of all weights and of all velocities after a step, or-ed: their bit lengths are those of the largest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Magnitudes {
    pub(crate) weights: u32,
    pub(crate) velocities: u32,
}
