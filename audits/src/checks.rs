//! What became of every rule in an audit.

use serde::{Deserialize, Serialize};

use crate::report::AuditReport;
use crate::rule::AuditRule;
use crate::verify::Mode;

/// What is known of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Check {
    /// It was checked and holds.
    Holds,
    /// It was checked and does not hold.
    Broken,
    /// It could not be checked with what was there, or in this mode.
    Unchecked,
    /// A rule before it is broken: it was not looked at to its end.
    NotReached,
    /// None of the rounds came to what it is about.
    Absent,
}

/// The rules in the order in which they are checked (docs/audit.md, section 3).
const ORDER: [AuditRule; 22] = [
    AuditRule::Container,
    AuditRule::Federation,
    AuditRule::Roster,
    AuditRule::Task,
    AuditRule::Continuity,
    AuditRule::RoundSpec,
    AuditRule::Endorsements,
    AuditRule::Submissions,
    AuditRule::Payloads,
    AuditRule::Closed,
    AuditRule::Challenge,
    AuditRule::Reports,
    AuditRule::Answers,
    AuditRule::Scalars,
    AuditRule::Verdict,
    AuditRule::Budget,
    AuditRule::Openings,
    AuditRule::Sum,
    AuditRule::Result,
    AuditRule::Model,
    AuditRule::Abort,
    AuditRule::Log,
];

/// What a light audit does not look at.
pub(crate) const HEAVY: [AuditRule; 5] = [
    AuditRule::Payloads,
    AuditRule::Scalars,
    AuditRule::Verdict,
    AuditRule::Sum,
    AuditRule::Model,
];

impl AuditReport {
    /// Every rule, by number, with what became of it.
    pub fn checks(&self) -> Vec<(AuditRule, Check)> {
        AuditRule::ALL
            .iter()
            .map(|rule| (*rule, self.check(*rule)))
            .collect()
    }

    fn check(&self, rule: AuditRule) -> Check {
        let place = |rule| ORDER.iter().position(|other| *other == rule);
        if let Some(finding) = &self.finding {
            if finding.rule == rule {
                return Check::Broken;
            }
            if place(rule) > place(finding.rule) {
                return Check::NotReached;
            }
        }
        let light = self.mode == Mode::Light;
        let any_aborted = self.rounds.iter().any(|round| round.aborted.is_some());
        match rule {
            AuditRule::Federation if !self.federation_pinned => Check::Unchecked,
            AuditRule::Log if self.log.is_none() => Check::Unchecked,
            AuditRule::Abort if light && any_aborted => Check::Unchecked,
            rule if light && HEAVY.contains(&rule) => Check::Unchecked,
            // What follows needs a round that came so far; the round that failed did.
            _ if self.finding.is_some() => Check::Holds,
            AuditRule::Abort if !any_aborted => Check::Absent,
            AuditRule::Sum | AuditRule::Result
                if self.rounds.iter().all(|round| round.aborted.is_some()) =>
            {
                Check::Absent
            }
            AuditRule::Verdict | AuditRule::Openings | AuditRule::Scalars
                if self
                    .rounds
                    .iter()
                    .all(|round| round.spent_micro_rho.is_none()) =>
            {
                Check::Absent
            }
            _ => Check::Holds,
        }
    }
}
