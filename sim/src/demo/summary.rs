//! What a demo run reports: one row per round, one object for machines, one table for people.

use std::collections::BTreeMap;

use dawn_protocol::FederatedEvaluation;
use serde::Serialize;

/// One round of the demo.
#[derive(Clone, Debug, Serialize)]
pub struct RoundRow {
    /// Round number, from 1.
    pub round: u32,
    /// Submissions that the aggregator acknowledged.
    pub submitted: u32,
    /// Submissions inside the opened sum.
    pub accepted: u32,
    /// Acknowledged submissions that the verdict left out.
    pub rejected: u32,
    /// The same by the verdict's reason.
    pub rejections: BTreeMap<String, u32>,
    /// How the verdict decided about each kind of device: `honest`, or the name of its attack.
    pub verdicts: BTreeMap<String, BTreeMap<String, u32>>,
    /// Devices that never finished their upload in this round.
    pub dropped: u32,
    /// Accuracy of the new model on the held-out test set, 0..=1.
    pub accuracy: f64,
    /// Accuracy of the devices' own models (the new model, with their own layers in it where a task leaves layers to the devices)
    /// on samples that they held out; `None` where nobody holds anything out.
    pub accuracy_own: Option<f64>,
    /// What devices said of the model that the round started from, through the secure sum; `None` where the task does not ask.
    pub evaluation: Option<FederatedEvaluation>,
    /// Accuracy of the same training without masks, noise and attackers.
    pub accuracy_plain: f64,
    /// Accuracy of the same training when everything that is sent is added; `None` without attackers.
    pub accuracy_undefended: Option<f64>,
    /// Epsilon spent up to and including this round at the task's delta; `None` where it is not finite.
    pub epsilon: Option<f64>,
    /// Seconds from the first sealing key to the signed result.
    pub seconds: f64,
    /// Mean bytes of one upload (header, packages, payload).
    pub bytes_per_device: u64,
    /// `"opened"`, or why the round was given up.
    pub outcome: String,
    /// Stewards that were found to have opened wrongly.
    pub culprits: Vec<String>,
    /// Stewards whose answers to the challenge were found to be wrong.
    pub liars: Vec<String>,
    /// Milliseconds per phase: keying, endorsing, collecting, challenging, reporting, opening.
    pub phases_ms: Vec<(String, u64)>,
}

/// The whole run; the last line of standard output with `--json`.
#[derive(Clone, Debug, Serialize)]
pub struct DemoSummary {
    /// One entry per round.
    pub rounds: Vec<RoundRow>,
    /// How devices learnt together.
    pub way: String,
    /// Coordinates that a device sent.
    pub dimension: usize,
    /// Final accuracy on the held-out test set, 0..=1.
    pub accuracy: f64,
    /// Final accuracy of the devices' own models on samples that they held out.
    pub accuracy_own: Option<f64>,
    /// Final accuracy on people that took no part, where the data has people: that on the test set.
    pub accuracy_unseen: Option<f64>,
    /// The same after each of their devices has trained once on other samples of its own.
    pub accuracy_unseen_adapted: Option<f64>,
    /// What devices said in the last round of the model that it started from.
    pub evaluation: Option<FederatedEvaluation>,
    /// Mean bytes of one upload, over all rounds.
    pub bytes_per_device: u64,
    /// Final accuracy of the same training without masks, noise and attackers.
    pub accuracy_plain: f64,
    /// Final accuracy of the same training when everything that is sent is added; `None` without attackers.
    pub accuracy_undefended: Option<f64>,
    /// What malicious devices did.
    pub attack: Option<String>,
    /// Their share among the devices.
    pub byzantine: f64,
    /// What was asked of updates beside their norm.
    pub filter: Option<String>,
    /// Total epsilon at `delta`; `None` where it is not finite.
    pub epsilon: Option<f64>,
    /// The delta of `epsilon`, as the accountant counted it.
    pub delta: f64,
    /// Coordinates over all rounds in which the opened sum differs from the true sum of the accepted vectors.
    pub sum_errors: u64,
    /// Stewards in the roster.
    pub stewards: u32,
    /// Stewards that were killed for good during the run.
    pub stewards_offline: u32,
    /// `"PASS"`, or the first broken rule and who is to blame.
    pub audit: String,
    /// The folder with one transcript per round and the log.
    pub transcript: String,
    /// The HTML report.
    pub report: String,
    /// The folder with the logs of server and stewards.
    pub logs: String,
    /// Digest of the founding document, as hexadecimal digits: what a stranger gets from the organisations.
    pub federation: String,
    /// The shell command that audits the transcripts again.
    pub check: String,
    /// Data set, model and privacy target in words.
    pub setting: String,
    /// Seconds of the whole run.
    pub seconds: f64,
}

/// The header of the table that `dawn demo` prints while it runs.
pub fn table_header() -> String {
    format!(
        "{:>5} {:>9} {:>8} {:>8} {:>7} {:>8} {:>7} {:>7} {:>9} {:>7} {:>9}  {}",
        "round",
        "submitted",
        "accepted",
        "rejected",
        "dropped",
        "accuracy",
        "(own)",
        "(plain)",
        "epsilon",
        "seconds",
        "KB/device",
        "outcome"
    )
}

impl RoundRow {
    /// One line of the table.
    pub fn line(&self) -> String {
        format!(
            "{:>5} {:>9} {:>8} {:>8} {:>7} {:>7.1}% {:>7} {:>6.1}% {:>9} {:>7.1} {:>9.1}  {}",
            self.round,
            self.submitted,
            self.accepted,
            self.rejected,
            self.dropped,
            100.0 * self.accuracy,
            percent_text(self.accuracy_own),
            100.0 * self.accuracy_plain,
            epsilon_text(self.epsilon),
            self.seconds,
            self.bytes_per_device as f64 / 1000.0,
            self.outcome_text()
        )
    }

    /// How the round ended, and why submissions were rejected.
    pub fn outcome_text(&self) -> String {
        let mut text = self.outcome.clone();
        if let Some(evaluation) = &self.evaluation
            && let Some((accuracy, deviation)) =
                evaluation.accuracy.zip(evaluation.accuracy_deviation)
        {
            text.push_str(&format!(
                "; devices measured {:.1} +- {:.1} % before it",
                100.0 * accuracy,
                100.0 * deviation
            ));
        }
        for (reason, count) in &self.rejections {
            text.push_str(&format!(", {count} {reason}"));
        }
        for liar in &self.liars {
            text.push_str(&format!(", wrong answers from {liar}"));
        }
        for culprit in &self.culprits {
            text.push_str(&format!(", wrong opening from {culprit}"));
        }
        text
    }
}

/// A share for people: a percentage, or a dash where there is none.
pub fn percent_text(share: Option<f64>) -> String {
    share.map_or_else(|| "-".into(), |share| format!("{:.1}%", 100.0 * share))
}

/// Epsilon for people: two decimals, or a dash where it is not finite.
pub fn epsilon_text(epsilon: Option<f64>) -> String {
    match epsilon {
        Some(value) if value < 1000.0 => format!("{value:.2}"),
        Some(value) => format!("{value:.1e}"),
        None => "-".into(),
    }
}
