//! What the ternary kernels ([`super::ternary`]) need of a processor besides [`Simd`]: the same vectors as
//! bytes. A *lane* is sixteen bytes here, because tables of sixteen entries are looked up in registers.

use super::simd::Simd;

/// Vectors of [`Bytes::WIDTH`] bytes. All operations take time independent of the bytes, also lookups: they
/// have no addresses.
pub(crate) trait Bytes: Simd {
    /// Bytes of a vector: 16, 32 or 64.
    const WIDTH: usize = 4 * Self::LANES;
    /// What [`Bytes::add_differences`] adds besides.
    const BIAS: u16;

    /// The first bytes of a slice that has at least as many as a vector.
    fn load_bytes(self, from: &[u8]) -> Self::V;
    /// Over the first bytes of a slice that has at least as many as a vector.
    fn store_bytes(self, to: &mut [u8], v: Self::V);
    /// The same sixteen bytes in every lane.
    fn broadcast(self, from: &[u8; 16]) -> Self::V;
    /// Every 16 bits shifted right by `bits`: 1, 2 or 4.
    fn right(self, bits: usize, a: Self::V) -> Self::V;
    /// Every 16 bits shifted left by `bits`: 1 or 2.
    fn left(self, bits: usize, a: Self::V) -> Self::V;
    /// Byte `i` of the result is byte `index[i]` of the same lane of `table`. Indices are below 16.
    fn lookup(self, table: Self::V, index: Self::V) -> Self::V;
    /// Byte by byte, modulo 256.
    fn add_bytes(self, a: Self::V, b: Self::V) -> Self::V;
    /// 16 bits `i` of the result are those of `sum`, plus byte `2 i` of `x`, minus its byte `2 i + 1`, plus
    /// [`Bytes::BIAS`], modulo `2^16`.
    fn add_differences(self, sum: Self::V, x: Self::V) -> Self::V;
    /// The bytes of both in turns: of the first halves of the lanes, and of the second.
    fn zip_bytes(self, x: Self::V, y: Self::V) -> (Self::V, Self::V);
    /// The pairs of bytes of both in turns: of the first halves of the lanes, and of the second.
    fn zip_pairs(self, x: Self::V, y: Self::V) -> (Self::V, Self::V);
}
