//! Why a specification starts from the model that it names (`docs/protocol.md`, section 4.1).
//!
//! A round that was aborted leaves the model that it started from. The aggregator signs which one that is; a steward
//! that took part in the round knows it too. One that did not (it was away, or there was no specification) believes no
//! abort by itself: it follows the ends of the rounds back, each naming the one before, to the first that does not need
//! another one to explain it:
//!
//! - a result, whose model is that of the opened sum, and which names the model that its round started from when the task asks for
//!   directions: recomputed by every auditor, and compared with what this steward knows of that round. What it leaves to draw
//!   devices from is believed only with proof ([`crate::drawing`]);
//! - the abort of the round whose specification is the newest that this steward has verified, or the end that this
//!   specification named;
//! - the abort of round 1, which leaves the initial model.

use dawn_identity::Digest;
use dawn_protocol::{Culprit, RoundContext, RoundId, RoundSpec, Rule, Terminal, Violation};

use crate::error::{Refusal, StewardError};
use crate::records::{Known, RoundRecord};
use crate::state::StewardState;

/// Most ends of rounds that are followed back. So many aborts in a row without this steward are a task that is given up.
pub const MAX_HISTORY: usize = 4096;

/// The end of a round that has to be shown next to explain a specification's model; `history` is what has been shown,
/// the latest round first. None when it suffices, or nothing more helps.
pub(crate) fn wanted(
    spec: &RoundSpec,
    history: &[Terminal],
    known: Option<&Known>,
) -> Option<(RoundId, Digest)> {
    let (round, previous) = match history.last() {
        None => (spec.round, spec.previous),
        Some(Terminal::Result(_)) => return None,
        Some(end @ Terminal::Aborted(aborted)) => {
            let body = aborted.peek();
            let suffices = |known: &Known| {
                known.number == body.round.number || known.previous == Some(end.digest())
            };
            if known.is_some_and(suffices) {
                return None;
            }
            (body.round, body.previous)
        }
    };
    if history.len() >= MAX_HISTORY {
        return None;
    }
    let number = round.number.checked_sub(1)?;
    Some((RoundId::new(round.task, number), previous?))
}

impl StewardState {
    /// Verifies that a specification continues the rounds before it, and that the model is the one that they left.
    ///
    /// # Errors
    /// [`Refusal::Violation`]; [`Refusal::OtherHistory`]; [`Refusal::Unexplained`] when `history` ends too early;
    /// [`Refusal::UnprovenDraw`].
    pub(crate) fn explain(
        &self,
        context: &RoundContext,
        history: &[Terminal],
        known: Option<&Known>,
    ) -> Result<(), StewardError> {
        let spec = context.spec();
        let known_of = |number: u32| known.filter(|known| known.number == number);
        let before = known_of(spec.round.number.saturating_sub(1));
        context.verify_previous(history.first(), before.map(Known::start))?;
        let (mut later, mut named) = (spec.round, spec.previous);
        for terminal in history.iter().take(MAX_HISTORY) {
            context.verify_terminal(terminal)?;
            let round = terminal.round();
            if round.next() != later || named != Some(terminal.digest()) {
                return Err(Refusal::OtherHistory(spec.round).into());
            }
            let record = self.vault.round(&round)?;
            check_history(&spec.round, terminal, &record)?;
            Violation::unless(
                terminal.next_start() == spec.start(),
                Culprit::Aggregator,
                Rule::SpecModel,
                "the model, or the direction, is not the one that the rounds before left",
            )?;
            let of_round = known_of(round.number);
            context.verify_leaves(terminal, of_round.map(Known::start))?;
            let Terminal::Aborted(aborted) = terminal else {
                return self.check_draw(terminal, &record, known);
            };
            let named_then = known.filter(|known| known.previous == named);
            context.verify_stays(aborted, named_then.map(Known::start))?;
            let previous = aborted.peek().previous;
            if of_round.is_some_and(|known| known.previous != previous) {
                return Err(Refusal::OtherHistory(spec.round).into());
            }
            if of_round.is_some() || named_then.is_some() || round.number == 1 {
                return Ok(());
            }
            (later, named) = (round, previous);
        }
        if spec.round.number == 1 {
            return Ok(());
        }
        Err(Refusal::Unexplained(spec.round).into())
    }
}

/// The statement that ended an earlier round speaks of the session and verdict that this steward took part in.
fn check_history(
    round: &RoundId,
    terminal: &Terminal,
    record: &RoundRecord,
) -> Result<(), StewardError> {
    let (session, verdict) = match terminal {
        Terminal::Result(result) => (Some(result.peek().session), Some(result.peek().verdict)),
        Terminal::Aborted(aborted) => (aborted.peek().session, None),
    };
    let differ = |known: Option<Digest>, named: Option<Digest>| {
        known.is_some_and(|known| named.is_some_and(|named| named != known))
    };
    let other_session = differ(
        record.session.map(|session| session.0),
        session.map(|session| session.0),
    );
    // A steward that answered the challenge knows the beacon that its result leaves.
    let left = match terminal {
        Terminal::Result(result) => record
            .next_draw
            .map(|known| Some(known) == result.peek().draw),
        Terminal::Aborted(_) => None,
    };
    if other_session || differ(record.verdict, verdict) || left == Some(false) {
        return Err(Refusal::OtherHistory(*round).into());
    }
    Ok(())
}
