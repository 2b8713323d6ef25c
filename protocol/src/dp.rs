//! What a round costs in privacy (`docs/protocol.md`, section 4.8).
//!
//! Privacy unit: one device's update replaced by zero; its L2 norm is at most the clip bound C.
//! Counted is only the noise of `min_honest` devices, each with a discrete Gaussian error of
//! deviation sigma, and, in a task whose stewards contribute noise, that of `T - f` of them, with a deviation of their own:
//! `rho = C^2 / (2 (min_honest sigma^2 + (T - f) sigma_s^2))` of zero-concentrated differential privacy.
//! Charges are integers in micro-rho, rounded up, and add up over the rounds that a verdict was made
//! in. Epsilon at a delta is OpenDP's conversion of the total.
//!
//! Where the number of honest devices is a matter of luck, in groups that the beacon draws, the probability that there are
//! fewer is added to delta. Two small terms are added before converting, so that the claim is about what really runs:
//!
//! * A sum of n discrete Gaussians is not a discrete Gaussian. It costs at most `tau d / 4` more rho
//!   a round, `tau = 10 sum_{k=1}^{n-1} exp(-2 pi^2 sigma^2 k/(k+1)) <= 10 (n-1) exp(-pi^2 sigma^2)`
//!   (Kairouz, Liu, Steinke, ICML 2021, "The Distributed Discrete Gaussian Mechanism", theorem 1).
//!   At the smallest deviation that is below `10^-160`. For two deviations the same bound holds with the smaller one and
//!   the number of all: a step of the proof adds one of variance `s` to a sum of variance `V`, which costs at most
//!   `5 exp(-2 pi^2 / (1/V + 1/s))` (their theorem 10), and `1/V + 1/s` is at most `2 / sigma_min^2`.
//! * The sampler (`dawn_crypto::gaussian`) has every value's probability right within a factor of
//!   `1 +- 2^-59`, up to a mass of `2^-103`, a sample. Over K samples that adds at most
//!   `2 K (2^-59 + 2^-103)` to epsilon, and turns delta into
//!   `(1 + 2^-59)^K (delta + e^epsilon K 2^-103) + K 2^-103`.

use dawn_crypto::params::Sigma;
use dawn_crypto::shamir::Threshold;
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
    CountedNoise::of_devices(sigma_error, min_honest).charge_micro_rho(clip)
}

/// The noise that is surely in every opened sum: nobody else's is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CountedNoise {
    /// How many honest devices' noise is counted on.
    pub min_honest: u32,
    /// The deviation of a device's error.
    pub sigma_error: Sigma,
    /// What is counted of stewards.
    pub stewards: Option<CountedStewards>,
}

/// The noise of stewards that is surely in every opened sum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CountedStewards {
    /// How many honest stewards' noise is counted on ([`honest_stewards`]).
    pub honest: u32,
    /// The deviation of a steward's noise.
    pub sigma: Sigma,
}

/// How many honest stewards' noise every sum has: T contribute at least, f of them may have contributed none.
pub fn honest_stewards(threshold: &Threshold) -> u32 {
    u32::from(threshold.t().saturating_sub(threshold.f()))
}

impl CountedNoise {
    /// Devices carry all of it.
    pub fn of_devices(sigma_error: Sigma, min_honest: u32) -> Self {
        Self {
            min_honest,
            sigma_error,
            stewards: None,
        }
    }

    /// What opening one round costs, in micro-rho, rounded up, in exact integers:
    /// `ceil(10^6 clip^2 / (2 (min_honest sigma_error^2 + honest sigma_steward^2)))`.
    ///
    /// # Errors
    /// [`AccountingError`].
    pub fn charge_micro_rho(&self, clip: u32) -> Result<u64, AccountingError> {
        if self.min_honest == 0 {
            return Err(AccountingError::NobodyHonest);
        }
        // sigma = units / 2^16: below 2^116 over at most 2^115, no overflow.
        let numerator = (1_000_000 * u128::from(clip).pow(2)) << (2 * Sigma::FRACTION_BITS);
        let variance =
            |number: u32, sigma: Sigma| u128::from(number) * u128::from(sigma.get()).pow(2);
        let stewards = self.stewards.map_or(0, |s| variance(s.honest, s.sigma));
        let denominator = 2 * (variance(self.min_honest, self.sigma_error) + stewards);
        u64::try_from(numerator.div_ceil(denominator)).map_err(|_| AccountingError::Overflow)
    }

    /// How many discrete Gaussians are counted a coordinate.
    fn terms(&self) -> f64 {
        f64::from(self.min_honest) + self.stewards.map_or(0.0, |s| f64::from(s.honest))
    }

    /// The smallest of their deviations.
    fn least(&self) -> Sigma {
        let stewards = self.stewards.filter(|s| s.honest > 0);
        stewards.map_or(self.sigma_error, |s| s.sigma.min(self.sigma_error))
    }
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
    /// The noise that was counted on.
    pub noise: CountedNoise,
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
    let honest = spending.noise.terms();
    let samples = rounds * honest * dimension;

    let gap = rounds * sum_gap(spending.noise.least(), honest) * dimension / 4.0;
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
#[derive(Clone, Copy, Debug, PartialEq)]
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
        self.total_with(&self.of_devices(sigma_error))
    }

    /// What the rounds spend together with this noise, in micro-rho.
    ///
    /// # Errors
    /// [`AccountingError`].
    pub fn total_with(&self, noise: &CountedNoise) -> Result<u64, AccountingError> {
        let charge = noise.charge_micro_rho(self.clip)?;
        let total = charge.checked_mul(u64::from(self.rounds));
        total.ok_or(AccountingError::Overflow)
    }

    fn of_devices(&self, sigma_error: Sigma) -> CountedNoise {
        CountedNoise::of_devices(sigma_error, self.min_honest)
    }

    /// The epsilon of the rounds with this deviation; see [`epsilon`].
    pub fn epsilon(&self, sigma_error: Sigma) -> Option<f64> {
        self.epsilon_with(&self.of_devices(sigma_error))
    }

    /// The epsilon of the rounds with this noise; see [`epsilon`].
    pub fn epsilon_with(&self, noise: &CountedNoise) -> Option<f64> {
        let spending = Spending {
            micro_rho: self.total_with(noise).ok()?,
            rounds: self.rounds,
            padded_dimension: self.padded_dimension,
            noise: *noise,
        };
        epsilon(&spending, self.delta_exponent)
    }

    /// The smallest deviation, not below [`Sigma::ERROR_MIN`], with which the rounds together stay
    /// within `target`. `None` when the largest deviation does not.
    pub fn calibrate(&self, target: f64) -> Option<Sigma> {
        self.least(target, |sigma| self.of_devices(sigma))
    }

    /// The smallest deviation of `honest` stewards' noise with which the rounds together stay within `target` when devices
    /// have this error. `None` when the largest deviation does not.
    pub fn calibrate_stewards(
        &self,
        target: f64,
        sigma_error: Sigma,
        honest: u32,
    ) -> Option<Sigma> {
        self.least(target, |sigma| {
            self.counted(&Split::of_stewards(sigma_error, sigma), honest)
        })
    }

    /// The noise that is counted on under a split, with `honest` stewards.
    pub fn counted(&self, split: &Split, honest: u32) -> CountedNoise {
        CountedNoise {
            stewards: split
                .stewards
                .map(|sigma| CountedStewards { honest, sigma }),
            ..self.of_devices(split.sigma_error)
        }
    }

    /// The default split of the noise (section 4.8): devices carry as much as a cheating one may put into one direction
    /// without gaining a quarter of the bound, `sqrt(1 + D sigma^2 / C^2) <= 1.25`, but no less than a mask needs; `honest`
    /// stewards top up to `target`. `None` when the largest deviation does not reach it.
    pub fn split(&self, target: f64, honest: u32) -> Option<Split> {
        let devices = self.calibrate(target);
        let most = self.harmless_error();
        if let Some(sigma_error) = devices.filter(|sigma| *sigma <= most) {
            return Some(Split::of_devices(sigma_error));
        }
        let stewards = self.calibrate_stewards(target, most, honest)?;
        Some(Split::of_stewards(most, stewards))
    }

    /// The largest deviation with `D sigma^2 <= (1.25^2 - 1) C^2`, at least that of a mask, at most that of the samplers.
    fn harmless_error(&self) -> Sigma {
        let squared = (9 * u128::from(self.clip).pow(2)) << (2 * Sigma::FRACTION_BITS);
        let units = (squared / (16 * self.padded_dimension.max(1) as u128)).isqrt();
        let units = u64::try_from(units).unwrap_or(u64::MAX);
        let within = units.clamp(Sigma::ERROR_MIN.get(), Sigma::MAX.get());
        Sigma::new(within).unwrap_or(Sigma::ERROR_MIN)
    }

    /// The smallest deviation, not below [`Sigma::ERROR_MIN`], whose noise keeps the rounds within `target`.
    fn least(&self, target: f64, noise: impl Fn(Sigma) -> CountedNoise) -> Option<Sigma> {
        let within = |sigma| {
            let epsilon = self.epsilon_with(&noise(sigma));
            epsilon.is_some_and(|epsilon| epsilon <= target)
        };
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

/// How the noise that a target asks for is divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Split {
    /// The deviation of a device's error.
    pub sigma_error: Sigma,
    /// The deviation of a steward's noise; none when devices carry all of it.
    pub stewards: Option<Sigma>,
}

impl Split {
    /// Devices carry all of it.
    pub fn of_devices(sigma_error: Sigma) -> Self {
        Self {
            sigma_error,
            stewards: None,
        }
    }

    /// Stewards carry some of it.
    pub fn of_stewards(sigma_error: Sigma, stewards: Sigma) -> Self {
        Self {
            sigma_error,
            stewards: Some(stewards),
        }
    }
}

/// The bound `10 (n - 1) exp(-pi^2 sigma^2)` on tau.
fn sum_gap(sigma: Sigma, honest: f64) -> f64 {
    let exponent = (std::f64::consts::PI * sigma.to_f64()).powi(2);
    (10.0 * (honest - 1.0).max(0.0) * (-exponent).exp()).next_up()
}
