//! The end of a round, and the beginning of the next.

use dawn_crypto::digest::Digest;
use dawn_protocol::{
    AbortReason, Aborted, Draw, RoundResult, RoundSpec, SessionId, Task, TaskContext, Terminal,
};

use super::specify::previous;
use super::{EngineError, awaited};
use crate::app::App;
use crate::clock::now_ms;
use crate::signer::Signer;
use crate::store::rounds::{NewRound, Phase, RoundRow};
use crate::store::transitions::{Ending, Moved};

fn next_round(
    task: &Task,
    row: &RoundRow,
    model: Digest,
    previous: Digest,
    now_ms: u64,
) -> Option<NewRound> {
    (row.round.number < task.rounds).then(|| NewRound {
        model,
        previous: Some(previous),
        now_ms,
        deadline_ms: now_ms + u64::from(task.deadlines.keying_ms),
    })
}

/// The ending with a result; `model` is the digest of the weights that it produced.
pub(super) fn result(
    signer: &Signer<'_>,
    task: &Task,
    row: &RoundRow,
    result: &RoundResult,
) -> Result<Ending, EngineError> {
    let (signed, statement) = signer.sign(result)?;
    let now = now_ms();
    Ok(Ending {
        statement,
        phase: Phase::Done,
        next_model: Some(result.model),
        abort_reason: None,
        next: next_round(
            task,
            row,
            result.model,
            Terminal::Result(signed).digest(),
            now,
        ),
        now_ms: now,
    })
}

/// How a round began, as its specification says when there is one.
pub(super) struct Begun {
    session: Option<SessionId>,
    /// What ended the round before.
    previous: Option<Digest>,
    direction: Option<Digest>,
    draw: Option<Draw>,
}

impl Begun {
    /// A round with a specification.
    pub(super) fn as_specified(spec: &RoundSpec) -> Self {
        Self {
            session: Some(spec.session()),
            previous: spec.previous,
            direction: spec.direction,
            draw: spec.draw,
        }
    }

    /// A round that ends before it has one.
    fn after(before: Option<&Terminal>, task: &TaskContext) -> Self {
        Self {
            session: None,
            previous: before.map(Terminal::digest),
            direction: before.and_then(|end| end.next_start().direction),
            draw: before.map_or_else(|| task.initial_draw(), |end| end.next_start().draw),
        }
    }
}

/// The ending without one: the next round starts from the same weights.
pub(super) fn aborted(
    signer: &Signer<'_>,
    task: &Task,
    row: &RoundRow,
    begun: Begun,
    reason: AbortReason,
    detail: &str,
) -> Result<Ending, EngineError> {
    let (signed, statement) = signer.sign(&Aborted {
        round: row.round,
        session: begun.session,
        reason,
        detail: detail.to_owned(),
        model: row.model,
        previous: begun.previous,
        direction: begun.direction,
        draw: begun.draw,
    })?;
    let now = now_ms();
    Ok(Ending {
        statement,
        phase: Phase::Aborted,
        next_model: None,
        abort_reason: Some(reason.name()),
        next: next_round(
            task,
            row,
            row.model,
            Terminal::Aborted(signed).digest(),
            now,
        ),
        now_ms: now,
    })
}

/// Ends a round without a result in the phase in which it is. `weighed` is how many of the statements that
/// the phase waits for the reason was found with: when another one has arrived since, the reason may not hold
/// any more, and nothing happens.
pub(super) async fn abort(
    app: &App,
    row: &RoundRow,
    weighed: u32,
    reason: AbortReason,
    detail: &str,
) -> Result<Moved, EngineError> {
    let task = app.task_context(&row.round.task).await?;
    let members = app.members().await?;
    let (begun, signer) = match app.own_statement::<RoundSpec>(&row.round).await? {
        Some(spec) => {
            let signer = match reason {
                AbortReason::KeyReplaced => app.signer(&members)?,
                _ => {
                    app.round_signer(&app.round_context(&row.round).await?)
                        .await?
                }
            };
            (Begun::as_specified(spec.peek()), signer)
        }
        None => {
            let begun = Begun::after(previous(app, &row.round).await?.as_ref(), &task);
            (begun, app.signer(&members)?)
        }
    };
    let ending = aborted(&signer, task.task(), row, begun, reason, detail)?;
    let moved = app
        .store
        .finish_round(
            &row.round,
            row.phase,
            (awaited(row.phase), weighed),
            &ending,
        )
        .await?;
    if moved == Moved::Yes {
        tracing::info!(round = %row.round, %reason, detail, "a round is aborted");
    }
    Ok(moved)
}
