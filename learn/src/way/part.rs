//! What is trained of a layer, as the trainer needs it.

use super::adapter::Adapter;

/// What a device does with a layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// Not trained.
    Frozen,
    /// Trained, and its difference sent.
    Full,
    /// Trained, and not sent.
    Private,
    /// `B` and the biases are trained, and sent.
    Adapter(Adapter),
}

/// How far a step draws a weight back to the round's model: `learning rate * mu`, in units of 2^-24. None when that is
/// nothing, or more than one.
pub(crate) fn pull(learning_rate: u32, mu: u32) -> Option<u32> {
    // Both in units of 2^-16.
    let pull = (u64::from(learning_rate) * u64::from(mu) + (1 << 7)) >> 8;
    u32::try_from(pull)
        .ok()
        .filter(|pull| (1..=1 << 24).contains(pull))
}
