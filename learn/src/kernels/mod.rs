//! The integer matrix products of training, and which backend computes them.
//!
//! Every backend gives the same bits, because every sum is exact: mantissas have 12 magnitude bits, so that
//! [`BLOCK`] = 128 products stay below 128 * 4095^2 < 2^31 and fit an `i32` accumulator in whatever order they are added;
//! blocks are then added as `i64`. The portable backend is the oracle for all others.

mod portable;

/// Most products that are summed in an `i32` before they go to an `i64`.
pub const BLOCK: usize = 128;

// The overflow bound, checked when the crate is compiled: BLOCK * (2^12 - 1)^2 <= 2^31 - 1.
const _: () = {
    let largest = (1u64 << crate::fixed::MANTISSA_BITS) - 1;
    assert!(BLOCK as u64 * largest * largest <= i32::MAX as u64);
};

/// Rows and columns of a product's result, and the length of the sums.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    pub(crate) inner: usize,
}

/// The three products of a dense layer. All operands are row-major, every mantissa has 12 magnitude bits, and the
/// slices may be longer than the shape needs. Results are exact.
pub(crate) trait Kernels: Sync {
    /// `out[i][j] = sum_k a[i][k] * b[j][k]`: activations times weights.
    fn forward(&self, shape: Shape, a: &[i16], b: &[i16], out: &mut [i64]);
    /// `out[i][j] = sum_k a[i][k] * b[k][j]`: gradients back through weights.
    fn backward(&self, shape: Shape, a: &[i16], b: &[i16], out: &mut [i64]);
    /// `out[i][j] = sum_k a[k][i] * b[k][j]`: gradients times activations, over the batch.
    fn gradient(&self, shape: Shape, a: &[i16], b: &[i16], out: &mut [i64]);
}

/// Who computes the matrix products. The choice never changes a bit of the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Backend {
    /// Plain Rust; the oracle.
    Portable,
}

impl Backend {
    /// The fastest backend that this processor has.
    #[must_use]
    pub fn best() -> Self {
        Self::Portable
    }

    /// All backends that this processor has, the portable one first.
    #[must_use]
    pub fn available() -> Vec<Self> {
        vec![Self::Portable]
    }

    pub(crate) fn kernels(self) -> &'static dyn Kernels {
        match self {
            Self::Portable => &portable::Portable,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LARGEST: i16 = 4095;

    /// The same three products by index arithmetic in i64.
    fn naive(shape: Shape, at: impl Fn(usize, usize, usize) -> (i16, i16)) -> Vec<i64> {
        let mut out = Vec::new();
        for i in 0..shape.rows {
            for j in 0..shape.columns {
                out.push(
                    (0..shape.inner)
                        .map(|k| at(i, j, k))
                        .map(|(a, b)| i64::from(a) * i64::from(b))
                        .sum(),
                );
            }
        }
        out
    }

    fn check(shape: Shape, a: &[i16], b: &[i16]) {
        let Shape {
            rows,
            columns,
            inner,
        } = shape;
        for backend in Backend::available() {
            let kernels = backend.kernels();
            let mut out = vec![-1; rows * columns];
            kernels.forward(shape, a, b, &mut out);
            assert_eq!(
                out,
                naive(shape, |i, j, k| (a[i * inner + k], b[j * inner + k])),
                "forward {shape:?}"
            );
            kernels.backward(shape, a, b, &mut out);
            assert_eq!(
                out,
                naive(shape, |i, j, k| (a[i * inner + k], b[k * columns + j])),
                "backward {shape:?}"
            );
            kernels.gradient(shape, a, b, &mut out);
            assert_eq!(
                out,
                naive(shape, |i, j, k| (a[k * rows + i], b[k * columns + j])),
                "gradient {shape:?}"
            );
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn products_are_exact(rows in 1usize..6, columns in 1usize..140, inner in 1usize..300, seed: u64) {
            let mut state = seed | 1;
            let mut next = || {
                state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                i16::try_from((state >> 51) as i64 - 4096).unwrap().max(-LARGEST)
            };
            let a: Vec<i16> = (0..rows * inner).map(|_| next()).collect();
            let b: Vec<i16> = (0..columns * inner).map(|_| next()).collect();
            check(Shape { rows, columns, inner }, &a, &b);
        }
    }

    #[test]
    fn products_are_exact_at_the_extremes() {
        for (x, y) in [
            (LARGEST, LARGEST),
            (-LARGEST, LARGEST),
            (-LARGEST, -LARGEST),
        ] {
            for inner in [BLOCK - 1, BLOCK, BLOCK + 1, 8 * BLOCK] {
                check(
                    Shape {
                        rows: 2,
                        columns: 3,
                        inner,
                    },
                    &vec![x; 2 * inner],
                    &vec![y; 3 * inner],
                );
            }
        }
    }
}
