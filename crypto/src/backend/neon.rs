//! NEON, which every 64-bit Arm processor has: four lanes. `unsafe` is the calls of intrinsics, and loads and
//! stores of checked slices.

#![allow(unsafe_code)]

use super::bytes::Bytes;
use super::simd::{Simd, backend, intrinsics};
use super::twiddles::{Tails, tails};
use super::{Backend, BackendKind};
use crate::params::N;
use core::arch::aarch64::*;
use std::arch::is_aarch64_feature_detected;

/// The processor has NEON: made by [`Neon::detect`] only.
#[derive(Clone, Copy)]
pub(super) struct Neon(());

impl Neon {
    /// The backend, where the processor has what it needs.
    pub(super) fn detect() -> Option<&'static dyn Backend> {
        static BACKEND: Neon = Neon(());
        is_aarch64_feature_detected!("neon").then_some(&BACKEND)
    }
}

static TAILS: Tails = tails(Neon::LANES);

backend!(Neon, BackendKind::Neon, "neon", TAILS, None);

impl Simd for Neon {
    const LANES: usize = 4;
    type V = uint32x4_t;
    type M = uint32x4_t;

    #[inline(always)]
    fn load(self, from: &[u32]) -> uint32x4_t {
        assert!(from.len() >= 4);
        // SAFETY: NEON is there (see the type); the slice has four words.
        unsafe { vld1q_u32(from.as_ptr()) }
    }

    #[inline(always)]
    fn store(self, to: &mut [u32], v: uint32x4_t) {
        assert!(to.len() >= 4);
        // SAFETY: NEON is there (see the type); the slice has four words.
        unsafe { vst1q_u32(to.as_mut_ptr(), v) }
    }

    #[inline(always)]
    fn transpose4(self, bytes: &[u8]) -> [uint32x4_t; 4] {
        assert!(bytes.len() >= 64);
        let one = |j: usize| -> uint32x4_t {
            // SAFETY: NEON is there (see the type); `16 (j + 1) <= 64` for j < 4, inside the slice.
            unsafe { vreinterpretq_u32_u8(vld1q_u8(bytes.as_ptr().add(16 * j))) }
        };
        let (a0, a1) = self.exchange(1, one(0), one(1));
        let (a2, a3) = self.exchange(1, one(2), one(3));
        let (b0, b2) = self.exchange(2, a0, a2);
        let (b1, b3) = self.exchange(2, a1, a3);
        [b0, b1, b2, b3]
    }

    intrinsics! {
        fn splat(word: u32) -> uint32x4_t = vdupq_n_u32(word);
        fn add(a: uint32x4_t, b: uint32x4_t) -> uint32x4_t = vaddq_u32(a, b);
        fn sub(a: uint32x4_t, b: uint32x4_t) -> uint32x4_t = vsubq_u32(a, b);
        fn and(a: uint32x4_t, b: uint32x4_t) -> uint32x4_t = vandq_u32(a, b);
        fn xor(a: uint32x4_t, b: uint32x4_t) -> uint32x4_t = veorq_u32(a, b);
        fn shift_left_20(a: uint32x4_t) -> uint32x4_t = vshlq_n_u32::<20>(a);
        fn shift_right_12(a: uint32x4_t) -> uint32x4_t = vshrq_n_u32::<12>(a);
        fn shift_right_lanes(a: uint32x4_t) -> uint32x4_t = vshrq_n_u32::<2>(a);
        fn mul_wide(a: uint32x4_t, b: uint32x4_t) -> (uint32x4_t, uint32x4_t) = {
            let first = vreinterpretq_u32_u64(vmull_u32(vget_low_u32(a), vget_low_u32(b)));
            let second = vreinterpretq_u32_u64(vmull_high_u32(a, b));
            (vuzp1q_u32(first, second), vuzp2q_u32(first, second))
        };
        fn add_if_less(sum: uint32x4_t, a: uint32x4_t, b: uint32x4_t, c: uint32x4_t) -> uint32x4_t =
            vaddq_u32(sum, vandq_u32(vcltq_u32(a, b), c));
        fn count_greater(count: uint32x4_t, a: uint32x4_t, b: uint32x4_t) -> uint32x4_t =
            vsubq_u32(count, vcgtq_s32(vreinterpretq_s32_u32(a), vreinterpretq_s32_u32(b)));
        fn greater(a: uint32x4_t, b: uint32x4_t) -> uint32x4_t =
            vcgtq_s32(vreinterpretq_s32_u32(a), vreinterpretq_s32_u32(b));
        fn equal(a: uint32x4_t, b: uint32x4_t) -> uint32x4_t = vceqq_u32(a, b);
        fn both(a: uint32x4_t, b: uint32x4_t) -> uint32x4_t = vandq_u32(a, b);
        fn either(a: uint32x4_t, b: uint32x4_t) -> uint32x4_t = vorrq_u32(a, b);
        fn anywhere(m: uint32x4_t) -> bool = vmaxvq_u32(m) != 0;
        fn keep(m: uint32x4_t, a: uint32x4_t) -> uint32x4_t = vandq_u32(m, a);
        fn select(m: uint32x4_t, a: uint32x4_t, b: uint32x4_t) -> uint32x4_t = vbslq_u32(m, a, b);
        fn permute(table: uint32x4_t, index: uint32x4_t) -> uint32x4_t = {
            // The four byte addresses of each word.
            let word = vandq_u32(index, vdupq_n_u32(3));
            let bytes = vmlaq_n_u32(vdupq_n_u32(0x0302_0100), word, 0x0404_0404);
            vreinterpretq_u32_u8(vqtbl1q_u8(vreinterpretq_u8_u32(table), vreinterpretq_u8_u32(bytes)))
        };
        fn exchange(half: usize, x: uint32x4_t, y: uint32x4_t) -> (uint32x4_t, uint32x4_t) = match half {
            2 => {
                let (x, y) = (vreinterpretq_u64_u32(x), vreinterpretq_u64_u32(y));
                (
                    vreinterpretq_u32_u64(vtrn1q_u64(x, y)),
                    vreinterpretq_u32_u64(vtrn2q_u64(x, y)),
                )
            }
            _ => (vtrn1q_u32(x, y), vtrn2q_u32(x, y)),
        };
    }
}

impl Bytes for Neon {
    const BIAS: u16 = 255;

    #[inline(always)]
    fn load_bytes(self, from: &[u8]) -> uint32x4_t {
        assert!(from.len() >= 16);
        // SAFETY: NEON is there (see the type); the slice has 16 bytes.
        unsafe { vreinterpretq_u32_u8(vld1q_u8(from.as_ptr())) }
    }

    #[inline(always)]
    fn store_bytes(self, to: &mut [u8], v: uint32x4_t) {
        assert!(to.len() >= 16);
        // SAFETY: NEON is there (see the type); the slice has 16 bytes.
        unsafe { vst1q_u8(to.as_mut_ptr(), vreinterpretq_u8_u32(v)) }
    }

    #[inline(always)]
    fn broadcast(self, from: &[u8; 16]) -> uint32x4_t {
        self.load_bytes(from)
    }

    intrinsics! {
        fn right(bits: usize, a: uint32x4_t) -> uint32x4_t = {
            let a = vreinterpretq_u16_u32(a);
            vreinterpretq_u32_u16(match bits {
                1 => vshrq_n_u16::<1>(a),
                2 => vshrq_n_u16::<2>(a),
                _ => vshrq_n_u16::<4>(a),
            })
        };
        fn left(bits: usize, a: uint32x4_t) -> uint32x4_t = {
            let a = vreinterpretq_u16_u32(a);
            vreinterpretq_u32_u16(match bits {
                1 => vshlq_n_u16::<1>(a),
                _ => vshlq_n_u16::<2>(a),
            })
        };
        fn lookup(table: uint32x4_t, index: uint32x4_t) -> uint32x4_t =
            vreinterpretq_u32_u8(vqtbl1q_u8(vreinterpretq_u8_u32(table), vreinterpretq_u8_u32(index)));
        fn add_bytes(a: uint32x4_t, b: uint32x4_t) -> uint32x4_t =
            vreinterpretq_u32_u8(vaddq_u8(vreinterpretq_u8_u32(a), vreinterpretq_u8_u32(b)));
        fn add_differences(sum: uint32x4_t, x: uint32x4_t) -> uint32x4_t = {
            // The second byte of a pair is complemented: subtracted, up to the bias.
            let x = veorq_u32(x, vdupq_n_u32(0xff00_ff00));
            vreinterpretq_u32_u16(vpadalq_u8(vreinterpretq_u16_u32(sum), vreinterpretq_u8_u32(x)))
        };
        fn zip_bytes(x: uint32x4_t, y: uint32x4_t) -> (uint32x4_t, uint32x4_t) = {
            let (x, y) = (vreinterpretq_u8_u32(x), vreinterpretq_u8_u32(y));
            (
                vreinterpretq_u32_u8(vzip1q_u8(x, y)),
                vreinterpretq_u32_u8(vzip2q_u8(x, y)),
            )
        };
        fn zip_pairs(x: uint32x4_t, y: uint32x4_t) -> (uint32x4_t, uint32x4_t) = {
            let (x, y) = (vreinterpretq_u16_u32(x), vreinterpretq_u16_u32(y));
            (
                vreinterpretq_u32_u16(vzip1q_u16(x, y)),
                vreinterpretq_u32_u16(vzip2q_u16(x, y)),
            )
        };
    }
}
