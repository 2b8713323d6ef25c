//! Ways of learning together beside federated averaging (`docs/learning.md`, section 5.2): what a device trains, what of it
//! is sent, and what the mean of a round does to the model.
//!
//! A task without a way is federated averaging (McMahan et al. 2017): everything is trained, and its difference sent. In
//! most others the coordinates of a round are *linear* in the model's parameters, so that the mean of what devices send is
//! the mean of what they have learnt; in a distillation they are answers to public samples. What is published is an ordinary
//! [`crate::Model`].
//!
//! | module | explains |
//! |---|---|
//! | [`rank`] | what is trained of each layer, as a task writes it |
//! | [`text`] | ways as people write them |
//! | [`part`] | what is trained of a layer, as the trainer needs it |
//! | [`adapter`] | the fixed factor of a low-rank update |
//! | [`head`] | the layers that never leave a device |
//! | [`public`] | the public samples of a distillation |
//! | [`distil`] | what devices answer to them, and how the student learns from the mean |
//! | [`round`] | one home for (model, way, round): dimension, training, update rule, direction |

pub(crate) mod adapter;
mod distil;
pub mod head;
pub(crate) mod part;
pub mod public;
pub mod rank;
pub mod round;
#[cfg(test)]
mod tests;
mod text;

use crate::spec::{MAX_PARAMETERS, ModelSpec};
use crate::train::TrainSpec;
use alloc::string::{String, ToString};
use minicbor::{Decode, Encode};
use rank::{Rank, Ranks};

pub use head::{Head, HeadError};
pub use public::{PublicSet, PublicSetError};
pub use round::{RoundWay, dimension};

/// Largest weight of the proximal term: 16.
pub const MAX_MU: u32 = 16 << 16;

/// Most multiplications of a student's forward passes in a round, every step counted as a sample more: some minutes on one core.
/// Aggregators and auditors train it.
pub const MAX_STUDENT_WORK: u64 = 1 << 36;

/// How devices learn together, when it is not by averaging everything. In CBOR `[0, mu]`, `[1, [rank or null, ...]]`,
/// `[2, head]` or `[3, public set, samples, student]`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Encode, Decode)]
#[cbor(flat)]
pub enum Way {
    /// Every step of a training is drawn back to the round's model (FedProx, Li et al. 2020): the gradient gets
    /// `mu (w - w0)`.
    #[n(0)]
    Proximal {
        /// Weight of the term, in units of 2^-16: above 0 and at most 16; times the learning rate at most 1.
        #[n(0)]
        mu: u32,
    },
    /// Low-rank updates (Konečný et al. 2016, section 2): a layer's weights are `W + B A`, `A` the same random signs for
    /// everybody, fresh in every round, and only `B`, zero at first, is trained and sent, with the biases.
    #[n(1)]
    LowRank {
        /// What is trained of each layer, in order.
        #[n(0)]
        ranks: Ranks,
    },
    /// Personal heads (Arivazhagan et al. 2019): the last layers are every device's own. They are trained with the others
    /// and never sent; in the published model they stay as they began.
    #[n(2)]
    Personal {
        /// How many layers: at least 1, and fewer than the model has.
        #[n(0)]
        head: u8,
    },
    /// Distillation (Li and Wang 2019, Lin et al. 2020): devices send what they would answer to public samples, and the model,
    /// their student, is trained towards the mean of the answers.
    #[n(3)]
    Distillation {
        /// Digest of the public set ([`PublicSet::digest`]).
        #[cbor(n(0), with = "minicbor::bytes")]
        set: [u8; 32],
        /// Its samples.
        #[n(1)]
        samples: u32,
        /// How the student is trained.
        #[n(2)]
        student: TrainSpec,
    },
}

/// Why a way does not fit a model or a training.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WayError {
    /// The weight of the proximal term is out of its range.
    #[error(
        "the weight of the proximal term is above 0 and at most 16 (in units of 2^-16), not {0}"
    )]
    Mu(u32),
    /// A step would be drawn beyond the model that it is drawn to, or not at all.
    #[error(
        "the learning rate times the weight of the proximal term is at least 2^-24 and at most 1"
    )]
    Pull,
    /// Other ranks than layers.
    #[error("the model {model} has {layers} layers, and {ranks} ranks are given")]
    Layers {
        /// The model.
        model: ModelSpec,
        /// Its layers.
        layers: usize,
        /// Ranks that were given.
        ranks: usize,
    },
    /// An adapter that is no smaller than what it stands for.
    #[error(
        "an adapter's rank is below the {inputs} inputs of its layer, not {rank}: train the layer in full instead"
    )]
    Rank {
        /// The rank.
        rank: u16,
        /// Inputs of the layer.
        inputs: usize,
    },
    /// An adapter of a convolution.
    #[error(
        "only dense layers can have an adapter: train the convolutions of {0} in full, or not at all"
    )]
    Convolution(ModelSpec),
    /// Nothing is trained, or everything.
    #[error(
        "low-rank training trains something, and at least one layer by an adapter or not at all"
    )]
    Ranks,
    /// Nothing is private, or nothing is shared.
    #[error(
        "a personal head has at least one layer, and leaves one of the {layers} of the model {model} to be shared"
    )]
    Head {
        /// The model.
        model: ModelSpec,
        /// Its layers.
        layers: usize,
    },
    /// No public samples, or too many.
    #[error(
        "a distillation has at least one public sample, at most {MAX_PARAMETERS} outputs for all of them, and a set of at most {} bytes, not {samples} samples",
        public::MAX_PUBLIC_BYTES
    )]
    Samples {
        /// Samples that were given.
        samples: u32,
    },
    /// Adapters that are larger than the model.
    #[error(
        "the adapters have {entries} fixed numbers (ranks times inputs) and the model {parameters} parameters: choose smaller ranks"
    )]
    Adapters {
        /// Fixed numbers of all adapters.
        entries: u64,
        /// Parameters of the model.
        parameters: usize,
    },
    /// The student's training is refused.
    #[error("the student's training: {0}")]
    Student(String),
    /// Everybody who follows the task would train for hours.
    #[error(
        "the student's training takes {0} multiplications a round, and at most {MAX_STUDENT_WORK} are allowed: give it fewer epochs or samples, or larger batches"
    )]
    Work(u64),
    /// Not a way as it is written.
    #[error(
        "`{0}` is no way of learning together: write fedavg, fedprox:MU, low-rank:RANK (or a rank, 0 or full for each layer, with - between them), personal:LAYERS or distillation:SAMPLES"
    )]
    Unreadable(String),
}

impl Way {
    /// Whether a task can learn this way.
    ///
    /// # Errors
    /// Names what does not fit.
    pub fn check(&self, model: &ModelSpec, train: &TrainSpec) -> Result<(), WayError> {
        match self {
            Self::Proximal { mu } => {
                if !(1..=MAX_MU).contains(mu) {
                    return Err(WayError::Mu(*mu));
                }
                part::pull(train.learning_rate, *mu)
                    .map(|_| ())
                    .ok_or(WayError::Pull)
            }
            Self::LowRank { .. } | Self::Personal { .. } => self.check_shape(model),
            Self::Distillation { student, .. } => {
                let student = student.check();
                student.map_err(|error| WayError::Student(error.to_string()))?;
                self.check_shape(model)?;
                match self.student_work(model) {
                    Some(work) if work > MAX_STUDENT_WORK => Err(WayError::Work(work)),
                    _ => Ok(()),
                }
            }
        }
    }

    /// What the student of a distillation costs in a round ([`MAX_STUDENT_WORK`]).
    fn student_work(&self, model: &ModelSpec) -> Option<u64> {
        let Self::Distillation {
            samples, student, ..
        } = self
        else {
            return None;
        };
        let steps = samples.div_ceil(student.batch.max(1).into());
        let passes = (u64::from(*samples) + u64::from(steps)) * u64::from(student.epochs);
        Some(passes.saturating_mul(model.multiplications()))
    }

    /// Whether the way fits the model's layers.
    pub(crate) fn check_shape(&self, model: &ModelSpec) -> Result<(), WayError> {
        let layers = model.layers();
        match self {
            Self::Proximal { .. } => Ok(()),
            Self::LowRank { ranks } => {
                let ranks = ranks.as_slice();
                if ranks.len() != layers.len() {
                    return Err(WayError::Layers {
                        model: *model,
                        layers: layers.len(),
                        ranks: ranks.len(),
                    });
                }
                let convolutions = model.convolutions().count();
                let adapts = |rank: &Rank| matches!(rank, Rank::Adapter(_));
                if ranks[..convolutions].iter().any(adapts) {
                    return Err(WayError::Convolution(*model));
                }
                for (rank, layer) in ranks.iter().zip(&layers) {
                    if let Rank::Adapter(rank) = *rank
                        && usize::from(rank.get()) >= layer.inputs
                    {
                        return Err(WayError::Rank {
                            rank: rank.get(),
                            inputs: layer.inputs,
                        });
                    }
                }
                let adapted = ranks.iter().zip(&layers).filter_map(|(rank, layer)| {
                    let Rank::Adapter(rank) = *rank else {
                        return None;
                    };
                    Some(u64::from(rank.get()) * layer.inputs as u64)
                });
                let (entries, parameters) = (adapted.sum(), model.parameters());
                if entries > parameters as u64 {
                    return Err(WayError::Adapters {
                        entries,
                        parameters,
                    });
                }
                let all = |of: Rank| ranks.iter().all(|rank| *rank == of);
                if all(Rank::Frozen) || all(Rank::Full) {
                    return Err(WayError::Ranks);
                }
                Ok(())
            }
            Self::Personal { head } => {
                if (1..layers.len()).contains(&usize::from(*head)) {
                    Ok(())
                } else {
                    Err(WayError::Head {
                        model: *model,
                        layers: layers.len(),
                    })
                }
            }
            Self::Distillation { samples, .. } => {
                let count = *samples as usize;
                let outputs = count.checked_mul(model.outputs());
                if outputs.is_some_and(|outputs| (1..=MAX_PARAMETERS).contains(&outputs))
                    && public::encoded_len(count, model.inputs()) <= public::MAX_PUBLIC_BYTES
                {
                    Ok(())
                } else {
                    Err(WayError::Samples { samples: *samples })
                }
            }
        }
    }
}
