//! How a gradient becomes a step: the rule, and when the fast kernels may follow it.

use crate::backend::Scale;
use crate::fixed::{scale, shift_right_rounded, to_master};

/// Steps and velocities are in units of 2^-28, four bits finer than a master weight.
pub(crate) const STEP_FRACTION_BITS: i32 = 28;
/// Units of a step in a unit of a master weight, as a shift.
pub(crate) const STEP_TO_MASTER: u32 = 4;
/// What is added to a step before it is cut to a weight's units: half a unit, so that it is rounded to nearest.
pub(crate) const NEAREST: i64 = 1 << (STEP_TO_MASTER - 1);
/// Bound of a step and of a velocity: 8.
pub(crate) const STEP_LIMIT: i64 = i32::MAX as i64;
/// Bound of the weights that the fast kernels may leave behind.
const WEIGHT_LIMIT: u64 = 1 << 30;

/// `learning rate / batch` as `multiplier * 2^-exponent`, the multiplier rounded to 16 bits.
#[derive(Clone, Copy)]
pub(crate) struct Rate {
    pub(crate) multiplier: i64,
    pub(crate) exponent: i32,
}

impl Rate {
    pub(crate) fn new(learning_rate: u32, rows: usize) -> Self {
        // In units of 2^-48; at least 2^32 / 1024, so that it has at least 23 bits.
        let quotient = (u64::from(learning_rate) << 32) / rows as u64;
        let shift = (u64::BITS - quotient.leading_zeros()).saturating_sub(16);
        let multiplier = shift_right_rounded(i64::try_from(quotient).expect("below 2^53"), shift);
        Self {
            multiplier,
            exponent: 48 - shift as i32,
        }
    }

    /// The steps of gradients with this exponent.
    pub(crate) fn at(self, gradient_exponent: i32) -> Step {
        Step {
            multiplier: self.multiplier,
            power: STEP_FRACTION_BITS - gradient_exponent - self.exponent,
        }
    }
}

/// A gradient `g` gives the step `g * multiplier * 2^power`, in units of 2^-28.
#[derive(Clone, Copy)]
pub(crate) struct Step {
    multiplier: i64,
    power: i32,
}

/// The rule for kernels.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scales {
    /// Gradient to step; without momentum, to the change of a master weight.
    pub(crate) step: Scale,
    pub(crate) momentum: Option<Scale>,
}

impl Step {
    /// The rule. `v = momentum * v + rate * gradient; w = w - v`, a velocity of zero without momentum. A gradient is below
    /// 2^34 (1024 products of 24 bits; of a convolution 2^46, with the multiplier 2^62), the multiplier at most 2^16, a velocity below 2^31, the momentum below 2^16: every
    /// product is below 2^51. The last four bits are rounded by adding the
    /// offset, [`NEAREST`] or 0 to 15. Returns the velocity's magnitude.
    pub(crate) fn take(
        self,
        weight: &mut i32,
        gradient: i64,
        momentum: u16,
        velocity: Option<&mut i32>,
        offset: i64,
    ) -> u32 {
        let mut step = scale(gradient * self.multiplier, self.power, STEP_LIMIT);
        let mut magnitude = 0;
        if let Some(velocity) = velocity {
            step += shift_right_rounded(i64::from(*velocity) * i64::from(momentum), 16);
            *velocity = to_master(step);
            step = (*velocity).into();
            magnitude = velocity.unsigned_abs();
        }
        *weight = to_master(i64::from(*weight) - ((step + offset) >> STEP_TO_MASTER));
        magnitude
    }

    /// The rule for kernels, which compute in 32 bits and without clamps, when nothing can leave their range: gradients are
    /// at most `largest`, and the largest weight and velocity have so many bits.
    pub(crate) fn fast(
        self,
        largest: u64,
        momentum: u16,
        (weight_bits, velocity_bits): (u32, u32),
    ) -> Option<Scales> {
        let shift = self.power.checked_neg()?.cast_unsigned();
        if self.power >= 0 || largest > i32::MAX as u64 {
            return None;
        }
        // Beyond 50 bits a product, which is below 2^47, rounds to no step at all.
        let (multiplier, shift) = if shift > 50 {
            (0, 1)
        } else {
            (self.multiplier, shift)
        };
        let half = 1u64 << (shift - 1);
        let mut reach = (largest * multiplier.unsigned_abs() + half) >> shift;
        if momentum != 0 {
            reach += 1 << velocity_bits;
        }
        let half_unit = NEAREST.cast_unsigned();
        let change = (reach + half_unit) >> STEP_TO_MASTER;
        if reach > i32::MAX as u64 - half_unit || (1 << weight_bits) + change > WEIGHT_LIMIT {
            return None;
        }
        let multiplier = multiplier as i32;
        Some(if momentum == 0 {
            // Rounding to steps and then to weights is one shift: the inner floor commutes with the outer.
            Scales {
                step: Scale {
                    multiplier,
                    rounding: ((half_unit << shift) + half).cast_signed(),
                    shift: shift + STEP_TO_MASTER,
                },
                momentum: None,
            }
        } else {
            Scales {
                step: Scale {
                    multiplier,
                    rounding: half.cast_signed(),
                    shift,
                },
                momentum: Some(Scale {
                    multiplier: momentum.into(),
                    rounding: 1 << 15,
                    shift: 16,
                }),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        /// Where the kernels may follow the rule, they do.
        #[test]
        fn the_kernels_rule_is_the_rule(
            learning_rate in 1u32..=16 << 16,
            rows in 1usize..=1024,
            exponent in -20i32..=56,
            gradient in prop_oneof![any::<i32>(), -5000i32..5000],
            slack in 0u64..3,
            momentum in prop_oneof![Just(0u16), any::<u16>()],
            velocity in prop_oneof![any::<i32>(), -5000i32..5000],
            weight in -(1i32 << 29)..1 << 29,
        ) {
            let velocity = velocity.max(-i32::MAX);
            let gradient = gradient.max(-i32::MAX);
            let step = Rate::new(learning_rate, rows).at(exponent);
            let bits = |v: i32| u32::BITS - v.unsigned_abs().leading_zeros();
            let largest = u64::from(gradient.unsigned_abs()) + slack;
            if let Some(scales) = step.fast(largest, momentum, (bits(weight), bits(velocity))) {
                let (mut by_rule, mut its_velocity) = (weight, velocity);
                let moving = (momentum != 0).then_some(&mut its_velocity);
                step.take(&mut by_rule, gradient.into(), momentum, moving, NEAREST);
                let mut change = scales.step.apply(gradient);
                if let Some(momentum) = scales.momentum {
                    change += momentum.apply(velocity);
                    prop_assert_eq!(change, its_velocity);
                    change = (change + 8) >> STEP_TO_MASTER;
                }
                prop_assert_eq!(weight - change, by_rule);
            }
        }
    }

    #[test]
    fn ordinary_steps_are_fast_and_extreme_ones_are_not() {
        // 784 inputs in eighths bits, a rate of 0.1, weights around 1.
        let step = Rate::new(6554, 32).at(12 + 8);
        let largest = 32 * 4095 * 255;
        assert!(step.fast(largest, 0, (24, 0)).is_some());
        assert!(step.fast(largest, 58_982, (24, 28)).is_some());
        assert!(
            step.fast(1 << 31, 0, (24, 0)).is_none(),
            "gradients of 32 bits"
        );
        assert!(
            step.fast(largest, 0, (30, 0)).is_none(),
            "weights near the end of their range"
        );
        assert!(
            step.fast(largest, 1, (24, 31)).is_none(),
            "velocities as well"
        );
        assert!(
            Rate::new(16 << 16, 1)
                .at(-10)
                .fast(largest, 0, (24, 0))
                .is_none(),
            "to the left"
        );
    }
}
