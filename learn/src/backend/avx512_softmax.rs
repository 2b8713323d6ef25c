//! The softmax of `lanes` by hand for AVX-512: a row of logits of sixteen classes is one vector from the sums to the gradient,
//! with one look-up for two table entries and the divisions of eight rows in two instructions. The same integers.

#![allow(unsafe_code)]

use super::lanes::{FAR, INVERSE_BITS, LOG2_E_REST, PROBABILITY_SHIFT, STEPS};
use super::shapes::{LANES, Logits};
use crate::softmax::{PROBABILITY_BITS, Total};
use core::arch::x86_64::*;

/// [`super::Kernels::gradient`].
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
pub(super) fn gradient(logits: &mut Logits<'_>, values: &mut [i32]) -> u32 {
    let width = logits.check(values);
    let panels = width / LANES;
    // Of the last panel, which may be of fewer classes; the ones before are whole.
    let classes = |panel: usize| -> __mmask16 {
        let left = (logits.classes - panel * LANES).min(LANES);
        (u32::MAX >> (32 - left)) as u16
    };
    for (row, total) in values.chunks_exact_mut(width).zip(&mut *logits.totals) {
        let mut largest = _mm512_set1_epi32(i32::MIN);
        for panel in 0..panels {
            let values = load(row, panel);
            largest = _mm512_mask_max_epi32(largest, classes(panel), largest, values);
        }
        let largest = _mm512_set1_epi32(_mm512_reduce_max_epi32(largest));
        let mut sum = _mm512_setzero_si512();
        for panel in 0..panels {
            let distance = distance(largest, load(row, panel), logits.shift);
            let exponential = _mm512_maskz_mov_epi32(classes(panel), exponential(distance));
            store(row, panel, exponential);
            let even = _mm512_and_si512(exponential, low());
            let odd = _mm512_srli_epi64::<32>(exponential);
            sum = _mm512_add_epi64(sum, _mm512_add_epi64(even, odd));
        }
        total.sum = _mm512_reduce_add_epi64(sum).cast_unsigned();
    }
    invert(logits.totals);
    let mut magnitudes = _mm512_setzero_si512();
    let rows = values.chunks_exact_mut(width);
    for ((row, total), &label) in rows.zip(&*logits.totals).zip(logits.labels) {
        let label = usize::from(label);
        for panel in 0..panels {
            let own = if label / LANES == panel {
                1 << (label % LANES)
            } else {
                0
            };
            let probability = probability(load(row, panel), total);
            let one = _mm512_set1_epi32(1 << PROBABILITY_BITS);
            let gradient = _mm512_mask_sub_epi32(probability, own, probability, one);
            store(row, panel, gradient);
            magnitudes = _mm512_or_si512(magnitudes, _mm512_abs_epi32(gradient));
        }
    }
    _mm512_reduce_or_epi32(magnitudes).cast_unsigned()
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load(row: &[i32], panel: usize) -> __m512i {
    let lanes = &row[panel * LANES..][..LANES];
    // SAFETY: sixteen words are there, and the read needs no alignment.
    unsafe { _mm512_loadu_si512(lanes.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn store(row: &mut [i32], panel: usize, value: __m512i) {
    let lanes = &mut row[panel * LANES..][..LANES];
    // SAFETY: there is room for sixteen words, and the write needs no alignment.
    unsafe { _mm512_storeu_si512(lanes.as_mut_ptr().cast(), value) }
}

/// The low words of 64-bit lanes.
#[inline]
#[target_feature(enable = "avx512f")]
fn low() -> __m512i {
    _mm512_set1_epi64(u32::MAX.into())
}

/// `min((largest - value + 2^(shift-1)) >> shift, FAR)`, in units of 2^-16.
#[inline]
#[target_feature(enable = "avx512f")]
fn distance(largest: __m512i, value: __m512i, shift: u32) -> __m512i {
    let by = _mm512_set1_epi32((shift - 1).cast_signed());
    let halves = _mm512_srlv_epi32(_mm512_sub_epi32(largest, value), by);
    let rounded = _mm512_srli_epi32::<1>(_mm512_add_epi32(halves, _mm512_set1_epi32(1)));
    _mm512_min_epu32(rounded, _mm512_set1_epi32(FAR.cast_signed()))
}

/// `lanes::exponential` in every lane.
#[inline]
#[target_feature(enable = "avx512f")]
fn exponential(distance: __m512i) -> __m512i {
    let rest = _mm512_set1_epi64(LOG2_E_REST.cast_signed());
    let even = _mm512_srli_epi64::<32>(_mm512_mul_epu32(distance, rest));
    let odd = _mm512_mul_epu32(_mm512_srli_epi64::<32>(distance), rest);
    let high = _mm512_mask_blend_epi32(0xaaaa, even, odd);
    let exponent = _mm512_add_epi32(distance, high);
    let byte = _mm512_set1_epi32(0xff);
    let place = _mm512_and_si512(_mm512_srli_epi32::<8>(exponent), byte);
    let steps = STEPS.as_ptr();
    // SAFETY: a place is below 256, the length of the table, whose entries are of eight bytes.
    let (first, second) = unsafe {
        (
            _mm512_i32gather_epi64::<8>(_mm512_castsi512_si256(place), steps.cast()),
            _mm512_i32gather_epi64::<8>(_mm512_extracti64x4_epi64::<1>(place), steps.cast()),
        )
    };
    let words = _mm512_set_epi32(30, 28, 26, 24, 22, 20, 18, 16, 14, 12, 10, 8, 6, 4, 2, 0);
    let value = _mm512_permutex2var_epi32(first, words, second);
    let words = _mm512_or_si512(words, _mm512_set1_epi32(1));
    let step = _mm512_permutex2var_epi32(first, words, second);
    let part = _mm512_mullo_epi32(step, _mm512_and_si512(exponent, byte));
    let value = _mm512_sub_epi32(value, _mm512_srli_epi32::<8>(part));
    // Zero where the shift is 32 and more.
    _mm512_srlv_epi32(value, _mm512_srli_epi32::<16>(exponent))
}

/// `floor((2^INVERSE_BITS - 1) / sum)` for every row. The quotient of doubles is the next whole number at most: it is below 2^32,
/// exact in a double, and a rounded quotient does not fall below a whole number that the true one reaches.
#[inline]
#[target_feature(enable = "avx512f,avx512dq")]
fn invert(totals: &mut [Total]) {
    const EIGHT: usize = 8;
    let numerator = _mm512_set1_pd((1u64 << INVERSE_BITS) as f64);
    let most = _mm512_set1_epi64((u64::MAX >> (u64::BITS - INVERSE_BITS)).cast_signed());
    for totals in totals.chunks_mut(EIGHT) {
        let mut words = [1u64; EIGHT];
        for (word, total) in words.iter_mut().zip(&*totals) {
            *word = total.sum;
        }
        // SAFETY: eight words are there.
        let sums = unsafe { _mm512_loadu_si512(words.as_ptr().cast()) };
        let quotients = _mm512_cvttpd_epu64(_mm512_div_pd(numerator, _mm512_cvtepu64_pd(sums)));
        let rests = _mm512_sub_epi64(most, _mm512_mullo_epi64(quotients, sums));
        let above = _mm512_movepi64_mask(rests);
        let one = _mm512_set1_epi64(1);
        let quotients = _mm512_mask_sub_epi64(quotients, above, quotients, one);
        // SAFETY: there is room for eight words.
        unsafe { _mm512_storeu_si512(words.as_mut_ptr().cast(), quotients) }
        for (word, total) in words.into_iter().zip(totals) {
            total.inverse = word;
        }
    }
}

/// `lanes::probability` in every lane.
#[inline]
#[target_feature(enable = "avx512f,avx512dq")]
fn probability(exponential: __m512i, total: &Total) -> __m512i {
    let word = |word: u64| _mm512_set1_epi64(word.cast_signed());
    let (sum, half) = (word(total.sum), word(total.sum >> 1));
    let (inverse, rounding) = (word(total.inverse), word(1 << (PROBABILITY_SHIFT - 1)));
    // Of words whose upper halves are zero.
    let quotient = |exponential: __m512i| {
        let product = _mm512_add_epi64(_mm512_mul_epu32(exponential, inverse), rounding);
        let quotient = _mm512_srli_epi64::<{ PROBABILITY_SHIFT }>(product);
        let numerator =
            _mm512_add_epi64(_mm512_slli_epi64::<{ PROBABILITY_BITS }>(exponential), half);
        let rest = _mm512_sub_epi64(numerator, _mm512_mullo_epi64(quotient, sum));
        let short = _mm512_cmpge_epu64_mask(rest, sum);
        _mm512_mask_add_epi64(quotient, short, quotient, _mm512_set1_epi64(1))
    };
    let even = quotient(_mm512_and_si512(exponential, low()));
    let odd = quotient(_mm512_srli_epi64::<32>(exponential));
    _mm512_mask_blend_epi32(0xaaaa, even, _mm512_slli_epi64::<32>(odd))
}
