//! The public side of the linear check `<lambda, z> = <w, c> - <u, k>` (`docs/protocol.md`, section 4.6): with `c = A k + v`
//! and `w = lambda R`, `u` is `w A`, the sum over the blocks of `adj(a_b) w_b`, where
//! `adj(a) = a_0 - a_{n-1} X - ... - a_1 X^{n-1}` is the adjoint: `<w, a k> = <adj(a) w, k>`.
//!
//! `adj(a)` is `a` at `1/X`. Slot `i` of a transformed element is its value at `psi^(2 rev(i) + 1)`, whose inverse is
//! `psi^(2 rev(i') + 1)` with `rev(i') = n - 1 - rev(i)`, that is with all bits flipped: `i' = n - 1 - i`. So the transform of
//! the adjoint is the transform backwards, and the sum over the blocks stays in the transform domain until the end.

use super::{PreparedLambdas, Projection, ProjectionError};
use crate::backend::active;
use crate::field;
use crate::mask::PublicMatrix;
use crate::norm::functional::{FunctionalRow, WeightedRow};
use crate::params::{N, Q};
use crate::ring::Transformed;
use core::fmt;

/// `2^32 mod q`: what Montgomery products divide by.
pub(in crate::norm) const R: u32 = ((1u64 << 32) % Q as u64) as u32;

/// The blocks of a round's public matrix as the check needs them, the adjoints in the transform domain, 4 bytes a
/// coordinate: expanded once for all submissions of the round.
pub struct MatrixCache(Vec<[u32; N]>);

impl MatrixCache {
    /// Expands the first `blocks` blocks: [`crate::params::Dimension::blocks`] of them are a round's.
    pub fn new(matrix: &PublicMatrix, blocks: usize) -> MatrixCache {
        let adjoint = |block: usize| {
            let mut values = [0; N];
            adjoint(matrix, block, &mut values);
            values
        };
        MatrixCache((0..blocks).map(adjoint).collect())
    }

    /// How many blocks there are.
    pub fn blocks(&self) -> usize {
        self.0.len()
    }
}

impl fmt::Debug for MatrixCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MatrixCache({} blocks)", self.0.len())
    }
}

/// The adjoint of a block, in the transform domain.
fn adjoint(matrix: &PublicMatrix, block: usize, values: &mut [u32; N]) {
    matrix.block_into(block, values);
    values.reverse();
}

/// Where the blocks of the public matrix come from.
#[derive(Clone, Copy, Debug)]
pub enum MatrixBlocks<'a> {
    /// Expanded from the seed, every time.
    Expanded(&'a PublicMatrix),
    /// Expanded before.
    Cached(&'a MatrixCache),
}

/// What is public about the linear check of one submission, for both vectors of coefficients.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicCheck {
    /// `u = w A`: N canonical coefficients each.
    pub u: [Box<[u32; N]>; 2],
    /// `<w, c>` modulo q, when the payload was given.
    pub masked: Option<[u32; 2]>,
}

impl PublicCheck {
    /// Computes it for a vector of `blocks` blocks. `payload`, where it is given, is the whole payload, canonical.
    ///
    /// # Errors
    /// [`ProjectionError::Coefficients`] when the coefficients are for another number of rows,
    /// [`ProjectionError::Coordinates`] for a payload of another length, [`ProjectionError::NotCached`].
    pub fn compute(
        projection: &Projection,
        lambdas: &PreparedLambdas,
        matrix: MatrixBlocks<'_>,
        blocks: usize,
        payload: Option<&[u32]>,
    ) -> Result<PublicCheck, ProjectionError> {
        PublicChecker::new(projection, lambdas, matrix)?.all(blocks, payload)
    }
}

impl fmt::Debug for PublicCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicCheck({:?}, ..)", self.masked)
    }
}

/// Computes a [`PublicCheck`] block by block, in any order; parts of it may be computed apart and merged.
pub struct PublicChecker<'a> {
    projection: &'a Projection,
    lambdas: &'a PreparedLambdas,
    matrix: MatrixBlocks<'a>,
    /// The row of a functional, part of `w`.
    row: Option<WeightedRow<'a>>,
    /// `w` of a block.
    combined: Box<[[u32; N]; 2]>,
    /// The sum of `adj(a_b) w_b` in the transform domain, over `2^32`.
    sums: Box<[[u32; N]; 2]>,
    /// `w c` by coordinates modulo N, over `2^32`.
    products: Box<[[u32; N]; 2]>,
    /// Whether blocks come with their payload, once there is one.
    with_payload: Option<bool>,
}

impl<'a> PublicChecker<'a> {
    /// Starts with no block.
    ///
    /// # Errors
    /// [`ProjectionError::Coefficients`] when the coefficients are for another number of rows.
    pub fn new(
        projection: &'a Projection,
        lambdas: &'a PreparedLambdas,
        matrix: MatrixBlocks<'a>,
    ) -> Result<PublicChecker<'a>, ProjectionError> {
        lambdas.expect_rows(projection.rows())?;
        let zero = || Box::new([[0; N]; 2]);
        Ok(PublicChecker {
            projection,
            lambdas,
            matrix,
            row: None,
            combined: zero(),
            sums: zero(),
            products: zero(),
            with_payload: None,
        })
    }

    /// Adds a functional's row to `w`, with its [weight in each check](crate::norm::Challenge::row_weights). Before any block.
    pub fn with_row(mut self, row: &'a FunctionalRow, weights: [u32; 2]) -> PublicChecker<'a> {
        self.row = Some(WeightedRow::new(row, weights));
        self
    }

    /// Adds blocks `0..blocks`, and finishes. `payload`, where it is given, is the whole payload, canonical.
    ///
    /// # Errors
    /// As [`PublicChecker::block`].
    pub fn all(
        mut self,
        blocks: usize,
        payload: Option<&[u32]>,
    ) -> Result<PublicCheck, ProjectionError> {
        if let Some(c) = payload
            && c.len() != blocks * N
        {
            return Err(ProjectionError::Coordinates {
                coordinates: c.len(),
            });
        }
        for block in 0..blocks {
            self.block(block, payload.map(|c| &c[block * N..(block + 1) * N]))?;
        }
        Ok(self.finish())
    }

    fn expect_payload(&mut self, given: bool) -> Result<(), ProjectionError> {
        match self.with_payload.replace(given) {
            Some(before) if before != given => {
                self.with_payload = Some(before);
                Err(ProjectionError::Payload)
            }
            _ => Ok(()),
        }
    }

    /// Adds block `block`, each at most once, with its N canonical words of the payload or without.
    ///
    /// # Errors
    /// [`ProjectionError::Coordinates`] for a payload that is not a block, [`ProjectionError::Payload`] when blocks
    /// before differ in having one, [`ProjectionError::NotCached`]. After an error nothing was added.
    pub fn block(&mut self, block: usize, payload: Option<&[u32]>) -> Result<(), ProjectionError> {
        let payload: Option<&[u32; N]> = match payload {
            Some(c) => Some(c.try_into().map_err(|_| ProjectionError::Coordinates {
                coordinates: c.len(),
            })?),
            None => None,
        };
        let mut expanded = [0; N];
        let adjoint = match self.matrix {
            MatrixBlocks::Cached(cache) => {
                let cached = cache.0.get(block);
                cached.ok_or(ProjectionError::NotCached { block })?
            }
            MatrixBlocks::Expanded(matrix) => {
                adjoint(matrix, block, &mut expanded);
                &expanded
            }
        };
        self.expect_payload(payload.is_some())?;
        let (combined, backend) = (&mut *self.combined, active());
        self.projection
            .combine_block(block as u64, self.lambdas, combined)?;
        if let Some(row) = &self.row {
            row.add_to(block, combined);
        }
        for (i, w) in combined.iter_mut().enumerate() {
            if let Some(c) = payload {
                debug_assert!(c.iter().all(|&word| field::is_canonical(word)));
                let mut product = *c;
                backend.mul_montgomery(&mut product, w);
                backend.add_assign(&mut self.products[i], &product);
            }
            backend.forward(w);
            backend.mul_montgomery(w, adjoint);
            backend.add_assign(&mut self.sums[i], w);
        }
        Ok(())
    }

    /// Adds the blocks of another part of the same check.
    ///
    /// # Errors
    /// [`ProjectionError::Payload`] when one part has payloads and the other does not.
    pub fn merge(&mut self, other: &PublicChecker<'_>) -> Result<(), ProjectionError> {
        let Some(with_payload) = other.with_payload else {
            return Ok(());
        };
        self.expect_payload(with_payload)?;
        let backend = active();
        for i in 0..2 {
            backend.add_assign(&mut self.sums[i], &other.sums[i]);
            backend.add_assign(&mut self.products[i], &other.products[i]);
        }
        Ok(())
    }

    /// The check of all blocks that were added.
    pub fn finish(self) -> PublicCheck {
        let undo = Transformed::from_values([R; N]).into_multiplier();
        let u = self.sums.map(|mut sum| {
            undo.times(&mut sum);
            Box::new(sum)
        });
        let inner = |products: &[u32; N]| {
            let sum = products.iter().fold(0, |sum, &p| field::add(sum, p));
            field::mul(sum, R)
        };
        PublicCheck {
            u,
            masked: (self.with_payload == Some(true)).then(|| {
                let [first, second] = &*self.products;
                [inner(first), inner(second)]
            }),
        }
    }
}

impl fmt::Debug for PublicChecker<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PublicChecker(..)")
    }
}
