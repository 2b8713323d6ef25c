//! Auditing what is at hand: one transcript, or a directory of them with their log.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read, Seek};
use std::path::{Path, PathBuf};

use dawn_crypto::digest::Digest;
use dawn_identity::{FoundingDocument, VerifiedFederation};
use dawn_protocol::RoundId;
use dawn_protocol::tlog::note::MAX_NOTE_BYTES;
use dawn_protocol::transcript::{Record, TranscriptReader};
use dawn_transport::TransportError;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::chain::Chain;
use crate::finding::{Finding, Party};
use crate::log;
use crate::records::Stop;
use crate::report::{Answer, AuditReport};
use crate::round;
use crate::rule::AuditRule;
use crate::said::Said;
use crate::source::Source;

/// How transcript files end.
pub const TRANSCRIPT_EXTENSION: &str = "dawn";
use crate::witness::{CHECKPOINT_FILE, NO_CHECKPOINT, Shown};

/// What the log is called in a report.
const LOG: &str = "the log";

/// The name of the log in a directory.
pub const LOG_FILE: &str = "log.dawnlog";

/// What the auditor brings itself.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Digest of the founding document. Without it the one in the first transcript is trusted, and
    /// the report says so.
    pub federation: Option<Digest>,
    /// Most bytes that the audit of a running service may write to the disk; none means
    /// [`DEFAULT_MAX_BYTES`].
    pub max_bytes: Option<u64>,
    /// What is executed again.
    pub mode: Mode,
    /// The folder with the payloads and answers of transcripts that are without; none means the folder
    /// [`crate::source::PAYLOADS_FOLDER`] beside each.
    pub payloads: Option<PathBuf>,
}

/// What an audit executes again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Everything.
    #[default]
    Full,
    /// Nothing: signatures and digests alone are checked, payloads and answers are not looked into. The report says what
    /// was left out.
    Light,
}

/// What a running service may make an auditor keep when nothing else is said: 64 GiB.
pub const DEFAULT_MAX_BYTES: u64 = 64 << 30;

/// Why there is no report. Says nothing about any party.
#[derive(Debug, Error)]
pub enum AuditError {
    /// A file or directory cannot be read.
    #[error("{path}: {source}")]
    Unreadable {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A transcript is without its payloads, and one of them is not beside it.
    #[error(
        "{path}: this transcript is without payloads, and {part} is not there: name the folder that has them (--payloads); without them there is only a light audit (dawn audit verify --light)"
    )]
    PartMissing {
        /// The transcript.
        path: PathBuf,
        /// Where the part should be.
        part: PathBuf,
    },
    /// What is beside a transcript is not what it should be.
    #[error("{0}: this is not what its name says")]
    PartWrong(PathBuf),
    /// There is nothing to audit.
    #[error("{0}: no transcript (*.dawn) is here")]
    Nothing(PathBuf),
    /// The service has more to show than may be kept. What there is was not audited to its end.
    #[error(
        "the service has more than {0} bytes to show: allow more (--max-bytes), or audit single tasks"
    )]
    TooMuch(u64),
    /// The service could not be asked.
    #[error("the service cannot be asked: {0}")]
    Service(#[from] TransportError),
}

/// Audits one transcript.
///
/// # Errors
/// Those of the reader.
pub fn verify_transcript<R: Read + Seek>(
    input: &mut R,
    options: &Options,
) -> Result<AuditReport, io::Error> {
    let mut audit = Audit::new(options);
    audit.transcript("the transcript", input)?;
    Ok(audit.finish())
}

/// Audits a file, or a directory: all its transcripts in the order of their rounds, and its log.
///
/// # Errors
/// [`AuditError`] when there is nothing to read.
pub fn verify_path(path: &Path, options: &Options) -> Result<AuditReport, AuditError> {
    let mut audit = Audit::new(options);
    let at = |path: &Path| {
        let path = path.to_owned();
        move |source| AuditError::Unreadable { path, source }
    };
    if !path.is_dir() {
        audit
            .transcript(
                &path.display().to_string(),
                &mut Source::open(path, options)?,
            )
            .map_err(at(path))?;
        return Ok(audit.finish());
    }
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path).map_err(at(path))? {
        let file = entry.map_err(at(path))?.path();
        if file
            .extension()
            .is_some_and(|extension| extension == TRANSCRIPT_EXTENSION)
        {
            files.push(file);
        }
    }
    if files.is_empty() {
        return Err(AuditError::Nothing(path.to_owned()));
    }
    for file in in_order(files)? {
        let mut input = Source::open(&file, options)?;
        let name = file
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        audit.transcript(&name, &mut input).map_err(at(&file))?;
    }
    let checkpoint = path.join(CHECKPOINT_FILE);
    match File::open(&checkpoint) {
        Ok(file) => audit.checkpoint(file).map_err(at(&checkpoint))?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(at(&checkpoint)(error)),
    }
    let log = path.join(LOG_FILE);
    match File::open(&log) {
        Ok(file) => audit.log(file).map_err(at(&log))?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => audit.unchecked_first(
            "there is no log here: whether every statement is in it is not known".to_owned(),
        ),
        Err(error) => return Err(at(&log)(error)),
    }
    Ok(audit.finish())
}

/// Sorts files by task and round. One that does not say what it is about is audited first, which
/// tells what is wrong with it.
fn in_order(files: Vec<PathBuf>) -> Result<Vec<PathBuf>, AuditError> {
    let mut sorted: Vec<(Option<RoundId>, PathBuf)> = Vec::new();
    for file in files {
        let unreadable = |source| AuditError::Unreadable {
            path: file.clone(),
            source,
        };
        let input = File::open(&file).map_err(unreadable)?;
        let round = match round::peek_round(input) {
            Ok(round) => Some(round),
            Err(Stop::Broken(_)) => None,
            Err(Stop::Unreadable(error)) => return Err(unreadable(error)),
        };
        sorted.push((round, file));
    }
    sorted.sort();
    Ok(sorted.into_iter().map(|(_, file)| file).collect())
}

/// An audit under way: transcripts in order, then the log.
pub(crate) struct Audit {
    pin: Option<Digest>,
    federation: Option<VerifiedFederation>,
    pub(crate) chain: Chain,
    said: Vec<(String, Said)>,
    /// The checkpoint's bytes, when one was shown.
    checkpoint: Option<Vec<u8>>,
    report: AuditReport,
}

impl Audit {
    pub(crate) fn new(options: &Options) -> Self {
        let pin = options.federation;
        Self {
            pin,
            federation: None,
            chain: Chain::default(),
            said: Vec::new(),
            checkpoint: None,
            report: AuditReport {
                answer: Answer::Pass,
                finding: None,
                place: None,
                about: None,
                federation: pin,
                federation_pinned: pin.is_some(),
                rounds: Vec::new(),
                log: None,
                unchecked: Vec::new(),
                mode: options.mode,
                transcripts: Vec::new(),
            },
        }
    }

    /// Whether a rule was found broken; nothing further is looked at.
    pub(crate) fn failed(&self) -> bool {
        self.report.finding.is_some()
    }

    /// Audits the next transcript.
    pub(crate) fn transcript<R: Read + Seek>(
        &mut self,
        place: &str,
        input: &mut R,
    ) -> Result<(), io::Error> {
        if self.failed() {
            return Ok(());
        }
        if self.federation.is_none() {
            self.learn_federation(input)?;
        }
        let mut said = Said::default();
        let mode = self.report.mode;
        let audited = round::audit(input, self.pin.as_ref(), mode, &mut self.chain, &mut said);
        self.report.transcripts.push(audited.digest);
        match audited.report {
            Ok(round) => {
                let id = RoundId::new(round.task, round.number);
                self.report.rounds.push(round);
                self.said
                    .push((format!("the transcript of round {id}"), said));
            }
            Err(stop) => {
                let round = said.round.map(|round| format!(" of round {}", round.id));
                let about = match audited.digest {
                    Some(digest) => format!("transcript {digest}{}", round.unwrap_or_default()),
                    None => format!(
                        "transcript {}, which is damaged",
                        self.report.transcripts.len()
                    ),
                };
                self.stop(place, &about, stop)?;
            }
        }
        Ok(())
    }

    /// Takes the checkpoint that the log is compared with; before the log.
    pub(crate) fn checkpoint<R: Read>(&mut self, input: R) -> Result<(), io::Error> {
        let mut bytes = Vec::new();
        // One that is longer is refused when it is read.
        input
            .take(MAX_NOTE_BYTES as u64 + 1)
            .read_to_end(&mut bytes)?;
        self.checkpoint = Some(bytes);
        Ok(())
    }

    /// Audits the log; after all transcripts.
    pub(crate) fn log<R: Read>(&mut self, input: R) -> Result<(), io::Error> {
        let (false, Some(federation)) = (self.failed(), &self.federation) else {
            return Ok(());
        };
        let checkpoint = self.checkpoint.as_deref();
        let shown = match checkpoint
            .map(|bytes| Shown::read(bytes, federation))
            .transpose()
        {
            Ok(shown) => shown,
            Err(finding) => return self.stop(LOG, LOG, finding.into()),
        };
        let at = shown.as_ref().map(|shown| shown.checkpoint.size);
        let transcripts = self.said.iter().map(|(_, said)| said);
        let found = log::read(input, federation, at, transcripts).and_then(|log| {
            let check = |shown: &Shown| shown.check(&log);
            let witnesses = shown.as_ref().map(check).transpose()?;
            // Registrations, the task and ends of rounds stand in several transcripts: counted once.
            let mut found = BTreeSet::new();
            for (place, said) in &self.said {
                log.agrees(place, said)?;
                found.extend(said.statements().iter().map(|said| said.leaf));
            }
            Ok((log.report(found.len(), witnesses), log.ended()))
        });
        match found {
            Ok((report, ended)) => {
                match &report.witnesses {
                    None => self.unchecked_first(NO_CHECKPOINT.to_owned()),
                    Some(witnesses) if !witnesses.enough() => self.unchecked_first(format!(
                        "the checkpoint of {} entries has the cosignatures of {} stewards, fewer than T: {NO_CHECKPOINT}",
                        witnesses.size, witnesses.cosigned
                    )),
                    Some(_) => {}
                }
                self.report.log = Some(report);
                let absent = ended.iter().filter(|round| !self.has(round)).count();
                if absent > 0 {
                    self.unchecked_first(format!(
                        "{absent} rounds are over, as the log says, and have no transcript here"
                    ));
                }
                for round in ended {
                    if !self.has(&round) {
                        self.unchecked(format!(
                            "round {round}: it is over, as the log says, and its transcript is not here"
                        ));
                    }
                }
            }
            Err(stop) => self.stop(LOG, LOG, stop)?,
        }
        Ok(())
    }

    /// The rounds that the log says are over; none when the log is broken, which [`Audit::log`] tells.
    pub(crate) fn ended<R: Read>(&self, input: R) -> Result<BTreeSet<RoundId>, io::Error> {
        let Some(federation) = &self.federation else {
            return Ok(BTreeSet::new());
        };
        match log::read(input, federation, None, std::iter::empty()) {
            Ok(log) => Ok(log.ended()),
            Err(Stop::Broken(_)) => Ok(BTreeSet::new()),
            Err(Stop::Unreadable(error)) => Err(error),
        }
    }

    /// Whether a round was audited and found in order.
    pub(crate) fn has(&self, round: &RoundId) -> bool {
        let mut rounds = self.report.rounds.iter();
        rounds.any(|audited| (audited.task, audited.number) == (round.task, round.number))
    }

    /// A round that is over and of which nothing is shown: what it did cannot be audited, nor anything after it.
    pub(crate) fn withheld(&mut self, round: &RoundId) {
        self.fail(
            "the service",
            Finding::new(
                AuditRule::Log,
                Party::Provider,
                format_args!(
                    "round {round} is over, as the log says, and there is no transcript of it"
                ),
            ),
        );
    }

    /// A transcript that goes on after the longest that its task can have.
    pub(crate) fn endless(&mut self, round: &RoundId, most: u64) {
        let detail = format_args!("more than {most} bytes, which no transcript of its task has");
        let finding = Finding::new(AuditRule::Container, Party::Provider, detail);
        self.fail(&format!("the transcript of round {round}"), finding);
    }

    /// Whether a federation is known yet: the first transcript tells.
    pub(crate) fn knows_federation(&self) -> bool {
        self.federation.is_some()
    }

    /// Takes the federation from elsewhere when there is no transcript to tell it.
    pub(crate) fn found(&mut self, document: &FoundingDocument) {
        let verified = match &self.pin {
            Some(pin) => document.verify_pinned(pin),
            None => document.verify(),
        };
        match verified {
            Ok(federation) => {
                self.report.federation = Some(federation.digest());
                self.pin.get_or_insert(federation.digest());
                self.federation = Some(federation);
            }
            Err(error) => {
                let finding = Finding::new(AuditRule::Federation, Party::Provider, error);
                self.fail("the founding document", finding);
            }
        }
    }

    /// Notes what could not be checked of everything, before what could not be checked of single rounds: a signed report has
    /// room for so many remarks only.
    pub(crate) fn unchecked_first(&mut self, what: String) {
        self.chain.unchecked().insert(0, what);
    }

    /// A round that is over, and the service failed when it was asked for it: nothing is known of it, and nothing passes.
    pub(crate) fn not_given(&mut self, round: &RoundId, error: &TransportError) {
        self.unchecked_first(format!(
            "round {round}: it is over, and the service does not give its transcript ({error})"
        ));
        if !self.failed() {
            self.report.answer = Answer::Incomplete;
        }
    }

    /// Notes something that could not be checked.
    pub(crate) fn unchecked(&mut self, what: String) {
        self.chain.unchecked().push(what);
    }

    pub(crate) fn finish(mut self) -> AuditReport {
        self.report.unchecked = std::mem::take(self.chain.unchecked());
        self.report
    }

    /// As [`Audit::finish`] for what came from the aggregator itself: then it is the provider.
    pub(crate) fn finish_from_aggregator(self) -> AuditReport {
        let mut report = self.finish();
        if let Some(finding) = &mut report.finding
            && finding.culprit == Party::Provider
        {
            finding.culprit = Party::Aggregator;
        }
        report
    }

    /// The federation of the first transcript is that of all of them.
    fn learn_federation<R: Read + Seek>(&mut self, input: &mut R) -> Result<(), io::Error> {
        let start = input.stream_position()?;
        let first = TranscriptReader::new(&mut *input).next_record();
        input.seek(io::SeekFrom::Start(start))?;
        // Whatever is wrong here, the audit of this transcript will say it.
        if let Ok(Some(Record::Founding(document))) = first
            && let Ok(federation) = document.verify()
        {
            self.report.federation = Some(self.pin.unwrap_or(federation.digest()));
            self.pin.get_or_insert(federation.digest());
            self.federation = Some(federation);
        }
        Ok(())
    }

    /// `about` says what `place` says without names of files.
    fn stop(&mut self, place: &str, about: &str, stop: Stop) -> Result<(), io::Error> {
        match stop {
            Stop::Unreadable(error) => Err(error),
            Stop::Broken(finding) => {
                self.fail(place, *finding);
                self.report.about = Some(about.to_owned());
                Ok(())
            }
        }
    }

    /// In a place that has no name of a file.
    fn fail(&mut self, place: &str, finding: Finding) {
        self.report.answer = Answer::Fail;
        self.report.finding = Some(finding);
        self.report.place = Some(place.to_owned());
        self.report.about.clone_from(&self.report.place);
    }
}
