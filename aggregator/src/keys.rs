//! The aggregator's two keys: one signs what it says in rounds, the other signs heads of the log.
//!
//! Files `aggregator.pem` and `log.pem` (PKCS#8), mode 0600, made once by [`Keys::open_or_create`]; encrypted when the environment
//! names a file with a passphrase ([`key_file::PASSPHRASE_FILE`]). Who
//! steals them can sign for the aggregator; privacy does not rest on them (docs/threat-model.md). Beside each there may be
//! the key that founders are going to let in in its place, `aggregator.next.pem` and `log.next.pem`: it signs from the moment
//! on at which it is the server's.

use std::fs::{DirBuilder, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use dawn_identity::key_file::{self, KeyFileError};
use dawn_identity::{KeyError, PublicKey, SecretKey, ServerRole};

/// Why the keys cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// The file or directory.
    #[error("{path}: {source}")]
    Io {
        /// Which one.
        path: PathBuf,
        /// What happened.
        source: std::io::Error,
    },
    /// A file of a key, or of the passphrase of new ones, cannot be used.
    #[error(transparent)]
    File(#[from] KeyFileError),
    /// A new key cannot be encrypted.
    #[error("{path}: {source}")]
    Key {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        source: KeyError,
    },
}

/// The keys of an aggregator.
#[derive(Debug)]
pub struct Keys {
    /// Signs round specifications, receipts, closings, verdicts, results.
    pub aggregator: SecretKey,
    /// Signs heads of the log.
    pub log: SecretKey,
    /// Those that wait to take over.
    next: [Option<SecretKey>; 2],
}

impl Keys {
    /// Reads the keys in `directory`, making those that are missing.
    ///
    /// # Errors
    /// [`KeysError`]; a key that exists is never replaced.
    pub fn open_or_create(directory: &Path) -> Result<Self, KeysError> {
        // Only the keys are private: an embedded Postgres may have to enter the directories above.
        if let Some(parent) = directory.parent() {
            std::fs::create_dir_all(parent).map_err(|source| io(parent, source))?;
        }
        match DirBuilder::new().mode(0o700).create(directory) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => {
                return Err(io(directory, error));
            }
            _ => {}
        }
        let (aggregator, next_aggregator) = pair(directory, ServerRole::Aggregator)?;
        let (log, next_log) = pair(directory, ServerRole::Log)?;
        Ok(Self {
            aggregator,
            log,
            next: [next_aggregator, next_log],
        })
    }

    /// The secret half of one of the server's keys, when it is here.
    pub fn of(&self, role: ServerRole, key: &PublicKey) -> Option<&SecretKey> {
        self.here(role).find(|secret| secret.public() == *key)
    }

    /// The keys of a role that are here: the one, and the one that is to take over.
    pub fn here(&self, role: ServerRole) -> impl Iterator<Item = &SecretKey> {
        let now = match role {
            ServerRole::Aggregator => &self.aggregator,
            ServerRole::Log => &self.log,
        };
        std::iter::once(now).chain(&self.next[role as usize])
    }

    /// Whether there is a key that waits to take over: one that is none of those that were let in so far.
    pub fn waits(&self, role: ServerRole, so_far: &[PublicKey]) -> bool {
        let next = &self.next[role as usize];
        next.as_ref()
            .is_some_and(|next| !so_far.contains(&next.public()))
    }

    /// Where the key is kept that is to take over.
    pub fn next_path(directory: &Path, role: ServerRole) -> PathBuf {
        directory.join(format!("{role}.next.pem"))
    }
}

/// The key of a role, and the one that is to take over. With that alone, the first is lost, and none is made in its place.
fn pair(directory: &Path, role: ServerRole) -> Result<(SecretKey, Option<SecretKey>), KeysError> {
    let path = directory.join(format!("{role}.pem"));
    let next = Keys::next_path(directory, role);
    // Never made here.
    let Some(next) = read(&next)? else {
        return Ok((open_or_create(&path)?, None));
    };
    let now = read(&path)?.unwrap_or_else(|| SecretKey::from_seed(&next.to_seed()));
    Ok((now, Some(next)))
}

fn io(path: &Path, source: std::io::Error) -> KeysError {
    KeysError::Io {
        path: path.to_owned(),
        source,
    }
}

fn read(path: &Path) -> Result<Option<SecretKey>, KeysError> {
    match key_file::read(path) {
        Err(KeyFileError::Io { source, .. }) if source.kind() == ErrorKind::NotFound => Ok(None),
        read => Ok(Some(read?)),
    }
}

fn open_or_create(path: &Path) -> Result<SecretKey, KeysError> {
    match read(path)? {
        Some(key) => Ok(key),
        None => create(path),
    }
}

/// Writes beside the name, syncs, then links: a crash leaves either no key or a whole one, and of two
/// processes that start together one makes the key and both use it.
fn create(path: &Path) -> Result<SecretKey, KeysError> {
    let mut rng = rand_core::UnwrapErr(getrandom::SysRng);
    let key = SecretKey::generate(&mut rng);
    // Whoever gives the server a passphrase wants no plain key on its disk.
    let passphrase = key_file::passphrase()?;
    let text = key_file::to_text(&key, passphrase.as_ref(), &mut rng).map_err(|source| {
        KeysError::Key {
            path: path.to_owned(),
            source,
        }
    })?;
    let beside = path.with_extension(format!("{}.new", std::process::id()));
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&beside)
        .map_err(|source| io(&beside, source))?;
    file.write_all(text.as_bytes())
        .and_then(|()| file.sync_all())
        .map_err(|source| io(&beside, source))?;
    let linked = std::fs::hard_link(&beside, path);
    std::fs::remove_file(&beside).map_err(|source| io(&beside, source))?;
    match linked {
        Ok(()) => {
            if let Some(parent) = path.parent() {
                std::fs::File::open(parent)
                    .and_then(|directory| directory.sync_all())
                    .map_err(|source| io(parent, source))?;
            }
            Ok(key)
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => open_or_create(path),
        Err(error) => Err(io(path, error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn keys_are_made_once_and_private() {
        let dir = tempfile::tempdir().expect("a directory");
        let first = Keys::open_or_create(&dir.path().join("keys")).expect("makes");
        let again = Keys::open_or_create(&dir.path().join("keys")).expect("reads");
        assert_eq!(first.aggregator.public(), again.aggregator.public());
        assert_eq!(first.log.public(), again.log.public());
        assert_ne!(first.aggregator.public(), first.log.public());
        assert!(!format!("{first:?}").contains(&hex::encode(&first.log.to_seed()[..])));
    }

    #[test]
    fn a_key_that_waits_is_beside_the_other_or_in_its_place() {
        let dir = tempfile::tempdir().expect("a directory");
        let old = Keys::open_or_create(dir.path()).expect("makes");
        assert!(!old.waits(ServerRole::Log, &[]));
        let next = SecretKey::from_seed(&[5; 32]);
        let path = Keys::next_path(dir.path(), ServerRole::Log);
        std::fs::write(&path, next.to_pkcs8_pem().as_bytes()).expect("writes");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).expect("chmod");
        let exposed = Keys::open_or_create(dir.path());
        assert!(matches!(
            exposed,
            Err(KeysError::File(KeyFileError::Exposed(..)))
        ));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("chmod");
        let both = Keys::open_or_create(dir.path()).expect("reads");
        assert!(both.waits(ServerRole::Log, &[old.log.public()]));
        assert!(!both.waits(ServerRole::Aggregator, &[]));
        // Once let in it waits no longer, also when another has followed.
        assert!(!both.waits(ServerRole::Log, &[old.log.public(), next.public()]));
        for key in [old.log.public(), next.public()] {
            assert!(both.of(ServerRole::Log, &key).is_some());
            assert!(both.of(ServerRole::Aggregator, &key).is_none());
        }
        // The first is lost: none is made in its place.
        std::fs::remove_file(dir.path().join("log.pem")).expect("removes");
        let lost = Keys::open_or_create(dir.path()).expect("reads");
        assert!(lost.of(ServerRole::Log, &old.log.public()).is_none());
        assert_eq!(lost.log.public(), next.public());
        assert!(!dir.path().join("log.pem").exists());
    }

    #[test]
    fn a_key_that_others_may_read_is_refused() {
        let dir = tempfile::tempdir().expect("a directory");
        Keys::open_or_create(dir.path()).expect("makes");
        let path = dir.path().join("log.pem");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).expect("chmod");
        assert!(matches!(
            Keys::open_or_create(dir.path()),
            Err(KeysError::File(KeyFileError::Exposed(..)))
        ));
    }

    #[test]
    fn a_broken_key_is_not_replaced() {
        let dir = tempfile::tempdir().expect("a directory");
        Keys::open_or_create(dir.path()).expect("makes");
        let path = dir.path().join("aggregator.pem");
        std::fs::write(&path, "nonsense").expect("writes");
        assert!(matches!(
            Keys::open_or_create(dir.path()),
            Err(KeysError::File(KeyFileError::Key { .. }))
        ));
        assert_eq!(std::fs::read(&path).expect("reads"), b"nonsense");
    }
}
