//! What a steward should look at.

use dawn_identity::{Statement, StewardId};
use dawn_protocol::work::{MAX_WORK_ITEMS, WorkItem};
use dawn_protocol::{
    BeaconShare, Challenge, Closed, Endorsement, Opening, PackageReport, RoundSpec, SealingKey,
    Verdict,
};

use super::{announcement, wait_until};
use crate::app::App;
use crate::contexts::ContextError;
use crate::problem::Problem;
use crate::store::rounds::Phase;
use crate::store::statements::DeskRow;

/// Waits until there is something for this steward; empty when there is not.
///
/// # Errors
/// No such steward is enrolled, or the database fails.
pub async fn wait_for_work(
    app: &App,
    steward: &StewardId,
    wait_s: Option<u64>,
) -> Result<Vec<WorkItem>, Problem> {
    if app.store.steward(steward).await?.is_none() {
        return Err(Problem::not_found("no such steward is enrolled"));
    }
    let until = wait_until(wait_s);
    let mut changes = app.changes();
    loop {
        let mut items = Vec::new();
        for row in app.store.desk(steward).await? {
            if items.len() == MAX_WORK_ITEMS {
                break;
            }
            let task = app.task_of_round(&row.round.round).await?;
            if task.roster().point_of(steward) == Some(row.point) {
                items.extend(item(app, &row).await?);
            }
        }
        if !items.is_empty() || !changes.wait(until).await {
            return Ok(items);
        }
    }
}

async fn item(app: &App, row: &DeskRow) -> Result<Option<WorkItem>, ContextError> {
    let id = row.round.round;
    let said = |kind: &str| row.said.iter().any(|said| said == kind);
    match row.round.phase {
        Phase::Keying if !said(SealingKey::KIND) => {
            Ok(Some(WorkItem::PublishSealingKey { round: id }))
        }
        // Also while devices submit: T endorsements open the round, and the others are welcome.
        Phase::Endorsing | Phase::Collecting if !said(Endorsement::KIND) => {
            let spec = app.own_statement::<RoundSpec>(&id).await?;
            Ok(spec.map(|spec| WorkItem::Endorse { spec }))
        }
        Phase::Collecting if said(SealingKey::KIND) => noise(app, row).await,
        Phase::Challenging if said(SealingKey::KIND) && !said(BeaconShare::KIND) => {
            share_beacon(app, row).await
        }
        Phase::Reporting if said(SealingKey::KIND) && !said(PackageReport::KIND) => {
            report(app, row).await
        }
        Phase::Opening if said(PackageReport::KIND) && !said(Opening::KIND) => open(app, row).await,
        _ => Ok(None),
    }
}

/// A sealing key that came too late has no seat and no packages.
async fn is_seated(app: &App, row: &DeskRow) -> Result<bool, ContextError> {
    let context = app.round_context(&row.round.round).await?;
    Ok(context.seat_index(row.point).is_some())
}

/// The candidates of noise that the task asks for, until all are stored.
async fn noise(app: &App, row: &DeskRow) -> Result<Option<WorkItem>, ContextError> {
    let id = row.round.round;
    let task = app.task_context(&id.task).await?;
    let wanted = task.task().options.noise;
    let missing = wanted.is_some_and(|noise| row.noise < u32::from(noise.candidates));
    if !missing || !is_seated(app, row).await? {
        return Ok(None);
    }
    Ok(Some(WorkItem::ContributeNoise {
        announcement: announcement(app, &id).await?,
    }))
}

async fn share_beacon(app: &App, row: &DeskRow) -> Result<Option<WorkItem>, ContextError> {
    let id = row.round.round;
    if !is_seated(app, row).await? {
        return Ok(None);
    }
    let Some(closed) = app.own_statement::<Closed>(&id).await? else {
        return Ok(None);
    };
    Ok(Some(WorkItem::ShareBeacon {
        announcement: announcement(app, &id).await?,
        closed,
    }))
}

async fn report(app: &App, row: &DeskRow) -> Result<Option<WorkItem>, ContextError> {
    let id = row.round.round;
    if !is_seated(app, row).await? {
        return Ok(None);
    }
    let (Some(closed), Some(challenge)) = (
        app.own_statement::<Closed>(&id).await?,
        app.own_statement::<Challenge>(&id).await?,
    ) else {
        return Ok(None);
    };
    Ok(Some(WorkItem::Report {
        announcement: announcement(app, &id).await?,
        closed,
        challenge,
    }))
}

async fn open(app: &App, row: &DeskRow) -> Result<Option<WorkItem>, ContextError> {
    let id = row.round.round;
    let (Some(closed), Some(challenge), Some(verdict)) = (
        app.own_statement::<Closed>(&id).await?,
        app.own_statement::<Challenge>(&id).await?,
        app.own_statement::<Verdict>(&id).await?,
    ) else {
        return Ok(None);
    };
    if !verdict.peek().openers.contains(&row.point) {
        return Ok(None);
    }
    let context = app.round_context(&id).await?;
    let mut reports = app.statements::<PackageReport>(&id).await?;
    // Judging wants them in increasing point.
    reports.sort_by_key(|report| context.roster().point_of(&report.peek().steward));
    Ok(Some(WorkItem::Open {
        announcement: announcement(app, &id).await?,
        closed,
        challenge,
        reports,
        verdict,
    }))
}
