//! The fixed factor of a low-rank update: `A`, rank x inputs, random signs with a power-of-two scale.

use crate::fixed::div_half_even;
use crate::randomness::{Stream, labels};
use alloc::vec::Vec;

/// `A` of one layer in one round: entry `(k, i)` is `signs[k inputs + i] * 2^-shift`. `shift` is the least with
/// `4^shift >= inputs`, so that a row has a norm of at most one and above one half: a step of `B` moves `B A` about as far
/// as a step of all weights moves the part of them that `A` reaches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Adapter {
    pub(crate) rank: usize,
    pub(crate) inputs: usize,
    pub(crate) shift: u32,
    /// Rank x inputs, row by row: -1 or 1.
    pub(crate) signs: Vec<i8>,
}

impl Adapter {
    /// The signs of a layer in a round: bit `i mod 64` of number `i / 64` of stream `round * 2^32 + layer`, set for plus,
    /// with `i` counting the entries row by row.
    pub(crate) fn draw(
        rank: usize,
        inputs: usize,
        seed: &[u8; 32],
        round: u32,
        layer: u32,
    ) -> Self {
        let step = u64::from(round) << 32 | u64::from(layer);
        let mut stream = Stream::new(labels::ADAPTERS, seed, step);
        let mut signs = Vec::with_capacity(rank * inputs);
        while signs.len() < rank * inputs {
            let word = stream.next_u64();
            let bits = (rank * inputs - signs.len()).min(64);
            signs.extend((0..bits).map(|bit| if word >> bit & 1 == 1 { 1 } else { -1 }));
        }
        let bits = usize::BITS - (inputs - 1).leading_zeros();
        Self {
            rank,
            inputs,
            shift: bits.div_ceil(2),
            signs,
        }
    }

    /// The row of `B A` that a row of `B` gives, without the scale: `inputs` sums. At most 2^16 numbers of 64 bits fit.
    pub(crate) fn expand(&self, b: impl Iterator<Item = i64>, sums: &mut [i128]) {
        sums.fill(0);
        for (b, signs) in b.zip(self.signs.chunks_exact(self.inputs)) {
            for (sum, &sign) in sums.iter_mut().zip(signs) {
                *sum += i128::from(b) * i128::from(sign);
            }
        }
    }

    /// `A` times a row of weights, with the scale, to nearest, ties to even: `rank` numbers.
    pub(crate) fn project<'a>(&'a self, row: &'a [i64]) -> impl Iterator<Item = i64> + 'a {
        self.signs.chunks_exact(self.inputs).map(move |signs| {
            let terms = signs.iter().zip(row);
            let sum: i128 = terms
                .map(|(&sign, &x)| i128::from(sign) * i128::from(x))
                .sum();
            let scaled = div_half_even(sum, 1 << self.shift);
            i64::try_from(scaled).expect("a sum of 2^16 differences of weights")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_about_as_long_as_one() {
        for (inputs, shift) in [
            (2, 1),
            (4, 1),
            (5, 2),
            (16, 2),
            (17, 3),
            (64, 3),
            (784, 5),
            (65_536, 8),
        ] {
            let adapter = Adapter::draw(1, inputs, &[1; 32], 1, 0);
            assert_eq!(adapter.shift, shift, "{inputs}");
            let norm = inputs as f64 / 4f64.powi(shift as i32);
            assert!(norm > 0.25 && norm <= 1.0, "{inputs}: {norm}");
        }
    }

    #[test]
    fn signs_depend_on_seed_round_and_layer_and_are_balanced() {
        let draw = |seed: u8, round, layer| Adapter::draw(7, 300, &[seed; 32], round, layer).signs;
        let first = draw(1, 1, 0);
        assert_eq!(first.len(), 2100);
        let sum: i32 = first.iter().map(|&sign| i32::from(sign)).sum();
        assert!(sum.abs() < 250, "{sum}");
        assert!(first.iter().all(|sign| sign.abs() == 1));
        assert_eq!(first, draw(1, 1, 0));
        for other in [draw(2, 1, 0), draw(1, 2, 0), draw(1, 1, 1)] {
            assert_ne!(first, other);
        }
    }
}
