//! Keying and endorsing: from sealing keys to a round that devices may take part in.

use dawn_identity::Signed;
use dawn_protocol::{AbortReason, Aborted, RoundId, RoundResult, SealingKey, Terminal};

use super::EngineError;
use super::ending::abort;
use crate::app::App;
use crate::clock::now_ms;
use crate::store::rounds::RoundRow;
use crate::store::transitions::Moved;

/// Signs the specification from the sealing keys that arrived.
pub(super) async fn specify(app: &App, row: &RoundRow) -> Result<Moved, EngineError> {
    let id = &row.round;
    let members = app.members().await?;
    let task = app.task_in_force(&id.task, &members).await?;
    let keys = app.statements::<SealingKey>(id).await?;
    let weighed = keys.len() as u32;
    // Nobody's task: no steward would endorse the round.
    if let Err(why) = task.verify_standing(&members, now_ms() / 1000) {
        let detail: String = why.chars().take(200).collect();
        return abort(app, row, weighed, AbortReason::TooFewSealingKeys, &detail).await;
    }
    let mut seats = Vec::with_capacity(keys.len());
    for key in &keys {
        // One of a steward whose keys were replaced since is no one's.
        let Ok(point) = task.verify_sealing_key(id, key) else {
            continue;
        };
        let org = task.roster().steward_at(point).map(|entry| entry.org);
        let member = org.and_then(|org| members.get(&org));
        // One that was revoked after it gave its key has no seat.
        if member.is_some_and(|member| member.check_steward(&key.peek().steward).is_ok()) {
            seats.push((point, key.clone()));
        }
    }
    let previous = previous(app, id).await?;
    let now = now_ms();
    let mut spec = match task.draft_spec(id.number, previous.as_ref(), row.model, &seats, now) {
        Ok(spec) => spec,
        Err(reason) => {
            return abort(app, row, weighed, reason, "the sealing keys do not suffice").await;
        }
    };
    spec.register = members.head();
    let (signed, statement) = app.signer(&members)?.sign(&spec)?;
    // What this server signs must verify like everything else.
    let context = task.verify_spec(&signed)?;
    context.verify_register(&members)?;
    let deadline = now + u64::from(task.task().deadlines.endorsing_ms);
    Ok(app
        .store
        .specify(
            id,
            &statement,
            &context.session().0,
            (weighed, &members.head()),
            now,
            deadline,
        )
        .await?)
}

/// Enough stewards endorsed: devices may submit.
pub(super) async fn collect(app: &App, row: &RoundRow) -> Result<Moved, EngineError> {
    let context = app.round_context(&row.round).await?;
    let endorsements = app.statements(&row.round).await?;
    let weighed = endorsements.len() as u32;
    if let Err(violation) = context.verify_endorsements(&endorsements) {
        let detail: String = violation.detail.chars().take(60).collect();
        let reason = AbortReason::TooFewEndorsements;
        return abort(app, row, weighed, reason, &detail).await;
    }
    Ok(app
        .store
        .collect(&row.round, now_ms(), context.submissions_close_ms())
        .await?)
}

/// The statement that ended the round before this one; none for round 1.
pub(super) async fn previous(app: &App, id: &RoundId) -> Result<Option<Terminal>, EngineError> {
    match id.number.checked_sub(1) {
        None | Some(0) => Ok(None),
        Some(number) => Ok(Some(terminal(app, &RoundId::new(id.task, number)).await?)),
    }
}

/// The statement that ended a round.
pub(crate) async fn terminal(app: &App, id: &RoundId) -> Result<Terminal, EngineError> {
    let row = app
        .store
        .terminal(id)
        .await?
        .ok_or(EngineError::Spoiled("end of the round before"))?;
    let result = Signed::<RoundResult>::from_bytes(&row.envelope).map(Terminal::Result);
    result
        .or_else(|_| Signed::<Aborted>::from_bytes(&row.envelope).map(Terminal::Aborted))
        .map_err(|_| EngineError::Spoiled("end of the round before"))
}
