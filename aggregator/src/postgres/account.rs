//! As whom Postgres runs: as the caller, or, because Postgres refuses root, as an unprivileged account.

use std::fs::Metadata;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use super::error::{PostgresError, io};

/// The user and group that own the cluster and run Postgres.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Account {
    pub(super) name: String,
    pub(super) uid: u32,
    pub(super) gid: u32,
    /// Whether this process is root and must give its rights up for the children.
    pub(super) drop_to: bool,
}

/// Whether this process is root.
pub(super) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

impl Account {
    /// The caller itself, or, for root, the owner of an existing `cluster`, else `postgres`, else `nobody`.
    ///
    /// The owner comes first so that a cluster keeps its account when a user `postgres` appears later.
    pub(super) fn choose(cluster: &Path) -> Result<Self, PostgresError> {
        let owner = match std::fs::symlink_metadata(cluster) {
            Ok(metadata) => Some((metadata.uid(), metadata.gid())),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => None,
            Err(e) => return Err(io("look at", cluster)(e)),
        };
        let own = rustix::process::geteuid().as_raw();
        if own != 0 {
            return match owner {
                Some((owner, _)) if owner != own => Err(PostgresError::OtherOwner {
                    dir: cluster.to_path_buf(),
                    owner,
                    own,
                }),
                _ => Ok(Self {
                    name: "this user".to_owned(),
                    uid: own,
                    gid: rustix::process::getegid().as_raw(),
                    drop_to: false,
                }),
            };
        }
        if let Some((uid, gid)) = owner.filter(|(uid, _)| *uid != 0) {
            return Ok(Self {
                name: format!("#{uid}"),
                uid,
                gid,
                drop_to: true,
            });
        }
        let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
        ["postgres", "nobody"]
            .iter()
            .find_map(|name| Self::from_passwd(&users, name))
            .ok_or(PostgresError::NoUnprivilegedUser)
    }

    /// The line of `/etc/passwd` for `name`; never one that is root under another name.
    pub(super) fn from_passwd(users: &str, name: &str) -> Option<Self> {
        users.lines().find_map(|line| {
            let fields: Vec<&str> = line.split(':').collect();
            let (uid, gid) = match fields.as_slice() {
                [user, _, uid, gid, ..] if *user == name => (uid.parse().ok()?, gid.parse().ok()?),
                _ => return None,
            };
            (uid != 0).then(|| Self {
                name: name.to_owned(),
                uid,
                gid,
                drop_to: true,
            })
        })
    }

    /// A command with a clean environment that runs as this account. The supplementary groups go too:
    /// the standard library clears them when root sets a user id.
    pub(super) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        // PGPORT, PGDATA and LC_* of the caller would change what the server does.
        command.env_clear();
        for keep in ["PATH", "TMPDIR", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"] {
            if let Some(value) = std::env::var_os(keep) {
                command.env(keep, value);
            }
        }
        // The caller's directory may be closed to the account; then children could not start in it.
        command.env("TZ", "UTC").current_dir("/");
        if self.drop_to {
            command.uid(self.uid).gid(self.gid);
        }
        command
    }

    /// Gives `path` (never what a symbolic link points to) to the account, when root.
    pub(super) fn own(&self, path: &Path) -> Result<(), PostgresError> {
        if self.drop_to {
            std::os::unix::fs::lchown(path, Some(self.uid), Some(self.gid))
                .map_err(io("change the owner of", path))?;
        }
        Ok(())
    }

    /// Gives a whole tree to the account: for a cluster that was copied back by root.
    pub(super) fn own_tree(&self, path: &Path) -> Result<(), PostgresError> {
        if !self.drop_to {
            return Ok(());
        }
        self.own(path)?;
        let metadata = std::fs::symlink_metadata(path).map_err(io("look at", path))?;
        if metadata.is_dir() {
            for entry in std::fs::read_dir(path).map_err(io("list", path))? {
                self.own_tree(&entry.map_err(io("list", path))?.path())?;
            }
        }
        Ok(())
    }

    /// Grants search permission on the supervisor's own directory `dir` through its group, and demands it
    /// of every parent. `dir` is absolute and without symbolic links.
    pub(super) fn reach(&self, dir: &Path) -> Result<(), PostgresError> {
        if !self.drop_to {
            return Ok(());
        }
        self.demand_parents(dir)?;
        let metadata = std::fs::metadata(dir).map_err(io("look at", dir))?;
        if self.may_search(&metadata) {
            return Ok(());
        }
        std::os::unix::fs::chown(dir, None, Some(self.gid))
            .map_err(io("change the group of", dir))?;
        let mode = (metadata.permissions().mode() & 0o7700) | 0o010;
        std::fs::set_permissions(dir, std::fs::Permissions::from_mode(mode))
            .map_err(io("change the mode of", dir))
    }

    /// Refuses when the account cannot enter one of the parents of `dir`, naming it.
    pub(super) fn demand_parents(&self, dir: &Path) -> Result<(), PostgresError> {
        if !self.drop_to {
            return Ok(());
        }
        let mut parents: Vec<&Path> = dir.ancestors().skip(1).collect();
        parents.reverse();
        for parent in parents {
            let metadata = std::fs::metadata(parent).map_err(io("look at", parent))?;
            if !self.may_search(&metadata) {
                return Err(PostgresError::NotTraversable {
                    dir: parent.to_path_buf(),
                    wanted: dir.to_path_buf(),
                    user: self.name.clone(),
                });
            }
        }
        Ok(())
    }

    fn may_search(&self, metadata: &Metadata) -> bool {
        let class = if metadata.uid() == self.uid {
            0o100
        } else if metadata.gid() == self.gid {
            0o010
        } else {
            0o001
        };
        metadata.mode() & class != 0
    }
}
