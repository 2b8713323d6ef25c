//! Robust means of group sums, in integers (`docs/learning.md`, section 5.1): when the updates of a round are
//! added up in groups, a rule that looks at the groups' means bounds what any few groups can do to the result.
//!
//! Inputs are group sums `S_g` of `n_g` updates each. Their means are fixed-point vectors ([`points`]);
//! nearest-neighbour mixing ([`mixing`]) optionally replaces every mean by that of its k nearest; then comes
//! the rule: coordinate-wise median or trimmed mean ([`coordinates`]), or the geometric median ([`geometric`]). The
//! result is a vector of numerators with one denominator ([`Estimate`]), ready for the update rule
//! ([`crate::update::apply_mean`]). Everybody who knows the sums computes the same bits.

mod coordinates;
mod geometric;
mod mixing;
mod points;

use alloc::vec::Vec;
use minicbor::{Decode, Decoder, Encode, Encoder};
use points::Points;

/// Most groups.
pub const MAX_GROUPS: usize = 64;
/// Most iterations of the geometric median.
pub const MAX_ITERATIONS: u8 = 64;

/// How the means of the groups become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Aggregation {
    /// Coordinate by coordinate, the one in the middle; the mean of the two in the middle of an even number.
    Median,
    /// Coordinate by coordinate, the mean without the `cut` smallest and the `cut` largest.
    TrimmedMean {
        /// How many are left out at each end; at least 1.
        cut: u8,
    },
    /// The point with the smallest sum of distances, by the smoothed Weiszfeld iteration from zero.
    GeometricMedian {
        /// How many times the iteration is done; 1 to [`MAX_ITERATIONS`].
        iterations: u8,
    },
}

/// A robust rule: how the means of groups become one, and whether they are mixed before. In CBOR the array
/// `[kind, parameter, neighbours?]`: kind 0 is the median (its parameter is 0), 1 the trimmed mean (how many are cut at
/// each end), 2 the geometric median (iterations).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct RobustRule {
    /// The rule.
    pub aggregation: Aggregation,
    /// Nearest-neighbour mixing with this many neighbours, each group being its own nearest; at least 2.
    pub mixing: Option<u8>,
}

/// Why groups have no robust mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RobustError {
    /// Too few groups to outvote one, or too many.
    #[error("a robust rule needs 3 to {MAX_GROUPS} groups, not {0}")]
    Groups(usize),
    /// The parameters of the rule do not fit the number of groups.
    #[error("{0}")]
    Parameter(&'static str),
    /// The sums have different lengths.
    #[error("the sums of the groups have different lengths")]
    Lengths,
    /// A group of nobody.
    #[error("a group has no members")]
    Empty,
    /// More than 2^24 coordinates.
    #[error("the sums of the groups have more than 2^24 coordinates")]
    TooLong,
}

/// The sum of a group's updates.
#[derive(Clone, Copy, Debug)]
pub struct GroupSum<'a> {
    /// The sum, a number a coordinate.
    pub sum: &'a [i32],
    /// How many updates are in it.
    pub members: u32,
}

/// What a robust rule makes of the means of groups: coordinate `i` is `numerators[i] / denominator` units of an
/// update. Numerators are at most 2^53 in magnitude, the denominator at most 2^22.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Estimate {
    /// A number a coordinate.
    pub numerators: Vec<i64>,
    /// At least 1.
    pub denominator: u64,
}

impl RobustRule {
    /// Checks the parameters for a number of groups. What fits fewer groups fits more.
    ///
    /// # Errors
    /// [`RobustError::Groups`], [`RobustError::Parameter`].
    pub fn check(&self, groups: usize) -> Result<(), RobustError> {
        if !(3..=MAX_GROUPS).contains(&groups) {
            return Err(RobustError::Groups(groups));
        }
        let parameter = |holds: bool, rule| holds.then_some(()).ok_or(RobustError::Parameter(rule));
        match self.aggregation {
            Aggregation::Median => {}
            Aggregation::TrimmedMean { cut } => parameter(
                cut >= 1 && 2 * usize::from(cut) < groups,
                "a trimmed mean cuts at least one group at each end, and leaves one",
            )?,
            Aggregation::GeometricMedian { iterations } => parameter(
                (1..=MAX_ITERATIONS).contains(&iterations),
                "a geometric median takes between 1 and 64 iterations",
            )?,
        }
        parameter(
            self.mixing
                .is_none_or(|k| k >= 2 && usize::from(k) <= groups),
            "mixing is over at least two groups, and at most all",
        )
    }

    /// The robust mean of groups.
    ///
    /// # Errors
    /// As [`Self::check`]; [`RobustError::Lengths`], [`RobustError::Empty`], [`RobustError::TooLong`].
    pub fn estimate(&self, groups: &[GroupSum<'_>]) -> Result<Estimate, RobustError> {
        self.check(groups.len())?;
        let points = Points::of_groups(groups)?;
        let points = match self.mixing {
            Some(neighbours) => mixing::nearest(&points, neighbours.into()),
            None => points,
        };
        Ok(match self.aggregation {
            Aggregation::Median => coordinates::median(&points),
            Aggregation::TrimmedMean { cut } => coordinates::trimmed_mean(&points, cut.into()),
            Aggregation::GeometricMedian { iterations } => geometric::median(&points, iterations),
        })
    }
}

impl<C> Encode<C> for RobustRule {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        let (kind, parameter) = match self.aggregation {
            Aggregation::Median => (0u8, 0),
            Aggregation::TrimmedMean { cut } => (1, cut),
            Aggregation::GeometricMedian { iterations } => (2, iterations),
        };
        match self.mixing {
            None => e.array(2)?.u8(kind)?.u8(parameter)?,
            Some(neighbours) => e.array(3)?.u8(kind)?.u8(parameter)?.u8(neighbours)?,
        };
        Ok(())
    }
}

impl<'b, C> Decode<'b, C> for RobustRule {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        let refused = minicbor::decode::Error::message;
        let items = d.array()?;
        let aggregation = match (d.u8()?, d.u8()?) {
            (0, 0) => Aggregation::Median,
            (1, cut) => Aggregation::TrimmedMean { cut },
            (2, iterations) => Aggregation::GeometricMedian { iterations },
            _ => return Err(refused("no such robust rule")),
        };
        let mixing = match items {
            Some(2) => None,
            Some(3) => Some(d.u8()?),
            _ => return Err(refused("a robust rule has two or three numbers")),
        };
        Ok(Self {
            aggregation,
            mixing,
        })
    }
}

#[cfg(test)]
mod tests;
