//! What a device contributes: bounded integers, made by its own training.

use std::fmt;

use zeroize::Zeroizing;

/// A quantised update `x`: one integer for each coordinate that the task's devices send, an evaluation where it asks for one;
/// `||x||_2` at most the task's clip bound. It tells
/// about the device's data, so it is not printed, not copied, and wiped when dropped; the only way
/// on is [`crate::OpenRound::prepare`], which masks it.
pub struct Update(Zeroizing<Vec<i32>>);

impl Update {
    pub(crate) fn new(values: Vec<i32>) -> Self {
        Self(Zeroizing::new(values))
    }

    pub(crate) fn values(&self) -> &[i32] {
        &self.0
    }

    /// An update that no training made: what an attacker would send. Only in simulations.
    #[cfg(feature = "simulation")]
    pub fn forged(values: Vec<i32>) -> Self {
        Self::new(values)
    }

    /// The integers themselves: what a measurement compares the opened sum with. Only in
    /// simulations.
    #[cfg(feature = "simulation")]
    pub fn reveal(&self) -> &[i32] {
        self.values()
    }
}

impl fmt::Debug for Update {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Update({} coordinates, redacted)", self.0.len())
    }
}
