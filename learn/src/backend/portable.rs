//! The kernels in plain Rust, each a loop over the definition.
//!
//! Sums use wrapping operations. They never wrap (see [`super::shapes`]); a checked addition would only keep the compiler
//! from vectorising.

use super::{
    Backend, Columns, Descent, Kernels, LANES, Lines, Logits, Magnitudes, PANEL, Parameters,
    Product, ROWS, lanes, record,
};
use crate::fixed::{MANTISSA_MAX, shift_right_rounded};
use crate::softmax;
use crate::spec::MAX_CLASSES;

const CLASSES: usize = MAX_CLASSES as usize;

pub(crate) struct Portable;

impl Kernels for Portable {
    fn product(&self, p: &Product<'_>, out: &mut [i32]) {
        record(Backend::Portable);
        let width = p.check(out);
        for (r, out) in out.chunks_exact_mut(width).take(p.rows).enumerate() {
            for (panel, out) in out.chunks_exact_mut(LANES).enumerate() {
                let mut sums = [0i32; LANES];
                if let Some(start) = p
                    .start
                    .get(panel * LANES..)
                    .filter(|start| !start.is_empty())
                {
                    sums.copy_from_slice(&start[..LANES]);
                }
                let b = &p.b[panel * p.panel_stride..];
                for (k, b) in b.chunks_exact(PANEL).take(p.pairs).enumerate() {
                    let at = r * p.row_stride + k * p.pair_stride;
                    add_pairs(&mut sums, (p.a[at], p.a[at + 1]), b);
                }
                out.copy_from_slice(&sums);
            }
        }
    }

    fn descend(&self, d: &Descent<'_>, parameters: &mut Parameters<'_>) -> Magnitudes {
        record(Backend::Portable);
        let (width, panel_stride) = d.check(parameters);
        let mut magnitudes = Magnitudes::default();
        for row in 0..d.blocks * ROWS {
            let inputs = &d.inputs[(row / ROWS) * d.pairs * 2 * ROWS..];
            for panel in 0..d.panels {
                let mut gradient = [0i32; LANES];
                let gradients = &d.gradients[panel * d.pairs * PANEL..];
                for (k, b) in gradients.chunks_exact(PANEL).take(d.pairs).enumerate() {
                    let at = 2 * (k * ROWS + row % ROWS);
                    add_pairs(&mut gradient, (inputs[at], inputs[at + 1]), b);
                }
                for (lane, gradient) in gradient.into_iter().enumerate() {
                    let at = row * width + panel * LANES + lane;
                    let mut change = d.step.apply(gradient);
                    if let Some(momentum) = d.momentum {
                        let velocity = &mut parameters.velocity[at];
                        *velocity = change.wrapping_add(momentum.apply(*velocity));
                        magnitudes.velocities |= velocity.unsigned_abs();
                        change = shift_right_rounded(i64::from(*velocity), d.velocity_shift) as i32;
                    }
                    let weight = &mut parameters.master[at];
                    *weight = weight.wrapping_sub(change);
                    magnitudes.weights |= weight.unsigned_abs();
                    let at = panel * panel_stride + (row / 2) * PANEL + 2 * lane + row % 2;
                    parameters.packed[at] = mantissa(*weight, d.shift);
                }
            }
        }
        magnitudes
    }

    fn pack(&self, master: &[i32], width: usize, shift: u32, packed: &mut [i16]) {
        record(Backend::Portable);
        assert_eq!(master.len(), packed.len());
        let rows = master.len() / width;
        for (row, weights) in master.chunks_exact(width).enumerate() {
            for (column, &weight) in weights.iter().enumerate() {
                let (panel, lane) = (column / LANES, column % LANES);
                let at = panel * rows * LANES + (row / 2) * PANEL + 2 * lane + row % 2;
                packed[at] = mantissa(weight, shift);
            }
        }
    }

    fn rectify(&self, values: &mut [i32]) -> u32 {
        record(Backend::Portable);
        let mut magnitudes = 0;
        for value in values {
            *value = (*value).max(0);
            magnitudes |= value.unsigned_abs();
        }
        magnitudes
    }

    fn gate(&self, values: &mut [i32], activations: &[i16], lines: Lines) -> u32 {
        record(Backend::Portable);
        lines.check(values.len(), activations.len());
        let mut magnitudes = 0;
        let rows = values.chunks_exact_mut(lines.width);
        for (values, activations) in rows.zip(activations.chunks(lines.stride)) {
            for (value, &activation) in values.iter_mut().zip(activations) {
                if activation == 0 {
                    *value = 0;
                }
                magnitudes |= value.unsigned_abs();
            }
        }
        magnitudes
    }

    fn interleave(&self, columns: &Columns<'_>, out: &mut [i16]) {
        record(Backend::Portable);
        lanes::pair_rows::<ROWS, { 2 * ROWS }>(columns, out);
    }

    fn panels(&self, columns: &Columns<'_>, out: &mut [i16]) {
        record(Backend::Portable);
        lanes::pair_rows::<LANES, PANEL>(columns, out);
    }

    fn column_sums(&self, columns: &Columns<'_>, sums: &mut [i32]) {
        record(Backend::Portable);
        lanes::column_sums(columns, sums);
    }

    fn gradient(&self, logits: &mut Logits<'_>, values: &mut [i32]) -> u32 {
        record(Backend::Portable);
        let width = logits.check(values);
        let mut magnitudes = 0;
        let rows = values.chunks_exact_mut(width).zip(logits.labels);
        for ((row, &label), total) in rows.zip(&mut *logits.totals) {
            let (mut exact, mut gradient) = ([0; CLASSES], [0; CLASSES]);
            let (exact, gradient) = (
                &mut exact[..logits.classes],
                &mut gradient[..logits.classes],
            );
            for (exact, &value) in exact.iter_mut().zip(&*row) {
                *exact = value.into();
            }
            // Such a shift is the one of this exponent.
            let exponent = (logits.shift + softmax::LOSS_BITS).cast_signed();
            let label = [usize::from(label)].into_iter();
            let total = core::slice::from_mut(total);
            softmax::gradient(exact, exponent, label, total, gradient);
            row.fill(0);
            for (value, &gradient) in row.iter_mut().zip(&*gradient) {
                *value = gradient as i32;
                magnitudes |= value.unsigned_abs();
            }
        }
        magnitudes
    }

    fn narrow(&self, values: &[i32], shift: u32, out: &mut [i16], lines: Lines) {
        record(Backend::Portable);
        lines.check(values.len(), out.len());
        let rows = values.chunks_exact(lines.width);
        for (values, out) in rows.zip(out.chunks_mut(lines.stride)) {
            for (out, &value) in out.iter_mut().zip(values) {
                *out = mantissa(value, shift);
            }
        }
    }

    fn spin(&self, iterations: u64) -> (u64, i32) {
        let mut sums = [0; LANES];
        for _ in 0..iterations {
            let b = core::hint::black_box([3i16; PANEL]);
            add_pairs(&mut sums, (5, 7), &b);
        }
        (
            iterations * PANEL as u64,
            sums.into_iter().fold(0, i32::wrapping_add),
        )
    }
}

#[inline]
fn add_pairs(sums: &mut [i32; LANES], (even, odd): (i16, i16), b: &[i16]) {
    let (even, odd) = (i32::from(even), i32::from(odd));
    for (sum, b) in sums.iter_mut().zip(b.chunks_exact(2)) {
        let both = even * i32::from(b[0]) + odd * i32::from(b[1]);
        *sum = sum.wrapping_add(both);
    }
}

#[inline]
fn mantissa(value: i32, shift: u32) -> i16 {
    shift_right_rounded(value.into(), shift).clamp(-MANTISSA_MAX, MANTISSA_MAX) as i16
}
