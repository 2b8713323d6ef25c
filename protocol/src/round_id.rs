//! The name of a round (`docs/protocol.md`, section 4.1).

use std::fmt;

use dawn_identity::TaskId;
use minicbor::{Decode, Encode};

/// A round of a task. Everything that is said at most once is said once per `RoundId`, never once
/// per session: whoever announces a round twice still gets one answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(array)]
pub struct RoundId {
    /// The task.
    #[n(0)]
    pub task: TaskId,
    /// The round's number, from 1.
    #[n(1)]
    pub number: u32,
}

impl RoundId {
    /// Round `number` of a task.
    pub const fn new(task: TaskId, number: u32) -> Self {
        Self { task, number }
    }

    /// The round after this one.
    pub const fn next(self) -> Self {
        Self {
            task: self.task,
            number: self.number.saturating_add(1),
        }
    }

    /// 36 bytes that sort like the rounds: the task, then the number in big-endian. A key for
    /// stores.
    pub fn to_key(self) -> [u8; 36] {
        let mut key = [0; 36];
        key[..32].copy_from_slice(self.task.as_bytes());
        key[32..].copy_from_slice(&self.number.to_be_bytes());
        key
    }
}

impl fmt::Display for RoundId {
    /// The first eight hexadecimal digits of the task, and the number: `3f9a0c11/4`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, ..] = *self.task.as_bytes();
        write!(f, "{a:02x}{b:02x}{c:02x}{d:02x}/{}", self.number)
    }
}
