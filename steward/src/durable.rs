//! Small files that survive a power cut: written aside, synced, renamed, and the directory synced.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;

/// Options for files that only this user may read.
pub(crate) fn private_options() -> OpenOptions {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    options
}

/// Creates a directory (and its parents) that only this user may enter, unless it exists.
pub(crate) fn create_private_dir(dir: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt as _;
        builder.mode(0o700);
    }
    builder.create(dir)
}

/// Replaces `dir/name` by these bytes: after a crash the file is the old one or the new one, never a mixture.
pub(crate) fn replace(dir: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    let aside = dir.join(format!("{name}.new"));
    let mut file = private_options()
        .write(true)
        .create(true)
        .truncate(true)
        .open(&aside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&aside, dir.join(name))?;
    sync_dir(dir)
}

/// Overwrites a file with zeros and removes it. On file systems and disks that write in place this destroys the bytes;
/// on others it is the best that a program can do.
pub(crate) fn erase(path: &Path) -> io::Result<()> {
    let mut file = match OpenOptions::new().write(true).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let zeros = [0u8; 4096];
    let mut left = file.metadata()?.len();
    while left > 0 {
        let piece = left.min(zeros.len() as u64);
        file.write_all(&zeros[..usize::try_from(piece).unwrap_or(zeros.len())])?;
        left -= piece;
    }
    file.sync_all()?;
    drop(file);
    fs::remove_file(path)?;
    path.parent().map_or(Ok(()), sync_dir)
}

pub(crate) fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_replaced_whole_and_erased_without_a_trace_in_place() {
        let dir = tempfile::tempdir().expect("dir");
        replace(dir.path(), "secret", b"one").expect("write");
        replace(dir.path(), "secret", &[7u8; 5000]).expect("replace");
        let path = dir.path().join("secret");
        // A second name for the same file shows what is left of its contents.
        let witness = dir.path().join("witness");
        fs::hard_link(&path, &witness).expect("link");
        erase(&path).expect("erase");
        assert!(!path.exists());
        assert_eq!(fs::read(&witness).expect("read"), vec![0u8; 5000]);
        erase(&path).expect("erasing what is gone is no error");
    }

    #[cfg(unix)]
    #[test]
    fn nobody_else_may_read_them() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().expect("dir");
        let inner = dir.path().join("inner");
        create_private_dir(&inner).expect("create");
        replace(&inner, "secret", b"one").expect("write");
        let mode = |path: &Path| fs::metadata(path).expect("metadata").permissions().mode() & 0o777;
        assert_eq!(mode(&inner), 0o700);
        assert_eq!(mode(&inner.join("secret")), 0o600);
    }
}
