//! Fixed-point arithmetic for the tables that are computed at start-up. Public inputs only: nothing here
//! is, or needs to be, constant-time. No floating point, so every machine computes the same tables.

/// Fractional bits of [`exp_neg`].
pub(super) const EXP_BITS: u32 = 120;

/// `floor(ln 2 * 2^120)`.
const LN2_Q120: u128 = 921_350_637_599_661_305_226_344_307_672_478_454;

/// `floor(a b / 2^128)`.
fn mul_high(a: u128, b: u128) -> u128 {
    const LOW: u128 = u64::MAX as u128;
    let (a1, a0, b1, b0) = (a >> 64, a & LOW, b >> 64, b & LOW);
    let (cross_a, cross_b) = (a1 * b0, a0 * b1);
    let middle = ((a0 * b0) >> 64) + (cross_a & LOW) + (cross_b & LOW);
    a1 * b1 + (cross_a >> 64) + (cross_b >> 64) + (middle >> 64)
}

/// `floor(numerator 2^bits / denominator)` for `numerator < denominator < 2^127`, by long division.
pub(super) fn fraction(numerator: u128, denominator: u128, bits: u32) -> u128 {
    debug_assert!(numerator < denominator && denominator < 1 << 127 && bits <= 127);
    let (mut remainder, mut quotient) = (numerator, 0);
    for _ in 0..bits {
        remainder <<= 1;
        let bit = u128::from(remainder >= denominator);
        remainder -= denominator * bit;
        quotient = quotient << 1 | bit;
    }
    quotient
}

/// `exp(-numerator/denominator)` with 120 fractional bits, off by less than `2^-117`; 0 when it is below
/// `2^-120`. `denominator < 2^127`.
///
/// `t = k ln 2 + r`, `exp(-t) = 2^-k exp(-r)`, and `exp(-r)` by its Taylor series to the 34th power,
/// whose remainder at `r < ln 2` is below `2^-145`.
pub(super) fn exp_neg(numerator: u128, denominator: u128) -> u128 {
    let whole = numerator / denominator;
    if whole >= 84 {
        return 0; // exp(-84) < 2^-121
    }
    let t = whole << EXP_BITS | fraction(numerator % denominator, denominator, EXP_BITS);
    let (k, r) = (t / LN2_Q120, t % LN2_Q120);
    const ONE: u128 = 1 << 127;
    let r = r << 7;
    let mut series = ONE;
    for i in (1..=34).rev() {
        // Horner: 1 - r/1 (1 - r/2 (1 - r/3 ( ... ))), 127 fractional bits.
        series = ONE - (mul_high(r / i, series) << 1);
    }
    series >> 7 >> k
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ln2_is_its_series() {
        // ln 2 = sum 1/(i 2^i), to 126 bits.
        let sum: u128 = (1..=126u128).map(|i| (1u128 << 126 >> i) / i).sum();
        assert!((sum >> 6).abs_diff(LN2_Q120) <= 4);
    }

    #[test]
    fn exponential_of_known_arguments() {
        // floor(exp(-x) 2^120), from 80 decimal digits.
        for (numerator, denominator, expected) in KNOWN {
            assert!(
                exp_neg(numerator, denominator).abs_diff(expected) <= 8,
                "exp(-{numerator}/{denominator})"
            );
        }
        assert_eq!(exp_neg(0, 5), 1 << 120);
        assert_eq!(exp_neg(200, 1), 0);
    }

    #[test]
    fn wide_products() {
        assert_eq!(mul_high(u128::MAX, u128::MAX), u128::MAX - 1);
        assert_eq!(mul_high(1 << 127, 1 << 127), 1 << 126);
        assert_eq!(mul_high(3, 5), 0);
    }

    const KNOWN: [(u128, u128, u128); 5] = [
        (1, 8, 1_173_039_589_108_917_891_863_411_525_073_984_842),
        (1, 1, 488_995_652_278_791_141_083_010_649_602_151_673),
        (81, 40, 175_449_911_636_508_020_341_656_901_108_043_253),
        (1000, 37, 2_431_704_394_274_174_481_233_655),
        (83, 1, 1),
    ];
}
