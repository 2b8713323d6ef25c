//! What fetching is made of: a program that is run, files with known checksums, a folder that is filled at once.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use sha2::{Digest as _, Sha256};

/// Runs a program that asks nothing.
///
/// # Errors
/// It is not there, or fails: with the last line that it says.
pub(super) fn run(command: &mut Command, name: &str) -> Result<()> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot run {name}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let last = said.lines().rev().find(|line| !line.trim().is_empty());
        bail!(
            "{name}: {} ({})",
            last.unwrap_or("no reason given"),
            output.status
        );
    }
    Ok(())
}

/// Copies files into a folder under their new names, in this order: the last one tells that all are there.
pub(super) fn put<'a>(
    files: impl IntoIterator<Item = (PathBuf, &'a str)>,
    out: &Path,
) -> Result<()> {
    fs::create_dir_all(out).with_context(|| format!("cannot make {}", out.display()))?;
    for (from, name) in files {
        let (part, to) = (out.join(format!("{name}.part")), out.join(name));
        let copied = fs::copy(&from, &part).and_then(|_| fs::rename(&part, &to));
        copied.with_context(|| format!("copying {} to {}", from.display(), to.display()))?;
    }
    Ok(())
}

/// A file with its SHA-256 in hexadecimal, as `sha256sum` prints it.
#[derive(Clone, Debug)]
pub struct Known {
    /// Its name, below a folder.
    pub name: &'static str,
    /// What it must be.
    pub sha256: String,
}

impl Known {
    pub(super) fn new(name: &'static str, sha256: &str) -> Self {
        let sha256 = sha256.to_owned();
        Self { name, sha256 }
    }

    /// Compares the file below `folder` with what is known.
    ///
    /// # Errors
    /// It cannot be read, or is another one.
    pub(super) fn verify(&self, folder: &Path) -> Result<()> {
        let path = folder.join(self.name);
        let found = sha256(&path).with_context(|| format!("cannot read {}", path.display()))?;
        ensure!(
            found == self.sha256,
            "{} has the SHA-256 {found}, not {}: it was damaged, or the package has changed; remove it and fetch it again",
            path.display(),
            self.sha256
        );
        Ok(())
    }
}

fn sha256(path: &Path) -> io::Result<String> {
    // Of tens of megabytes at most.
    Ok(hex::encode(Sha256::digest(fs::read(path)?)))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    /// A program for a test: a shell script.
    pub(in super::super) fn program(path: &Path, script: &str) -> PathBuf {
        fs::write(path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
        path.to_path_buf()
    }

    /// The files of a folder; none when it is not there.
    pub(in super::super) fn names(folder: &Path) -> Vec<String> {
        let Ok(files) = fs::read_dir(folder) else {
            return Vec::new();
        };
        let mut names: Vec<String> = files
            .map(|file| file.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    /// A file as it is now.
    pub(in super::super) fn known(name: &'static str, folder: &Path) -> Known {
        Known {
            name,
            sha256: sha256(&folder.join(name)).unwrap(),
        }
    }

    #[test]
    fn a_checksum_is_that_of_sha256sum() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("abc"), "abc").unwrap();
        let sum = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        Known::new("abc", sum).verify(folder.path()).unwrap();
        fs::write(folder.path().join("abc"), "abd").unwrap();
        let error = Known::new("abc", sum).verify(folder.path()).unwrap_err();
        assert!(error.to_string().contains("abc has the SHA-256"), "{error}");
        assert!(Known::new("abd", sum).verify(folder.path()).is_err());
    }
}
