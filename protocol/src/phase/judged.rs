//! A round whose accepted set is fixed (`docs/protocol.md`, sections 4.6 and 4.7).

use std::ops::Deref;

use dawn_crypto::digest::Digest;
use dawn_crypto::mask::PublicMatrix;
use dawn_crypto::shamir::ShareSum;
use dawn_identity::{Signed, StewardId};

use super::{JudgeError, Opened, RoundChallenged, RoundClosed};
use crate::open::{MaskedSum, open};
use crate::round_context::RoundContext;
use crate::statements::{Opening, Verdict};
use crate::violation::{Culprit, Rule, Violation};

/// A judged round: the accepted set is fixed. Dereferences to its context.
#[derive(Clone, Debug)]
pub struct Judged {
    pub(super) challenged: RoundChallenged,
    pub(super) verdict: Verdict,
    pub(super) digest: Digest,
}

impl Deref for Judged {
    type Target = RoundContext;

    fn deref(&self) -> &RoundContext {
        &self.challenged
    }
}

impl Judged {
    /// The closed round.
    pub fn round_closed(&self) -> &RoundClosed {
        &self.challenged.closed
    }

    /// The round with its challenge.
    pub fn round_challenged(&self) -> &RoundChallenged {
        &self.challenged
    }

    /// The verdict.
    pub fn verdict(&self) -> &Verdict {
        &self.verdict
    }

    /// The verdict's body digest, which openings and the result name.
    pub fn verdict_digest(&self) -> Digest {
        self.digest
    }

    /// The largest magnitude of a coordinate of the sum over the accepted set, check coordinates
    /// included: `|U| gamma B`, and as much for every steward whose noise is in the sum.
    pub fn bound(&self) -> u64 {
        let noise = self.proof_params().noise;
        let noise = noise.map_or(0, |params| params.max_norm());
        let of = |count: u32, most: u64| u64::from(count).saturating_mul(most);
        let devices = of(self.verdict.accepted_count(), self.norm_bound());
        devices.saturating_add(of(self.verdict.noise_count(), noise))
    }

    /// The answer of a steward to this verdict.
    pub fn opening(&self, steward: StewardId, share_sum: ShareSum) -> Opening {
        Opening {
            round: self.round_id(),
            session: self.session(),
            root: self.challenged.closed.closed.root,
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
            statement.root == self.challenged.closed.closed.root,
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
        let opened = open(self.threshold(), &masked, self.bound(), &answers)?;
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
