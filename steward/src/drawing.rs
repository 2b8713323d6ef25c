//! What a round's devices are drawn from, when this steward did not see it come about (`docs/protocol.md`, section 4.10).
//!
//! A steward that answered a round's challenge knows the beacon that its result leaves. One that did not takes nobody's
//! word for it: whoever could choose what is drawn from would grind it until its own devices are selected. It takes the
//! result's draw with the proof that T stewards' parts make, which is in the log, or not at all.

use dawn_protocol::{Draw, DrawProof, RoundId, RoundResult, SessionId, Terminal};

use crate::error::{Refusal, StewardError};
use crate::records::{Known, RoundRecord};
use crate::state::StewardState;

/// Most rounds whose proven draws are kept in memory; the proof of one that goes is fetched again.
const MAX_DRAWS: usize = 1024;

impl StewardState {
    /// The round, and the session of it, whose draw has to be proven ([`StewardState::learn_draw`]) before a
    /// specification with this history is endorsed; none when this steward knows what the last result leaves, and when
    /// the task takes every device.
    ///
    /// # Errors
    /// [`StewardError::Vault`].
    pub fn wants_draw(
        &self,
        history: &[Terminal],
    ) -> Result<Option<(RoundId, SessionId)>, StewardError> {
        let Some(end @ Terminal::Result(result)) = history.last() else {
            return Ok(None);
        };
        let round = end.round();
        let known = self.vault.task(&round.task)?.known;
        let record = self.vault.round(&round)?;
        let knows = self.knows_draw(end, result.peek(), &record, known.as_ref());
        Ok((!knows).then_some((round, result.peek().session)))
    }

    /// Takes a proof of what a round leaves. The task has been learnt, and the register as far as the round names it.
    ///
    /// # Errors
    /// [`Refusal::UnknownTask`]; [`Refusal::Violation`].
    pub fn learn_draw(&self, proof: &DrawProof) -> Result<(), StewardError> {
        let spec = &proof.announcement.spec;
        let task = self.task_of(spec)?;
        let proven = proof.verify(&task, &self.members_at(&spec.peek().register)?)?;
        let mut draws = self.draws();
        if draws.len() >= MAX_DRAWS && !draws.contains_key(&proven.round()) {
            draws.pop_first();
        }
        draws.insert(proven.round(), (proven.session(), proven.draw()));
        Ok(())
    }

    /// That a result leaves what this steward knows that it leaves. Whether it leaves anything at all has been verified.
    ///
    /// # Errors
    /// [`Refusal::OtherHistory`]; [`Refusal::UnprovenDraw`].
    pub(crate) fn check_draw(
        &self,
        end: &Terminal,
        record: &RoundRecord,
        known: Option<&Known>,
    ) -> Result<(), StewardError> {
        let Terminal::Result(result) = end else {
            return Ok(());
        };
        if self.knows_draw(end, result.peek(), record, known) {
            Ok(())
        } else {
            Err(Refusal::UnprovenDraw(end.round()).into())
        }
    }

    fn knows_draw(
        &self,
        end: &Terminal,
        result: &RoundResult,
        record: &RoundRecord,
        known: Option<&Known>,
    ) -> bool {
        let Some(draw) = result.draw else {
            return true;
        };
        // What this steward answered a challenge with, and what a specification that it has verified continued.
        let answered = record.next_draw == Some(draw);
        let continued = known
            .is_some_and(|known| known.previous == Some(end.digest()) && known.draw == Some(draw));
        answered || continued || self.draws().get(&result.round) == Some(&(result.session, draw))
    }

    fn draws(
        &self,
    ) -> std::sync::MutexGuard<'_, std::collections::BTreeMap<RoundId, (SessionId, Draw)>> {
        let draws = self.draws.lock();
        draws.unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
