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
    let (difference, borrow) = a.overflowing_sub(Q - b);
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

/// A 64-bit number modulo q, by `2^32 = 2^20 - 1`: each fold takes the part above bit 32 down by 12 bits.
#[inline]
pub const fn reduce(x: u64) -> u32 {
    const LOW: u64 = u32::MAX as u64;
    let x = (x & LOW) + ((x >> 32) << 20) - (x >> 32); // < 2^52
    let x = (x & LOW) + ((x >> 32) << 20) - (x >> 32); // < 2^32 + 2^40
    let x = (x & LOW) + ((x >> 32) << 20) - (x >> 32); // < 2^32 + 2^28 < 2q
    let (difference, borrow) = x.overflowing_sub(Q64);
    difference.wrapping_add(Q64 & (borrow as u64).wrapping_neg()) as u32
}

/// `a b`.
#[inline]
pub const fn mul(a: u32, b: u32) -> u32 {
    reduce(a as u64 * b as u64)
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
pub const fn from_i64(a: i64) -> u32 {
    // Sign and magnitude without a branch; i64::MIN has the right magnitude as a u64.
    let sign = (a >> 63) as u64;
    let magnitude = ((a as u64) ^ sign).wrapping_sub(sign);
    let r = reduce(magnitude);
    let negated = sub(0, r);
    (r & !(sign as u32)) | (negated & sign as u32)
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
        fn agrees_with_wide_integers(a in element(), b in element(), x in any::<u64>(), s in any::<i64>()) {
            let q = u128::from(Q);
            let (wa, wb) = (u128::from(a), u128::from(b));
            prop_assert_eq!(u128::from(add(a, b)), (wa + wb) % q);
            prop_assert_eq!(u128::from(sub(a, b)), (wa + q - wb) % q);
            prop_assert_eq!(u128::from(mul(a, b)), wa * wb % q);
            prop_assert_eq!(u128::from(reduce(x)), u128::from(x) % q);
            prop_assert_eq!(i128::from(from_i64(s)), i128::from(s).rem_euclid(q as i128));
            if a != 0 {
                prop_assert_eq!(mul(a, inv(a)), 1);
            }
        }

        #[test]
        fn centring_inverts(a in element()) {
            let c = center(a);
            prop_assert!(c.unsigned_abs() <= Q / 2);
            prop_assert_eq!(from_i64(i64::from(c)), a);
        }
    }

    #[test]
    fn extremes() {
        assert_eq!(
            u128::from(reduce(u64::MAX)),
            u128::from(u64::MAX) % u128::from(Q)
        );
        assert_eq!(
            i128::from(from_i64(i64::MIN)),
            i128::from(i64::MIN).rem_euclid(i128::from(Q))
        );
        assert_eq!(inv(0), 0);
        assert_eq!(center(Q / 2), (Q / 2) as i32);
        assert_eq!(center(Q / 2 + 1), -((Q / 2) as i32));
    }
}
