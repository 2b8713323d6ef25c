//! Kernels in plain Rust from which the compiler makes vectors; every vector backend compiles them for its instructions.
//!
//! - The softmax in lanes of 32 bits: the integers of [`crate::softmax`] for logits that are narrow sums, without a branch that
//!   depends on a value. The portable backend does what the definition says.
//! - Columns of a batch as operands of products over the batch, and their sums: moves and additions, the same code for all.

use super::shapes::{Columns, LANES, Logits};
use crate::softmax::{EXP2, LOG2_E, PROBABILITY_BITS, Total};

/// 32 nats in units of 2^-16: beyond them an exponential is zero.
pub(super) const FAR: u32 = 32 << 16;
/// `LOG2_E` is `2^32` and this, so that `(d LOG2_E) >> 32` is `d` and a product of 32 bits each.
pub(super) const LOG2_E_REST: u64 = LOG2_E - (1 << 32);
/// The inverse of a sum of exponentials is in units of `2^-INVERSE_BITS`. A sum is at least 2^31, the inverse below 2^32.
pub(super) const INVERSE_BITS: u32 = 63;
/// A product with the inverse to units of a probability.
pub(super) const PROBABILITY_SHIFT: u32 = INVERSE_BITS - PROBABILITY_BITS;

/// [`EXP2`], and in the upper half what the next entry is less, below 2^23: one look-up for both.
pub(super) const STEPS: [u64; 256] = {
    let mut steps = [0; 256];
    let mut place = 0;
    while place < 256 {
        let (high, low) = (EXP2[place], EXP2[place + 1]);
        steps[place] = high as u64 | ((high - low) as u64) << 32;
        place += 1;
    }
    steps
};

/// An exponential in units of 2^-31 of a distance in units of 2^-16.
#[inline(always)]
fn exponential(distance: u32) -> u32 {
    let exponent = distance + ((u64::from(distance) * LOG2_E_REST) >> 32) as u32;
    let place = ((exponent >> 8) & 0xff) as usize;
    let (high, step) = (STEPS[place] as u32, (STEPS[place] >> 32) as u32);
    let value = high - ((step * (exponent & 0xff)) >> 8);
    let whole = exponent >> 16;
    if whole < u32::BITS { value >> whole } else { 0 }
}

/// [`super::Kernels::gradient`]. Its loops are as long as what they go over: of loops of a constant length the compiler makes
/// straight code before it looks for vectors.
#[inline(always)]
pub(super) fn gradient(logits: &mut Logits<'_>, values: &mut [i32]) -> u32 {
    let width = logits.check(values);
    let (classes, shift) = (logits.classes, logits.shift);
    for row in values.chunks_exact_mut(width) {
        let largest = row[..classes]
            .iter()
            .fold(i32::MIN, |all, &value| all.max(value));
        for value in row {
            let distance = largest.wrapping_sub(*value).cast_unsigned();
            // `(distance + 2^(shift-1)) >> shift`, and no sum leaves the 32 bits.
            let distance = (((distance >> (shift - 1)) + 1) >> 1).min(FAR);
            *value = distance.cast_signed();
        }
    }
    for value in &mut *values {
        *value = exponential(value.cast_unsigned()).cast_signed();
    }
    for (row, total) in values.chunks_exact_mut(width).zip(&mut *logits.totals) {
        total.sum = 0;
        for (class, value) in row.iter_mut().enumerate() {
            *value = if class < classes { *value } else { 0 };
            total.sum += u64::from(value.cast_unsigned());
        }
    }
    // All divisions, so that none has to wait for the end of its own row.
    for total in &mut *logits.totals {
        total.inverse = ((1 << INVERSE_BITS) - 1) / total.sum;
    }
    let mut magnitudes = 0;
    let rows = values.chunks_exact_mut(width);
    for ((row, total), &label) in rows.zip(&*logits.totals).zip(logits.labels) {
        // The label is compared with every class: a vector is not read back where a single lane was just written.
        for (class, value) in row.iter_mut().enumerate() {
            let own = i32::from(class == usize::from(label)) << PROBABILITY_BITS;
            *value = probability(value.cast_unsigned(), total) - own;
            magnitudes |= value.unsigned_abs();
        }
    }
    magnitudes
}

/// `floor((e 2^24 + floor(sum / 2)) / sum)`. The product with the inverse is at most one too small: `e <= 2^31`, so that what
/// the inverse lacks, below one unit, counts less than `2^-7`; and it is never too large, because `e 2^24 / sum + 1/2` passes
/// a whole number together with the quotient.
#[inline(always)]
fn probability(exponential: u32, total: &Total) -> i32 {
    let exponential = u64::from(exponential);
    let inverse = u64::from(total.inverse as u32);
    let quotient = (exponential * inverse + (1 << (PROBABILITY_SHIFT - 1))) >> PROBABILITY_SHIFT;
    let rest = (exponential << PROBABILITY_BITS) + (total.sum >> 1) - quotient * total.sum;
    (quotient + u64::from(rest >= total.sum)) as i32
}

/// [`super::Kernels::interleave`] with `N` of [`ROWS`](super::ROWS), [`super::Kernels::panels`] with `N` of [`LANES`]; `PAIRS` is
/// twice that.
#[inline(always)]
pub(super) fn pair_rows<const N: usize, const PAIRS: usize>(c: &Columns<'_>, out: &mut [i16]) {
    let (groups, pairs) = (c.width.div_ceil(N), c.rows.div_ceil(2));
    let (out, _) = out[..groups * pairs * PAIRS].as_chunks_mut::<PAIRS>();
    for pair in 0..pairs {
        let groups_of = |row: usize| {
            let row = &c.mantissas[row * c.stride..][..groups * N];
            row.as_chunks::<N>().0
        };
        let (even, odd) = (groups_of(2 * pair), groups_of(2 * pair + 1));
        let alone = 2 * pair + 1 == c.rows;
        for (group, (even, odd)) in even.iter().zip(odd).enumerate() {
            let (even, odd) = (*even, if alone { [0; N] } else { *odd });
            // By way of a local array, of which the compiler makes vectors.
            let mut both = [0; PAIRS];
            for i in 0..N {
                both[2 * i] = even[i];
                both[2 * i + 1] = odd[i];
            }
            out[group * pairs + pair] = both;
        }
    }
}

/// [`super::Kernels::column_sums`].
#[inline(always)]
pub(super) fn column_sums(c: &Columns<'_>, sums: &mut [i32]) {
    let (sums, _) = sums.as_chunks_mut::<LANES>();
    for (panel, sums) in sums.iter_mut().enumerate() {
        let mut of_panel = [0i32; LANES];
        for row in c.mantissas.chunks_exact(c.stride).take(c.rows) {
            for (sum, &mantissa) in of_panel.iter_mut().zip(&row[panel * LANES..][..LANES]) {
                *sum += i32::from(mantissa);
            }
        }
        *sums = of_panel;
    }
}
