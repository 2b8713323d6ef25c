//! Vectors of a given norm: plain ones, and shapes whose projections vary most.

use dawn_crypto::gaussian::Gaussian;
use dawn_crypto::params::Sigma;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

/// A shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// All coordinates normal: what noise and honest updates look like.
    Gaussian,
    /// All coordinates the same, but for their signs.
    Flat,
    /// Half of the squared norm in one coordinate, half in all the others.
    TwoValued,
    /// Sixteen equal coordinates.
    Sparse,
    /// Two equal coordinates.
    Pair,
    /// Each coordinate half of the one before.
    Geometric,
    /// One coordinate: the worst for 128 rows, because half of the rows miss it.
    Spike,
}

impl Family {
    /// All of them.
    pub const ALL: [Family; 7] = [
        Family::Gaussian,
        Family::Flat,
        Family::TwoValued,
        Family::Sparse,
        Family::Pair,
        Family::Geometric,
        Family::Spike,
    ];

    /// Its name in tables.
    pub const fn name(self) -> &'static str {
        match self {
            Family::Gaussian => "gaussian",
            Family::Flat => "flat",
            Family::TwoValued => "two-valued",
            Family::Sparse => "16 equal",
            Family::Pair => "2 equal",
            Family::Geometric => "geometric",
            Family::Spike => "spike",
        }
    }

    /// Its coordinates as `(count, magnitude)`, up to signs and order, of norm at least `norm` and hardly more; the distribution of
    /// their projections is known exactly. None for what has too many magnitudes.
    pub fn groups(self, norm: f64, coordinates: usize) -> Option<Vec<(usize, i64)>> {
        let equal = |count: usize, norm: f64| (count, (norm / (count as f64).sqrt()).ceil() as i64);
        Some(match self {
            Family::Gaussian => return None,
            // As many as have the norm with a magnitude that was rounded up.
            Family::Flat => {
                let magnitude = equal(coordinates, norm).1;
                vec![((norm / magnitude as f64).powi(2).ceil() as usize, magnitude)]
            }
            Family::TwoValued => {
                let half = norm / 2f64.sqrt();
                let magnitude = equal(coordinates - 1, half).1;
                let count = (half / magnitude as f64).powi(2).ceil() as usize;
                vec![equal(1, half), (count, magnitude)]
            }
            Family::Sparse => vec![equal(16, norm)],
            Family::Pair => vec![equal(2, norm)],
            Family::Geometric => {
                let first = norm * 0.75f64.sqrt();
                let magnitudes = (0..9).map(|i| (first / 2f64.powi(i)).ceil() as i64);
                magnitudes.map(|magnitude| (1, magnitude)).collect()
            }
            Family::Spike => vec![equal(1, norm)],
        })
    }

    /// The vector, all coordinates of it.
    pub fn vector(self, norm: f64, coordinates: usize) -> Vec<i32> {
        let mut v = Vec::with_capacity(coordinates);
        match self.groups(norm, coordinates) {
            Some(groups) => {
                for (count, magnitude) in groups {
                    let signed = |i: usize| {
                        if i.is_multiple_of(2) {
                            magnitude
                        } else {
                            -magnitude
                        }
                    };
                    v.extend((0..count).map(|i| signed(i) as i32));
                }
                v.resize(coordinates, 0);
            }
            None => {
                // Drawn once; then brought to the norm in steps of one, the last coordinates by one each.
                let mut rng = ChaCha20Rng::seed_from_u64(5);
                let sigma = norm / (coordinates as f64).sqrt();
                let sigma = Sigma::from_f64_ceil(sigma.max(1.0)).unwrap_or(Sigma::MAX);
                let mut drawn = vec![0i32; coordinates];
                Gaussian::new(sigma).fill(&mut rng, &mut drawn);
                let length = drawn.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>();
                let scale = norm / length.sqrt();
                v = drawn
                    .iter()
                    .map(|x| (f64::from(*x) * scale).round() as i32)
                    .collect();
            }
        }
        v
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_have_the_norm_and_the_groups_that_they_say() {
        for family in Family::ALL {
            for norm in [10_000.0, 123_456.7] {
                let v = family.vector(norm, 4096);
                assert_eq!(v.len(), 4096);
                let length = v.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
                assert!(
                    (length / norm - 1.0).abs() < 2e-3,
                    "{family:?} {}",
                    length / norm
                );
                let Some(groups) = family.groups(norm, 4096) else {
                    continue;
                };
                let counted: usize = groups.iter().map(|(count, _)| count).sum();
                assert_eq!(v.iter().filter(|x| **x != 0).count(), counted);
            }
        }
    }
}
