//! The products in plain Rust, written so that the compiler vectorises the inner loops.
//!
//! The `i32` sums use wrapping operations. They never wrap (see [`super::BLOCK`]); a checked addition would only keep
//! the compiler from vectorising.

use super::{BLOCK, Kernels, Shape};

/// Columns that are accumulated together by `backward` and `gradient`.
const TILE: usize = 64;

pub(super) struct Portable;

impl Kernels for Portable {
    fn forward(&self, shape: Shape, a: &[i16], b: &[i16], out: &mut [i64]) {
        let Shape {
            rows,
            columns,
            inner,
        } = shape;
        for (a, out) in a
            .chunks_exact(inner)
            .zip(out.chunks_exact_mut(columns))
            .take(rows)
        {
            for (b, out) in b.chunks_exact(inner).zip(out) {
                *out = a
                    .chunks(BLOCK)
                    .zip(b.chunks(BLOCK))
                    .map(|(a, b)| i64::from(dot(a, b)))
                    .sum();
            }
        }
    }

    fn backward(&self, shape: Shape, a: &[i16], b: &[i16], out: &mut [i64]) {
        let Shape {
            rows,
            columns,
            inner,
        } = shape;
        for (a, out) in a
            .chunks_exact(inner)
            .zip(out.chunks_exact_mut(columns))
            .take(rows)
        {
            for start in (0..columns).step_by(TILE) {
                let width = TILE.min(columns - start);
                accumulate(
                    inner,
                    |k| (a[k], &b[k * columns + start..][..width]),
                    &mut out[start..start + width],
                );
            }
        }
    }

    fn gradient(&self, shape: Shape, a: &[i16], b: &[i16], out: &mut [i64]) {
        let Shape {
            rows,
            columns,
            inner,
        } = shape;
        for (i, out) in out.chunks_exact_mut(columns).take(rows).enumerate() {
            for start in (0..columns).step_by(TILE) {
                let width = TILE.min(columns - start);
                accumulate(
                    inner,
                    |k| (a[k * rows + i], &b[k * columns + start..][..width]),
                    &mut out[start..start + width],
                );
            }
        }
    }
}

/// At most [`BLOCK`] products.
#[inline]
fn dot(a: &[i16], b: &[i16]) -> i32 {
    a.iter().zip(b).fold(0i32, |sum, (&a, &b)| {
        sum.wrapping_add(i32::from(a).wrapping_mul(i32::from(b)))
    })
}

/// `out[j] = sum_k factor(k) * row(k)[j]` for at most [`TILE`] columns, in blocks of [`BLOCK`] rows.
#[inline]
fn accumulate<'a>(inner: usize, term: impl Fn(usize) -> (i16, &'a [i16]), out: &mut [i64]) {
    out.fill(0);
    for block in (0..inner).step_by(BLOCK) {
        let mut sums = [0i32; TILE];
        for k in block..(block + BLOCK).min(inner) {
            let (factor, row) = term(k);
            let factor = i32::from(factor);
            for (sum, &value) in sums.iter_mut().zip(row) {
                *sum = sum.wrapping_add(factor.wrapping_mul(i32::from(value)));
            }
        }
        for (out, sum) in out.iter_mut().zip(sums) {
            *out += i64::from(sum);
        }
    }
}
