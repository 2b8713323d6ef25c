//! The direction of the last accepted global update, as small integers (`docs/learning.md`, section 6): what updates are
//! measured against when a task asks that none points the wrong way (`docs/protocol.md`, section 4.5).

use crate::fixed::div_half_even;
use crate::model::Model;
use crate::spec::ModelSpec;
use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;

/// Why there is no direction.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DirectionError {
    /// The two models are of different shapes.
    #[error("there is no direction from a {from} to a {to}")]
    Shape {
        /// Where it begins.
        from: Box<ModelSpec>,
        /// Where it ends.
        to: Box<ModelSpec>,
    },
    /// Updates are answers of a distillation, not steps of the model.
    #[error("a distillation has no direction: its updates are answers to public samples")]
    NotLinear,
    /// Rounding could take more than half of the norm.
    #[error(
        "a direction of {coordinates} coordinates has a norm of at least {least}, not {limit}: its entries are integers"
    )]
    Limit {
        /// What was asked for.
        limit: u32,
        /// The least norm of so many coordinates.
        least: u32,
        /// How many there are.
        coordinates: usize,
    },
}

/// The least limit for a direction of so many coordinates: twice the root of their number, rounded up. Rounding then
/// takes or adds at most a third of the norm, and usually below a fifth.
#[must_use]
pub fn least_limit(coordinates: usize) -> u32 {
    u32::try_from(2 * root_up(coordinates as u128)).expect("at most 2^33 coordinates")
}

/// The direction from one model to another: with `D` the difference of the weights, `d` their number and `N` its norm
/// rounded up, `g_i = round_half_even(D_i * (limit - ceil(sqrt(d) / 2)) / N)`; zeros when the models are the same.
///
/// `||g||_2 <= limit`, because rounding adds at most `sqrt(d) / 2`. Exact integers: everybody computes the same.
///
/// # Errors
/// The models have different shapes, or `limit` is below [`least_limit`].
pub fn direction(from: &Model, to: &Model, limit: u32) -> Result<Vec<i32>, DirectionError> {
    if from.spec() != to.spec() {
        return Err(DirectionError::Shape {
            from: Box::new(from.spec()),
            to: Box::new(to.spec()),
        });
    }
    let moved = from.weights().iter().zip(to.weights());
    let moved = moved.map(|(&from, &to)| i64::from(to) - i64::from(from));
    direction_of(&moved.collect::<Vec<_>>(), limit)
}

/// The same of a difference, whose entries are below 2^42.
pub(crate) fn direction_of(moved: &[i64], limit: u32) -> Result<Vec<i32>, DirectionError> {
    let coordinates = moved.len();
    let least = least_limit(coordinates);
    if limit < least {
        return Err(DirectionError::Limit {
            limit,
            least,
            coordinates,
        });
    }
    // Below 2^84 each, and fewer than 2^32 of them.
    let squares = moved.iter().map(|d| u128::from(d.unsigned_abs()).pow(2));
    let norm = i128::try_from(root_up(squares.sum())).expect("a root has 64 bits");
    if norm == 0 {
        return Ok(vec![0; coordinates]);
    }
    let rounding = root_up((coordinates as u128).div_ceil(4));
    let target = i128::from(limit) - i128::try_from(rounding).expect("a root has 64 bits");
    let scaled = moved.iter().map(|&d| {
        let entry = div_half_even(i128::from(d) * target, norm);
        i32::try_from(entry).expect("no entry is larger than the limit")
    });
    Ok(scaled.collect())
}

/// The square root, rounded up.
fn root_up(x: u128) -> u128 {
    let root = x.isqrt();
    root + u128::from(root * root < x)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixed::MASTER_MAX;
    use proptest::prelude::*;

    fn model(weights: &[i32]) -> Model {
        let spec = format!("logistic:{}-2", weights.len() / 2 - 1);
        Model::from_weights(spec.parse().unwrap(), weights.to_vec()).unwrap()
    }

    fn squared(g: &[i32]) -> i64 {
        g.iter().map(|&g| i64::from(g).pow(2)).sum()
    }

    #[test]
    fn known_directions() {
        let base = model(&[5, -7, 0, 100]);
        let moved = |by: [i32; 4]| {
            let to: Vec<i32> = base.weights().iter().zip(by).map(|(w, d)| w + d).collect();
            direction(&base, &model(&to), 101).unwrap()
        };
        // The target is 101 - 1.
        assert_eq!(moved([3, 0, -4, 0]), [60, 0, -80, 0]);
        assert_eq!(moved([-1, 1, 1, 1]), [-50, 50, 50, 50]);
        assert_eq!(moved([0, 0, 0, 9]), [0, 0, 0, 100]);
        // sqrt(200) is rounded up to 15: entries of 66.67.
        assert_eq!(moved([10, 10, 0, 0]), [67, 67, 0, 0]);
        assert_eq!(moved([200, 1, 0, 3]), [100, 0, 0, 1]);
        assert_eq!(moved([0; 4]), [0; 4]);
    }

    #[test]
    fn the_ends_of_the_range_fit() {
        let low = model(&[-MASTER_MAX; 4]);
        let high = model(&[MASTER_MAX; 4]);
        let limit = i32::MAX as u32;
        let g = direction(&low, &high, limit).unwrap();
        assert!(g.iter().all(|&g| g > 1_073_741_000 && g <= 1 << 30));
        assert_eq!(
            direction(&high, &low, limit).unwrap(),
            g.iter().map(|g| -g).collect::<Vec<_>>()
        );
    }

    #[test]
    fn wrong_arguments_are_refused() {
        let (four, six) = (model(&[0; 4]), model(&[0; 6]));
        assert!(matches!(
            direction(&four, &six, 100),
            Err(DirectionError::Shape { .. })
        ));
        assert_eq!(
            (least_limit(4), least_limit(5), least_limit(1 << 20)),
            (4, 6, 2048)
        );
        assert!(direction(&four, &four, 4).is_ok());
        assert_eq!(
            direction(&four, &four, 3),
            Err(DirectionError::Limit {
                limit: 3,
                least: 4,
                coordinates: 4
            })
        );
    }

    proptest! {
        #[test]
        fn a_direction_is_short_enough_and_points_where_the_models_went(
            weights in prop::collection::vec((-MASTER_MAX..=MASTER_MAX, -MASTER_MAX..=MASTER_MAX), 2..40),
            small in 0u32..31,
            excess in 0u32..1 << 20,
        ) {
            let even = weights.len() / 2 * 2;
            prop_assume!(even >= 4);
            let from: Vec<i32> = weights[..even].iter().map(|w| w.0 >> small).collect();
            let to: Vec<i32> = weights[..even].iter().map(|w| w.1 >> small).collect();
            let limit = least_limit(even) + excess;
            let g = direction(&model(&from), &model(&to), limit).unwrap();
            prop_assert!(squared(&g) <= i64::from(limit).pow(2));
            let moved: Vec<f64> = from.iter().zip(&to).map(|(f, t)| f64::from(*t) - f64::from(*f)).collect();
            let norm = moved.iter().map(|d| d * d).sum::<f64>().sqrt();
            if norm == 0.0 {
                prop_assert!(g.iter().all(|&g| g == 0));
                return Ok(());
            }
            let target = f64::from(limit) - (even as f64).sqrt() / 2.0 - 1.5;
            for (g, d) in g.iter().zip(&moved) {
                // Rounded norms move an entry by less than its own share of one.
                let least = d / (norm + 1.0) * target;
                let most = d / norm * (target + 1.5);
                let (low, high) = (least.min(most), least.max(most));
                prop_assert!(f64::from(*g) >= low - 0.501 && f64::from(*g) <= high + 0.501, "{g} {low} {high}");
            }
        }
    }
}
