//! How a steward notices that its store was put back from a backup.
//!
//! A store that was put back has forgotten answers that were given after the backup was taken, and would give different
//! ones. So a second file, the *guard*, lives in a directory that is **not** in the backups and knows which commit of
//! the store was the last one whose answer may have left. Every commit has a [`Mark`]: a counter and a random token.
//!
//! The order of one commit, each step durable before the next begins:
//!
//! 1. guard: `pending = new mark` (with the task's highest round and what was spent),
//! 2. store: the answer, and `mark = new mark`, in one transaction,
//! 3. guard: `done = new mark`, nothing pending,
//! 4. the answer may leave.
//!
//! What is found at the next start, and what it means:
//!
//! | store's mark | meaning |
//! |---|---|
//! | `done` | everything is as it was left, or the crash was between 1 and 2: that answer never left and is forgotten |
//! | `pending` | the crash was between 2 and 3: step 3 is done now, and the answer may leave |
//! | anything else | the store is not the one that this guard last saw: it was **restored** |
//!
//! An answer that left has passed step 3, so a store from before it never carries the mark that the guard calls done: an
//! older store is always noticed, a crash is never mistaken for one. The token makes two commits with the same counter
//! (before and after a dropped one) different. If guard and store are put back *together* nothing here can notice; then
//! only the log shows what this steward's key has signed ([`crate::state::StewardState::observe_log`]).
//!
//! An attacker who can write the guard's directory can make the steward refuse rounds, or (together with an older store)
//! make it answer twice; it learns nothing from the guard itself.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use dawn_identity::{Digest, KeyId, RegisterHead, TaskId, from_canonical, to_canonical};
use minicbor::{Decode, Encode};
use rand_core::CryptoRng;

use crate::durable;

const FILE: &str = "guard.cbor";
const LOCK: &str = "guard.lock";
const VERSION: u16 = 1;

/// The name of one commit of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Mark {
    /// Counts the commits.
    #[n(0)]
    pub counter: u64,
    /// Makes commits with the same counter different.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub token: [u8; 16],
}

impl Mark {
    /// The mark of the commit after one with this counter.
    pub fn after<R: CryptoRng>(counter: u64, rng: &mut R) -> Self {
        let mut token = [0; 16];
        rng.fill_bytes(&mut token);
        Self {
            counter: counter.saturating_add(1),
            token,
        }
    }
}

/// What the guard remembers about one task, for the case that the store forgets it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct TaskMemory {
    /// The highest round for which anything was signed.
    #[n(0)]
    pub highest: u32,
    /// Micro-rho spent by the task.
    #[n(1)]
    pub spent: u64,
}

/// What must not be forgotten although the store may be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Memory {
    /// Per task.
    #[n(0)]
    pub tasks: BTreeMap<TaskId, TaskMemory>,
    /// Micro-rho spent per data source.
    #[n(1)]
    pub sources: BTreeMap<String, u64>,
    /// When an earlier guard was found lost, unix seconds: this one does not know what happened before.
    #[n(2)]
    pub guard_lost_at: Option<u64>,
    /// The largest log that was cosigned.
    #[n(3)]
    pub log: Option<LogMemory>,
    /// How far the register was known when something was said.
    #[n(4)]
    pub register: Option<RegisterHead>,
    /// The last change of the server's keys that was read, whatever was said.
    #[n(5)]
    pub server_keys: Option<KeysMemory>,
}

/// A change of the server's keys: no register without it is followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct KeysMemory {
    /// Its number.
    #[n(0)]
    pub changes: u64,
    /// Its digest: founders have signed it, so that nobody else can have this steward remember anything.
    #[n(1)]
    pub last: Digest,
}

/// A log that was cosigned: none that does not continue it will be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct LogMemory {
    /// Number of entries.
    #[n(0)]
    pub size: u64,
    /// Root over them.
    #[n(1)]
    pub root: Digest,
}

#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
struct Contents {
    #[n(0)]
    version: u16,
    #[n(1)]
    key: KeyId,
    #[n(2)]
    done: Mark,
    #[n(3)]
    pending: Option<Mark>,
    #[n(4)]
    memory: Memory,
}

/// Why the guard cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum GuardError {
    /// Reading or writing failed.
    #[error("the guard in {path}: {source}")]
    Io {
        /// The directory.
        path: PathBuf,
        /// What failed.
        source: io::Error,
    },
    /// Another process uses this guard.
    #[error("another steward uses the guard in {0}")]
    Locked(PathBuf),
    /// The file is not a guard. It is never damaged by a crash; so something else has happened, and a person decides.
    #[error(
        "the guard in {0} is damaged; remove it only if this steward may treat its store as restored from a backup"
    )]
    Damaged(PathBuf),
    /// The guard belongs to another steward key.
    #[error("the guard in {path} belongs to steward key {key}")]
    OtherKey {
        /// The directory.
        path: PathBuf,
        /// The key that it belongs to.
        key: KeyId,
    },
}

/// What the guard says about a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// Neither has ever confirmed anything.
    New,
    /// The store is the one that was left; a commit that was begun and not made is forgotten.
    Current,
    /// The store's last commit was made and not yet confirmed.
    Unconfirmed,
    /// The store is another one, or lost.
    Restored,
    /// There is a store, and this guard has never confirmed any: the guard that it belongs to is lost.
    GuardLost,
}

/// The guard's file, locked for this process.
#[derive(Debug)]
pub struct Guard {
    dir: PathBuf,
    key: KeyId,
    contents: Option<Contents>,
    _lock: File,
}

impl Guard {
    /// Opens and locks the guard in `dir`, creating the directory if need be. A missing file is no error: see
    /// [`Guard::judge`]. A guard of one of the steward's `former` keys becomes this key's with the next commit.
    ///
    /// # Errors
    /// [`GuardError`].
    pub fn open(dir: &Path, key: KeyId, former: &[KeyId]) -> Result<Self, GuardError> {
        let io = |source| GuardError::Io {
            path: dir.to_owned(),
            source,
        };
        durable::create_private_dir(dir).map_err(io)?;
        let lock = durable::private_options()
            .write(true)
            .create(true)
            .truncate(false)
            .open(dir.join(LOCK))
            .map_err(io)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => return Err(GuardError::Locked(dir.to_owned())),
            Err(fs::TryLockError::Error(source)) => return Err(io(source)),
        }
        let contents = match fs::read(dir.join(FILE)) {
            Ok(bytes) => {
                let contents: Contents =
                    from_canonical(&bytes).map_err(|_| GuardError::Damaged(dir.to_owned()))?;
                if contents.version != VERSION {
                    return Err(GuardError::Damaged(dir.to_owned()));
                }
                if contents.key != key && !former.contains(&contents.key) {
                    return Err(GuardError::OtherKey {
                        path: dir.to_owned(),
                        key: contents.key,
                    });
                }
                Some(contents)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(source) => return Err(io(source)),
        };
        Ok(Self {
            dir: dir.to_owned(),
            key,
            contents,
            _lock: lock,
        })
    }

    /// What the guard remembers.
    pub fn memory(&self) -> Memory {
        self.contents
            .as_ref()
            .map(|contents| contents.memory.clone())
            .unwrap_or_default()
    }

    /// The highest counter that the guard has seen.
    pub fn counter(&self) -> u64 {
        self.contents.as_ref().map_or(0, |contents| {
            contents.pending.map_or(contents.done.counter, |pending| {
                pending.counter.max(contents.done.counter)
            })
        })
    }

    /// Compares the store's mark (`None`: an empty store) with what the guard has seen.
    pub fn judge(&self, store: Option<Mark>) -> Judgement {
        let pending = self.contents.as_ref().and_then(|contents| contents.pending);
        let done = self
            .contents
            .as_ref()
            .map(|contents| contents.done)
            .filter(|done| done.counter > 0);
        match (done, store) {
            (_, Some(mark)) if Some(mark) == pending => Judgement::Unconfirmed,
            (None, None) => Judgement::New,
            (None, Some(_)) => Judgement::GuardLost,
            (Some(done), Some(mark)) if done == mark => Judgement::Current,
            (Some(_), _) => Judgement::Restored,
        }
    }

    /// Step 1: announces a commit, and remembers what it will have changed.
    ///
    /// # Errors
    /// [`GuardError::Io`]; then the commit must not be made.
    pub fn begin(&mut self, mark: Mark, memory: Memory) -> Result<(), GuardError> {
        let done = self.contents.as_ref().map_or(
            Mark {
                counter: 0,
                token: [0; 16],
            },
            |contents| contents.done,
        );
        self.write(Contents {
            version: VERSION,
            key: self.key,
            done,
            pending: Some(mark),
            memory,
        })
    }

    /// Step 3: the announced commit is durable.
    ///
    /// # Errors
    /// [`GuardError::Io`]; then the answer must not leave.
    pub fn confirm(&mut self) -> Result<(), GuardError> {
        let Some(contents) = self.contents.clone() else {
            return Ok(());
        };
        let Some(pending) = contents.pending else {
            return Ok(());
        };
        self.write(Contents {
            key: self.key,
            done: pending,
            pending: None,
            ..contents
        })
    }

    fn write(&mut self, contents: Contents) -> Result<(), GuardError> {
        durable::replace(&self.dir, FILE, &to_canonical(&contents)).map_err(|source| {
            GuardError::Io {
                path: self.dir.clone(),
                source,
            }
        })?;
        self.contents = Some(contents);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dawn_identity::Digest;
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    const KEY: KeyId = KeyId(Digest([3; 32]));

    fn memory(highest: u32) -> Memory {
        let mut memory = Memory::default();
        memory
            .tasks
            .insert(TaskId(Digest([1; 32])), TaskMemory { highest, spent: 5 });
        memory.sources.insert("clinic".to_owned(), 5);
        memory
    }

    #[test]
    fn every_state_between_the_steps_is_told_apart() {
        let dir = tempfile::tempdir().expect("dir");
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let first = Mark::after(0, &mut rng);
        let second = Mark::after(1, &mut rng);
        let mut guard = Guard::open(dir.path(), KEY, &[]).expect("open");
        assert_eq!(guard.judge(None), Judgement::New);
        assert_eq!(
            guard.judge(Some(first)),
            Judgement::GuardLost,
            "a store without a guard"
        );

        guard.begin(first, memory(1)).expect("begin");
        assert_eq!(
            guard.judge(None),
            Judgement::New,
            "crash before the first commit"
        );
        assert_eq!(
            guard.judge(Some(second)),
            Judgement::GuardLost,
            "crash while recovering from a loss"
        );
        assert_eq!(
            guard.judge(Some(first)),
            Judgement::Unconfirmed,
            "crash after the first commit"
        );
        guard.confirm().expect("confirm");
        assert_eq!(guard.judge(None), Judgement::Restored, "the store was lost");

        guard.begin(second, memory(2)).expect("begin");
        assert_eq!(
            guard.judge(Some(first)),
            Judgement::Current,
            "crash between 1 and 2"
        );
        assert_eq!(
            guard.judge(Some(second)),
            Judgement::Unconfirmed,
            "crash between 2 and 3"
        );
        guard.confirm().expect("confirm");
        assert_eq!(guard.judge(Some(second)), Judgement::Current);
        assert_eq!(
            guard.judge(Some(first)),
            Judgement::Restored,
            "an older store"
        );
        let same_counter = Mark {
            token: [0; 16],
            ..second
        };
        assert_eq!(
            guard.judge(Some(same_counter)),
            Judgement::Restored,
            "another commit with the same counter"
        );

        drop(guard);
        let guard = Guard::open(dir.path(), KEY, &[]).expect("open again");
        assert_eq!(guard.judge(Some(second)), Judgement::Current);
        assert_eq!(guard.memory(), memory(2));
        assert_eq!(guard.counter(), 2);
    }

    #[test]
    fn one_process_one_key_and_no_damage() {
        let dir = tempfile::tempdir().expect("dir");
        let mut guard = Guard::open(dir.path(), KEY, &[]).expect("open");
        guard
            .begin(
                Mark {
                    counter: 1,
                    token: [9; 16],
                },
                memory(1),
            )
            .expect("begin");
        assert!(matches!(
            Guard::open(dir.path(), KEY, &[]),
            Err(GuardError::Locked(_))
        ));
        drop(guard);
        let other = KeyId(Digest([4; 32]));
        assert!(matches!(
            Guard::open(dir.path(), other, &[]),
            Err(GuardError::OtherKey { key: KEY, .. })
        ));
        // It knows its successor.
        let guard = Guard::open(dir.path(), other, &[KEY]).expect("a former key's");
        assert_eq!(guard.memory(), memory(1));
        drop(guard);
        let path = dir.path().join(FILE);
        let mut bytes = fs::read(&path).expect("read");
        bytes.push(0);
        fs::write(&path, bytes).expect("write");
        assert!(matches!(
            Guard::open(dir.path(), KEY, &[]),
            Err(GuardError::Damaged(_))
        ));
    }
}
