//! NEON: four lanes. A pair is two products of four lanes each, so that the pairs are taken apart as they are loaded.

#![allow(unsafe_code)]

use super::Kernels;
use super::shapes::Scale;
use super::simd::{Simd, has, intrinsics, kernels, memory};
use core::arch::aarch64::*;

/// The processor has NEON: made by [`Neon::detect`] only.
#[derive(Clone, Copy)]
pub(super) struct Neon(());

impl Neon {
    /// The kernels, where the processor has what they need.
    pub(super) fn detect() -> Option<&'static dyn Kernels> {
        static KERNELS: Neon = Neon(());
        has!("neon").then_some(&KERNELS)
    }
}

kernels!(Neon, Backend::Neon, "neon", 4 x 4);

impl Simd for Neon {
    const WIDTH: usize = 4;
    type V = int32x4_t;
    type Pairs = int16x4x2_t;
    type Pair = int16x4x2_t;
    type Scale = Lanes;

    memory! {
        fn load(from: *const i32) -> int32x4_t = vld1q_s32(from);
        fn store(to: *mut i32, v: int32x4_t) = vst1q_s32(to, v);
        fn load_mantissas(from: *const i16) -> int32x4_t = vmovl_s16(vld1_s16(from));
        fn store_mantissas(to: *mut i16, v: int32x4_t) = vst1_s16(to, vmovn_s32(v));
        fn store_pairs(to: *mut i16, even: int32x4_t, odd: int32x4_t) =
            vst2_s16(to, int16x4x2_t(vmovn_s32(even), vmovn_s32(odd)));
        fn load_pairs(from: *const i16) -> int16x4x2_t = vld2_s16(from);
        fn broadcast(from: *const i16) -> int16x4x2_t =
            int16x4x2_t(vld1_dup_s16(from), vld1_dup_s16(from.add(1)));
    }

    intrinsics! {
        fn multiply_add(sum: int32x4_t, a: int16x4x2_t, b: int16x4x2_t) -> int32x4_t =
            vmlal_s16(vmlal_s16(sum, b.0, a.0), b.1, a.1);
        fn opaque(pairs: int16x4x2_t) -> int16x4x2_t = core::hint::black_box(pairs);
        fn splat(word: i32) -> int32x4_t = vdupq_n_s32(word);
        fn add(a: int32x4_t, b: int32x4_t) -> int32x4_t = vaddq_s32(a, b);
        fn sub(a: int32x4_t, b: int32x4_t) -> int32x4_t = vsubq_s32(a, b);
        fn or(a: int32x4_t, b: int32x4_t) -> int32x4_t = vorrq_s32(a, b);
        fn and(a: int32x4_t, b: int32x4_t) -> int32x4_t = vandq_s32(a, b);
        fn abs(a: int32x4_t) -> int32x4_t = vabsq_s32(a);
        fn min(a: int32x4_t, b: int32x4_t) -> int32x4_t = vminq_s32(a, b);
        fn max(a: int32x4_t, b: int32x4_t) -> int32x4_t = vmaxq_s32(a, b);
        // A shift to the left by a negative number is one to the right, with the sign.
        fn shift_right(a: int32x4_t, shift: int32x4_t) -> int32x4_t = vshlq_s32(a, vnegq_s32(shift));
        fn or_lanes(a: int32x4_t) -> u32 = {
            let both = vorr_s32(vget_low_s32(a), vget_high_s32(a));
            (vget_lane_s32::<0>(both) | vget_lane_s32::<1>(both)).cast_unsigned()
        };
        fn scale(scale: Scale) -> Lanes = Lanes {
            multiplier: vdup_n_s32(scale.multiplier),
            rounding: vdupq_n_s64(scale.rounding),
            shift: vdupq_n_s64(-i64::from(scale.shift)),
        };
        fn apply(a: int32x4_t, scale: Lanes) -> int32x4_t = {
            let half = |a| vmovn_s64(vshlq_s64(vmlal_s32(scale.rounding, a, scale.multiplier), scale.shift));
            vcombine_s32(half(vget_low_s32(a)), half(vget_high_s32(a)))
        };
    }
}

/// A scale in every lane; the shift is negative, to the right.
#[derive(Clone, Copy)]
pub(super) struct Lanes {
    multiplier: int32x2_t,
    rounding: int64x2_t,
    shift: int64x2_t,
}
