//! The round that collects.

use dawn_identity::TaskId;
use dawn_protocol::{Endorsement, RoundAnnouncement, RoundId, RoundSpec};

use super::wait_until;
use crate::app::App;
use crate::contexts::ContextError;
use crate::problem::Problem;
use crate::store::rounds::Phase;

/// Whether there is a round to take part in.
#[derive(Debug)]
pub enum Announced {
    /// This one.
    Round(Box<RoundAnnouncement>),
    /// Not now.
    None,
    /// Never again: the task has ended.
    Ended,
}

/// The specification of a round with the endorsements that have arrived.
///
/// # Errors
/// The round has none, or the database fails.
pub async fn announcement(app: &App, id: &RoundId) -> Result<RoundAnnouncement, ContextError> {
    let spec = app
        .own_statement::<RoundSpec>(id)
        .await?
        .ok_or(ContextError::NotSpecified)?;
    let endorsements = app.statements::<Endorsement>(id).await?;
    Ok(RoundAnnouncement { spec, endorsements })
}

/// Waits for a round of a task with a number above `after` that collects.
///
/// # Errors
/// No such task, or the database fails.
pub async fn wait_for_round(
    app: &App,
    task: &TaskId,
    after: u32,
    wait_s: Option<u64>,
) -> Result<Announced, Problem> {
    let until = wait_until(wait_s);
    let mut changes = app.changes();
    loop {
        let row = app.store.task(task).await?.ok_or(ContextError::NoTask)?;
        if row.ended_ms.is_some() {
            return Ok(Announced::Ended);
        }
        let newest = app.store.newest_round(task).await?;
        let found =
            newest.filter(|round| round.phase == Phase::Collecting && round.round.number > after);
        if let Some(round) = found {
            return Ok(Announced::Round(Box::new(
                announcement(app, &round.round).await?,
            )));
        }
        if !changes.wait(until).await {
            return Ok(Announced::None);
        }
    }
}
