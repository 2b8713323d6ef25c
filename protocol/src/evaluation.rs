//! Evaluation on the devices (`docs/protocol.md`, section 4.2.1): every device judges the round's model on samples of its own that
//! it does not learn from, and three numbers about it go through the same secure sum as the update.
//!
//! They are the last coordinates of the vector. Each is bounded by the task, and the update is clipped to what the clip
//! bound leaves beside them, so that the whole vector is as long as any other task's: what is proven and what it costs in privacy
//! stays the same.

use dawn_crypto::params::Sigma;
use dawn_identity::BrokenRule;
use dawn_learn::{Delta, Evaluation, QuantiseError, Quantiser};
use minicbor::{Decode, Encode};
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};

use crate::task::Task;

/// Coordinates of an evaluation.
pub const COORDINATES: usize = 3;

/// Most samples that a device counts.
const MAX_SAMPLES: u32 = 1 << 20;

/// What a task asks of its devices' evaluations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct EvaluationRule {
    /// Most samples that a device counts, 1 to 2^20: it takes the first so many of those that it has held out.
    #[n(0)]
    pub samples: u32,
    /// What one sample counts, at least 1: large enough that the noise of the sum does not drown it.
    #[n(1)]
    pub scale: u32,
    /// The largest mean loss of a device that counts in full, in units of 2^-16 nats (of a regressor, of squared errors); at least 1.
    #[n(2)]
    pub loss: u32,
}

impl EvaluationRule {
    /// A mean loss of 8 nats, far above that of guessing among 256 classes.
    pub const LOSS: u32 = 8 << 16;

    /// The rule for so many samples a device whose evaluation takes about an eighth of the clip bound: the update then has 99 %
    /// of it. None when a sample would count less than one.
    pub fn for_samples(samples: u32, clip: u32) -> Option<Self> {
        // E = sqrt(2) samples scale.
        let scale = clip / 8 * 5 / 7 / samples.max(1);
        (samples >= 1 && scale >= 1).then_some(Self {
            samples,
            scale,
            loss: Self::LOSS,
        })
    }

    /// `m`: no coordinate is larger.
    fn most(&self) -> u64 {
        u64::from(self.samples) * u64::from(self.scale)
    }

    /// `E^2 = 2 m^2`: no evaluation is longer. Correct and wrong ones are `m` together.
    fn squared(&self) -> u128 {
        2 * u128::from(self.most()).pow(2)
    }

    /// What the clip bound leaves to the update: `floor(sqrt(C^2 - E^2))`.
    pub fn update_clip(&self, clip: u32) -> u32 {
        let left = u128::from(clip).pow(2).saturating_sub(self.squared());
        u32::try_from(left.isqrt()).unwrap_or(clip)
    }

    /// Whether the rule can be met under a clip bound.
    ///
    /// # Errors
    /// The rule that is broken.
    pub fn check(&self, clip: u32) -> Result<(), BrokenRule> {
        BrokenRule::unless(
            (1..=MAX_SAMPLES).contains(&self.samples) && self.scale >= 1 && self.loss >= 1,
            "an evaluation counts 1 to 2^20 samples a device, each as one or more, and a loss above zero",
        )?;
        BrokenRule::unless(
            2 * self.squared() <= u128::from(clip).pow(2),
            "an evaluation leaves the update more than two thirds of the clip bound: count fewer samples, or each as less",
        )
    }

    /// The coordinates of a device's evaluation: `scale` times how many of its samples were right and how many wrong, and its
    /// loss, of which `samples scale` is the most. An evaluation of more samples than the task counts is made smaller in
    /// proportion, downwards.
    pub fn coordinates(&self, evaluation: &Evaluation) -> [i32; COORDINATES] {
        let total = evaluation.total.max(evaluation.correct);
        let counted = total.min(self.samples.into());
        let share = |part: u64| u128::from(part) * u128::from(counted) / u128::from(total.max(1));
        let scale = u128::from(self.scale);
        let correct = share(evaluation.correct);
        let wrong = u128::from(counted) - correct;
        let loss = share(evaluation.loss).min(u128::from(counted) * u128::from(self.loss));
        let loss = loss * scale / u128::from(self.loss);
        [correct * scale, wrong * scale, loss].map(|x| i32::try_from(x).unwrap_or(i32::MAX))
    }
}

/// The last coordinates of a round's sum, noise included. In a result `[correct, wrong, loss]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct EvaluationSum {
    /// Samples that were right, times the rule's scale.
    #[n(0)]
    pub correct: i32,
    /// Samples that were wrong, times the scale.
    #[n(1)]
    pub wrong: i32,
    /// Loss, in units of the rule's largest mean loss over its scale.
    #[n(2)]
    pub loss: i32,
}

/// What a round's sum says about the model that the round started from, for people. Deviations are those of the noise in the sum
/// alone: they do not say how well the devices' samples stand for others.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct FederatedEvaluation {
    /// Share of the samples that were right, as noise leaves it; none when noise leaves no samples, and of a model that predicts
    /// numbers.
    pub accuracy: Option<f64>,
    /// Deviation of that.
    pub accuracy_deviation: Option<f64>,
    /// Mean loss of a sample in nats, or its squared error; none when noise leaves no samples.
    pub loss: Option<f64>,
    /// Deviation of that.
    pub loss_deviation: Option<f64>,
    /// Samples that were counted, over all devices, as noise leaves them.
    pub samples: f64,
    /// Deviation of that.
    pub samples_deviation: f64,
}

impl EvaluationSum {
    /// In words of accuracy and loss, when the noise of so many devices and stewards is in the sum.
    pub fn shown(&self, task: &Task, devices: u32, stewards: u32) -> Option<FederatedEvaluation> {
        let rule = task.options.evaluation?;
        let variance = |sigma: Sigma, count| sigma.to_f64().powi(2) * f64::from(count);
        let noise = task
            .options
            .noise
            .map_or(0.0, |n| variance(n.sigma, stewards));
        let sigma = (variance(task.sigma_error, devices) + noise).sqrt();
        let [correct, wrong, loss] = [self.correct, self.wrong, self.loss].map(f64::from);
        let (scale, most_loss) = (f64::from(rule.scale), f64::from(rule.loss) / 65536.0);
        let total = correct + wrong;
        // A quotient of sums with noise says something only while the noise is small beside what it is divided by.
        let seen = total > 2.0 * sigma * 2f64.sqrt();
        let classes = !task.model.is_regressor();
        let of_samples = |value: f64| seen.then_some(value);
        let of_labels = |value: f64| (seen && classes).then_some(value);
        let mean = loss / total;
        Some(FederatedEvaluation {
            accuracy: of_labels(correct / total),
            accuracy_deviation: of_labels(sigma * correct.hypot(wrong) / total.powi(2)),
            loss: of_samples(most_loss * mean),
            loss_deviation: of_samples(
                most_loss * sigma * (1.0 + 2.0 * mean * mean).sqrt() / total,
            ),
            samples: total / scale,
            samples_deviation: sigma * 2f64.sqrt() / scale,
        })
    }
}

impl Task {
    /// The vector that a device masks, before noise: the difference that it sends, clipped and rounded, and where the task asks for
    /// evaluations that of the device, of the round's model before training. `||x||_2 <= clip`.
    ///
    /// # Errors
    /// [`QuantiseError`]; never for a difference of the task's dimension.
    pub fn vector<R: CryptoRng>(
        &self,
        delta: &Delta,
        evaluation: &Evaluation,
        rng: &mut R,
    ) -> Result<Vec<i32>, QuantiseError> {
        let mut x = self.update_quantiser().quantise(delta, rng)?;
        if let Some(rule) = &self.options.evaluation {
            x.extend(rule.coordinates(evaluation));
        }
        Ok(x)
    }

    /// How an update becomes integers: the task's quantiser, with the clip bound that an evaluation leaves.
    pub fn update_quantiser(&self) -> Quantiser {
        let clip = self.quantiser.clip;
        let evaluation = self.options.evaluation.as_ref();
        Quantiser {
            clip: evaluation.map_or(clip, |rule| rule.update_clip(clip)),
            ..self.quantiser
        }
    }

    /// Coordinates of an evaluation: behind those of the update.
    pub(crate) fn evaluation_coordinates(&self) -> usize {
        self.options.evaluation.map_or(0, |_| COORDINATES)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn evaluation(correct: u64, total: u64, loss: u64) -> Evaluation {
        Evaluation {
            correct,
            total,
            loss,
        }
    }

    const RULE: EvaluationRule = EvaluationRule {
        samples: 10,
        scale: 6,
        loss: 8 << 16,
    };

    #[test]
    fn coordinates_are_counts_and_a_loss() {
        let of = |correct, total, loss| RULE.coordinates(&evaluation(correct, total, loss));
        assert_eq!(of(0, 0, 0), [0, 0, 0]);
        assert_eq!(of(7, 10, 0), [42, 18, 0]);
        // Two nats a sample: a quarter of the most.
        assert_eq!(of(3, 8, 16 << 16), [18, 30, 12]);
        // More samples than are counted, in proportion; a loss that is too large.
        assert_eq!(of(30, 40, 40 << 16), [42, 18, 7]);
        assert_eq!(of(0, 10, u64::MAX), [0, 60, 60]);
        // What no evaluation says.
        assert_eq!(of(20, 10, 0), [60, 0, 0]);
    }

    #[test]
    fn rules_that_leave_too_little_are_refused() {
        // E = sqrt(2) 60 = 84.9; C must be 120.
        assert!(RULE.check(120).is_ok() && RULE.check(119).is_err());
        assert_eq!(RULE.update_clip(120), 84);
        assert_eq!(RULE.update_clip(1000), 996);
        for broken in [
            EvaluationRule { samples: 0, ..RULE },
            EvaluationRule { scale: 0, ..RULE },
            EvaluationRule { loss: 0, ..RULE },
            EvaluationRule {
                samples: MAX_SAMPLES + 1,
                ..RULE
            },
            EvaluationRule {
                scale: u32::MAX,
                ..RULE
            },
        ] {
            assert!(broken.check(1 << 30).is_err(), "{broken:?}");
        }
        for (samples, clip) in [(1, 100), (64, 12_288), (1000, 12_288)] {
            let rule = EvaluationRule::for_samples(samples, clip).unwrap();
            rule.check(clip).unwrap();
            assert!(f64::from(rule.update_clip(clip)) > 0.98 * f64::from(clip));
        }
        assert_eq!(EvaluationRule::for_samples(2000, 12_288), None);
        assert_eq!(EvaluationRule::for_samples(0, 12_288), None);
    }

    proptest! {
        #[test]
        fn an_evaluation_is_never_longer_than_its_bound(
            correct: u64, total: u64, loss: u64,
            samples in 1u32..=MAX_SAMPLES, scale in 1u32..1000, most in 1u32..=u32::MAX,
        ) {
            let rule = EvaluationRule { samples, scale, loss: most };
            let x = rule.coordinates(&evaluation(correct, total, loss));
            prop_assert!(x.iter().all(|&x| x >= 0));
            let squares: u128 = x.iter().map(|&x| u128::from(x.unsigned_abs()).pow(2)).sum();
            prop_assert!(squares <= rule.squared());
            let clip = 1 << 30;
            if rule.check(clip).is_ok() {
                let update = u128::from(rule.update_clip(clip)).pow(2);
                prop_assert!(update + squares <= u128::from(clip).pow(2));
            }
        }
    }
}
