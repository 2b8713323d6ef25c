//! The arithmetic of the vector backends, written once over [`Simd`]. Values are canonical between
//! functions; each function is inlined into one that is compiled for the instruction set.
//!
//! **Products.** Montgomery's reduction without a multiplication. With `t = a b`, `l = t mod 2^32`:
//! `1/q = 1 + 2^20 mod 2^32`, so `m = l + (l << 20)`; and because `q = 2^32 - 2^20 + 1`, the high half of
//! `m q` is `m - (m >> 12) - c`, where `c` is the carry of that addition. (Write `l + (l << 20) = m + c 2^32`;
//! then `m q = m 2^32 - (m 2^20 - m)`, whose low half is `l`, and `m 2^20 mod 2^32 = l << 20` is less than `m`
//! exactly when there was no carry and `l` is not 0.) So `t / 2^32 = high(t) - m + (m >> 12) + c mod q`.
//!
//! **Transform.** As in the portable backend while the butterflies span whole vectors; the last layers work
//! on pairs of vectors whose halves are exchanged so that every lane has a butterfly of its own.

use super::simd::Simd;
use super::twiddles::{R_SQUARED, TWIDDLES, Tails};
use crate::declassify;
use crate::field;
use crate::params::{N, Q};

/// `a + b`, canonical.
#[inline(always)]
fn add_mod<S: Simd>(s: S, a: S::V, b: S::V) -> S::V {
    let q = s.splat(Q);
    let complement = s.sub(q, b);
    s.add_if_less(s.sub(a, complement), a, complement, q)
}

/// `a - b`, canonical.
#[inline(always)]
fn sub_mod<S: Simd>(s: S, a: S::V, b: S::V) -> S::V {
    s.add_if_less(s.sub(a, b), a, b, s.splat(Q))
}

/// `a b / 2^32`, canonical, when one of the two is.
#[inline(always)]
fn montgomery<S: Simd>(s: S, a: S::V, b: S::V) -> S::V {
    let (low, high) = s.mul_wide(a, b);
    let shifted = s.shift_left_20(low);
    let m = s.add(low, shifted);
    let without_carry = s.sub(m, s.shift_right_12(m));
    let reduced = s.add_if_less(without_carry, m, shifted, s.splat(u32::MAX));
    sub_mod(s, high, reduced)
}

#[inline(always)]
fn forward_butterfly<S: Simd>(s: S, x: S::V, y: S::V, w: S::V) -> (S::V, S::V) {
    let t = montgomery(s, y, w);
    (add_mod(s, x, t), sub_mod(s, x, t))
}

#[inline(always)]
fn inverse_butterfly<S: Simd>(s: S, x: S::V, y: S::V, w: S::V) -> (S::V, S::V) {
    (add_mod(s, x, y), montgomery(s, sub_mod(s, x, y), w))
}

/// A layer whose butterflies are `half >= LANES` apart.
#[inline(always)]
fn layer<S: Simd>(
    s: S,
    a: &mut [u32; N],
    half: usize,
    twiddles: &[u32; N],
    butterfly: impl Fn(S, S::V, S::V, S::V) -> (S::V, S::V),
) {
    let first = N / (2 * half);
    let groups = a.chunks_exact_mut(2 * half);
    for (group, &w) in groups.zip(&twiddles[first..2 * first]) {
        let w = s.splat(w);
        let (low, high) = group.split_at_mut(half);
        let pairs = low
            .chunks_exact_mut(S::LANES)
            .zip(high.chunks_exact_mut(S::LANES));
        for (low, high) in pairs {
            let (x, y) = butterfly(s, s.load(low), s.load(high), w);
            s.store(low, x);
            s.store(high, y);
        }
    }
}

/// Coefficients to values.
#[inline(always)]
pub(super) fn forward<S: Simd>(s: S, tails: &Tails, a: &mut [u32; N]) {
    let mut half = N / 2;
    while half >= S::LANES {
        layer(s, a, half, &TWIDDLES.forward, forward_butterfly);
        half /= 2;
    }
    for (i, pair) in a.chunks_exact_mut(2 * S::LANES).enumerate() {
        let (low, high) = pair.split_at_mut(S::LANES);
        let (mut x, mut y) = (s.load(low), s.load(high));
        let mut half = S::LANES / 2;
        while half >= 1 {
            (x, y) = s.exchange(half, x, y);
            let w = s.load(&tails.forward[half.trailing_zeros() as usize][i * S::LANES..]);
            (x, y) = forward_butterfly(s, x, y, w);
            half /= 2;
        }
        let mut half = 1;
        while half < S::LANES {
            (x, y) = s.exchange(half, x, y);
            half *= 2;
        }
        s.store(low, x);
        s.store(high, y);
    }
}

/// Values to coefficients, times N.
#[inline(always)]
pub(super) fn inverse<S: Simd>(s: S, tails: &Tails, a: &mut [u32; N]) {
    for (i, pair) in a.chunks_exact_mut(2 * S::LANES).enumerate() {
        let (low, high) = pair.split_at_mut(S::LANES);
        let (mut x, mut y) = (s.load(low), s.load(high));
        let mut half = S::LANES / 2;
        while half >= 1 {
            (x, y) = s.exchange(half, x, y);
            half /= 2;
        }
        let mut half = 1;
        while half < S::LANES {
            let w = s.load(&tails.inverse[half.trailing_zeros() as usize][i * S::LANES..]);
            (x, y) = inverse_butterfly(s, x, y, w);
            (x, y) = s.exchange(half, x, y);
            half *= 2;
        }
        s.store(low, x);
        s.store(high, y);
    }
    let mut half = S::LANES;
    while half < N {
        layer(s, a, half, &TWIDDLES.inverse, inverse_butterfly);
        half *= 2;
    }
}

/// `a[i] = a[i] b[i] / 2^32`.
#[inline(always)]
pub(super) fn mul_montgomery<S: Simd>(s: S, a: &mut [u32; N], b: &[u32; N]) {
    for (a, b) in a.chunks_exact_mut(S::LANES).zip(b.chunks_exact(S::LANES)) {
        let product = montgomery(s, s.load(a), s.load(b));
        s.store(a, product);
    }
}

/// `sum[i] += a[i] b[i]`.
#[inline(always)]
pub(super) fn mul_add<S: Simd>(s: S, sum: &mut [u32; N], a: &[u32; N], b: &[u32; N]) {
    let square = s.splat(R_SQUARED);
    let factors = a.chunks_exact(S::LANES).zip(b.chunks_exact(S::LANES));
    for (sum, (a, b)) in sum.chunks_exact_mut(S::LANES).zip(factors) {
        let product = montgomery(s, montgomery(s, s.load(a), s.load(b)), square);
        let total = add_mod(s, s.load(sum), product);
        s.store(sum, total);
    }
}

/// `sum[i] += term[i]`, over equal lengths.
#[inline(always)]
pub(super) fn add<S: Simd>(s: S, sum: &mut [u32], term: &[u32]) {
    let mut sums = sum.chunks_exact_mut(S::LANES);
    let mut terms = term.chunks_exact(S::LANES);
    for (sum, term) in (&mut sums).zip(&mut terms) {
        let total = add_mod(s, s.load(sum), s.load(term));
        s.store(sum, total);
    }
    for (sum, term) in sums.into_remainder().iter_mut().zip(terms.remainder()) {
        *sum = field::add(*sum, *term);
    }
}

/// `sum[i] -= term[i]`, over equal lengths.
#[inline(always)]
pub(super) fn sub<S: Simd>(s: S, sum: &mut [u32], term: &[u32]) {
    let mut sums = sum.chunks_exact_mut(S::LANES);
    let mut terms = term.chunks_exact(S::LANES);
    for (sum, term) in (&mut sums).zip(&mut terms) {
        let difference = sub_mod(s, s.load(sum), s.load(term));
        s.store(sum, difference);
    }
    for (sum, term) in sums.into_remainder().iter_mut().zip(terms.remainder()) {
        *sum = field::sub(*sum, *term);
    }
}

/// The words of a signed vector, lane by lane.
#[inline(always)]
fn load_signed<S: Simd>(s: S, from: &[i32]) -> S::V {
    let mut words = [0u32; 16];
    for (word, &value) in words[..S::LANES].iter_mut().zip(from) {
        *word = value as u32;
    }
    s.load(&words)
}

/// `sum[i] += term[i] mod q`, over equal lengths.
#[inline(always)]
pub(super) fn add_signed<S: Simd>(s: S, sum: &mut [u32], term: &[i32]) {
    let mut sums = sum.chunks_exact_mut(S::LANES);
    let mut terms = term.chunks_exact(S::LANES);
    for (sum, term) in (&mut sums).zip(&mut terms) {
        let term = load_signed(s, term);
        // What is above 2^31 - 1 as an unsigned number is negative, and q makes it canonical.
        let term = s.add_if_less(term, s.splat(i32::MAX as u32), term, s.splat(Q));
        let total = add_mod(s, s.load(sum), term);
        s.store(sum, total);
    }
    for (sum, term) in sums.into_remainder().iter_mut().zip(terms.remainder()) {
        *sum = field::add(*sum, field::from_i32(*term));
    }
}

/// `out[i] = center(a[i] - b[i])`, over equal lengths.
#[inline(always)]
pub(super) fn sub_center<S: Simd>(s: S, a: &[u32], b: &[u32], out: &mut [i32]) {
    let mut outs = out.chunks_exact_mut(S::LANES);
    let (mut lefts, mut rights) = (a.chunks_exact(S::LANES), b.chunks_exact(S::LANES));
    let mut words = [0u32; 16];
    for (out, (a, b)) in (&mut outs).zip((&mut lefts).zip(&mut rights)) {
        let difference = sub_mod(s, s.load(a), s.load(b));
        let minus_q = s.splat(Q.wrapping_neg());
        let centred = s.add_if_less(difference, s.splat(Q / 2), difference, minus_q);
        s.store(&mut words, centred);
        for (out, &word) in out.iter_mut().zip(&words) {
            *out = word as i32;
        }
    }
    let rest = lefts.remainder().iter().zip(rights.remainder());
    for (out, (a, b)) in outs.into_remainder().iter_mut().zip(rest) {
        *out = field::center(field::sub(*a, *b));
    }
}

/// How many words come before the first that is q or more. Branches on which those are, and on nothing else.
#[inline(always)]
pub(super) fn canonical_prefix<S: Simd>(s: S, words: &[u32]) -> usize {
    const SIGN: u32 = 1 << 31;
    let (sign, largest) = (s.splat(SIGN), s.splat((Q - 1) ^ SIGN));
    let mut passed = 0;
    for vector in words.chunks_exact(S::LANES) {
        let skips = s.anywhere(s.greater(s.xor(s.load(vector), sign), largest));
        if declassify::decision(skips) {
            break;
        }
        passed += S::LANES;
    }
    let rest = &words[passed..];
    let rest = rest.iter();
    passed + rest.take_while(|&&w| declassify::decision(w < Q)).count()
}
