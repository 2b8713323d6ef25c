//! What the kernels need of a processor: vectors of 32-bit lanes, and products of pairs of 16-bit mantissas.
//!
//! A value of an implementing type is a *witness* that the processor has the instructions: it is made only after asking,
//! and every operation takes it as `self`. Lanes never influence each other, except in `or_lanes`.

#![allow(unsafe_code)]

use super::lanes;
use super::shapes::{Logits, Scale};

/// Vectors of [`Simd::WIDTH`] lanes of 32 bits.
///
/// # Safety
/// The methods that take a pointer read or write as many elements as they say, without alignment; callers answer for them.
pub(super) trait Simd: Copy {
    /// Lanes of a vector: 4, 8 or 16.
    const WIDTH: usize;
    /// A vector of `i32`.
    type V: Copy;
    /// A pair of mantissas for each lane, as the right operand of a product has them.
    type Pairs: Copy;
    /// One pair of mantissas for all lanes.
    type Pair: Copy;
    /// A [`Scale`], ready for use.
    type Scale: Copy;

    /// Reads WIDTH words.
    unsafe fn load(self, from: *const i32) -> Self::V;
    /// Writes WIDTH words.
    unsafe fn store(self, to: *mut i32, v: Self::V);
    /// Reads WIDTH mantissas.
    unsafe fn load_mantissas(self, from: *const i16) -> Self::V;
    /// Writes WIDTH mantissas; every lane fits.
    unsafe fn store_mantissas(self, to: *mut i16, v: Self::V);
    /// Writes WIDTH pairs; every lane fits a mantissa.
    unsafe fn store_pairs(self, to: *mut i16, even: Self::V, odd: Self::V);
    /// Reads WIDTH pairs.
    unsafe fn load_pairs(self, from: *const i16) -> Self::Pairs;
    /// Reads one pair.
    unsafe fn broadcast(self, from: *const i16) -> Self::Pair;

    /// `sum + a.even * b.even + a.odd * b.odd` in every lane.
    fn multiply_add(self, sum: Self::V, a: Self::Pair, b: Self::Pairs) -> Self::V;
    /// The same, of which the compiler does not know that.
    fn opaque(self, pairs: Self::Pairs) -> Self::Pairs;
    /// The same word in every lane.
    fn splat(self, word: i32) -> Self::V;
    /// `a + b`, wrapping.
    fn add(self, a: Self::V, b: Self::V) -> Self::V;
    /// `a - b`, wrapping.
    fn sub(self, a: Self::V, b: Self::V) -> Self::V;
    /// Bit by bit.
    fn or(self, a: Self::V, b: Self::V) -> Self::V;
    /// Bit by bit.
    fn and(self, a: Self::V, b: Self::V) -> Self::V;
    /// The magnitude; no lane is `i32::MIN`.
    fn abs(self, a: Self::V) -> Self::V;
    /// The smaller, signed.
    fn min(self, a: Self::V, b: Self::V) -> Self::V;
    /// The larger, signed.
    fn max(self, a: Self::V, b: Self::V) -> Self::V;
    /// `floor(a / 2^shift)`, for the same shift of at most 31 in all lanes of `shift`.
    fn shift_right(self, a: Self::V, shift: Self::V) -> Self::V;
    /// All lanes, or-ed.
    fn or_lanes(self, a: Self::V) -> u32;
    /// [`super::Kernels::gradient`], compiled with the backend's features where it is called.
    #[inline(always)]
    fn gradient(self, logits: &mut Logits<'_>, values: &mut [i32]) -> u32 {
        lanes::gradient(logits, values)
    }
    /// Makes a scale ready.
    fn scale(self, scale: Scale) -> Self::Scale;
    /// [`Scale::apply`] in every lane.
    fn apply(self, a: Self::V, scale: Self::Scale) -> Self::V;
    /// The same for a scale whose shift is 32 and more.
    #[inline(always)]
    fn apply_raised(self, a: Self::V, scale: Self::Scale) -> Self::V {
        self.apply(a, scale)
    }
}

/// Methods that are one expression of intrinsics. The one `unsafe` block that they share is justified where the macro is
/// used.
macro_rules! intrinsics {
    ($(fn $name:ident($($arg:ident: $type:ty),*) -> $result:ty = $body:expr;)*) => {
        $(
            #[inline(always)]
            fn $name(self, $($arg: $type),*) -> $result {
                // SAFETY: `self` exists only where the processor has the instructions (see the type), and the expressions
                // given to this macro touch no memory.
                unsafe { $body }
            }
        )*
    };
}
/// The same for methods that read or write memory: unsafe to call, as the trait says.
macro_rules! memory {
    ($(fn $name:ident($($arg:ident: $type:ty),*) $(-> $result:ty)? = $body:expr;)*) => {
        $(
            #[inline(always)]
            unsafe fn $name(self, $($arg: $type),*) $(-> $result)? {
                // SAFETY: `self` exists only where the processor has the instructions (see the type). The caller answers for
                // the pointer, and the instruction needs no alignment and touches no more than the trait says.
                unsafe { $body }
            }
        )*
    };
}

/// Implements [`super::Kernels`] for a [`Simd`] type: one function an operation, compiled with the instruction set's features,
/// into which the kernels are inlined. A tile of a product has `$rows` rows and `$vectors` vectors.
macro_rules! kernels {
    ($token:ty, $backend:expr, $features:literal, $rows:literal x $vectors:literal) => {
        const _: () = {
            use $crate::backend::{
                Backend, Columns, Descent, Kernels, LANES, Lines, Logits, Magnitudes, PANEL,
                Parameters, Product, ROWS, lanes, record, vector,
            };
            type Token = $token;

            #[target_feature(enable = $features)]
            fn product(token: Token, product: &Product<'_>, out: &mut [i32]) {
                vector::product::<_, $rows, $vectors>(token, product, out);
            }
            #[target_feature(enable = $features)]
            fn descend(
                token: Token,
                d: &Descent<'_>,
                parameters: &mut Parameters<'_>,
            ) -> Magnitudes {
                if d.momentum.is_some() {
                    return vector::descend::<_, $rows, $vectors, true, false>(
                        token, d, parameters,
                    );
                }
                let Some(step) = d.step.raised() else {
                    return vector::descend::<_, $rows, $vectors, false, false>(
                        token, d, parameters,
                    );
                };
                let d = &Descent { step, ..*d };
                vector::descend::<_, $rows, $vectors, false, true>(token, d, parameters)
            }
            #[target_feature(enable = $features)]
            fn pack(token: Token, master: &[i32], width: usize, shift: u32, packed: &mut [i16]) {
                vector::pack(token, master, width, shift, packed);
            }
            #[target_feature(enable = $features)]
            fn rectify(token: Token, values: &mut [i32]) -> u32 {
                vector::rectify(token, values)
            }
            #[target_feature(enable = $features)]
            fn gate(token: Token, values: &mut [i32], activations: &[i16], lines: Lines) -> u32 {
                vector::gate(token, values, activations, lines)
            }
            #[target_feature(enable = $features)]
            fn interleave(columns: &Columns<'_>, out: &mut [i16]) {
                lanes::pair_rows::<ROWS, { 2 * ROWS }>(columns, out);
            }
            #[target_feature(enable = $features)]
            fn panels(columns: &Columns<'_>, out: &mut [i16]) {
                lanes::pair_rows::<LANES, PANEL>(columns, out);
            }
            #[target_feature(enable = $features)]
            fn column_sums(columns: &Columns<'_>, sums: &mut [i32]) {
                lanes::column_sums(columns, sums);
            }
            #[target_feature(enable = $features)]
            fn gradient(token: Token, logits: &mut Logits<'_>, values: &mut [i32]) -> u32 {
                Simd::gradient(token, logits, values)
            }
            #[target_feature(enable = $features)]
            fn narrow(token: Token, values: &[i32], shift: u32, out: &mut [i16], lines: Lines) {
                vector::narrow(token, values, shift, out, lines);
            }
            #[target_feature(enable = $features)]
            fn spin(token: Token, iterations: u64) -> (u64, i32) {
                vector::spin(token, iterations)
            }

            impl Kernels for Token {
                fn product(&self, p: &Product<'_>, out: &mut [i32]) {
                    record($backend);
                    // SAFETY: a value of the token's type exists only where the processor was found to have the features that
                    // the called function is compiled with. The same holds for all others below.
                    unsafe { product(*self, p, out) }
                }
                fn descend(&self, d: &Descent<'_>, parameters: &mut Parameters<'_>) -> Magnitudes {
                    record($backend);
                    // SAFETY: as for the product.
                    unsafe { descend(*self, d, parameters) }
                }
                fn pack(&self, master: &[i32], width: usize, shift: u32, packed: &mut [i16]) {
                    record($backend);
                    // SAFETY: as for the product.
                    unsafe { pack(*self, master, width, shift, packed) }
                }
                fn rectify(&self, values: &mut [i32]) -> u32 {
                    record($backend);
                    // SAFETY: as for the product.
                    unsafe { rectify(*self, values) }
                }
                fn gate(&self, values: &mut [i32], activations: &[i16], lines: Lines) -> u32 {
                    record($backend);
                    // SAFETY: as for the product.
                    unsafe { gate(*self, values, activations, lines) }
                }
                fn interleave(&self, columns: &Columns<'_>, out: &mut [i16]) {
                    record($backend);
                    // SAFETY: as for the product.
                    unsafe { interleave(columns, out) }
                }
                fn panels(&self, columns: &Columns<'_>, out: &mut [i16]) {
                    record($backend);
                    // SAFETY: as for the product.
                    unsafe { panels(columns, out) }
                }
                fn column_sums(&self, columns: &Columns<'_>, sums: &mut [i32]) {
                    record($backend);
                    // SAFETY: as for the product.
                    unsafe { column_sums(columns, sums) }
                }
                fn gradient(&self, logits: &mut Logits<'_>, values: &mut [i32]) -> u32 {
                    record($backend);
                    // SAFETY: as for the product.
                    unsafe { gradient(*self, logits, values) }
                }
                fn narrow(&self, values: &[i32], shift: u32, out: &mut [i16], lines: Lines) {
                    record($backend);
                    // SAFETY: as for the product.
                    unsafe { narrow(*self, values, shift, out, lines) }
                }
                fn spin(&self, iterations: u64) -> (u64, i32) {
                    // SAFETY: as for the product.
                    unsafe { spin(*self, iterations) }
                }
            }
        };
    };
}

/// Whether the processor has all of some features. Without `std` nobody can be asked: the compiler says what it was told to
/// rely on.
macro_rules! has {
    ($($feature:tt),+) => {{
        #[cfg(all(feature = "std", target_arch = "x86_64"))]
        let each = [$(std::arch::is_x86_feature_detected!($feature)),+];
        #[cfg(all(feature = "std", target_arch = "aarch64"))]
        let each = [$(std::arch::is_aarch64_feature_detected!($feature)),+];
        #[cfg(not(feature = "std"))]
        let each = [$(cfg!(target_feature = $feature)),+];
        each.into_iter().all(|there| there)
    }};
}

pub(super) use {has, intrinsics, kernels, memory};
