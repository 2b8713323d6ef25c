//! The f32 matrix products of two crates behind one signature. Both are functions on pointers, which is why this file may have
//! `unsafe`: what they touch is checked before.

#![allow(unsafe_code)]

/// Rows and columns of a product, and the length of its sums.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    pub(crate) inner: usize,
}

/// Elements, and the steps from a row to the next and from a column to the next.
#[derive(Clone, Copy)]
pub(crate) struct Strided<'a>(pub(crate) &'a [f32], pub(crate) usize, pub(crate) usize);

/// `c = beta * c + alpha * a * b`; c is row by row.
pub(crate) type Product = fn(Shape, f32, Strided<'_>, Strided<'_>, f32, &mut [f32]);

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

    #[test]
    fn both_are_the_definition() {
        let s = Shape {
            rows: 5,
            columns: 7,
            inner: 11,
        };
        let numbers =
            |count: usize| -> Vec<f32> { (0..count).map(|i| (i * 7 % 13) as f32).collect() };
        // The left operand by columns, the right one by rows.
        let (a, b, c) = (numbers(55), numbers(77), numbers(35));
        for product in [by_matrixmultiply as Product, by_gemm] {
            let mut out = c.clone();
            product(s, -0.5, Strided(&a, 1, 5), Strided(&b, 7, 1), 1.0, &mut out);
            for (place, &found) in out.iter().enumerate() {
                let (row, column) = (place / 7, place % 7);
                let sum: f32 = (0..11).map(|k| a[k * 5 + row] * b[k * 7 + column]).sum();
                assert_eq!(found, c[place] - 0.5 * sum);
            }
        }
    }
}
