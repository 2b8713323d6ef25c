//! Finding the installed Postgres: `initdb` and `postgres` side by side, version 13 or newer, the highest wins.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::account::is_root;
use super::error::PostgresError;

/// The oldest major version that the schema's SQL and our settings are written for.
pub(super) const OLDEST: u32 = 13;

/// One installed Postgres.
#[derive(Clone, Debug)]
pub(super) struct Binaries {
    pub(super) major: u32,
    pub(super) initdb: PathBuf,
    pub(super) postgres: PathBuf,
}

/// Picks the highest version; `cluster` is the major version of an existing cluster, which then must match.
pub(super) fn find(
    bin_dirs: Option<&[PathBuf]>,
    cluster: Option<(u32, &Path)>,
) -> Result<Binaries, PostgresError> {
    let dirs = bin_dirs.map_or_else(usual_dirs, <[PathBuf]>::to_vec);
    let mut found: Vec<Binaries> = dirs.iter().filter_map(|dir| inspect(dir)).collect();
    found.sort_by_key(|b| std::cmp::Reverse(b.major)); // stable: PATH before the usual places
    let newest = found.first().map(|b| b.major);
    match (newest, cluster) {
        (None, _) => Err(not_installed("PostgreSQL is not installed".to_owned())),
        (Some(newest), _) if newest < OLDEST => Err(not_installed(format!(
            "PostgreSQL {OLDEST} or newer is needed and only {newest} is installed"
        ))),
        (Some(_), None) => Ok(found.swap_remove(0)),
        (Some(_), Some((major, data_dir))) => match found.iter().find(|b| b.major == major) {
            Some(binaries) => Ok(binaries.clone()),
            None => Err(PostgresError::OtherVersion {
                data_dir: data_dir.to_path_buf(),
                cluster: major,
                installed: versions(&found),
            }),
        },
    }
}

fn versions(found: &[Binaries]) -> String {
    let mut majors: Vec<String> = found.iter().map(|b| b.major.to_string()).collect();
    majors.dedup();
    majors.join(", ")
}

fn not_installed(found: String) -> PostgresError {
    PostgresError::NotInstalled {
        found,
        install: install_command(),
    }
}

/// The one command that installs Postgres here, for the rights that this user has.
fn install_command() -> String {
    let managers = [
        ("apt-get", "apt-get install -y postgresql"),
        ("dnf", "dnf install -y postgresql-server"),
        ("apk", "apk add postgresql"),
        ("pacman", "pacman -S --noconfirm postgresql"),
        ("zypper", "zypper install -y postgresql-server"),
    ];
    if on_path("brew") && !on_path("apt-get") {
        return "brew install postgresql@17".to_owned();
    }
    let command = managers
        .iter()
        .find(|(manager, _)| on_path(manager))
        .map_or(managers[0].1, |(_, command)| command);
    if is_root() {
        command.to_owned()
    } else if on_path("sudo") {
        format!("sudo {command}")
    } else {
        format!("su -c '{command}'   (asks for root's password)")
    }
}

fn path_dirs() -> Vec<PathBuf> {
    std::env::var_os("PATH").map_or_else(Vec::new, |path| std::env::split_paths(&path).collect())
}

fn on_path(program: &str) -> bool {
    path_dirs()
        .into_iter()
        .chain([PathBuf::from("/usr/bin"), PathBuf::from("/usr/sbin")])
        .any(|dir| dir.join(program).is_file())
}

/// `PATH`, then where Debian, Red Hat and Homebrew keep the versions side by side.
fn usual_dirs() -> Vec<PathBuf> {
    let mut dirs = path_dirs();
    for (parent, prefix, tail) in [
        ("/usr/lib/postgresql", "", "bin"),
        ("/usr", "pgsql-", "bin"),
        ("/opt/homebrew/opt", "postgresql@", "bin"),
        ("/usr/local/opt", "postgresql@", "bin"),
    ] {
        let Ok(entries) = std::fs::read_dir(parent) else {
            continue;
        };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let named = name.to_str().is_some_and(|name| name.starts_with(prefix));
            if named && entry.path().join(tail).is_dir() {
                dirs.push(entry.path().join(tail));
            }
        }
    }
    dirs
}

fn inspect(dir: &Path) -> Option<Binaries> {
    // Resolved, so that a symbolic link on PATH finds its neighbours (initdb runs the postgres beside it).
    let initdb = dir.join("initdb").canonicalize().ok()?;
    let postgres = dir.join("postgres").canonicalize().ok()?;
    let major = version(&initdb)?;
    (version(&postgres)? == major).then_some(Binaries {
        major,
        initdb,
        postgres,
    })
}

fn version(program: &Path) -> Option<u32> {
    let output = Command::new(program).arg("--version").output().ok()?;
    parse_version(std::str::from_utf8(&output.stdout).ok()?)
}

/// `initdb (PostgreSQL) 15.13 (Debian 15.13-0+deb12u1)` is 15; so is `16beta1` 16.
pub(super) fn parse_version(line: &str) -> Option<u32> {
    let (_, version) = line.split_once("(PostgreSQL) ")?;
    let digits = version
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(version.len());
    version.get(..digits)?.parse().ok()
}
