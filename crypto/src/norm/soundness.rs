//! How unlikely it is that something wrong passes, in bits, for people (`docs/protocol.md`, sections 4.3 and 4.6). Nothing is
//! decided by these numbers; what is refused is decided by [`super::params`], in integers.
//!
//! Three things would have to go wrong for the stewards, and each has its own randomness:
//!
//! - *projection*: R follows from what a device commits to, so that a device can try again, alone and unseen, until a vector
//!   that is too long has short projections. [`GRINDING_BITS`] is how many tries the statement allows for.
//! - *proof*: digits that are none. The joint randomness of each of the five repetitions can be tried again in the same
//!   way; the query points come from the beacon, which nobody knows before the round is closed.
//! - *linear check*: digits of other projections. Its weights come from the beacon.

use super::params::{NormParams, REPETITIONS};
use crate::params::Q;

/// An honest device's proof fails with probability below `2^-64` in all.
pub const COMPLETENESS_BITS: u32 = 64;
/// A vector of norm `gamma B` passes with probability at most `2^-70` over R.
pub const PROJECTION_BITS: u32 = 70;
/// Tries at R and at the joint randomness that a device is granted: `2^60`.
pub const GRINDING_BITS: u32 = 60;

/// Probabilities that something wrong passes, as `-log2`, for one submission and one beacon, after `2^60` tries of what can be
/// tried offline.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SoundnessBits {
    /// A vector of norm `gamma B` has projections that are short enough.
    pub projection: f64,
    /// Digits that are none pass the proof.
    pub proof: f64,
    /// Other numbers than the projections pass both linear checks.
    pub linear: f64,
}

impl NormParams {
    /// What of the soundness is left when `2^60` tries were made.
    pub fn soundness(&self) -> SoundnessBits {
        let q = f64::from(Q);
        let size = |calls: usize| (1 + calls).next_power_of_two() as f64;
        let sizes = [self.digit_chunks().calls, self.square_chunks().calls].map(size);
        // One repetition's question: the weights of the two outputs, and a point at which the gadget's polynomial of degree
        // 4 or 2 times that of the wires would have to agree.
        let question = 1.0 / q
            + 4.0 * (sizes[0] - 1.0) / (q - sizes[0])
            + 2.0 * (sizes[1] - 1.0) / (q - sizes[1]);
        // The weights of k repetitions found offline, 2/q each; the questions of the others guessed.
        let mut passes = 0.0;
        let mut ways = 1.0;
        for offline in 0..=REPETITIONS {
            let others = (REPETITIONS - offline) as f64;
            let found = ways * 2f64.powi(GRINDING_BITS as i32) * (2.0 / q).powi(offline as i32);
            passes += found.min(1.0) * question.powf(others);
            ways *= others / (offline as f64 + 1.0);
        }
        SoundnessBits {
            projection: f64::from(PROJECTION_BITS - GRINDING_BITS),
            proof: -passes.log2(),
            linear: 2.0 * q.log2(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Rows;
    use super::*;
    use crate::params::{Dimension, Sigma};

    /// What an attacker would do: `2^60` tries find the weights of one repetition for certain and of two with probability
    /// `2^-2` or so; four, or three, questions remain.
    #[test]
    fn the_best_split_between_grinding_and_guessing_is_counted() {
        for rows in Rows::ALL {
            let dim = Dimension::new(1000).expect("in range");
            let params = NormParams::derive(&dim, 1000, Sigma::ERROR_MIN, rows).expect("fits");
            let found = params.soundness();
            // A question is missed with probability below 2^-22 and above 2^-25.
            assert!(found.proof > 3.0 * 22.0 - 4.0 && found.proof < 3.0 * 25.0 + 3.0);
            assert!((found.linear - 64.0).abs() < 0.01);
            assert_eq!(found.projection, 10.0);
        }
    }
}
