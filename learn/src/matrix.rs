//! A batch of rows of mantissas with one exponent: samples, activations, gradients. And how its columns become operands of
//! the products that sum over the batch.

use crate::backend::{Columns, Kernels, LANES, Lines, Portable, ROWS};
use crate::fixed::{largest_mantissa, mantissa, narrowing};
use alloc::vec;
use alloc::vec::Vec;

/// Mantissas of a line of the cache.
const LINE: usize = 32;

/// Rows of mantissas. Columns beyond the width are zero; rows beyond the batch are anything.
#[derive(Debug)]
pub(crate) struct Matrix {
    pub(crate) mantissas: Vec<i16>,
    pub(crate) width: usize,
    pub(crate) stride: usize,
    /// The mantissas `m` stand for `m * 2^-exponent`.
    pub(crate) exponent: i32,
    /// No magnitude of the batch is above.
    pub(crate) largest: u32,
}

impl Matrix {
    pub(crate) fn zeroed(rows: usize, width: usize) -> Self {
        // An odd number of lines: rows that are a power of two apart would share their place in the cache.
        Self::strided(rows, width, (width.div_ceil(LINE) | 1) * LINE)
    }

    /// Many short rows, close together.
    pub(crate) fn compact(rows: usize, width: usize) -> Self {
        Self::strided(rows, width, width.next_multiple_of(LANES))
    }

    fn strided(rows: usize, width: usize, stride: usize) -> Self {
        Self {
            mantissas: vec![0; rows.next_multiple_of(ROWS) * stride],
            width,
            stride,
            exponent: 0,
            largest: 0,
        }
    }

    pub(crate) fn row(&self, row: usize) -> &[i16] {
        &self.mantissas[row * self.stride..][..self.width]
    }

    pub(crate) fn row_mut(&mut self, row: usize) -> &mut [i16] {
        &mut self.mantissas[row * self.stride..][..self.width]
    }

    /// The largest sum of a row's magnitudes: times the largest of the other operand it bounds every sum of a product.
    pub(crate) fn largest_row(&self, rows: usize) -> u64 {
        let sum = |row| -> u32 {
            self.row(row)
                .iter()
                .map(|m| u32::from(m.unsigned_abs()))
                .sum()
        };
        (0..rows).map(sum).max().unwrap_or(0).into()
    }

    fn scale(&mut self, bits: u32, exponent: i32, exponent_max: i32) -> u32 {
        let shift = narrowing(bits, exponent, exponent_max);
        self.exponent = exponent - shift.cast_signed();
        self.largest = largest_mantissa(bits, shift);
        shift
    }

    /// Narrows the rows of samples that were written, which have this exponent and these magnitudes, or-ed.
    pub(crate) fn narrow_in_place(
        &mut self,
        magnitudes: u16,
        rows: usize,
        exponent: i32,
        exponent_max: i32,
    ) {
        let used = rows * self.stride;
        let shift = self.scale(
            u16::BITS - magnitudes.leading_zeros(),
            exponent,
            exponent_max,
        );
        if shift > 0 {
            for m in &mut self.mantissas[..used] {
                *m = mantissa((*m).into(), shift);
            }
        }
    }

    /// Narrows sums, whose magnitudes or-ed are `magnitudes`; whole panels a row, zero beyond the width.
    pub(crate) fn narrow(
        &mut self,
        kernels: &dyn Kernels,
        (sums, magnitudes): (&[i32], u32),
        rows: usize,
        exponent: i32,
        exponent_max: i32,
    ) {
        let bits = u32::BITS - magnitudes.leading_zeros();
        let shift = self.scale(bits, exponent, exponent_max);
        let kernels = if bits.max(shift) > 30 {
            &Portable
        } else {
            kernels
        };
        let lines = self.lines();
        kernels.narrow(
            &sums[..rows * lines.width],
            shift,
            &mut self.mantissas,
            lines,
        );
    }

    /// Narrows wide sums, of which a row is `sums_width` long.
    pub(crate) fn narrow_wide(
        &mut self,
        (sums, sums_width): (&[i64], usize),
        rows: usize,
        exponent: i32,
        exponent_max: i32,
    ) {
        let sums = &sums[..rows * sums_width];
        let magnitudes = sums.iter().fold(0, |all, sum| all | sum.unsigned_abs());
        let shift = self.scale(
            u64::BITS - magnitudes.leading_zeros(),
            exponent,
            exponent_max,
        );
        for (row, sums) in sums.chunks_exact(sums_width).enumerate() {
            for (out, &sum) in self.row_mut(row).iter_mut().zip(sums) {
                *out = mantissa(sum, shift);
            }
        }
    }

    /// Sums in whole panels a row, beside these mantissas.
    pub(crate) fn lines(&self) -> Lines {
        Lines {
            width: self.width.next_multiple_of(LANES),
            stride: self.stride,
        }
    }

    /// Replaces wide sums by zero where the mantissa is zero, row by row; of a row of sums there are `sums_width`.
    pub(crate) fn gate_wide(&self, sums: &mut [i64], sums_width: usize) {
        let rows = self.mantissas.chunks_exact(self.stride);
        for (sums, mantissas) in sums.chunks_exact_mut(sums_width).zip(rows) {
            for (sum, &mantissa) in sums.iter_mut().zip(mantissas) {
                if mantissa == 0 {
                    *sum = 0;
                }
            }
        }
    }

    /// The sum of every column, whole panels: of a batch at most 1,024 mantissas each, of a convolution's positions 2^14, so that none
    /// reaches 2^26.
    pub(crate) fn column_sums(&self, kernels: &dyn Kernels, rows: usize, sums: &mut [i32]) {
        kernels.column_sums(&self.columns(rows), sums);
    }

    /// The columns as left operand of a product that sums over the batch: eights of columns, interleaved by pairs of rows.
    pub(crate) fn interleave(&self, kernels: &dyn Kernels, rows: usize, out: &mut [i16]) {
        kernels.interleave(&self.columns(rows), out);
    }

    /// The columns as right operand of a product that sums over the batch: panels.
    pub(crate) fn panels(&self, kernels: &dyn Kernels, rows: usize, out: &mut [i16]) {
        kernels.panels(&self.columns(rows), out);
    }

    fn columns(&self, rows: usize) -> Columns<'_> {
        Columns {
            mantissas: &self.mantissas,
            stride: self.stride,
            width: self.width,
            rows,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::{self, PANEL};

    #[test]
    fn columns_are_paired_over_the_batch() {
        let kernels = backend::current().require().expect("the current one");
        for (rows, width) in [(1, 1), (2, 8), (5, 19), (8, 33)] {
            let mut matrix = Matrix::zeroed(rows, width);
            matrix.mantissas.fill(-1); // rows beyond the batch
            for row in 0..rows {
                let stride = matrix.stride;
                matrix.mantissas[row * stride..][..stride].fill(0);
                for (column, m) in matrix.row_mut(row).iter_mut().enumerate() {
                    *m = i16::try_from(100 * row + column + 1).unwrap();
                }
            }
            let pairs = rows.div_ceil(2);
            let at = |row: usize, column: usize| {
                if row < rows && column < width {
                    matrix.row(row)[column]
                } else {
                    0
                }
            };
            let mut out = vec![7; width.next_multiple_of(16) * pairs * 2];
            matrix.panels(kernels, rows, &mut out);
            for (place, &m) in out.iter().enumerate() {
                let (panel, rest) = (place / (pairs * PANEL), place % (pairs * PANEL));
                let (pair, lane) = (rest / PANEL, rest % PANEL);
                assert_eq!(m, at(2 * pair + lane % 2, panel * LANES + lane / 2));
            }
            let used = width.next_multiple_of(ROWS) * pairs * 2;
            matrix.interleave(kernels, rows, &mut out);
            for (place, &m) in out[..used].iter().enumerate() {
                let (block, rest) = (place / (pairs * 16), place % (pairs * 16));
                assert_eq!(
                    m,
                    at(2 * (rest / 16) + rest % 2, block * ROWS + rest % 16 / 2)
                );
            }
        }
    }
}
