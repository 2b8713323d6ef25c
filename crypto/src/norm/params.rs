//! The parameters of the norm proof, derived from the task's numbers in one place with integers only, so that
//! devices, stewards and auditors have the same (`docs/protocol.md`, section 4.3).
//!
//! For an honest device `v = x + e` with `||x|| <= C` and Gaussian `e`. Every step of *completeness* is a proven
//! tail bound; with `t = 47` each part on the noise fails with probability at most `e^-47 < 2^-67`, and all together below `2^-64`:
//!
//! - `||v||^2 <= B^2 = C^2 + sigma^2 (D + 2 sqrt(D t) + 2 t) + 2 sigma C sqrt(2 t)` (a discrete Gaussian is
//!   subgaussian with its own deviation, so the chi-square tail of Laurent and Massart holds for it);
//! - an entry of R has the moment generating function `cosh^2(s/2) <= exp(s^2/4)`, so each `z_i` is subgaussian with
//!   variance `||v||^2/2`: `|z_i| < 2^(L-1)` for all rows when `4^(L-1) >= 54 B^2`;
//! - `sum z_i^2` has the tail of `B^2/2` times chi-square: at most `x rows B^2/2` except with probability
//!   `exp(-rows/2 (x - 1 - ln x))`, which is below `2^-66` for the table's `x`.
//!
//! *Soundness* is stated for a vector of norm `gamma B`: it passes with probability at most `2^-70` over R, so that
//! `2^60` tries succeed with `2^-10`. The tail is the one of Gaussian projections, the worst of the families that the
//! experiment of `benches/results/soundness.md` tries.

use super::NormError;
use super::functional::FunctionalParams;
use crate::params::{Dimension, Sigma};

/// Bits of a projection that are squared: its top `TOP_BITS` of `L`.
pub const TOP_BITS: u32 = 10;
/// Independent repetitions of the proof.
pub const REPETITIONS: usize = 5;
/// Nats of every completeness bound on the noise.
const TAIL: u128 = 47;
/// `4^(L-1) >= RANGE B^2`: `2 rows e^-54 < 2^-67` for at most 512 rows.
const RANGE: u128 = 54;

/// How many projections, with what follows from their number: see the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rows {
    /// The cheapest: gamma is about 3.7.
    R128,
    /// The protocol's number: gamma is about 2.5.
    R256,
    /// Tighter and twice as dear: gamma is about 1.9.
    R512,
}

impl Rows {
    /// All of them.
    pub const ALL: [Rows; 3] = [Rows::R128, Rows::R256, Rows::R512];

    /// The number.
    pub const fn get(self) -> usize {
        match self {
            Rows::R128 => 128,
            Rows::R256 => 256,
            Rows::R512 => 512,
        }
    }

    /// The [`Rows`] of a number.
    ///
    /// # Errors
    /// [`NormError::Rows`] when it is none of them.
    pub fn from_number(rows: usize) -> Result<Rows, NormError> {
        let found = Rows::ALL.into_iter().find(|r| r.get() == rows);
        found.ok_or(NormError::Rows { rows })
    }

    /// `x` in thousandths, rounded up: `rows/2 (x - 1 - ln x) >= 66 ln 2`.
    pub const fn excess_permille(self) -> u64 {
        match self {
            Rows::R128 => 2_713,
            Rows::R256 => 2_099,
            Rows::R512 => 1_723,
        }
    }

    /// `y` in thousandths, rounded down: `rows/2 (y - 1 - ln y) >= 70 ln 2`.
    pub const fn deficit_permille(self) -> u64 {
        match self {
            Rows::R128 => 213,
            Rows::R256 => 361,
            Rows::R512 => 503,
        }
    }
}

/// How many elements go into one call of a gadget, and what follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chunks {
    /// Elements a call.
    pub(crate) arity: usize,
    /// Calls.
    pub(crate) calls: usize,
}

impl Chunks {
    /// The split of `elements` that makes the proof of a gadget of `degree` shortest: as many calls as one size of the wire
    /// polynomial allows.
    fn shortest(elements: usize, degree: usize) -> Chunks {
        let split = |log: u32| {
            let arity = elements.div_ceil((1 << log) - 1);
            let calls = elements.div_ceil(arity);
            Chunks { arity, calls }
        };
        (1..12)
            .map(split)
            .min_by_key(|chunks| chunks.proof_len(degree))
            .expect("there are splits")
    }

    fn proof_len(&self, degree: usize) -> usize {
        self.arity + degree * ((1 + self.calls).next_power_of_two() - 1) + 1
    }
}

/// What a task's norm proof looks like, and what it guarantees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NormParams {
    rows: Rows,
    sigma_error: Sigma,
    honest_squared: u128,
    range_bits: u32,
    bound: u32,
    slack_digits: usize,
    max_norm: u64,
    digit_chunks: Chunks,
    square_chunks: Chunks,
    functional: Option<FunctionalParams>,
}

impl NormParams {
    /// The parameters for updates of dimension `dim` with `||x||_2 <= clip` and an error of deviation `sigma_error`.
    ///
    /// # Errors
    /// [`NormError::TooLarge`] when projections would not fit the field.
    pub fn derive(
        dim: &Dimension,
        clip: u64,
        sigma_error: Sigma,
        rows: Rows,
    ) -> Result<NormParams, NormError> {
        let honest_squared =
            honest_squared(dim.padded() as u128, clip, sigma_error).ok_or(NormError::TooLarge)?;
        let k = rows.get() as u128;
        // L is even, because digits have two bits.
        let range_bits = (TOP_BITS..=30)
            .step_by(2)
            .find(|bits| 1u128 << (2 * (bits - 1)) >= RANGE * honest_squared)
            .ok_or(NormError::TooLarge)?;
        let shift = range_bits - TOP_BITS;
        // An honest projection is within 2^(s-1) of the middle of its interval, (2h+1) 2^(s-1), so that
        // sqrt(sum (2h+1)^2) <= sqrt(x rows/2) B / 2^(s-1) + sqrt(rows); in units of 2^-16.
        let projected = 2 * u128::from(rows.excess_permille()) * k * honest_squared;
        let root = sqrt_up((projected << 32).div_ceil(1000) >> (2 * shift)) + 1 + sqrt_up(k << 32);
        let bound =
            u32::try_from((root * root).div_ceil(1 << 32)).map_err(|_| NormError::TooLarge)?;
        let slack_digits = (1..=13)
            .find(|digits| 1u64 << (2 * digits) > u64::from(bound))
            .ok_or(NormError::TooLarge)?;
        // Whatever is accepted has ||z|| <= 2^(s-1) (sqrt(bound) + sqrt(rows)); in units of 2^(s-17).
        let projected = sqrt_up(u128::from(bound) << 32) + sqrt_up(k << 32);
        let squared =
            (projected * projected * 2 * 1000).div_ceil(k * u128::from(rows.deficit_permille()));
        let max_norm = (sqrt_up(squared) << shift).div_ceil(1 << 17);
        let digits = rows.get() * (range_bits as usize / 2) + slack_digits as usize;
        Ok(NormParams {
            rows,
            sigma_error,
            honest_squared,
            range_bits,
            bound,
            slack_digits: slack_digits as usize,
            max_norm: max_norm as u64,
            digit_chunks: Chunks::shortest(digits, 4),
            square_chunks: Chunks::shortest(rows.get(), 2),
            functional: None,
        })
    }

    pub(super) fn with(self, functional: FunctionalParams) -> NormParams {
        let mut params = NormParams {
            functional: Some(functional),
            ..self
        };
        params.digit_chunks = Chunks::shortest(params.digits(), 4);
        params
    }

    /// The bounds of a public row that is proven about too, where there is one.
    pub fn functional(&self) -> Option<&FunctionalParams> {
        self.functional.as_ref()
    }

    /// The deviation of an honest device's error.
    pub fn sigma_error(&self) -> Sigma {
        self.sigma_error
    }

    /// The number of projections.
    pub fn rows(&self) -> usize {
        self.rows.get()
    }

    /// `B^2`: an honest `x + e` is not longer, except with probability `2^-66`.
    pub fn honest_squared(&self) -> u128 {
        self.honest_squared
    }

    /// `gamma B`, rounded up: a longer vector passes with probability at most `2^-70` a try.
    pub fn max_norm(&self) -> u64 {
        self.max_norm
    }

    /// `gamma`: for people.
    pub fn gamma(&self) -> f64 {
        self.max_norm as f64 / (self.honest_squared as f64).sqrt()
    }

    /// `L`: a projection is in `[-2^(L-1), 2^(L-1))`.
    pub fn range_bits(&self) -> u32 {
        self.range_bits
    }

    /// The bound of `sum (2h+1)^2`.
    pub fn bound(&self) -> u32 {
        self.bound
    }

    /// Base-4 digits of a projection.
    pub fn digits_per_row(&self) -> usize {
        self.range_bits as usize / 2
    }

    /// Base-4 digits of the slack.
    pub fn slack_digits(&self) -> usize {
        self.slack_digits
    }

    /// Elements that are proven about: the digits of all projections, then those of the slack, then those of the two
    /// differences of a functional.
    pub fn digits(&self) -> usize {
        let differences = self.functional.map_or(0, |f| 2 * f.digits());
        self.rows() * self.digits_per_row() + self.slack_digits + differences
    }

    pub(crate) fn digit_chunks(&self) -> Chunks {
        self.digit_chunks
    }

    pub(crate) fn square_chunks(&self) -> Chunks {
        self.square_chunks
    }

    /// Elements of one repetition's proof.
    pub fn proof_len(&self) -> usize {
        self.digit_chunks.proof_len(4) + self.square_chunks.proof_len(2)
    }

    /// Elements of one repetition's verifier message.
    pub fn verifier_len(&self) -> usize {
        1 + self.digit_chunks.arity + 1 + self.square_chunks.arity + 1
    }

    /// Elements of a steward's answer: two linear checks, then the repetitions' verifier messages.
    pub fn answer_len(&self) -> usize {
        2 + REPETITIONS * self.verifier_len()
    }
}

/// `B^2`, rounded up.
fn honest_squared(coordinates: u128, clip: u64, sigma: Sigma) -> Option<u128> {
    let units = u128::from(sigma.get());
    let clip = u128::from(clip);
    // Without overflow: units <= 2^40, coordinates < 2^25; and a clip of 2^32 or more is refused.
    if clip >> 32 != 0 {
        return None;
    }
    let chi_square = coordinates + 2 * sqrt_up(coordinates * TAIL) + 2 * TAIL;
    let noise = (units * units * chi_square).div_ceil(1 << 32);
    // 2 sqrt(2 t) = 19.39 < 20.
    let cross = (20 * units * clip).div_ceil(1 << 16);
    Some(clip * clip + noise + cross)
}

/// The square root, rounded up.
fn sqrt_up(x: u128) -> u128 {
    let root = x.isqrt();
    root + u128::from(root * root < x)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(d: usize, clip: u64, sigma: Sigma, rows: Rows) -> NormParams {
        let dim = Dimension::new(d).expect("in range");
        NormParams::derive(&dim, clip, sigma, rows).expect("fits")
    }

    #[test]
    fn the_tables_numbers_are_the_least_that_meet_their_inequalities() {
        for rows in Rows::ALL {
            let half = rows.get() as f64 / 2.0;
            let tail = |x: f64| half * (x - 1.0 - x.ln()) / core::f64::consts::LN_2;
            let x = rows.excess_permille() as f64 / 1000.0;
            assert!(
                tail(x) >= 66.0 && tail(x - 0.001) < 66.0,
                "{rows:?}: {}",
                tail(x)
            );
            let y = rows.deficit_permille() as f64 / 1000.0;
            assert!(
                tail(y) >= 70.0 && tail(y + 0.001) < 70.0,
                "{rows:?}: {}",
                tail(y)
            );
        }
        assert!(2.0 * 512.0 * (-(RANGE as f64)).exp() < 2f64.powi(-67));
        assert!((2.0 * (2.0 * TAIL as f64).sqrt()) < 20.0);
    }

    #[test]
    fn the_bound_holds_what_an_honest_device_can_have_and_is_not_vacuous() {
        for rows in Rows::ALL {
            for (d, clip) in [
                (1, 1),
                (10, 50),
                (650, 3072),
                (1 << 20, 4096),
                (1 << 24, 1 << 16),
            ] {
                for sigma in [Sigma::ERROR_MIN, Sigma::from_f64_ceil(820.0).expect("ok")] {
                    let p = params(d, clip, sigma, rows);
                    let b = (p.honest_squared as f64).sqrt();
                    let unit = 2f64.powi(p.range_bits as i32 - TOP_BITS as i32 - 1);
                    let k = rows.get() as f64;
                    let x = rows.excess_permille() as f64 / 1000.0;
                    let honest = (x * k / 2.0).sqrt() * b + k.sqrt() * unit;
                    assert!(f64::from(p.bound) * unit * unit >= honest * honest * 0.999_999);
                    assert!(f64::from(p.bound) * unit * unit <= honest * honest * 1.01);
                    let worst = match rows {
                        Rows::R128 => 3.9,
                        Rows::R256 => 2.65,
                        Rows::R512 => 2.0,
                    };
                    assert!(
                        p.gamma() < worst && p.gamma() > 1.5,
                        "{rows:?} {d}: {}",
                        p.gamma()
                    );
                    // No sum of the circuit wraps around the field.
                    let largest = k * 1023.0 * 1023.0 + 4f64.powi(p.slack_digits as i32);
                    assert!(largest < f64::from(crate::params::Q));
                    assert!(4u64.pow(p.slack_digits as u32) > u64::from(p.bound));
                }
            }
        }
    }

    /// What `python3 docs/norm-bound.py` prints, which shares no code with this.
    #[test]
    fn an_independent_program_derives_the_same() {
        let sigma = Sigma::from_f64_ceil(820.0).expect("in range");
        let cases = [
            (
                1_000,
                1_000,
                Sigma::ERROR_MIN,
                Rows::R128,
                (16, 236_832, 4_316),
            ),
            (
                1_000,
                1_000,
                Sigma::ERROR_MIN,
                Rows::R256,
                (16, 368_802, 2_935),
            ),
            (
                1_000,
                1_000,
                Sigma::ERROR_MIN,
                Rows::R512,
                (16, 608_788, 2_265),
            ),
            (
                1 << 20,
                4_096,
                Sigma::ERROR_MIN,
                Rows::R256,
                (18, 1_022_936, 19_347),
            ),
            (650, 3_072, sigma, Rows::R256, (20, 3_614_473, 144_403)),
        ];
        for (d, clip, sigma, rows, expected) in cases {
            let p = params(d, clip, sigma, rows);
            assert_eq!(
                (p.range_bits(), p.bound(), p.max_norm()),
                expected,
                "{d} {rows:?}"
            );
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let dim = Dimension::new(1000).expect("in range");
        let derive = |clip, sigma| NormParams::derive(&dim, clip, sigma, Rows::R256);
        assert_eq!(derive(1 << 32, Sigma::ERROR_MIN), Err(NormError::TooLarge));
        assert_eq!(derive(1 << 28, Sigma::ERROR_MIN), Err(NormError::TooLarge));
        assert_eq!(derive(1, Sigma::MAX), Err(NormError::TooLarge));
        assert!(derive(1 << 26, Sigma::ERROR_MIN).is_ok());
        assert_eq!(Rows::from_number(100), Err(NormError::Rows { rows: 100 }));
        assert_eq!(Rows::from_number(256), Ok(Rows::R256));
    }

    #[test]
    fn chunks_cover_and_are_shortest() {
        let p = params(1000, 1000, Sigma::ERROR_MIN, Rows::R256);
        for (chunks, elements, degree) in
            [(p.digit_chunks, p.digits(), 4), (p.square_chunks, 256, 2)]
        {
            assert!(chunks.arity * chunks.calls >= elements);
            assert!(chunks.arity * (chunks.calls - 1) < elements);
            for arity in 1..elements {
                let calls = elements.div_ceil(arity);
                let other = Chunks { arity, calls };
                assert!(
                    other.proof_len(degree) >= chunks.proof_len(degree),
                    "{arity}"
                );
            }
        }
    }
}
