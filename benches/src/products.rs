//! The f32 matrix products of two crates behind one signature. Both are functions on pointers, which is why this file may have
//! `unsafe`: what they touch is checked before.

#![allow(unsafe_code)]

use crate::float::product::{Shape, Strided};

fn check(s: Shape, a: Strided<'_>, b: Strided<'_>, c: &[f32]) {
    assert!(s.rows > 0 && s.columns > 0 && s.inner > 0);
    assert!((s.rows - 1) * a.1 + (s.inner - 1) * a.2 < a.0.len());
    assert!((s.inner - 1) * b.1 + (s.columns - 1) * b.2 < b.0.len());
    assert!(s.rows * s.columns <= c.len());
}

/// A product by a version of `matrixmultiply`.
macro_rules! by_matrixmultiply {
    ($name:ident, $sgemm:path) => {
        pub(crate) fn $name(
            s: Shape,
            alpha: f32,
            a: Strided<'_>,
            b: Strided<'_>,
            beta: f32,
            c: &mut [f32],
        ) {
            check(s, a, b, c);
            let i = |stride: usize| isize::try_from(stride).expect("within a slice");
            // SAFETY: every element that shape and strides reach was checked to be within the slices.
            unsafe {
                $sgemm(
                    s.rows,
                    s.inner,
                    s.columns,
                    alpha,
                    a.0.as_ptr(),
                    i(a.1),
                    i(a.2),
                    b.0.as_ptr(),
                    i(b.1),
                    i(b.2),
                    beta,
                    c.as_mut_ptr(),
                    i(s.columns),
                    1,
                );
            }
        }
    };
}

/// A product by a version of `gemm`, whose alpha is the factor of the result that is there already.
macro_rules! by_gemm {
    ($name:ident, $crate_name:ident) => {
        pub(crate) fn $name(
            s: Shape,
            alpha: f32,
            a: Strided<'_>,
            b: Strided<'_>,
            beta: f32,
            c: &mut [f32],
        ) {
            check(s, a, b, c);
            let i = |stride: usize| isize::try_from(stride).expect("within a slice");
            // SAFETY: every element that shape and strides reach was checked to be within the slices.
            unsafe {
                $crate_name::gemm(
                    s.rows,
                    s.columns,
                    s.inner,
                    c.as_mut_ptr(),
                    1,
                    i(s.columns),
                    beta != 0.0,
                    a.0.as_ptr(),
                    i(a.2),
                    i(a.1),
                    b.0.as_ptr(),
                    i(b.2),
                    i(b.1),
                    beta,
                    alpha,
                    false,
                    false,
                    false,
                    $crate_name::Parallelism::None,
                );
            }
        }
    };
}

by_matrixmultiply!(by_matrixmultiply, matrixmultiply::sgemm);
by_gemm!(by_gemm, gemm);
// The versions that have no kernels of 512 bits.
by_matrixmultiply!(by_matrixmultiply_avx2, matrixmultiply_avx2::sgemm);
by_gemm!(by_gemm_avx2, gemm_avx2);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::float::product::tests::is_the_definition;

    #[test]
    fn all_are_the_definition() {
        is_the_definition(by_matrixmultiply);
        is_the_definition(by_gemm);
        is_the_definition(by_matrixmultiply_avx2);
        is_the_definition(by_gemm_avx2);
    }
}
