//! One word of a Reed-Solomon code: values at distinct points, some of them wrong. By Gao, "A new algorithm for
//! decoding Reed-Solomon codes" (2003). Not constant time: for published answers.

use crate::field;

/// A polynomial, its constant coefficient first, without leading zeros: zero is empty.
type Polynomial = Vec<u32>;

/// Places (as bits) of the `values` at `points` that are off the one polynomial of degree below `t` that leaves
/// at most `(n - t)/2` off; `None` when every polynomial leaves more. `1 <= t <= n <= 16`, points distinct.
pub(super) fn errors(points: &[u8], values: &[u32], t: usize) -> Option<u32> {
    let n = points.len();
    let mut product: Polynomial = vec![1];
    for &point in points {
        product = multiply(&product, &[field::neg(u32::from(point)), 1]);
    }
    // The extended algorithm of Euclid, cofactors of the interpolating polynomial only, until the remainder is
    // the wanted polynomial times the one whose roots are the wrong points.
    let (mut earlier, mut remainder) = (product.clone(), interpolate(points, values, &product));
    let (mut earlier_factor, mut factor): (Polynomial, Polynomial) = (vec![], vec![1]);
    while remainder.len() > (n + t).div_ceil(2) {
        let (quotient, rest) = divide(&earlier, &remainder);
        let next = subtract(&earlier_factor, &multiply(&quotient, &factor));
        (earlier, remainder) = (remainder, rest);
        (earlier_factor, factor) = (factor, next);
    }
    let (polynomial, rest) = divide(&remainder, &factor);
    if !rest.is_empty() || polynomial.len() > t {
        return None;
    }
    let mut off = 0u32;
    for (place, (&point, &value)) in points.iter().zip(values).enumerate() {
        if evaluate(&polynomial, u32::from(point)) != value {
            off |= 1 << place;
        }
    }
    (2 * off.count_ones() as usize <= n - t).then_some(off)
}

fn trimmed(mut a: Polynomial) -> Polynomial {
    while a.last() == Some(&0) {
        a.pop();
    }
    a
}

fn evaluate(a: &[u32], x: u32) -> u32 {
    a.iter().rev().fold(0, |value, &coefficient| {
        field::add(field::mul(value, x), coefficient)
    })
}

fn subtract(a: &[u32], b: &[u32]) -> Polynomial {
    let mut out = a.to_vec();
    out.resize(a.len().max(b.len()), 0);
    for (out, &b) in out.iter_mut().zip(b) {
        *out = field::sub(*out, b);
    }
    trimmed(out)
}

fn multiply(a: &[u32], b: &[u32]) -> Polynomial {
    let mut out = vec![0; a.len() + b.len()];
    for (i, &a) in a.iter().enumerate() {
        for (out, &b) in out[i..].iter_mut().zip(b) {
            *out = field::add(*out, field::mul(a, b));
        }
    }
    trimmed(out)
}

/// Quotient and remainder; `b` is not zero.
fn divide(a: &[u32], b: &[u32]) -> (Polynomial, Polynomial) {
    let inverse = field::inv(b.last().copied().unwrap_or(0));
    let mut rest = a.to_vec();
    let mut quotient = vec![0; (a.len() + 1).saturating_sub(b.len())];
    for place in (0..quotient.len()).rev() {
        let factor = field::mul(rest[place + b.len() - 1], inverse);
        quotient[place] = factor;
        for (rest, &b) in rest[place..].iter_mut().zip(b) {
            *rest = field::sub(*rest, field::mul(factor, b));
        }
    }
    (trimmed(quotient), trimmed(rest))
}

/// The polynomial of degree below n through all values; `product` has all points as its roots.
fn interpolate(points: &[u8], values: &[u32], product: &[u32]) -> Polynomial {
    let mut out = vec![0; points.len()];
    for (&point, &value) in points.iter().zip(values) {
        let point = u32::from(point);
        let (others, _) = divide(product, &[field::neg(point), 1]);
        let scale = field::mul(value, field::inv(evaluate(&others, point)));
        for (out, &coefficient) in out.iter_mut().zip(&others) {
            *out = field::add(*out, field::mul(scale, coefficient));
        }
    }
    trimmed(out)
}
