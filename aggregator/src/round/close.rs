//! Closing: the list of submissions is fixed under a Merkle root.

use dawn_crypto::digest::Digest;
use dawn_crypto::merkle;
use dawn_protocol::{AbortReason, Closed};

use super::EngineError;
use super::ending::{Begun, aborted, sign};
use crate::app::App;
use crate::clock::now_ms;
use crate::store::StoreError;
use crate::store::rounds::RoundRow;
use crate::store::transitions::{Closing, Moved};

/// Signs the root over everything that is stored, or ends the round when that is too little.
pub(super) async fn close(app: &App, row: &RoundRow) -> Result<Moved, EngineError> {
    let context = app.round_context(&row.round).await?;
    let now = now_ms();
    let task = context.task();
    let decide = |leaves: &[Digest]| -> Result<Closing, EngineError> {
        let count = leaves.len() as u32;
        if count < task.policy.min_accepted {
            let detail = format!(
                "{count} of at least {} submissions arrived in time",
                task.policy.min_accepted
            );
            let reason = AbortReason::TooFewSubmissions;
            let begun = Begun::as_specified(context.spec());
            let ending = aborted(app, task, row, begun, reason, &detail)?;
            return Ok(Closing::Ended(ending));
        }
        let closed = Closed {
            round: row.round,
            session: context.session(),
            root: merkle::root(leaves),
            count,
            closed_ms: now,
        };
        let (_, statement) = sign(app, &closed)?;
        Ok(Closing::Closed {
            statement,
            deadline_ms: now + u64::from(task.deadlines.challenging_ms),
        })
    };
    let decide = |leaves: &[Digest]| {
        decide(leaves).map_err(|_| StoreError::Corrupt("the closing cannot be signed"))
    };
    Ok(app.store.close_round(&row.round, &decide, now).await?)
}
