//! Products with ternary matrices: the kernels at every width, and every backend against the portable one.

use super::bytes::Bytes;
use super::emulated::Emulated;
use super::ternary::*;
use super::tests::{cases, only_on, others};
use super::{BackendKind, active, ternary_portable};
use crate::params::Q;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

#[test]
fn places_are_a_permutation() {
    let mut seen = [false; MAX_ROWS];
    for row in 0..MAX_ROWS {
        assert!(!core::mem::replace(&mut seen[place(row)], true));
    }
}

#[test]
fn limbs_recompose_at_their_bounds() {
    for bits in 0..81 {
        let [a, b, c, d] = [1, 3, 9, 27].map(|p| [-32640, 0, 32640][bits / p % 3]);
        let wide = [a, b, c, d]
            .iter()
            .rev()
            .fold(0, |sum, &limb| (sum << 8) + i64::from(limb));
        let expected = wide.rem_euclid(i64::from(Q)) as u32;
        assert_eq!(recompose([a, b, c, d]), expected, "{a} {b} {c} {d}");
    }
}

/// The kernels on vectors of every width, emulated: also those that this processor does not have.
#[test]
fn kernels_are_right_at_every_width() {
    fn check<S: Bytes>(s: S, rng: &mut ChaCha20Rng) {
        for (rows, columns) in [(64, 64), (128, 192), (256, CHUNK), (MAX_ROWS, CHUNK)] {
            // Random, and the two matrices whose limbs are the largest: all 1, all -1.
            for fill in [None, Some([0xff, 0]), Some([0, 0xff])] {
                let mut tiles = vec![0; columns * rows / 4];
                rng.fill_bytes(&mut tiles);
                if let Some(ab) = fill {
                    tiles
                        .chunks_exact_mut(2)
                        .for_each(|two| two.copy_from_slice(&ab));
                }
                let lambda = |rng: &mut ChaCha20Rng| -> Vec<u32> {
                    (0..rows).map(|_| rng.next_u32() % Q).collect()
                };
                for lambdas in [
                    [lambda(rng), lambda(rng)],
                    [vec![Q - 1; rows], vec![0; rows]],
                    [vec![0x00ff_ffff; rows], vec![0x3fff_ffff; rows]],
                ] {
                    let tables = LambdaTables::new([&lambdas[0], &lambdas[1]]);
                    let mut expected = [vec![1; columns], vec![2; columns]];
                    let mut got = [vec![3; columns], vec![4; columns]];
                    let out = expected.each_mut().map(|out| &mut out[..]);
                    ternary_portable::combine(&tiles, &tables, out);
                    combine(s, &tiles, &tables, got.each_mut().map(|out| &mut out[..]));
                    assert!(got == expected, "{} lanes, {rows} rows", S::LANES);
                }
                let any = |rng: &mut ChaCha20Rng, len: usize| -> Vec<i32> {
                    (0..len).map(|_| rng.next_u32() as i32).collect()
                };
                for v in [
                    any(rng, columns),
                    vec![i32::MIN; columns],
                    vec![0x3fff_ffff; columns],
                ] {
                    let mut expected = any(rng, rows);
                    let mut got = expected.clone();
                    ternary_portable::project(&tiles, &v, &mut expected);
                    project(s, &mut tiles.clone(), &v, &mut got);
                    assert!(got == expected, "{} lanes, {rows} rows", S::LANES);
                }
            }
        }
    }

    let mut rng = ChaCha20Rng::seed_from_u64(4);
    check(Emulated::<4>, &mut rng);
    check(Emulated::<8>, &mut rng);
    check(Emulated::<16>, &mut rng);
}

#[test]
fn same_products_on_every_backend() {
    let mut rng = ChaCha20Rng::seed_from_u64(5);
    let edges = [0, 1, -1, 255, 256, i32::MIN, i32::MAX];
    for case in 0..cases(1000).div_ceil(20) {
        let rows = 64 * (1 + rng.next_u32() as usize % 8);
        let columns = 64 * (1 + rng.next_u32() as usize % (CHUNK / 64));
        let mut tiles = vec![0; columns * rows / 4];
        rng.fill_bytes(&mut tiles);
        let lambda = |rng: &mut ChaCha20Rng| -> Vec<u32> {
            let word = |_| match rng.next_u32() % 4 {
                0 => Q - 1,
                1 => 0x00ff_ffff,
                _ => rng.next_u32() % Q,
            };
            (0..rows).map(word).collect()
        };
        let tables = LambdaTables::new([&lambda(&mut rng), &lambda(&mut rng)]);
        let mut signed = |len: usize| -> Vec<i32> {
            let value = |_| match rng.next_u32() % 4 {
                0 => edges[rng.next_u32() as usize % edges.len()],
                _ => rng.next_u32() as i32,
            };
            (0..len).map(value).collect()
        };
        let (v, z) = (signed(columns), signed(rows));
        let run = || {
            let mut w = [vec![0; columns], vec![0; columns]];
            active().combine(&tiles, &tables, w.each_mut().map(|w| &mut w[..]));
            let mut z = z.clone();
            active().project(&mut tiles.clone(), &v, &mut z);
            (w, z)
        };
        let expected = only_on(BackendKind::Portable, run);
        for kind in others() {
            assert!(only_on(kind, run) == expected, "{kind}, case {case}");
        }
    }
}
