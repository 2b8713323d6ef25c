//! Challenging: the stewards' parts of the beacon make the questions that nobody could know before the list
//! of submissions was closed.

use std::sync::Arc;

use dawn_identity::{Members, Signed};
use dawn_protocol::phase::JudgeError;
use dawn_protocol::roll::Roll;
use dawn_protocol::{
    BeaconShare, Challenge, Closed, Endorsement, RoundChallenged, RoundClosed, RoundId, RoundOpen,
};

use super::ending::abort;
use super::{EngineError, compute};
use crate::app::App;
use crate::clock::now_ms;
use crate::store::rounds::RoundRow;
use crate::store::transitions::Moved;

/// Headers that are read at a time.
const PAGE: u32 = 1000;

/// The closed round as everybody else verifies it: root, headers, endorsements.
pub(super) async fn closed_round(app: &App, id: &RoundId) -> Result<Arc<RoundClosed>, EngineError> {
    if let Some(known) = app.known.closed(id) {
        return Ok(known);
    }
    let context = app.round_context(id).await?;
    let endorsements = app.statements::<Endorsement>(id).await?;
    let closed = app
        .own_statement::<Closed>(id)
        .await?
        .ok_or(EngineError::Spoiled("closing"))?;
    let members: Arc<Members> = app.members_at(&closed.peek().register).await?;
    let mut roll = Roll::new();
    loop {
        let from = roll.len() as u32;
        let headers = app.store.headers(id, from, PAGE).await?;
        if headers.is_empty() {
            break;
        }
        let (context, members) = (context.clone(), Arc::clone(&members));
        roll = compute(move || {
            for row in &headers {
                roll.push(&context, &members, &row.header)?;
            }
            Ok::<_, EngineError>(roll)
        })
        .await??;
    }
    let closed = Arc::new(RoundOpen::new(context, &endorsements)?.close(&closed, roll)?);
    app.known.keep_closed(*id, &closed);
    Ok(closed)
}

/// The closed round with its challenge.
pub(super) async fn challenged_round(
    app: &App,
    id: &RoundId,
) -> Result<RoundChallenged, EngineError> {
    let closed = closed_round(app, id).await?;
    let challenge = app
        .own_statement::<Challenge>(id)
        .await?
        .ok_or(EngineError::Spoiled("challenge"))?;
    Ok(compute(move || RoundClosed::clone(&closed).challenged(&challenge)).await??)
}

/// Signs the challenge from the parts that arrived.
pub(super) async fn challenge(app: &App, row: &RoundRow) -> Result<Moved, EngineError> {
    let id = &row.round;
    let closed = closed_round(app, id).await?;
    let shares: Vec<Signed<BeaconShare>> = app.statements(id).await?;
    let weighed = shares.len() as u32;
    let deadlines = closed.task().deadlines;
    let (of, made) = {
        let closed = Arc::clone(&closed);
        compute(move || (closed.round_id(), closed.challenge(&shares))).await?
    };
    let challenge = match made {
        Ok(challenge) => challenge,
        Err(JudgeError::Abort(reason)) => {
            let detail = format!("{weighed} parts of the beacon arrived");
            return abort(app, row, weighed, reason, &detail).await;
        }
        Err(JudgeError::Violation(violation)) => return Err(violation.into()),
    };
    let signer = app.round_signer(&closed).await?;
    let (signed, statement) = signer.sign(&challenge)?;
    // What this server signs must verify like everything else.
    compute(move || RoundClosed::clone(&closed).challenged(&signed)).await??;
    let now = now_ms();
    let deadline = now + u64::from(deadlines.reporting_ms);
    Ok(app
        .store
        .challenge_round(&of, &statement, weighed, now, deadline)
        .await?)
}
