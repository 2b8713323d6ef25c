//! A round whose accepted set is fixed (`docs/protocol.md`, sections 4.6 and 4.7).

use std::ops::Deref;

use dawn_crypto::digest::Digest;
use dawn_crypto::mask::PublicMatrix;
use dawn_crypto::shamir::ShareSum;
use dawn_identity::{Signed, StewardId};

use super::opened;
use super::{JudgeError, Opened, RoundChallenged, RoundClosed};
use crate::group_sums::GroupSums;
use crate::open::{MaskedSums, open};
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

    /// How many accepted submissions each group has, when the task asks for groups.
    pub fn members(&self) -> Option<Vec<u32>> {
        let groups = self.challenged.groups()?;
        Some(groups.members(self.verdict.accepted()))
    }

    /// The answer of a steward to this verdict, in a round of a task that asks for groups.
    pub fn group_opening(&self, steward: StewardId, sums: &GroupSums) -> Opening {
        Opening {
            groups: Some(sums.digest()),
            ..self.opening(steward, sums.total())
        }
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
            groups: None,
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
        Violation::unless(
            statement.groups.is_some() == self.challenged.groups.is_some(),
            culprit,
            Rule::GroupSums,
            "an opening names sums over groups when the task asks for groups, and only then",
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
    /// The [`AbortReason`](crate::AbortReason) of the round, or the [`Violation`] of an opening. [`Rule::GroupSums`] when
    /// the task asks for groups.
    pub fn open(
        &self,
        masked_sum: &[u32],
        openings: &[Signed<Opening>],
    ) -> Result<Opened, JudgeError> {
        Violation::unless(
            self.challenged.groups.is_none(),
            Culprit::Aggregator,
            Rule::GroupSums,
            "the sum of a round with groups is not opened without them",
        )?;
        let answers: Vec<&[ShareSum]> = openings
            .iter()
            .map(|opening| std::slice::from_ref(&opening.peek().share_sum))
            .collect();
        self.open_all(&[(masked_sum, self.bound())], openings, &answers)
    }

    /// Opens the sums of the groups' accepted payloads, each `dimension.padded()` words, with the answers and the sums
    /// that go with them, given in increasing point.
    ///
    /// # Errors
    /// As [`Self::open`]; [`Rule::GroupSums`] also when the task does not ask for groups, or the sums are not those of the
    /// openings or of the groups.
    pub fn open_groups(
        &self,
        masked_sums: &[Vec<u32>],
        openings: &[Signed<Opening>],
        sums: &[GroupSums],
    ) -> Result<Opened, JudgeError> {
        let members = self.members().unwrap_or_default();
        Violation::unless(
            !members.is_empty()
                && masked_sums.len() == members.len()
                && sums.len() == openings.len()
                && sums.iter().all(|sums| sums.sums().len() == members.len()),
            Culprit::Aggregator,
            Rule::GroupSums,
            "not one masked sum a group, and one sum of every steward",
        )?;
        for (opening, sums) in openings.iter().zip(sums) {
            sums.verify(opening.peek(), Culprit::Aggregator)?;
        }
        let bounds = members
            .iter()
            .map(|members| u64::from(*members).saturating_mul(self.norm_bound()));
        let masked: Vec<(&[u32], u64)> =
            masked_sums.iter().map(Vec::as_slice).zip(bounds).collect();
        let answers: Vec<&[ShareSum]> = sums.iter().map(GroupSums::sums).collect();
        self.open_all(&masked, openings, &answers)
    }

    fn open_all(
        &self,
        masked: &[(&[u32], u64)],
        openings: &[Signed<Opening>],
        sums: &[&[ShareSum]],
    ) -> Result<Opened, JudgeError> {
        let padded = self.dimension().padded();
        Violation::unless(
            masked.iter().all(|(words, _)| words.len() == padded),
            Culprit::Aggregator,
            Rule::Payload,
            "the sum of the payloads has another length",
        )?;
        let mut answers: Vec<(u8, &[ShareSum])> = Vec::with_capacity(openings.len());
        for (opening, sums) in openings.iter().zip(sums) {
            let point = self.verify_opening(opening)?;
            Violation::unless(
                answers.last().is_none_or(|(last, _)| *last < point),
                Culprit::Aggregator,
                Rule::ResultOpenings,
                "the openings are not of distinct stewards in increasing point",
            )?;
            answers.push((point, sums));
        }
        let matrix = PublicMatrix::from_seed(&self.spec().matrix_seed);
        let masked = MaskedSums {
            matrix: &matrix,
            dimension: self.dimension(),
            groups: masked,
        };
        let opened = open(self.threshold(), &masked, &answers)?;
        Ok(Opened {
            openings: openings.iter().map(Signed::body_digest).collect(),
            culprits: opened
                .culprits
                .iter()
                .filter_map(|point| self.steward_id(*point))
                .collect(),
            sum: opened::total(&opened.sums),
            opened,
            judged: self.clone(),
        })
    }
}
