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

pub(crate) fn by_matrixmultiply(
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
        matrixmultiply::sgemm(
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

pub(crate) fn by_gemm(
    s: Shape,
    alpha: f32,
    a: Strided<'_>,
    b: Strided<'_>,
    beta: f32,
    c: &mut [f32],
) {
    check(s, a, b, c);
    let i = |stride: usize| isize::try_from(stride).expect("within a slice");
    // SAFETY: every element that shape and strides reach was checked to be within the slices. This crate's alpha is the factor
    // of the result that is there already.
    unsafe {
        gemm::gemm(
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
            gemm::Parallelism::None,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::float::product::tests::is_the_definition;

    #[test]
    fn both_are_the_definition() {
        is_the_definition(by_matrixmultiply);
        is_the_definition(by_gemm);
    }
}
