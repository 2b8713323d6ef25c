//! The steward's memory: every answer is here, durable, before it leaves.
//!
//! One embedded database (`steward.redb` in the data directory), written by one process at a time, every commit synced;
//! and the [`Guard`] beside it, in another directory, which notices when the database is put back from a backup. All
//! changes go through [`Vault::write`], which does the steps that [`crate::guard`] describes.
//!
//! An attacker who can modify the store can make the steward refuse to answer or, together with the guard, answer twice;
//! it holds no secret, those are in [`crate::secrets`].

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use dawn_identity::{KeyId, RegisterHead, TaskId};
use dawn_protocol::RoundId;
use rand_core::CryptoRng;
use redb::{Database, Durability, WriteTransaction};
use zeroize::Zeroizing;

use crate::answers::{AnswerFiles, ScratchFile};
use crate::change::{Change, later, longer, newer};
use crate::durable;
use crate::guard::{Guard, GuardError, Judgement, KeysMemory, Mark};
use crate::records::{Answer, AnswerKind, RoundRecord, TaskRecord};
use crate::recovery;
use crate::secrets::{SecretFiles, SecretKind};
use crate::tables::{self, Recovery};
use crate::witness::Witnessed;

/// Why the store cannot be used. None of these is anybody's refusal: they are this machine's troubles.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// Files or directories.
    #[error("the steward's files: {0}")]
    Io(#[from] std::io::Error),
    /// The database.
    #[error("the steward's store: {0}")]
    Store(String),
    /// Another process has the store open.
    #[error("another steward uses the store in {0}")]
    Locked(PathBuf),
    /// The store belongs to another steward key.
    #[error("the store belongs to steward key {0}")]
    OtherKey(KeyId),
    /// A record cannot be read.
    #[error("the store holds a damaged record of {0}")]
    Damaged(&'static str),
    /// An earlier commit failed half-way: what is on disk is known only after a restart.
    #[error("an earlier write failed; restart the steward")]
    Poisoned,
    /// The guard.
    #[error(transparent)]
    Guard(#[from] GuardError),
}

impl VaultError {
    pub(crate) fn store(error: impl std::fmt::Display) -> Self {
        Self::Store(error.to_string())
    }
}

/// What was found when the store was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// Neither store nor guard existed: a new steward (or one that lost everything).
    Fresh,
    /// Everything is as it was left, or as a crash left it.
    Intact,
    /// The store is older than the guard, or gone.
    Restored,
    /// There is a store and no guard: how old the store is cannot be known.
    GuardLost,
}

/// The store, with its guard and its secrets.
#[derive(Debug)]
pub struct Vault {
    pub(crate) db: Database,
    secrets: SecretFiles,
    data_dir: PathBuf,
    pub(crate) answers: AnswerFiles,
    guard: Mutex<GuardCell>,
    condition: Condition,
}

#[derive(Debug)]
struct GuardCell {
    guard: Guard,
    counter: u64,
    poisoned: bool,
}

impl Vault {
    /// Opens or creates the store of the steward with this key. `now` (unix seconds) is remembered when the store turns
    /// out to have been restored without its guard.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn open<R: CryptoRng>(
        data_dir: &Path,
        guard_dir: &Path,
        key: KeyId,
        now: u64,
        rng: &mut R,
    ) -> Result<Self, VaultError> {
        durable::create_private_dir(data_dir)?;
        let mut db =
            Database::create(data_dir.join("steward.redb")).map_err(|error| match error {
                redb::DatabaseError::DatabaseAlreadyOpen => VaultError::Locked(data_dir.to_owned()),
                other => VaultError::store(other),
            })?;
        let identity = tables::identity(&db)?;
        if let Some((owner, _)) = identity.filter(|(owner, _)| *owner != key) {
            return Err(VaultError::OtherKey(owner));
        }
        let former = tables::former_keys(&db)?;
        let mut guard = Guard::open(guard_dir, key, &former)?;
        let secrets = SecretFiles::open(guard_dir)?;
        let answers = AnswerFiles::open(data_dir)?;
        // Rounds that were dropped since the last start give their space back; failing to is no harm.
        if let Err(error) = db.compact() {
            tracing::warn!(%error, "the store could not be compacted");
        }
        let mark = identity.map(|(_, mark)| mark);
        let condition = match guard.judge(mark) {
            Judgement::New => Condition::Fresh,
            Judgement::Current => Condition::Intact,
            Judgement::Unconfirmed => {
                guard.confirm()?;
                Condition::Intact
            }
            Judgement::Restored => Condition::Restored,
            Judgement::GuardLost => Condition::GuardLost,
        };
        let counter = guard.counter().max(mark.map_or(0, |mark| mark.counter));
        let memory = guard.memory();
        let vault = Self {
            db,
            secrets,
            data_dir: data_dir.to_owned(),
            answers,
            guard: Mutex::new(GuardCell {
                guard,
                counter,
                poisoned: false,
            }),
            condition,
        };
        match condition {
            Condition::Intact => {}
            Condition::Fresh => vault.write(rng, |change| change.claim(key))?,
            Condition::Restored | Condition::GuardLost => {
                let guard_lost_at = (condition == Condition::GuardLost).then_some(now);
                vault.write(rng, |change| {
                    change.claim(key)?;
                    recovery::distrust(change, &memory, guard_lost_at)
                })?;
            }
        }
        vault.sweep()?;
        Ok(vault)
    }

    /// What was found when the store was opened.
    pub fn condition(&self) -> Condition {
        self.condition
    }

    /// Where the store is.
    pub(crate) fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// The answer of this kind in this round.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn answer(&self, round: &RoundId, kind: AnswerKind) -> Result<Option<Answer>, VaultError> {
        tables::read(&self.db, |view| view.answer(round, kind))
    }

    /// What is known about a round; the default when nothing is.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn round(&self, round: &RoundId) -> Result<RoundRecord, VaultError> {
        tables::read(&self.db, |view| view.round(round)).map(Option::unwrap_or_default)
    }

    /// What is known about a task; the default when nothing is.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn task(&self, task: &TaskId) -> Result<TaskRecord, VaultError> {
        tables::read(&self.db, |view| view.task(task)).map(Option::unwrap_or_default)
    }

    /// Micro-rho spent on a data source over all tasks.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn spent(&self, data_source: &str) -> Result<u64, VaultError> {
        tables::read(&self.db, |view| view.spent(data_source))
    }

    /// What a loss of the guard means for what may still be said.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn recovery(&self) -> Result<Recovery, VaultError> {
        tables::read(&self.db, |view| view.recovery())
    }

    /// Whether the log has still to be looked through, because this memory is new or was restored.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn log_unread(&self) -> Result<bool, VaultError> {
        tables::read(&self.db, |view| view.log_unread())
    }

    /// The log that was cosigned last; `None` when none was.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn witnessed(&self) -> Result<Option<Witnessed>, VaultError> {
        let cell = self.guard.lock().unwrap_or_else(PoisonError::into_inner);
        let stored = tables::read(&self.db, |view| view.witnessed())?;
        Ok(newer(stored, cell.guard.memory().log))
    }

    /// How far the register was known when something was said last; `None` when nothing was.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn register(&self) -> Result<Option<RegisterHead>, VaultError> {
        let cell = self.guard.lock().unwrap_or_else(PoisonError::into_inner);
        let stored = tables::read(&self.db, |view| view.register())?;
        Ok(longer(stored, cell.guard.memory().register))
    }

    /// The last change of the server's keys that was read; `None` when there was none.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn server_keys(&self) -> Result<Option<KeysMemory>, VaultError> {
        let cell = self.guard.lock().unwrap_or_else(PoisonError::into_inner);
        let stored = tables::read(&self.db, |view| view.server_keys())?;
        Ok(later(stored, cell.guard.memory().server_keys))
    }

    /// A secret of a round; `None` when there is none (any more).
    ///
    /// # Errors
    /// [`VaultError::Io`].
    pub fn secret(
        &self,
        round: &RoundId,
        kind: SecretKind,
    ) -> Result<Option<Zeroizing<Vec<u8>>>, VaultError> {
        Ok(self.secrets.get(round, kind)?)
    }

    /// A new file that is gone when it is dropped.
    pub(crate) fn scratch<R: CryptoRng>(&self, rng: &mut R) -> Result<ScratchFile, VaultError> {
        Ok(self.answers.scratch(rng)?)
    }

    /// Makes one change durable, in the order that [`crate::guard`] describes. `decide` sees the store as it is, with no
    /// other writer, and says what changes; when it fails, or changes nothing, nothing is written. When this returns `Ok`,
    /// what `decide` wrote is on disk and may leave.
    ///
    /// # Errors
    /// Whatever `decide` refuses with, or [`VaultError`].
    pub fn write<T, E, R>(
        &self,
        rng: &mut R,
        decide: impl FnOnce(&mut Change<'_>) -> Result<T, E>,
    ) -> Result<T, E>
    where
        E: From<VaultError>,
        R: CryptoRng,
    {
        // A panic elsewhere while holding the lock leaves guard and store as after a crash: poison says so.
        let mut cell = self.guard.lock().unwrap_or_else(PoisonError::into_inner);
        if cell.poisoned {
            return Err(VaultError::Poisoned.into());
        }
        let txn = self.begin()?;
        let mut change = Change::new(&txn, &self.secrets, &self.answers, cell.guard.memory());
        let value = decide(&mut change)?;
        let Some(plan) = change.finish() else {
            txn.abort().map_err(VaultError::store)?;
            return Ok(value);
        };
        let mark = Mark::after(cell.counter, rng);
        tables::set_mark(&txn, &mark)?;
        cell.poisoned = true;
        cell.guard
            .begin(mark, plan.memory)
            .map_err(VaultError::from)?;
        txn.commit().map_err(VaultError::store)?;
        cell.guard.confirm().map_err(VaultError::from)?;
        cell.counter = mark.counter;
        cell.poisoned = false;
        for round in plan.erase {
            // The answer is given either way; what is left is swept at the next start.
            if let Err(error) = self.secrets.erase(&round) {
                tracing::error!(%round, %error, "the secrets of a finished round could not be erased");
            }
            if let Err(error) = self.answers.remove(&round) {
                tracing::warn!(%round, %error, "the answers of a finished round could not be removed");
            }
        }
        Ok(value)
    }

    fn begin(&self) -> Result<WriteTransaction, VaultError> {
        let mut txn = self.db.begin_write().map_err(VaultError::store)?;
        txn.set_durability(Durability::Immediate)
            .map_err(VaultError::store)?;
        Ok(txn)
    }

    /// Erases the secrets of rounds that are over or were never committed.
    fn sweep(&self) -> Result<(), VaultError> {
        let open: std::collections::BTreeSet<RoundId> =
            tables::read(&self.db, |view| view.unfinished())?;
        self.answers.sweep(|round| open.contains(round))?;
        let swept = self.secrets.sweep(|round| open.contains(round))?;
        if swept > 0 {
            tracing::info!(swept, "erased secrets that a crash had left behind");
        }
        Ok(())
    }
}

#[cfg(test)]
impl Vault {
    /// As [`Vault::write`], but "crashes" after step 1 or 2.
    pub(crate) fn crash_after<E: From<VaultError>, R: CryptoRng>(
        self,
        step: u8,
        rng: &mut R,
        decide: impl FnOnce(&mut Change<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut cell = self.guard.lock().unwrap_or_else(PoisonError::into_inner);
        let txn = self.begin()?;
        let mut change = Change::new(&txn, &self.secrets, &self.answers, cell.guard.memory());
        decide(&mut change)?;
        let plan = change.finish().expect("a crash test changes something");
        let mark = Mark::after(cell.counter, rng);
        tables::set_mark(&txn, &mark)?;
        cell.guard
            .begin(mark, plan.memory)
            .map_err(VaultError::from)?;
        if step >= 2 {
            txn.commit().map_err(VaultError::store)?;
        } else {
            txn.abort().map_err(VaultError::store)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
