//! Settings that are known to work, so that a task maker need not guess.

use crate::quantise::Quantiser;
use crate::spec::ModelSpec;
use crate::train::TrainSpec;
use std::fmt;
use std::str::FromStr;

/// A named choice of settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Preset {
    /// No noise beyond what masking needs: a wide clip bound that hardly ever clips.
    Plain,
    /// Differential privacy: a tight clip bound, so that noise in proportion to it stays small.
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
    #[must_use]
    pub fn settings(self, model: &ModelSpec) -> Settings {
        match (self, model) {
            (Self::Plain, ModelSpec::Logistic { .. }) => Settings {
                train: TrainSpec {
                    epochs: 5,
                    batch: 8,
                    learning_rate: 1 << 15,
                    momentum: 0,
                },
                quantiser: Quantiser {
                    update_shift: 10,
                    clip: 1 << 17,
                },
            },
            (Self::Plain, ModelSpec::Mlp { .. }) => Settings {
                train: TrainSpec {
                    epochs: 5,
                    batch: 8,
                    learning_rate: 1 << 14,
                    momentum: 0,
                },
                quantiser: Quantiser {
                    update_shift: 10,
                    clip: 1 << 17,
                },
            },
            (Self::Private, ModelSpec::Logistic { .. } | ModelSpec::Mlp { .. }) => Settings {
                train: TrainSpec {
                    epochs: 5,
                    batch: 8,
                    learning_rate: 1 << 14,
                    momentum: 0,
                },
                quantiser: Quantiser {
                    update_shift: 14,
                    clip: 1 << 10,
                },
            },
        }
    }
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
