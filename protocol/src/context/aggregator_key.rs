//! Which of its keys the aggregator speaks with (`docs/protocol.md`, section 4.11.2): a round lives under one.

use dawn_identity::{Members, PublicKey, Signed, Statement, Verified};

use super::TaskContext;
use crate::round_context::RoundContext;
use crate::terminal::{AbortReason, Aborted};
use crate::violation::{Culprit, Rule, Violation};

impl TaskContext {
    /// The aggregator's key: as of [`Self::verified_with`], in a round that of its specification.
    pub fn aggregator(&self) -> &PublicKey {
        &self.aggregator
    }

    /// The same task in a round that is specified under this key.
    pub(crate) fn under_key(&self, aggregator: PublicKey) -> Self {
        Self {
            inner: self.inner.clone(),
            aggregator,
        }
    }

    /// Verifies that the aggregator signed a statement with a key that it has, or has had, as of [`Self::verified_with`].
    ///
    /// # Errors
    /// [`Rule::Signature`].
    pub fn verify_aggregator_ever<T: Statement + Clone>(
        &self,
        signed: &Signed<T>,
    ) -> Result<Verified<T>, Violation> {
        let key = self.verified_with().aggregator_with(&signed.signer());
        signed
            .verify(key.unwrap_or(&self.aggregator))
            .map_err(|e| Violation::new(Culprit::Aggregator, Rule::Signature, e))
    }
}

impl RoundContext {
    /// Verifies that the aggregator signed the end of this round without a result. A round whose key was replaced is ended with
    /// a later key, for this reason and no other; `members` are of a register that has that key.
    ///
    /// # Errors
    /// [`Rule::Signature`].
    pub fn verify_aborted(
        &self,
        aborted: &Signed<Aborted>,
        members: &Members,
    ) -> Result<Verified<Aborted>, Violation> {
        if aborted.peek().reason != AbortReason::KeyReplaced {
            return self.verify_aggregator(aborted);
        }
        let mut keys = members.aggregators().iter();
        let is_specified_with = keys.any(|key| key == self.aggregator());
        // Those after it.
        let later = keys.find(|key| is_specified_with && key.id() == aborted.signer());
        let later = later.ok_or_else(|| {
            let detail = "a round is aborted because of its key with a key that did not replace it";
            Violation::new(Culprit::Aggregator, Rule::Signature, detail)
        })?;
        aborted
            .verify(later)
            .map_err(|e| Violation::new(Culprit::Aggregator, Rule::Signature, e))
    }

    /// Whether the key that this round was specified with is still the aggregator's as of these members. Where it is not, the
    /// round is to be aborted, and nobody has anything to say in it any more: whoever has stolen the key speaks with it.
    ///
    /// # Errors
    /// [`Rule::Register`], by the aggregator.
    pub fn verify_key_counts(&self, members: &Members) -> Result<(), Violation> {
        Violation::unless(
            members.aggregator() == self.aggregator(),
            Culprit::Aggregator,
            Rule::Register,
            "the key that signed the specification is not the aggregator's key as of this place in the register",
        )
    }
}
