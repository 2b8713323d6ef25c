//! The folder of a monitor: whole files, and why it cannot go on.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use dawn_transport::TransportError;
use thiserror::Error;

/// Longest founding document, signed head and checkpoint that are read back.
const MAX_KEPT_BYTES: u64 = 1 << 20;

/// Why a monitor cannot go on. Says nothing about the log.
#[derive(Debug, Error)]
pub enum WatchError {
    /// The source cannot be asked.
    #[error("the log cannot be asked: {0}")]
    Source(#[from] TransportError),
    /// The folder cannot be used.
    #[error("{path}: {source}")]
    Folder {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// What is in the folder is not what a monitor wrote.
    #[error("{0} is not the state of a monitor: use another folder")]
    Foreign(PathBuf),
    /// The log has more than may be kept.
    #[error("the log has more than {0} bytes: allow more (--max-bytes)")]
    TooMuch(u64),
    /// The source is of another federation than the folder, or than the pinned one.
    #[error("the service is not of federation {expected}: {why}")]
    OtherFederation {
        /// The federation that is watched.
        expected: String,
        /// What is wrong.
        why: String,
    },
}

pub(super) fn at(path: &Path) -> impl Fn(io::Error) -> WatchError + use<> {
    let path = path.to_owned();
    move |source| WatchError::Folder {
        path: path.clone(),
        source,
    }
}

/// A file that was kept; none when there is none.
pub(super) fn kept(path: &Path) -> Result<Option<Vec<u8>>, WatchError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(at(path)(error)),
    };
    let mut bytes = Vec::new();
    let read = file.take(MAX_KEPT_BYTES).read_to_end(&mut bytes);
    read.map_err(at(path))?;
    Ok(Some(bytes))
}

/// Whole or not at all, also when the power is cut.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> Result<(), WatchError> {
    let next = path.with_extension("next");
    let written = File::create(&next).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    written.map_err(at(&next))?;
    fs::rename(&next, path).map_err(at(path))
}
