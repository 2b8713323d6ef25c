//! AVX2: eight lanes. With AVX-VNNI one instruction multiplies, adds the pair and accumulates; without it takes two.

#![allow(unsafe_code)]

use super::Kernels;
use super::shapes::Scale;
use super::simd::{Simd, has, intrinsics, kernels, memory};
use core::arch::asm;
use core::arch::x86_64::*;

/// The processor has AVX2, and AVX-VNNI if so: made by [`avx2`] and [`avx_vnni`] only.
#[derive(Clone, Copy)]
pub(super) struct Ymm<const VNNI: bool>(());

/// The kernels, where the processor has AVX2.
pub(super) fn avx2() -> Option<&'static dyn Kernels> {
    static KERNELS: Ymm<false> = Ymm(());
    has!("avx2").then_some(&KERNELS)
}

/// The kernels, where the processor has AVX2 and AVX-VNNI.
pub(super) fn avx_vnni() -> Option<&'static dyn Kernels> {
    static KERNELS: Ymm<true> = Ymm(());
    has!("avx2", "avxvnni").then_some(&KERNELS)
}

kernels!(Ymm<false>, Backend::Avx2, "avx2", 4 x 2);
kernels!(Ymm<true>, Backend::AvxVnni, "avx2,avxvnni", 4 x 2);

impl<const VNNI: bool> Simd for Ymm<VNNI> {
    const WIDTH: usize = 8;
    type V = __m256i;
    type Pairs = __m256i;
    type Pair = __m256i;
    type Scale = Lanes;

    memory! {
        fn load(from: *const i32) -> __m256i = _mm256_loadu_si256(from.cast());
        fn store(to: *mut i32, v: __m256i) = _mm256_storeu_si256(to.cast(), v);
        fn load_mantissas(from: *const i16) -> __m256i =
            _mm256_cvtepi16_epi32(_mm_loadu_si128(from.cast()));
        fn store_mantissas(to: *mut i16, v: __m256i) = {
            // The pack works in halves: the first and the third quarter are what is wanted.
            let halves = _mm256_permute4x64_epi64::<0b1000>(_mm256_packs_epi32(v, v));
            _mm_storeu_si128(to.cast(), _mm256_castsi256_si128(halves))
        };
        fn store_pairs(to: *mut i16, even: __m256i, odd: __m256i) = _mm256_storeu_si256(
            to.cast(),
            _mm256_blend_epi16::<0b1010_1010>(even, _mm256_slli_epi32::<16>(odd)),
        );
        fn load_pairs(from: *const i16) -> __m256i = _mm256_loadu_si256(from.cast());
        fn broadcast(from: *const i16) -> __m256i =
            _mm256_set1_epi32(from.cast::<i32>().read_unaligned());
    }

    intrinsics! {
        fn multiply_add(sum: __m256i, a: __m256i, b: __m256i) -> __m256i = if VNNI {
            _mm256_dpwssd_avx_epi32(sum, b, a)
        } else {
            _mm256_add_epi32(sum, _mm256_madd_epi16(b, a))
        };
        fn opaque(pairs: __m256i) -> __m256i = opaque(pairs);
        fn splat(word: i32) -> __m256i = _mm256_set1_epi32(word);
        fn add(a: __m256i, b: __m256i) -> __m256i = _mm256_add_epi32(a, b);
        fn sub(a: __m256i, b: __m256i) -> __m256i = _mm256_sub_epi32(a, b);
        fn or(a: __m256i, b: __m256i) -> __m256i = _mm256_or_si256(a, b);
        fn and(a: __m256i, b: __m256i) -> __m256i = _mm256_and_si256(a, b);
        fn abs(a: __m256i) -> __m256i = _mm256_abs_epi32(a);
        fn min(a: __m256i, b: __m256i) -> __m256i = _mm256_min_epi32(a, b);
        fn max(a: __m256i, b: __m256i) -> __m256i = _mm256_max_epi32(a, b);
        fn shift_right(a: __m256i, shift: __m256i) -> __m256i = _mm256_srav_epi32(a, shift);
        fn or_lanes(a: __m256i) -> u32 = {
            let four = _mm_or_si128(_mm256_castsi256_si128(a), _mm256_extracti128_si256::<1>(a));
            let two = _mm_or_si128(four, _mm_srli_si128::<8>(four));
            let one = _mm_or_si128(two, _mm_srli_si128::<4>(two));
            _mm_cvtsi128_si32(one).cast_unsigned()
        };
        fn scale(scale: Scale) -> Lanes = {
            let (right, left, after) = scale.shifts();
            Lanes {
                multiplier: _mm256_set1_epi64x(scale.multiplier.into()),
                rounding: _mm256_set1_epi64x(scale.rounding),
                right: _mm256_set1_epi64x(right.into()),
                left: _mm256_set1_epi64x(left.into()),
                after: _mm256_set1_epi32(after.cast_signed()),
            }
        };
        fn apply(a: __m256i, scale: Lanes) -> __m256i = {
            let product = |a| _mm256_add_epi64(_mm256_mul_epi32(a, scale.multiplier), scale.rounding);
            let even = _mm256_srlv_epi64(product(a), scale.right);
            let odd = _mm256_sllv_epi64(product(_mm256_shuffle_epi32::<HIGH>(a)), scale.left);
            _mm256_srav_epi32(_mm256_blend_epi32::<0b1010_1010>(even, odd), scale.after)
        };
        fn apply_raised(a: __m256i, scale: Lanes) -> __m256i = {
            let product = |a| _mm256_add_epi64(_mm256_mul_epi32(a, scale.multiplier), scale.rounding);
            let (even, odd) = (product(a), product(_mm256_shuffle_epi32::<HIGH>(a)));
            let both = _mm256_blend_epi32::<0b1010_1010>(_mm256_shuffle_epi32::<HIGH>(even), odd);
            _mm256_srav_epi32(both, scale.after)
        };
    }
}

/// The upper words of 64-bit lanes, in both of their halves.
const HIGH: i32 = 0b11_11_01_01;

/// A scale in every lane.
#[derive(Clone, Copy)]
pub(super) struct Lanes {
    multiplier: __m256i,
    rounding: __m256i,
    right: __m256i,
    left: __m256i,
    after: __m256i,
}

/// No instruction, but the compiler must have the value in a register and does not know it afterwards.
#[inline]
#[target_feature(enable = "avx2")]
fn opaque(mut pairs: __m256i) -> __m256i {
    // SAFETY: there is no instruction.
    unsafe {
        asm!("/* {0} */", inout(ymm_reg) pairs, options(pure, nomem, nostack, preserves_flags));
    }
    pairs
}
