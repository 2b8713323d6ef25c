//! What an audit found, for people and as JSON.

use std::collections::BTreeMap;
use std::fmt;

use dawn_crypto::digest::Digest;
use dawn_identity::{OrgId, StewardId, TaskId};
use dawn_protocol::{
    AbortReason, FederatedEvaluation, Judged, Opened, RoundChallenged, RoundId, TaskContext,
    Verdict,
};
use serde::{Deserialize, Serialize};

use crate::details::RoundDetails;
use crate::finding::Finding;
use crate::preamble::Preamble;
use crate::verify::Mode;

/// The answer of an audit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Answer {
    /// Every rule holds.
    Pass,
    /// A rule is broken.
    Fail,
    /// No rule was found broken, and the service did not give everything that is over: it failed when it was asked. Nothing
    /// is known of that, and the answer is no PASS.
    Incomplete,
}

/// What an audit found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AuditReport {
    /// PASS or FAIL.
    pub answer: Answer,
    /// The first broken rule and the party to blame.
    pub finding: Option<Finding>,
    /// The file or round in which it was found.
    pub place: Option<String>,
    /// The same without names of files: the transcript by its round and its digest. For what is handed on.
    #[serde(default)]
    pub about: Option<String>,
    /// Digest of the founding document that everything was checked against.
    pub federation: Option<Digest>,
    /// Whether that digest was given to the auditor. Otherwise it trusts the transcript's own.
    pub federation_pinned: bool,
    /// The rounds that were audited and found in order, in order.
    pub rounds: Vec<RoundReport>,
    /// The log that the statements were found in.
    pub log: Option<LogReport>,
    /// What could not be checked with what was there.
    pub unchecked: Vec<String>,
    /// What was executed again.
    #[serde(default)]
    pub mode: Mode,
    /// The digests at the end of the transcripts that were looked at, in that order; none where a file is damaged.
    #[serde(default)]
    pub transcripts: Vec<Option<Digest>>,
}

/// What became of one round.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RoundReport {
    /// The task.
    pub task: TaskId,
    /// The round's number.
    pub number: u32,
    /// Why there is no result; none: there is one.
    pub aborted: Option<String>,
    /// Submissions in the transcript.
    pub submitted: usize,
    /// Submissions of devices in the sum.
    pub accepted: u32,
    /// Stewards whose noise is in the sum.
    #[serde(default)]
    pub noise: u32,
    /// How many submissions were left out, by reason.
    pub rejected: BTreeMap<String, u32>,
    /// How many submissions are in the sum, by organisation.
    pub organisations: BTreeMap<OrgId, u32>,
    /// Stewards that answered wrongly about a submission, as the verdict names them.
    pub lying_stewards: Vec<StewardId>,
    /// Stewards whose answers to the verdict were wrong. The round opened in spite of them.
    pub wrong_stewards: Vec<StewardId>,
    /// What the round cost, in micro-rho.
    pub charge_micro_rho: u64,
    /// What the task has spent with it, as far as a verdict says.
    pub spent_micro_rho: Option<u64>,
    /// The epsilon of that at the task's delta; none when it is not finite or not known.
    pub epsilon: Option<f64>,
    /// What devices say of the model that the round started from, from the recomputed sum; none where the task does not ask.
    #[serde(default)]
    pub evaluation: Option<FederatedEvaluation>,
    /// Digest of the opened sum, recomputed.
    pub sum: Option<Digest>,
    /// The model that the round started from.
    pub model: Digest,
    /// The model that the next round starts from.
    pub next_model: Digest,
    /// Who took part, and when.
    #[serde(default)]
    pub details: RoundDetails,
}

/// The log under its signed head.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogReport {
    /// Number of entries.
    pub size: u64,
    /// Root over them, recomputed.
    pub root: Digest,
    /// Different statements of the audited rounds, all of them found in it. What is said once and
    /// stands in many transcripts counts once.
    pub statements_found: usize,
    /// Who stands behind the log besides its own key; none when no checkpoint was shown.
    #[serde(default)]
    pub witnesses: Option<Witnesses>,
}

/// A checkpoint of the log that is here, and who has cosigned it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Witnesses {
    /// Number of entries at the checkpoint.
    pub size: u64,
    /// Stewards of the newest roster that have cosigned it.
    pub cosigned: usize,
    /// The roster's T; none when the log has no roster that verifies.
    pub needed: Option<u8>,
}

impl Witnesses {
    /// Whether T stewards stand behind the checkpoint.
    pub fn enough(&self) -> bool {
        self.needed
            .is_some_and(|needed| self.cosigned >= usize::from(needed))
    }
}

impl RoundReport {
    pub(crate) fn new(preamble: &Preamble, round: RoundId) -> Self {
        Self {
            task: round.task,
            number: round.number,
            aborted: None,
            submitted: 0,
            accepted: 0,
            noise: 0,
            rejected: BTreeMap::new(),
            organisations: BTreeMap::new(),
            lying_stewards: Vec::new(),
            wrong_stewards: Vec::new(),
            charge_micro_rho: 0,
            spent_micro_rho: None,
            epsilon: None,
            evaluation: None,
            sum: None,
            model: preamble.model_digest,
            next_model: preamble.model_digest,
            details: RoundDetails::default(),
        }
    }

    pub(crate) fn aborted(&mut self, reason: AbortReason) {
        self.aborted = Some(reason.name().to_owned());
    }

    pub(crate) fn judged(&mut self, judged: &Judged) {
        self.claimed(judged.round_challenged(), judged.verdict());
    }

    /// What a verdict says, whether or not it was judged again.
    pub(crate) fn claimed(&mut self, round: &RoundChallenged, verdict: &Verdict) {
        self.charge_micro_rho = verdict.charge_micro_rho;
        self.spent_micro_rho = Some(verdict.spent_micro_rho);
        let entries = round.round_closed().roll().entries();
        for (entry, decision) in entries.iter().zip(&verdict.decisions) {
            if *decision == dawn_protocol::Decision::Accepted {
                *self.organisations.entry(entry.org).or_default() += 1;
            } else if decision.is_summed() {
                self.noise += 1;
            } else {
                *self.rejected.entry(decision.name().to_owned()).or_default() += 1;
            }
        }
        self.accepted = verdict.accepted_count();
        let liars = verdict.liars.iter();
        self.lying_stewards = liars.filter_map(|point| round.steward_id(*point)).collect();
    }

    pub(crate) fn opened(&mut self, opened: &Opened, next_model: Digest) {
        self.wrong_stewards = opened.culprits().to_vec();
        self.sum = Some(opened.sum_digest());
        self.evaluation = opened
            .evaluation()
            .and_then(|sum| sum.shown(opened.task(), self.accepted, self.noise));
        self.next_model = next_model;
    }

    pub(crate) fn finish(&mut self, context: &TaskContext) {
        self.epsilon = self
            .spent_micro_rho
            .and_then(|spent| context.epsilon(spent));
    }
}

impl AuditReport {
    /// Whether every rule holds, of everything that there is.
    pub fn passed(&self) -> bool {
        self.answer == Answer::Pass
    }

    /// The answer when no rule was found broken.
    fn unbroken(&self) -> &'static str {
        match (self.answer, self.mode) {
            (Answer::Incomplete, _) => "INCOMPLETE: the service did not give everything",
            (_, Mode::Light) => "PASS (light)",
            (_, Mode::Full) => "PASS",
        }
    }

    /// `PASS`, or the number of the first broken rule and the party to blame: one line.
    pub fn summary(&self) -> String {
        match &self.finding {
            None => self.unbroken().to_owned(),
            Some(finding) => format!("FAIL {} by {}", finding.rule.number(), finding.culprit),
        }
    }

    /// The whole report as JSON.
    ///
    /// # Errors
    /// None that a caller could cause; the serialiser's type says otherwise.
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string_pretty(self)
    }
}

impl fmt::Display for AuditReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(federation) = &self.federation {
            let trust = if self.federation_pinned {
                "pinned"
            } else {
                "NOT pinned: taken from the transcript itself"
            };
            writeln!(f, "federation {federation} ({trust})")?;
        }
        for round in &self.rounds {
            round.write(f, self.mode)?;
            writeln!(f)?;
        }
        if let Some(log) = &self.log {
            writeln!(
                f,
                "log: {} entries under root {}; the {} different statements of these rounds are all in it",
                log.size, log.root, log.statements_found
            )?;
            if let Some(witnesses) = log.witnesses.filter(Witnesses::enough) {
                let (size, cosigned) = (witnesses.size, witnesses.cosigned);
                writeln!(
                    f,
                    "log: {cosigned} stewards have cosigned its first {size} entries"
                )?;
            }
        }
        for unchecked in &self.unchecked {
            writeln!(f, "not checked: {unchecked}")?;
        }
        match &self.finding {
            None => f.write_str(self.unbroken()),
            Some(finding) => {
                writeln!(f, "FAIL {}", finding.rule)?;
                if let Some(place) = &self.place {
                    writeln!(f, "  in       {place}")?;
                }
                writeln!(f, "  because  {}", finding.detail)?;
                write!(f, "  to blame {}", finding.culprit)
            }
        }
    }
}

impl fmt::Display for RoundReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, Mode::Full)
    }
}

impl RoundReport {
    /// In words; a light audit does not know whether a steward that the aggregator accuses did it.
    fn write(&self, f: &mut fmt::Formatter<'_>, mode: Mode) -> fmt::Result {
        let word = match mode {
            Mode::Full => "",
            Mode::Light => " (not checked)",
        };
        let round = RoundId::new(self.task, self.number);
        match &self.aborted {
            Some(reason) => write!(
                f,
                "round {round}: aborted ({reason}), {} submitted",
                self.submitted
            )?,
            None => write!(
                f,
                "round {round}: {} submitted, {} accepted of {} organisations",
                self.submitted,
                self.accepted,
                self.organisations.len()
            )?,
        }
        for (reason, count) in &self.rejected {
            write!(f, ", {count} {reason}")?;
        }
        for steward in &self.lying_stewards {
            write!(f, ", lie of steward {steward} about a submission{word}")?;
        }
        for steward in &self.wrong_stewards {
            write!(f, ", wrong answer of steward {steward}{word}")?;
        }
        if let Some(evaluation) = &self.evaluation
            && let Some((accuracy, deviation)) =
                evaluation.accuracy.zip(evaluation.accuracy_deviation)
        {
            let (accuracy, deviation) = (100.0 * accuracy, 100.0 * deviation);
            write!(f, ", devices measured {accuracy:.2} +- {deviation:.2} %")?;
        }
        match self.epsilon {
            Some(epsilon) => write!(f, ", epsilon {epsilon:.3}"),
            None => Ok(()),
        }
    }
}
