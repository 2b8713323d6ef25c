//! Settings that are known to work, so that a task maker need not guess.

use crate::fixed::MASTER_FRACTION_BITS;
use crate::quantise::{MAX_CLIP, Quantiser};
use crate::spec::ModelSpec;
use crate::train::TrainSpec;
use alloc::string::String;
use core::fmt;
use core::str::FromStr;

/// Inputs of the model that the learning rates were found with.
const REFERENCE_INPUTS: u32 = 64;

/// A unit of an update is 2^-10: fine enough that rounding (at most half a unit a device) and the smallest masking error
/// (6.37 units a device) do not show, coarse enough that 50,000 clipped updates with their noise stay far below the
/// modulus.
const UPDATE_SHIFT: u8 = 14;

/// A named choice of settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Preset {
    /// No noise beyond what masking needs: a wide clip bound that hardly ever clips.
    Plain,
    /// Differential privacy: a tight clip bound that clips most updates, so that noise in proportion to it stays small
    /// while every round still moves the model by about the bound. Choose a logistic model: noise grows with the
    /// square root of the dimension, and few rounds cannot make up for it.
    Private,
}

/// What a preset chooses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Settings {
    /// How devices train.
    pub train: TrainSpec,
    /// How their differences become updates.
    pub quantiser: Quantiser,
}

impl Preset {
    /// The settings for a model.
    ///
    /// Found by trying on the built-in digits: 100 devices of 6 organisations with unequal labels, 10 rounds
    /// (`docs/learning.md` has the figures). The largest learning rate at which training is stable falls with the
    /// squared length of a sample, so that the rate is divided by `inputs / 64` for larger samples.
    #[must_use]
    pub fn settings(self, model: &ModelSpec) -> Settings {
        // Rate and momentum in units of 2^-16, clip bound in units of 1 (2^24 master units).
        let (epochs, learning_rate, momentum, clip) = match (self, model) {
            (Self::Plain, ModelSpec::Logistic { .. }) => (5, 2 << 16, 0, 12),
            (Self::Plain, ModelSpec::Mlp { .. }) => (10, 5243, 58_982, 12),
            (Self::Plain, ModelSpec::Cnn { .. }) => (10, 3277, 58_982, 12),
            (Self::Plain, ModelSpec::Linear { .. }) => (5, 6554, 0, 12),
            (Self::Plain, ModelSpec::Regressor { .. }) => (10, 1311, 58_982, 12),
            (Self::Private, ModelSpec::Logistic { .. }) => (10, 1 << 16, 0, 3),
            (Self::Private, ModelSpec::Mlp { .. } | ModelSpec::Cnn { .. }) => (10, 3277, 58_982, 2),
            (Self::Private, ModelSpec::Linear { .. }) => (10, 3277, 0, 2),
            (Self::Private, ModelSpec::Regressor { .. }) => (10, 1311, 58_982, 2),
        };
        Settings {
            train: TrainSpec {
                epochs,
                batch: 8,
                learning_rate: scaled(learning_rate, model),
                momentum,
                dropout: None,
                rounding: None,
            },
            quantiser: Quantiser {
                update_shift: UPDATE_SHIFT,
                clip: clip << (MASTER_FRACTION_BITS - u32::from(UPDATE_SHIFT)),
            },
        }
    }

    /// The settings of a distillation for a model, over so many public samples, and those of its student.
    ///
    /// An update has a coordinate for every answer, so that its length grows with the square root of their number: the clip
    /// bound is that of a root mean square of 2 an answer, or of a quarter with noise. (Devices' are 1 to 3 on the digits and the watch
    /// data, with 200 to 800 samples.)
    #[must_use]
    pub fn distilling(self, model: &ModelSpec, samples: u32) -> (Settings, TrainSpec) {
        let mut settings = self.settings(model);
        let answers = u64::from(samples) * model.outputs() as u64;
        let eighths = match self {
            Self::Plain => 16,
            Self::Private => 2,
        };
        let unit = 1u64 << (MASTER_FRACTION_BITS - u32::from(UPDATE_SHIFT));
        let clip = (answers.saturating_mul(unit * unit)).isqrt() * eighths / 8;
        settings.quantiser.clip = u32::try_from(clip).unwrap_or(MAX_CLIP).clamp(1, MAX_CLIP);
        // A regressor's: the student learns numbers.
        let student = TrainSpec {
            epochs: 20,
            batch: 16,
            learning_rate: scaled(1311, model),
            momentum: 58_982,
            dropout: None,
            rounding: None,
        };
        (settings, student)
    }
}

/// A learning rate for samples of 64 features, for those of a model.
fn scaled(rate: u32, model: &ModelSpec) -> u32 {
    let inputs = u32::try_from(model.inputs())
        .unwrap_or(u32::MAX)
        .max(REFERENCE_INPUTS);
    (rate * REFERENCE_INPUTS / inputs).max(1)
}

impl fmt::Display for Preset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plain => "plain",
            Self::Private => "private",
        })
    }
}

impl FromStr for Preset {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "plain" => Ok(Self::Plain),
            "private" => Ok(Self::Private),
            _ => Err("a preset is `plain` or `private`".into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn presets_are_within_all_bounds() {
        for model in [
            "logistic:64-10",
            "mlp:64-32-10",
            "logistic:65536-200",
            "mlp:784-128-10",
            "logistic:1-2",
            "mlp:784-64-64-64-10",
            "linear:65536-200",
            "regressor:6-16-2",
            "cnn:28x28x1-8k3-16k3-64-10",
        ] {
            for preset in [Preset::Plain, Preset::Private] {
                let settings = preset.settings(&model.parse().unwrap());
                settings.train.check().unwrap();
                settings.quantiser.check().unwrap();
                // The clip bound is above the square root of the dimension for models of up to a few million parameters.
                assert!(u64::from(settings.quantiser.clip).pow(2) > 4_000_000);
                assert_eq!(preset.to_string().parse(), Ok(preset));
            }
        }
    }
}
