//! What became of every rule in an audit.

use dawn_protocol::AbortReason;
use serde::{Deserialize, Serialize};

use crate::report::{AuditReport, RoundReport};
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
pub(crate) const HEAVY: [AuditRule; 7] = [
    AuditRule::Payloads,
    AuditRule::Scalars,
    AuditRule::Verdict,
    AuditRule::Openings,
    AuditRule::Sum,
    AuditRule::Result,
    AuditRule::Model,
];

/// How far a round comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Begun,
    Specified,
    Announced,
    Closed,
    Challenged,
    Judged,
    Opened,
}

impl Stage {
    /// What a rule about rounds needs; none for rules about what is before and around them.
    fn needed(rule: AuditRule) -> Option<Self> {
        match rule {
            AuditRule::Container
            | AuditRule::Federation
            | AuditRule::Roster
            | AuditRule::Task
            | AuditRule::Abort
            | AuditRule::Log => None,
            AuditRule::Continuity | AuditRule::Model => Some(Self::Begun),
            AuditRule::RoundSpec => Some(Self::Specified),
            AuditRule::Endorsements | AuditRule::Submissions | AuditRule::Payloads => {
                Some(Self::Announced)
            }
            AuditRule::Closed => Some(Self::Closed),
            AuditRule::Challenge | AuditRule::Reports | AuditRule::Answers => {
                Some(Self::Challenged)
            }
            AuditRule::Verdict | AuditRule::Scalars | AuditRule::Budget | AuditRule::Openings => {
                Some(Self::Judged)
            }
            AuditRule::Sum | AuditRule::Result => Some(Self::Opened),
        }
    }

    /// How far a round came at least that was found in order.
    fn of(round: &RoundReport) -> Self {
        let Some(reason) = &round.aborted else {
            return Self::Opened;
        };
        if round.spent_micro_rho.is_some() {
            return Self::Judged;
        }
        let reason = AbortReason::ALL.iter().find(|other| other.name() == reason);
        match reason {
            Some(AbortReason::TooFewEndorsements) => Self::Specified,
            Some(AbortReason::TooFewSubmissions | AbortReason::TooLittleNoise) => Self::Announced,
            Some(AbortReason::TooFewBeaconShares) => Self::Closed,
            Some(AbortReason::TooFewReports | AbortReason::Policy) => Self::Challenged,
            _ => Self::Begun,
        }
    }
}

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
            AuditRule::Answers if self.rounds.iter().any(|round| round.details.detached) => {
                Check::Unchecked
            }
            AuditRule::Abort if !any_aborted => Check::Absent,
            rule if !self.reached(rule) => match &self.finding {
                // The log is looked at when all rounds are: none of them came so far.
                Some(finding) if finding.rule != AuditRule::Log => Check::NotReached,
                _ => Check::Absent,
            },
            _ => Check::Holds,
        }
    }

    /// Whether some round came to what a rule is about, the one that failed included.
    fn reached(&self, rule: AuditRule) -> bool {
        let Some(needed) = Stage::needed(rule) else {
            return true;
        };
        // These are broken by rounds that came no further than their beginning, too: how far this one came is not known.
        let failed = self.finding.as_ref().is_some_and(|finding| {
            !matches!(
                finding.rule,
                AuditRule::Model | AuditRule::Result | AuditRule::Abort | AuditRule::Log
            )
        });
        failed || self.rounds.iter().any(|round| Stage::of(round) >= needed)
    }
}
