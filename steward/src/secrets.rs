//! The secrets of one round: the sealing key's secret half, and the sum of the key shares.
//!
//! They live in files of their own beside the guard, outside the store and outside the backups: a backup that keeps a
//! sealing key would undo its erasure, and a database that copies pages on write keeps old bytes around. A file is
//! durable before the store says that it exists, and is overwritten and removed when the round is answered or over. What
//! a crash leaves behind is swept at the next start.
//!
//! An attacker who can read this directory during a round learns this steward's shares of that round; fewer than T
//! stewards' shares are worthless.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use dawn_protocol::RoundId;
use zeroize::Zeroizing;

use crate::durable;

const DIR: &str = "secrets";
/// No secret is longer: 2048 field elements for each of 64 groups.
const MAX_BYTES: u64 = 64 * 8192;

/// Which secret of a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretKind {
    /// The seed of the sealing key's secret half.
    SealingKey,
    /// The sum of the key shares over all submissions reported as ok; in a round with groups, over those of every group.
    ShareSum,
    /// What all candidates of this steward's noise follow from.
    Noise,
}

impl SecretKind {
    const ALL: [Self; 3] = [Self::SealingKey, Self::ShareSum, Self::Noise];

    fn extension(self) -> &'static str {
        match self {
            Self::SealingKey => "seal",
            Self::ShareSum => "sum",
            Self::Noise => "noise",
        }
    }
}

/// The directory of the secrets.
#[derive(Debug)]
pub struct SecretFiles {
    dir: PathBuf,
}

impl SecretFiles {
    /// Opens the directory below the guard's, creating it if need be.
    ///
    /// # Errors
    /// When it cannot be created.
    pub fn open(guard_dir: &Path) -> io::Result<Self> {
        let dir = guard_dir.join(DIR);
        durable::create_private_dir(&dir)?;
        Ok(Self { dir })
    }

    fn name(round: &RoundId, kind: SecretKind) -> String {
        format!("{}-{}.{}", round.task, round.number, kind.extension())
    }

    /// Keeps a secret durably, replacing an earlier one that was never committed.
    ///
    /// # Errors
    /// When writing fails; then nothing may be said that depends on it.
    pub fn put(&self, round: &RoundId, kind: SecretKind, secret: &[u8]) -> io::Result<()> {
        durable::erase(&self.dir.join(Self::name(round, kind)))?;
        durable::replace(&self.dir, &Self::name(round, kind), secret)
    }

    /// Reads a secret; `None` when it was never there or has been erased.
    ///
    /// # Errors
    /// When reading fails, or the file is longer than any secret.
    pub fn get(&self, round: &RoundId, kind: SecretKind) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
        let path = self.dir.join(Self::name(round, kind));
        match fs::metadata(&path) {
            Ok(metadata) if metadata.len() > MAX_BYTES => Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "a secret file is too long",
            )),
            Ok(_) => fs::read(&path).map(|bytes| Some(Zeroizing::new(bytes))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Destroys the secrets of a round.
    ///
    /// # Errors
    /// When a file cannot be overwritten or removed.
    pub fn erase(&self, round: &RoundId) -> io::Result<()> {
        SecretKind::ALL
            .iter()
            .try_for_each(|kind| durable::erase(&self.dir.join(Self::name(round, *kind))))
    }

    /// Destroys every file that does not belong to a round of which `keep` says that it is still going on, and says how
    /// many those were.
    ///
    /// # Errors
    /// When a file cannot be overwritten or removed.
    pub fn sweep(&self, keep: impl Fn(&RoundId) -> bool) -> io::Result<usize> {
        let mut swept = 0;
        for entry in fs::read_dir(&self.dir)? {
            let entry = entry?;
            let name = entry.file_name();
            let kept = name
                .to_str()
                .and_then(parse_name)
                .is_some_and(|round| keep(&round));
            if !kept {
                durable::erase(&entry.path())?;
                swept += 1;
            }
        }
        Ok(swept)
    }
}

fn parse_name(name: &str) -> Option<RoundId> {
    let (stem, extension) = name.rsplit_once('.')?;
    if !SecretKind::ALL
        .iter()
        .any(|kind| kind.extension() == extension)
    {
        return None;
    }
    let (task, number) = stem.split_once('-')?;
    Some(RoundId {
        task: task.parse().ok()?,
        number: number.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use dawn_identity::{Digest, TaskId};

    #[test]
    fn secrets_are_kept_replaced_erased_and_swept() {
        let dir = tempfile::tempdir().expect("dir");
        let files = SecretFiles::open(dir.path()).expect("open");
        let round = |number| RoundId {
            task: TaskId(Digest([8; 32])),
            number,
        };
        files
            .put(&round(1), SecretKind::SealingKey, b"one")
            .expect("put");
        files
            .put(&round(1), SecretKind::SealingKey, b"two")
            .expect("put");
        files
            .put(&round(1), SecretKind::ShareSum, b"sum")
            .expect("put");
        files
            .put(&round(2), SecretKind::SealingKey, b"three")
            .expect("put");
        let read = |number, kind| {
            files
                .get(&round(number), kind)
                .expect("get")
                .map(|secret| secret.to_vec())
        };
        assert_eq!(read(1, SecretKind::SealingKey), Some(b"two".to_vec()));
        assert_eq!(read(2, SecretKind::ShareSum), None);
        files.erase(&round(1)).expect("erase");
        assert_eq!(read(1, SecretKind::SealingKey), None);
        assert_eq!(read(1, SecretKind::ShareSum), None);
        fs::write(dir.path().join(DIR).join("leftover.new"), b"x").expect("write");
        assert_eq!(files.sweep(|kept| kept.number == 2).expect("sweep"), 1);
        assert_eq!(read(2, SecretKind::SealingKey), Some(b"three".to_vec()));
        assert_eq!(files.sweep(|_| false).expect("sweep"), 1);
        assert_eq!(read(2, SecretKind::SealingKey), None);
    }
}
