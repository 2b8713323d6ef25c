//! What follows from how many stewards there are and how many may be malicious.

use super::ShamirError;
use crate::params::MAX_STEWARDS;

/// `(m, f, T, A)` of a roster (`docs/protocol.md`, section 3).
///
/// `T = floor((m + f)/2) + 1` shares open, so that two different sets can never both be opened
/// (`2T > m + f`); `A = T + f` answers on one polynomial are believed, so that the honest ones among them
/// fix it. In CBOR the array `[m, f, T, A]`; anything that does not follow from `(m, f)` is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Threshold {
    stewards: u8,
    faulty: u8,
}

impl Threshold {
    /// The thresholds of `m` stewards of whom `f` may be malicious.
    ///
    /// # Errors
    /// [`ShamirError::Threshold`] unless `2 <= m <= 16` and `A <= m`.
    pub const fn new(m: u8, f: u8) -> Result<Threshold, ShamirError> {
        let threshold = Threshold {
            stewards: m,
            faulty: f,
        };
        // f < m first: then nothing below overflows.
        if m < 2 || m as usize > MAX_STEWARDS || f >= m || threshold.a() > m {
            return Err(ShamirError::Threshold {
                stewards: m,
                faulty: f,
            });
        }
        Ok(threshold)
    }

    /// The thresholds as someone else wrote them.
    ///
    /// # Errors
    /// As [`Threshold::new`]; [`ShamirError::ThresholdParts`] when T or A is another.
    pub const fn from_parts(m: u8, f: u8, t: u8, a: u8) -> Result<Threshold, ShamirError> {
        match Threshold::new(m, f) {
            Err(error) => Err(error),
            Ok(threshold) if threshold.t() == t && threshold.a() == a => Ok(threshold),
            Ok(_) => Err(ShamirError::ThresholdParts),
        }
    }

    /// Number of stewards.
    pub const fn m(&self) -> u8 {
        self.stewards
    }

    /// Most malicious stewards.
    pub const fn f(&self) -> u8 {
        self.faulty
    }

    /// Shares that open: `T`, one more than the polynomials' degree.
    pub const fn t(&self) -> u8 {
        (self.stewards + self.faulty) / 2 + 1
    }

    /// Agreeing answers that are believed: `A = T + f`.
    pub const fn a(&self) -> u8 {
        self.t() + self.faulty
    }
}

impl<C> minicbor::Encode<C> for Threshold {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut minicbor::Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.array(4)?;
        e.u8(self.m())?
            .u8(self.f())?
            .u8(self.t())?
            .u8(self.a())?
            .ok()
    }
}

impl<'b, C> minicbor::Decode<'b, C> for Threshold {
    fn decode(d: &mut minicbor::Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        if d.array()? != Some(4) {
            return Err(minicbor::decode::Error::message(
                "a threshold is [m, f, T, A]",
            ));
        }
        let (m, f, t, a) = (d.u8()?, d.u8()?, d.u8()?, d.u8()?);
        Threshold::from_parts(m, f, t, a).map_err(minicbor::decode::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn examples_of_the_document() {
        for (m, f, t, a) in [(6, 1, 4, 5), (8, 1, 5, 6), (11, 2, 7, 9), (3, 0, 2, 2)] {
            let th = Threshold::new(m, f).expect("allowed");
            assert_eq!((th.t(), th.a()), (t, a));
            assert_eq!(Threshold::from_parts(m, f, t, a), Ok(th));
        }
    }

    #[test]
    fn two_sets_never_both_open_and_honest_answers_fix_the_polynomial() {
        let mut allowed = 0;
        for m in 0..=255 {
            for f in 0..=255 {
                let Ok(th) = Threshold::new(m, f) else {
                    continue;
                };
                allowed += 1;
                assert!(2 * u16::from(th.t()) > u16::from(m) + u16::from(f));
                assert!(th.a() - th.f() >= th.t() && th.a() <= m && (2..=16).contains(&m));
                assert!(th.t() >= 2, "one steward alone must never open");
            }
        }
        assert!(allowed > 15);
    }

    #[test]
    fn everything_else_is_refused() {
        for (m, f) in [(0, 0), (1, 0), (3, 1), (4, 2), (17, 0), (5, 5), (255, 255)] {
            assert!(Threshold::new(m, f).is_err(), "{m} {f}");
        }
        for (t, a) in [(3, 5), (4, 4), (5, 5), (4, 6), (1, 2)] {
            assert_eq!(
                Threshold::from_parts(6, 1, t, a),
                Err(ShamirError::ThresholdParts)
            );
        }
        for bad in [
            vec![6u8, 1, 3, 4],
            vec![6, 1, 4],
            vec![6, 1, 4, 5, 5],
            vec![1, 0, 1, 1],
        ] {
            let bytes = minicbor::to_vec(&bad).expect("encodes");
            assert!(minicbor::decode::<Threshold>(&bytes).is_err());
        }
        let th = Threshold::new(6, 1).expect("allowed");
        let bytes = minicbor::to_vec(th).expect("encodes");
        assert_eq!(bytes, [0x84, 6, 1, 4, 5]);
        assert_eq!(minicbor::decode::<Threshold>(&bytes).expect("decodes"), th);
    }
}
