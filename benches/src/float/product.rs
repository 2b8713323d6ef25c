//! The matrix product in f32 in plain loops; crates' products have the same signature (`products`).

/// Rows and columns of a product, and the length of its sums.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Rows of the result.
    pub rows: usize,
    /// Columns of the result.
    pub columns: usize,
    /// Length of every sum.
    pub inner: usize,
}

/// Elements, and the steps from a row to the next and from a column to the next.
#[derive(Clone, Copy)]
pub struct Strided<'a>(pub &'a [f32], pub usize, pub usize);

/// `c = beta * c + alpha * a * b`; c is row by row.
pub type Product = fn(Shape, f32, Strided<'_>, Strided<'_>, f32, &mut [f32]);

/// Sums that a compiler can make lanes of.
const LANES: usize = 16;

/// The definition, in an order that compilers make vector instructions of.
///
/// # Panics
/// The shape and the steps reach beyond the slices.
pub fn by_loops(s: Shape, alpha: f32, a: Strided<'_>, b: Strided<'_>, beta: f32, c: &mut [f32]) {
    let mut left = vec![0.0; s.inner];
    for (row, out) in c.chunks_exact_mut(s.columns).take(s.rows).enumerate() {
        for (k, left) in left.iter_mut().enumerate() {
            *left = alpha * a.0[row * a.1 + k * a.2];
        }
        out.iter_mut().for_each(|out| *out *= beta);
        if b.2 == 1 {
            for (k, &left) in left.iter().enumerate().filter(|(_, left)| **left != 0.0) {
                let right = &b.0[k * b.1..][..s.columns];
                out.iter_mut()
                    .zip(right)
                    .for_each(|(out, right)| *out += left * right);
            }
        } else if b.1 == 1 {
            for (column, out) in out.iter_mut().enumerate() {
                *out += dot(&left, &b.0[column * b.2..][..s.inner]);
            }
        } else {
            for (column, out) in out.iter_mut().enumerate() {
                let right = |k: usize| b.0[k * b.1 + column * b.2];
                *out += (0..s.inner).map(|k| left[k] * right(k)).sum::<f32>();
            }
        }
    }
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    let mut sums = [0.0; LANES];
    for (a, b) in a.iter().zip(b) {
        for lane in 0..LANES {
            sums[lane] += a[lane] * b[lane];
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f32>() + rest
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Whole numbers and halves: every order of the sums gives the same.
    pub(crate) fn is_the_definition(product: Product) {
        let (rows, columns, inner) = (5, 7, 35);
        let s = Shape {
            rows,
            columns,
            inner,
        };
        let numbers =
            |count: usize| -> Vec<f32> { (0..count).map(|i| (i * 7 % 13) as f32).collect() };
        let (a, b, c) = (
            numbers(rows * inner),
            numbers(inner * columns),
            numbers(rows * columns),
        );
        // Each operand by rows and by columns.
        for (a1, a2) in [(1, rows), (inner, 1)] {
            for (b1, b2) in [(columns, 1), (1, inner)] {
                for beta in [0.0, 1.0, 0.5] {
                    let mut out = c.clone();
                    let (left, right) = (Strided(&a, a1, a2), Strided(&b, b1, b2));
                    product(s, -0.5, left, right, beta, &mut out);
                    for (place, &found) in out.iter().enumerate() {
                        let (row, column) = (place / columns, place % columns);
                        let sum: f32 = (0..inner)
                            .map(|k| a[row * a1 + k * a2] * b[k * b1 + column * b2])
                            .sum();
                        assert_eq!(found, beta * c[place] - 0.5 * sum);
                    }
                }
            }
        }
    }

    #[test]
    fn loops_are_the_definition() {
        is_the_definition(by_loops);
        let (a, b) = ([1.0, 2.0, 3.0], [1.0, 9.0, 9.0, 5.0, 9.0, 9.0, 7.0]);
        let s = Shape {
            rows: 1,
            columns: 1,
            inner: 3,
        };
        let mut out = [1.0];
        // No step is one.
        by_loops(s, 1.0, Strided(&a, 3, 1), Strided(&b, 3, 2), 1.0, &mut out);
        assert_eq!(out, [33.0]);
    }
}
