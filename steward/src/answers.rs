//! Files of answers to a challenge (`docs/protocol.md`, section 4.6): this steward's own, from its report to the end of
//! the round, and those of others while it looks at a verdict.
//!
//! They are far longer than what the store holds, and no secret: they are published. This steward's own are durable under
//! the round's name before the store says that there is a report that names their digest. Others are scratch, gone when
//! their reader is dropped. What a crash leaves behind is swept at the next start.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use dawn_crypto::norm::Answer;
use dawn_identity::Digest;
use dawn_protocol::RoundId;
use dawn_protocol::answers::AnswersHasher;
use rand_core::CryptoRng;

use crate::durable;

const DIR: &str = "answers";
const EXTENSION: &str = "answers";

/// The directory of the answers.
#[derive(Debug)]
pub(crate) struct AnswerFiles {
    dir: PathBuf,
}

impl AnswerFiles {
    /// Opens the directory below the store's, creating it if need be.
    pub(crate) fn open(data_dir: &Path) -> io::Result<Self> {
        let dir = data_dir.join(DIR);
        durable::create_private_dir(&dir)?;
        Ok(Self { dir })
    }

    fn path(&self, round: &RoundId) -> PathBuf {
        let (task, number) = (round.task, round.number);
        self.dir.join(format!("{task}-{number}.{EXTENSION}"))
    }

    /// This steward's own answers of a round, when they are there.
    pub(crate) fn own(&self, round: &RoundId) -> Option<PathBuf> {
        Some(self.path(round)).filter(|path| path.is_file())
    }

    /// A new file that nobody keeps yet.
    pub(crate) fn scratch<R: CryptoRng>(&self, rng: &mut R) -> io::Result<ScratchFile> {
        let name = format!("{:016x}{:016x}.tmp", rng.next_u64(), rng.next_u64());
        let path = self.dir.join(name);
        durable::private_options()
            .write(true)
            .create_new(true)
            .open(&path)?;
        Ok(ScratchFile { path, kept: false })
    }

    /// Makes a file, which has been synced, this steward's own answers of a round.
    pub(crate) fn keep(&self, round: &RoundId, mut file: ScratchFile) -> io::Result<()> {
        fs::rename(&file.path, self.path(round))?;
        file.kept = true;
        durable::sync_dir(&self.dir)
    }

    /// Removes this steward's own answers of a round.
    pub(crate) fn remove(&self, round: &RoundId) -> io::Result<()> {
        remove(&self.path(round))
    }

    /// Removes every file that does not belong to a round of which `keep` says that it is still going on.
    pub(crate) fn sweep(&self, keep: impl Fn(&RoundId) -> bool) -> io::Result<()> {
        for entry in fs::read_dir(&self.dir)? {
            let entry = entry?;
            let round = entry.file_name().to_str().and_then(parse_name);
            if !round.is_some_and(|round| keep(&round)) {
                remove(&entry.path())?;
            }
        }
        Ok(())
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn parse_name(name: &str) -> Option<RoundId> {
    let stem = name.strip_suffix(EXTENSION)?.strip_suffix('.')?;
    let (task, number) = stem.split_once('-')?;
    Some(RoundId {
        task: task.parse().ok()?,
        number: number.parse().ok()?,
    })
}

/// A file that is removed when this is dropped.
#[derive(Debug)]
pub struct ScratchFile {
    path: PathBuf,
    kept: bool,
}

impl ScratchFile {
    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for ScratchFile {
    fn drop(&mut self) {
        if !self.kept {
            // What cannot be removed now is swept at the next start.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Writes this steward's answers, one submission after the other.
pub(crate) struct AnswersWriter {
    scratch: ScratchFile,
    file: BufWriter<File>,
    hasher: AnswersHasher,
}

impl AnswersWriter {
    pub(crate) fn new(scratch: ScratchFile) -> io::Result<Self> {
        let file = fs::OpenOptions::new().write(true).open(&scratch.path)?;
        Ok(Self {
            scratch,
            file: BufWriter::new(file),
            hasher: AnswersHasher::new(),
        })
    }

    pub(crate) fn push(&mut self, answer: &Answer) -> io::Result<()> {
        let bytes = answer.to_bytes();
        self.hasher.update(&bytes);
        self.file.write_all(&bytes)
    }

    /// The file, durable, and the digest of what is in it.
    pub(crate) fn finish(self) -> io::Result<(ScratchFile, Digest)> {
        let file = self.file.into_inner().map_err(io::Error::from)?;
        file.sync_all()?;
        Ok((self.scratch, self.hasher.finalize()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dawn_identity::TaskId;
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    #[test]
    fn own_answers_are_kept_and_swept_and_scratch_disappears() {
        let dir = tempfile::tempdir().expect("dir");
        let files = AnswerFiles::open(dir.path()).expect("open");
        let rng = &mut ChaCha20Rng::seed_from_u64(1);
        let round = |number| RoundId {
            task: TaskId(Digest([8; 32])),
            number,
        };
        for number in [1, 2] {
            let scratch = files.scratch(rng).expect("scratch");
            fs::write(scratch.path(), [7; 10]).expect("write");
            files.keep(&round(number), scratch).expect("keep");
        }
        let count = || fs::read_dir(dir.path().join(DIR)).expect("list").count();
        let scratch = files.scratch(rng).expect("scratch");
        assert_eq!(count(), 3);
        drop(scratch);
        assert_eq!(count(), 2);
        fs::write(dir.path().join(DIR).join("left.tmp"), b"x").expect("write");
        files.sweep(|kept| kept.number == 2).expect("sweep");
        assert_eq!(files.own(&round(1)), None);
        let own = files.own(&round(2)).expect("kept");
        assert_eq!(fs::read(own).expect("read"), [7; 10]);
        files.remove(&round(2)).expect("remove");
        files.remove(&round(2)).expect("again");
        assert_eq!(count(), 0);
    }
}
