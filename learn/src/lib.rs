//! Fixed-point training with the same bits everywhere.
//!
//! Everything that determines a weight is integer arithmetic, so that devices, stewards and auditors agree on
//! every model bit for bit, whatever their processors. The number formats, rules and bounds are in
//! `docs/learning.md`.
//!
//! | module | explains |
//! |---|---|
//! | [`spec`] | which models there are, and how many parameters they have |
//! | [`model`] | a model: specification and master weights, canonical bytes |
//! | [`data`] | data sets, their readers, partitions over devices |
//! | [`mod@train`] | local training: data set in, weight difference out |
//! | [`quantise`] | weight difference to bounded integers, ready for masking |
//! | [`robust`] | robust means of group sums: median, trimmed mean, geometric median, mixing |
//! | [`update`] | the rule that turns a round's sum into the next model |
//! | [`way`] | other ways of learning together than averaging everything: proximal, low-rank, personal |
//! | [`mod@direction`] | where the last accepted update went, as small integers |
//! | [`mod@evaluate`] | accuracy and loss |
//! | [`preset`] | settings that are known to work |
//! | [`backend`] | the kernels of training, and which instructions compute them |
//!
//! The feature `std` (a default) adds the readers of files, the detection of the processor's instructions and the
//! environment variable that forces a backend. Without it the crate needs `alloc` only; then the backends are those that it
//! is compiled for, and an application fills its [`Dataset`] itself.
//!
//! Inside: `matrix` (batches of mantissas), `layer` (a layer's products), `convolution` (of images, by patches), `network` (the forward pass), `rate` (gradient to
//! step), `trainer` (the step), `noise` (dropout, stochastic rounding), `descent` (of a layer's weights), `low_rank` (of an adapter), `softmax`, `squared` (the
//! losses), `fixed`, `randomness`.

#![cfg_attr(not(any(feature = "std", test)), no_std)]

extern crate alloc;

pub mod backend;
mod convolution;
pub mod data;
mod descent;
pub mod direction;
pub mod evaluate;
mod fixed;
mod half_space;
#[cfg(test)]
mod known_answers;
mod layer;
mod low_rank;
mod matrix;
pub mod model;
mod network;
mod noise;
pub mod preset;
pub mod quantise;
mod randomness;
mod rate;
#[cfg(test)]
mod reference;
pub mod robust;
mod softmax;
pub mod spec;
mod squared;
pub mod train;
mod trainer;
pub mod update;
pub mod way;

pub use backend::Backend;
pub use data::{Dataset, Split, Targets};
pub use direction::{DirectionError, direction};
pub use evaluate::{Evaluation, evaluate};
pub use fixed::{MASTER_FRACTION_BITS, MASTER_MAX};
pub use half_space::{along, least_clip};
pub use model::{Model, ModelError};
pub use preset::{Preset, Settings};
pub use quantise::{Delta, QuantiseError, Quantiser};
pub use randomness::labels;
pub use robust::{Aggregation, Estimate, GroupSum, RobustError, RobustRule};
pub use spec::{Convolution, Convolutions, Hidden, Image, ModelSpec, SpecError};
pub use train::{Rounding, TrainError, TrainSpec, train};
pub use update::{UpdateError, apply_mean, apply_update};
pub use way::{Head, PublicSet, PublicSetError, RoundWay, Way, WayError};
