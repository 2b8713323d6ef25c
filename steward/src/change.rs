//! One change of the store: what a decision may read and write before it is made durable by
//! [`crate::vault::Vault::write`].

use dawn_identity::{Digest, KeyId, RegisterHead, TaskId, to_canonical};
use dawn_protocol::RoundId;
use minicbor::{Decode, Encode};
use redb::{ReadableTable, WriteTransaction};

use crate::answers::{AnswerFiles, ScratchFile};
use crate::guard::{KeysMemory, LogMemory, Memory};
use crate::records::{Answer, AnswerKind, End, RoundRecord, TaskRecord};
use crate::secrets::{SecretFiles, SecretKind};
use crate::tables::{
    ANSWERS, Bytes, FINDINGS, LEDGER, META, META_FORMER, META_GUARD_LOST, META_IDENTITY,
    META_LOG_UNREAD, META_REGISTER, META_SERVER_KEYS, META_WITNESSED, RESTATED, ROUNDS, TASKS,
    VERSION, answer_key, decode, parse_round_key,
};
use crate::vault::VaultError;
use crate::witness::Witnessed;

/// What a finished [`Change`] still has to do outside the database.
pub(crate) struct Plan {
    pub(crate) memory: Memory,
    pub(crate) erase: Vec<RoundId>,
}

/// What store and guard remember of the log, the larger one: an older store may have been put back.
pub(crate) fn newer(stored: Option<Witnessed>, guard: Option<LogMemory>) -> Option<Witnessed> {
    match (stored, guard) {
        (Some(stored), Some(guard)) if stored.size >= guard.size => Some(stored),
        (_, Some(guard)) => Some(Witnessed {
            size: guard.size,
            root: guard.root,
            note: String::new(),
        }),
        (stored, None) => stored,
    }
}

/// What store and guard remember of the register, the longer one.
pub(crate) fn longer(
    stored: Option<RegisterHead>,
    guard: Option<RegisterHead>,
) -> Option<RegisterHead> {
    [stored, guard]
        .into_iter()
        .flatten()
        .max_by_key(|head| head.entries)
}

/// What store and guard remember of the server's keys, the later one.
pub(crate) fn later(stored: Option<KeysMemory>, guard: Option<KeysMemory>) -> Option<KeysMemory> {
    [stored, guard]
        .into_iter()
        .flatten()
        .max_by_key(|known| known.changes)
}

/// One transaction: reads the store as it is, and changes it.
pub struct Change<'t> {
    txn: &'t WriteTransaction,
    secrets: &'t SecretFiles,
    answers: &'t AnswerFiles,
    memory: Memory,
    erase: Vec<RoundId>,
    changed: bool,
}

impl<'t> Change<'t> {
    pub(crate) fn new(
        txn: &'t WriteTransaction,
        secrets: &'t SecretFiles,
        answers: &'t AnswerFiles,
        memory: Memory,
    ) -> Self {
        Self {
            txn,
            secrets,
            answers,
            memory,
            erase: Vec::new(),
            changed: false,
        }
    }

    pub(crate) fn finish(self) -> Option<Plan> {
        self.changed.then_some(Plan {
            memory: self.memory,
            erase: self.erase,
        })
    }

    fn get(&self, definition: Bytes, key: &[u8]) -> Result<Option<Vec<u8>>, VaultError> {
        let table = self.txn.open_table(definition).map_err(VaultError::store)?;
        let value = table.get(key).map_err(VaultError::store)?;
        Ok(value.map(|value| value.value().to_vec()))
    }

    fn put(&mut self, definition: Bytes, key: &[u8], value: &[u8]) -> Result<(), VaultError> {
        self.changed = true;
        let mut table = self.txn.open_table(definition).map_err(VaultError::store)?;
        table.insert(key, value).map_err(VaultError::store)?;
        Ok(())
    }

    fn remove(&mut self, definition: Bytes, key: &[u8]) -> Result<(), VaultError> {
        self.changed = true;
        let mut table = self.txn.open_table(definition).map_err(VaultError::store)?;
        table.remove(key).map_err(VaultError::store)?;
        Ok(())
    }

    fn meta<T>(&self, key: &str, what: &'static str) -> Result<Option<T>, VaultError>
    where
        T: Encode<()> + for<'b> Decode<'b, ()>,
    {
        let table = self.txn.open_table(META).map_err(VaultError::store)?;
        let value = table.get(key).map_err(VaultError::store)?;
        value.map(|bytes| decode(bytes.value(), what)).transpose()
    }

    fn put_meta(&mut self, key: &str, value: &[u8]) -> Result<(), VaultError> {
        self.changed = true;
        let mut table = self.txn.open_table(META).map_err(VaultError::store)?;
        table.insert(key, value).map_err(VaultError::store)?;
        Ok(())
    }

    /// Remembers whether the log has still to be looked through.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn set_log_unread(&mut self, unread: bool) -> Result<(), VaultError> {
        if unread {
            return self.put_meta(META_LOG_UNREAD, &[]);
        }
        self.changed = true;
        let mut table = self.txn.open_table(META).map_err(VaultError::store)?;
        table.remove(META_LOG_UNREAD).map_err(VaultError::store)?;
        Ok(())
    }

    /// The log that was cosigned last, as far as store or guard remember it.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn witnessed(&self) -> Result<Option<Witnessed>, VaultError> {
        let stored = self.meta(META_WITNESSED, "the log that was cosigned")?;
        Ok(newer(stored, self.memory.log))
    }

    /// Remembers the log that is cosigned now. The caller has verified that it continues what was cosigned before.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn put_witnessed(&mut self, log: &Witnessed) -> Result<(), VaultError> {
        self.memory.log = Some(LogMemory {
            size: log.size,
            root: log.root,
        });
        self.put_meta(META_WITNESSED, &to_canonical(log))
    }

    /// How far the register was known when something was said, as far as store or guard remember it.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn register(&self) -> Result<Option<RegisterHead>, VaultError> {
        let stored = self.meta(META_REGISTER, "the register that was known")?;
        Ok(longer(stored, self.memory.register))
    }

    /// Remembers how far the register is known; the guard will too. The caller has seen that it is further than before.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn put_register(&mut self, head: &RegisterHead) -> Result<(), VaultError> {
        self.memory.register = Some(*head);
        self.put_meta(META_REGISTER, &to_canonical(head))
    }

    /// The last change of the server's keys that was read, as far as store or guard remember it.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn server_keys(&self) -> Result<Option<KeysMemory>, VaultError> {
        let stored = self.meta(META_SERVER_KEYS, "the changes of the server's keys")?;
        Ok(later(stored, self.memory.server_keys))
    }

    /// Remembers a change of the server's keys; the guard will too. The caller has seen that it is a later one.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn put_server_keys(&mut self, known: &KeysMemory) -> Result<(), VaultError> {
        self.memory.server_keys = Some(*known);
        self.put_meta(META_SERVER_KEYS, &to_canonical(known))
    }

    /// Makes the store this key's; the log has still to be looked through.
    pub(crate) fn claim(&mut self, key: KeyId) -> Result<(), VaultError> {
        self.put_meta(META_IDENTITY, &to_canonical(&(VERSION, key)))?;
        self.set_log_unread(true)
    }

    /// Makes the store another key's of the same steward. Rounds that are going on are over for it: what was said in them was
    /// said with the old key.
    pub(crate) fn succeed(&mut self, former: &[KeyId], key: KeyId) -> Result<(), VaultError> {
        for (round, mut record) in self.rounds(None)? {
            if record.end.is_none() {
                record.end = Some(End::Superseded);
                self.put_round(&round, &record)?;
            }
        }
        for (task, mut record) in self.tasks()? {
            record.floor = record.floor.max(record.highest);
            self.put_task(&task, &record)?;
        }
        self.put_meta(META_FORMER, &to_canonical(&former.to_vec()))?;
        self.claim(key)
    }

    /// The answer of this kind in this round.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn answer(&self, round: &RoundId, kind: AnswerKind) -> Result<Option<Answer>, VaultError> {
        self.get(ANSWERS, &answer_key(round, kind))?
            .map(|bytes| decode(&bytes, "an answer"))
            .transpose()
    }

    /// Keeps an answer. The caller has looked that there is none yet.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn put_answer(
        &mut self,
        round: &RoundId,
        kind: AnswerKind,
        answer: &Answer,
    ) -> Result<(), VaultError> {
        self.put(ANSWERS, &answer_key(round, kind), &to_canonical(answer))
    }

    /// What is known about a round.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn round(&self, round: &RoundId) -> Result<RoundRecord, VaultError> {
        let bytes = self.get(ROUNDS, &round.to_key())?;
        bytes.map_or_else(
            || Ok(RoundRecord::default()),
            |bytes| decode(&bytes, "a round"),
        )
    }

    /// Replaces what is known about a round. When the round is over its secrets, findings and answers go.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn put_round(&mut self, round: &RoundId, record: &RoundRecord) -> Result<(), VaultError> {
        if record.end.is_some() {
            self.remove(FINDINGS, &round.to_key())?;
            self.erase.push(*round);
        }
        self.put(ROUNDS, &round.to_key(), &to_canonical(record))
    }

    /// Every round of a task that the store knows, with its record, in increasing order; of all tasks for `None`.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn rounds(&self, task: Option<&TaskId>) -> Result<Vec<(RoundId, RoundRecord)>, VaultError> {
        let table = self.txn.open_table(ROUNDS).map_err(VaultError::store)?;
        let (first, last) = match task {
            Some(task) => (*task, *task),
            None => (TaskId(Digest([0; 32])), TaskId(Digest([0xff; 32]))),
        };
        let first = RoundId {
            task: first,
            number: 0,
        }
        .to_key();
        let last = RoundId {
            task: last,
            number: u32::MAX,
        }
        .to_key();
        let mut rounds = Vec::new();
        for row in table
            .range(first.as_slice()..=last.as_slice())
            .map_err(VaultError::store)?
        {
            let (key, value) = row.map_err(VaultError::store)?;
            rounds.push((
                parse_round_key(key.value())?,
                decode(value.value(), "a round")?,
            ));
        }
        Ok(rounds)
    }

    /// Forgets a round with its answers. The caller has raised the task's floor above it.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn forget(&mut self, round: &RoundId) -> Result<(), VaultError> {
        for kind in AnswerKind::ALL {
            self.remove(ANSWERS, &answer_key(round, kind))?;
        }
        self.remove(FINDINGS, &round.to_key())?;
        self.erase.push(*round);
        self.remove(ROUNDS, &round.to_key())
    }

    /// What is known about a task.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn task(&self, task: &TaskId) -> Result<TaskRecord, VaultError> {
        let bytes = self.get(TASKS, task.as_bytes())?;
        bytes.map_or_else(
            || Ok(TaskRecord::default()),
            |bytes| decode(&bytes, "a task"),
        )
    }

    /// Replaces what is known about a task; the guard will remember its highest round and what it spent.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn put_task(&mut self, task: &TaskId, record: &TaskRecord) -> Result<(), VaultError> {
        let memory = self.memory.tasks.entry(*task).or_default();
        memory.highest = memory.highest.max(record.highest).max(record.floor);
        memory.spent = memory.spent.max(record.spent);
        self.put(TASKS, task.as_bytes(), &to_canonical(record))
    }

    /// Every task that the store knows.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn tasks(&self) -> Result<Vec<(TaskId, TaskRecord)>, VaultError> {
        let table = self.txn.open_table(TASKS).map_err(VaultError::store)?;
        let mut tasks = Vec::new();
        for row in table.iter().map_err(VaultError::store)? {
            let (key, value) = row.map_err(VaultError::store)?;
            let task: [u8; 32] = key
                .value()
                .try_into()
                .map_err(|_| VaultError::Damaged("a task's key"))?;
            tasks.push((TaskId(Digest(task)), decode(value.value(), "a task")?));
        }
        Ok(tasks)
    }

    /// Micro-rho spent on a data source over all tasks.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn spent(&self, data_source: &str) -> Result<u64, VaultError> {
        let table = self.txn.open_table(LEDGER).map_err(VaultError::store)?;
        let value = table.get(data_source).map_err(VaultError::store)?;
        Ok(value.map_or(0, |value| value.value()))
    }

    /// Every data source in the ledger.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn sources(&self) -> Result<Vec<String>, VaultError> {
        let table = self.txn.open_table(LEDGER).map_err(VaultError::store)?;
        let mut sources = Vec::new();
        for row in table.iter().map_err(VaultError::store)? {
            sources.push(row.map_err(VaultError::store)?.0.value().to_owned());
        }
        Ok(sources)
    }

    /// Sets what has been spent on a data source; the guard will remember it. Never lowers it.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn put_spent(&mut self, data_source: &str, micro_rho: u64) -> Result<(), VaultError> {
        let micro_rho = micro_rho.max(self.spent(data_source)?);
        self.changed = true;
        let memory = self
            .memory
            .sources
            .entry(data_source.to_owned())
            .or_default();
        *memory = (*memory).max(micro_rho);
        let mut table = self.txn.open_table(LEDGER).map_err(VaultError::store)?;
        table
            .insert(data_source, micro_rho)
            .map_err(VaultError::store)?;
        Ok(())
    }

    /// Remembers that a person has stated what was spent on a data source before the guard was lost.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn restate(&mut self, data_source: &str, micro_rho: u64) -> Result<(), VaultError> {
        self.put_spent(data_source, micro_rho)?;
        let mut table = self.txn.open_table(RESTATED).map_err(VaultError::store)?;
        table
            .insert(data_source, micro_rho)
            .map_err(VaultError::store)?;
        Ok(())
    }

    /// Remembers that the guard was found lost at this time; what was restated before does not count any more.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn guard_lost(&mut self, at: u64) -> Result<(), VaultError> {
        self.changed = true;
        self.memory.guard_lost_at = self.memory.guard_lost_at.max(Some(at));
        self.txn.delete_table(RESTATED).map_err(VaultError::store)?;
        self.put_meta(META_GUARD_LOST, &to_canonical(&at))
    }

    /// Keeps what was found in each submission of a round: see [`crate::findings`].
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn put_findings(&mut self, round: &RoundId, findings: &[u8]) -> Result<(), VaultError> {
        self.put(FINDINGS, &round.to_key(), findings)
    }

    /// What is known of each submission of a round, from the part of the beacon to the opening.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn findings(&self, round: &RoundId) -> Result<Option<Vec<u8>>, VaultError> {
        self.get(FINDINGS, &round.to_key())
    }

    /// Keeps a secret durably, at once. To be called last, when nothing can be refused any more.
    ///
    /// # Errors
    /// [`VaultError::Io`].
    pub fn put_secret(
        &mut self,
        round: &RoundId,
        kind: SecretKind,
        secret: &[u8],
    ) -> Result<(), VaultError> {
        self.changed = true;
        Ok(self.secrets.put(round, kind, secret)?)
    }

    /// Keeps this steward's own answers to the challenge of a round, a file that has been synced. To be called last.
    ///
    /// # Errors
    /// [`VaultError::Io`].
    pub(crate) fn put_answers(
        &mut self,
        round: &RoundId,
        file: ScratchFile,
    ) -> Result<(), VaultError> {
        self.changed = true;
        Ok(self.answers.keep(round, file)?)
    }
}
