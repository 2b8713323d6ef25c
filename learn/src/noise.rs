//! The randomness of steps: which hidden units one leaves out, and how its weights are rounded (`docs/learning.md`, section 3.2).
//! Every number follows from the training's seed, the step, the layer and its index: never from lanes or order.

use crate::fixed::shift_right_rounded;
use crate::matrix::Matrix;
use crate::randomness::{Key, Stream, labels};
use crate::rate::NEAREST;
use crate::train::{Rounding, TrainSpec};
use core::num::NonZeroU16;

/// Layers of a model that streams are numbered for; there are at most 4 convolutions and 9 dense layers.
const LAYERS: u64 = 16;

/// What a training's options draw.
pub(crate) struct Noise {
    pub(crate) dropout: Option<Dropout>,
    pub(crate) rounding: Option<RandomRounding>,
}

impl Noise {
    pub(crate) fn new(spec: &TrainSpec, seed: &[u8; 32]) -> Self {
        Self {
            dropout: spec.dropout.map(|rate| Dropout::new(rate, seed)),
            rounding: spec
                .rounding
                .map(|Rounding::Stochastic| RandomRounding::new(seed)),
        }
    }
}

/// Leaves out hidden units, and makes up for them with those that stay.
pub(crate) struct Dropout {
    key: Key,
    /// A unit is left out when its number of 16 bits is below.
    rate: u16,
    /// `1 / (1 - rate) = multiplier * 2^(power - 16)`, the multiplier above 2^15 and at most 2^16: mantissas do not grow.
    pub(crate) multiplier: i64,
    pub(crate) power: i32,
}

impl Dropout {
    fn new(rate: NonZeroU16, seed: &[u8; 32]) -> Self {
        let kept = (1 << 16) - u64::from(rate.get());
        let power = 16 - kept.ilog2();
        let scaled = kept << power;
        Self {
            key: Key::new(labels::DROPOUT, seed),
            rate: rate.get(),
            multiplier: (((1 << 32) + scaled / 2) / scaled).cast_signed(),
            power: power.cast_signed(),
        }
    }

    /// Leaves out inputs of a layer.
    pub(crate) fn leave_out(&self, step: u64, layer: usize, activations: &mut Matrix, rows: usize) {
        let mut stream = self.key.stream(step * LAYERS + layer as u64);
        for row in 0..rows {
            for mantissa in activations.row_mut(row) {
                let number = stream.next_u16();
                *mantissa = if number < self.rate {
                    0
                } else {
                    self.scaled(*mantissa)
                };
            }
        }
        activations.exponent -= self.power;
    }

    /// The gradient by inputs before they were left out: zero where they were, which they already are, and larger elsewhere.
    pub(crate) fn scale(&self, gradient: &mut Matrix, rows: usize) {
        for row in 0..rows {
            for mantissa in gradient.row_mut(row) {
                *mantissa = self.scaled(*mantissa);
            }
        }
        gradient.exponent -= self.power;
    }

    fn scaled(&self, mantissa: i16) -> i16 {
        // No larger than it was; and never zero unless it was, because the multiplier is above one half.
        shift_right_rounded(i64::from(mantissa) * self.multiplier, 16) as i16
    }
}

/// Four random bits for every parameter of a layer.
pub(crate) struct RandomRounding {
    key: Key,
    stream: Stream,
    word: u64,
    left: u32,
}

impl RandomRounding {
    fn new(seed: &[u8; 32]) -> Self {
        let key = Key::new(labels::ROUNDING, seed);
        Self {
            stream: key.stream(0),
            key,
            word: 0,
            left: 0,
        }
    }

    /// Begins with the first parameter of a layer.
    pub(crate) fn begin(&mut self, step: u64, layer: usize) {
        self.stream = self.key.stream(step * LAYERS + layer as u64);
        self.left = 0;
    }

    pub(crate) fn next(&mut self) -> i64 {
        if self.left == 0 {
            (self.word, self.left) = (self.stream.next_u64(), 16);
        }
        let bits = self.word & 15;
        self.word >>= 4;
        self.left -= 1;
        bits.cast_signed()
    }
}

/// What is added to a parameter's step before it is cut to a weight's units.
pub(crate) fn offset(rounding: &mut Option<&mut RandomRounding>) -> i64 {
    rounding
        .as_mut()
        .map_or(NEAREST, |rounding| rounding.next())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dropout(rate: u16) -> Dropout {
        Dropout::new(NonZeroU16::new(rate).unwrap(), &[1; 32])
    }

    #[test]
    fn what_stays_makes_up_for_what_is_left_out() {
        for rate in [1, 6554, 32_767, 32_768, 32_769, 49_152, 61_440] {
            let dropout = dropout(rate);
            assert!(dropout.multiplier > 1 << 15 && dropout.multiplier <= 1 << 16);
            let factor = dropout.multiplier as f64 * 2f64.powi(dropout.power - 16);
            let exact = 65536.0 / (65536.0 - f64::from(rate));
            assert!(
                (factor / exact - 1.0).abs() < 2e-5,
                "{rate}: {factor} {exact}"
            );
            for mantissa in [-4095i16, -2, 1, 2, 4095] {
                let scaled = dropout.scaled(mantissa);
                assert!(scaled.abs() <= mantissa.abs() && (scaled > 0 || mantissa < 0));
            }
        }
        assert_eq!(
            (dropout(32_768).multiplier, dropout(32_768).power),
            (1 << 16, 1)
        );
    }

    #[test]
    fn the_share_that_is_left_out_is_the_rate() {
        for rate in [6554u16, 32_768] {
            let mut units = Matrix::zeroed(100, 300);
            for row in 0..100 {
                units.row_mut(row).fill(1000);
            }
            dropout(rate).leave_out(7, 2, &mut units, 100);
            let out: usize = (0..100)
                .map(|row| units.row(row).iter().filter(|m| **m == 0).count())
                .sum();
            let share = out as f64 / 30_000.0;
            assert!((share - f64::from(rate) / 65536.0).abs() < 0.01, "{share}");
            assert_eq!(units.exponent, -1);
        }
    }

    #[test]
    fn random_rounding_is_right_on_average_and_exact_where_it_can_be() {
        let mut rounding = RandomRounding::new(&[1; 32]);
        rounding.begin(3, 1);
        let mut rounding = Some(&mut rounding);
        for step in [-35i64, -32, 0, 1, 16, 17, 31] {
            let sum: i64 = (0..20_000)
                .map(|_| (step + offset(&mut rounding)) >> 4)
                .sum();
            let mean = sum as f64 / 20_000.0;
            assert!((mean - step as f64 / 16.0).abs() < 0.02, "{step}: {mean}");
            assert!(step % 16 != 0 || sum == step / 16 * 20_000);
        }
        assert_eq!(offset(&mut None), 8);
    }

    #[test]
    fn numbers_follow_from_step_and_layer() {
        let first = |step, layer| {
            let mut rounding = RandomRounding::new(&[1; 32]);
            rounding.begin(0, 5);
            offset(&mut Some(&mut rounding));
            rounding.begin(step, layer);
            let mut rounding = Some(&mut rounding);
            (0..40).map(|_| offset(&mut rounding)).collect::<Vec<_>>()
        };
        assert_eq!(first(1, 0), first(1, 0));
        assert_ne!(first(1, 0), first(0, 1));
        assert_ne!(first(1, 0), first(2, 0));
    }
}
