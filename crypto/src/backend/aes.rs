//! AES by the instructions of x86-64: one block a register (AES-NI), or four (VAES with AVX-512). They take the same time
//! for all keys and blocks. `unsafe` is the calls of intrinsics, and loads and stores of checked slices.

#![allow(unsafe_code)]

use crate::keystream::{AesUnit, BLOCK, RoundKeys};
use core::arch::x86_64::*;

/// The processor has AES-NI: made by [`AesNi::detect`] only.
#[derive(Clone, Copy)]
pub(super) struct AesNi(());

/// The processor has VAES and AVX-512 F besides: made by [`Vaes::detect`] only.
#[derive(Clone, Copy)]
pub(super) struct Vaes(AesNi);

/// Registers that are worked on together: an instruction's result takes some cycles to come.
const TOGETHER: usize = 8;

impl AesNi {
    /// The instructions, where the processor has them.
    pub(super) fn detect() -> Option<&'static dyn AesUnit> {
        static UNIT: AesNi = AesNi(());
        is_x86_feature_detected!("aes").then_some(&UNIT)
    }
}

impl AesUnit for AesNi {
    fn expand(&self, key: &[u8]) -> RoundKeys {
        match (key.as_array(), key.as_array()) {
            // SAFETY: AES-NI is there (see the type).
            (Some(key), _) => unsafe { expand_128(key) },
            // SAFETY: as above.
            (_, Some(key)) => unsafe { expand_256(key) },
            _ => panic!("a key has 16 or 32 bytes"),
        }
    }

    fn keystream(&self, keys: &RoundKeys, counter: u64, out: &mut [u8]) {
        // SAFETY: AES-NI is there (see the type).
        unsafe { narrow(keys.get(), counter, out) }
    }
}

impl Vaes {
    /// The instructions, where the processor has them.
    pub(super) fn detect() -> Option<&'static dyn AesUnit> {
        static UNIT: Vaes = Vaes(AesNi(()));
        let all = is_x86_feature_detected!("aes")
            && is_x86_feature_detected!("vaes")
            && is_x86_feature_detected!("avx512f");
        all.then_some(&UNIT)
    }
}

impl AesUnit for Vaes {
    fn expand(&self, key: &[u8]) -> RoundKeys {
        self.0.expand(key)
    }

    fn keystream(&self, keys: &RoundKeys, counter: u64, out: &mut [u8]) {
        let wide = out.len() / WIDE_BYTES * WIDE_BYTES;
        let (wide, rest) = out.split_at_mut(wide);
        // SAFETY: VAES and AVX-512 F are there (see the type).
        unsafe { four_at_a_time(keys.get(), counter, wide) };
        self.0
            .keystream(keys, counter + (wide.len() / BLOCK) as u64, rest);
    }
}

#[inline(always)]
fn load(from: &[u8; BLOCK]) -> __m128i {
    // SAFETY: SSE2 is part of x86-64; the array has 16 bytes; the load needs no alignment.
    unsafe { _mm_loadu_si128(from.as_ptr().cast()) }
}

#[inline(always)]
fn store(to: &mut [u8; BLOCK], v: __m128i) {
    // SAFETY: SSE2 is part of x86-64; the array has 16 bytes; the store needs no alignment.
    unsafe { _mm_storeu_si128(to.as_mut_ptr().cast(), v) }
}

/// The words of a round key from those of an earlier one: each is added to all that follow it, and `turned` to all
/// (FIPS 197, section 5.2).
#[inline(always)]
fn next_key(earlier: __m128i, turned: __m128i) -> __m128i {
    // SAFETY: SSE2 is part of x86-64; nothing touches memory.
    unsafe {
        let two = _mm_xor_si128(earlier, _mm_slli_si128::<4>(earlier));
        let four = _mm_xor_si128(two, _mm_slli_si128::<8>(two));
        _mm_xor_si128(four, turned)
    }
}

#[target_feature(enable = "aes")]
fn expand_128(key: &[u8; 16]) -> RoundKeys {
    let mut keys = [[0; BLOCK]; 11];
    let mut last = load(key);
    keys[0] = *key;
    macro_rules! round {
        ($($number:literal: $constant:literal),*) => {$(
            let turned = _mm_shuffle_epi32::<0xff>(_mm_aeskeygenassist_si128::<$constant>(last));
            last = next_key(last, turned);
            store(&mut keys[$number], last);
        )*};
    }
    round!(1: 0x01, 2: 0x02, 3: 0x04, 4: 0x08, 5: 0x10, 6: 0x20, 7: 0x40, 8: 0x80, 9: 0x1b, 10: 0x36);
    let expanded = RoundKeys::new(&keys);
    crate::secret::wipe(keys.as_flattened_mut());
    expanded
}

#[target_feature(enable = "aes")]
fn expand_256(key: &[u8; 32]) -> RoundKeys {
    let mut keys = [[0; BLOCK]; 15];
    let (halves, _) = key.as_chunks::<BLOCK>();
    keys[0] = halves[0];
    keys[1] = halves[1];
    let (mut even, mut odd) = (load(&halves[0]), load(&halves[1]));
    macro_rules! rounds {
        ($($number:literal: $constant:literal),*) => {$(
            let turned = _mm_shuffle_epi32::<0xff>(_mm_aeskeygenassist_si128::<$constant>(odd));
            even = next_key(even, turned);
            store(&mut keys[$number], even);
            if $number + 1 < 15 {
                // Between, the S-box without turning and without a constant.
                let same = _mm_shuffle_epi32::<0xaa>(_mm_aeskeygenassist_si128::<0>(even));
                odd = next_key(odd, same);
                store(&mut keys[($number + 1) % 15], odd);
            }
        )*};
    }
    rounds!(2: 0x01, 4: 0x02, 6: 0x04, 8: 0x08, 10: 0x10, 12: 0x20, 14: 0x40);
    let expanded = RoundKeys::new(&keys);
    crate::secret::wipe(keys.as_flattened_mut());
    expanded
}

/// One block a register.
///
#[target_feature(enable = "aes")]
fn narrow(keys: &[[u8; BLOCK]], mut counter: u64, out: &mut [u8]) {
    let ([first, middle @ .., last], (blocks, [])) = (keys, out.as_chunks_mut::<BLOCK>()) else {
        panic!("round keys, and whole blocks");
    };
    for group in blocks.chunks_mut(TOGETHER) {
        let whitening = load(first);
        let mut state: [__m128i; TOGETHER] = core::array::from_fn(|i| {
            let block = counter.wrapping_add(i as u64);
            _mm_xor_si128(_mm_set_epi64x(0, block as i64), whitening)
        });
        for key in middle {
            let key = load(key);
            for state in &mut state {
                *state = _mm_aesenc_si128(*state, key);
            }
        }
        let key = load(last);
        for (block, state) in group.iter_mut().zip(state) {
            store(block, _mm_aesenclast_si128(state, key));
        }
        counter = counter.wrapping_add(group.len() as u64);
    }
}

/// Bytes that [`four_at_a_time`] writes at once.
const WIDE_BYTES: usize = 4 * BLOCK * TOGETHER;

/// Four blocks a register, for a multiple of [`WIDE_BYTES`].
#[target_feature(enable = "vaes,avx512f")]
fn four_at_a_time(keys: &[[u8; BLOCK]], counter: u64, out: &mut [u8]) {
    let ([first, middle @ .., last], (groups, [])) = (keys, out.as_chunks_mut::<WIDE_BYTES>())
    else {
        panic!("round keys, and whole groups of blocks");
    };
    // Round keys four times, in registers as far as there are enough.
    let wide = |key: &[u8; BLOCK]| _mm512_broadcast_i32x4(load(key));
    let start = counter as i64;
    let mut counters: [__m512i; TOGETHER] = core::array::from_fn(|i| {
        let at = |j: usize| start.wrapping_add((4 * i + j) as i64);
        _mm512_setr_epi64(at(0), 0, at(1), 0, at(2), 0, at(3), 0)
    });
    let step = 4 * TOGETHER as i64;
    let step = _mm512_setr_epi64(step, 0, step, 0, step, 0, step, 0);
    for group in groups {
        let key = wide(first);
        let mut state = counters.map(|counter| _mm512_xor_si512(counter, key));
        for counter in &mut counters {
            *counter = _mm512_add_epi64(*counter, step);
        }
        for key in middle {
            let key = wide(key);
            for state in &mut state {
                *state = _mm512_aesenc_epi128(*state, key);
            }
        }
        let key = wide(last);
        let (registers, _) = group.as_chunks_mut::<64>();
        for (bytes, state) in registers.iter_mut().zip(state) {
            let encrypted = _mm512_aesenclast_epi128(state, key);
            // SAFETY: the array has 64 bytes; the store needs no alignment.
            unsafe { _mm512_storeu_si512(bytes.as_mut_ptr().cast(), encrypted) };
        }
    }
}
