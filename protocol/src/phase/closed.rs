//! A round whose submissions are fixed (`docs/protocol.md`, section 4.6): stewards make the beacon.

use std::ops::Deref;

use dawn_crypto::digest::Digest;
use dawn_crypto::vrf::{self, VrfOutput, VrfSecretKey};
use dawn_identity::{Signed, StewardId};

use super::{JudgeError, RoundChallenged, RoundOpen};
use crate::beacon::{BeaconShare, Challenge, beacon, beacon_input};
use crate::groups::Groups;
use crate::roll::{Entry, Roll};
use crate::round_context::RoundContext;
use crate::statements::Closed;
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

    /// The part of the beacon of a steward with this VRF key, which must be the roster's.
    pub fn beacon_share(&self, key: &VrfSecretKey, steward: StewardId) -> BeaconShare {
        let input = beacon_input(&self.session(), &self.closed.root);
        BeaconShare {
            round: self.round_id(),
            session: self.session(),
            root: self.closed.root,
            steward,
            proof: vrf::prove(key, &input.0),
        }
    }

    /// Verifies one part of the beacon; gives the steward's evaluation point.
    ///
    /// # Errors
    /// A [`Violation`] by the steward.
    pub fn verify_beacon_share(&self, share: &Signed<BeaconShare>) -> Result<u8, Violation> {
        let (point, _) = self.open.beacon_output(&self.closed.root, share)?;
        Ok(point)
    }

    /// The challenge that the first T of these parts make, given in any order. More may be given.
    ///
    /// # Errors
    /// [`AbortReason::TooFewBeaconShares`] with parts of fewer than T stewards, or the [`Violation`] of
    /// a part.
    pub fn challenge(&self, shares: &[Signed<BeaconShare>]) -> Result<Challenge, JudgeError> {
        let mut parts = Vec::with_capacity(shares.len());
        for share in shares {
            parts.push((self.verify_beacon_share(share)?, share));
        }
        parts.sort_by_key(|(point, _)| *point);
        parts.dedup_by_key(|(point, _)| *point);
        let least = usize::from(self.threshold().t());
        if parts.len() < least {
            return Err(AbortReason::TooFewBeaconShares.into());
        }
        let parts = parts.into_iter().take(least);
        Ok(Challenge {
            round: self.round_id(),
            session: self.session(),
            root: self.closed.root,
            shares: parts.map(|(_, share)| share.clone()).collect(),
        })
    }

    /// Verifies the aggregator's challenge: the beacon is known.
    ///
    /// # Errors
    /// A [`Violation`] by the aggregator, who collected the parts.
    pub fn challenged(self, challenge: &Signed<Challenge>) -> Result<RoundChallenged, Violation> {
        let beacon = self.open.beacon_of(&self.closed.root, challenge)?;
        let groups = self.task().options.groups;
        Ok(RoundChallenged {
            groups: groups.map(|rule| {
                let entries = self.roll.entries().iter();
                let verified = |entry: &Entry| entry.refused.is_none().then_some(entry.device);
                Groups::draw(&rule, &beacon, entries.map(verified))
            }),
            beacon,
            digest: challenge.body_digest(),
            closed: self,
        })
    }
}

/// What follows from the closed root alone.
impl RoundOpen {
    /// The beacon of an aggregator's challenge of the list with this root.
    ///
    /// # Errors
    /// A [`Violation`] by the aggregator, who collected the parts.
    pub(super) fn beacon_of(
        &self,
        root: &Digest,
        challenge: &Signed<Challenge>,
    ) -> Result<Digest, Violation> {
        let statement = self.verify_aggregator(challenge)?;
        self.verify_session(Culprit::Aggregator, &statement.round, &statement.session)?;
        let aggregator =
            |detail: String| Violation::new(Culprit::Aggregator, Rule::Challenge, detail);
        Violation::unless(
            statement.root == *root,
            Culprit::Aggregator,
            Rule::Root,
            "the challenge is about another root",
        )?;
        let exactly = usize::from(self.threshold().t());
        if statement.shares.len() != exactly {
            let parts = statement.shares.len();
            return Err(aggregator(format!("{parts} parts, not {exactly}")));
        }
        let mut outputs = Vec::with_capacity(exactly);
        let mut last = 0;
        for share in &statement.shares {
            let (point, output) = self
                .beacon_output(root, share)
                .map_err(|e| aggregator(e.to_string()))?;
            if point <= last {
                return Err(aggregator(format!(
                    "the part of point {point} comes after that of {last}"
                )));
            }
            last = point;
            outputs.push(output);
        }
        Ok(beacon(&self.session(), root, &outputs))
    }

    /// A steward's part of the beacon of the list with this root, with its point.
    fn beacon_output(
        &self,
        root: &Digest,
        share: &Signed<BeaconShare>,
    ) -> Result<(u8, VrfOutput), Violation> {
        let statement = share.peek();
        let culprit = Culprit::Steward(statement.steward);
        self.verify_session(culprit, &statement.round, &statement.session)?;
        Violation::unless(
            statement.root == *root,
            culprit,
            Rule::Root,
            "the part of the beacon is about another root",
        )?;
        let point = self.verify_seated(share, &statement.steward)?;
        let key = self.roster().steward_at(point).map(|entry| &entry.vrf);
        let key = key.expect("the roster has the steward's point");
        let input = beacon_input(&self.session(), root);
        let output = vrf::verify(key, &input.0, &statement.proof)
            .map_err(|e| Violation::new(culprit, Rule::BeaconShare, e))?;
        Ok((point, output))
    }
}
