//! AVX-512 (F, BW, DQ and VL, which every processor with VBMI or later has): sixteen lanes. `unsafe` is the
//! calls of intrinsics, and loads and stores of checked slices.

#![allow(unsafe_code)]

use super::aes::{AesNi, Vaes};
use super::bytes::Bytes;
use super::simd::{Simd, backend, intrinsics};
use super::twiddles::{Tails, tails};
use super::{Backend, BackendKind};
use crate::params::N;
use core::arch::x86_64::*;

/// The processor has AVX-512: made by [`Avx512::detect`] only.
#[derive(Clone, Copy)]
pub(super) struct Avx512(());

impl Avx512 {
    /// The backend, where the processor has what it needs.
    pub(super) fn detect() -> Option<&'static dyn Backend> {
        static BACKEND: Avx512 = Avx512(());
        let all = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl");
        all.then_some(&BACKEND)
    }
}

static TAILS: Tails = tails(Avx512::LANES);

backend!(
    Avx512,
    BackendKind::Avx512,
    "avx512f,avx512bw,avx512dq,avx512vl",
    TAILS,
    Vaes::detect().or_else(AesNi::detect)
);

impl Simd for Avx512 {
    const LANES: usize = 16;
    type V = __m512i;
    type M = __mmask16;

    #[inline(always)]
    fn load(self, from: &[u32]) -> __m512i {
        assert!(from.len() >= 16);
        // SAFETY: AVX-512 is there (see the type); the slice has 64 bytes; the load needs no alignment.
        unsafe { _mm512_loadu_si512(from.as_ptr().cast()) }
    }

    #[inline(always)]
    fn store(self, to: &mut [u32], v: __m512i) {
        assert!(to.len() >= 16);
        // SAFETY: AVX-512 is there (see the type); the slice has 64 bytes; the store needs no alignment.
        unsafe { _mm512_storeu_si512(to.as_mut_ptr().cast(), v) }
    }

    #[inline(always)]
    fn transpose4(self, bytes: &[u8]) -> [__m512i; 4] {
        assert!(bytes.len() >= 256);
        let four = |j: usize| -> __m512i {
            // SAFETY: AVX-512 is there (see the type); `64 (j + 1) <= 256` for j < 4, inside the slice.
            unsafe { _mm512_loadu_si512(bytes.as_ptr().add(64 * j).cast()) }
        };
        let (a0, a1) = self.exchange(1, four(0), four(1));
        let (a2, a3) = self.exchange(1, four(2), four(3));
        let (b0, b2) = self.exchange(2, a0, a2);
        let (b1, b3) = self.exchange(2, a1, a3);
        // Lane 4 g + j now belongs to sample 4 j + g.
        let order = self.load(&[0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15]);
        [b0, b1, b2, b3].map(|words| self.permute(words, order))
    }

    #[inline(always)]
    fn both(self, a: __mmask16, b: __mmask16) -> __mmask16 {
        a & b
    }

    #[inline(always)]
    fn either(self, a: __mmask16, b: __mmask16) -> __mmask16 {
        a | b
    }

    #[inline(always)]
    fn anywhere(self, m: __mmask16) -> bool {
        m != 0
    }

    intrinsics! {
        fn splat(word: u32) -> __m512i = _mm512_set1_epi32(word as i32);
        fn add(a: __m512i, b: __m512i) -> __m512i = _mm512_add_epi32(a, b);
        fn sub(a: __m512i, b: __m512i) -> __m512i = _mm512_sub_epi32(a, b);
        fn and(a: __m512i, b: __m512i) -> __m512i = _mm512_and_si512(a, b);
        fn xor(a: __m512i, b: __m512i) -> __m512i = _mm512_xor_si512(a, b);
        fn shift_left_20(a: __m512i) -> __m512i = _mm512_slli_epi32::<20>(a);
        fn shift_right_12(a: __m512i) -> __m512i = _mm512_srli_epi32::<12>(a);
        fn shift_right_lanes(a: __m512i) -> __m512i = _mm512_srli_epi32::<4>(a);
        fn mul_wide(a: __m512i, b: __m512i) -> (__m512i, __m512i) = {
            let even = _mm512_mul_epu32(a, b);
            let odd = _mm512_mul_epu32(_mm512_srli_epi64::<32>(a), _mm512_srli_epi64::<32>(b));
            (
                _mm512_mask_blend_epi32(0xaaaa, even, _mm512_slli_epi64::<32>(odd)),
                _mm512_mask_blend_epi32(0xaaaa, _mm512_srli_epi64::<32>(even), odd),
            )
        };
        fn add_if_less(sum: __m512i, a: __m512i, b: __m512i, c: __m512i) -> __m512i =
            _mm512_mask_add_epi32(sum, _mm512_cmplt_epu32_mask(a, b), sum, c);
        fn count_greater(count: __m512i, a: __m512i, b: __m512i) -> __m512i = {
            let greater = _mm512_cmpgt_epi32_mask(a, b);
            _mm512_mask_add_epi32(count, greater, count, _mm512_set1_epi32(1))
        };
        fn greater(a: __m512i, b: __m512i) -> __mmask16 = _mm512_cmpgt_epi32_mask(a, b);
        fn equal(a: __m512i, b: __m512i) -> __mmask16 = _mm512_cmpeq_epi32_mask(a, b);
        fn keep(m: __mmask16, a: __m512i) -> __m512i = _mm512_maskz_mov_epi32(m, a);
        fn select(m: __mmask16, a: __m512i, b: __m512i) -> __m512i = _mm512_mask_blend_epi32(m, b, a);
        fn permute(table: __m512i, index: __m512i) -> __m512i =
            _mm512_permutexvar_epi32(index, table);
        fn exchange(half: usize, x: __m512i, y: __m512i) -> (__m512i, __m512i) = match half {
            8 => (
                _mm512_shuffle_i64x2::<0b01_00_01_00>(x, y),
                _mm512_shuffle_i64x2::<0b11_10_11_10>(x, y),
            ),
            4 => (
                _mm512_permutex2var_epi64(x, _mm512_setr_epi64(0, 1, 8, 9, 4, 5, 12, 13), y),
                _mm512_permutex2var_epi64(x, _mm512_setr_epi64(2, 3, 10, 11, 6, 7, 14, 15), y),
            ),
            2 => (_mm512_unpacklo_epi64(x, y), _mm512_unpackhi_epi64(x, y)),
            _ => (
                _mm512_mask_blend_epi32(0xaaaa, x, _mm512_slli_epi64::<32>(y)),
                _mm512_mask_blend_epi32(0xaaaa, _mm512_srli_epi64::<32>(x), y),
            ),
        };
    }
}

impl Bytes for Avx512 {
    const BIAS: u16 = 0;

    #[inline(always)]
    fn load_bytes(self, from: &[u8]) -> __m512i {
        assert!(from.len() >= 64);
        // SAFETY: AVX-512 is there (see the type); the slice has 64 bytes; the load needs no alignment.
        unsafe { _mm512_loadu_si512(from.as_ptr().cast()) }
    }

    #[inline(always)]
    fn store_bytes(self, to: &mut [u8], v: __m512i) {
        assert!(to.len() >= 64);
        // SAFETY: AVX-512 is there (see the type); the slice has 64 bytes; the store needs no alignment.
        unsafe { _mm512_storeu_si512(to.as_mut_ptr().cast(), v) }
    }

    #[inline(always)]
    fn broadcast(self, from: &[u8; 16]) -> __m512i {
        // SAFETY: AVX-512 is there (see the type); the array has 16 bytes; the load needs no alignment.
        unsafe { _mm512_broadcast_i32x4(_mm_loadu_si128(from.as_ptr().cast())) }
    }

    intrinsics! {
        fn right(bits: usize, a: __m512i) -> __m512i = match bits {
            1 => _mm512_srli_epi16::<1>(a),
            2 => _mm512_srli_epi16::<2>(a),
            _ => _mm512_srli_epi16::<4>(a),
        };
        fn left(bits: usize, a: __m512i) -> __m512i = match bits {
            1 => _mm512_slli_epi16::<1>(a),
            _ => _mm512_slli_epi16::<2>(a),
        };
        fn lookup(table: __m512i, index: __m512i) -> __m512i = _mm512_shuffle_epi8(table, index);
        fn add_bytes(a: __m512i, b: __m512i) -> __m512i = _mm512_add_epi8(a, b);
        fn add_differences(sum: __m512i, x: __m512i) -> __m512i = {
            // Bytes 1 and -1 in turns.
            let signs = _mm512_set1_epi16(0xff01_u16 as i16);
            _mm512_add_epi16(sum, _mm512_maddubs_epi16(x, signs))
        };
        fn zip_bytes(x: __m512i, y: __m512i) -> (__m512i, __m512i) =
            (_mm512_unpacklo_epi8(x, y), _mm512_unpackhi_epi8(x, y));
        fn zip_pairs(x: __m512i, y: __m512i) -> (__m512i, __m512i) =
            (_mm512_unpacklo_epi16(x, y), _mm512_unpackhi_epi16(x, y));
    }
}
