//! Judging a round again, from what all stewards answered (`docs/protocol.md`, section 4.6).
//!
//! The answers of the other stewards are fetched into files and examined submission by submission, on all cores. The
//! public scalars are the aggregator's word here; [`crate::recomputing`] comes after.

use std::fs::File;
use std::io::BufReader;
use std::path::PathBuf;

use dawn_crypto::norm::Answer;
use dawn_identity::{Digest, Signed};
use dawn_protocol::answers::{AnswerCursor, AnswersError, Scalars, scalars_digest};
use dawn_protocol::violation::{Culprit, Rule, Violation};
use dawn_protocol::{Finding, Judged, Outcome, PackageReport, RoundChallenged, RoundId, Verdict};

use crate::answers::ScratchFile;
use crate::error::{Refusal, StewardError};
use crate::parallel;
use crate::vault::VaultError;

/// Submissions that are examined together: bounds the answers in memory.
const PAGE: usize = 256;

/// What this steward has of the round itself.
#[derive(Debug)]
pub(crate) struct Own {
    /// What was asked for.
    pub(crate) request: Digest,
    pub(crate) point: u8,
    pub(crate) outcomes: Vec<Outcome>,
    /// The file of its own answers.
    pub(crate) answers: Option<PathBuf>,
}

/// A verdict that is being judged again. It needs, in any order, the scalars and the answers of other stewards.
pub struct ExamineWork {
    challenged: RoundChallenged,
    reports: Vec<Signed<PackageReport>>,
    /// Of the reports, increasing.
    points: Vec<u8>,
    verdict: Signed<Verdict>,
    own: Own,
    scalars: Option<Scalars>,
    /// One a report.
    answers: Vec<Option<Source>>,
}

enum Source {
    Own(PathBuf),
    Fetched(ScratchFile),
}

/// The answers of another steward that are needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WantedAnswers {
    /// Their digest.
    pub digest: Digest,
    /// Their exact length.
    pub bytes: u64,
    report: usize,
}

impl std::fmt::Debug for ExamineWork {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let reports = self.reports.len();
        write!(f, "ExamineWork({}, {reports} reports)", self.round())
    }
}

impl ExamineWork {
    /// Verifies what a wrong aggregator is told apart by at once.
    pub(crate) fn new(
        challenged: RoundChallenged,
        reports: &[Signed<PackageReport>],
        verdict: &Signed<Verdict>,
        own: Own,
    ) -> Result<Self, Refusal> {
        let mut points: Vec<u8> = Vec::with_capacity(reports.len());
        for report in reports {
            let point = challenged.verify_report(report)?;
            Violation::unless(
                points.last().is_none_or(|last| *last < point),
                Culprit::Aggregator,
                Rule::VerdictReports,
                "the reports are not of distinct stewards in increasing point",
            )?;
            points.push(point);
        }
        let digests = reports.iter().map(Signed::body_digest);
        Violation::unless(
            digests.eq(verdict.peek().reports.iter().copied()),
            Culprit::Aggregator,
            Rule::VerdictReports,
            "the verdict names other reports",
        )?;
        let source = |point: &u8| {
            let own = own.answers.clone().filter(|_| *point == own.point);
            own.map(Source::Own)
        };
        Ok(Self {
            answers: points.iter().map(source).collect(),
            reports: reports.to_vec(),
            points,
            verdict: verdict.clone(),
            own,
            scalars: None,
            challenged,
        })
    }

    /// The round.
    pub fn round(&self) -> RoundId {
        self.challenged.round_id()
    }

    /// The number of submissions whose scalars are needed; `None` when they are there.
    pub fn wanted_scalars(&self) -> Option<u32> {
        let count = self.challenged.round_closed().closed().count;
        self.scalars.is_none().then_some(count)
    }

    /// Takes the scalars of all submissions.
    ///
    /// # Errors
    /// [`Rule::Scalars`] when they are not those that the verdict names.
    pub fn scalars(&mut self, bytes: &[u8]) -> Result<(), Refusal> {
        Violation::unless(
            scalars_digest(bytes) == self.verdict.peek().scalars,
            Culprit::Aggregator,
            Rule::Scalars,
            "the scalars are not those that the verdict names",
        )?;
        let scalars = self.challenged.scalars(bytes);
        self.scalars = Some(scalars.map_err(|error| error.by_aggregator())?);
        Ok(())
    }

    /// The next answers that are needed; `None` when all are there.
    pub fn wanted_answers(&self) -> Option<WantedAnswers> {
        let report = self.answers.iter().position(Option::is_none)?;
        let statement = self.reports[report].peek();
        Some(WantedAnswers {
            digest: statement.answers,
            bytes: self.challenged.answers_len(&statement.outcomes) as u64,
            report,
        })
    }

    /// Takes the answers that were [wanted](Self::wanted_answers). They are read in [`StewardState::begin_scalars`].
    ///
    /// # Errors
    /// [`Rule::Answers`] when they have another length.
    ///
    /// [`StewardState::begin_scalars`]: crate::StewardState::begin_scalars
    pub fn answers(
        &mut self,
        wanted: WantedAnswers,
        file: ScratchFile,
    ) -> Result<(), StewardError> {
        let bytes = file.path().metadata().map_err(VaultError::from)?.len();
        Violation::unless(
            bytes == wanted.bytes,
            Culprit::Aggregator,
            Rule::Answers,
            "the answers of a steward have another length",
        )?;
        self.answers[wanted.report] = Some(Source::Fetched(file));
        Ok(())
    }

    /// Examines every submission, and adopts the verdict when it is the one that follows.
    pub(crate) fn judge(self) -> Result<(Judged, Own, Scalars), StewardError> {
        let missing = Refusal::NotExamined(self.round());
        let Some(scalars) = &self.scalars else {
            return Err(missing.into());
        };
        let mut readers = Vec::with_capacity(self.reports.len());
        for (report, source) in self.reports.iter().zip(&self.answers) {
            let path = match source {
                Some(Source::Own(path)) => path,
                Some(Source::Fetched(file)) => file.path(),
                None => return Err(missing.into()),
            };
            let file = BufReader::new(File::open(path).map_err(VaultError::from)?);
            let outcomes = &report.peek().outcomes;
            readers.push(AnswerCursor::new(
                self.challenged.proof_params(),
                outcomes,
                file,
            ));
        }
        let count = self.challenged.round_closed().roll().len();
        let mut findings: Vec<Finding> = Vec::with_capacity(count);
        while findings.len() < count {
            let last = count.min(findings.len() + PAGE);
            let mut page: Vec<(usize, Vec<(u8, Answer)>)> = Vec::with_capacity(PAGE);
            for index in findings.len()..last {
                let mut answers = Vec::with_capacity(readers.len());
                for (point, reader) in self.points.iter().zip(&mut readers) {
                    let answer = reader.next_answer();
                    let answer = answer.map_err(|error| self.wrong_answers(*point, error))?;
                    answers.extend(answer.map(|answer| (*point, answer)));
                }
                page.push((index, answers));
            }
            findings.extend(parallel::map(&page, |(index, answers)| {
                let scalars = scalars.get(*index).unwrap_or_default();
                self.challenged.examine(*index, answers, scalars)
            }));
        }
        for ((point, reader), report) in self.points.iter().zip(readers).zip(&self.reports) {
            let same = reader.finish(&report.peek().answers);
            same.map_err(|error| self.wrong_answers(*point, error))?;
        }
        self.log_lies(&findings);
        let digest = self.verdict.peek().scalars;
        let judged = self
            .challenged
            .adopt(&self.reports, &findings, digest, &self.verdict)?;
        let scalars = self.scalars.ok_or(missing)?;
        Ok((judged, self.own, scalars))
    }

    fn wrong_answers(&self, point: u8, error: AnswersError) -> StewardError {
        match error {
            AnswersError::Io(error) => VaultError::from(error).into(),
            _ if point == self.own.point && self.own.answers.is_some() => {
                VaultError::Damaged("the answers of a round").into()
            }
            // Only answers that are whole may be judged.
            error => error.by(Culprit::Aggregator).into(),
        }
    }

    fn log_lies(&self, findings: &[Finding]) {
        for point in &self.points {
            let lies = findings.iter().filter(|finding| finding.lies(*point));
            let (lies, steward) = (lies.count(), self.challenged.steward_id(*point));
            if let (1.., Some(steward)) = (lies, steward) {
                tracing::warn!(round = %self.round(), %steward, submissions = lies, "a steward answered wrongly");
            }
        }
    }
}
