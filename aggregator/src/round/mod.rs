//! What drives a round: decides by a pure function of what is stored and the time ([`step`]), then does one
//! thing ([`advance`]). Every step may be taken twice, or be broken off anywhere: it ends in one transaction
//! that looks at the phase again.

mod challenge;
mod close;
mod ending;
mod judge;
mod open;
mod scalars;
mod specify;
pub mod step;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use dawn_identity::Statement;
use dawn_protocol::{
    AbortReason, BeaconShare, Endorsement, Opening, PackageReport, RoundId, SealingKey, Violation,
};

use crate::app::App;
use crate::clock::now_ms;
use crate::contexts::ContextError;
use crate::payloads::PayloadError;
use crate::store::StoreError;
use crate::store::rounds::{Phase, RoundRow};
use crate::store::transitions::Moved;
pub(crate) use specify::terminal;
use step::{Answers, Step, View, next_step};

/// Why a step could not be taken; it is tried again later.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// What the step rests on is missing or does not verify.
    #[error(transparent)]
    Context(#[from] ContextError),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The objects.
    #[error(transparent)]
    Payloads(#[from] PayloadError),
    /// A rule is broken by something that was verified when it was stored.
    #[error("something stored breaks a rule: {0}")]
    Broken(#[from] Violation),
    /// Bytes that are stored are not what they were.
    #[error("the stored {0} is spoiled")]
    Spoiled(&'static str),
    /// A statement cannot be signed: it would break a rule of its own.
    #[error("a statement cannot be signed: {0}")]
    Unsignable(String),
    /// A computation panicked.
    #[error("a computation panicked")]
    Panicked,
    /// A computation was given up because nobody waits for it any more.
    #[error("a computation was given up")]
    GivenUp,
}

/// When to look again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// At once.
    Again,
    /// At this time, unix milliseconds, or when something arrives.
    At(u64),
    /// Never: the round is over.
    Over,
}

/// Takes the next step of a round, if there is one to take.
///
/// # Errors
/// [`EngineError`]; nothing has changed then.
pub async fn advance(app: &App, id: &RoundId) -> Result<Next, EngineError> {
    let Some(row) = app.store.round(id).await? else {
        return Ok(Next::Over);
    };
    if row.phase.is_over() {
        return Ok(Next::Over);
    }
    let view = view(app, &row).await?;
    let step = next_step(&view, now_ms());
    let moved = match step {
        // While stewards answer; not when the round ends for want of them.
        Step::Wait { .. } if row.phase == Phase::Reporting && row.scalars.is_none() => {
            scalars::prepare(app, &row).await?;
            return Ok(Next::Again);
        }
        // Stewards and auditors read them; what storage has lost is computed again.
        Step::Wait { .. } if row.phase == Phase::Opening && scalars::lost(app, id).await? => {
            scalars::prepare(app, &row).await?;
            return Ok(Next::Again);
        }
        Step::Wait { until_ms } => return Ok(Next::At(until_ms)),
        Step::Specify => specify::specify(app, &row).await?,
        Step::Collect => specify::collect(app, &row).await?,
        Step::Close => close::close(app, &row).await?,
        Step::Challenge => challenge::challenge(app, &row).await?,
        Step::Judge => judge::judge(app, &row).await?,
        Step::Open => open::open(app, &row).await?,
        // Whatever the phase waits for has arrived: it does not count any more.
        Step::Abort(reason @ AbortReason::KeyReplaced) => {
            let arrived = app.store.statement_times(id, awaited(row.phase)).await?;
            let detail = "the aggregator's key was replaced after the round was specified";
            ending::abort(app, &row, arrived.len() as u32, reason, detail).await?
        }
        Step::Abort(reason) => {
            let detail = shortfall(&view, reason);
            let weighed = view.answers.arrived_ms.len() as u32;
            ending::abort(app, &row, weighed, reason, &detail).await?
        }
    };
    if moved == Moved::Yes {
        app.metrics
            .count("dawn_phases_total", &[("phase", row.phase.as_str())]);
        app.changed();
    }
    Ok(Next::Again)
}

/// The kind of statement that a phase waits for.
pub(crate) fn awaited(phase: Phase) -> &'static str {
    match phase {
        Phase::Keying => SealingKey::KIND,
        Phase::Endorsing | Phase::Collecting => Endorsement::KIND,
        Phase::Challenging => BeaconShare::KIND,
        Phase::Reporting => PackageReport::KIND,
        Phase::Opening | Phase::Done | Phase::Aborted => Opening::KIND,
    }
}

async fn view(app: &App, row: &RoundRow) -> Result<View, EngineError> {
    let id = &row.round;
    let task = app.task_context(&id.task).await?;
    let threshold = task.threshold();
    let (m, t, a) = (
        u32::from(threshold.m()),
        u32::from(threshold.t()),
        u32::from(threshold.a()),
    );
    let noise = task.task().options.noise;
    let (expected, enough, least) = match row.phase {
        Phase::Keying => (m, a, a),
        // T endorsements open the round at once; others may follow while devices submit.
        Phase::Endorsing => (t, t, t),
        Phase::Challenging => (seats(app, id).await?, t, t),
        Phase::Reporting => (seats(app, id).await?, a, a),
        Phase::Opening => (open::openers(app, id).await?, a, t),
        // With the noise of this many stewards, when the task asks for any.
        Phase::Collecting if noise.is_some() => (seats(app, id).await?, a, t),
        Phase::Collecting | Phase::Done | Phase::Aborted => (0, 0, 0),
    };
    let arrived_ms = match (row.phase, noise) {
        (Phase::Collecting, Some(noise)) => app.store.noise_times(id, noise.candidates).await?,
        (Phase::Collecting, None) => Vec::new(),
        (phase, _) => app.store.statement_times(id, awaited(phase)).await?,
    };
    let replaced = row.phase != Phase::Keying && {
        let members = app.members().await?;
        let context = app.round_context(id).await?;
        context.verify_key_counts(&members).is_err()
    };
    let exhausted = row.phase == Phase::Keying
        && task.exceeds_budget(app.store.spent_micro_rho(&id.task).await?);
    Ok(View {
        phase: row.phase,
        deadline_ms: row.deadline_ms,
        grace_ms: u64::from(task.task().deadlines.grace_ms),
        answers: Answers {
            arrived_ms,
            expected,
            enough,
            least,
        },
        submitted: row.submitted,
        target: task.task().policy.target_submissions,
        exhausted,
        replaced,
    })
}

async fn seats(app: &App, id: &RoundId) -> Result<u32, EngineError> {
    Ok(app.round_context(id).await?.seats().len() as u32)
}

fn shortfall(view: &View, reason: AbortReason) -> String {
    match reason {
        AbortReason::BudgetExhausted => "the next charge would exceed the task's budget".to_owned(),
        _ => format!(
            "{} of at least {} arrived in time",
            view.answers.arrived_ms.len(),
            view.answers.least
        ),
    }
}

/// Tells the threads of a computation to end when nobody waits for it any more: dropping a future does not.
struct Patience(Arc<AtomicBool>);

impl Patience {
    fn new() -> (Self, Arc<AtomicBool>) {
        let given_up = Arc::new(AtomicBool::new(false));
        (Self(Arc::clone(&given_up)), given_up)
    }
}

impl Drop for Patience {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Threads of a computation over all submissions.
fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// Runs a computation that takes long on a thread of its own.
pub(crate) async fn compute<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, EngineError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|_| EngineError::Panicked)
}
