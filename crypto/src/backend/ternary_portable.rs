//! The operations of [`super::ternary`] in plain Rust, on words: the oracle of the vector kernels. The layout of
//! tiles is explained there.

use super::ternary::{LambdaTables, TILE, place};
use crate::field;
use crate::params::Q;
use crate::secret::wipe;

/// `out[i][j] = sum_row lambda_i[row] R[row][j] mod q`.
pub(super) fn combine(tiles: &[u8], tables: &LambdaTables, out: [&mut [u32]; 2]) {
    let eights = tables.words.len() / 2;
    let [first, second] = out.map(|out| out.chunks_exact_mut(TILE));
    for (tile, out) in tiles.chunks_exact(64 * eights).zip(first.zip(second)) {
        let mut sums = [[0i64; TILE]; 2];
        for (bytes, tables) in tile.chunks_exact(64).zip(tables.words.chunks_exact(2)) {
            for (c, ab) in bytes.chunks_exact(2).enumerate() {
                let (a, b) = (usize::from(ab[0]), usize::from(ab[1]));
                for (lambda, sums) in sums.iter_mut().enumerate() {
                    let (low, high) = (&tables[0][lambda], &tables[1][lambda]);
                    let plus = i64::from(low[a & 15]) + i64::from(high[a >> 4]);
                    let minus = i64::from(low[b & 15]) + i64::from(high[b >> 4]);
                    sums[c] += plus - minus;
                }
            }
        }
        for (out, sums) in [out.0, out.1].into_iter().zip(sums) {
            for (out, sum) in out.iter_mut().zip(sums) {
                // At most 2^7 terms below q in magnitude: not negative with 2^8 q more.
                *out = field::reduce((sum + (i64::from(Q) << 8)) as u64);
            }
        }
    }
}

/// An 8 by 8 matrix of bits, byte a row, transposed.
fn transpose(mut x: u64) -> u64 {
    for (distance, mask) in [
        (7, 0x00aa_00aa_00aa_00aa),
        (14, 0x0000_cccc_0000_cccc),
        (28, 0x0000_0000_f0f0_f0f0),
    ] {
        let moved = (x ^ (x >> distance)) & mask;
        x ^= moved ^ (moved << distance);
    }
    x
}

/// Adds `R v` modulo `2^32` to `z`, whose rows are at their [`place`]s. Indices depend on `R` only, which is public.
pub(super) fn project(tiles: &[u8], v: &[i32], z: &mut [i32]) {
    let mut tables = [[0i32; 16]; TILE / 4];
    for (tile, v) in tiles.chunks_exact(8 * z.len()).zip(v.chunks_exact(TILE)) {
        for (table, four) in tables.iter_mut().zip(v.chunks_exact(4)) {
            for (i, &coordinate) in four.iter().enumerate() {
                for subset in 0..1 << i {
                    table[subset | 1 << i] = table[subset].wrapping_add(coordinate);
                }
            }
        }
        for (eight, bytes) in tile.chunks_exact(64).enumerate() {
            let mut sums = [0i32; 8];
            for (coordinates, tables) in bytes.chunks_exact(16).zip(tables.chunks_exact(2)) {
                let bits = |first: usize| {
                    let of = |c: usize| coordinates[2 * c + first];
                    transpose(u64::from_le_bytes(core::array::from_fn(of))).to_le_bytes()
                };
                for (sum, (a, b)) in sums.iter_mut().zip(bits(0).into_iter().zip(bits(1))) {
                    let (a, b) = (usize::from(a), usize::from(b));
                    let plus = tables[0][a & 15].wrapping_add(tables[1][a >> 4]);
                    let minus = tables[0][b & 15].wrapping_add(tables[1][b >> 4]);
                    *sum = sum.wrapping_add(plus).wrapping_sub(minus);
                }
            }
            for (i, sum) in sums.iter().enumerate() {
                let z = &mut z[place(8 * eight + i)];
                *z = z.wrapping_add(*sum);
            }
            wipe(&mut sums);
        }
    }
    wipe(tables.as_flattened_mut());
}
