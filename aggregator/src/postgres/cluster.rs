//! The files of an embedded Postgres: the supervisor's directory and, inside it, the cluster.
//!
//! ```text
//! data_dir/                 the supervisor's (root's, when root)
//!   supervisor.lock         held while a supervisor lives
//!   postgres.log            what the server printed; one older one is kept
//!   cluster/                PGDATA, mode 0700, the account's
//! ```

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use super::account::Account;
use super::binaries::Binaries;
use super::error::{PostgresError, io};

/// A log beyond this size is set aside at the next start.
const LOG_BYTES: u64 = 16 << 20;
/// How much of the log's end goes into an error.
const TAIL_BYTES: u64 = 2_000;

/// The data directory, locked: at most one exists for a directory, in this process or another.
#[derive(Debug)]
pub(super) struct DataDir {
    path: PathBuf,
    /// Released by the kernel when the file is closed, by `kill -9` too. Not inherited: the standard
    /// library opens files close-on-exec, so an orphaned Postgres does not hold it.
    _lock: File,
}

impl DataDir {
    /// Makes the directory when missing, resolves it and takes the lock.
    pub(super) fn open(path: &Path) -> Result<Self, PostgresError> {
        make_dirs(path)?;
        let path = path.canonicalize().map_err(io("resolve", path))?;
        if path.to_str().is_none() {
            return Err(PostgresError::NotUtf8 { path });
        }
        let lock_path = path.join("supervisor.lock");
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&lock_path)
            .map_err(io("open", &lock_path))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path, _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(PostgresError::InUse { data_dir: path }),
            Err(TryLockError::Error(e)) => Err(io("lock", &lock_path)(e)),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// PGDATA.
    pub(super) fn cluster(&self) -> PathBuf {
        self.path.join("cluster")
    }

    pub(super) fn log_path(&self) -> PathBuf {
        self.path.join("postgres.log")
    }

    /// The log's size in bytes, 0 when there is none.
    pub(super) fn log_length(&self) -> u64 {
        std::fs::metadata(self.log_path()).map_or(0, |m| m.len())
    }

    /// Opens the log for appending; sets it aside first when it has grown large.
    pub(super) fn open_log(&self) -> Result<File, PostgresError> {
        let path = self.log_path();
        if self.log_length() > LOG_BYTES {
            std::fs::rename(&path, self.path.join("postgres.log.1")).map_err(io("move", &path))?;
        }
        OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(&path)
            .map_err(io("open", &path))
    }

    /// The last lines of the log, from byte `from` on.
    pub(super) fn log_tail(&self, from: u64) -> String {
        let read = || -> std::io::Result<String> {
            let mut file = File::open(self.log_path())?;
            let end = file.metadata()?.len();
            // A log that was set aside since is shorter than `from`.
            let from = if from <= end { from } else { 0 };
            file.seek(SeekFrom::Start(from.max(end.saturating_sub(TAIL_BYTES))))?;
            let mut bytes = Vec::new();
            file.take(TAIL_BYTES).read_to_end(&mut bytes)?;
            Ok(String::from_utf8_lossy(&bytes).trim().to_owned())
        };
        read().unwrap_or_else(|e| format!("(unreadable: {e})"))
    }
}

/// `mkdir -p`; what is new is searchable by all and listable by its owner's group and others as usual for
/// a service's state, except the last directory.
fn make_dirs(path: &Path) -> Result<(), PostgresError> {
    if path.is_dir() {
        return Ok(());
    }
    if let Some(parent) = path.parent().filter(|p| !p.as_os_str().is_empty()) {
        DirBuilder::new()
            .recursive(true)
            .mode(0o755)
            .create(parent)
            .map_err(io("create", parent))?;
    }
    match DirBuilder::new().mode(0o700).create(path) {
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        other => other.map_err(io("create", path)),
    }
}

/// The major version of an existing cluster, `None` when there is none yet.
pub(super) fn version(cluster: &Path) -> Result<Option<u32>, PostgresError> {
    let path = cluster.join("PG_VERSION");
    match std::fs::read_to_string(&path) {
        Ok(text) => text
            .trim()
            .parse()
            .map(Some)
            .map_err(|_| io("understand", &path)(std::io::ErrorKind::InvalidData.into())),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(io("read", &path)(e)),
    }
}

/// Makes the cluster under another name and renames it, so that a half-made one is never taken for whole.
pub(super) fn initialise(
    dir: &DataDir,
    account: &Account,
    binaries: &Binaries,
    durable: bool,
) -> Result<(), PostgresError> {
    let cluster = dir.cluster();
    let fresh = dir.path().join("cluster.new");
    match std::fs::remove_dir_all(&fresh) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(io("remove", &fresh)(e)),
        _ => {}
    }
    // C.UTF-8 classifies letters by Unicode and sorts by bytes, alike on every machine. Not every system
    // has it; plain C sorts the same.
    let mut failure = None;
    for locale in ["C.UTF-8", "C"] {
        DirBuilder::new()
            .mode(0o700)
            .create(&fresh)
            .map_err(io("create", &fresh))?;
        account.own(&fresh)?;
        let mut command = account.command(&binaries.initdb);
        command
            .arg("--pgdata")
            .arg(&fresh)
            .args(["--username=dawn", "--encoding=UTF8"])
            .arg(format!("--locale={locale}"))
            .args(["--auth-local=trust", "--auth-host=reject"])
            .stdin(Stdio::null());
        if !durable {
            command.arg("--no-sync");
        }
        let output = command.output().map_err(io(
            "run (as an unprivileged user, when root)",
            &binaries.initdb,
        ))?;
        if output.status.success() {
            std::fs::rename(&fresh, &cluster).map_err(io("move", &fresh))?;
            let parent = File::open(dir.path()).map_err(io("open", dir.path()))?;
            return parent.sync_all().map_err(io("sync", dir.path()));
        }
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        std::fs::remove_dir_all(&fresh).map_err(io("remove", &fresh))?;
        let about_locale = said.contains("locale");
        failure = Some(PostgresError::Initdb {
            status: output.status,
            output: said,
        });
        if !about_locale {
            break;
        }
    }
    match failure {
        Some(error) => Err(error),
        None => Ok(()),
    }
}

/// Hands a cluster to the account if root's hands copied it back.
pub(super) fn settle_owner(cluster: &Path, account: &Account) -> Result<(), PostgresError> {
    let metadata = std::fs::symlink_metadata(cluster).map_err(io("look at", cluster))?;
    if account.drop_to && metadata.uid() != account.uid {
        account.own_tree(cluster)?;
    }
    Ok(())
}
