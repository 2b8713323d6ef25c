//! An update without its part against a direction (`docs/learning.md`, section 6): what a device sends where the task's
//! functional is the direction of the last accepted update (`docs/protocol.md`, section 4.5).

use alloc::vec::Vec;

/// How many roots of the dimension rounding can add to a norm: see [`along`].
const MARGIN: u64 = 4;

/// The least clip bound for updates of so many coordinates: rounding must not take more than half of it.
#[must_use]
pub fn least_clip(coordinates: usize) -> u32 {
    let root = root_up(coordinates as u128);
    u32::try_from(2 * u128::from(MARGIN) * root).expect("at most 2^32 coordinates")
}

/// `x` when `<g, x> >= 0`, otherwise `x` without its component along `g`, rounded so that the product is surely not below 0
/// and the norm not above `clip`. Both are computed, and one of them is taken without a branch, so that the time
/// does not show which.
///
/// With `p = <g, x> < 0`: `y = s (x - p / ||g||^2 g)`, where `s <= 1` makes `||y|| <= clip - 4 ceil(sqrt(d))`; rounded to
/// nearest, which changes the product by at most `||g|| (sqrt(d)/2 + 1/8)`; then `sign(g_i) ceil(k abs(g_i) / floor(||g||))`
/// is added, `k = ceil(sqrt(d)/2) + 1`, which adds at least `k ||g||` to the product and less than `2 sqrt(d) + 2` to the norm.
///
/// `x` has a norm of at most `clip`, `clip` is below `2^30` and at least [`least_clip`], `||g||` is below `2^31`.
///
/// # Panics
/// When the lengths differ, or `clip` is too small.
#[must_use]
pub fn along(g: &[i32], x: &[i32], clip: u32) -> Vec<i32> {
    assert_eq!(
        g.len(),
        x.len(),
        "a coordinate of the direction for each of the update"
    );
    assert!(
        clip >= least_clip(g.len()),
        "the clip bound has room for rounding"
    );
    let product: i64 = g
        .iter()
        .zip(x)
        .map(|(&g, &x)| i64::from(g) * i64::from(x))
        .sum();
    let squares: u128 = g.iter().map(|&g| u128::from(g.unsigned_abs()).pow(2)).sum();
    // A direction of zeros opposes nothing; 1 keeps the divisions defined.
    let squares = squares.max(1);
    // 62 fraction bits: at most 2^-62 too small, which g makes 2^-31 of a unit.
    let away = (u128::from(product.min(0).unsigned_abs()) << 62) / squares;
    let away = i128::try_from(away).expect("a product is at most 2^30 times the norm");
    // 16 fraction bits, rounded down.
    let turned = |g: i32, x: i32| (i128::from(x) << 16) + ((away * i128::from(g)) >> 46);
    let norm = root_up(
        g.iter()
            .zip(x)
            .map(|(&g, &x)| turned(g, x).unsigned_abs().pow(2))
            .sum(),
    );
    let root = root_up(g.len() as u128);
    let target = (u128::from(clip) - u128::from(MARGIN) * root) << 16;
    // 31 fraction bits, at most one.
    let scale = ((target.min(norm) << 31) / norm.max(1)) as i128;
    let k = (root.div_ceil(2) + 1) as i128;
    let floor = squares.isqrt() as i128;
    let opposed = i32::from(product < 0).wrapping_neg();
    let entries = g.iter().zip(x).map(|(&g, &x)| {
        let nearest = (turned(g, x) * scale + (1 << 46)) >> 47;
        let up = (k * i128::from(g.unsigned_abs()) + floor - 1) / floor;
        let value = (nearest + up * i128::from(g.signum())) as i32;
        x ^ ((x ^ value) & opposed)
    });
    entries.collect()
}

/// The square root, rounded up.
fn root_up(x: u128) -> u128 {
    let root = x.isqrt();
    root + u128::from(root * root < x)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn dot(a: &[i32], b: &[i32]) -> i64 {
        a.iter()
            .zip(b)
            .map(|(&a, &b)| i64::from(a) * i64::from(b))
            .sum()
    }

    fn squared(x: &[i32]) -> u128 {
        x.iter().map(|&x| u128::from(x.unsigned_abs()).pow(2)).sum()
    }

    #[test]
    fn only_what_is_against_the_direction_goes() {
        // With the direction, across it, and no direction: as it was.
        assert_eq!(along(&[3, 4], &[50, 1], 100), [50, 1]);
        assert_eq!(along(&[3, 4], &[-40, 30], 100), [-40, 30]);
        assert_eq!(along(&[0, 0], &[-40, 30], 100), [-40, 30]);
        assert_eq!(along(&[3, 4], &[0, 0], 100), [0, 0]);
        // Against it: next to nothing is left.
        assert_eq!(along(&[100, 0], &[-90, 0], 100), [2, 0]);
        // What is across stays: (-70, 10) is -3.4 times (3, 4) and (-59.8, 23.6).
        let left = along(&[300, 400], &[-70, 10], 100);
        assert!(
            (left[0] + 44).abs() <= 6 && (left[1] - 33).abs() <= 6,
            "{left:?}"
        );
        assert!(dot(&[300, 400], &left) >= 0);
    }

    #[test]
    fn a_thousand_updates_that_are_nearly_across_a_flat_direction_keep_what_they_say() {
        let d = 1000;
        let g = vec![7; d];
        let clip = 10_000;
        for shift in 0..1000 {
            let x: Vec<i32> = (0..d as i32)
                .map(|i| ((i * 37 + shift) % 601) - 301)
                .collect();
            let kept = along(&g, &x, clip);
            assert!(dot(&g, &kept) >= 0 && squared(&kept) <= u128::from(clip).pow(2));
            let apart: Vec<i32> = x.iter().zip(&kept).map(|(x, kept)| x - kept).collect();
            assert!(squared(&apart) < squared(&x) / 20, "{shift}");
        }
    }

    proptest! {
        #[test]
        fn never_against_and_never_too_long(
            pairs in prop::collection::vec((-(1i32 << 24)..1 << 24, -(1i32 << 24)..1 << 24), 1..60),
            (shift_g, shift_x) in (0u32..24, 0u32..24),
            spare in 0u32..3,
        ) {
            let g: Vec<i32> = pairs.iter().map(|pair| pair.0 >> shift_g).collect();
            let x: Vec<i32> = pairs.iter().map(|pair| pair.1 >> shift_x).collect();
            let clip = u32::try_from(root_up(squared(&x))).unwrap() + spare;
            let clip = clip.max(least_clip(x.len()));
            let kept = along(&g, &x, clip);
            prop_assert!(squared(&kept) <= u128::from(clip).pow(2));
            prop_assert!(dot(&g, &kept) >= 0);
            if dot(&g, &x) >= 0 {
                prop_assert_eq!(kept, x);
            }
        }
    }
}
