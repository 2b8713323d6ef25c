//! Auditing a running aggregator: download everything, then audit the files.
//!
//! What comes from the aggregator itself is its own: a transcript that does not hold together is
//! then nobody's fault but the aggregator's. So is a round that its log says is over and of which it shows
//! nothing: otherwise it would hide the rounds that an audit would fail.
//!
//! A service may be hostile: a transcript is cut off after the longest that its task can have, and everything
//! together at what the auditor allows.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use dawn_identity::TaskId;
use dawn_protocol::RoundId;
use dawn_protocol::transcript::max_bytes;
use dawn_transport::{Api, TransportError};

use crate::log::LogWriter;
use crate::report::AuditReport;
use crate::verify::{
    Audit, AuditError, DEFAULT_MAX_BYTES, LOG_FILE, Mode, Options, TRANSCRIPT_EXTENSION,
};
use crate::witness::CHECKPOINT_FILE;

/// What a file takes on the disk at least.
const BLOCK: u64 = 4096;
/// Entries of the log asked for at a time.
const PAGE: u32 = 500;

/// Downloads the log and all finished rounds of `tasks` (none: of every task of the service) into
/// `dir`, and audits them. The files stay there, for whoever wants to look again; they have at most
/// [`Options::max_bytes`].
///
/// # Errors
/// [`AuditError`] when the service or the directory fails, or the service has too much to show.
pub async fn verify_service(
    url: &str,
    tasks: &[TaskId],
    dir: &Path,
    options: &Options,
) -> Result<AuditReport, AuditError> {
    let max_bytes = options.max_bytes.unwrap_or(DEFAULT_MAX_BYTES);
    let mut service = Service {
        api: Api::new(url)?,
        mode: options.mode,
        dir,
        max_bytes,
        left: max_bytes,
        failing: BTreeSet::new(),
    };
    let asked = if tasks.is_empty() {
        listed(&service.api).await?
    } else {
        tasks.to_vec()
    };
    std::fs::create_dir_all(dir).map_err(unreadable(dir))?;
    let mut audit = Audit::new(options);
    let mut shown = BTreeMap::new();
    for task in asked {
        let count = service.rounds(task, &mut audit).await?;
        shown.insert(task, count);
    }
    if !audit.knows_federation() && !audit.failed() {
        audit.found(&service.api.federation().await?);
    }
    // The log last: it must contain everything that the transcripts say.
    let path = dir.join(LOG_FILE);
    let checkpoint = service.checkpoint().await?;
    service.log(&path).await?;
    if !audit.failed() {
        let open = || File::open(&path).map_err(unreadable(&path));
        for round in audit.ended(open()?).map_err(unreadable(&path))? {
            if tasks.is_empty() || tasks.contains(&round.task) {
                service.over(round, &mut audit, &mut shown).await?;
            }
        }
        if let Some(checkpoint) = checkpoint {
            audit
                .checkpoint(checkpoint.as_bytes())
                .map_err(unreadable(&path))?;
        }
        audit.log(open()?).map_err(unreadable(&path))?;
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

fn unreadable(path: &Path) -> impl Fn(io::Error) -> AuditError + use<> {
    let path = path.to_owned();
    move |source| AuditError::Unreadable {
        path: path.clone(),
        source,
    }
}

/// Whether the service says that there is no such thing, and not that it cannot tell.
fn is_refusal(error: &TransportError) -> bool {
    let is_refused = |status| (400..500).contains(&status);
    error.status().is_some_and(is_refused) && !error.is_transient()
}

/// What a service gives of a round.
enum Given {
    /// A transcript, which was audited.
    Transcript,
    /// It says that there is none.
    Nothing,
    /// It failed.
    Failure(TransportError),
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

/// A service that is downloaded.
struct Service<'a> {
    api: Api,
    mode: Mode,
    dir: &'a Path,
    max_bytes: u64,
    /// Bytes that may still be written.
    left: u64,
    /// Tasks of which a round that is over was not given. Those after it would seem not to follow.
    failing: BTreeSet<TaskId>,
}

impl Service<'_> {
    fn charge(&mut self, bytes: u64) -> Result<(), AuditError> {
        self.left = self
            .left
            .checked_sub(bytes)
            .ok_or(AuditError::TooMuch(self.max_bytes))?;
        Ok(())
    }

    /// Downloads and audits the rounds of a task, from the first to the last that is over. Gives the number of
    /// the last that was there, and how many are planned.
    async fn rounds(&mut self, task: TaskId, audit: &mut Audit) -> Result<(u32, u32), AuditError> {
        let signed = self.api.task(&task).await?;
        let (planned, most) = (signed.peek().rounds, max_bytes(signed.peek()));
        for number in 1..=planned {
            let round = RoundId::new(task, number);
            match self.one(&round, most, audit).await? {
                Given::Transcript => {}
                // Whether it is over, and is asked for again, the log says.
                Given::Nothing | Given::Failure(_) => return Ok((number - 1, planned)),
            }
        }
        Ok((planned, planned))
    }

    /// Sees to it that a round that is over was audited: one that ended after its transcript was asked for is
    /// asked for again.
    async fn over(
        &mut self,
        round: RoundId,
        audit: &mut Audit,
        shown: &mut BTreeMap<TaskId, (u32, u32)>,
    ) -> Result<(), AuditError> {
        if audit.failed() || audit.has(&round) {
            return Ok(());
        }
        if self.failing.contains(&round.task) {
            audit.unchecked(format!(
                "round {round}: a round before it is not there, and it was not asked for"
            ));
            return Ok(());
        }
        let given = match self.api.task(&round.task).await {
            Ok(task) => self.one(&round, max_bytes(task.peek()), audit).await?,
            Err(error) if is_refusal(&error) => Given::Nothing,
            Err(error) => return Err(error.into()),
        };
        match given {
            Given::Transcript => shown.entry(round.task).or_default().0 = round.number,
            Given::Nothing => audit.withheld(&round),
            Given::Failure(error) => {
                self.failing.insert(round.task);
                audit.not_given(&round, &error);
            }
        }
        Ok(())
    }

    /// Downloads and audits one round, whose transcript has at most `most` bytes.
    async fn one(
        &mut self,
        round: &RoundId,
        most: u64,
        audit: &mut Audit,
    ) -> Result<Given, AuditError> {
        let name = format!("{}-{:06}.{TRANSCRIPT_EXTENSION}", round.task, round.number);
        let path = self.dir.join(&name);
        let unreadable = unreadable(&path);
        let mut file = tokio::fs::File::create(&path).await.map_err(&unreadable)?;
        let limit = most.min(self.left);
        let api = &self.api;
        let downloaded = match self.mode {
            Mode::Full => api.download_transcript(round, limit, &mut file).await,
            // A service that has none without payloads gives the whole one, which is as long as that may be.
            Mode::Light => (api.download_detached_transcript(round, limit, &mut file)).await,
        };
        drop(file);
        match downloaded {
            Ok(bytes) => self.charge(bytes.max(BLOCK))?,
            Err(error) => {
                // A part of a transcript is of no use to anybody.
                std::fs::remove_file(&path).map_err(&unreadable)?;
                return match error {
                    TransportError::TooLarge { .. } if limit == most => {
                        audit.endless(round, most);
                        Ok(Given::Transcript)
                    }
                    TransportError::TooLarge { .. } => Err(AuditError::TooMuch(self.max_bytes)),
                    error if is_refusal(&error) => Ok(Given::Nothing),
                    error if error.status().is_some() => Ok(Given::Failure(error)),
                    error => Err(error.into()),
                };
            }
        }
        if !audit.failed() {
            let mut file = File::open(&path).map_err(&unreadable)?;
            audit.transcript(&name, &mut file).map_err(&unreadable)?;
        }
        Ok(Given::Transcript)
    }

    /// The newest checkpoint that stewards have cosigned, before the log: a log never becomes smaller.
    async fn checkpoint(&mut self) -> Result<Option<String>, AuditError> {
        let note = match self.api.witnessed_checkpoint().await {
            Ok(note) => note.to_text(),
            // None yet, or a service that has none.
            Err(error) if error.status() == Some(404) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        self.charge(note.len() as u64)?;
        let path = self.dir.join(CHECKPOINT_FILE);
        std::fs::write(&path, &note).map_err(unreadable(&path))?;
        Ok(Some(note))
    }

    async fn log(&mut self, path: &Path) -> Result<(), AuditError> {
        let unreadable = unreadable(path);
        let head = self.api.log_head().await?;
        let file = File::create(path).map_err(&unreadable)?;
        self.charge(BLOCK)?;
        let mut writer = LogWriter::new(BufWriter::new(file), &head).map_err(&unreadable)?;
        let size = head.peek().size;
        let mut from = 0;
        while from < size {
            let most = u32::try_from(size - from).unwrap_or(PAGE).min(PAGE);
            let entries = self.api.log_entries(from, most).await?;
            if entries.is_empty() {
                // The audit will find that the head promises more.
                break;
            }
            for entry in &entries {
                self.charge(4 + entry.envelope.len() as u64)?;
                writer.entry(&entry.envelope).map_err(&unreadable)?;
                from += 1;
            }
        }
        let mut out = writer.finish().map_err(&unreadable)?;
        out.flush().map_err(&unreadable)
    }
}
