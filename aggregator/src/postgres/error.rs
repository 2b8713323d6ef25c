//! Why an embedded Postgres could not start or stop. Every message says what to do about it.

use std::path::{Path, PathBuf};
use std::time::Duration;

/// An embedded Postgres that could not be started, adopted or stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PostgresError {
    /// No usable `initdb` and `postgres`; the message ends with the one command that installs them.
    #[error("{found}; install it with: {install}")]
    NotInstalled {
        /// What was found instead, or that nothing was.
        found: String,
        /// One shell command.
        install: String,
    },
    /// The cluster was made by another major version than those installed.
    #[error(
        "the cluster in {} was made by PostgreSQL {cluster}, which is not installed (found: {installed}); \
         install postgresql-{cluster}, or move the data with pg_dump", data_dir.display()
    )]
    OtherVersion {
        /// The cluster's directory.
        data_dir: PathBuf,
        /// Its major version.
        cluster: u32,
        /// The major versions that are installed.
        installed: String,
    },
    /// Running as root, and the account that Postgres runs as cannot reach its directory.
    #[error(
        "{} cannot be entered by the user `{user}`, as whom Postgres runs because it refuses to run as root, so \
         that it would not reach {}; use a directory outside of it (for example under /var/lib/dawn), or \
         `chmod o+x {}`, or run dawn as an ordinary user", dir.display(), wanted.display(), dir.display()
    )]
    NotTraversable {
        /// The directory that cannot be entered.
        dir: PathBuf,
        /// The directory that Postgres needs.
        wanted: PathBuf,
        /// The unprivileged account.
        user: String,
    },
    /// Running as root, and there is neither a user `postgres` nor a user `nobody`.
    #[error(
        "Postgres refuses to run as root and neither `postgres` nor `nobody` is a user of this machine; run dawn as an ordinary user"
    )]
    NoUnprivilegedUser,
    /// The cluster's files belong to another user.
    #[error("{} belongs to user id {owner}, but dawn runs as user id {own}; run it as the owner or choose another data directory", dir.display())]
    OtherOwner {
        /// The cluster's directory.
        dir: PathBuf,
        /// Its owner's user id.
        owner: u32,
        /// The user id of this process.
        own: u32,
    },
    /// A Unix socket's path is limited to 107 bytes.
    #[error("the socket path {} has {} bytes and the system allows 107; choose a shorter socket directory", path.display(), path.as_os_str().len())]
    SocketPathTooLong {
        /// The path of the socket.
        path: PathBuf,
    },
    /// A socket directory that others may enter or that somebody else owns.
    #[error("the socket directory {} is not private: {problem}; give it to user id {user} with mode 0700, or choose one that does not exist yet", dir.display())]
    SocketDirNotPrivate {
        /// The directory.
        dir: PathBuf,
        /// What is wrong with it.
        problem: String,
        /// The user id that Postgres runs as.
        user: u32,
    },
    /// A path that Postgres or a connection URL cannot express.
    #[error("the path {} is not valid UTF-8, which Postgres' settings need", path.display())]
    NotUtf8 {
        /// The path.
        path: PathBuf,
    },
    /// Another process supervises this data directory.
    #[error("another running process already supervises the Postgres in {}; stop it or choose another data directory", data_dir.display())]
    InUse {
        /// The data directory.
        data_dir: PathBuf,
    },
    /// `postmaster.pid` names a living Postgres that was started in some other way.
    #[error("process {pid} is a Postgres that somebody else started on {}; stop it first: kill -INT {pid}", cluster.display())]
    StartedElsewhere {
        /// The cluster's directory.
        cluster: PathBuf,
        /// The process.
        pid: i32,
    },
    /// `initdb` failed.
    #[error("initdb failed ({status}): {output}")]
    Initdb {
        /// How it ended.
        status: std::process::ExitStatus,
        /// The last lines that it printed.
        output: String,
    },
    /// Postgres ended while it was starting.
    #[error("Postgres ended while it was starting ({status}); the end of {}: {tail}", log.display())]
    EndedEarly {
        /// How it ended.
        status: String,
        /// The log file.
        log: PathBuf,
        /// Its last lines.
        tail: String,
    },
    /// Postgres did not become ready in time.
    #[error("Postgres was not ready after {waited:?}; the end of {}: {tail}", log.display())]
    StartTimeout {
        /// How long it was given.
        waited: Duration,
        /// The log file.
        log: PathBuf,
        /// Its last lines.
        tail: String,
    },
    /// Postgres did not end after it was told to, twice.
    #[error("Postgres (process {pid}) did not stop; see {}", log.display())]
    StopTimeout {
        /// The process.
        pid: i32,
        /// The log file.
        log: PathBuf,
    },
    /// A file operation failed.
    #[error("cannot {doing} {}: {source}", path.display())]
    Io {
        /// The verb of the sentence.
        doing: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Postgres runs but refuses the first statements.
    #[error("Postgres runs but {doing} failed: {source}")]
    Sql {
        /// What was tried.
        doing: &'static str,
        /// Why.
        source: sqlx::Error,
    },
    /// The runtime was shut down during the start.
    #[error("the start of Postgres was cancelled")]
    Cancelled,
}

/// Turns an I/O error into a sentence: `.map_err(io("read", &path))`.
pub(super) fn io(doing: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> PostgresError {
    let path = path.to_path_buf();
    move |source| PostgresError::Io {
        doing,
        path,
        source,
    }
}
