//! SSE2, which every x86-64 has: four lanes. What came with later extensions is composed.

#![allow(unsafe_code)]

use super::Kernels;
use super::shapes::Scale;
use super::simd::{Simd, has, intrinsics, kernels, memory};
use core::arch::asm;
use core::arch::x86_64::*;

/// The processor has SSE2: made by [`Sse2::detect`] only.
#[derive(Clone, Copy)]
pub(super) struct Sse2(());

impl Sse2 {
    /// The kernels. Every x86-64 has what they need, but a kernel of an operating system may be compiled without.
    pub(super) fn detect() -> Option<&'static dyn Kernels> {
        static KERNELS: Sse2 = Sse2(());
        has!("sse2").then_some(&KERNELS)
    }
}

kernels!(Sse2, Backend::Sse2, "sse2", 2 x 4);

impl Simd for Sse2 {
    const WIDTH: usize = 4;
    type V = __m128i;
    type Pairs = __m128i;
    type Pair = __m128i;
    type Scale = Lanes;

    memory! {
        fn load(from: *const i32) -> __m128i = _mm_loadu_si128(from.cast());
        fn store(to: *mut i32, v: __m128i) = _mm_storeu_si128(to.cast(), v);
        fn load_mantissas(from: *const i16) -> __m128i = {
            let mantissas = _mm_loadl_epi64(from.cast());
            _mm_srai_epi32::<16>(_mm_unpacklo_epi16(mantissas, mantissas))
        };
        fn store_mantissas(to: *mut i16, v: __m128i) =
            _mm_storel_epi64(to.cast(), _mm_packs_epi32(v, v));
        fn store_pairs(to: *mut i16, even: __m128i, odd: __m128i) = _mm_storeu_si128(
            to.cast(),
            _mm_or_si128(
                _mm_and_si128(even, _mm_set1_epi32(0xffff)),
                _mm_slli_epi32::<16>(odd),
            ),
        );
        fn load_pairs(from: *const i16) -> __m128i = _mm_loadu_si128(from.cast());
        fn broadcast(from: *const i16) -> __m128i =
            _mm_set1_epi32(from.cast::<i32>().read_unaligned());
    }

    intrinsics! {
        fn multiply_add(sum: __m128i, a: __m128i, b: __m128i) -> __m128i =
            _mm_add_epi32(sum, _mm_madd_epi16(b, a));
        fn opaque(pairs: __m128i) -> __m128i = opaque(pairs);
        fn splat(word: i32) -> __m128i = _mm_set1_epi32(word);
        fn add(a: __m128i, b: __m128i) -> __m128i = _mm_add_epi32(a, b);
        fn sub(a: __m128i, b: __m128i) -> __m128i = _mm_sub_epi32(a, b);
        fn or(a: __m128i, b: __m128i) -> __m128i = _mm_or_si128(a, b);
        fn and(a: __m128i, b: __m128i) -> __m128i = _mm_and_si128(a, b);
        fn abs(a: __m128i) -> __m128i = {
            let sign = _mm_srai_epi32::<31>(a);
            _mm_sub_epi32(_mm_xor_si128(a, sign), sign)
        };
        fn min(a: __m128i, b: __m128i) -> __m128i = choose(_mm_cmplt_epi32(a, b), a, b);
        fn max(a: __m128i, b: __m128i) -> __m128i = choose(_mm_cmpgt_epi32(a, b), a, b);
        fn shift_right(a: __m128i, shift: __m128i) -> __m128i =
            _mm_sra_epi32(a, _mm_and_si128(shift, _mm_set_epi32(0, 0, 0, -1)));
        fn or_lanes(a: __m128i) -> u32 = {
            let two = _mm_or_si128(a, _mm_srli_si128::<8>(a));
            let one = _mm_or_si128(two, _mm_srli_si128::<4>(two));
            _mm_cvtsi128_si32(one).cast_unsigned()
        };
        fn scale(scale: Scale) -> Lanes = {
            let (right, left, after) = scale.shifts();
            Lanes {
                multiplier: _mm_set1_epi64x(scale.multiplier.into()),
                rounding: _mm_set1_epi64x(scale.rounding),
                right: _mm_set_epi64x(0, right.into()),
                left: _mm_set_epi64x(0, left.into()),
                after: _mm_set_epi64x(0, after.into()),
            }
        };
        fn apply(a: __m128i, scale: Lanes) -> __m128i = {
            // There is an unsigned product only: of a negative factor it is 2^32 times the multiplier too large.
            let product = |a| {
                let negative = _mm_srai_epi32::<31>(a);
                let excess = _mm_slli_epi64::<32>(_mm_and_si128(negative, scale.multiplier));
                let product = _mm_sub_epi64(_mm_mul_epu32(a, scale.multiplier), excess);
                _mm_add_epi64(product, scale.rounding)
            };
            let even = _mm_srl_epi64(product(a), scale.right);
            let odd = _mm_sll_epi64(product(_mm_srli_epi64::<32>(a)), scale.left);
            let low = _mm_set1_epi64x(0xffff_ffff);
            let both = _mm_or_si128(_mm_and_si128(low, even), _mm_andnot_si128(low, odd));
            _mm_sra_epi32(both, scale.after)
        };
    }
}

/// `a` where the mask is ones, `b` elsewhere.
#[inline(always)]
fn choose(mask: __m128i, a: __m128i, b: __m128i) -> __m128i {
    // SAFETY: called by methods of `Sse2`, which exists only where the processor has SSE2.
    unsafe { _mm_or_si128(_mm_and_si128(mask, a), _mm_andnot_si128(mask, b)) }
}

/// A scale in every lane; the shifts in the first.
#[derive(Clone, Copy)]
pub(super) struct Lanes {
    multiplier: __m128i,
    rounding: __m128i,
    right: __m128i,
    left: __m128i,
    after: __m128i,
}

/// No instruction, but the compiler must have the value in a register and does not know it afterwards.
#[inline]
#[target_feature(enable = "sse2")]
fn opaque(mut pairs: __m128i) -> __m128i {
    // SAFETY: there is no instruction.
    unsafe {
        asm!("/* {0} */", inout(xmm_reg) pairs, options(pure, nomem, nostack, preserves_flags));
    }
    pairs
}
