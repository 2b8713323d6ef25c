//! How often vectors that are too long pass the norm proof: measured with real seeds, matrices and digits, beside what the
//! distribution of their projections predicts (`docs/protocol.md`, section 4.3).
//!
//! | module | explains |
//! |---|---|
//! | [`predict`] | the predicted probability |
//! | [`families`] | the vectors that are tried |

pub mod families;
pub mod predict;

use dawn_crypto::norm::{Hidden, NormError, NormParams, NormProof, Rows};
use dawn_crypto::params::{Dimension, Sigma};
use serde::Serialize;

use families::Family;
use predict::Projected;

/// Norms that are tried, in units of the bound B.
pub const FACTORS: [f64; 9] = [1.2, 1.4, 1.5, 1.6, 1.7, 2.0, 3.0, 5.0, 10.0];
/// Tries of an attacker that grinds its seed.
pub const TRIES: u64 = 16;
/// A point with a smaller predicted probability is negligible: hardly ever seen in `10^4` trials.
const NEGLIGIBLE: f64 = 1e-6;
/// Two-sided 95 %.
const NORMAL_95: f64 = 1.959_963_984_540_054;

/// One family at one length.
#[derive(Clone, Debug, Serialize)]
pub struct Point {
    /// Which vectors.
    pub family: &'static str,
    /// Their norm over B.
    pub factor: f64,
    /// Matrices that one attacker tries; 1 for plain submissions.
    pub tries: u64,
    /// Attackers.
    pub trials: u64,
    /// Those that passed at least once.
    pub accepted: u64,
    /// `accepted / trials`.
    pub measured: f64,
    /// Wilson's interval at 95 %.
    pub interval: (f64, f64),
    /// The predicted probability.
    pub predicted: f64,
    /// Its `log2`, for what is too small to be measured.
    pub predicted_log2: f64,
    /// Whether the prediction is inside the interval.
    pub inside: bool,
}

/// What a family's vector of norm `gamma B` passes with.
#[derive(Clone, Debug, Serialize)]
pub struct AtGamma {
    /// Which vectors.
    pub family: &'static str,
    /// `log2` of the predicted probability a try.
    pub predicted_log2: f64,
}

/// The whole experiment.
#[derive(Clone, Debug, Serialize)]
pub struct Experiment {
    /// Coordinates.
    pub dim: usize,
    /// With padding and check coordinates.
    pub padded: usize,
    /// The clip bound.
    pub clip: u64,
    /// Rows of R.
    pub rows: u16,
    /// B.
    pub honest_norm: f64,
    /// `gamma`.
    pub gamma: f64,
    /// `gamma B`: the claim is that whatever is longer passes with at most `2^-70` a try.
    pub max_norm: u64,
    /// All that were tried.
    pub points: Vec<Point>,
    /// The claim itself.
    pub at_gamma: Vec<AtGamma>,
    /// Points that are not negligible or certain, and how many of them are inside their interval.
    pub decisive: (usize, usize),
}

/// Tries `trials` vectors a point.
///
/// # Errors
/// [`NormError`] when there is no such proof.
pub fn run(dim: usize, clip: u64, rows: u16, trials: u64) -> Result<Experiment, NormError> {
    let dimension = Dimension::new(dim).map_err(|_| NormError::TooLarge)?;
    let rows_table = Rows::from_number(rows.into())?;
    let params = NormParams::derive(&dimension, clip, Sigma::ERROR_MIN, rows_table)?;
    let honest = (params.honest_squared() as f64).sqrt();
    let padded = dimension.padded();
    let mut points = Vec::new();
    for family in Family::ALL {
        let mut ground = None;
        for factor in FACTORS {
            let once = predicted(&params, padded, family, factor * honest);
            points.push(point(&params, padded, (family, factor), once, 1, trials)?);
            // Where one try is rarely enough.
            if ground.is_none() && (1e-4..0.1).contains(&once.exp2()) {
                ground = Some(point(
                    &params,
                    padded,
                    (family, factor),
                    once,
                    TRIES,
                    trials,
                )?);
            }
        }
        points.extend(ground);
    }
    let at_gamma = Family::ALL.map(|family| AtGamma {
        family: family.name(),
        predicted_log2: predicted(&params, padded, family, params.max_norm() as f64),
    });
    let open = |p: &&Point| p.predicted > NEGLIGIBLE && p.predicted < 1.0 - NEGLIGIBLE;
    let decisive = points.iter().filter(open);
    let inside = decisive.clone().filter(|p| p.inside).count();
    Ok(Experiment {
        dim,
        padded,
        clip,
        rows,
        honest_norm: honest,
        gamma: params.gamma(),
        max_norm: params.max_norm(),
        decisive: (decisive.count(), inside),
        points,
        at_gamma: at_gamma.to_vec(),
    })
}

/// `log2` of the probability that the family's vector of this norm passes.
fn predicted(params: &NormParams, padded: usize, family: Family, norm: f64) -> f64 {
    match family.groups(norm, padded) {
        Some(groups) => predict::exact(params, &Projected::of_groups(&groups)),
        None => predict::gaussian(params, norm),
    }
}

/// Tries one family at one length; `once` is the `log2` of the predicted probability of one try.
fn point(
    params: &NormParams,
    padded: usize,
    (family, factor): (Family, f64),
    once: f64,
    tries: u64,
    trials: u64,
) -> Result<Point, NormError> {
    let norm = factor * (params.honest_squared() as f64).sqrt();
    let v = family.vector(norm, padded);
    let mut accepted = 0;
    for attacker in 0..trials {
        for attempt in 0..tries {
            // What a device commits to, here only a name: the matrix follows from it as from a header.
            let context = format!("{} {factor} {tries} {attacker} {attempt}", family.name());
            match NormProof::digits(params, context.as_bytes(), Hidden::vector(&v)) {
                Ok(_) => {
                    accepted += 1;
                    break;
                }
                Err(NormError::TooLong) => (),
                Err(error) => return Err(error),
            }
        }
    }
    // 1 - (1 - p)^tries, also for a p that is lost in 1 - p.
    let predicted = -(tries as f64 * (-once.exp2()).ln_1p()).exp_m1();
    let interval = wilson(accepted, trials);
    Ok(Point {
        family: family.name(),
        factor,
        tries,
        trials,
        accepted,
        measured: accepted as f64 / trials as f64,
        interval,
        predicted,
        predicted_log2: if tries == 1 { once } else { predicted.log2() },
        inside: interval.0 <= predicted && predicted <= interval.1,
    })
}

/// Wilson's interval at 95 %.
pub fn wilson(successes: u64, trials: u64) -> (f64, f64) {
    let (n, z2) = (trials as f64, NORMAL_95 * NORMAL_95);
    let p = successes as f64 / n;
    let middle = (p + z2 / (2.0 * n)) / (1.0 + z2 / n);
    let half = NORMAL_95 / (1.0 + z2 / n) * (p * (1.0 - p) / n + z2 / (4.0 * n * n)).sqrt();
    // At either end the exact interval ends there, too.
    let low = if successes == 0 { 0.0 } else { middle - half };
    let high = if successes == trials {
        1.0
    } else {
        middle + half
    };
    (low, high)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A small version of the recorded experiment: every measured share agrees with its prediction within six deviations,
    /// which seeds that are what they should be miss once in `10^8` points.
    #[test]
    fn measured_acceptance_is_the_predicted_one() {
        for rows in [128, 256] {
            let trials = 400;
            let found = run(10, 1000, rows, trials).expect("exists");
            assert!(found.decisive.0 >= 6, "{rows}: {:?}", found.decisive);
            for p in &found.points {
                let deviation = (p.predicted * (1.0 - p.predicted) / trials as f64).sqrt();
                let limit = 6.0 * deviation + 8.0 / trials as f64;
                assert!((p.measured - p.predicted).abs() < limit, "{rows}: {p:?}");
            }
        }
    }

    /// The claim of section 4.3, for every family and number of rows, also where B is mostly noise or mostly clip.
    #[test]
    fn nothing_of_norm_gamma_b_passes_with_more_than_2_to_the_minus_70() {
        for rows in [128u16, 256, 512] {
            for (dim, clip) in [(10, 50), (1000, 1000), (10_000, 30_000)] {
                let dimension = Dimension::new(dim).expect("in range");
                let table = Rows::from_number(rows.into()).expect("in the table");
                let params = NormParams::derive(&dimension, clip, Sigma::ERROR_MIN, table);
                let params = params.expect("fits");
                for family in Family::ALL {
                    let norm = params.max_norm() as f64;
                    let found = predicted(&params, dimension.padded(), family, norm);
                    assert!(found <= -70.0, "{rows} {dim} {}: {found}", family.name());
                }
            }
        }
    }

    #[test]
    fn intervals_are_wilsons() {
        let (low, high) = wilson(10, 100);
        assert!((low - 0.05523).abs() < 1e-4 && (high - 0.17437).abs() < 1e-4);
        assert_eq!(wilson(0, 100).0, 0.0);
        assert_eq!(wilson(100, 100).1, 1.0);
        assert!((wilson(0, 100).1 - 0.03699).abs() < 1e-4);
    }
}
