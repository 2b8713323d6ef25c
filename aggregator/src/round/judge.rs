//! Judging: which submissions are in the sum.

use std::sync::Arc;

use dawn_identity::{Members, Signed};
use dawn_protocol::phase::JudgeError;
use dawn_protocol::roll::Roll;
use dawn_protocol::{Closed, Endorsement, PackageReport, RoundClosed, RoundId, RoundOpen};

use super::ending::{abort, sign};
use super::{EngineError, compute};
use crate::app::App;
use crate::clock::now_ms;
use crate::store::rounds::RoundRow;
use crate::store::transitions::{Judging, Moved};

/// Headers that are read at a time.
const PAGE: u32 = 1000;

/// The closed round as everybody else verifies it: root, headers, endorsements.
pub(super) async fn closed_round(app: &App, id: &RoundId) -> Result<RoundClosed, EngineError> {
    let context = app.round_context(id).await?;
    let endorsements = app.statements::<Endorsement>(id).await?;
    let closed = app
        .own_statement::<Closed>(id)
        .await?
        .ok_or(EngineError::Spoiled("closing"))?;
    let members: Arc<Members> = app.members().await?;
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
    Ok(RoundOpen::new(context, &endorsements)?.close(&closed, roll)?)
}

/// The reports that count, in increasing point.
pub(super) async fn reports(
    app: &App,
    closed: &RoundClosed,
) -> Result<Vec<Signed<PackageReport>>, EngineError> {
    let mut reports = Vec::new();
    for report in app.statements::<PackageReport>(&closed.round_id()).await? {
        reports.push((closed.verify_report(&report)?, report));
    }
    reports.sort_by_key(|(point, _)| *point);
    Ok(reports.into_iter().map(|(_, report)| report).collect())
}

/// Signs the verdict over the reports that arrived, and charges the ledger.
pub(super) async fn judge(app: &App, row: &RoundRow) -> Result<Moved, EngineError> {
    let id = &row.round;
    let closed = closed_round(app, id).await?;
    let reports = reports(app, &closed).await?;
    let spent = app.store.spent_micro_rho(&id.task).await?;
    let weighed = reports.len() as u32;
    let deadlines = closed.task().deadlines;
    let verdict = match compute(move || closed.verdict(&reports, spent)).await? {
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
    let (_, statement) = sign(app, &verdict)?;
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
    Ok(app.store.judge_round(id, &judging).await?)
}
