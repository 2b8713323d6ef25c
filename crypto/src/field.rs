//! Arithmetic modulo `q = 2^32 - 2^20 + 1` (`docs/protocol.md`, section 3).
//!
//! An element is a *canonical* `u32` below `q`; anything else is refused where it enters
//! ([`crate::mask::parse_payload`], the decoders of shares). All functions here run in time independent
//! of the values, unless their comment says otherwise.

use crate::params::Q;

/// `q` as a 64-bit number.
const Q64: u64 = Q as u64;

/// Whether `a` is canonical.
#[inline]
pub const fn is_canonical(a: u32) -> bool {
    a < Q
}

/// `a + b`.
#[inline]
pub const fn add(a: u32, b: u32) -> u32 {
    // a - (q - b), and q again when that borrowed: nothing ever exceeds 32 bits.
    let (difference, borrow) = a.overflowing_sub(Q.wrapping_sub(b));
    difference.wrapping_add(Q & (borrow as u32).wrapping_neg())
}

/// `a - b`.
#[inline]
pub const fn sub(a: u32, b: u32) -> u32 {
    let (difference, borrow) = a.overflowing_sub(b);
    difference.wrapping_add(Q & (borrow as u32).wrapping_neg())
}

/// `-a`.
#[inline]
pub const fn neg(a: u32) -> u32 {
    sub(0, a)
}

/// `x`, or something smaller that is equal modulo q.
#[inline(always)]
const fn fold(x: u64) -> u64 {
    let (high, low) = (x >> 32, x & u32::MAX as u64);
    // high 2^20 - high is not negative, and all of it fits; wrapping operations keep the checks of debug
    // builds out of the inner loops.
    low.wrapping_add((high << 20).wrapping_sub(high))
}

/// A 64-bit number modulo q, by `2^32 = 2^20 - 1`: each fold takes the part above bit 32 down by 12 bits.
#[inline]
pub const fn reduce(x: u64) -> u32 {
    let x = fold(x); // < 2^52 + 2^32
    let x = fold(x); // < 2^40 + 2^33
    let x = fold(x); // < 2^32 + 2^29 < 2q
    let (difference, borrow) = x.overflowing_sub(Q64);
    difference.wrapping_add(Q64 & (borrow as u64).wrapping_neg()) as u32
}

/// `a b`.
#[inline]
pub const fn mul(a: u32, b: u32) -> u32 {
    reduce((a as u64).wrapping_mul(b as u64))
}

/// `base^exponent`; the time depends on the exponent, which is public wherever this is used.
pub const fn pow(base: u32, exponent: u64) -> u32 {
    let (mut result, mut square, mut left) = (1, base, exponent);
    while left > 0 {
        if left & 1 == 1 {
            result = mul(result, square);
        }
        square = mul(square, square);
        left >>= 1;
    }
    result
}

/// `1/a` for a non-zero `a`, and 0 for 0.
pub const fn inv(a: u32) -> u32 {
    pow(a, Q64 - 2)
}

/// A signed number modulo q.
#[inline]
pub const fn from_i32(a: i32) -> u32 {
    // |a| <= 2^31 < q, so adding q once to what is negative is enough.
    (a as u32).wrapping_add(Q & (a >> 31) as u32)
}

/// The representative of `a` in `(-q/2, q/2)`.
#[inline]
pub const fn center(a: u32) -> i32 {
    // What lies above q/2 wraps to a - q, which fits an i32.
    let above = (a > Q / 2) as u32;
    a.wrapping_sub(Q & above.wrapping_neg()) as i32
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn element() -> impl Strategy<Value = u32> {
        prop_oneof![
            0..Q,
            Just(0),
            Just(1),
            Just(Q - 1),
            Just(Q / 2),
            Just(Q / 2 + 1),
            (1u32 << 20) - 2..(1 << 20) + 2,
        ]
    }

    proptest! {
        #[test]
        fn agrees_with_wide_integers(a in element(), b in element(), x in any::<u64>(), s in any::<i32>()) {
            let q = u128::from(Q);
            let (wa, wb) = (u128::from(a), u128::from(b));
            prop_assert_eq!(u128::from(add(a, b)), (wa + wb) % q);
            prop_assert_eq!(u128::from(sub(a, b)), (wa + q - wb) % q);
            prop_assert_eq!(u128::from(mul(a, b)), wa * wb % q);
            prop_assert_eq!(u128::from(reduce(x)), u128::from(x) % q);
            prop_assert_eq!(i64::from(from_i32(s)), i64::from(s).rem_euclid(i64::from(Q)));
            if a != 0 {
                prop_assert_eq!(mul(a, inv(a)), 1);
            }
        }

        #[test]
        fn centring_inverts(a in element()) {
            let c = center(a);
            prop_assert!(c.unsigned_abs() <= Q / 2);
            prop_assert_eq!(from_i32(c), a);
        }
    }

    #[test]
    fn extremes() {
        assert_eq!(
            u128::from(reduce(u64::MAX)),
            u128::from(u64::MAX) % u128::from(Q)
        );
        for x in [i32::MIN, -1, 0, 1, i32::MAX] {
            assert_eq!(
                i64::from(from_i32(x)),
                i64::from(x).rem_euclid(i64::from(Q))
            );
        }
        assert_eq!(inv(0), 0);
        assert_eq!(center(Q / 2), (Q / 2) as i32);
        assert_eq!(center(Q / 2 + 1), -((Q / 2) as i32));
    }
}
