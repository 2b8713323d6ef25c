//! Auditing a running aggregator: download everything, then audit the files.
//!
//! What comes from the aggregator itself is its own: a transcript that does not hold together is
//! then nobody's fault but the aggregator's. So is a round that its log says is over and of which it shows
//! nothing: otherwise it would hide the rounds that an audit would fail.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use dawn_identity::TaskId;
use dawn_protocol::RoundId;
use dawn_transport::{Api, TransportError};

use crate::log::LogWriter;
use crate::report::AuditReport;
use crate::verify::{Audit, AuditError, LOG_FILE, Options, TRANSCRIPT_EXTENSION};

/// Most bytes of one transcript that are downloaded: 50,000 submissions of the largest model would
/// be more, and nobody has the disk for it.
const MAX_TRANSCRIPT_BYTES: u64 = 1 << 40;
/// Entries of the log asked for at a time.
const PAGE: u32 = 500;

/// Downloads the log and all finished rounds of `tasks` (none: of every task of the service) into
/// `dir`, and audits them. The files stay there, for whoever wants to look again.
///
/// # Errors
/// [`AuditError`] when the service or the directory fails.
pub async fn verify_service(
    url: &str,
    tasks: &[TaskId],
    dir: &Path,
    options: &Options,
) -> Result<AuditReport, AuditError> {
    let api = Api::new(url)?;
    let asked = if tasks.is_empty() {
        listed(&api).await?
    } else {
        tasks.to_vec()
    };
    let unreadable = |source| AuditError::Unreadable {
        path: dir.to_owned(),
        source,
    };
    std::fs::create_dir_all(dir).map_err(unreadable)?;
    let mut audit = Audit::new(options);
    let mut shown = BTreeMap::new();
    for task in asked {
        let count = rounds(&api, task, dir, &mut audit).await?;
        shown.insert(task, count);
    }
    if !audit.knows_federation() && !audit.failed() {
        audit.found(&api.federation().await?);
    }
    // The log last: it must contain everything that the transcripts say.
    let path = dir.join(LOG_FILE);
    log(&api, &path).await?;
    if !audit.failed() {
        let unreadable = |source| AuditError::Unreadable {
            path: path.clone(),
            source,
        };
        let open = || File::open(&path).map_err(unreadable);
        for round in audit.ended(open()?).map_err(unreadable)? {
            if tasks.is_empty() || tasks.contains(&round.task) {
                over(&api, round, dir, &mut audit, &mut shown).await?;
            }
        }
        audit.log(open()?).map_err(unreadable)?;
    }
    for (task, (count, planned)) in shown {
        if count < planned {
            audit.unchecked(format!(
                "task {task}: the service has no transcript of round {} of {planned} yet",
                count + 1
            ));
        }
    }
    Ok(audit.finish_from_aggregator())
}

/// Sees to it that a round that is over was audited: one that ended after its transcript was asked for is
/// asked for again.
async fn over(
    api: &Api,
    round: RoundId,
    dir: &Path,
    audit: &mut Audit,
    shown: &mut BTreeMap<TaskId, (u32, u32)>,
) -> Result<(), AuditError> {
    if audit.failed() || audit.has(&round) {
        return Ok(());
    }
    if one(api, &round, dir, audit).await? {
        let (count, _) = shown.entry(round.task).or_default();
        *count = round.number;
    } else {
        audit.withheld(&round);
    }
    Ok(())
}

/// The tasks that the service lists.
async fn listed(api: &Api) -> Result<Vec<TaskId>, AuditError> {
    let malformed = || {
        AuditError::Service(TransportError::Malformed {
            what: "list of tasks",
            why: "an array of objects with a `task` is expected".to_owned(),
        })
    };
    let list = api.tasks().await?;
    let list = list.as_array().ok_or_else(malformed)?;
    list.iter()
        .map(|entry| {
            let task = entry
                .get("task")
                .and_then(|task| task.as_str())
                .ok_or_else(malformed)?;
            task.parse().map_err(|_| malformed())
        })
        .collect()
}

/// Downloads and audits the rounds of a task, from the first to the last that is over. Gives the number of the
/// last that was there, and how many are planned.
async fn rounds(
    api: &Api,
    task: TaskId,
    dir: &Path,
    audit: &mut Audit,
) -> Result<(u32, u32), AuditError> {
    let planned = api.task(&task).await?.peek().rounds;
    for number in 1..=planned {
        if !one(api, &RoundId::new(task, number), dir, audit).await? {
            return Ok((number - 1, planned));
        }
    }
    Ok((planned, planned))
}

/// Downloads and audits one round; `false` when the service has no transcript of it.
async fn one(
    api: &Api,
    round: &RoundId,
    dir: &Path,
    audit: &mut Audit,
) -> Result<bool, AuditError> {
    let name = format!("{}-{:06}.{TRANSCRIPT_EXTENSION}", round.task, round.number);
    let path = dir.join(&name);
    let unreadable = |source| AuditError::Unreadable {
        path: path.clone(),
        source,
    };
    let mut file = tokio::fs::File::create(&path).await.map_err(unreadable)?;
    match api
        .download_transcript(round, MAX_TRANSCRIPT_BYTES, &mut file)
        .await
    {
        Ok(_) => drop(file),
        Err(error)
            if error
                .status()
                .is_some_and(|status| (400..500).contains(&status)) =>
        {
            drop(file);
            std::fs::remove_file(&path).map_err(unreadable)?;
            return Ok(false);
        }
        Err(error) => return Err(error.into()),
    }
    if !audit.failed() {
        let mut file = File::open(&path).map_err(unreadable)?;
        audit.transcript(&name, &mut file).map_err(unreadable)?;
    }
    Ok(true)
}

async fn log(api: &Api, path: &Path) -> Result<(), AuditError> {
    let unreadable = |source| AuditError::Unreadable {
        path: path.to_owned(),
        source,
    };
    let head = api.log_head().await?;
    let file = File::create(path).map_err(unreadable)?;
    let mut writer = LogWriter::new(BufWriter::new(file), &head).map_err(unreadable)?;
    let size = head.peek().size;
    let mut from = 0;
    while from < size {
        let most = u32::try_from(size - from).unwrap_or(PAGE).min(PAGE);
        let entries = api.log_entries(from, most).await?;
        if entries.is_empty() {
            // The audit will find that the head promises more.
            break;
        }
        for entry in &entries {
            writer.entry(&entry.envelope).map_err(unreadable)?;
            from += 1;
        }
    }
    let mut out = writer.finish().map_err(unreadable)?;
    out.flush().map_err(unreadable)
}
