//! A public row `g` whose product with the hidden vector is proven to be within bounds (`docs/protocol.md`, section 4.5), in
//! the same linear check as the projections.
//!
//! For an honest device `low <= <g, x> <= high`, which always holds for `x = 0`. With the noise, `y = <g, v>` is within
//! `[lo, hi]`, ten deviations further on either side: a discrete Gaussian is subgaussian with its own deviation, so
//! that `<g, e>` is with `sigma ||g||`, and is outside with probability at most `2 e^-50 < 2^-71`. The device shares the base-4 digits
//! of `y - lo` and of `hi - y`. Whatever passes has `|y| <= gamma B ||g|| < q/4` by the proof of the norm, and digits too
//! few to wrap: so what is proven modulo q holds for integers.

use super::NormError;
use super::params::NormParams;
use super::projection::R;
use crate::backend::active;
use crate::field;
use crate::params::{N, Q};
use core::ops::RangeInclusive;

/// Deviations of `<g, e>` between what an honest device has and the bounds.
const SLACK_DEVIATIONS: u128 = 10;

/// Elements of the two differences' weights in a linear check.
pub(super) const WEIGHTS: usize = 2;

/// The bounds of a public row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FunctionalParams {
    limit: u32,
    low: i64,
    high: i64,
    slack: i64,
    digits: usize,
}

impl FunctionalParams {
    /// The largest norm of the row.
    pub fn limit(&self) -> u32 {
        self.limit
    }

    /// What an honest device's `<g, x>` is within.
    pub fn honest(&self) -> RangeInclusive<i64> {
        self.low..=self.high
    }

    /// What is proven of `<g, v>`: ten deviations of the noise more on either side.
    pub fn proven(&self) -> RangeInclusive<i64> {
        self.low - self.slack..=self.high + self.slack
    }

    /// How much further than an honest `<g, x>` the noise may take `<g, v>`.
    pub fn slack(&self) -> i64 {
        self.slack
    }

    /// Base-4 digits of each of the two differences.
    pub fn digits(&self) -> usize {
        self.digits
    }

    /// All ones when `product` is an honest device's, else 0, in constant time.
    pub fn honest_mask(&self, product: i64) -> u32 {
        let outside = product.wrapping_sub(self.low) | self.high.wrapping_sub(product);
        !((outside >> 63) as u32)
    }

    /// `y - lo` and `hi - y`; one of them is negative when `y` is outside.
    pub(super) fn differences(&self, product: i64) -> [i64; 2] {
        let (lo, hi) = self.proven().into_inner();
        [product.wrapping_sub(lo), hi.wrapping_sub(product)]
    }

    /// The two numbers that both are `y` when the differences are those of one `y` (of shares: shares of them).
    pub(super) fn products(&self, differences: [u32; 2]) -> [u32; 2] {
        let (lo, hi) = self.proven().into_inner();
        let constant = |value: i64| field::from_i32(i32::try_from(value).expect("below q/4"));
        let [above, below] = differences;
        [
            field::add(above, constant(lo)),
            field::sub(constant(hi), below),
        ]
    }
}

impl NormParams {
    /// The longest row that there may be: `gamma B ||g|| < q/4`.
    pub fn longest_row(&self) -> u32 {
        u32::try_from(u64::from(Q / 4 - 1) / self.max_norm().max(1)).expect("below q")
    }

    /// The same proof, with a row of norm at most `limit` whose product with an honest update is within `honest`.
    ///
    /// # Errors
    /// [`NormError::Functional`] when zero is not within `honest`, the row may be longer than [`Self::longest_row`], or a product could
    /// wrap around.
    pub fn with_functional(
        self,
        limit: u32,
        honest: RangeInclusive<i64>,
    ) -> Result<NormParams, NormError> {
        let refused = NormError::Functional {
            limit,
            longest: self.longest_row(),
        };
        let quarter = i64::from(Q / 4);
        let (low, high) = honest.into_inner();
        if limit > self.longest_row() || low > 0 || high < 0 || low < -quarter || high > quarter {
            return Err(refused);
        }
        let deviation = u128::from(self.sigma_error().get()) * u128::from(limit);
        let slack = (SLACK_DEVIATIONS * deviation).div_ceil(1 << 16);
        let slack = i64::try_from(slack).map_err(|_| refused)?;
        let fits = |value: i64| value.checked_add(slack).is_some_and(|sum| sum < quarter);
        if !fits(high) || !fits(-low) {
            return Err(refused);
        }
        let width = (high - low + 2 * slack) as u64;
        let digits = (1..=16)
            .find(|digits| 1u64 << (2 * digits) > width)
            .ok_or(refused)?;
        // Digits stand for a number within 4^digits of a bound, and the product is within gamma B ||g|| of 0.
        let product = self.max_norm() * u64::from(limit);
        let bound = slack.unsigned_abs() + high.max(-low).unsigned_abs();
        if (1u64 << (2 * digits)) + bound + product >= u64::from(Q) {
            return Err(refused);
        }
        Ok(self.with(FunctionalParams {
            limit,
            low,
            high,
            slack,
            digits: digits as usize,
        }))
    }
}

/// A public row `g`: an integer a coordinate of the update, zero on all that follow.
#[derive(Clone, PartialEq, Eq)]
pub struct FunctionalRow(Vec<i32>);

impl FunctionalRow {
    /// A row, within the bounds of the parameters.
    ///
    /// # Errors
    /// [`NormError::Row`] when the parameters have none, or the row is longer than their limit.
    pub fn new(params: &NormParams, values: Vec<i32>) -> Result<FunctionalRow, NormError> {
        let functional = params.functional().ok_or(NormError::Row)?;
        let squares = values.iter().map(|&g| u128::from(g.unsigned_abs()).pow(2));
        if squares.sum::<u128>() > u128::from(functional.limit).pow(2) {
            return Err(NormError::Row);
        }
        Ok(FunctionalRow(values))
    }

    /// The entries.
    pub fn values(&self) -> &[i32] {
        &self.0
    }

    /// `<g, v>`, in time independent of `v`: exact when `||v||` is at most `gamma B`.
    pub fn product(&self, v: &[i32]) -> i64 {
        let terms = self.0.iter().zip(v);
        terms.fold(0, |sum: i64, (&g, &v)| {
            sum.wrapping_add(i64::from(g) * i64::from(v))
        })
    }

    /// `g` on the coordinates of a block, canonical.
    fn block(&self, block: usize, out: &mut [u32; N]) {
        let first = self.0.len().min(block.saturating_mul(N));
        let values = self.0[first..].iter().copied().chain(core::iter::repeat(0));
        for (out, g) in out.iter_mut().zip(values) {
            *out = field::from_i32(g);
        }
    }
}

impl core::fmt::Debug for FunctionalRow {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "FunctionalRow({} coordinates)", self.0.len())
    }
}

/// A row with its weights in both linear checks, made ready for the blocks.
pub(super) struct WeightedRow<'a> {
    row: &'a FunctionalRow,
    /// The weight times `2^32`, at every coordinate.
    weights: Box<[[u32; N]; 2]>,
}

impl<'a> WeightedRow<'a> {
    pub(super) fn new(row: &'a FunctionalRow, weights: [u32; 2]) -> WeightedRow<'a> {
        WeightedRow {
            row,
            weights: Box::new(weights.map(|weight| [field::mul(weight, R); N])),
        }
    }

    /// Adds the weighted row to the combined rows of a block.
    pub(super) fn add_to(&self, block: usize, combined: &mut [[u32; N]; 2]) {
        let mut values = [0; N];
        self.row.block(block, &mut values);
        for (combined, weights) in combined.iter_mut().zip(&*self.weights) {
            let mut product = values;
            active().mul_montgomery(&mut product, weights);
            active().add_assign(combined, &product);
        }
    }
}
