//! The tables of the store, and reading them. Changing them: [`crate::change`].

use std::collections::BTreeSet;

use dawn_identity::{Digest, KeyId, RegisterHead, TaskId, from_canonical, to_canonical};
use dawn_protocol::RoundId;
use minicbor::{Decode, Encode};
use redb::{
    Database, ReadTransaction, ReadableDatabase, ReadableTable, TableDefinition, WriteTransaction,
};

use crate::guard::{KeysMemory, Mark};
use crate::records::{Answer, AnswerKind, RoundRecord, TaskRecord};
use crate::vault::VaultError;
use crate::witness::Witnessed;

pub(crate) type Bytes = TableDefinition<'static, &'static [u8], &'static [u8]>;

/// Single values by name.
pub(crate) const META: TableDefinition<'static, &'static str, &'static [u8]> =
    TableDefinition::new("meta");
/// Round key and kind -> [`Answer`].
pub(crate) const ANSWERS: Bytes = TableDefinition::new("answers");
/// Round key -> [`RoundRecord`].
pub(crate) const ROUNDS: Bytes = TableDefinition::new("rounds");
/// Round key -> one record per submission, from the part of the beacon to the opening: see [`crate::findings`].
pub(crate) const FINDINGS: Bytes = TableDefinition::new("findings");
/// Task -> [`TaskRecord`].
pub(crate) const TASKS: Bytes = TableDefinition::new("tasks");
/// Data source -> micro-rho.
pub(crate) const LEDGER: TableDefinition<'static, &'static str, u64> =
    TableDefinition::new("ledger");
/// Data sources of which a person has said, after a loss of the guard, what has been spent.
pub(crate) const RESTATED: TableDefinition<'static, &'static str, u64> =
    TableDefinition::new("restated");

pub(crate) const VERSION: u16 = 1;
pub(crate) const META_IDENTITY: &str = "identity";
/// The keys that this memory's steward has had before, oldest first.
pub(crate) const META_FORMER: &str = "former-keys";
const META_MARK: &str = "mark";
pub(crate) const META_GUARD_LOST: &str = "guard-lost-at";
pub(crate) const META_LOG_UNREAD: &str = "log-unread";
/// [`RegisterHead`].
pub(crate) const META_REGISTER: &str = "register-known";
pub(crate) const META_SERVER_KEYS: &str = "server-keys-known";
/// [`Witnessed`].
pub(crate) const META_WITNESSED: &str = "log-witnessed";

/// What the last loss of the guard means for what may still be said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// When a store without a guard was last found, in unix seconds. Tasks that may be older are refused.
    pub guard_lost_at: Option<u64>,
    /// Data sources whose spending a person has stated since.
    pub restated: BTreeSet<String>,
}

impl Recovery {
    /// Whether the ledger of this data source may have forgotten spending.
    pub fn ledger_unknown(&self, data_source: &str) -> bool {
        self.guard_lost_at.is_some() && !self.restated.contains(data_source)
    }
}

pub(crate) fn decode<T>(bytes: &[u8], what: &'static str) -> Result<T, VaultError>
where
    T: Encode<()> + for<'b> Decode<'b, ()>,
{
    from_canonical(bytes).map_err(|_| VaultError::Damaged(what))
}

pub(crate) fn answer_key(round: &RoundId, kind: AnswerKind) -> [u8; 37] {
    let mut key = [0; 37];
    key[..36].copy_from_slice(&round.to_key());
    key[36] = kind as u8;
    key
}

pub(crate) fn parse_round_key(key: &[u8]) -> Result<RoundId, VaultError> {
    let damaged = || VaultError::Damaged("a round's key");
    let (task, number) = key.split_first_chunk::<32>().ok_or_else(damaged)?;
    let number: [u8; 4] = number.try_into().map_err(|_| damaged())?;
    Ok(RoundId {
        task: TaskId(Digest(*task)),
        number: u32::from_be_bytes(number),
    })
}

/// The key that a store belongs to and its last mark; `None` for an empty store.
pub(crate) fn identity(db: &Database) -> Result<Option<(KeyId, Mark)>, VaultError> {
    read(db, |view| {
        let Some(identity) = view.meta(META_IDENTITY)? else {
            return Ok(None);
        };
        let (version, key): (u16, KeyId) = decode(&identity, "the store's owner")?;
        if version != VERSION {
            return Err(VaultError::Store(format!(
                "version {version} of the store is not known"
            )));
        }
        let mark = view
            .meta(META_MARK)?
            .ok_or(VaultError::Damaged("the last commit"))?;
        Ok(Some((key, decode(&mark, "the last commit")?)))
    })
}

/// The keys that the store's steward has had before.
pub(crate) fn former_keys(db: &Database) -> Result<Vec<KeyId>, VaultError> {
    read(db, |view| match view.meta(META_FORMER)? {
        Some(bytes) => decode(&bytes, "the keys before"),
        None => Ok(Vec::new()),
    })
}

pub(crate) fn set_mark(txn: &WriteTransaction, mark: &Mark) -> Result<(), VaultError> {
    let mut table = txn.open_table(META).map_err(VaultError::store)?;
    table
        .insert(META_MARK, to_canonical(mark).as_slice())
        .map_err(VaultError::store)?;
    Ok(())
}

/// Reads in one consistent snapshot.
pub(crate) fn read<T>(
    db: &Database,
    f: impl FnOnce(&View) -> Result<T, VaultError>,
) -> Result<T, VaultError> {
    f(&View(db.begin_read().map_err(VaultError::store)?))
}

/// A snapshot of the store.
pub(crate) struct View(ReadTransaction);

/// Opens a table of a snapshot; one that was never written is empty.
macro_rules! table {
    ($view:expr, $definition:expr, $none:expr) => {
        match $view.0.open_table($definition) {
            Ok(table) => table,
            Err(redb::TableError::TableDoesNotExist(_)) => return Ok($none),
            Err(error) => return Err(VaultError::store(error)),
        }
    };
}

impl View {
    fn meta(&self, name: &str) -> Result<Option<Vec<u8>>, VaultError> {
        let table = table!(self, META, None);
        Ok(table
            .get(name)
            .map_err(VaultError::store)?
            .map(|value| value.value().to_vec()))
    }

    fn bytes(&self, definition: Bytes, key: &[u8]) -> Result<Option<Vec<u8>>, VaultError> {
        let table = table!(self, definition, None);
        Ok(table
            .get(key)
            .map_err(VaultError::store)?
            .map(|value| value.value().to_vec()))
    }

    pub(crate) fn answer(
        &self,
        round: &RoundId,
        kind: AnswerKind,
    ) -> Result<Option<Answer>, VaultError> {
        self.bytes(ANSWERS, &answer_key(round, kind))?
            .map(|bytes| decode(&bytes, "an answer"))
            .transpose()
    }

    pub(crate) fn round(&self, round: &RoundId) -> Result<Option<RoundRecord>, VaultError> {
        self.bytes(ROUNDS, &round.to_key())?
            .map(|bytes| decode(&bytes, "a round"))
            .transpose()
    }

    pub(crate) fn task(&self, task: &TaskId) -> Result<Option<TaskRecord>, VaultError> {
        self.bytes(TASKS, task.as_bytes())?
            .map(|bytes| decode(&bytes, "a task"))
            .transpose()
    }

    pub(crate) fn spent(&self, data_source: &str) -> Result<u64, VaultError> {
        let table = table!(self, LEDGER, 0);
        Ok(table
            .get(data_source)
            .map_err(VaultError::store)?
            .map_or(0, |value| value.value()))
    }

    pub(crate) fn recovery(&self) -> Result<Recovery, VaultError> {
        let Some(lost) = self.meta(META_GUARD_LOST)? else {
            return Ok(Recovery::default());
        };
        let mut recovery = Recovery {
            guard_lost_at: Some(decode(&lost, "the loss of the guard")?),
            restated: BTreeSet::new(),
        };
        let table = table!(self, RESTATED, recovery);
        for row in table.iter().map_err(VaultError::store)? {
            let (source, _) = row.map_err(VaultError::store)?;
            recovery.restated.insert(source.value().to_owned());
        }
        Ok(recovery)
    }

    pub(crate) fn log_unread(&self) -> Result<bool, VaultError> {
        Ok(self.meta(META_LOG_UNREAD)?.is_some())
    }

    pub(crate) fn witnessed(&self) -> Result<Option<Witnessed>, VaultError> {
        self.meta(META_WITNESSED)?
            .map(|bytes| decode(&bytes, "the log that was cosigned"))
            .transpose()
    }

    pub(crate) fn register(&self) -> Result<Option<RegisterHead>, VaultError> {
        self.meta(META_REGISTER)?
            .map(|bytes| decode(&bytes, "the register that was known"))
            .transpose()
    }

    pub(crate) fn server_keys(&self) -> Result<Option<KeysMemory>, VaultError> {
        self.meta(META_SERVER_KEYS)?
            .map(|bytes| decode(&bytes, "the changes of the server's keys"))
            .transpose()
    }

    /// Rounds in which something may still be said.
    pub(crate) fn unfinished(&self) -> Result<BTreeSet<RoundId>, VaultError> {
        let table = table!(self, ROUNDS, BTreeSet::new());
        let mut rounds = BTreeSet::new();
        for row in table.iter().map_err(VaultError::store)? {
            let (key, value) = row.map_err(VaultError::store)?;
            let record: RoundRecord = decode(value.value(), "a round")?;
            if record.end.is_none() {
                rounds.insert(parse_round_key(key.value())?);
            }
        }
        Ok(rounds)
    }
}
