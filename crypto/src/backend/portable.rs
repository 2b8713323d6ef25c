//! The portable backend: plain Rust, no intrinsics, the oracle of the others.
//!
//! The transform is the merged negacyclic one (Longa and Naehrig, "Speeding up the Number Theoretic
//! Transform for faster ideal lattice-based cryptography", 2016): Cooley-Tukey downwards with powers of
//! psi in bit-reversed order, Gentleman-Sande upwards. Twiddles are kept in Montgomery form (R = 2^32),
//! which makes a product by a twiddle one reduction; `q = 1 mod 2^20` makes `1/q = 1 + 2^20 mod 2^32`.

use super::Backend;
use crate::field;
use crate::params::{N, Q};
use crate::ring::PSI;

/// The portable backend.
pub(crate) struct Portable;

/// Powers of psi and of its inverse in Montgomery form, in the order in which the layers use them.
struct Twiddles {
    forward: [u32; N],
    inverse: [u32; N],
}

/// `2^32 mod q`.
const R: u32 = ((1u64 << 32) % Q as u64) as u32;

/// `R/N` in Montgomery form's sense: a Montgomery product by this divides by N.
const N_INVERSE: u32 = field::mul(field::inv(N as u32), R);

static TWIDDLES: Twiddles = twiddles();

const fn twiddles() -> Twiddles {
    let mut forward = [0; N];
    let mut inverse = [0; N];
    let psi_inverse = field::inv(PSI);
    let (mut power, mut inverse_power) = (R, R);
    let mut i = 0;
    while i < N {
        let reversed = i.reverse_bits() >> (usize::BITS - N.trailing_zeros());
        forward[reversed] = power;
        inverse[reversed] = inverse_power;
        power = field::mul(power, PSI);
        inverse_power = field::mul(inverse_power, psi_inverse);
        i += 1;
    }
    Twiddles { forward, inverse }
}

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
    fn name(&self) -> &'static str {
        "portable"
    }

    fn forward(&self, a: &mut [u32; N]) {
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
        for x in a.iter_mut() {
            *x = montgomery(*x, N_INVERSE);
        }
    }

    fn mul_assign(&self, a: &mut [u32; N], b: &[u32; N]) {
        for (x, y) in a.iter_mut().zip(b) {
            *x = field::mul(*x, *y);
        }
    }

    fn add_assign(&self, sum: &mut [u32], term: &[u32]) {
        for (x, y) in sum.iter_mut().zip(term) {
            *x = field::add(*x, *y);
        }
    }

    fn sub_assign(&self, sum: &mut [u32], term: &[u32]) {
        for (x, y) in sum.iter_mut().zip(term) {
            *x = field::sub(*x, *y);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn montgomery_agrees_with_plain_products(a in 0..Q, b in 0..Q) {
            prop_assert_eq!(field::mul(montgomery(a, b), R), field::mul(a, b));
        }
    }
}
