//! What a round costs in privacy (`docs/protocol.md`, section 4.8).
//!
//! Privacy unit: one device's update replaced by zero; its L2 norm is at most the clip bound C.
//! Counted is only the noise of `min_honest` devices, each with a discrete Gaussian error of
//! deviation sigma: `rho = C^2 / (2 min_honest sigma^2)` of zero-concentrated differential privacy.
//! Charges are integers in micro-rho, rounded up, and add up over the rounds that a verdict was made
//! in. Epsilon at a delta is OpenDP's conversion of the total.
//!
//! Two small terms are added before converting, so that the claim is about what really runs:
//!
//! * A sum of n discrete Gaussians is not a discrete Gaussian. It costs at most `tau d / 4` more rho
//!   a round, `tau = 10 sum_{k=1}^{n-1} exp(-2 pi^2 sigma^2 k/(k+1)) <= 10 (n-1) exp(-pi^2 sigma^2)`
//!   (Kairouz, Liu, Steinke, ICML 2021, "The Distributed Discrete Gaussian Mechanism", theorem 1).
//!   At the smallest deviation that is below `10^-160`.
//! * The sampler (`dawn_crypto::gaussian`) has every value's probability right within a factor of
//!   `1 +- 2^-59`, up to a mass of `2^-103`, a sample. Over K samples that adds at most
//!   `2 K (2^-59 + 2^-103)` to epsilon, and turns delta into
//!   `(1 + 2^-59)^K (delta + e^epsilon K 2^-103) + K 2^-103`.

use dawn_crypto::params::Sigma;
use opendp::combinators::ConcentratedMeasure;
use opendp::measures::ZeroConcentratedDivergence;

/// Largest factor by which a sample's probability is off: `1 +- 2^-59`.
const SAMPLER_RELATIVE: f64 = 1.0 / (1u64 << 59) as f64;

/// How likely an honest device is to have a vector longer than what the norm proof allows. It does not submit then,
/// which everybody sees, so that the counted noise is conditioned on passing (section 4.3).
const PROOF_FAILURE: f64 = 1.0 / (1u128 << 64) as f64;

/// Probability mass of a sample that the factor does not cover: `2^-103`.
const SAMPLER_MASS: f64 = 1.0 / (1u128 << 103) as f64;

/// Why privacy cannot be accounted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AccountingError {
    /// Nobody is counted on.
    #[error("the accountant needs at least one honest device to count on")]
    NobodyHonest,
    /// More than 64 bits of micro-rho: so little noise that there is no privacy to account for.
    #[error("the charge does not fit 64 bits of micro-rho")]
    Overflow,
}

/// What opening one round costs, in micro-rho, rounded up:
/// `ceil(10^6 clip^2 / (2 min_honest sigma_error^2))`, in exact integers.
///
/// # Errors
/// [`AccountingError`].
pub fn charge_micro_rho(
    clip: u32,
    sigma_error: Sigma,
    min_honest: u32,
) -> Result<u64, AccountingError> {
    if min_honest == 0 {
        return Err(AccountingError::NobodyHonest);
    }
    // sigma = units / 2^16: below 2^84 over at most 2^113, no overflow.
    let numerator = (1_000_000 * u128::from(clip).pow(2)) << (2 * Sigma::FRACTION_BITS);
    let denominator = 2 * u128::from(min_honest) * u128::from(sigma_error.get()).pow(2);
    u64::try_from(numerator.div_ceil(denominator)).map_err(|_| AccountingError::Overflow)
}

/// What the accountant has to know about the rounds that were charged.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spending {
    /// The sum of the charges, in micro-rho.
    pub micro_rho: u64,
    /// Number of charged rounds.
    pub rounds: u32,
    /// Number of coordinates of a vector, check coordinates included.
    pub padded_dimension: usize,
    /// How many honest devices' noise is counted on.
    pub min_honest: u32,
    /// The deviation of a device's error.
    pub sigma_error: Sigma,
}

/// The epsilon at `delta = 10^-delta_exponent` that the charged rounds have spent together. `None`
/// when it is not finite or OpenDP cannot compute it: nothing can be claimed.
pub fn epsilon(spending: &Spending, delta_exponent: u8) -> Option<f64> {
    if spending.micro_rho == 0 {
        // No charge is zero, so nothing has been opened.
        return Some(0.0);
    }
    let delta = 10f64.powi(-i32::from(delta_exponent));
    let dimension = spending.padded_dimension as f64;
    let rounds = f64::from(spending.rounds);
    let honest = f64::from(spending.min_honest);
    let samples = rounds * honest * dimension;

    let gap = rounds * sum_gap(spending.sigma_error, honest) * dimension / 4.0;
    let rho = (spending.micro_rho as f64 / 1e6 + gap).next_up().next_up();
    let profile = ZeroConcentratedDivergence::convert(rho).ok()?;
    let at = |delta: f64| {
        let epsilon = profile.epsilon(delta).ok()?;
        epsilon.is_finite().then_some(epsilon)
    };
    // Delta is first reduced for a guess of epsilon; the guess is right when it was not exceeded.
    let guess = at(delta)? + 1.0;
    let growth = (samples * SAMPLER_RELATIVE).exp();
    let mass = samples * SAMPLER_MASS + rounds * honest * PROOF_FAILURE;
    let reduced = ((delta - mass) / growth - guess.exp() * mass).next_down();
    if reduced.is_nan() || reduced <= 0.0 {
        return None;
    }
    let base = at(reduced)?;
    let total = base + 2.0 * samples * (SAMPLER_RELATIVE + SAMPLER_MASS);
    (base <= guess && total.is_finite()).then(|| total.next_up())
}

/// The rounds that a deviation is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The clip bound.
    pub clip: u32,
    /// Number of rounds.
    pub rounds: u32,
    /// Number of coordinates of a vector, check coordinates included.
    pub padded_dimension: usize,
    /// How many honest devices' noise is counted on.
    pub min_honest: u32,
    /// Delta is `10^-delta_exponent`.
    pub delta_exponent: u8,
}

impl Plan {
    /// What the rounds spend together with this deviation, in micro-rho.
    ///
    /// # Errors
    /// [`AccountingError`].
    pub fn total_micro_rho(&self, sigma_error: Sigma) -> Result<u64, AccountingError> {
        charge_micro_rho(self.clip, sigma_error, self.min_honest)?
            .checked_mul(u64::from(self.rounds))
            .ok_or(AccountingError::Overflow)
    }

    /// The epsilon of the rounds with this deviation; see [`epsilon`].
    pub fn epsilon(&self, sigma_error: Sigma) -> Option<f64> {
        let spending = Spending {
            micro_rho: self.total_micro_rho(sigma_error).ok()?,
            rounds: self.rounds,
            padded_dimension: self.padded_dimension,
            min_honest: self.min_honest,
            sigma_error,
        };
        epsilon(&spending, self.delta_exponent)
    }

    /// The smallest deviation, not below [`Sigma::ERROR_MIN`], with which the rounds together stay
    /// within `target`. `None` when the largest deviation does not.
    pub fn calibrate(&self, target: f64) -> Option<Sigma> {
        let within = |sigma| self.epsilon(sigma).is_some_and(|epsilon| epsilon <= target);
        if within(Sigma::ERROR_MIN) {
            return Some(Sigma::ERROR_MIN);
        }
        if !within(Sigma::MAX) {
            return None;
        }
        // Epsilon falls as the deviation grows: `high` is within, `low` is not.
        let (mut low, mut high) = (Sigma::ERROR_MIN, Sigma::MAX);
        while high.get() - low.get() > 1 {
            let middle = Sigma::new(low.get() + (high.get() - low.get()) / 2).ok()?;
            if within(middle) {
                high = middle;
            } else {
                low = middle;
            }
        }
        Some(high)
    }
}

/// The bound `10 (n - 1) exp(-pi^2 sigma^2)` on tau.
fn sum_gap(sigma: Sigma, honest: f64) -> f64 {
    let exponent = (std::f64::consts::PI * sigma.to_f64()).powi(2);
    (10.0 * (honest - 1.0).max(0.0) * (-exponent).exp()).next_up()
}
