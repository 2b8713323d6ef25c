//! Products for measurements: `dawn bench` and `benches/`.

use super::{Backend, BackendError, Kernels, LANES, PANEL, Product, ROWS};
use alloc::vec;
use alloc::vec::Vec;

/// A product of `rows x inner` and `inner x columns` mantissas, packed as training has them.
pub struct Gemm {
    kernels: &'static dyn Kernels,
    rows: usize,
    panels: usize,
    pairs: usize,
    a: Vec<i16>,
    b: Vec<i16>,
    out: Vec<i32>,
}

impl Gemm {
    /// Operands with small numbers, whose sums fit whatever the shape.
    ///
    /// # Errors
    /// The processor does not have the backend.
    pub fn new(
        backend: Backend,
        (rows, columns, inner): (usize, usize, usize),
    ) -> Result<Self, BackendError> {
        let (panels, pairs) = (columns.div_ceil(LANES), inner.div_ceil(2));
        let numbers = |count: usize| (0..count).map(|i| (i * 7 % 61) as i16 - 30).collect();
        Ok(Self {
            kernels: backend.require()?,
            rows,
            panels,
            pairs,
            a: numbers(rows.next_multiple_of(ROWS) * 2 * pairs),
            b: numbers(panels * pairs * PANEL),
            out: vec![0; rows * panels * LANES],
        })
    }

    /// Computes the product once; returns one of its sums.
    pub fn run(&mut self) -> i32 {
        let product = Product {
            a: &self.a,
            rows: self.rows,
            row_stride: 2 * self.pairs,
            pair_stride: 2,
            b: &self.b,
            panels: self.panels,
            panel_stride: self.pairs * PANEL,
            pairs: self.pairs,
            start: &[],
        };
        self.kernels.product(&product, &mut self.out);
        self.out[0]
    }
}

/// Multiplies and adds in registers, and nothing else: what the processor can do. Returns how many products that was, and
/// a number that depends on all of them.
///
/// # Errors
/// The processor does not have the backend.
pub fn spin(backend: Backend, iterations: u64) -> Result<(u64, i32), BackendError> {
    Ok(backend.require()?.spin(iterations))
}
