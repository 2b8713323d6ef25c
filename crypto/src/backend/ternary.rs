//! Products with a ternary matrix `R` that is expanded from bytes (`docs/crypto-table.md`, section 3), written once
//! over [`Bytes`]: sums by table lookups in registers, four entries of `R` at a time.
//!
//! **Tiles.** A tile is 32 coordinates of all rows: for every eight rows 64 bytes, of which bytes `2 c` and `2 c + 1`
//! are the bits `a` and `b` of coordinate `c`, bit `i` for row `i` of the eight; `R = a - b`.
//!
//! **[`combine`]**, `lambda R`: four rows have sixteen subset sums, the same for every coordinate. Half a byte of a
//! tile is the index; lanes are coordinates; the subset sums are looked up as four limbs of 8 bits. Because `a` and `b`
//! of a coordinate are neighbours, one instruction subtracts and widens.
//!
//! **[`project`]**, `R v`: four coordinates have sixteen subset sums, the same for every row. A tile is first turned
//! over, so that half a byte has four coordinates of a row: an 8 by 8 transposition of byte pairs, then 4 by 4
//! transpositions of bits by exchanges between registers. Lanes are then rows. Sums are modulo `2^32`: the lowest two
//! limbs are widened before they overflow, the others may wrap where they are.
//!
//! Limbs of 8 bits in sums of 16: a difference is at most 255, and 128 of them fit ([`CHUNK`], [`MAX_ROWS`]).

use super::bytes::Bytes;
use crate::field;
use crate::params::Q;
use crate::secret::wipe;

/// Coordinates of a tile.
pub(crate) const TILE: usize = 32;

/// Most coordinates that [`project`] is given at once, a multiple of 64: their bytes stay in the first cache.
pub(crate) const CHUNK: usize = 256;

/// Most rows that a matrix can have.
pub(crate) const MAX_ROWS: usize = 512;

/// Most bytes that a vector has.
const WIDEST: usize = 64;

/// The subset sums of two vectors `lambda`, four entries at a time.
pub(crate) struct LambdaTables {
    /// `words[4-row group][lambda][subset]`, canonical.
    pub(crate) words: Vec<[[u32; 16]; 2]>,
    /// `limbs[4-row group][4 lambda + limb][subset]`.
    limbs: Vec<[[u8; 16]; 8]>,
}

impl LambdaTables {
    /// The tables of canonical vectors of equal lengths, a multiple of four.
    pub(crate) fn new(lambdas: [&[u32]; 2]) -> LambdaTables {
        let [first, second] = lambdas.map(|lambda| lambda.chunks_exact(4));
        let (mut words, mut limbs) = (Vec::new(), Vec::new());
        for pair in first.zip(second) {
            let sums = [subset_sums(pair.0), subset_sums(pair.1)];
            let mut bytes = [[0; 16]; 8];
            for (at, table) in bytes.iter_mut().enumerate() {
                for (byte, sum) in table.iter_mut().zip(sums[at / 4]) {
                    *byte = sum.to_le_bytes()[at % 4];
                }
            }
            words.push(sums);
            limbs.push(bytes);
        }
        LambdaTables { words, limbs }
    }
}

/// The sums of all subsets of four elements; bit `i` of the index tells whether element `i` is in it.
fn subset_sums(four: &[u32]) -> [u32; 16] {
    let mut sums = [0; 16];
    for (i, &element) in four.iter().enumerate() {
        for subset in 0..1 << i {
            sums[subset | 1 << i] = field::add(sums[subset], element);
        }
    }
    sums
}

/// Where [`project`] keeps row `row` of the result.
pub(crate) const fn place(row: usize) -> usize {
    let (group, eight, half, r) = (row / 64, row / 8 % 8, row / 4 % 2, row % 4);
    64 * group + 16 * r + 8 * half + eight
}

/// `sum_k limbs[k] 256^k`, canonical.
#[inline(always)]
pub(super) fn recompose(limbs: [i16; 4]) -> u32 {
    let [low, mid, high, top] = limbs.map(i32::from);
    let upper = high + (top << 8);
    // 2^16 upper, by 2^32 = 2^20 - 1 for what of it is above bit 32.
    let carry = upper >> 16;
    let signed = low + (mid << 8) + (carry << 20) - carry;
    let shifted = (upper as u32 & 0xffff) << 16;
    let shifted = shifted.min(shifted.wrapping_sub(Q));
    field::add(shifted, field::from_i32(signed))
}

/// The columns of `tiles` combined with both vectors: `out[i][j] = sum_row lambda_i[row] R[row][j] mod q`. For public
/// data.
#[inline(always)]
pub(super) fn combine<S: Bytes>(s: S, tiles: &[u8], tables: &LambdaTables, out: [&mut [u32]; 2]) {
    let eights = tables.limbs.len() / 2;
    let [first, second] = out.map(|out| out.chunks_exact_mut(TILE));
    let nibbles = s.splat(0x0f0f_0f0f);
    for (tile, (first, second)) in tiles.chunks_exact(64 * eights).zip(first.zip(second)) {
        let mut sums = [[0i16; TILE]; 8];
        for part in 0..64 / S::WIDTH {
            let at = part * S::WIDTH;
            let mut acc = [s.splat(0); 8];
            for (bytes, tables) in tile.chunks_exact(64).zip(tables.limbs.chunks_exact(2)) {
                let both = s.load_bytes(&bytes[at..at + S::WIDTH]);
                let low = s.and(both, nibbles);
                let high = s.and(s.right(4, both), nibbles);
                for (acc, table) in acc.iter_mut().zip(&tables[0]) {
                    *acc = s.add_differences(*acc, s.lookup(s.broadcast(table), low));
                }
                for (acc, table) in acc.iter_mut().zip(&tables[1]) {
                    *acc = s.add_differences(*acc, s.lookup(s.broadcast(table), high));
                }
            }
            let bias = S::BIAS.wrapping_mul(2 * eights as u16);
            let mut buffer = [0u8; WIDEST];
            for (acc, sums) in acc.into_iter().zip(&mut sums) {
                s.store_bytes(&mut buffer, acc);
                let words = buffer[..S::WIDTH].chunks_exact(2);
                for (sum, le) in sums[at / 2..].iter_mut().zip(words) {
                    *sum = u16::from_le_bytes([le[0], le[1]]).wrapping_sub(bias) as i16;
                }
            }
        }
        let [a0, a1, a2, a3, b0, b1, b2, b3] = &sums;
        for c in 0..TILE {
            first[c] = recompose([a0[c], a1[c], a2[c], a3[c]]);
            second[c] = recompose([b0[c], b1[c], b2[c], b3[c]]);
        }
    }
}

/// Adds `R v` modulo `2^32` to `z`, whose rows are at their [`place`]s. `v` is a multiple of 64 long and at most [`CHUNK`];
/// `tiles` are its tiles, and are overwritten. In time independent of `v` and `z`.
#[inline(always)]
pub(super) fn project<S: Bytes>(s: S, tiles: &mut [u8], v: &[i32], z: &mut [i32]) {
    let tile_len = 8 * z.len();
    let mut tables = [0u8; 16 * CHUNK];
    coordinate_tables(s, v, &mut tables);
    for sixty_four in tiles.chunks_exact_mut(512) {
        turn_over(s, sixty_four);
    }
    let nibbles = s.splat(0x0f0f_0f0f);
    let zero = s.splat(0);
    let mut sums = [[0u8; WIDEST]; 4];
    let mut totals = [0i32; WIDEST / 2];
    for (rows, z) in z.chunks_exact_mut(16).enumerate() {
        let (group, r) = (rows / 4, rows % 4);
        let (mut low, mut high) = ([zero; 4], [zero; 4]);
        let mut slots = 0u16;
        for (tile, tables) in tiles.chunks_exact(tile_len).zip(tables.as_chunks().0) {
            let tables: &[u8; 16 * TILE] = tables;
            let (eights, _) = tile[512 * group..512 * (group + 1)].as_chunks::<64>();
            for slot in 0..128 / S::WIDTH {
                let (part, q) = (slot / 2, slot % 2);
                let both = s.load_bytes(&eights[4 * q + r][part * S::WIDTH..]);
                let first = s.and(both, nibbles);
                let second = s.and(s.right(4, both), nibbles);
                for limb in 0..4 {
                    let table = s.load_bytes(&tables[(4 * slot + limb) * S::WIDTH..]);
                    let (x, y) = (s.lookup(table, first), s.lookup(table, second));
                    if limb < 3 {
                        low[limb] = s.add_differences(low[limb], x);
                        high[limb] = s.add_differences(high[limb], y);
                    } else {
                        low[limb] = s.add_bytes(low[limb], x);
                        high[limb] = s.add_bytes(high[limb], y);
                    }
                }
            }
            slots = slots.wrapping_add((128 / S::WIDTH) as u16);
        }
        let bias = S::BIAS.wrapping_mul(slots);
        for (acc, z) in [low, high].into_iter().zip(z.as_chunks_mut::<8>().0) {
            for (acc, sums) in acc.into_iter().zip(&mut sums) {
                s.store_bytes(sums, acc);
            }
            let word = |limb: usize, i: usize| {
                u16::from_le_bytes([sums[limb][2 * i], sums[limb][2 * i + 1]])
            };
            let sum = |limb: usize, i: usize| i32::from(word(limb, i).wrapping_sub(bias) as i16);
            for (i, total) in totals[..S::WIDTH / 2].iter_mut().enumerate() {
                // The highest limb was not subtracted on the way.
                let ab = i32::from(word(3, i));
                let top = (ab << 24).wrapping_sub((ab & 0xff00) << 16);
                let lower = sum(0, i) + (sum(1, i) << 8);
                *total = lower.wrapping_add((sum(2, i) << 16).wrapping_add(top));
            }
            for totals in totals[..S::WIDTH / 2].as_chunks::<8>().0 {
                for (z, total) in z.iter_mut().zip(totals) {
                    *z = z.wrapping_add(*total);
                }
            }
        }
    }
    wipe(&mut totals);
    wipe(&mut tables);
    wipe(sums.as_flattened_mut());
}

/// The subset sums of every four coordinates, in the order in which [`project`] meets them: a *slot* is four vectors, one
/// a limb; its lanes are the four coordinates `8 lane + 4 q ..` of a part of a tile.
#[inline(always)]
fn coordinate_tables<S: Bytes>(s: S, v: &[i32], tables: &mut [u8; 16 * CHUNK]) {
    let lanes = S::WIDTH / 16;
    let batches = tables.chunks_exact_mut(16 * S::WIDTH);
    let mut words = [[0u32; 16]; 4];
    for (v, tables) in v.chunks_exact(16 * lanes).zip(batches) {
        // Four slots at a time: word `slot` of a lane.
        for lane in 0..lanes {
            for slot in 0..4 {
                let four = 2 * lanes * (slot / 2) + 2 * lane + slot % 2;
                for i in 0..4 {
                    words[i][4 * lane + slot] = v[4 * four + i] as u32;
                }
            }
        }
        let mut sums = [s.splat(0); 16];
        for i in 0..4 {
            let coordinate = s.load(&words[i]);
            for subset in 0..1 << i {
                sums[subset | 1 << i] = s.add(sums[subset], coordinate);
            }
        }
        // From (subset; slot, limb) to (slot, limb; subset): four perfect shuffles.
        for _ in 0..4 {
            let old = sums;
            for i in 0..8 {
                (sums[2 * i], sums[2 * i + 1]) = s.zip_bytes(old[i], old[i + 8]);
            }
        }
        for (table, sum) in tables.chunks_exact_mut(S::WIDTH).zip(sums) {
            s.store_bytes(table, sum);
        }
    }
    wipe(words.as_flattened_mut());
}

/// Turns 64 rows of a tile over, from (eight; coordinate, row of the eight) to (coordinate / 4, row mod 4; eight, row / 4,
/// coordinate mod 4), lane by lane.
#[inline(always)]
fn turn_over<S: Bytes>(s: S, sixty_four: &mut [u8]) {
    for part in 0..64 / S::WIDTH {
        let at = part * S::WIDTH;
        let mut rows = [s.splat(0); 8];
        for (i, row) in rows.iter_mut().enumerate() {
            *row = s.load_bytes(&sixty_four[64 * i + at..]);
        }
        // From (eight; coordinate) to (coordinate; eight): three perfect shuffles.
        for _ in 0..3 {
            let old = rows;
            for i in 0..4 {
                (rows[2 * i], rows[2 * i + 1]) = s.zip_pairs(old[i], old[i + 4]);
            }
        }
        for four in rows.chunks_exact_mut(4) {
            for (distance, mask) in [(2, 0x3333_3333), (1, 0x5555_5555)] {
                for pair in 0..2 {
                    let x = if distance == 2 { pair } else { 2 * pair };
                    let y = x + distance;
                    let shifted = s.right(distance, four[x]);
                    let moved = s.and(s.xor(shifted, four[y]), s.splat(mask));
                    four[y] = s.xor(four[y], moved);
                    four[x] = s.xor(four[x], s.left(distance, moved));
                }
            }
        }
        for (i, row) in rows.into_iter().enumerate() {
            s.store_bytes(&mut sixty_four[64 * i + at..], row);
        }
    }
}
