//! With which probability a vector passes the norm proof, from the distribution of one projection. Nothing is fitted.
//!
//! Rows of R are independent, and the predicate is `sum (2h_i + 1)^2 <= bound` with every projection in its range
//! (`docs/protocol.md`, section 4.3). `(2h + 1)^2 = 8 T + 1` with `T = h (h + 1) / 2`, so that the sum is a lattice variable: the
//! distribution of one T is transformed, raised to the number of rows, and transformed back. Before that it is tilted (T is
//! weighted by `e^(-tT)` such that the mean of the sum is at the bound), which keeps all digits of probabilities as
//! small as `2^-300`.

use std::collections::BTreeMap;

use dawn_crypto::norm::NormParams;
use dawn_crypto::norm::params::TOP_BITS;

/// Probabilities below this are dropped from a distribution: they belong to long projections, which do not pass.
const LEAST: f64 = 1e-80;

/// The distribution of one projection: its values with their probabilities, in increasing order.
#[derive(Clone, Debug, PartialEq)]
pub struct Projected(Vec<(i64, f64)>);

impl Projected {
    /// Of a vector with so many coordinates of each magnitude, `(count, magnitude)`: exactly. An entry of R is a difference of
    /// two uniform bits, so that a group's part is its magnitude times a centred binomial of twice its count.
    pub fn of_groups(groups: &[(usize, i64)]) -> Projected {
        let mut sum = vec![(0, 1.0)];
        for &(count, magnitude) in groups {
            let part = centred_binomial(count);
            let mut terms: Vec<(i64, f64)> = Vec::with_capacity(sum.len() * part.len());
            for &(z, p) in &sum {
                let shifted = part.iter().map(|&(k, q)| (z + k * magnitude, p * q));
                terms.extend(shifted.filter(|(_, p)| *p > LEAST));
            }
            terms.sort_by_key(|(z, _)| *z);
            sum.clear();
            for (z, p) in terms {
                match sum.last_mut() {
                    Some((last, total)) if *last == z => *total += p,
                    _ => sum.push((z, p)),
                }
            }
        }
        Projected(sum)
    }
}

/// `P(k)` of the sum of `count` differences of two uniform bits.
fn centred_binomial(count: usize) -> Vec<(i64, f64)> {
    let n = count as f64;
    // C(2n, n) / 4^n.
    let middle: f64 = (1..=count).map(|k| 1.0 - 0.5 / k as f64).product();
    let mut half = vec![middle];
    for k in 0..count {
        let next = half[k] * (n - k as f64) / (n + k as f64 + 1.0);
        if next < LEAST {
            break;
        }
        half.push(next);
    }
    let mut all: Vec<(i64, f64)> = (1i64..).zip(&half[1..]).map(|(k, p)| (-k, *p)).collect();
    all.reverse();
    all.extend((0i64..).zip(&half).map(|(k, p)| (k, *p)));
    all
}

/// The distribution of one `T`, by its values; what is missing to 1 is out of range.
struct Squares(BTreeMap<usize, f64>);

impl Squares {
    fn new(of: impl Iterator<Item = (i64, f64)>) -> Squares {
        let half = 1i64 << (TOP_BITS - 1);
        let mut weights = BTreeMap::new();
        for (h, p) in of.filter(|(h, _)| (-half..half).contains(h)) {
            *weights.entry((h * (h + 1) / 2) as usize).or_default() += p;
        }
        Squares(weights)
    }

    /// `log2` of the probability that `rows` of them pass.
    fn acceptance(&self, rows: usize, bound: u32) -> f64 {
        let most = (bound as usize - rows) / 8;
        // Without tilting when the mean is below the bound already.
        let mean = |tilt: f64| {
            let (mut total, mut first) = (0.0, 0.0);
            for (t, p) in &self.0 {
                let weight = p * (-tilt * *t as f64).exp();
                total += weight;
                first += weight * *t as f64;
            }
            rows as f64 * first / total
        };
        let mut tilt = 0.0;
        if mean(0.0) > most as f64 {
            let (mut low, mut high) = (0.0, 1.0);
            for _ in 0..100 {
                tilt = (low + high) / 2.0;
                if mean(tilt) > most as f64 {
                    low = tilt;
                } else {
                    high = tilt;
                }
            }
        }
        // Four times what passes: hardly anything of the tilted sum is beyond, and wraps around.
        let largest = self.0.keys().next_back().copied().unwrap_or_default();
        let size = (4 * (most + 1)).max(largest + 1).next_power_of_two();
        let mut re = vec![0.0; size];
        let mut im = vec![0.0; size];
        for (t, p) in &self.0 {
            re[*t] = p * (-tilt * *t as f64).exp();
        }
        let total: f64 = re.iter().sum();
        re.iter_mut().for_each(|p| *p /= total);
        fourier(&mut re, &mut im);
        for (re, im) in re.iter_mut().zip(&mut im) {
            let (length, angle) = (re.hypot(*im).powi(rows as i32), im.atan2(*re));
            let angle = angle * rows as f64;
            // Conjugated: the inverse transform is the transform of the conjugate.
            (*re, *im) = (length * angle.cos(), -length * angle.sin());
        }
        fourier(&mut re, &mut im);
        let passing = re[..=most].iter().enumerate();
        let weighted = passing.map(|(k, p)| p / size as f64 * (-tilt * (most - k) as f64).exp());
        let sum: f64 = weighted.sum();
        let exponent = rows as f64 * total.ln() + tilt * most as f64 + sum.ln();
        (exponent / core::f64::consts::LN_2).min(0.0)
    }
}

/// `log2` of the probability that a vector with this distribution of projections passes: exactly.
pub fn exact(params: &NormParams, projected: &Projected) -> f64 {
    let shift = params.range_bits() - TOP_BITS;
    let intervals = projected.0.iter().map(|&(z, p)| (z >> shift, p));
    Squares::new(intervals).acceptance(params.rows(), params.bound())
}

/// `log2` of the probability that a vector of this norm passes whose projections are rounded normal variables: the limit of
/// many small coordinates.
pub fn gaussian(params: &NormParams, norm: f64) -> f64 {
    // Gauss and Legendre's rule with five points; an interval is less than a tenth of a deviation.
    const RULE: [(f64, f64); 5] = [
        (-0.906_179_845_938_664, 0.236_926_885_056_189_1),
        (-0.538_469_310_105_683_1, 0.478_628_670_499_366_5),
        (0.0, 0.568_888_888_888_888_9),
        (0.538_469_310_105_683_1, 0.478_628_670_499_366_5),
        (0.906_179_845_938_664, 0.236_926_885_056_189_1),
    ];
    let deviation = norm / 2f64.sqrt();
    let width = 2f64.powi((params.range_bits() - TOP_BITS) as i32) / deviation;
    let rounding = 0.5 / deviation;
    let half = 1i64 << (TOP_BITS - 1);
    let interval = |h: i64| {
        let middle = (h as f64 + 0.5) * width - rounding;
        let density = RULE.map(|(x, weight)| {
            let at = middle + x * width / 2.0;
            weight * (-at * at / 2.0).exp()
        });
        density.iter().sum::<f64>() * width / 2.0 / (2.0 * core::f64::consts::PI).sqrt()
    };
    Squares::new((-half..half).map(|h| (h, interval(h)))).acceptance(params.rows(), params.bound())
}

/// The discrete Fourier transform of a length that is a power of two, in place.
fn fourier(re: &mut [f64], im: &mut [f64]) {
    let n = re.len();
    for i in 1..n {
        let j = i.reverse_bits() >> (usize::BITS - n.trailing_zeros());
        if i < j {
            re.swap(i, j);
            im.swap(i, j);
        }
    }
    let mut half = 1;
    while half < n {
        let step = -core::f64::consts::PI / half as f64;
        let twiddles: Vec<(f64, f64)> = (0..half).map(|k| (step * k as f64).sin_cos()).collect();
        for start in (0..n).step_by(2 * half) {
            for (k, (sin, cos)) in twiddles.iter().enumerate() {
                let (a, b) = (start + k, start + k + half);
                let (x, y) = (re[b] * cos - im[b] * sin, re[b] * sin + im[b] * cos);
                (re[b], im[b]) = (re[a] - x, im[a] - y);
                re[a] += x;
                im[a] += y;
            }
        }
        half *= 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dawn_crypto::norm::Rows;
    use dawn_crypto::params::{Dimension, Sigma};

    fn params(rows: Rows) -> NormParams {
        let dim = Dimension::new(1000).expect("in range");
        NormParams::derive(&dim, 1000, Sigma::ERROR_MIN, rows).expect("fits")
    }

    /// All sums by hand: three rows of a small distribution.
    #[test]
    fn sums_of_squares_are_convolutions() {
        let weights = [(0, 0.5), (1, 0.2), (-3, 0.1), (40, 0.15)];
        let squares = Squares::new(weights.iter().copied());
        for bound in [3u32, 20, 30, 100, 5000, 7000, 30_000] {
            let mut expected = 0.0;
            for (a, p) in weights {
                for (b, q) in weights {
                    for (c, r) in weights {
                        let sum: i64 = [a, b, c].iter().map(|h| (2 * h + 1) * (2 * h + 1)).sum();
                        expected += f64::from(u8::from(sum <= i64::from(bound))) * p * q * r;
                    }
                }
            }
            let found = squares.acceptance(3, bound).exp2();
            assert!(
                (found - expected).abs() < 1e-9,
                "{bound}: {found} {expected}"
            );
        }
    }

    /// A single coordinate: a row is zero with probability one half, else all rows have the same length. The number of
    /// rows that are not zero is binomial.
    #[test]
    fn a_spike_is_a_binomial_variable() {
        for (rows, factor) in [(Rows::R128, 2.0), (Rows::R256, 1.5), (Rows::R256, 3.0)] {
            let params = params(rows);
            let a = (factor * (params.honest_squared() as f64).sqrt()) as i64;
            let shift = params.range_bits() - TOP_BITS;
            let square = |z: i64| (2 * (z >> shift) + 1).pow(2);
            let k = rows.get();
            let mut expected = 0.0;
            // Of k rows i are a, j are -a.
            for i in 0..=k {
                for j in 0..=k - i {
                    let rest = (k - i - j) as i64;
                    let sum = i as i64 * square(a) + j as i64 * square(-a) + rest;
                    if sum <= i64::from(params.bound()) {
                        let ln = |n: usize| (1..=n).map(|x| (x as f64).ln()).sum::<f64>();
                        let ways = ln(k) - ln(i) - ln(j) - ln(k - i - j);
                        let each = (i + j) as f64 * 4f64.ln() + rest as f64 * 2f64.ln();
                        expected += (ways - each).exp();
                    }
                }
            }
            let found = exact(&params, &Projected::of_groups(&[(1, a)]));
            assert!((found - expected.log2()).abs() < 1e-6, "{found} {expected}");
        }
    }

    /// What `python3 docs/norm-bound.py --predict 1000 8192 FACTOR` prints, which shares no code with this and integrates where
    /// this transforms.
    #[test]
    fn an_independent_program_predicts_the_same() {
        let dim = Dimension::new(1000).expect("in range");
        for (rows, factor, normal, spike) in [
            (Rows::R128, 1.5, -0.0514, -0.0043),
            (Rows::R256, 1.5, -1.5601, -2.0237),
            (Rows::R512, 1.5, -12.5073, -19.8749),
            (Rows::R256, 2.0, -32.4619, -44.2622),
            (Rows::R512, 2.0, -98.4435, -124.4048),
            (Rows::R128, 3.0, -48.3374, -53.5132),
            (Rows::R256, 3.0, -127.4403, -123.1830),
            (Rows::R512, 3.0, -307.1113, -276.4292),
        ] {
            let params = NormParams::derive(&dim, 8192, Sigma::ERROR_MIN, rows).expect("fits");
            let norm = factor * (params.honest_squared() as f64).sqrt();
            let found = gaussian(&params, norm);
            assert!((found - normal).abs() < 2e-3, "{rows:?} {factor}: {found}");
            let spiky = Projected::of_groups(&[(1, norm.ceil() as i64)]);
            let found = exact(&params, &spiky);
            assert!((found - spike).abs() < 2e-3, "{rows:?} {factor}: {found}");
        }
    }

    /// With many coordinates the exact distribution is that of the limit.
    #[test]
    fn many_coordinates_are_the_gaussian_limit() {
        let params = params(Rows::R256);
        for magnitude in [20, 25, 30, 50] {
            let norm = f64::from(magnitude) * 4096f64.sqrt();
            let flat = exact(&params, &Projected::of_groups(&[(4096, magnitude.into())]));
            let limit = gaussian(&params, norm);
            assert!(
                (flat - limit).abs() < 0.02 + 0.01 * limit.abs(),
                "{flat} {limit}"
            );
        }
    }

    /// The discretisation moves a projection by at most half an interval, so that the probability is between two of the
    /// chi-square distribution, which is a sum of Poisson's for an even number of rows.
    #[test]
    fn the_limit_is_between_two_chi_square_probabilities() {
        for (rows, factor) in [
            (Rows::R128, 2.0),
            (Rows::R256, 1.5),
            (Rows::R256, 2.5),
            (Rows::R512, 1.4),
        ] {
            let params = params(rows);
            let norm = factor * (params.honest_squared() as f64).sqrt();
            let unit = 2f64.powi(params.range_bits() as i32 - TOP_BITS as i32 - 1);
            let k = rows.get() as f64;
            let chi_square = |length: f64| {
                let mean = (length * unit / norm).powi(2);
                let mut term = -mean;
                let mut terms = Vec::new();
                for i in 1..4000 {
                    term += (mean / f64::from(i)).ln();
                    if i as usize >= rows.get() / 2 {
                        terms.push(term);
                    }
                }
                let largest = terms.iter().copied().fold(f64::MIN, f64::max);
                let sum: f64 = terms.iter().map(|t| (t - largest).exp()).sum();
                (largest + sum.ln()) / core::f64::consts::LN_2
            };
            let root = f64::from(params.bound()).sqrt();
            let (least, most) = (chi_square(root - k.sqrt()), chi_square(root + k.sqrt()));
            let found = gaussian(&params, norm);
            assert!(least <= found && found <= most, "{least} {found} {most}");
        }
    }
}
