//! What this device has already said, on disk before it says it.
//!
//! A device submits at most once per (task, round), whatever the session id (docs/protocol.md,
//! section 4.1): two submissions of one round under two sessions would let two sets be opened. So
//! the claim on a round is committed and fsynced before the first byte leaves the device, and a
//! claim is never withdrawn: a device that lost power in between sits the round out.
//!
//! An attacker who can modify this file can at most make the device submit twice in a round whose
//! claim was erased, or sit rounds out; it holds no secrets.

use std::fs::{self, File};
use std::path::Path;

use dawn_crypto::digest::Digest;
use dawn_identity::{DeviceId, RegisterHead, Signed};
use dawn_protocol::{Receipt, RoundId, SessionId, TaskId};
use minicbor::{Decode, Encode};
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};
use thiserror::Error;

/// Canonical round id -> canonical [`Claim`].
const CLAIMS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("claims");
/// Task -> how much of the register the newest of its specifications named that this device has verified.
const REGISTERS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("registers");
/// Facts about the file itself.
const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");
const META_DEVICE: &str = "device";
/// The store holds a few hundred bytes a round: a large page cache would only cost an edge app memory.
const CACHE_BYTES: usize = 256 * 1024;

/// Why the ledger could not do what it was asked.
#[derive(Debug, Error)]
pub enum LedgerError {
    /// The state directory could not be made, opened or synced.
    #[error("the state directory cannot be used: {0}")]
    Directory(#[from] std::io::Error),
    /// The embedded store refused; also when another process has it open.
    #[error("the ledger cannot be used: {0}")]
    Store(Box<redb::Error>),
    /// A row does not decode: the file was changed by something else.
    #[error("the ledger holds a row that does not decode")]
    Corrupt,
    /// The directory was made by another device.
    #[error("the state directory belongs to device {found}, not to {expected}")]
    OtherDevice {
        /// The device of this client.
        expected: DeviceId,
        /// The device that made the directory.
        found: DeviceId,
    },
    /// This device already submitted something else in this round.
    #[error(
        "round {round} was already claimed under session {session}: a device submits once per round"
    )]
    AlreadyClaimed {
        /// The round in question.
        round: RoundId,
        /// The session of the earlier claim.
        session: SessionId,
    },
}

/// The store's own errors, one per kind of call, all mean the same to us.
macro_rules! from_store {
    ($($error:ty),+ $(,)?) => {
        $(impl From<$error> for LedgerError {
            fn from(error: $error) -> Self {
                LedgerError::Store(Box::new(error.into()))
            }
        })+
    };
}

from_store!(
    redb::DatabaseError,
    redb::TransactionError,
    redb::TableError,
    redb::StorageError,
    redb::CommitError,
);

/// One claimed round, as stored.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Claim {
    /// The round.
    #[n(0)]
    pub round: RoundId,
    /// The session that the submission was made for.
    #[n(1)]
    pub session: SessionId,
    /// Envelope digest of the signed submission header.
    #[n(2)]
    pub header: Digest,
    /// The aggregator's signed receipt, once it came.
    #[n(3)]
    pub receipt: Option<Signed<Receipt>>,
}

/// The durable record of the rounds that this device took part in.
pub struct Ledger {
    database: Database,
}

impl Ledger {
    /// Opens (or makes) the ledger of `device` in the directory `state_dir`.
    ///
    /// # Errors
    /// When the directory or the file cannot be used, is open elsewhere, or belongs to another device.
    pub fn open(state_dir: &Path, device: DeviceId) -> Result<Self, LedgerError> {
        fs::create_dir_all(state_dir)?;
        let path = state_dir.join("ledger.redb");
        let database = Database::builder()
            .set_cache_size(CACHE_BYTES)
            .create(path)?;
        let transaction = database.begin_write()?;
        {
            let mut meta = transaction.open_table(META)?;
            let stored = meta.get(META_DEVICE)?.map(|value| value.value().to_vec());
            match stored {
                Some(bytes) => {
                    let found: DeviceId = decode(&bytes)?;
                    if found != device {
                        return Err(LedgerError::OtherDevice {
                            expected: device,
                            found,
                        });
                    }
                }
                None => {
                    meta.insert(META_DEVICE, encode(&device).as_slice())?;
                }
            }
            transaction.open_table(CLAIMS)?;
            transaction.open_table(REGISTERS)?;
        }
        transaction.commit()?;
        // The file's own name must survive a power cut as well.
        File::open(state_dir)?.sync_all()?;
        Ok(Self { database })
    }

    /// The place in the register that a verified specification of the task named, the latest.
    ///
    /// # Errors
    /// When the store fails.
    pub fn register(&self, task: &TaskId) -> Result<Option<RegisterHead>, LedgerError> {
        let transaction = self.database.begin_read()?;
        let registers = transaction.open_table(REGISTERS)?;
        registers
            .get(task.as_bytes().as_slice())?
            .map(|value| decode(value.value()))
            .transpose()
    }

    /// Keeps the place that a verified specification of the task names, when it is later than the one before.
    ///
    /// # Errors
    /// When the store fails.
    pub fn keep_register(&self, task: &TaskId, head: &RegisterHead) -> Result<(), LedgerError> {
        let transaction = self.database.begin_write()?;
        {
            let mut registers = transaction.open_table(REGISTERS)?;
            let stored = registers.get(task.as_bytes().as_slice())?;
            let known: Option<RegisterHead> =
                stored.map(|value| decode(value.value())).transpose()?;
            if known.is_some_and(|known| known.entries >= head.entries) {
                return Ok(());
            }
            registers.insert(task.as_bytes().as_slice(), encode(head).as_slice())?;
        }
        transaction.commit()?;
        Ok(())
    }

    /// Claims `round` for one submission. Committed and fsynced when this returns. The same claim
    /// again succeeds (a retry of identical bytes); any other claim on the round is refused.
    ///
    /// # Errors
    /// [`LedgerError::AlreadyClaimed`], or when the store fails: then nothing may be sent.
    pub fn claim(
        &self,
        round: RoundId,
        session: SessionId,
        header: Digest,
    ) -> Result<(), LedgerError> {
        let transaction = self.database.begin_write()?;
        {
            let mut claims = transaction.open_table(CLAIMS)?;
            let key = encode(&round);
            let stored = claims
                .get(key.as_slice())?
                .map(|value| value.value().to_vec());
            if let Some(bytes) = stored {
                let claim: Claim = decode(&bytes)?;
                if claim.session == session && claim.header == header {
                    return Ok(());
                }
                return Err(LedgerError::AlreadyClaimed {
                    round,
                    session: claim.session,
                });
            }
            let claim = Claim {
                round,
                session,
                header,
                receipt: None,
            };
            claims.insert(key.as_slice(), encode(&claim).as_slice())?;
        }
        transaction.commit()?;
        Ok(())
    }

    /// Keeps the receipt of a claimed round.
    ///
    /// # Errors
    /// When the round was never claimed with this header, or the store fails.
    pub fn keep_receipt(
        &self,
        round: RoundId,
        receipt: &Signed<Receipt>,
    ) -> Result<(), LedgerError> {
        let transaction = self.database.begin_write()?;
        {
            let mut claims = transaction.open_table(CLAIMS)?;
            let key = encode(&round);
            let stored = claims
                .get(key.as_slice())?
                .map(|value| value.value().to_vec());
            let bytes = stored.ok_or(LedgerError::Corrupt)?;
            let mut claim: Claim = decode(&bytes)?;
            claim.receipt = Some(receipt.clone());
            claims.insert(key.as_slice(), encode(&claim).as_slice())?;
        }
        transaction.commit()?;
        Ok(())
    }

    /// The claim on `round`, if there is one.
    ///
    /// # Errors
    /// When the store fails.
    pub fn find(&self, round: RoundId) -> Result<Option<Claim>, LedgerError> {
        let transaction = self.database.begin_read()?;
        let claims = transaction.open_table(CLAIMS)?;
        claims
            .get(encode(&round).as_slice())?
            .map(|value| decode(value.value()))
            .transpose()
    }

    /// Every claim, in no particular order of time.
    ///
    /// # Errors
    /// When the store fails.
    pub fn claims(&self) -> Result<Vec<Claim>, LedgerError> {
        let transaction = self.database.begin_read()?;
        let table = transaction.open_table(CLAIMS)?;
        let mut claims = Vec::new();
        for row in table.iter()? {
            let (_, value) = row?;
            claims.push(decode(value.value())?);
        }
        claims.sort_by_key(|claim: &Claim| claim.round);
        Ok(claims)
    }
}

fn encode<T: Encode<()>>(value: &T) -> Vec<u8> {
    minicbor::to_vec(value).expect("encoding into memory cannot fail")
}

fn decode<T: for<'b> Decode<'b, ()>>(bytes: &[u8]) -> Result<T, LedgerError> {
    minicbor::decode(bytes).map_err(|_| LedgerError::Corrupt)
}
