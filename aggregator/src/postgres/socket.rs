//! The private directory of the Unix socket, and the connection URL that names it.

use std::fs::DirBuilder;
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use getrandom::SysRng;
use rand_core::{Rng, UnwrapErr};

use super::account::Account;
use super::error::{PostgresError, io};

/// The port names the socket's file; nothing listens on TCP.
pub(super) const PORT: u16 = 5432;
/// `sun_path` has 108 bytes on Linux, the last of which is NUL.
const MAX_PATH: usize = 107;
/// How the directories that we name ourselves begin, so that leftovers can be told from others' things.
const PREFIX: &str = "dawn-pg-";

/// A directory for the socket, mode 0700, owned by the account.
#[derive(Clone, Debug)]
pub(super) struct SocketDir {
    pub(super) path: PathBuf,
    /// Whether this code made it, and removes it.
    pub(super) made: bool,
}

impl SocketDir {
    /// The caller's choice, or a fresh short directory under the temporary directory.
    pub(super) fn prepare(wanted: Option<&Path>, account: &Account) -> Result<Self, PostgresError> {
        match wanted {
            Some(path) => Self::given(path, account),
            None => {
                let path = fresh_path(PREFIX, account)?;
                DirBuilder::new()
                    .mode(0o700)
                    .create(&path)
                    .map_err(io("create", &path))?;
                let dir = Self { path, made: true };
                dir.hand_over(account)?;
                Ok(dir)
            }
        }
    }

    fn given(path: &Path, account: &Account) -> Result<Self, PostgresError> {
        let absolute = std::path::absolute(path).map_err(io("resolve", path))?;
        check_length(&absolute)?;
        let made = match DirBuilder::new().mode(0o700).create(&absolute) {
            Ok(()) => true,
            Err(e) if e.kind() == ErrorKind::AlreadyExists => false,
            Err(e) => return Err(io("create", &absolute)(e)),
        };
        let dir = Self {
            path: absolute.canonicalize().map_err(io("resolve", &absolute))?,
            made,
        };
        if made {
            dir.hand_over(account)?;
            return Ok(dir);
        }
        let metadata = std::fs::metadata(&dir.path).map_err(io("look at", &dir.path))?;
        let problem = if metadata.uid() != account.uid {
            format!("it belongs to user id {}", metadata.uid())
        } else if metadata.mode() & 0o077 != 0 {
            format!("its mode is {:o}", metadata.mode() & 0o7777)
        } else {
            account.demand_parents(&dir.path)?;
            check_length(&dir.path)?;
            return Ok(dir);
        };
        Err(PostgresError::SocketDirNotPrivate {
            dir: dir.path,
            problem,
            user: account.uid,
        })
    }

    fn hand_over(&self, account: &Account) -> Result<(), PostgresError> {
        let done = check_length(&self.path)
            .and_then(|()| account.demand_parents(&self.path))
            .and_then(|()| account.own(&self.path));
        if done.is_err() {
            self.remove();
        }
        done
    }

    /// The directory that a Postgres named in its pid file: ours to remove if we named it.
    pub(super) fn adopted(path: PathBuf) -> Self {
        let made = named_by_us(&path);
        Self { path, made }
    }

    /// Removes the directory if this code made it. Best effort: leftovers hold no data.
    pub(super) fn remove(&self) {
        if self.made {
            for file in [socket_name(), format!("{}.lock", socket_name())] {
                let _ = std::fs::remove_file(self.path.join(file));
            }
            let _ = std::fs::remove_dir(&self.path);
        }
    }
}

/// A path that does not exist yet, under the temporary directory, reachable for the account and short enough
/// for a socket. Unpredictable, and its maker refuses what exists: nobody can prepare it on a shared `/tmp`.
pub(super) fn fresh_path(prefix: &str, account: &Account) -> Result<PathBuf, PostgresError> {
    let name = format!("{prefix}{:016x}", UnwrapErr(SysRng).next_u64());
    let under = |base: &Path| {
        let path = base
            .canonicalize()
            .map_err(io("resolve", base))?
            .join(&name);
        check_length(&path)?;
        account.demand_parents(&path)?;
        Ok(path)
    };
    // A long or closed TMPDIR is no reason to give up while /tmp would do.
    under(&std::env::temp_dir()).or_else(|error| under(Path::new("/tmp")).map_err(|_| error))
}

fn named_by_us(path: &Path) -> bool {
    path.file_name()
        .and_then(|name| name.to_str())
        .is_some_and(|name| name.starts_with(PREFIX))
}

fn socket_name() -> String {
    format!(".s.PGSQL.{PORT}")
}

fn check_length(dir: &Path) -> Result<(), PostgresError> {
    let path = dir.join(socket_name());
    if path.to_str().is_none() {
        return Err(PostgresError::NotUtf8 { path });
    }
    if path.as_os_str().len() > MAX_PATH {
        return Err(PostgresError::SocketPathTooLong { path });
    }
    Ok(())
}

/// The value of `unix_socket_directories`, which is a list: quoted, so that commas and spaces mean nothing.
pub(super) fn setting(dir: &Path) -> String {
    format!("\"{}\"", dir.to_string_lossy().replace('"', "\"\""))
}

/// `postgres://dawn@localhost:5432/<database>?host=<dir>`. The host of the query wins over `localhost`.
pub(super) fn url(dir: &Path, database: &str) -> String {
    let mut host = String::new();
    for byte in dir.to_string_lossy().bytes() {
        if byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte) {
            host.push(char::from(byte));
        } else {
            host.push_str(&format!("%{byte:02X}"));
        }
    }
    format!("postgres://dawn@localhost:{PORT}/{database}?host={host}&sslmode=disable")
}
