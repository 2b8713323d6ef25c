//! A round whose sum is known (`docs/protocol.md`, section 4.7).

use std::ops::Deref;

use dawn_crypto::digest::Digest;
use dawn_identity::{Signed, StewardId};
use dawn_learn::{GroupSum, Model};

use super::Judged;
use crate::digests;
use crate::evaluation::EvaluationSum;
use crate::open::OpenedSums;
use crate::round_context::RoundContext;
use crate::terminal::{AbortReason, RoundResult};
use crate::violation::{Culprit, Rule, Violation};

/// An opened round: the sum is known. Dereferences to its context.
#[derive(Clone, Debug)]
pub struct Opened {
    pub(super) judged: Judged,
    pub(super) opened: OpenedSums,
    /// Over all groups.
    pub(super) sum: Vec<i32>,
    pub(super) openings: Vec<Digest>,
    pub(super) culprits: Vec<StewardId>,
}

impl Deref for Opened {
    type Target = RoundContext;

    fn deref(&self) -> &RoundContext {
        &self.judged
    }
}

impl Opened {
    /// The judged round.
    pub fn judged(&self) -> &Judged {
        &self.judged
    }

    /// The sum's coordinates, over all accepted: those of the updates, and those of the evaluations when the task asks for
    /// such.
    pub fn sum(&self) -> &[i32] {
        &self.sum
    }

    /// What the devices' evaluations sum to, noise included, when the task asks for such.
    pub fn evaluation(&self) -> Option<EvaluationSum> {
        self.task().options.evaluation?;
        let (_, evaluation) = self.sum.split_at(self.way().dimension());
        let &[correct, wrong, loss] = evaluation else {
            return None;
        };
        Some(EvaluationSum {
            correct,
            wrong,
            loss,
        })
    }

    /// The sums that were opened: the only one, or that of every group.
    pub fn sums(&self) -> &[Vec<i32>] {
        &self.opened.sums
    }

    /// The digest of what was opened ([`digests::sums_digest`]).
    pub fn sum_digest(&self) -> Digest {
        digests::sums_digest(&self.opened.sums)
    }

    /// The model that follows: the update rule applied to the sum, or to what the task's robust rule makes of the groups'
    /// sums (`docs/learning.md`, section 5).
    ///
    /// # Errors
    /// [`AbortReason::ModelOverflow`] when what was opened does not fit the model.
    pub fn next_model(&self, model: &Model) -> Result<Model, AbortReason> {
        let overflow = AbortReason::ModelOverflow;
        let (way, shift) = (self.way(), self.task().quantiser.update_shift);
        // What is behind them are evaluations.
        let updates = ..way.dimension();
        let Some((members, rule)) = self.judged.members().zip(self.task().options.groups) else {
            let accepted = self.judged.verdict.accepted_count();
            let next = way.apply(model, &self.sum[updates], accepted.into(), shift);
            return next.map_err(|_| overflow);
        };
        let groups: Vec<GroupSum<'_>> = self
            .opened
            .sums
            .iter()
            .zip(members)
            .map(|(sum, members)| GroupSum {
                sum: &sum[updates],
                members,
            })
            .collect();
        let mean = rule.rule.estimate(&groups).map_err(|_| overflow)?;
        let next = way.apply(model, &mean.numerators, mean.denominator, shift);
        next.map_err(|_| overflow)
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
            sum: self.sum_digest(),
            model: next_model,
            direction: self.names_directions().then_some(self.spec().model),
            draw: self.selection().map(|_| self.judged.challenged.next_draw()),
            evaluation: self.evaluation(),
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
            claimed.direction == expected.direction,
            Rule::ResultModel,
            "the result names another model than the round started from",
        )?;
        rule(
            claimed.draw == expected.draw,
            Rule::Selection,
            "the result does not leave the round's beacon for the next to draw from",
        )?;
        rule(
            claimed.evaluation == expected.evaluation,
            Rule::ResultSum,
            "the result says another evaluation than the sum",
        )?;
        rule(
            *claimed == expected,
            Rule::ResultOpenings,
            "the result is not the one that follows",
        )
    }
}

/// The sum of sums. They are within the bounds of a task, which no sum of all its submissions leaves.
pub(super) fn total(sums: &[Vec<i32>]) -> Vec<i32> {
    let mut sums = sums.iter();
    let mut total = sums.next().cloned().unwrap_or_default();
    for sum in sums {
        for (total, value) in total.iter_mut().zip(sum) {
            *total = total.saturating_add(*value);
        }
    }
    total
}
