//! A round whose submissions are fixed (`docs/protocol.md`, section 4.6).

use std::ops::Deref;

use dawn_identity::{Signed, StewardId};

use super::{JudgeError, Judged, RoundOpen};
use crate::judge::{Ballot, judge};
use crate::roll::Roll;
use crate::round_context::RoundContext;
use crate::statements::{Closed, Outcome, PackageReport, Verdict};
use crate::terminal::AbortReason;
use crate::violation::{Culprit, Rule, Violation};

/// A closed round: the roll is fixed. Dereferences to its context.
#[derive(Clone, Debug)]
pub struct RoundClosed {
    pub(super) open: RoundOpen,
    pub(super) closed: Closed,
    pub(super) roll: Roll,
}

impl Deref for RoundClosed {
    type Target = RoundContext;

    fn deref(&self) -> &RoundContext {
        &self.open.context
    }
}

impl RoundClosed {
    /// The closing statement.
    pub fn closed(&self) -> &Closed {
        &self.closed
    }

    /// The roll.
    pub fn roll(&self) -> &Roll {
        &self.roll
    }

    /// The report of a steward about this roll.
    pub fn report(&self, steward: StewardId, outcomes: Vec<Outcome>) -> PackageReport {
        PackageReport {
            round: self.round_id(),
            session: self.session(),
            root: self.closed.root,
            steward,
            outcomes,
        }
    }

    /// Verifies one report; gives the steward's evaluation point.
    ///
    /// # Errors
    /// A [`Violation`] by the steward.
    pub fn verify_report(&self, report: &Signed<PackageReport>) -> Result<u8, Violation> {
        let statement = report.peek();
        let culprit = Culprit::Steward(statement.steward);
        self.verify_session(culprit, &statement.round, &statement.session)?;
        Violation::unless(
            statement.root == self.closed.root,
            culprit,
            Rule::Root,
            "the report is about another root",
        )?;
        Violation::unless(
            statement.outcomes.len() == self.roll.len(),
            culprit,
            Rule::ReportLength,
            "not one finding per submission",
        )?;
        let point = self.verify_steward(report, &statement.steward)?;
        Violation::unless(
            self.seat_index(point).is_some(),
            culprit,
            Rule::RosterMember,
            "a steward without a sealing key has no packages to report on",
        )?;
        Ok(point)
    }

    /// The verdict that follows from these reports, in increasing point, when `spent_before` micro-rho
    /// were spent by the task's verdicts before.
    ///
    /// # Errors
    /// The [`AbortReason`] of the round, or the [`Violation`] of a report.
    pub fn verdict(
        &self,
        reports: &[Signed<PackageReport>],
        spent_before_micro_rho: u64,
    ) -> Result<Verdict, JudgeError> {
        let mut last = 0;
        let mut ballots = Vec::with_capacity(reports.len());
        for report in reports {
            let point = self.verify_report(report)?;
            Violation::unless(
                point > last,
                Culprit::Aggregator,
                Rule::VerdictReports,
                "the reports are not of distinct stewards in increasing point",
            )?;
            last = point;
            ballots.push(Ballot {
                point,
                outcomes: &report.peek().outcomes,
            });
        }
        let judgement = judge(
            self.threshold(),
            &self.task().policy,
            &self.closed.root,
            &self.roll,
            &ballots,
        )?;
        if self.exceeds_budget(spent_before_micro_rho) {
            return Err(AbortReason::BudgetExhausted.into());
        }
        let charge_micro_rho = self.charge_micro_rho();
        Ok(Verdict {
            round: self.round_id(),
            session: self.session(),
            root: self.closed.root,
            decisions: judgement.decisions,
            openers: judgement.openers,
            reports: reports.iter().map(Signed::body_digest).collect(),
            charge_micro_rho,
            spent_micro_rho: spent_before_micro_rho.saturating_add(charge_micro_rho),
        })
    }

    /// Verifies the aggregator's verdict by judging again.
    ///
    /// What was spent before this round is taken from the verdict itself: whoever keeps a ledger
    /// compares [`Judged::verdict`] with it.
    ///
    /// # Errors
    /// A [`Violation`] by the aggregator, or of a report.
    pub fn adopt(
        self,
        reports: &[Signed<PackageReport>],
        verdict: &Signed<Verdict>,
    ) -> Result<Judged, Violation> {
        let rule =
            |holds, rule, detail| Violation::unless(holds, Culprit::Aggregator, rule, detail);
        let claimed = self.verify_aggregator(verdict)?;
        self.verify_session(Culprit::Aggregator, &claimed.round, &claimed.session)?;
        rule(
            claimed.root == self.closed.root,
            Rule::Root,
            "the verdict is about another root",
        )?;
        rule(
            claimed.charge_micro_rho == self.charge_micro_rho(),
            Rule::Charge,
            "the verdict does not charge what the round costs",
        )?;
        // The charge is part of what is spent: the statement's own check.
        let before = claimed.spent_micro_rho - claimed.charge_micro_rho;
        let expected = match self.verdict(reports, before) {
            Ok(expected) => expected,
            Err(JudgeError::Violation(violation)) => return Err(violation),
            Err(JudgeError::Abort(AbortReason::BudgetExhausted)) => {
                return Err(Violation::new(
                    Culprit::Aggregator,
                    Rule::Budget,
                    "the verdict spends more than the budget",
                ));
            }
            Err(JudgeError::Abort(reason)) => {
                return Err(Violation::new(
                    Culprit::Aggregator,
                    Rule::Verdict,
                    format!("there is no verdict, the round is to be aborted: {reason}"),
                ));
            }
        };
        rule(
            claimed.reports == expected.reports,
            Rule::VerdictReports,
            "the verdict names other reports",
        )?;
        rule(
            *claimed == expected,
            Rule::Verdict,
            "the decisions or openers do not follow from the reports",
        )?;
        Ok(Judged {
            digest: verdict.body_digest(),
            verdict: expected,
            closed: self,
        })
    }
}
