//! The portable backend: plain Rust, no intrinsics, the oracle of the others.
//!
//! The transform is the merged negacyclic one (Longa and Naehrig, "Speeding up the Number Theoretic
//! Transform for faster ideal lattice-based cryptography", 2016): Cooley-Tukey downwards with powers of
//! psi in bit-reversed order, Gentleman-Sande upwards. Twiddles are kept in Montgomery form (R = 2^32),
//! which makes a product by a twiddle one reduction; `q = 1 mod 2^20` makes `1/q = 1 + 2^20 mod 2^32`.

use super::ternary::LambdaTables;
use super::twiddles::TWIDDLES;
use super::{Backend, BackendKind, ternary_portable};
use crate::declassify;
use crate::field;
use crate::gaussian::Cdt;
use crate::params::{N, Q};

/// The portable backend.
pub(super) struct Portable;

/// `a b / 2^32 mod q`, canonical, for `a b < 2^32 q`.
#[inline(always)]
fn montgomery(a: u32, b: u32) -> u32 {
    // Products of 32-bit numbers fit; the wrapping forms keep debug builds' checks out of the inner loops.
    let t = u64::from(a).wrapping_mul(u64::from(b));
    let low = t as u32;
    let m = low.wrapping_add(low << 20); // low / q mod 2^32
    let mq = u64::from(m).wrapping_mul(u64::from(Q)) >> 32;
    // t and m q agree in their low half, so the high halves subtract without a carry.
    field::sub((t >> 32) as u32, mq as u32)
}

/// The groups of a layer whose butterflies are `half` apart, each with its twiddle.
#[inline(always)]
fn groups<'a>(
    a: &'a mut [u32; N],
    twiddles: &'a [u32; N],
    half: usize,
) -> impl Iterator<Item = (&'a mut [u32], &'a u32)> {
    let first = N / (2 * half);
    a.chunks_exact_mut(2 * half)
        .zip(&twiddles[first..2 * first])
}

#[inline(always)]
fn forward_butterfly(x: &mut u32, y: &mut u32, w: u32) {
    let t = montgomery(*y, w);
    *y = field::sub(*x, t);
    *x = field::add(*x, t);
}

#[inline(always)]
fn inverse_butterfly(x: &mut u32, y: &mut u32, w: u32) {
    let difference = field::sub(*x, *y);
    *x = field::add(*x, *y);
    *y = montgomery(difference, w);
}

/// A short layer, with its length known to the compiler.
fn forward_layer<const HALF: usize>(a: &mut [u32; N]) {
    for (chunk, &w) in groups(a, &TWIDDLES.forward, HALF) {
        let (low, high) = chunk.split_at_mut(HALF);
        for i in 0..HALF {
            forward_butterfly(&mut low[i], &mut high[i], w);
        }
    }
}

/// As [`forward_layer`], upwards.
fn inverse_layer<const HALF: usize>(a: &mut [u32; N]) {
    for (chunk, &w) in groups(a, &TWIDDLES.inverse, HALF) {
        let (low, high) = chunk.split_at_mut(HALF);
        for i in 0..HALF {
            inverse_butterfly(&mut low[i], &mut high[i], w);
        }
    }
}

impl Backend for Portable {
    fn kind(&self) -> BackendKind {
        BackendKind::Portable
    }

    fn forward(&self, a: &mut [u32; N]) {
        super::record(BackendKind::Portable);
        let mut half = N / 2;
        while half >= 8 {
            for (chunk, &w) in groups(a, &TWIDDLES.forward, half) {
                let (low, high) = chunk.split_at_mut(half);
                for (x, y) in low.iter_mut().zip(high) {
                    forward_butterfly(x, y, w);
                }
            }
            half /= 2;
        }
        forward_layer::<4>(a);
        forward_layer::<2>(a);
        forward_layer::<1>(a);
    }

    fn inverse(&self, a: &mut [u32; N]) {
        super::record(BackendKind::Portable);
        inverse_layer::<1>(a);
        inverse_layer::<2>(a);
        inverse_layer::<4>(a);
        let mut half = 8;
        while half < N {
            for (chunk, &w) in groups(a, &TWIDDLES.inverse, half) {
                let (low, high) = chunk.split_at_mut(half);
                for (x, y) in low.iter_mut().zip(high) {
                    inverse_butterfly(x, y, w);
                }
            }
            half *= 2;
        }
    }

    fn mul_montgomery(&self, a: &mut [u32; N], b: &[u32; N]) {
        super::record(BackendKind::Portable);
        for (x, y) in a.iter_mut().zip(b) {
            *x = montgomery(*x, *y);
        }
    }

    fn mul_add(&self, sum: &mut [u32; N], a: &[u32; N], b: &[u32; N]) {
        super::record(BackendKind::Portable);
        for (sum, (x, y)) in sum.iter_mut().zip(a.iter().zip(b)) {
            *sum = field::add(*sum, field::mul(*x, *y));
        }
    }

    fn add_assign(&self, sum: &mut [u32], term: &[u32]) {
        super::record(BackendKind::Portable);
        for (x, y) in sum.iter_mut().zip(term) {
            *x = field::add(*x, *y);
        }
    }

    fn sub_assign(&self, sum: &mut [u32], term: &[u32]) {
        super::record(BackendKind::Portable);
        for (x, y) in sum.iter_mut().zip(term) {
            *x = field::sub(*x, *y);
        }
    }

    fn add_signed(&self, sum: &mut [u32], term: &[i32]) {
        super::record(BackendKind::Portable);
        for (x, y) in sum.iter_mut().zip(term) {
            *x = field::add(*x, field::from_i32(*y));
        }
    }

    fn sub_center(&self, a: &[u32], b: &[u32], out: &mut [i32]) {
        super::record(BackendKind::Portable);
        for (out, (x, y)) in out.iter_mut().zip(a.iter().zip(b)) {
            *out = field::center(field::sub(*x, *y));
        }
    }

    fn canonical_prefix(&self, words: &[u32]) -> usize {
        super::record(BackendKind::Portable);
        let words = words.iter();
        words.take_while(|&&w| declassify::decision(w < Q)).count()
    }

    fn sample(&self, table: &Cdt, bytes: &[u8], out: &mut [i32]) {
        super::record(BackendKind::Portable);
        table.sample(bytes, out);
    }

    fn project(&self, tiles: &mut [u8], v: &[i32], z: &mut [i32]) {
        super::record(BackendKind::Portable);
        ternary_portable::project(tiles, v, z);
    }

    fn combine(&self, tiles: &[u8], tables: &LambdaTables, out: [&mut [u32]; 2]) {
        super::record(BackendKind::Portable);
        ternary_portable::combine(tiles, tables, out);
    }
}

#[cfg(test)]
mod tests {
    use super::super::twiddles::R_SQUARED;
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn montgomery_agrees_with_plain_products(a in 0..Q, b in 0..Q) {
            prop_assert_eq!(montgomery(montgomery(a, b), R_SQUARED), field::mul(a, b));
        }
    }
}
