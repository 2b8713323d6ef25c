//! Honest submissions at the bound: whether the norm proof ever refuses one (`docs/protocol.md`, section 4.3). Real noise, real
//! seeds and matrices, real digits; a part of them through the whole message and the stewards' decision.

use dawn_crypto::gaussian::Gaussian;
use dawn_crypto::mask::{PublicMatrix, sample_error};
use dawn_crypto::norm::params::TOP_BITS;
use dawn_crypto::norm::projection::{MatrixBlocks, MatrixCache};
use dawn_crypto::norm::{Hidden, NormError, NormParams, NormProof};
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use serde::Serialize;

use crate::prove;
use crate::scene::{Scene, SceneError};

/// How the update that is as long as the clip bound looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Shape {
    /// All coordinates of the same size.
    Dense,
    /// As many coordinates as the root of their number, drawn anew for each.
    Sparse,
    /// One coordinate.
    Spiky,
}

impl Shape {
    const ALL: [Shape; 3] = [Shape::Dense, Shape::Sparse, Shape::Spiky];

    /// An update with as much of the clip bound as whole numbers allow, with random signs.
    fn update(self, dim: usize, clip: u32, rng: &mut ChaCha20Rng) -> Vec<i32> {
        let count = match self {
            Shape::Dense => dim,
            Shape::Sparse => dim.isqrt(),
            Shape::Spiky => 1,
        };
        let clip = u64::from(clip);
        let each = (clip * clip / count as u64).isqrt();
        let mut x = vec![0i32; dim];
        let mut left = clip * clip;
        let mut filled = 0;
        while filled < count {
            let at = if count == dim {
                filled
            } else {
                (rng.next_u64() % dim as u64) as usize
            };
            if x[at] == 0 {
                x[at] = if rng.next_u32() & 1 == 0 { 1 } else { -1 } * each as i32;
                left -= each * each;
                filled += 1;
            }
        }
        // What rounding has left over goes, as far as it can, into coordinates that are there.
        for x in x.iter_mut().filter(|x| **x != 0) {
            let more = 2 * u64::from(x.unsigned_abs()) + 1;
            if more <= left {
                left -= more;
                *x += x.signum();
            }
        }
        x
    }
}

/// What became of the submissions of one shape.
#[derive(Clone, Debug, Serialize)]
pub struct Honest {
    /// Their updates.
    pub shape: Shape,
    /// How many there were.
    pub submissions: u64,
    /// Those whose norm could not be proven.
    pub refused: u64,
    /// Those that were made, sealed, answered by six stewards and decided as a whole.
    pub whole: u64,
    /// Those of them that did not count.
    pub whole_refused: u64,
    /// The least norm of an update, over the clip bound.
    pub least_update: f64,
    /// The largest `||v||^2`, over `B^2`.
    pub largest_squared: f64,
    /// The largest `sum (2h + 1)^2`, over the bound.
    pub largest_sum: f64,
    /// The largest projection, over the range.
    pub largest_projection: f64,
}

/// The submissions of all shapes.
#[derive(Clone, Debug, Serialize)]
pub struct AllHonest {
    /// Coordinates.
    pub dim: usize,
    /// Rows of R.
    pub rows: u16,
    /// The clip bound.
    pub clip: u32,
    /// `gamma`.
    pub gamma: f64,
    /// By shape.
    pub shapes: Vec<Honest>,
    /// Over all shapes: submissions, and those that were refused, in digits or as a whole.
    pub total: (u64, u64),
}

/// Makes `submissions` honest ones, a third of each shape; of each shape `whole` more go through everything.
///
/// # Errors
/// When there is no such round.
pub fn run(dim: usize, rows: u16, submissions: u64, whole: u64) -> Result<AllHonest, SceneError> {
    const STEWARDS: u8 = 6;
    let mut scene = Scene::new(dim, STEWARDS, rows)?;
    let params = *scene.open.norm_params();
    let (clip, dim) = (
        scene.open.task().quantiser.clip,
        scene.open.dimension().coordinates(),
    );
    let mut rng = ChaCha20Rng::seed_from_u64(3);
    let mut shapes = Vec::new();
    for (i, shape) in (0u64..).zip(Shape::ALL) {
        let count = submissions / 3 + u64::from(i < submissions % 3);
        let mut found = Honest {
            shape,
            submissions: count,
            refused: 0,
            whole,
            whole_refused: 0,
            least_update: f64::MAX,
            largest_squared: 0.0,
            largest_sum: 0.0,
            largest_projection: 0.0,
        };
        for number in 0..count {
            let x = shape.update(dim, clip, &mut rng);
            let context = format!("{shape:?} {number}");
            found.digits(&scene, &params, &x, context.as_bytes(), &mut rng)?;
        }
        for _ in 0..whole {
            let x = shape.update(dim, clip, &mut rng);
            found.whole_refused += u64::from(!decided(&mut scene, &x, STEWARDS)?);
        }
        shapes.push(found);
    }
    let total = |of: fn(&Honest) -> u64| shapes.iter().map(of).sum();
    Ok(AllHonest {
        dim,
        rows,
        clip,
        gamma: params.gamma(),
        total: (
            total(|s| s.submissions + s.whole),
            total(|s| s.refused + s.whole_refused),
        ),
        shapes,
    })
}

impl Honest {
    /// One submission up to its digits.
    fn digits(
        &mut self,
        scene: &Scene,
        params: &NormParams,
        x: &[i32],
        context: &[u8],
        rng: &mut ChaCha20Rng,
    ) -> Result<(), SceneError> {
        let task = scene.open.task();
        let noise = Gaussian::new(task.sigma_error);
        let mut v = sample_error(&noise, &scene.open.dimension(), rng);
        for (v, x) in v.iter_mut().zip(x) {
            *v += x;
        }
        let squared = |of: &[i32]| of.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>();
        let update = squared(x).sqrt() / f64::from(task.quantiser.clip);
        self.least_update = self.least_update.min(update);
        let long = squared(&v) / params.honest_squared() as f64;
        self.largest_squared = self.largest_squared.max(long);
        let digits = match NormProof::digits(params, context, Hidden::vector(&v)) {
            Err(NormError::TooLong) => {
                self.refused += 1;
                return Ok(());
            }
            digits => digits?,
        };
        let (rows, slack) = digits.split_at(params.rows() * params.digits_per_row());
        let value = |digits: &[u32]| {
            let digits = digits.iter().rev();
            digits.fold(0i64, |sum, digit| 4 * sum + i64::from(*digit))
        };
        let left = value(slack) as f64 / f64::from(params.bound());
        self.largest_sum = self.largest_sum.max(1.0 - left);
        let half = 1i64 << (params.range_bits() - 1);
        debug_assert!(params.range_bits() >= TOP_BITS);
        for row in rows.chunks_exact(params.digits_per_row()) {
            let projection = (value(row) - half).abs() as f64 / half as f64;
            self.largest_projection = self.largest_projection.max(projection);
        }
        Ok(())
    }
}

/// Whether a whole submission counts, by the answers of all stewards.
fn decided(scene: &mut Scene, x: &[i32], stewards: u8) -> Result<bool, SceneError> {
    let submission = scene.prepare(x)?;
    let round = scene.challenged(&submission)?;
    let matrix = PublicMatrix::from_seed(&round.spec().matrix_seed);
    let cache = MatrixCache::new(&matrix, scene.open.dimension().blocks());
    prove::is_valid(
        scene,
        &round,
        &submission,
        MatrixBlocks::Cached(&cache),
        stewards,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn updates_are_as_long_as_whole_numbers_allow() {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        for shape in Shape::ALL {
            for (dim, clip) in [(10, 50), (1000, 8192), (4096, 8192)] {
                let x = shape.update(dim, clip, &mut rng);
                let squared: u64 = x.iter().map(|x| u64::from(x.unsigned_abs()).pow(2)).sum();
                let most = u64::from(clip).pow(2);
                assert!(
                    squared <= most && squared as f64 > 0.9 * most as f64,
                    "{shape:?} {dim}"
                );
            }
        }
    }

    /// A small version of what `benches/results/soundness.md` records.
    #[test]
    fn no_honest_submission_is_refused() {
        for rows in [128, 256] {
            let found = run(100, rows, 90, 2).expect("runs");
            assert_eq!(found.total, (96, 0), "{found:?}");
            for shape in &found.shapes {
                assert!(shape.least_update > 0.99 && shape.largest_squared < 1.0);
                assert!(shape.largest_sum < 1.0 && shape.largest_projection < 1.0);
            }
        }
    }
}
