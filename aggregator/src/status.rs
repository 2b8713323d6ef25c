//! How the rounds of a task went, for people.

use dawn_identity::{Signed, Statement as _, TaskId};
use dawn_protocol::dp::{self, Spending};
use dawn_protocol::{Decision, FederatedEvaluation, RoundResult, TaskContext, Verdict};
use serde::Serialize;
use std::collections::BTreeMap;

use crate::app::App;
use crate::contexts::ContextError;
use crate::store::rounds::{Phase, RoundRow};

/// A task and its rounds so far.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct TaskStatus {
    /// Identifier, hexadecimal.
    pub task: String,
    /// Its name.
    pub name: String,
    /// How many rounds it has.
    pub rounds_planned: u32,
    /// Whether its last round is over.
    pub ended: bool,
    /// Coordinates of an update.
    pub dimension: usize,
    /// Privacy spent so far, in micro-rho.
    pub spent_micro_rho: u64,
    /// The most that may be spent, in micro-rho; absent when there is no limit.
    pub budget_micro_rho: Option<u64>,
    /// Epsilon spent so far; null when it is not finite.
    pub epsilon: Option<f64>,
    /// Delta that goes with it.
    pub delta: f64,
    /// The rounds that have begun, in their order.
    pub rounds: Vec<RoundStatus>,
}

/// A round.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct RoundStatus {
    /// Its number, from 1.
    pub number: u32,
    /// keying, endorsing, collecting, challenging, reporting, opening, done or aborted.
    pub phase: &'static str,
    /// When the phase ends at the latest, unix milliseconds.
    pub deadline_ms: u64,
    /// Submissions that have a receipt.
    pub submitted: u32,
    /// Of those, in the sum; absent before the verdict.
    pub accepted: Option<u32>,
    /// Of those, not in the sum, by the reason.
    pub rejected: BTreeMap<&'static str, u32>,
    /// Why there is no result.
    pub abort_reason: Option<String>,
    /// Privacy that this round cost, in micro-rho.
    pub charge_micro_rho: u64,
    /// Privacy spent up to and with this round, in micro-rho.
    pub spent_micro_rho: u64,
    /// Epsilon up to and with this round; null when it is not finite.
    pub epsilon: Option<f64>,
    /// Digest of the weights that the round started from, hexadecimal.
    pub model: String,
    /// Digest of the weights that it produced, hexadecimal.
    pub next_model: Option<String>,
    /// What devices say of the weights that the round started from, through its sum (docs/protocol.md, section 4.2.1); null where the
    /// task does not ask, or there is no result.
    #[schema(value_type = Option<Object>)]
    pub evaluation: Option<FederatedEvaluation>,
    /// How long each phase took, in milliseconds; the current one is not there yet.
    pub phase_ms: BTreeMap<&'static str, u64>,
    /// When the round began, unix milliseconds.
    pub began_ms: Option<u64>,
    /// When it ended, unix milliseconds.
    pub ended_ms: Option<u64>,
    /// Bytes of all submissions.
    pub bytes: u64,
}

/// Rounds in one answer.
const LISTED: u32 = 1000;

/// The status of a task, with its rounds from the one after `after` on, a thousand at most.
///
/// # Errors
/// No such task, or the database fails.
pub async fn task_status(app: &App, task: &TaskId, after: u32) -> Result<TaskStatus, ContextError> {
    let context = app.task_context(task).await?;
    let row = app.store.task(task).await?.ok_or(ContextError::NoTask)?;
    let (mut spent, mut charged) = app.store.charged_until(task, after).await?;
    let mut rounds = Vec::new();
    for round in app.store.rounds_of(task, after, LISTED).await? {
        if let Some(charge) = round.charge_micro_rho {
            spent += charge;
            charged += 1;
        }
        let mut status = round_status(&context, &round, spent, charged);
        if context.task().options.evaluation.is_some() && round.phase == Phase::Done {
            status.evaluation = evaluation(app, &context, &round).await?;
        }
        rounds.push(status);
    }
    let body = context.task();
    let (spent, charged) = app.store.charged_until(task, row.rounds).await?;
    Ok(TaskStatus {
        task: task.to_string(),
        name: row.name,
        rounds_planned: row.rounds,
        ended: row.ended_ms.is_some(),
        dimension: context.dimension().coordinates(),
        spent_micro_rho: spent,
        budget_micro_rho: body.privacy.budget_micro_rho,
        epsilon: epsilon(&context, spent, charged),
        delta: 10_f64.powi(-i32::from(body.privacy.delta_exponent)),
        rounds,
    })
}

/// What the devices of a round with a result said.
async fn evaluation(
    app: &App,
    context: &TaskContext,
    round: &RoundRow,
) -> Result<Option<FederatedEvaluation>, ContextError> {
    let Some(row) = app.store.terminal(&round.round).await? else {
        return Ok(None);
    };
    let Ok(result) = Signed::<RoundResult>::from_bytes(&row.envelope) else {
        return Ok(None);
    };
    let verdicts = app.store.statements(&round.round, Verdict::KIND).await?;
    let verdict = verdicts
        .first()
        .map(|row| Signed::<Verdict>::from_bytes(&row.envelope));
    let stewards = match verdict {
        Some(Ok(verdict)) => verdict.peek().noise_count(),
        _ => 0,
    };
    let result = result.peek();
    let sum = result.evaluation;
    Ok(sum.and_then(|sum| sum.shown(context.task(), result.accepted, stewards)))
}

fn epsilon(context: &TaskContext, micro_rho: u64, rounds: u32) -> Option<f64> {
    if rounds == 0 {
        return Some(0.0);
    }
    let task = context.task();
    let spending = Spending {
        micro_rho,
        rounds,
        padded_dimension: context.dimension().padded(),
        noise: context.counted_noise(),
    };
    dp::epsilon(&spending, task.privacy.delta_exponent)
}

fn round_status(
    context: &TaskContext,
    round: &RoundRow,
    spent_micro_rho: u64,
    charged: u32,
) -> RoundStatus {
    let rejected = Decision::ALL
        .iter()
        .filter(|decision| !decision.is_summed())
        .filter_map(|decision| {
            let count = *round.decided.get(*decision as usize)?;
            (count > 0).then_some((decision.name(), count))
        })
        .collect();
    RoundStatus {
        number: round.round.number,
        phase: round.phase.as_str(),
        deadline_ms: round.deadline_ms,
        submitted: round.submitted,
        accepted: round.accepted,
        rejected,
        abort_reason: round.abort_reason.clone(),
        charge_micro_rho: round.charge_micro_rho.unwrap_or(0),
        spent_micro_rho,
        epsilon: epsilon(context, spent_micro_rho, charged),
        model: round.model.to_string(),
        next_model: round.next_model.map(|digest| digest.to_string()),
        evaluation: None,
        phase_ms: phase_ms(&round.times),
        began_ms: round.times[0],
        ended_ms: round.times[6],
        bytes: round.submitted_bytes,
    }
}

/// How long each phase took: until the next one that began, whichever it was.
fn phase_ms(times: &[Option<u64>; 7]) -> BTreeMap<&'static str, u64> {
    const PHASES: [Phase; 6] = [
        Phase::Keying,
        Phase::Endorsing,
        Phase::Collecting,
        Phase::Challenging,
        Phase::Reporting,
        Phase::Opening,
    ];
    PHASES
        .iter()
        .enumerate()
        .filter_map(|(index, phase)| {
            let began = times[index]?;
            let ended = times[index + 1..].iter().find_map(|time| *time)?;
            Some((phase.as_str(), ended.saturating_sub(began)))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::phase_ms;

    #[test]
    fn phases_that_a_round_skipped_take_no_time() {
        let times = [Some(10), Some(14), Some(20), None, None, None, Some(50)];
        let spans: Vec<_> = phase_ms(&times).into_iter().collect();
        assert_eq!(spans, [("collecting", 30), ("endorsing", 6), ("keying", 4)]);
    }
}
