//! What the kernels need of a processor: vectors of 32-bit lanes. One implementation an instruction set,
//! and one that emulates any width in plain Rust, so that the kernels themselves are tested on every machine.
//!
//! A value of an implementing type is a *witness* that the processor has the instructions: it is made only
//! after asking, and every intrinsic takes it as `self`. All operations take time independent of the lanes.

/// Vectors of [`Simd::LANES`] words of 32 bits.
pub(crate) trait Simd: Copy {
    /// Lanes of a vector: 4, 8 or 16.
    const LANES: usize;
    /// A vector.
    type V: Copy;
    /// A choice a lane.
    type M: Copy;

    /// The same word in every lane.
    fn splat(self, word: u32) -> Self::V;
    /// The first words of a slice that has at least as many as there are lanes.
    fn load(self, from: &[u32]) -> Self::V;
    /// Over the first words of a slice that has at least as many as there are lanes.
    fn store(self, to: &mut [u32], v: Self::V);
    /// `a + b` modulo `2^32`.
    fn add(self, a: Self::V, b: Self::V) -> Self::V;
    /// `a - b` modulo `2^32`.
    fn sub(self, a: Self::V, b: Self::V) -> Self::V;
    /// Bit by bit.
    fn and(self, a: Self::V, b: Self::V) -> Self::V;
    /// Bit by bit.
    fn xor(self, a: Self::V, b: Self::V) -> Self::V;
    /// `a 2^20` modulo `2^32`.
    fn shift_left_20(self, a: Self::V) -> Self::V;
    /// `floor(a / 2^12)`.
    fn shift_right_12(self, a: Self::V) -> Self::V;
    /// `floor(a / LANES)`.
    fn shift_right_lanes(self, a: Self::V) -> Self::V;
    /// Low and high halves of the products of 64 bits.
    fn mul_wide(self, a: Self::V, b: Self::V) -> (Self::V, Self::V);
    /// `sum + c` where `a < b` (unsigned), `sum` elsewhere.
    fn add_if_less(self, sum: Self::V, a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// `count + 1` where `a > b` (signed), `count` elsewhere.
    fn count_greater(self, count: Self::V, a: Self::V, b: Self::V) -> Self::V;
    /// Where `a > b`, signed.
    fn greater(self, a: Self::V, b: Self::V) -> Self::M;
    /// Where `a = b`.
    fn equal(self, a: Self::V, b: Self::V) -> Self::M;
    /// Where both.
    fn both(self, a: Self::M, b: Self::M) -> Self::M;
    /// Where either.
    fn either(self, a: Self::M, b: Self::M) -> Self::M;
    /// Whether anywhere. The one operation whose result is meant to be branched upon: public decisions only.
    fn anywhere(self, m: Self::M) -> bool;
    /// `a` where chosen, 0 elsewhere.
    fn keep(self, m: Self::M, a: Self::V) -> Self::V;
    /// `a` where chosen, `b` elsewhere.
    fn select(self, m: Self::M, a: Self::V, b: Self::V) -> Self::V;
    /// Lane `i` of the result is lane `index[i] mod LANES` of `table`; in registers, so without addresses.
    fn permute(self, table: Self::V, index: Self::V) -> Self::V;
    /// With `x` and `y` as sequences of blocks of `half` lanes: `(x0 y0 x2 y2 .., x1 y1 x3 y3 ..)`. Its own
    /// inverse. `half` is a power of two below LANES.
    fn exchange(self, half: usize, x: Self::V, y: Self::V) -> (Self::V, Self::V);
    /// Word `k` of each of the first LANES groups of 16 bytes, little-endian, for `k = 0..4`.
    fn transpose4(self, bytes: &[u8]) -> [Self::V; 4];
}

/// Methods that are one expression of intrinsics. The one `unsafe` block that they share is justified
/// where the macro is used.
macro_rules! intrinsics {
    ($(fn $name:ident($($arg:ident: $type:ty),*) -> $result:ty = $body:expr;)*) => {
        $(
            #[inline(always)]
            fn $name(self, $($arg: $type),*) -> $result {
                // SAFETY: `self` exists only where the processor has the instructions (see the type), and
                // the expressions given to this macro touch no memory.
                unsafe { $body }
            }
        )*
    };
}

/// Implements [`super::Backend`] for a [`Simd`] type: one function an operation, compiled with the
/// instruction set's features, into which the kernels are inlined. `$aes` gives the AES instructions, if there are any.
macro_rules! backend {
    ($token:ty, $kind:expr, $features:literal, $tails:expr, $aes:expr) => {
        mod entry {
            use super::*;
            use $crate::backend::ternary::{self, LambdaTables};
            use $crate::backend::{kernels, sampling};
            use $crate::gaussian::LimbTable;

            #[target_feature(enable = $features)]
            pub(super) fn forward(token: $token, a: &mut [u32; N]) {
                kernels::forward(token, &$tails, a);
            }
            #[target_feature(enable = $features)]
            pub(super) fn inverse(token: $token, a: &mut [u32; N]) {
                kernels::inverse(token, &$tails, a);
            }
            #[target_feature(enable = $features)]
            pub(super) fn mul_montgomery(token: $token, a: &mut [u32; N], b: &[u32; N]) {
                kernels::mul_montgomery(token, a, b);
            }
            #[target_feature(enable = $features)]
            pub(super) fn mul_add(token: $token, sum: &mut [u32; N], a: &[u32; N], b: &[u32; N]) {
                kernels::mul_add(token, sum, a, b);
            }
            #[target_feature(enable = $features)]
            pub(super) fn add(token: $token, sum: &mut [u32], term: &[u32]) {
                kernels::add(token, sum, term);
            }
            #[target_feature(enable = $features)]
            pub(super) fn sub(token: $token, sum: &mut [u32], term: &[u32]) {
                kernels::sub(token, sum, term);
            }
            #[target_feature(enable = $features)]
            pub(super) fn add_signed(token: $token, sum: &mut [u32], term: &[i32]) {
                kernels::add_signed(token, sum, term);
            }
            #[target_feature(enable = $features)]
            pub(super) fn sub_center(token: $token, a: &[u32], b: &[u32], out: &mut [i32]) {
                kernels::sub_center(token, a, b, out);
            }
            #[target_feature(enable = $features)]
            pub(super) fn canonical_prefix(token: $token, words: &[u32]) -> usize {
                kernels::canonical_prefix(token, words)
            }
            #[target_feature(enable = $features)]
            pub(super) fn sample(token: $token, t: &LimbTable, bytes: &[u8], out: &mut [i32]) {
                sampling::sample(token, t, bytes, out);
            }
            #[target_feature(enable = $features)]
            pub(super) fn project(token: $token, tiles: &mut [u8], v: &[i32], z: &mut [i32]) {
                ternary::project(token, tiles, v, z);
            }
            #[target_feature(enable = $features)]
            pub(super) fn combine(
                token: $token,
                tiles: &[u8],
                tables: &LambdaTables,
                out: [&mut [u32]; 2],
            ) {
                ternary::combine(token, tiles, tables, out);
            }
        }

        // SAFETY, for every block below: a value of the token's type exists only where the processor was
        // found to have the features that the called function is compiled with.
        impl $crate::backend::Backend for $token {
            fn kind(&self) -> $crate::backend::BackendKind {
                $kind
            }
            fn forward(&self, a: &mut [u32; N]) {
                $crate::backend::record($kind);
                // SAFETY: as above.
                unsafe { entry::forward(*self, a) }
            }
            fn inverse(&self, a: &mut [u32; N]) {
                $crate::backend::record($kind);
                // SAFETY: as above.
                unsafe { entry::inverse(*self, a) }
            }
            fn mul_montgomery(&self, a: &mut [u32; N], b: &[u32; N]) {
                $crate::backend::record($kind);
                // SAFETY: as above.
                unsafe { entry::mul_montgomery(*self, a, b) }
            }
            fn mul_add(&self, sum: &mut [u32; N], a: &[u32; N], b: &[u32; N]) {
                $crate::backend::record($kind);
                // SAFETY: as above.
                unsafe { entry::mul_add(*self, sum, a, b) }
            }
            fn add_assign(&self, sum: &mut [u32], term: &[u32]) {
                $crate::backend::record($kind);
                // SAFETY: as above.
                unsafe { entry::add(*self, sum, term) }
            }
            fn sub_assign(&self, sum: &mut [u32], term: &[u32]) {
                $crate::backend::record($kind);
                // SAFETY: as above.
                unsafe { entry::sub(*self, sum, term) }
            }
            fn add_signed(&self, sum: &mut [u32], term: &[i32]) {
                $crate::backend::record($kind);
                // SAFETY: as above.
                unsafe { entry::add_signed(*self, sum, term) }
            }
            fn sub_center(&self, a: &[u32], b: &[u32], out: &mut [i32]) {
                $crate::backend::record($kind);
                // SAFETY: as above.
                unsafe { entry::sub_center(*self, a, b, out) }
            }
            fn canonical_prefix(&self, words: &[u32]) -> usize {
                $crate::backend::record($kind);
                // SAFETY: as above.
                unsafe { entry::canonical_prefix(*self, words) }
            }
            fn sample(&self, table: &$crate::gaussian::Cdt, bytes: &[u8], out: &mut [i32]) {
                $crate::backend::record($kind);
                match table.limbs() {
                    // SAFETY: as above.
                    Some(limbs) => unsafe { entry::sample(*self, limbs, bytes, out) },
                    None => table.sample(bytes, out),
                }
            }
            fn project(&self, tiles: &mut [u8], v: &[i32], z: &mut [i32]) {
                $crate::backend::record($kind);
                // SAFETY: as above.
                unsafe { entry::project(*self, tiles, v, z) }
            }
            fn combine(
                &self,
                tiles: &[u8],
                tables: &$crate::backend::ternary::LambdaTables,
                out: [&mut [u32]; 2],
            ) {
                $crate::backend::record($kind);
                // SAFETY: as above.
                unsafe { entry::combine(*self, tiles, tables, out) }
            }
            fn aes(&self) -> Option<&'static dyn $crate::keystream::AesUnit> {
                $aes
            }
        }
    };
}

pub(crate) use {backend, intrinsics};
