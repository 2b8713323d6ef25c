//! A round whose beacon is known (`docs/protocol.md`, section 4.6): stewards answer, everybody judges.

use std::ops::Deref;

use dawn_crypto::digest::Digest;
use dawn_crypto::norm::Answer;
use dawn_identity::{Signed, StewardId};

use super::{JudgeError, Judged, RoundClosed};
use crate::answers::{self, AnswersError, Scalars};
use crate::examine::{Finding, SubmissionVerifier};
use crate::groups::Groups;
use crate::judge::{Ballot, judge};
use crate::round_context::RoundContext;
use crate::selection::Draw;
use crate::statements::{Outcome, PackageReport, Verdict};
use crate::terminal::AbortReason;
use crate::violation::{Culprit, Rule, Violation};

/// A closed round with its challenge: every submission can be examined. Dereferences to its context.
#[derive(Clone, Debug)]
pub struct RoundChallenged {
    pub(super) closed: RoundClosed,
    pub(super) digest: Digest,
    pub(super) beacon: Digest,
    pub(super) groups: Option<Groups>,
}

impl Deref for RoundChallenged {
    type Target = RoundContext;

    fn deref(&self) -> &RoundContext {
        &self.closed.open.context
    }
}

impl RoundChallenged {
    /// The closed round.
    pub fn round_closed(&self) -> &RoundClosed {
        &self.closed
    }

    /// The beacon.
    pub fn beacon(&self) -> Digest {
        self.beacon
    }

    /// What the next round's devices are drawn from when this one has a result. Nobody knew the beacon when the round was
    /// opened.
    pub fn next_draw(&self) -> Draw {
        self.leaves(self.beacon)
    }

    /// The groups of the round, when its task asks for sums over groups.
    pub fn groups(&self) -> Option<&Groups> {
        self.groups.as_ref()
    }

    /// The challenge's body digest, which reports and the verdict name.
    pub fn challenge_digest(&self) -> Digest {
        self.digest
    }

    /// What verifies the norm proof of a submission, by its number in root order. `None` when its
    /// header does not verify, when it is noise that was not chosen, and when there is no such submission.
    pub fn verifier(&self, index: usize) -> Option<SubmissionVerifier> {
        let params = self.proof_params().of(self.expected_outcome(index)?)?;
        let entry = self.closed.roll.entries().get(index)?;
        let verifier = SubmissionVerifier::new(
            params,
            self.threshold(),
            self.dimension().blocks(),
            &self.beacon,
            &entry.header,
            &entry.norm,
        );
        // Noise has no direction and counts nothing.
        let row = self.functional_row();
        Some(verifier.with_row(row.filter(|_| entry.noise.is_none())))
    }

    /// Examines a submission: the answers of all stewards that reported `Ok` on it, in increasing
    /// point, and its scalars. [`Finding::NONE`] when its header does not verify, and when the points are
    /// not increasing points of stewards.
    pub fn examine(&self, index: usize, answers: &[(u8, Answer)], scalars: [u32; 2]) -> Finding {
        if self.expected_outcome(index) == Some(Outcome::NotChosen) {
            return Finding::NOT_CHOSEN;
        }
        // Before the weights of the projections are prepared, which takes longest.
        if answers.len() < usize::from(self.threshold().a()) {
            return Finding::NONE;
        }
        self.verifier(index)
            .map_or(Finding::NONE, |v| v.examine(answers, scalars))
    }

    /// Bytes of the answers of a steward with these findings.
    pub fn answers_len(&self, outcomes: &[Outcome]) -> usize {
        answers::answers_len(self.proof_params(), outcomes)
    }

    /// Reads the scalars of all submissions: canonical, and zeros where nothing is asked.
    ///
    /// # Errors
    /// [`AnswersError`].
    pub fn scalars(&self, bytes: &[u8]) -> Result<Scalars, AnswersError> {
        let count = self.closed.roll.len();
        let scalars = Scalars::from_bytes(bytes, count)?;
        for index in 0..count {
            let asked = self.expected_outcome(index).is_some_and(Outcome::is_ok);
            if !asked && scalars.get(index) != Some([0; 2]) {
                return Err(AnswersError::Refused { index });
            }
        }
        Ok(scalars)
    }

    /// The report of a steward with these findings, whose answers have this digest
    /// ([`crate::answers::answers_digest`]), and which contributed no noise.
    pub fn report(
        &self,
        steward: StewardId,
        outcomes: Vec<Outcome>,
        answers: Digest,
    ) -> PackageReport {
        PackageReport {
            round: self.round_id(),
            session: self.session(),
            root: self.closed.closed.root,
            steward,
            outcomes,
            challenge: self.digest,
            answers,
            reveals: None,
        }
    }

    /// Verifies one report; gives the steward's evaluation point. It counts only with its answers,
    /// which [`crate::answers::check_answers`] looks at.
    ///
    /// # Errors
    /// A [`Violation`] by the steward.
    pub fn verify_report(&self, report: &Signed<PackageReport>) -> Result<u8, Violation> {
        let statement = report.peek();
        let culprit = Culprit::Steward(statement.steward);
        self.verify_session(culprit, &statement.round, &statement.session)?;
        Violation::unless(
            statement.root == self.closed.closed.root,
            culprit,
            Rule::Root,
            "the report is about another root",
        )?;
        Violation::unless(
            statement.challenge == self.digest,
            culprit,
            Rule::Challenge,
            "the report answers another challenge",
        )?;
        Violation::unless(
            statement.outcomes.len() == self.closed.roll.len(),
            culprit,
            Rule::ReportLength,
            "not one finding per submission",
        )?;
        Violation::unless(
            self.reports_noise_rightly(statement),
            culprit,
            Rule::Noise,
            "the findings about noise are not those that the beacon asks for",
        )?;
        self.verify_seated(report, &statement.steward)
    }

    /// The verdict that follows from these reports, in increasing point, and from what
    /// [`Self::examine`] found about every submission, in root order, in the answers of exactly these
    /// stewards and with scalars of this digest, when `spent_before` micro-rho were spent by the task's
    /// verdicts before.
    ///
    /// # Errors
    /// The [`AbortReason`] of the round, or the [`Violation`] of a report.
    ///
    /// # Panics
    /// When there is not one finding per submission.
    pub fn verdict(
        &self,
        reports: &[Signed<PackageReport>],
        findings: &[Finding],
        scalars: Digest,
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
        let proven = self.proven_noise(reports);
        let mut judgement = judge(
            self.threshold(),
            &self.task().policy,
            self.least_noise(),
            &self.closed.closed.root,
            &self.closed.roll,
            self.groups.as_ref(),
            &ballots,
            &self.with_proven(findings, &proven),
        )?;
        judgement.add_liars(&proven.liars);
        if self.exceeds_budget(spent_before_micro_rho) {
            return Err(AbortReason::BudgetExhausted.into());
        }
        let charge_micro_rho = self.charge_micro_rho();
        Ok(Verdict {
            round: self.round_id(),
            session: self.session(),
            root: self.closed.closed.root,
            decisions: judgement.decisions,
            openers: judgement.openers,
            reports: reports.iter().map(Signed::body_digest).collect(),
            charge_micro_rho,
            spent_micro_rho: spent_before_micro_rho.saturating_add(charge_micro_rho),
            challenge: self.digest,
            scalars,
            liars: judgement.liars,
        })
    }

    /// Verifies the aggregator's verdict by judging again, with one's own findings.
    ///
    /// `scalars` is the digest of the scalars that the findings were made with: true ones, or those that
    /// the aggregator gave, of which some were recomputed. What was spent before this round is taken
    /// from the verdict itself: whoever keeps a ledger compares [`Judged::verdict`] with it.
    ///
    /// # Errors
    /// A [`Violation`] by the aggregator, or of a report.
    ///
    /// # Panics
    /// When there is not one finding per submission.
    pub fn adopt(
        self,
        reports: &[Signed<PackageReport>],
        findings: &[Finding],
        scalars: Digest,
        verdict: &Signed<Verdict>,
    ) -> Result<Judged, Violation> {
        let rule =
            |holds, rule, detail| Violation::unless(holds, Culprit::Aggregator, rule, detail);
        let claimed = self.verify_aggregator(verdict)?;
        self.verify_session(Culprit::Aggregator, &claimed.round, &claimed.session)?;
        rule(
            claimed.root == self.closed.closed.root,
            Rule::Root,
            "the verdict is about another root",
        )?;
        rule(
            claimed.challenge == self.digest,
            Rule::Challenge,
            "the verdict is about another challenge",
        )?;
        rule(
            claimed.scalars == scalars,
            Rule::Scalars,
            "the verdict names other scalars",
        )?;
        rule(
            claimed.charge_micro_rho == self.charge_micro_rho(),
            Rule::Charge,
            "the verdict does not charge what the round costs",
        )?;
        // The charge is part of what is spent: the statement's own check.
        let before = claimed.spent_micro_rho - claimed.charge_micro_rho;
        let expected = match self.verdict(reports, findings, scalars, before) {
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
            "the decisions, openers or liars do not follow from the reports and answers",
        )?;
        Ok(Judged {
            digest: verdict.body_digest(),
            verdict: expected,
            challenged: self,
        })
    }
}
