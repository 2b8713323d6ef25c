//! The table sampler over [`Simd`]: what [`Cdt::sample`](crate::gaussian::Cdt::sample) computes, one sample a
//! lane.
//!
//! A sample counts the entries `E_i <= u`. With complements `C_i = ~E_i` (decreasing) and `v = ~u` that is
//! `v <= C_i`, and the entries fall into four *levels*: at level `l` the first `l` limbs of 32 bits are zero
//! and the next is not. A level is searched only by that limb, every entry of it; the limbs strictly decrease,
//! so at most one entry, the one after those counted, can be equal there. Its remaining limbs are looked up in
//! registers and compared. A level counts only where the earlier limbs of `v` are zero. Nothing depends on the
//! values: every entry is read, every lane does everything.

use super::simd::Simd;
use crate::gaussian::{LEVELS, LimbTable};

/// Vectors that share one pass over the table.
const GROUP: usize = 2;

/// Fills `out`; `bytes` has 16 for each, and both are whole multiples of 32 samples.
#[inline(always)]
pub(super) fn sample<S: Simd>(s: S, table: &LimbTable, bytes: &[u8], out: &mut [i32]) {
    let outs = out.chunks_exact_mut(GROUP * S::LANES);
    for (bytes, out) in bytes.chunks_exact(16 * GROUP * S::LANES).zip(outs) {
        let zero = s.splat(0);
        let mut v = [[zero; LEVELS]; GROUP];
        let mut signs = [zero; GROUP];
        for (g, bytes) in bytes.chunks_exact(16 * S::LANES).enumerate() {
            let words = s.transpose4(bytes);
            signs[g] = s.sub(zero, s.and(words[0], s.splat(1)));
            // Complement, and the top bit flipped: compared as signed numbers. Bit 64 belongs to no sample and
            // is clear in every C; bit 0 of C is set, so that clearing it here turns <= into <.
            let flip = s.splat(!LimbTable::SIGN);
            v[g][0] = s.xor(words[3], flip);
            v[g][1] = s.and(s.xor(words[2], flip), s.splat(!1));
            v[g][2] = s.xor(words[1], flip);
            v[g][3] = s.and(s.xor(words[0], flip), s.splat(!1));
        }
        let mut totals = [zero; GROUP];
        let all = s.equal(zero, zero);
        let mut reached = [all; GROUP];
        level::<S, 0, 4>(s, table, &v, &mut reached, &mut totals);
        level::<S, 1, 3>(s, table, &v, &mut reached, &mut totals);
        level::<S, 2, 2>(s, table, &v, &mut reached, &mut totals);
        level::<S, 3, 1>(s, table, &v, &mut reached, &mut totals);
        let mut words = [0u32; 16];
        for (g, out) in out.chunks_exact_mut(S::LANES).enumerate() {
            let signed = s.sub(s.xor(totals[g], signs[g]), signs[g]);
            s.store(&mut words, signed);
            for (out, &word) in out.iter_mut().zip(&words) {
                *out = word as i32;
            }
        }
    }
}

/// Adds the entries of level `L`, whose entries have `LIMBS = 4 - L` limbs that are not known to be zero.
#[inline(always)]
#[allow(clippy::needless_range_loop)] // constant bounds, so that the arrays stay in registers
fn level<S: Simd, const L: usize, const LIMBS: usize>(
    s: S,
    table: &LimbTable,
    v: &[[S::V; LEVELS]; GROUP],
    reached: &mut [S::M; GROUP],
    totals: &mut [S::V; GROUP],
) {
    let level = &table.levels[L];
    let zero = s.splat(0);
    let mut counts = [zero; GROUP];
    for &entry in level.entries() {
        let entry = s.splat(entry);
        for (count, v) in counts.iter_mut().zip(v) {
            *count = s.count_greater(*count, entry, v[L]);
        }
    }
    let (none, one) = (s.splat(LimbTable::SIGN), s.splat(1));
    let padded = level.padded().next_multiple_of(S::LANES);
    let tables: [&[u32]; LIMBS] = core::array::from_fn(|k| &level.limbs[k][..]);
    assert!(tables.iter().all(|table| table.len() >= padded));
    for g in 0..GROUP {
        let mut count = counts[g];
        if LIMBS > 1 {
            // The entry that was not counted any more: are its limbs equal here and larger later?
            let mut left = s.shift_right_lanes(count);
            let mut limbs = [none; LIMBS];
            let mut at = 0;
            while at < padded {
                let here = s.equal(left, zero);
                left = s.sub(left, one);
                for k in 0..LIMBS {
                    let found = s.permute(s.load(&tables[k][at..at + S::LANES]), count);
                    limbs[k] = s.select(here, found, limbs[k]);
                }
                at += S::LANES;
            }
            let mut larger = s.greater(limbs[LIMBS - 1], v[g][L + LIMBS - 1]);
            for k in (1..LIMBS - 1).rev() {
                let equal = s.equal(limbs[k], v[g][L + k]);
                let above = s.greater(limbs[k], v[g][L + k]);
                larger = s.either(above, s.both(equal, larger));
            }
            let tie = s.both(s.equal(limbs[0], v[g][L]), larger);
            count = s.add(count, s.keep(tie, one));
        }
        totals[g] = s.add(totals[g], s.keep(reached[g], count));
        reached[g] = s.both(reached[g], s.equal(v[g][L], none));
    }
}
