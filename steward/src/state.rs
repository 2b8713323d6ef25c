//! The steward's decisions, without HTTP: what is verified before it says anything, and that it says each thing once.
//!
//! The five things are in [`crate::preparation`] (sealing key, endorsement), [`crate::beacon`], [`crate::report`] and
//! [`crate::opening`].
//! Here is what they share: who the steward is, which tasks it knows, and the one gate ([`StewardState::serve`]) that
//! every request passes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError, RwLock};

use dawn_crypto::digest::{hash, labels};
use dawn_crypto::vrf::VrfSecretKey;
use dawn_identity::{
    Digest, Envelope, OrgId, Register, SecretKey, SessionId, Signed, Statement, StewardId, TaskId,
    VerifiedFederation,
};
use dawn_protocol::{Draw, LogEntry, MAX_STATEMENT_BYTES, RoundId, RoundSpec, Task, TaskContext};
use rand_core::CryptoRng;

use crate::change::Change;
use crate::error::{Refusal, StewardError};
use crate::recomputing::RECOMPUTE_ALL_BYTES;
use crate::records::{Answer, AnswerKind, End};
use crate::seen::own_statement;
use crate::vault::Vault;

/// Most tasks whose context is kept in memory; an evicted one is shown again.
const MAX_TASKS: usize = 256;

/// What was asked: the round, and everything that the answer depends on. One label and one number of parts per kind keep
/// requests of different kinds apart; they are compared within one kind only.
pub(crate) fn request(round: &RoundId, parts: &[Digest]) -> Digest {
    let key = round.to_key();
    let fields: Vec<&[u8]> = std::iter::once(key.as_slice())
        .chain(parts.iter().map(|part| part.0.as_slice()))
        .collect();
    hash(labels::STEWARD_REQUEST, &fields)
}

/// A steward: its key, its memory, and what it has verified.
#[derive(Debug)]
pub struct StewardState {
    pub(crate) vault: Vault,
    pub(crate) key: SecretKey,
    pub(crate) vrf: VrfSecretKey,
    pub(crate) id: StewardId,
    pub(crate) budgets: BTreeMap<String, u64>,
    pub(crate) recompute_all_bytes: u64,
    /// Leaf hashes of statements that were shown to be in the log.
    pub(crate) logged: Mutex<BTreeSet<Digest>>,
    /// What rounds leave to draw from, by proof.
    pub(crate) draws: Mutex<BTreeMap<RoundId, (SessionId, Draw)>>,
    federation: VerifiedFederation,
    pub(crate) register: RwLock<Register>,
    tasks: Mutex<BTreeMap<TaskId, TaskContext>>,
}

impl StewardState {
    /// The steward of `org` with these keys and memory, in a federation whose founding document has been verified against
    /// the pinned digest. `budgets` limits data sources, in micro-rho.
    pub fn new(
        vault: Vault,
        key: SecretKey,
        vrf: VrfSecretKey,
        org: &OrgId,
        federation: VerifiedFederation,
        budgets: BTreeMap<String, u64>,
    ) -> Self {
        Self {
            id: StewardId::of(org, &key.public()),
            vault,
            key,
            vrf,
            budgets,
            recompute_all_bytes: RECOMPUTE_ALL_BYTES,
            logged: Mutex::default(),
            draws: Mutex::default(),
            register: RwLock::new(Register::new(&federation)),
            federation,
            tasks: Mutex::default(),
        }
    }

    /// This steward.
    pub fn id(&self) -> StewardId {
        self.id
    }

    /// The federation.
    pub fn federation(&self) -> &VerifiedFederation {
        &self.federation
    }

    /// The steward's memory, to look at.
    pub fn vault(&self) -> &Vault {
        &self.vault
    }

    /// Whether the memory may have lost answers, so that the log should be looked through before anything is said
    /// ([`StewardState::observe_log`]).
    ///
    /// # Errors
    /// [`StewardError::Vault`].
    pub fn should_read_log(&self) -> Result<bool, StewardError> {
        Ok(self.vault.log_unread()?)
    }

    /// Remembers that the log has been looked through.
    ///
    /// # Errors
    /// [`StewardError::Vault`].
    pub fn log_has_been_read<R: CryptoRng>(&self, rng: &mut R) -> Result<(), StewardError> {
        self.vault
            .write(rng, |change| Ok(change.set_log_unread(false)?))
    }

    /// Verifies a task and remembers it: the owner's issuer signed it under a root that the founding document or a
    /// registration shows, and the roster that it names is in the register.
    ///
    /// # Errors
    /// [`Refusal::Violation`]; [`Refusal::NotInRoster`] when this steward does not open for the task.
    pub fn learn_task(&self, task: &Signed<Task>) -> Result<TaskContext, StewardError> {
        // Until it is in: a register that turns out to be another one takes the tasks along.
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        let context = TaskContext::verify(&self.federation, &self.members(), task)?;
        self.point(&context)?;
        if tasks.len() >= MAX_TASKS && !tasks.contains_key(&context.id()) {
            tasks.pop_first();
        }
        tasks.insert(context.id(), context.clone());
        Ok(context)
    }

    /// Forgets the tasks that were verified with a register that was another one.
    pub(crate) fn forget_tasks(&self) {
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        tasks.clear();
    }

    /// Whether a task has been learnt.
    pub fn knows_task(&self, task: &TaskId) -> bool {
        self.tasks
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .contains_key(task)
    }

    /// A task that has been learnt, under the roster that is in force for it as far as the register is known.
    ///
    /// # Errors
    /// [`Refusal::UnknownTask`].
    pub fn task(&self, task: &TaskId) -> Result<TaskContext, StewardError> {
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        let known = tasks.get_mut(task);
        let known = known.ok_or(StewardError::Refused(Refusal::UnknownTask(*task)))?;
        let register = self.register.read().unwrap_or_else(PoisonError::into_inner);
        *known = known.under_roster_in_force(register.members())?;
        Ok(known.clone())
    }

    /// The task of a round that has been learnt, under the roster that the round's specification names. Whether that one is
    /// in force is asked before the specification is endorsed.
    ///
    /// # Errors
    /// [`Refusal::UnknownTask`]; [`Refusal::Violation`] when there is no such roster.
    pub(crate) fn task_of(&self, spec: &Signed<RoundSpec>) -> Result<TaskContext, StewardError> {
        let task = self.task(&spec.peek().round.task)?;
        let register = self.register.read().unwrap_or_else(PoisonError::into_inner);
        Ok(task.under_roster(register.members(), &spec.peek().roster)?)
    }

    /// This steward's evaluation point in the roster of a context. Its organisation's memory has to go back to the task's
    /// beginning: who opened the first rounds at this point was this steward, or had a key that this memory has had.
    ///
    /// # Errors
    /// [`Refusal::NotInRoster`], [`Refusal::ForgottenPast`].
    pub(crate) fn point(&self, context: &TaskContext) -> Result<u8, StewardError> {
        let point = context.roster().point_of(&self.id);
        let point = point.ok_or(StewardError::Refused(Refusal::NotInRoster {
            task: context.id(),
            steward: self.id,
        }))?;
        let first = context.first_roster().steward_at(point);
        if let Some(first) = first.filter(|first| first.id() != self.id)
            && !self.vault.former_keys()?.contains(&first.steward.id())
        {
            return Err(Refusal::ForgottenPast(context.id()).into());
        }
        Ok(point)
    }

    /// The gate: the answer that an identical request got, or `None` when something new may be said.
    ///
    /// # Errors
    /// [`Refusal::AnsweredAnother`], [`Refusal::Over`], [`Refusal::BelowFloor`].
    pub(crate) fn serve(
        &self,
        change: &Change<'_>,
        round: &RoundId,
        kind: AnswerKind,
        request: &Digest,
    ) -> Result<Option<Vec<u8>>, StewardError> {
        let end = change.round(round)?.end;
        if let Some(end @ (End::Restored | End::KeyUsedElsewhere)) = end {
            return Err(Refusal::Over { round: *round, end }.into());
        }
        if let Some(answer) = change.answer(round, kind)? {
            if answer.request == *request {
                return Ok(Some(answer.envelope));
            }
            return Err(Refusal::AnsweredAnother {
                round: *round,
                kind,
            }
            .into());
        }
        if let Some(end) = end {
            return Err(Refusal::Over { round: *round, end }.into());
        }
        let floor = change.task(&round.task)?.floor;
        if round.number <= floor {
            return Err(Refusal::BelowFloor {
                round: *round,
                floor,
            }
            .into());
        }
        Ok(None)
    }

    /// Signs a statement and keeps it as the answer to a request; it may leave when the change is durable.
    pub(crate) fn keep<T: Statement>(
        &self,
        change: &mut Change<'_>,
        round: &RoundId,
        kind: AnswerKind,
        request: Digest,
        statement: &T,
    ) -> Result<Vec<u8>, StewardError> {
        self.keep_with(change, round, kind, request, statement, None)
    }

    /// As [`Self::keep`], with what goes beside the statement.
    pub(crate) fn keep_with<T: Statement>(
        &self,
        change: &mut Change<'_>,
        round: &RoundId,
        kind: AnswerKind,
        request: Digest,
        statement: &T,
        beside: Option<Vec<u8>>,
    ) -> Result<Vec<u8>, StewardError> {
        debug_assert_eq!(T::KIND, kind.name());
        let signed = Signed::sign(statement, &self.key)
            .map_err(|error| StewardError::Own(error.to_string()))?;
        let answer = Answer {
            request,
            envelope: signed.bytes().to_vec(),
            beside: beside.map(Into::into),
        };
        change.put_answer(round, kind, &answer)?;
        Ok(answer.envelope)
    }

    /// Compares log entries with the memory. A statement that verifies under this steward's key and that the memory does
    /// not hold was made by a forgotten past or by somebody else with the key: its round, and every earlier one of the
    /// task, is over. Says how many such statements there were.
    ///
    /// # Errors
    /// [`StewardError::Vault`].
    pub fn observe_log<R: CryptoRng>(
        &self,
        entries: &[LogEntry],
        rng: &mut R,
    ) -> Result<usize, StewardError> {
        let own_key = self.key.public();
        let mut unknown = Vec::new();
        for entry in entries {
            let Ok(envelope) = Envelope::parse(&entry.envelope, MAX_STATEMENT_BYTES) else {
                continue;
            };
            let Some((round, kind)) = own_statement(&envelope, &own_key) else {
                continue;
            };
            let held = self.vault.answer(&round, kind)?;
            if held.is_none_or(|answer| answer.envelope != entry.envelope) {
                unknown.push((round, kind));
            }
        }
        if unknown.is_empty() {
            return Ok(0);
        }
        self.vault.write(rng, |change| {
            for (round, kind) in &unknown {
                let mut task = change.task(&round.task)?;
                let mut record = change.round(round)?;
                let forgotten = round.number <= task.floor && change.answer(round, *kind)?.is_none();
                if forgotten && record.end.is_none_or(|end| end == End::Restored) {
                    // Dropped on purpose, or known to be lost: nothing is said in it anyway.
                    continue;
                }
                if record.end != Some(End::KeyUsedElsewhere) {
                    tracing::error!(%round, %kind, "the log has a statement of this steward's key that it does not remember");
                    record.end = Some(End::KeyUsedElsewhere);
                    change.put_round(round, &record)?;
                }
                if task.floor < round.number || task.highest < round.number {
                    task.floor = task.floor.max(round.number);
                    task.highest = task.highest.max(round.number);
                    change.put_task(&round.task, &task)?;
                }
            }
            Ok::<_, StewardError>(())
        })?;
        Ok(unknown.len())
    }

    /// Applies what a person has stated about spending before a loss of the guard.
    ///
    /// # Errors
    /// [`StewardError::Vault`].
    pub fn restate_spending<R: CryptoRng>(
        &self,
        spending: &BTreeMap<String, u64>,
        rng: &mut R,
    ) -> Result<(), StewardError> {
        let recovery = self.vault.recovery()?;
        let missing: Vec<_> = spending
            .iter()
            .filter(|(source, _)| recovery.ledger_unknown(source))
            .collect();
        self.vault.write(rng, |change| {
            missing.iter().try_for_each(|(source, spent)| {
                change.restate(source, **spent).map_err(StewardError::from)
            })
        })
    }
}
