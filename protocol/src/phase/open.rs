//! A round that devices may submit to (`docs/protocol.md`, sections 4.1 and 4.6).

use std::ops::Deref;

use dawn_identity::Signed;

use super::RoundClosed;
use crate::context::TaskContext;
use crate::roll::Roll;
use crate::round_context::RoundContext;
use crate::spec::{Endorsement, RoundAnnouncement};
use crate::statements::Closed;
use crate::violation::{Culprit, Rule, Violation};

/// A round that at least T stewards endorsed: devices may submit. Dereferences to its context.
#[derive(Clone, Debug)]
pub struct RoundOpen {
    pub(super) context: RoundContext,
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
        task: &TaskContext,
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
        let noise = self.task().options.noise;
        let candidates = noise.map_or(0, |noise| {
            u32::from(noise.candidates) * u32::from(self.threshold().m())
        });
        Violation::unless(
            statement.register.entries >= self.spec().register.entries,
            Culprit::Aggregator,
            Rule::Register,
            "the closing names an older register than the specification",
        )?;
        Violation::unless(
            statement.count <= self.task().policy.max_submissions + candidates,
            Culprit::Aggregator,
            Rule::ClosedRoot,
            "more submissions than the policy allows",
        )
    }

    /// Closes the round: the roll is what the aggregator's statement says, and has no more devices than the policy allows.
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
        Violation::unless(
            roll.register() == Some(statement.register),
            Culprit::Aggregator,
            Rule::Register,
            "the submissions were verified with other members than those of the closing",
        )?;
        // The places of stewards' noise are no places for devices: no sum wraps because of that.
        Violation::unless(
            roll.devices() <= self.task().policy.max_submissions as usize,
            Culprit::Aggregator,
            Rule::ClosedRoot,
            "more submissions of devices than the policy allows",
        )?;
        // The aggregator takes no more; whoever closes over more let one organisation have the others' places.
        let quota = self.task().options.quota;
        Violation::unless(
            quota.is_none_or(|quota| roll.most_of_one() <= quota as usize),
            Culprit::Aggregator,
            Rule::Quota,
            "more submissions of one organisation than the task's quota",
        )?;
        Ok(RoundClosed {
            open: self,
            closed: statement.clone(),
            roll,
        })
    }
}
