//! Coefficients of R's rows, two vectors of them, as tables of the sums of every four.

use super::ProjectionError;
use crate::backend::ternary::{LambdaTables, MAX_ROWS};
use crate::field;
use core::fmt;

/// Two vectors of coefficients in `F_q^rows`, made ready for [`super::Projection::combine_block`]. Public.
pub struct PreparedLambdas {
    rows: usize,
    tables: LambdaTables,
}

impl PreparedLambdas {
    /// Prepares two vectors of canonical coefficients, one a row.
    ///
    /// # Errors
    /// [`ProjectionError::Rows`] for a number of coefficients that no projection has,
    /// [`ProjectionError::Coefficients`] when the second vector has another, [`ProjectionError::NotCanonical`].
    pub fn new(lambdas: &[Vec<u32>; 2]) -> Result<PreparedLambdas, ProjectionError> {
        let [first, second] = lambdas;
        let rows = first.len();
        if rows == 0 || rows > MAX_ROWS || !rows.is_multiple_of(64) {
            return Err(ProjectionError::Rows { rows });
        }
        if second.len() != rows {
            return Err(ProjectionError::Coefficients {
                expected: rows,
                actual: second.len(),
            });
        }
        for lambda in lambdas {
            if let Some(index) = lambda.iter().position(|&l| !field::is_canonical(l)) {
                return Err(ProjectionError::NotCanonical { index });
            }
        }
        Ok(PreparedLambdas {
            rows,
            tables: LambdaTables::new([first, second]),
        })
    }

    /// The number of rows that they are for.
    pub const fn rows(&self) -> usize {
        self.rows
    }

    pub(super) fn expect_rows(&self, rows: usize) -> Result<(), ProjectionError> {
        if rows == self.rows {
            Ok(())
        } else {
            Err(ProjectionError::Coefficients {
                expected: rows,
                actual: self.rows,
            })
        }
    }

    pub(super) fn tables(&self) -> &LambdaTables {
        &self.tables
    }
}

impl fmt::Debug for PreparedLambdas {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PreparedLambdas({} rows)", self.rows)
    }
}
