//! The rosters that the rounds of one task may have (`docs/protocol.md`, section 4.11): as stewards' keys are replaced, the
//! same organisations with the same thresholds.

use std::sync::Arc;

use dawn_crypto::digest::Digest;
use dawn_identity::{Members, VerifiedRoster};

use super::{Inner, TaskContext};
use crate::violation::{Culprit, Rule, Violation};

impl TaskContext {
    /// The roster whose stewards open.
    pub fn roster(&self) -> &VerifiedRoster {
        &self.inner.roster
    }

    /// The roster that the task names: who opened its first rounds.
    pub fn first_roster(&self) -> &VerifiedRoster {
        &self.inner.first
    }

    /// The same task under another roster that its rounds may have, given members whose register has it. Everything but
    /// the stewards' keys stays what it is, because it follows from the thresholds, which are the same.
    ///
    /// # Errors
    /// [`Rule::Roster`], by the aggregator, when the register does not have the roster, or it has other organisations or
    /// thresholds than the one that the task names.
    pub fn under_roster(&self, members: &Members, roster: &Digest) -> Result<Self, Violation> {
        // The members' register may have other keys of the aggregator.
        let same_keys = self.verified_with().aggregators() == members.aggregators();
        if same_keys && self.roster().digest() == *roster {
            return Ok(self.under_key(*members.aggregator()));
        }
        let roster = members
            .roster(roster)
            .filter(|roster| roster.continues(&self.inner.first))
            .ok_or_else(|| {
                let detail =
                    "the register has no such roster, or not one that continues that of the task";
                Violation::new(Culprit::Aggregator, Rule::Roster, detail)
            })?;
        let inner = &self.inner;
        Ok(Self {
            aggregator: *members.aggregator(),
            inner: Arc::new(Inner {
                federation: inner.federation.clone(),
                members: Arc::new(members.clone()),
                first: Arc::clone(&inner.first),
                roster: Arc::clone(roster),
                task: inner.task.clone(),
                id: inner.id,
                dimension: inner.dimension,
                proofs: inner.proofs,
                charge_micro_rho: inner.charge_micro_rho,
                public: Arc::clone(&inner.public),
            }),
        })
    }

    /// The same task under the roster that is in force as of these members.
    ///
    /// # Errors
    /// As [`Self::under_roster`].
    pub fn under_roster_in_force(&self, members: &Members) -> Result<Self, Violation> {
        let named = self.inner.first.digest();
        let in_force = members.roster_in_force(&named);
        let in_force = in_force.map_or(named, |roster| roster.digest());
        self.under_roster(members, &in_force)
    }
}
