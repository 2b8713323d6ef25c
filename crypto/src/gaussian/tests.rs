//! The samplers against the exact distribution. Seeds are fixed, so these tests are deterministic; the
//! bounds are those that a right sampler misses with probability below `10^-6`.

use super::*;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

fn sigma(units: u64) -> Sigma {
    Sigma::new(units).expect("in range")
}

fn samples(units: u64, count: usize, seed: u64) -> SecretVec<i32> {
    Gaussian::new(sigma(units)).sample_vec(count, &mut ChaCha20Rng::seed_from_u64(seed))
}

/// The standard deviations of a test: 4.5, 6.364, 7.99, 8, 100.5, 18000, 2^24.
const UNITS: [u64; 7] = [
    294_912,
    417_069,
    524_000,
    524_288,
    6_586_368,
    18_000 << 16,
    1 << 40,
];

/// Chi-square over bins of the exact mass function; a bin holds at least 5 expected samples.
#[test]
fn histogram_follows_the_exact_mass_function() {
    for units in UNITS {
        let s = units as f64 / 65_536.0;
        let count = 400_000;
        let drawn = samples(units, count, units);
        // The theta function: sum over all integers of exp(-x^2/2s^2), within 10^-16 for s > 1.
        let total = s * (2.0 * std::f64::consts::PI).sqrt();
        // Bins of whole integers, `width` wide, out to 4 deviations; two bins for the tails.
        let width = (s / 8.0).ceil() as i64;
        let reach = (4.0 * s / width as f64) as i64;
        let mut observed = vec![0f64; 2 * reach as usize + 3];
        let bin = |x: i64| (x.div_euclid(width).clamp(-reach - 1, reach) + reach + 1) as usize;
        for &x in drawn.iter() {
            observed[bin(i64::from(x))] += 1.0;
        }
        let mut expected = vec![0f64; observed.len()];
        for i in -reach..reach {
            // Exact for narrow bins; trapezoid with its correction is far finer than the test for wide ones.
            let start = i * width;
            let pieces = width.min(512);
            let mass: f64 = if width <= 512 {
                (start..start + width)
                    .map(|x| (-((x * x) as f64) / (2.0 * s * s)).exp())
                    .sum()
            } else {
                let step = width as f64 / pieces as f64;
                (0..pieces)
                    .map(|p| start as f64 - 0.5 + (p as f64 + 0.5) * step)
                    .map(|x| (-x * x / (2.0 * s * s)).exp() * step)
                    .sum()
            };
            expected[(i + reach + 1) as usize] = mass / total * count as f64;
        }
        let (low, high) = (0, 2 * reach as usize + 1);
        let inside: f64 = expected.iter().sum();
        // Bins -reach-1 and reach hold everything outside; by symmetry about -1/2 nearly equal, so pooled.
        let outside_observed = observed[low] + observed[high];
        let outside_expected = count as f64 - inside;
        let mut chi2 = (outside_observed - outside_expected).powi(2) / outside_expected.max(1.0);
        let mut freedom = 0.0;
        for (o, e) in observed.iter().zip(&expected) {
            if *e > 0.0 {
                assert!(*e > 5.0, "a bin without weight");
                chi2 += (o - e).powi(2) / e;
                freedom += 1.0;
            }
        }
        let bound = freedom + 5.0 * (2.0f64 * freedom).sqrt();
        assert!(
            chi2 < bound,
            "sigma {s}: chi-square {chi2} of {freedom} degrees"
        );
        assert!(
            chi2 > freedom - 5.0 * (2.0f64 * freedom).sqrt(),
            "sigma {s}: too regular"
        );
    }
}

#[test]
fn moments_are_those_of_the_gaussian() {
    for units in UNITS {
        let s = units as f64 / 65_536.0;
        let drawn = samples(units, 500_000, units + 1);
        let n = drawn.len() as f64;
        let moment = |k: i32| {
            drawn
                .iter()
                .map(|&x| (f64::from(x) / s).powi(k))
                .sum::<f64>()
                / n
        };
        // Moments of a discrete Gaussian with s > 4 are the continuous ones to 10^-16; five deviations.
        for (k, exact, variance) in [(1, 0.0, 1.0), (2, 1.0, 2.0), (3, 0.0, 15.0), (4, 3.0, 96.0)] {
            let off = (moment(k) - exact).abs();
            assert!(
                off < 5.0 * (variance / n).sqrt(),
                "sigma {s}: moment {k} off by {off}"
            );
        }
    }
}

#[test]
fn tails_are_neither_cut_nor_heavy() {
    for units in UNITS {
        let s = units as f64 / 65_536.0;
        let drawn = samples(units, 1_000_000, units + 2);
        let beyond = |d: f64| {
            drawn
                .iter()
                .filter(|&&x| f64::from(x).abs() > d * s)
                .count() as f64
        };
        let exact = |d: f64| {
            // Sum of the mass function beyond d deviations, by direct summation in bins.
            let step = (s / 256.0).max(1.0).floor();
            let first = (d * s).floor() + 1.0;
            let terms =
                (0..(8.0 * s / step) as i64).map(|i| first + i as f64 * step + (step - 1.0) / 2.0);
            2.0 * terms
                .map(|x| (-x * x / (2.0 * s * s)).exp() * step)
                .sum::<f64>()
                / (s * (2.0 * std::f64::consts::PI).sqrt())
        };
        for d in [2.0, 3.0, 4.0] {
            let expected = exact(d) * drawn.len() as f64;
            let seen = beyond(d);
            assert!(
                (seen - expected).abs() < 5.0 * expected.sqrt() + 1.0,
                "sigma {s}: {seen} beyond {d}, expected {expected}"
            );
        }
        assert_eq!(beyond(7.0), 0.0, "sigma {s}");
    }
}

/// The low bits of a wide Gaussian are uniform: shows that `u` covers every residue and that neighbours
/// across the steps of the proposal are not favoured.
#[test]
fn wide_samples_have_uniform_low_bits() {
    for units in [18_000u64 << 16, 1 << 40] {
        let mut counts = [0f64; 64];
        let drawn = samples(units, 400_000, 7);
        for &x in drawn.iter() {
            counts[(x & 63) as usize] += 1.0;
        }
        let expected = drawn.len() as f64 / 64.0;
        let chi2: f64 = counts
            .iter()
            .map(|c| (c - expected).powi(2) / expected)
            .sum();
        assert!(chi2 < 63.0 + 5.0 * 126f64.sqrt(), "{chi2}");
    }
}

/// Neighbouring samples are independent: no state is shared between lanes or with the signs.
#[test]
fn samples_are_uncorrelated() {
    for units in [294_912, 6_586_368] {
        let s = units as f64 / 65_536.0;
        let drawn = samples(units, 400_000, 8);
        for lag in 1..=9 {
            let n = (drawn.len() - lag) as f64;
            let products: f64 = (0..drawn.len() - lag)
                .map(|i| f64::from(drawn[i]) * f64::from(drawn[i + lag]) / (s * s))
                .sum();
            assert!((products / n).abs() < 5.0 / n.sqrt(), "lag {lag}");
        }
    }
}

/// Same generator, same samples, on every machine and release: later backends must reproduce these.
#[test]
fn samples_are_reproducible() {
    assert_eq!(samples(294_912, 8, 1)[..], KNOWN_NARROW);
    assert_eq!(samples(18_000 << 16, 8, 1)[..], KNOWN_WIDE);
}

const KNOWN_NARROW: [i32; 8] = [1, 3, 2, 2, -4, 4, -6, 2];
const KNOWN_WIDE: [i32; 8] = [12273, 2220, -14306, -12706, 431, 49235, -501, -33118];
