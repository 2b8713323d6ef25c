//! What a steward says before devices submit: its sealing key of the round, and which specification of the round it
//! takes part in (`docs/protocol.md`, section 4.1).

use dawn_crypto::seal::SealingSecretKey;
use dawn_identity::{Digest, Signed, Statement, TaskId};
use dawn_protocol::{
    CLOCK_TOLERANCE, Culprit, Endorsement, RoundContext, RoundId, RoundSpec, Rule, SealingKey,
    TaskContext, Terminal, Violation,
};
use rand_core::CryptoRng;

use crate::change::Change;
use crate::error::{Refusal, StewardError};
use crate::history::wanted;
use crate::records::{AnswerKind, End, Known, RoundRecord};
use crate::secrets::SecretKind;
use crate::state::{StewardState, request};

/// How many rounds of a task are remembered with their answers; older ones are refused altogether.
const REMEMBERED_ROUNDS: u32 = 16;

impl StewardState {
    /// Publishes this steward's sealing key for a round: made now, its secret half kept until the round is over. `now` in
    /// unix seconds.
    ///
    /// A round is begun only when no later one of the task has been, and ends every earlier one for this steward.
    ///
    /// # Errors
    /// [`Refusal`]; [`StewardError::Vault`].
    pub fn sealing_key<R: CryptoRng>(
        &self,
        round: &RoundId,
        now: u64,
        rng: &mut R,
    ) -> Result<Vec<u8>, StewardError> {
        let context = self.task(&round.task)?;
        // Nobody's round: its specification would not count either.
        context
            .verify_standing(&self.members(), now)
            .map_err(|detail| {
                let owner = Culprit::Organisation(context.task().owner);
                Violation::new(owner, Rule::Register, detail)
            })?;
        self.point(&context)?;
        // There is only one request for a sealing key: the round.
        let request = request(round, &[]);
        let secret = SealingSecretKey::generate(rng);
        self.vault.write(rng, |change| {
            if let Some(bytes) = self.serve(change, round, AnswerKind::SealingKey, &request)? {
                return Ok(bytes);
            }
            let register = self.remember_register(change)?;
            self.check_age(&context, now)?;
            if !(1..=context.task().rounds).contains(&round.number) {
                return Err(Refusal::NoSuchRound(*round).into());
            }
            let mut task = change.task(&round.task)?;
            if round.number <= task.highest {
                return Err(Refusal::LaterRound {
                    round: *round,
                    highest: task.highest,
                }
                .into());
            }
            self.afford(change, &context, round, None)?;
            self.end_earlier_rounds(change, &round.task, round.number)?;
            task = change.task(&round.task)?;
            task.highest = round.number;
            change.put_task(&round.task, &task)?;
            let begun = RoundRecord {
                register: Some(register),
                ..RoundRecord::default()
            };
            change.put_round(round, &begun)?;
            let statement = SealingKey {
                round: *round,
                steward: self.id,
                key: secret.public(),
            };
            let bytes = self.keep(change, round, AnswerKind::SealingKey, request, &statement)?;
            change.put_secret(round, SecretKind::SealingKey, &*secret.to_bytes())?;
            Ok(bytes)
        })
    }

    /// Endorses the one specification of a round. `history` is the statement that ended the round before, and, when the
    /// model follows from earlier rounds only, the ends of those, the latest round first
    /// ([`StewardState::wanted_history`]); nothing for round 1. `now` in unix seconds.
    ///
    /// # Errors
    /// [`Refusal`]; [`StewardError::Vault`].
    pub fn endorse<R: CryptoRng>(
        &self,
        spec: &Signed<RoundSpec>,
        history: &[Terminal],
        now: u64,
        rng: &mut R,
    ) -> Result<Vec<u8>, StewardError> {
        let round = spec.peek().round;
        let context = self.task_of(spec)?.verify_spec(spec)?;
        context.verify_register(&self.members_at(&spec.peek().register)?)?;
        self.point(&context)?;
        let known = self.vault.task(&round.task)?.known;
        self.explain(&context, history, known.as_ref())?;
        let session = context.session();
        let request = request(&round, &[session.0]);
        self.vault.write(rng, |change| {
            if let Some(bytes) = self.serve(change, &round, AnswerKind::Endorsement, &request)? {
                return Ok(bytes);
            }
            let highest = change.task(&round.task)?.highest;
            if round.number < highest {
                return Err(Refusal::LaterRound { round, highest }.into());
            }
            check_times(&context, now)?;
            // What was revoked or replaced before this steward spoke in the round counts in it.
            let known = change.round(&round)?.register.unwrap_or_default();
            let named = context.spec().register.entries;
            if named < known {
                return Err(Refusal::OldRegister {
                    round,
                    named,
                    known,
                }
                .into());
            }
            let endorsed = self.remember_register(change)?;
            self.take_part(change, &context)?;
            self.require_logged(&round, &[(RoundSpec::KIND, spec.bytes())])?;
            let mut record = change.round(&round)?;
            record.endorsed = Some(endorsed);
            change.put_round(&round, &record)?;
            let statement = Endorsement {
                round,
                session,
                steward: self.id,
            };
            self.keep(change, &round, AnswerKind::Endorsement, request, &statement)
        })
    }

    /// The end of a round, by its digest, that [`StewardState::endorse`] still needs beyond `history`; none when it needs
    /// no more.
    ///
    /// # Errors
    /// [`StewardError::Vault`].
    pub fn wanted_history(
        &self,
        spec: &Signed<RoundSpec>,
        history: &[Terminal],
    ) -> Result<Option<(RoundId, Digest)>, StewardError> {
        let known = self.vault.task(&spec.peek().round.task)?.known;
        Ok(wanted(spec.peek(), history, known.as_ref()))
    }

    /// After a loss of the guard only tasks count that nobody can have answered in before.
    fn check_age(&self, context: &TaskContext, now: u64) -> Result<(), StewardError> {
        let (task, created) = (context.id(), context.task().created);
        if created > now.saturating_add(CLOCK_TOLERANCE) {
            return Err(Refusal::TaskFromFuture { task, created }.into());
        }
        if let Some(lost_at) = self.vault.recovery()?.guard_lost_at {
            let least = lost_at.saturating_add(CLOCK_TOLERANCE).saturating_add(1);
            if created < least {
                return Err(Refusal::TaskTooOld {
                    task,
                    created,
                    least,
                }
                .into());
            }
        }
        Ok(())
    }

    /// Takes part in a session: remembered as the one of its round, whose specification has the sealing key that this
    /// steward published. Another one of the round is refused from then on.
    ///
    /// # Errors
    /// [`Refusal::KeyReplaced`], [`Refusal::OtherSession`], [`Refusal::NotMySealingKey`].
    pub(crate) fn take_part(
        &self,
        change: &mut Change<'_>,
        context: &RoundContext,
    ) -> Result<(), StewardError> {
        let round = context.round_id();
        self.check_key(change, context)?;
        let mut record = change.round(&round)?;
        match record.session {
            Some(session) if session == context.session() => Ok(()),
            Some(_) => Err(Refusal::OtherSession(round).into()),
            None => {
                self.check_own_key(change, context)?;
                record.session = Some(context.session());
                change.put_round(&round, &record)?;
                let mut task = change.task(&round.task)?;
                if task.known.is_none_or(|known| known.number < round.number) {
                    task.known = Some(Known {
                        number: round.number,
                        previous: context.spec().previous,
                        model: context.spec().model,
                        direction: context.spec().direction,
                        draw: context.spec().draw,
                    });
                    change.put_task(&round.task, &task)?;
                }
                Ok(())
            }
        }
    }

    /// The specification has exactly the sealing key that this steward published.
    fn check_own_key(
        &self,
        change: &Change<'_>,
        context: &RoundContext,
    ) -> Result<(), StewardError> {
        let round = context.round_id();
        let point = self.point(context)?;
        let shown = context
            .spec()
            .sealing_keys
            .get(usize::from(point).wrapping_sub(1));
        let shown = shown.and_then(|key| key.as_ref()).map(Signed::bytes);
        let own = change.answer(&round, AnswerKind::SealingKey)?;
        if shown.is_some() && shown == own.as_ref().map(|answer| answer.envelope.as_slice()) {
            Ok(())
        } else {
            Err(Refusal::NotMySealingKey(round).into())
        }
    }

    /// A round that begins ends all earlier ones for this steward: their secrets go, and the oldest are forgotten.
    fn end_earlier_rounds(
        &self,
        change: &mut Change<'_>,
        task: &TaskId,
        number: u32,
    ) -> Result<(), StewardError> {
        let forget_below = number.saturating_sub(REMEMBERED_ROUNDS);
        let mut record = change.task(task)?;
        if forget_below > 1 && record.floor < forget_below - 1 {
            record.floor = forget_below - 1;
            change.put_task(task, &record)?;
        }
        for (round, mut record) in change.rounds(Some(task))? {
            if round.number < forget_below {
                change.forget(&round)?;
            } else if round.number < number && record.end.is_none() {
                record.end = Some(End::Superseded);
                change.put_round(&round, &record)?;
            }
        }
        Ok(())
    }
}

/// Credentials are judged at the time at which collecting ends: a round must not be opened in the future, nor be over.
fn check_times(context: &RoundContext, now: u64) -> Result<(), StewardError> {
    let opened = context.spec().opened_ms / 1000;
    let ends = context.credential_time();
    if opened > now.saturating_add(CLOCK_TOLERANCE) || ends.saturating_add(CLOCK_TOLERANCE) < now {
        let round = context.round_id();
        return Err(Refusal::WrongTime {
            round,
            opened,
            ends,
            now,
        }
        .into());
    }
    Ok(())
}
