//! A round whose sum is known (`docs/protocol.md`, section 4.7).

use std::ops::Deref;

use dawn_crypto::digest::Digest;
use dawn_identity::{Signed, StewardId};

use super::Judged;
use crate::digests;
use crate::open::OpenedSum;
use crate::round_context::RoundContext;
use crate::terminal::RoundResult;
use crate::violation::{Culprit, Rule, Violation};

/// An opened round: the sum is known. Dereferences to its context.
#[derive(Clone, Debug)]
pub struct Opened {
    pub(super) judged: Judged,
    pub(super) opened: OpenedSum,
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
            direction: self.names_directions().then_some(self.spec().model),
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
            *claimed == expected,
            Rule::ResultOpenings,
            "the result is not the one that follows",
        )
    }
}
