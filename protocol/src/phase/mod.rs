//! The order of a round, in types (`docs/protocol.md`, section 4): `RoundOpen -> RoundClosed ->
//! RoundChallenged -> Judged -> Opened`, each made from the one before by a check that cannot be
//! skipped. Aggregator, steward and auditor go the same way.

mod challenged;
mod closed;
mod draw_proof;
mod judged;
mod noise;
mod open;
mod opened;

pub use challenged::RoundChallenged;
pub use closed::RoundClosed;
pub use draw_proof::{DrawProof, ProvenDraw};
pub use judged::Judged;
pub use open::RoundOpen;
pub use opened::Opened;

use crate::terminal::AbortReason;
use crate::violation::Violation;

/// Why a round does not go on to its next phase.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JudgeError {
    /// The round is to be aborted.
    #[error("the round is to be aborted: {0}")]
    Abort(AbortReason),
    /// A report does not count.
    #[error(transparent)]
    Violation(#[from] Violation),
}

impl From<AbortReason> for JudgeError {
    fn from(reason: AbortReason) -> Self {
        Self::Abort(reason)
    }
}
