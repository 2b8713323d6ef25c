//! The layers of a personal model that never leave their device.

use alloc::vec::Vec;
use core::fmt;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// A device's own head: the master weights of the last layers of the model. It tells about the device's data more than any
/// update does, so it is not printed, and erased when dropped. Whoever stores it keeps it from others.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct Head(Vec<i32>);

/// Why bytes are no head.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeadError {
    /// Another number of weights.
    #[error("a head of this task has {expected} weights, and there are {found}")]
    Length {
        /// What the task's model and way say.
        expected: usize,
        /// What was given; of bytes rounded up.
        found: usize,
    },
    /// A weight is outside the symmetric range.
    #[error("weight {0} of the head is outside the range of master weights")]
    Range(usize),
}

impl Head {
    pub(crate) fn new(weights: Vec<i32>) -> Self {
        Self(weights)
    }

    /// The master weights, in units of 2^-24.
    #[must_use]
    pub fn weights(&self) -> &[i32] {
        &self.0
    }

    pub(crate) fn weights_mut(&mut self) -> &mut [i32] {
        &mut self.0
    }

    /// Every weight as four little-endian bytes, for the device's own storage.
    #[must_use]
    pub fn to_bytes(&self) -> zeroize::Zeroizing<Vec<u8>> {
        let mut bytes = zeroize::Zeroizing::new(Vec::with_capacity(4 * self.0.len()));
        for weight in &self.0 {
            bytes.extend_from_slice(&weight.to_le_bytes());
        }
        bytes
    }

    /// Reads what [`Self::to_bytes`] gave for a head of so many weights.
    pub(crate) fn from_bytes(bytes: &[u8], expected: usize) -> Result<Self, HeadError> {
        if bytes.len() != 4 * expected {
            return Err(HeadError::Length {
                expected,
                found: bytes.len().div_ceil(4),
            });
        }
        let (words, _) = bytes.as_chunks::<4>();
        let head = Self(words.iter().map(|word| i32::from_le_bytes(*word)).collect());
        match head.0.iter().position(|&weight| weight == i32::MIN) {
            Some(weight) => Err(HeadError::Range(weight)),
            None => Ok(head),
        }
    }
}

impl fmt::Debug for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Head({} weights, redacted)", self.0.len())
    }
}
