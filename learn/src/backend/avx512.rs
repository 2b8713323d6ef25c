//! AVX-512 with VNNI: sixteen lanes, and one instruction that multiplies, adds the pair and accumulates.

#![allow(unsafe_code)]

use super::Kernels;
use super::avx512_softmax;
use super::shapes::{Logits, Scale};
use super::simd::{Simd, has, intrinsics, kernels, memory};
use core::arch::asm;
use core::arch::x86_64::*;

/// The processor has what this backend is compiled with: made by [`Avx512::detect`] only.
#[derive(Clone, Copy)]
pub(super) struct Avx512(());

impl Avx512 {
    /// The kernels, where the processor has what they need.
    pub(super) fn detect() -> Option<&'static dyn Kernels> {
        static KERNELS: Avx512 = Avx512(());
        has!("avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512vnni").then_some(&KERNELS)
    }
}

kernels!(
    Avx512,
    Backend::Avx512,
    "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni",
    8 x 2
);

impl Simd for Avx512 {
    const WIDTH: usize = 16;
    type V = __m512i;
    type Pairs = __m512i;
    type Pair = __m512i;
    type Scale = Lanes;

    memory! {
        fn load(from: *const i32) -> __m512i = _mm512_loadu_si512(from.cast());
        fn store(to: *mut i32, v: __m512i) = _mm512_storeu_si512(to.cast(), v);
        fn load_mantissas(from: *const i16) -> __m512i =
            _mm512_cvtepi16_epi32(_mm256_loadu_si256(from.cast()));
        fn store_mantissas(to: *mut i16, v: __m512i) =
            _mm256_storeu_si256(to.cast(), _mm512_cvtepi32_epi16(v));
        fn store_pairs(to: *mut i16, even: __m512i, odd: __m512i) = _mm512_storeu_si512(
            to.cast(),
            _mm512_mask_blend_epi16(0xaaaa_aaaa, even, _mm512_slli_epi32::<16>(odd)),
        );
        fn load_pairs(from: *const i16) -> __m512i = _mm512_loadu_si512(from.cast());
        fn broadcast(from: *const i16) -> __m512i =
            _mm512_set1_epi32(from.cast::<i32>().read_unaligned());
    }

    #[inline(always)]
    fn gradient(self, logits: &mut Logits<'_>, values: &mut [i32]) -> u32 {
        // SAFETY: `self` exists only where the processor has the instructions (see the type).
        unsafe { avx512_softmax::gradient(logits, values) }
    }

    intrinsics! {
        fn multiply_add(sum: __m512i, a: __m512i, b: __m512i) -> __m512i = vpdpwssd(sum, a, b);
        fn opaque(pairs: __m512i) -> __m512i = opaque(pairs);
        fn splat(word: i32) -> __m512i = _mm512_set1_epi32(word);
        fn add(a: __m512i, b: __m512i) -> __m512i = _mm512_add_epi32(a, b);
        fn sub(a: __m512i, b: __m512i) -> __m512i = _mm512_sub_epi32(a, b);
        fn or(a: __m512i, b: __m512i) -> __m512i = _mm512_or_si512(a, b);
        fn and(a: __m512i, b: __m512i) -> __m512i = _mm512_and_si512(a, b);
        fn abs(a: __m512i) -> __m512i = _mm512_abs_epi32(a);
        fn min(a: __m512i, b: __m512i) -> __m512i = _mm512_min_epi32(a, b);
        fn max(a: __m512i, b: __m512i) -> __m512i = _mm512_max_epi32(a, b);
        fn shift_right(a: __m512i, shift: __m512i) -> __m512i = _mm512_srav_epi32(a, shift);
        fn or_lanes(a: __m512i) -> u32 = _mm512_reduce_or_epi32(a).cast_unsigned();
        fn scale(scale: Scale) -> Lanes = {
            let (right, left, after) = scale.shifts();
            Lanes {
                multiplier: _mm512_set1_epi64(scale.multiplier.into()),
                rounding: _mm512_set1_epi64(scale.rounding),
                right: _mm512_set1_epi64(right.into()),
                left: _mm512_set1_epi64(left.into()),
                after: _mm512_set1_epi32(after.cast_signed()),
            }
        };
        fn apply(a: __m512i, scale: Lanes) -> __m512i = {
            let product = |a| _mm512_add_epi64(_mm512_mul_epi32(a, scale.multiplier), scale.rounding);
            let even = _mm512_srlv_epi64(product(a), scale.right);
            let odd = _mm512_sllv_epi64(product(_mm512_shuffle_epi32::<HIGH>(a)), scale.left);
            _mm512_srav_epi32(_mm512_mask_blend_epi32(0xaaaa, even, odd), scale.after)
        };
        fn apply_raised(a: __m512i, scale: Lanes) -> __m512i = {
            let product = |a| _mm512_add_epi64(_mm512_mul_epi32(a, scale.multiplier), scale.rounding);
            let (even, odd) = (product(a), product(_mm512_shuffle_epi32::<HIGH>(a)));
            let both = _mm512_mask_shuffle_epi32::<HIGH>(odd, 0x5555, even);
            _mm512_srav_epi32(both, scale.after)
        };
    }
}

/// The upper words of 64-bit lanes, in both of their halves: a shuffle, because shifts share a port with products.
const HIGH: i32 = 0b11_11_01_01;

/// The instruction itself. Of the intrinsic the compiler makes a multiplication and an addition, which has less latency and,
/// where there are sums enough to hide it, less throughput.
#[inline]
#[target_feature(enable = "avx512f,avx512vnni")]
fn vpdpwssd(mut sum: __m512i, a: __m512i, b: __m512i) -> __m512i {
    // SAFETY: the instruction is part of what the function is compiled for, and touches these registers only.
    unsafe {
        asm!(
            "vpdpwssd {sum}, {b}, {a}",
            sum = inout(zmm_reg) sum,
            a = in(zmm_reg) a,
            b = in(zmm_reg) b,
            options(pure, nomem, nostack, preserves_flags)
        );
    }
    sum
}

/// A scale in every lane.
#[derive(Clone, Copy)]
pub(super) struct Lanes {
    multiplier: __m512i,
    rounding: __m512i,
    right: __m512i,
    left: __m512i,
    after: __m512i,
}

/// No instruction, but the compiler must have the value in a register and does not know it afterwards.
#[inline]
#[target_feature(enable = "avx512f")]
fn opaque(mut pairs: __m512i) -> __m512i {
    // SAFETY: there is no instruction.
    unsafe {
        asm!("/* {0} */", inout(zmm_reg) pairs, options(pure, nomem, nostack, preserves_flags));
    }
    pairs
}
