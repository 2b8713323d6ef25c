//! AVX2: eight lanes. `unsafe` is the calls of intrinsics, and loads and stores of checked slices.

#![allow(unsafe_code)]

use super::aes::AesNi;
use super::bytes::Bytes;
use super::simd::{Simd, backend, intrinsics};
use super::twiddles::{Tails, tails};
use super::{Backend, BackendKind};
use crate::params::N;
use core::arch::x86_64::*;

/// The processor has AVX2: made by [`Avx2::detect`] only.
#[derive(Clone, Copy)]
pub(super) struct Avx2(());

impl Avx2 {
    /// The backend, where the processor has what it needs.
    pub(super) fn detect() -> Option<&'static dyn Backend> {
        static BACKEND: Avx2 = Avx2(());
        is_x86_feature_detected!("avx2").then_some(&BACKEND)
    }
}

static TAILS: Tails = tails(Avx2::LANES);

backend!(Avx2, BackendKind::Avx2, "avx2", TAILS, AesNi::detect());

impl Simd for Avx2 {
    const LANES: usize = 8;
    type V = __m256i;
    type M = __m256i;

    #[inline(always)]
    fn load(self, from: &[u32]) -> __m256i {
        assert!(from.len() >= 8);
        // SAFETY: AVX2 is there (see the type); the slice has 32 bytes; the load needs no alignment.
        unsafe { _mm256_loadu_si256(from.as_ptr().cast()) }
    }

    #[inline(always)]
    fn store(self, to: &mut [u32], v: __m256i) {
        assert!(to.len() >= 8);
        // SAFETY: AVX2 is there (see the type); the slice has 32 bytes; the store needs no alignment.
        unsafe { _mm256_storeu_si256(to.as_mut_ptr().cast(), v) }
    }

    #[inline(always)]
    fn transpose4(self, bytes: &[u8]) -> [__m256i; 4] {
        assert!(bytes.len() >= 128);
        // Samples j and j + 4 side by side, so that the transposed words come out in order.
        let pair = |j: usize| -> __m256i {
            // SAFETY: AVX2 is there (see the type); `16 (j + 5) <= 144 - 16` for j < 4, inside the slice.
            unsafe {
                let low = _mm_loadu_si128(bytes.as_ptr().add(16 * j).cast());
                let high = _mm_loadu_si128(bytes.as_ptr().add(16 * (j + 4)).cast());
                _mm256_inserti128_si256::<1>(_mm256_castsi128_si256(low), high)
            }
        };
        let (a0, a1) = self.exchange(1, pair(0), pair(1));
        let (a2, a3) = self.exchange(1, pair(2), pair(3));
        let (b0, b2) = self.exchange(2, a0, a2);
        let (b1, b3) = self.exchange(2, a1, a3);
        [b0, b1, b2, b3]
    }

    intrinsics! {
        fn splat(word: u32) -> __m256i = _mm256_set1_epi32(word as i32);
        fn add(a: __m256i, b: __m256i) -> __m256i = _mm256_add_epi32(a, b);
        fn sub(a: __m256i, b: __m256i) -> __m256i = _mm256_sub_epi32(a, b);
        fn and(a: __m256i, b: __m256i) -> __m256i = _mm256_and_si256(a, b);
        fn xor(a: __m256i, b: __m256i) -> __m256i = _mm256_xor_si256(a, b);
        fn shift_left_20(a: __m256i) -> __m256i = _mm256_slli_epi32::<20>(a);
        fn shift_right_12(a: __m256i) -> __m256i = _mm256_srli_epi32::<12>(a);
        fn shift_right_lanes(a: __m256i) -> __m256i = _mm256_srli_epi32::<3>(a);
        fn mul_wide(a: __m256i, b: __m256i) -> (__m256i, __m256i) = {
            let even = _mm256_mul_epu32(a, b);
            let odd = _mm256_mul_epu32(_mm256_srli_epi64::<32>(a), _mm256_srli_epi64::<32>(b));
            (
                _mm256_blend_epi32::<0xaa>(even, _mm256_slli_epi64::<32>(odd)),
                _mm256_blend_epi32::<0xaa>(_mm256_srli_epi64::<32>(even), odd),
            )
        };
        fn add_if_less(sum: __m256i, a: __m256i, b: __m256i, c: __m256i) -> __m256i = {
            // There is no unsigned comparison; the larger of the two is a exactly when a >= b.
            let not_less = _mm256_cmpeq_epi32(_mm256_max_epu32(a, b), a);
            _mm256_add_epi32(sum, _mm256_andnot_si256(not_less, c))
        };
        fn count_greater(count: __m256i, a: __m256i, b: __m256i) -> __m256i =
            _mm256_sub_epi32(count, _mm256_cmpgt_epi32(a, b));
        fn greater(a: __m256i, b: __m256i) -> __m256i = _mm256_cmpgt_epi32(a, b);
        fn equal(a: __m256i, b: __m256i) -> __m256i = _mm256_cmpeq_epi32(a, b);
        fn both(a: __m256i, b: __m256i) -> __m256i = _mm256_and_si256(a, b);
        fn either(a: __m256i, b: __m256i) -> __m256i = _mm256_or_si256(a, b);
        fn anywhere(m: __m256i) -> bool = _mm256_movemask_epi8(m) != 0;
        fn keep(m: __m256i, a: __m256i) -> __m256i = _mm256_and_si256(m, a);
        fn select(m: __m256i, a: __m256i, b: __m256i) -> __m256i = _mm256_blendv_epi8(b, a, m);
        fn permute(table: __m256i, index: __m256i) -> __m256i =
            _mm256_permutevar8x32_epi32(table, index);
        fn exchange(half: usize, x: __m256i, y: __m256i) -> (__m256i, __m256i) = match half {
            4 => (
                _mm256_permute2x128_si256::<0x20>(x, y),
                _mm256_permute2x128_si256::<0x31>(x, y),
            ),
            2 => (_mm256_unpacklo_epi64(x, y), _mm256_unpackhi_epi64(x, y)),
            _ => (
                _mm256_blend_epi32::<0xaa>(x, _mm256_slli_epi64::<32>(y)),
                _mm256_blend_epi32::<0xaa>(_mm256_srli_epi64::<32>(x), y),
            ),
        };
    }
}

impl Bytes for Avx2 {
    const BIAS: u16 = 0;

    #[inline(always)]
    fn load_bytes(self, from: &[u8]) -> __m256i {
        assert!(from.len() >= 32);
        // SAFETY: AVX2 is there (see the type); the slice has 32 bytes; the load needs no alignment.
        unsafe { _mm256_loadu_si256(from.as_ptr().cast()) }
    }

    #[inline(always)]
    fn store_bytes(self, to: &mut [u8], v: __m256i) {
        assert!(to.len() >= 32);
        // SAFETY: AVX2 is there (see the type); the slice has 32 bytes; the store needs no alignment.
        unsafe { _mm256_storeu_si256(to.as_mut_ptr().cast(), v) }
    }

    #[inline(always)]
    fn broadcast(self, from: &[u8; 16]) -> __m256i {
        // SAFETY: AVX2 is there (see the type); the array has 16 bytes; the load needs no alignment.
        unsafe { _mm256_broadcastsi128_si256(_mm_loadu_si128(from.as_ptr().cast())) }
    }

    intrinsics! {
        fn right(bits: usize, a: __m256i) -> __m256i = match bits {
            1 => _mm256_srli_epi16::<1>(a),
            2 => _mm256_srli_epi16::<2>(a),
            _ => _mm256_srli_epi16::<4>(a),
        };
        fn left(bits: usize, a: __m256i) -> __m256i = match bits {
            1 => _mm256_slli_epi16::<1>(a),
            _ => _mm256_slli_epi16::<2>(a),
        };
        fn lookup(table: __m256i, index: __m256i) -> __m256i = _mm256_shuffle_epi8(table, index);
        fn add_bytes(a: __m256i, b: __m256i) -> __m256i = _mm256_add_epi8(a, b);
        fn add_differences(sum: __m256i, x: __m256i) -> __m256i = {
            // Bytes 1 and -1 in turns.
            let signs = _mm256_set1_epi16(0xff01_u16 as i16);
            _mm256_add_epi16(sum, _mm256_maddubs_epi16(x, signs))
        };
        fn zip_bytes(x: __m256i, y: __m256i) -> (__m256i, __m256i) =
            (_mm256_unpacklo_epi8(x, y), _mm256_unpackhi_epi8(x, y));
        fn zip_pairs(x: __m256i, y: __m256i) -> (__m256i, __m256i) =
            (_mm256_unpacklo_epi16(x, y), _mm256_unpackhi_epi16(x, y));
    }
}
