//! The numbers of the protocol, in one place, with their reasons (`docs/protocol.md`, section 3).
//!
//! * `q = 2^32 - 2^20 + 1` is prime, `2^20` divides `q - 1`, and it is the field of the masks, of the
//!   Shamir shares and of the proofs, so that nothing is ever converted.
//! * `n = 2048`: ring dimension of the Ring-LWE masks.
//! * The mask key has deviation 4.5 and the error at least `4.5 sqrt 2`. Both are Gaussian, not ternary:
//!   an opening publishes `sum k` and `sum (x + e)`, which is a *Hint-LWE* leak, and the known reduction
//!   from Hint-LWE to LWE (Kim, Lee, Seo, Song, CRYPTO 2023) needs Gaussians. With only two honest
//!   devices left in the sum the effective deviations are half of the nominal ones: 2.25 and 3.18. At
//!   these, the cheapest known attack costs about what `docs/lwe-estimate.py` prints.
//!
//! [`Parameters::check`] refuses anything weaker.

/// The field's modulus, `2^32 - 2^20 + 1`, a prime.
pub const Q: u32 = 4_293_918_721;

/// Degree of the ring `F_q[X]/(X^N + 1)`.
pub const N: usize = 2048;

/// Most stewards that a roster can have.
pub const MAX_STEWARDS: usize = 16;

/// Most coordinates that a task's vector can have, `2^24`.
pub const MAX_DIM: usize = 1 << 24;

/// Largest magnitude of one coordinate of an update before masking, `2^30`: the sum with the noise
/// stays below `q/2` and inside an `i32`.
pub const MAX_COORDINATE: i32 = 1 << 30;

/// A standard deviation as fixed point in units of `2^-16`, so that every party computes with the same
/// number. Between 1 and `2^24`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sigma(u64);

impl Sigma {
    /// Fractional bits of the representation.
    pub const FRACTION_BITS: u32 = 16;
    /// The smallest deviation that the samplers accept: 1.
    pub const MIN: Sigma = Sigma(1 << 16);
    /// The largest deviation that the samplers accept: `2^24`.
    pub const MAX: Sigma = Sigma(1 << 40);
    /// Deviation of the mask key's coefficients: 4.5.
    pub const KEY: Sigma = Sigma(294_912);
    /// Smallest deviation of the error: `4.5 sqrt 2`, rounded up to the next unit.
    pub const ERROR_MIN: Sigma = Sigma(417_069);

    /// A deviation of `units * 2^-16`.
    ///
    /// # Errors
    /// [`ParameterError::Sigma`] when it is not between 1 and `2^24`.
    pub const fn new(units: u64) -> Result<Sigma, ParameterError> {
        if units < Sigma::MIN.0 || units > Sigma::MAX.0 {
            return Err(ParameterError::Sigma { units });
        }
        Ok(Sigma(units))
    }

    /// The smallest representable deviation that is at least `value`: rounding never weakens noise.
    ///
    /// # Errors
    /// [`ParameterError::Sigma`] when `value` is not finite or not between 1 and `2^24`.
    pub fn from_f64_ceil(value: f64) -> Result<Sigma, ParameterError> {
        let units = (value * 65_536.0).ceil();
        // A NaN fails both comparisons, and so is refused.
        if units >= 65_536.0 && units <= (1u64 << 40) as f64 {
            Sigma::new(units as u64)
        } else {
            Err(ParameterError::Sigma { units: 0 })
        }
    }

    /// The deviation in units of `2^-16`.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The deviation as a floating-point number, for people and accountants; never used to sample.
    pub fn to_f64(self) -> f64 {
        self.0 as f64 / 65_536.0
    }
}

impl<C> minicbor::Encode<C> for Sigma {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut minicbor::Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.u64(self.0)?.ok()
    }
}

impl<'b, C> minicbor::Decode<'b, C> for Sigma {
    fn decode(d: &mut minicbor::Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        Sigma::new(d.u64()?).map_err(minicbor::decode::Error::custom)
    }
}

/// How long a task's vectors are: `d` coordinates, then check coordinates that carry only noise
/// (`docs/protocol.md`, section 4.2), `N` at least, so that a wrong opening is visible also for small `d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Dimension {
    coordinates: usize,
}

impl Dimension {
    /// A dimension of `d` coordinates.
    ///
    /// # Errors
    /// [`ParameterError::Dimension`] unless `1 <= d <= MAX_DIM`.
    pub const fn new(d: usize) -> Result<Dimension, ParameterError> {
        if d == 0 || d > MAX_DIM {
            return Err(ParameterError::Dimension { coordinates: d });
        }
        Ok(Dimension { coordinates: d })
    }

    /// The number of coordinates that mean something, `d`.
    pub const fn coordinates(&self) -> usize {
        self.coordinates
    }

    /// The masked vector's length: `N (ceil(d/N) + 1)`. Check coordinates are `d..padded`.
    pub const fn padded(&self) -> usize {
        self.blocks() * N
    }

    /// The number of ring elements in a masked vector, at least 2.
    pub const fn blocks(&self) -> usize {
        self.coordinates.div_ceil(N) + 1
    }

    /// The indices of the check coordinates.
    pub const fn check_range(&self) -> core::ops::Range<usize> {
        self.coordinates..self.padded()
    }

    /// The payload's length in bytes: 4 a coordinate.
    pub const fn payload_bytes(&self) -> usize {
        4 * self.padded()
    }
}

/// A parameter set of the masks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parameters {
    /// Ring dimension.
    pub n: usize,
    /// Modulus.
    pub q: u64,
    /// Deviation of the mask key.
    pub sigma_key: Sigma,
    /// Deviation of the error.
    pub sigma_error: Sigma,
}

impl Parameters {
    /// The protocol's set, with the smallest error.
    pub const DAWN_V1: Parameters = Parameters {
        n: N,
        q: Q as u64,
        sigma_key: Sigma::KEY,
        sigma_error: Sigma::ERROR_MIN,
    };

    /// The protocol's set with a task's error deviation.
    ///
    /// # Errors
    /// As [`Parameters::check`].
    pub fn with_error(sigma_error: Sigma) -> Result<Parameters, ParameterError> {
        let set = Parameters {
            sigma_error,
            ..Parameters::DAWN_V1
        };
        set.check()?;
        Ok(set)
    }

    /// Refuses every set that is weaker than [`Parameters::DAWN_V1`]: a smaller ring or deviation, a
    /// larger modulus (or one that is not the field of the proofs).
    ///
    /// # Errors
    /// The [`ParameterError`] that names the number.
    pub const fn check(&self) -> Result<(), ParameterError> {
        if self.n < N {
            return Err(ParameterError::RingTooSmall { n: self.n });
        }
        if self.q != Q as u64 {
            return Err(ParameterError::OtherModulus { q: self.q });
        }
        if self.sigma_key.0 < Sigma::KEY.0 {
            return Err(ParameterError::KeyTooNarrow {
                units: self.sigma_key.0,
            });
        }
        if self.sigma_error.0 < Sigma::ERROR_MIN.0 {
            return Err(ParameterError::ErrorTooNarrow {
                units: self.sigma_error.0,
            });
        }
        Ok(())
    }
}

/// Why a parameter is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParameterError {
    /// A deviation outside what the samplers state bounds for.
    #[error("the standard deviation must be between 1 and 2^24 (got {units} units of 2^-16)")]
    Sigma {
        /// What was asked for.
        units: u64,
    },
    /// A vector without coordinates or with too many.
    #[error("a vector has between 1 and {MAX_DIM} coordinates, not {coordinates}")]
    Dimension {
        /// What was asked for.
        coordinates: usize,
    },
    /// The ring is too small for the security claim.
    #[error("the ring dimension must be at least {N}, not {n}")]
    RingTooSmall {
        /// What was asked for.
        n: usize,
    },
    /// Not the field of shares and proofs.
    #[error("the modulus must be {Q}, not {q}")]
    OtherModulus {
        /// What was asked for.
        q: u64,
    },
    /// The mask key's deviation is too small for the security claim.
    #[error("the key's deviation must be at least 4.5 (got {units} units of 2^-16)")]
    KeyTooNarrow {
        /// What was asked for.
        units: u64,
    },
    /// The error's deviation is too small for the security claim.
    #[error("the error's deviation must be at least 4.5 sqrt 2 (got {units} units of 2^-16)")]
    ErrorTooNarrow {
        /// What was asked for.
        units: u64,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modulus_is_what_the_reduction_relies_on() {
        assert_eq!(u64::from(Q), (1u64 << 32) - (1 << 20) + 1);
        assert_eq!((u64::from(Q) - 1) % (1 << 20), 0);
        // Trial division: prime.
        assert!((2..65_536u64).all(|p| u64::from(Q) % p != 0));
    }

    #[test]
    fn error_minimum_is_the_root_rounded_up() {
        let key = u128::from(Sigma::KEY.get());
        let error = u128::from(Sigma::ERROR_MIN.get());
        assert_eq!(key, 9 << 15);
        assert!(error * error >= 2 * key * key);
        assert!((error - 1) * (error - 1) < 2 * key * key);
        assert_eq!(
            Sigma::from_f64_ceil(4.5 * 2f64.sqrt()),
            Ok(Sigma::ERROR_MIN)
        );
    }

    #[test]
    fn weaker_sets_are_refused() {
        let good = Parameters::DAWN_V1;
        assert_eq!(good.check(), Ok(()));
        assert!(Parameters { n: 1024, ..good }.check().is_err());
        assert!(
            Parameters {
                q: (1 << 40) + 1,
                ..good
            }
            .check()
            .is_err()
        );
        let one_less = |s: Sigma| Sigma::new(s.get() - 1).expect("still at least 1");
        assert!(
            Parameters {
                sigma_key: one_less(Sigma::KEY),
                ..good
            }
            .check()
            .is_err()
        );
        assert!(Parameters::with_error(one_less(Sigma::ERROR_MIN)).is_err());
        assert!(Parameters::with_error(Sigma::MAX).is_ok());
    }

    #[test]
    fn deviations_are_bounded_and_never_rounded_down() {
        assert!(Sigma::new(65_535).is_err());
        assert!(Sigma::new((1 << 40) + 1).is_err());
        for bad in [0.0, 0.99, -5.0, f64::NAN, f64::INFINITY, 1.7e7] {
            assert!(Sigma::from_f64_ceil(bad).is_err(), "{bad}");
        }
        let s = Sigma::from_f64_ceil(100.5).expect("in range");
        assert_eq!(s.get(), 6_586_368);
        assert_eq!(Sigma::from_f64_ceil(1.000_001).expect("ok").get(), 65_537);
    }

    #[test]
    fn dimensions_pad_with_at_least_a_block() {
        for (d, blocks) in [(1, 2), (2047, 2), (2048, 2), (2049, 3), (MAX_DIM, 8193)] {
            let dim = Dimension::new(d).expect("in range");
            assert_eq!(dim.blocks(), blocks, "{d}");
            assert_eq!(dim.padded(), blocks * N);
            assert!(dim.check_range().len() >= N);
        }
        assert!(Dimension::new(0).is_err());
        assert!(Dimension::new(MAX_DIM + 1).is_err());
    }

    #[test]
    fn sigma_decodes_only_in_range() {
        let bytes = minicbor::to_vec(Sigma::KEY).expect("encodes");
        assert_eq!(
            minicbor::decode::<Sigma>(&bytes).expect("decodes"),
            Sigma::KEY
        );
        let bytes = minicbor::to_vec(3u64).expect("encodes");
        assert!(minicbor::decode::<Sigma>(&bytes).is_err());
    }
}
