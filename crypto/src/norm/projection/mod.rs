//! The ternary matrix R of the norm proof, in both directions (`docs/protocol.md`, sections 4.3 and 4.6): a device
//! projects its vector, `z = R v`; a steward combines R's rows, `w = lambda R`, and from that the public side of the
//! linear check `<lambda, z> = <w, c> - <u, k>`, `u = w A`.
//!
//! Entries are independent: 0 with probability 1/2, 1 and -1 with probability 1/4 each, as differences of two uniform
//! bits. R has a column for every coordinate of the masked vector, check coordinates included. It is never stored: tiles
//! of it are expanded from the seed (`docs/crypto-table.md`, section 3), used while they are in the first cache, and
//! overwritten.
//!
//! | file | explains |
//! |---|---|
//! | `lambdas` | coefficients made ready for the rows |
//! | `public` | the public side of the linear check, in one pass |

mod lambdas;
mod public;

#[cfg(test)]
mod tests;

pub use lambdas::PreparedLambdas;
pub(super) use public::R;
pub use public::{MatrixBlocks, MatrixCache, PublicCheck, PublicChecker};

use crate::backend::active;
use crate::backend::ternary::{CHUNK, MAX_ROWS, place};
use crate::digest::{Hasher, labels};
use crate::keystream::Keystream;
use crate::params::N;
use crate::secret::SecretVec;

/// The matrix R of one submission: `rows` rows, as many columns as are asked for. Public.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Projection {
    seed: [u8; 32],
    rows: usize,
}

/// Why nothing is projected or combined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProjectionError {
    /// The matrix has no tiles of this height.
    #[error("a projection has a multiple of 64 rows up to {MAX_ROWS}, not {rows}")]
    Rows {
        /// What was asked for.
        rows: usize,
    },
    /// Not a whole number of blocks.
    #[error(
        "a projected vector is a whole number of blocks of {N} coordinates, not {coordinates} coordinates"
    )]
    Coordinates {
        /// How many there are.
        coordinates: usize,
    },
    /// Coefficients for another number of rows.
    #[error("{expected} coefficients were expected, one a row, not {actual}")]
    Coefficients {
        /// The rows.
        expected: usize,
        /// The coefficients.
        actual: usize,
    },
    /// A coefficient is not canonical.
    #[error("coefficient {index} is not below q")]
    NotCanonical {
        /// Which one.
        index: usize,
    },
    /// A cache of the public matrix ends before this block.
    #[error("block {block} of the public matrix is not in the cache")]
    NotCached {
        /// Which one.
        block: usize,
    },
    /// There is a functional, and its public row is not known.
    #[error("the public row of the functional is not known")]
    Row,
    /// Some blocks come with their payload, and some without.
    #[error("either every block of a check comes with its payload, or none")]
    Payload,
}

/// Bytes of R a coordinate and row: two bits.
const fn tile_bytes(coordinates: usize, rows: usize) -> usize {
    coordinates * rows / 4
}

impl Projection {
    /// The matrix of a seed; `rows` is a multiple of 64 and at most 512.
    ///
    /// # Errors
    /// [`ProjectionError::Rows`].
    pub fn new(seed: [u8; 32], rows: usize) -> Result<Projection, ProjectionError> {
        if rows == 0 || rows > MAX_ROWS || !rows.is_multiple_of(64) {
            return Err(ProjectionError::Rows { rows });
        }
        Ok(Projection { seed, rows })
    }

    /// The number of rows.
    pub const fn rows(&self) -> usize {
        self.rows
    }

    /// Shows `work` the tiles of block `block`, [`CHUNK`] coordinates at a time, with the first of them; the bytes may be
    /// overwritten.
    fn each_chunk(&self, block: u64, mut work: impl FnMut(usize, &mut [u8])) {
        let mut hasher = Hasher::new(labels::PROJECTION_BLOCK);
        hasher.field(&self.seed).field(&block.to_le_bytes());
        let mut key = [0u8; 16];
        hasher.xof().fill(&mut key);
        let mut stream = Keystream::aes128(&key);
        let mut buffer = [0u8; tile_bytes(CHUNK, MAX_ROWS)];
        let tiles = &mut buffer[..tile_bytes(CHUNK, self.rows)];
        for first in (0..N).step_by(CHUNK) {
            stream.fill(tiles);
            work(first, tiles);
        }
    }

    /// `z_i = sum_j R_ij v_j` for every row, in 32-bit two's complement: exact when `|z_i| < 2^31`. `v` is the whole masked
    /// vector before masking, check coordinates included. Both are secret: the time depends on lengths only.
    ///
    /// # Errors
    /// [`ProjectionError::Coordinates`] unless `v` is a whole number of blocks.
    pub fn project(&self, v: &[i32]) -> Result<SecretVec<i32>, ProjectionError> {
        if !v.len().is_multiple_of(N) {
            return Err(ProjectionError::Coordinates {
                coordinates: v.len(),
            });
        }
        let backend = active();
        let mut sums = SecretVec::zeroed(self.rows);
        for (block, v) in v.chunks_exact(N).enumerate() {
            self.each_chunk(block as u64, |first, tiles| {
                backend.project(tiles, &v[first..first + CHUNK], &mut sums);
            });
        }
        let mut z = SecretVec::zeroed(self.rows);
        for (row, z) in z.iter_mut().enumerate() {
            *z = sums[place(row)];
        }
        Ok(z)
    }

    /// `w_j = sum_i lambda_i R_ij mod q` for the coordinates of block `block` and both vectors of coefficients, canonical.
    /// All of it is public.
    ///
    /// # Errors
    /// [`ProjectionError::Coefficients`] unless there is a coefficient a row.
    pub fn combine_block(
        &self,
        block: u64,
        lambdas: &PreparedLambdas,
        out: &mut [[u32; N]; 2],
    ) -> Result<(), ProjectionError> {
        lambdas.expect_rows(self.rows)?;
        let backend = active();
        let [left, right] = out;
        self.each_chunk(block, |first, tiles| {
            let range = first..first + CHUNK;
            let out = [&mut left[range.clone()], &mut right[range]];
            backend.combine(tiles, lambdas.tables(), out);
        });
        Ok(())
    }
}
