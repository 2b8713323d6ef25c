//! The order of a round, in types (`docs/protocol.md`, section 4): `RoundOpen -> RoundClosed ->
//! Judged -> Opened`, each made from the one before by a check that cannot be skipped. Aggregator,
//! steward and auditor go the same way.

use std::ops::Deref;

use dawn_crypto::digest::Digest;
use dawn_crypto::mask::PublicMatrix;
use dawn_crypto::shamir::ShareSum;
use dawn_identity::{Signed, StewardId};

use crate::digests;
use crate::judge::{Ballot, judge};
use crate::open::{Bounds, MaskedSum, OpenedSum, open};
use crate::roll::Roll;
use crate::round_context::RoundContext;
use crate::spec::{Endorsement, RoundAnnouncement};
use crate::statements::{Closed, Opening, Outcome, PackageReport, Verdict};
use crate::terminal::{AbortReason, RoundResult};
use crate::violation::{Culprit, Rule, Violation};

/// A round that at least T stewards endorsed: devices may submit. Dereferences to its context.
#[derive(Clone, Debug)]
pub struct RoundOpen {
    context: RoundContext,
}

impl Deref for RoundOpen {
    type Target = RoundContext;

    fn deref(&self) -> &RoundContext {
        &self.context
    }
}

impl RoundOpen {
    /// Verifies the endorsements of a specification.
    ///
    /// # Errors
    /// As [`RoundContext::verify_endorsements`].
    pub fn new(
        context: RoundContext,
        endorsements: &[Signed<Endorsement>],
    ) -> Result<Self, Violation> {
        context.verify_endorsements(endorsements)?;
        Ok(Self { context })
    }

    /// Verifies a specification and its endorsements together.
    ///
    /// # Errors
    /// As [`crate::TaskContext::verify_spec`] and [`RoundContext::verify_endorsements`].
    pub fn from_announcement(
        task: &crate::TaskContext,
        announcement: &RoundAnnouncement,
    ) -> Result<Self, Violation> {
        let context = task.verify_spec(&announcement.spec)?;
        Self::new(context, &announcement.endorsements)
    }

    /// The context.
    pub fn context(&self) -> &RoundContext {
        &self.context
    }

    /// Verifies the aggregator's closing statement, without the roll.
    ///
    /// # Errors
    /// A [`Violation`] by the aggregator.
    pub fn verify_closed(&self, closed: &Signed<Closed>) -> Result<(), Violation> {
        let statement = self.verify_aggregator(closed)?;
        self.verify_session(Culprit::Aggregator, &statement.round, &statement.session)?;
        Violation::unless(
            statement.count <= self.task().policy.max_submissions,
            Culprit::Aggregator,
            Rule::ClosedRoot,
            "more submissions than the policy allows",
        )
    }

    /// Closes the round: the roll is what the aggregator's statement says.
    ///
    /// # Errors
    /// [`Rule::ClosedRoot`], and as [`Self::verify_closed`].
    pub fn close(self, closed: &Signed<Closed>, roll: Roll) -> Result<RoundClosed, Violation> {
        self.verify_closed(closed)?;
        let statement = closed.peek();
        Violation::unless(
            statement.count as usize == roll.len() && statement.root == roll.root(),
            Culprit::Aggregator,
            Rule::ClosedRoot,
            "the closed root is not that of the submissions",
        )?;
        Ok(RoundClosed {
            open: self,
            closed: statement.clone(),
            roll,
        })
    }
}

/// A closed round: the roll is fixed. Dereferences to its context.
#[derive(Clone, Debug)]
pub struct RoundClosed {
    open: RoundOpen,
    closed: Closed,
    roll: Roll,
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

/// Why there is no verdict.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JudgeError {
    /// The round is to be aborted.
    #[error("the round is to be aborted: {0}")]
    Abort(AbortReason),
    /// A report does not count.
    #[error(transparent)]
    Violation(#[from] Violation),
}

impl From<AbortReason> for JudgeError {
    fn from(reason: AbortReason) -> Self {
        Self::Abort(reason)
    }
}

/// A judged round: the accepted set is fixed. Dereferences to its context.
#[derive(Clone, Debug)]
pub struct Judged {
    closed: RoundClosed,
    verdict: Verdict,
    digest: Digest,
}

impl Deref for Judged {
    type Target = RoundContext;

    fn deref(&self) -> &RoundContext {
        &self.closed.open.context
    }
}

impl Judged {
    /// The closed round.
    pub fn round_closed(&self) -> &RoundClosed {
        &self.closed
    }

    /// The verdict.
    pub fn verdict(&self) -> &Verdict {
        &self.verdict
    }

    /// The verdict's body digest, which openings and the result name.
    pub fn verdict_digest(&self) -> Digest {
        self.digest
    }

    /// What the sum over the accepted set stays within.
    pub fn bounds(&self) -> Bounds {
        let task = self.task();
        Bounds::new(
            task.noise_bound(),
            task.coordinate_bound(),
            self.verdict.accepted_count(),
        )
    }

    /// The answer of a steward to this verdict.
    pub fn opening(&self, steward: StewardId, share_sum: ShareSum) -> Opening {
        Opening {
            round: self.round_id(),
            session: self.session(),
            root: self.closed.closed.root,
            verdict: self.digest,
            steward,
            share_sum,
        }
    }

    /// Verifies one opening (who answers what, not whether it is right); gives the steward's point.
    ///
    /// # Errors
    /// A [`Violation`] by the steward.
    pub fn verify_opening(&self, opening: &Signed<Opening>) -> Result<u8, Violation> {
        let statement = opening.peek();
        let culprit = Culprit::Steward(statement.steward);
        self.verify_session(culprit, &statement.round, &statement.session)?;
        Violation::unless(
            statement.root == self.closed.closed.root,
            culprit,
            Rule::Root,
            "the opening is about another root",
        )?;
        Violation::unless(
            statement.verdict == self.digest,
            culprit,
            Rule::OpeningBinding,
            "the opening answers another verdict",
        )?;
        let point = self.verify_steward(opening, &statement.steward)?;
        Violation::unless(
            self.verdict.openers.contains(&point),
            culprit,
            Rule::OpeningBinding,
            "this steward does not hold the whole accepted set",
        )?;
        Ok(point)
    }

    /// Opens the sum of the accepted payloads, `dimension.padded()` words, with the answers given in
    /// increasing point.
    ///
    /// # Errors
    /// The [`AbortReason`] of the round, or the [`Violation`] of an opening.
    pub fn open(
        &self,
        masked_sum: &[u32],
        openings: &[Signed<Opening>],
    ) -> Result<Opened, JudgeError> {
        Violation::unless(
            masked_sum.len() == self.dimension().padded(),
            Culprit::Aggregator,
            Rule::Payload,
            "the sum of the payloads has another length",
        )?;
        let mut answers: Vec<(u8, &ShareSum)> = Vec::with_capacity(openings.len());
        for opening in openings {
            let point = self.verify_opening(opening)?;
            Violation::unless(
                answers.last().is_none_or(|(last, _)| *last < point),
                Culprit::Aggregator,
                Rule::ResultOpenings,
                "the openings are not of distinct stewards in increasing point",
            )?;
            answers.push((point, &opening.peek().share_sum));
        }
        let matrix = PublicMatrix::from_seed(&self.spec().matrix_seed);
        let masked = MaskedSum {
            matrix: &matrix,
            dimension: self.dimension(),
            words: masked_sum,
        };
        let opened = open(self.threshold(), &masked, &self.bounds(), &answers)?;
        Ok(Opened {
            openings: openings.iter().map(Signed::body_digest).collect(),
            culprits: opened
                .culprits
                .iter()
                .filter_map(|point| self.steward_id(*point))
                .collect(),
            opened,
            judged: self.clone(),
        })
    }
}

/// An opened round: the sum is known. Dereferences to its context.
#[derive(Clone, Debug)]
pub struct Opened {
    judged: Judged,
    opened: OpenedSum,
    openings: Vec<Digest>,
    culprits: Vec<StewardId>,
}

impl Deref for Opened {
    type Target = RoundContext;

    fn deref(&self) -> &RoundContext {
        &self.judged.closed.open.context
    }
}

impl Opened {
    /// The judged round.
    pub fn judged(&self) -> &Judged {
        &self.judged
    }

    /// The sum's `d` coordinates.
    pub fn sum(&self) -> &[i32] {
        &self.opened.sum
    }

    /// The points of the answers that it was opened with.
    pub fn points(&self) -> &[u8] {
        &self.opened.points
    }

    /// The stewards that answered wrongly.
    pub fn culprits(&self) -> &[StewardId] {
        &self.culprits
    }

    /// The result, given the digest of the next model.
    pub fn result(&self, next_model: Digest) -> RoundResult {
        RoundResult {
            round: self.round_id(),
            session: self.session(),
            verdict: self.judged.digest,
            openings: self.openings.clone(),
            points: self.opened.points.clone(),
            culprits: self.culprits.clone(),
            accepted: self.judged.verdict.accepted_count(),
            sum: digests::sum_digest(&self.opened.sum),
            model: next_model,
        }
    }

    /// Verifies the aggregator's result, given the digest of the model that follows.
    ///
    /// # Errors
    /// A [`Violation`] by the aggregator.
    pub fn verify_result(
        &self,
        result: &Signed<RoundResult>,
        next_model: Digest,
    ) -> Result<(), Violation> {
        let rule =
            |holds, rule, detail| Violation::unless(holds, Culprit::Aggregator, rule, detail);
        let claimed = self.verify_aggregator(result)?;
        let expected = self.result(next_model);
        self.verify_session(Culprit::Aggregator, &claimed.round, &claimed.session)?;
        rule(
            claimed.verdict == expected.verdict && claimed.accepted == expected.accepted,
            Rule::Verdict,
            "the result is about another verdict",
        )?;
        rule(
            claimed.openings == expected.openings
                && claimed.points == expected.points
                && claimed.culprits == expected.culprits,
            Rule::ResultOpenings,
            "the result names other openings, points or culprits",
        )?;
        rule(
            claimed.sum == expected.sum,
            Rule::ResultSum,
            "the sum is not that of the accepted payloads",
        )?;
        rule(
            claimed.model == expected.model,
            Rule::ResultModel,
            "the next model does not follow from the sum",
        )?;
        rule(
            *claimed == expected,
            Rule::ResultOpenings,
            "the result is not the one that follows",
        )
    }
}
