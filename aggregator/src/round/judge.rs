//! Judging: which submissions are in the sum.

use std::fs::File;
use std::io::BufReader;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use dawn_crypto::norm::Answer;
use dawn_identity::Signed;
use dawn_protocol::answers::{AnswerCursor, AnswersError, Scalars};
use dawn_protocol::phase::JudgeError;
use dawn_protocol::{Decision, Finding, PackageReport, RoundChallenged, Verdict};

use super::challenge::challenged_round;
use super::ending::abort;
use super::{EngineError, Patience, compute, scalars, threads};
use crate::app::App;
use crate::clock::now_ms;
use crate::contexts::Findings;
use crate::payloads::{ObjectKey, Payloads};
use crate::store::rounds::RoundRow;
use crate::store::transitions::{Judging, Moved};

/// Submissions whose answers are in memory at a time.
const BATCH: usize = 256;

/// Bytes of a steward's answers that are read at a time.
const READ_BYTES: usize = 1 << 17;

/// A report that counts, with the steward's point.
type Pointed = (u8, Signed<PackageReport>);

/// What a verdict rests on.
pub(super) struct Case {
    pub(super) challenged: RoundChallenged,
    /// In increasing point.
    pub(super) reports: Vec<Signed<PackageReport>>,
    pub(super) found: Arc<Findings>,
}

/// The reports that arrived, and what the answers that came with them show about every submission.
pub(super) async fn case(app: &App, row: &RoundRow) -> Result<Case, EngineError> {
    let challenged = challenged_round(app, &row.round).await?;
    let mut reports: Vec<Pointed> = Vec::new();
    for report in app.statements::<PackageReport>(&row.round).await? {
        reports.push((challenged.verify_report(&report)?, report));
    }
    reports.sort_by_key(|(point, _)| *point);
    let scalars = scalars::of_round(app, &challenged, row.scalars).await?;
    let found = findings(app, &challenged, &reports, scalars).await?;
    let reports = reports.into_iter().map(|(_, report)| report).collect();
    Ok(Case {
        challenged,
        reports,
        found,
    })
}

async fn findings(
    app: &App,
    challenged: &RoundChallenged,
    reports: &[Pointed],
    scalars: Scalars,
) -> Result<Arc<Findings>, EngineError> {
    let id = challenged.round_id();
    let digests: Vec<_> = reports.iter().map(|(_, said)| said.body_digest()).collect();
    let digest = scalars.digest();
    if let Some(known) = app.known.findings(&id)
        && (&known.reports, known.scalars) == (&digests, digest)
    {
        return Ok(known);
    }
    let begun = Instant::now();
    let (_patience, given_up) = Patience::new();
    let (of, payloads, reports) = (challenged.clone(), app.payloads.clone(), reports.to_vec());
    let findings =
        compute(move || examine(&of, &payloads, &reports, &scalars, &given_up)).await??;
    app.metrics.observe(
        "dawn_computation_seconds",
        &[("what", "findings")],
        begun.elapsed().as_secs_f64(),
    );
    let found = Arc::new(Findings {
        reports: digests,
        scalars: digest,
        findings,
    });
    app.known.keep_findings(id, &found);
    Ok(found)
}

/// Examines all submissions, reading the answers of all stewards side by side.
fn examine(
    challenged: &RoundChallenged,
    payloads: &Payloads,
    reports: &[Pointed],
    scalars: &Scalars,
    given_up: &AtomicBool,
) -> Result<Vec<Finding>, EngineError> {
    let id = challenged.round_id();
    let mut cursors = Vec::with_capacity(reports.len());
    for (point, report) in reports {
        let report = report.peek();
        let key = ObjectKey::answers(&id.task.0, id.number, &report.answers);
        let (_, file) = payloads.open_blocking(&key)?;
        let reader = BufReader::with_capacity(READ_BYTES, file);
        let cursor = AnswerCursor::new(challenged.proof_params(), &report.outcomes, reader);
        cursors.push((*point, cursor));
    }
    let count = challenged.round_closed().roll().len();
    let mut findings = Vec::with_capacity(count);
    while findings.len() < count {
        let first = findings.len();
        let mut batch = Vec::with_capacity(BATCH.min(count - first));
        for _ in first..count.min(first + BATCH) {
            batch.push(next_answers(&mut cursors).map_err(spoiled)?);
        }
        findings.extend(examine_batch(challenged, scalars, first, &batch, given_up)?);
    }
    for ((_, cursor), (_, report)) in cursors.into_iter().zip(reports) {
        cursor.finish(&report.peek().answers).map_err(spoiled)?;
    }
    Ok(findings)
}

type Cursor<'a> = AnswerCursor<'a, BufReader<File>>;

/// The answers of all stewards about the next submission.
fn next_answers(cursors: &mut [(u8, Cursor<'_>)]) -> Result<Vec<(u8, Answer)>, AnswersError> {
    let mut answers = Vec::with_capacity(cursors.len());
    for (point, cursor) in cursors {
        answers.extend(cursor.next_answer()?.map(|answer| (*point, answer)));
    }
    Ok(answers)
}

/// Examines the submissions from `first` on, on all cores.
fn examine_batch(
    challenged: &RoundChallenged,
    scalars: &Scalars,
    first: usize,
    batch: &[Vec<(u8, Answer)>],
    given_up: &AtomicBool,
) -> Result<Vec<Finding>, EngineError> {
    let mut findings = vec![Finding::NONE; batch.len()];
    let share = batch.len().div_ceil(threads());
    std::thread::scope(|scope| {
        for (part, (answers, findings)) in batch
            .chunks(share)
            .zip(findings.chunks_mut(share))
            .enumerate()
        {
            scope.spawn(move || {
                let places = first + part * share..;
                for (index, (answers, finding)) in places.zip(answers.iter().zip(findings)) {
                    if given_up.load(Ordering::Relaxed) {
                        return;
                    }
                    let scalars = scalars.get(index).unwrap_or_default();
                    *finding = challenged.examine(index, answers, scalars);
                }
            });
        }
    });
    if given_up.load(Ordering::Relaxed) {
        return Err(EngineError::GivenUp);
    }
    Ok(findings)
}

fn spoiled(error: AnswersError) -> EngineError {
    tracing::error!(%error, "stored answers are not what they were");
    EngineError::Spoiled("answers")
}

/// Signs the verdict over the reports that arrived, and charges the ledger.
pub(super) async fn judge(app: &App, row: &RoundRow) -> Result<Moved, EngineError> {
    let id = &row.round;
    let case = case(app, row).await?;
    let spent = app.store.spent_micro_rho(&id.task).await?;
    let weighed = case.reports.len() as u32;
    let deadlines = case.challenged.task().deadlines;
    let verdict = compute(move || {
        let found = &case.found;
        case.challenged
            .verdict(&case.reports, &found.findings, found.scalars, spent)
    });
    let verdict = match verdict.await? {
        Ok(verdict) => verdict,
        Err(JudgeError::Abort(reason)) => {
            return abort(
                app,
                row,
                weighed,
                reason,
                "no set of submissions meets the task's policy",
            )
            .await;
        }
        Err(JudgeError::Violation(violation)) => return Err(violation.into()),
    };
    let signer = app.round_signer(&app.round_context(id).await?).await?;
    let (_, statement) = signer.sign(&verdict)?;
    let now = now_ms();
    let judging = Judging {
        statement,
        decisions: verdict
            .decisions
            .iter()
            .map(|decision| *decision as u8)
            .collect(),
        accepted: verdict.accepted_count(),
        reports: weighed,
        charge_micro_rho: verdict.charge_micro_rho,
        now_ms: now,
        deadline_ms: now + u64::from(deadlines.opening_ms),
    };
    let moved = app.store.judge_round(id, &judging).await?;
    if moved == Moved::Yes {
        tell(app, row, &verdict);
    }
    Ok(moved)
}

/// Says what was decided to those who watch this server.
fn tell(app: &App, row: &RoundRow, verdict: &Verdict) {
    for decision in Decision::ALL {
        let count = verdict.decisions.iter().filter(|d| *d == decision).count() as u64;
        if count > 0 {
            let labels = [("decision", decision.name())];
            app.metrics
                .count_many("dawn_decisions_total", &labels, count);
        }
    }
    if !verdict.liars.is_empty() {
        tracing::warn!(round = %row.round, points = ?verdict.liars, "stewards answered the challenge wrongly");
        let liars = verdict.liars.len() as u64;
        app.metrics.count_many("dawn_liars_total", &[], liars);
    }
}
