//! `postmaster.pid`: which process has a cluster open, if any.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::account::Account;
use super::error::{PostgresError, io};

/// The lines of a `postmaster.pid` that matter here.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct PidFile {
    pub(super) pid: i32,
    pub(super) socket_dir: Option<PathBuf>,
    pub(super) ready: bool,
}

/// What a process id turned out to be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Holder {
    /// The Postgres of this cluster, started by a supervisor.
    Ours,
    /// A Postgres, but not recognisably started by a supervisor on this cluster.
    OtherPostgres,
    /// Something else that was given the number since.
    Unrelated,
    /// Nobody.
    Dead,
}

impl PidFile {
    /// Reads the file of `cluster`; `None` when there is none or it is unreadable nonsense (which
    /// Postgres itself then refuses with its own words).
    pub(super) fn read(cluster: &Path) -> Result<Option<Self>, PostgresError> {
        let path = cluster.join("postmaster.pid");
        match std::fs::read_to_string(&path) {
            Ok(text) => Ok(Self::parse(&text)),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(io("read", &path)(e)),
        }
    }

    /// Lines: pid, data directory, start time, port, socket directory, address, shared memory, status.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        let pid = lines.first()?.parse().ok().filter(|pid| *pid > 1)?;
        Some(Self {
            pid,
            socket_dir: lines
                .get(4)
                .filter(|dir| dir.starts_with('/'))
                .map(PathBuf::from),
            ready: lines.get(7) == Some(&"ready"),
        })
    }
}

/// Who has the process id `pid`, with regard to `cluster`.
///
/// Decided by the command line, which anybody may read; the working directory and the executable of
/// another user's process are hidden from root in a container without `SYS_PTRACE`.
pub(super) fn holder(pid: i32, cluster: &Path) -> Holder {
    let Some(line) = command_line(pid) else {
        return Holder::Dead;
    };
    let mut words = line.split('\0');
    let program = words.next().unwrap_or_default();
    // `postgres: checkpointer` and the like are children, which rewrite their command line.
    let name = program.rsplit('/').next().unwrap_or_default();
    if name != "postgres" && name != "postmaster" && !program.starts_with("postgres:") {
        return Holder::Unrelated;
    }
    let ours = words.next() == Some("-D") && words.next().map(Path::new) == Some(cluster);
    if ours {
        Holder::Ours
    } else {
        Holder::OtherPostgres
    }
}

/// The words of a process's command line, each followed by NUL; `None` when it is gone or a zombie.
fn command_line(pid: i32) -> Option<String> {
    if Path::new("/proc/self/cmdline").exists() {
        let bytes = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        return (!bytes.is_empty()).then(|| String::from_utf8_lossy(&bytes).into_owned());
    }
    let output = Command::new("ps")
        .args(["-ww", "-o", "command=", "-p"])
        .arg(pid.to_string())
        .output()
        .ok()?;
    let line = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    // Without /proc words cannot be told apart exactly: good enough for paths without spaces, and a path
    // with spaces is then refused as somebody else's, which is the safe side.
    (!line.is_empty()).then(|| line.replace(' ', "\0"))
}

/// Makes a pid file whose number was taken over by an unrelated process stale in Postgres' eyes too.
///
/// Only the number is replaced, by one that no process can have: the line with the shared memory segment
/// must stay, because Postgres uses it to notice backends that outlived their postmaster.
pub(super) fn disown(cluster: &Path, account: &Account) -> Result<(), PostgresError> {
    let path = cluster.join("postmaster.pid");
    let text = std::fs::read_to_string(&path).map_err(io("read", &path))?;
    let rest = text.split_once('\n').map_or("", |(_, rest)| rest);
    // Removed and made anew, never written through: root must not follow a link in a directory that an
    // unprivileged user owns.
    std::fs::remove_file(&path).map_err(io("remove", &path))?;
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&path)
        .map_err(io("create", &path))?;
    file.write_all(format!("{}\n{rest}", i32::MAX).as_bytes())
        .map_err(io("write", &path))?;
    account.own(&path)
}
