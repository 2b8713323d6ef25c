//! The log as plain files (C2SP tlog-tiles), for anybody to serve, keep or verify: `checkpoint`, `tile/<level>/...` and
//! `tile/entries/...`. The tree is computed from the entries, so that nothing takes its place that does not lead to the root
//! which the log has signed, and to the root of the checkpoint that an earlier copy left: what is fetched waits in `next/` until
//! then. Checkpoints that cannot be of one log are kept in `evidence/`.

use std::path::{Path, PathBuf};

use dawn_crypto::merkle::{Frontier, leaf_hash};
use dawn_identity::{Members, VerifiedFederation};
use dawn_protocol::Digest;
use dawn_protocol::tlog::tile::{Bundle, HEIGHT, TileId, WIDTH, tile_bytes};
use dawn_protocol::tlog::{Checkpoint, LogKeys, SignedNote, TlogError, origin};

use crate::api::Api;
use crate::error::TransportError;

/// Why a log is not copied.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The server.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// The checkpoint, or a file that was there before.
    #[error(transparent)]
    Tlog(#[from] TlogError),
    /// The entries are not those that the log has signed.
    #[error("the entries do not lead to the root of the checkpoint, which is signed by the log")]
    OtherRoot,
    /// The log's key has signed what is not a continuation of the copy that is here.
    #[error(
        "the log is not the one that was copied before ({why}): both signed checkpoints are in {evidence}"
    )]
    TwoLogs {
        /// What contradicts what.
        why: String,
        /// The folder of both checkpoints.
        evidence: PathBuf,
    },
    /// More than may be kept.
    #[error("the log has more than {0} bytes: allow more (--max-bytes)")]
    TooMuch(u64),
    /// A file.
    #[error("{path}: {error}")]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
}

/// The tiles of a tree that grows, written when they are full.
struct Tiles<'a> {
    dir: &'a Path,
    frontier: Frontier,
    /// For every level, how many tiles are written, and the hashes of the next.
    levels: Vec<(u64, Vec<Digest>)>,
}

impl Tiles<'_> {
    fn push(&mut self, leaf: Digest) -> Result<(), ExportError> {
        let levels = &mut self.levels;
        let mut add = |level: usize, hash: Digest| {
            if levels.len() <= level {
                levels.resize_with(level + 1, Default::default);
            }
            if let Some((_, hashes)) = levels.get_mut(level) {
                hashes.push(hash);
            }
        };
        add(0, leaf);
        self.frontier.push_with(leaf, |height, hash| {
            if height.is_multiple_of(HEIGHT) {
                add(usize::from(height / HEIGHT), hash);
            }
        });
        self.write(|hashes| hashes.len() as u64 == WIDTH)
    }

    fn write(&mut self, when: impl Fn(&[Digest]) -> bool) -> Result<(), ExportError> {
        for (level, (index, hashes)) in (0..).zip(&mut self.levels) {
            if hashes.is_empty() || !when(hashes) {
                continue;
            }
            let tile = TileId {
                level,
                index: *index,
                width: u16::try_from(hashes.len()).unwrap_or(u16::MAX),
            };
            write(&self.dir.join(tile.path()), &tile_bytes(hashes))?;
            *index += 1;
            hashes.clear();
        }
        Ok(())
    }
}

fn io(path: &Path) -> impl Fn(std::io::Error) -> ExportError {
    move |error| ExportError::Io {
        path: path.to_owned(),
        error,
    }
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), ExportError> {
    if let Some(dir) = path.parent() {
        std::fs::create_dir_all(dir).map_err(io(dir))?;
    }
    std::fs::write(path, bytes).map_err(io(path))
}

const CHECKPOINT: &str = "checkpoint";
const NEXT: &str = "next";
const EVIDENCE: &str = "evidence";

/// Why entries do not lead to a checkpoint.
enum Unlike {
    /// Not to the new one.
    New,
    /// To the new one, and not to the one that was there before.
    Old,
}

/// What was fetched.
struct Fetched {
    /// How many bundles of an earlier copy were used.
    reused: u64,
    found: Result<(), Unlike>,
    /// Which keys may sign which sizes, as the entries say.
    keys: LogKeys,
}

/// A copy under way.
struct Copy<'a> {
    api: &'a Api,
    dir: &'a Path,
    federation: &'a VerifiedFederation,
    checkpoint: &'a Checkpoint,
    before: Option<&'a Checkpoint>,
    max_bytes: u64,
}

impl Copy<'_> {
    /// Fetches what is not there, writes bundles and tiles into `next/`, and says whether they are the log's. `reuse`: full
    /// bundles of an earlier copy are not fetched again. Gives how many were reused.
    async fn fetch(&self, reuse: bool) -> Result<Fetched, ExportError> {
        let next = self.dir.join(NEXT);
        remove(&next)?;
        let mut tiles = Tiles {
            dir: &next,
            frontier: Frontier::new(),
            levels: Vec::new(),
        };
        let (mut reused, mut total) = (0, 0_u64);
        let mut keys = LogKeys::founded(&self.federation.log);
        let mut members = Members::founders_of(self.federation);
        let mut is_continued = self.before.is_none_or(|before| before.size == 0);
        for index in 0..self.checkpoint.size.div_ceil(WIDTH) {
            let Some(bundle) = Bundle::of(index, self.checkpoint.size) else {
                break;
            };
            let kept = match std::fs::read(self.dir.join(bundle.path())) {
                Ok(bytes) if reuse && bundle.is_full() => Some(bytes),
                _ => None,
            };
            let bytes = match kept {
                Some(bytes) => {
                    reused += 1;
                    bytes
                }
                None => {
                    let bytes = self.api.log_bundle(&bundle).await?;
                    write(&next.join(bundle.path()), &bytes)?;
                    bytes
                }
            };
            total = total.saturating_add(bytes.len() as u64);
            if total > self.max_bytes {
                remove(&next)?;
                return Err(ExportError::TooMuch(self.max_bytes));
            }
            for entry in bundle.entries(&bytes)? {
                tiles.push(leaf_hash(entry))?;
                // What is no entry of the register is not taken.
                if members.push(entry).is_ok() {
                    keys.note(tiles.frontier.size(), members.log());
                }
                if let Some(before) = self.before
                    && tiles.frontier.size() == before.size
                {
                    is_continued = tiles.frontier.root() == before.root;
                }
            }
        }
        tiles.write(|_| true)?;
        let leads = tiles.frontier.root() == self.checkpoint.root;
        let found = match (leads, is_continued) {
            (true, true) => Ok(()),
            (true, false) => Err(Unlike::Old),
            (false, _) => Err(Unlike::New),
        };
        Ok(Fetched {
            reused,
            found,
            keys,
        })
    }
}

/// What an earlier copy left; none when there is none. Who signed it is known when the entries have been read.
fn earlier(
    dir: &Path,
    federation: &VerifiedFederation,
) -> Result<Option<(Checkpoint, SignedNote)>, ExportError> {
    let path = dir.join(CHECKPOINT);
    let bytes = match std::fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io(&path)(error)),
    };
    let note = SignedNote::parse(&bytes)?;
    Ok(Some((of_this_log(&note, federation)?, note)))
}

/// Which keys may sign which sizes of an earlier copy, as far as its files can be read.
fn copied_keys(dir: &Path, federation: &VerifiedFederation, size: u64) -> LogKeys {
    let mut keys = LogKeys::founded(&federation.log);
    let mut members = Members::founders_of(federation);
    let mut read = 0;
    for index in 0..size.div_ceil(WIDTH) {
        let bundle = Bundle::of(index, size);
        let bytes = bundle.and_then(|bundle| {
            let bytes = std::fs::read(dir.join(bundle.path())).ok()?;
            Some((bundle, bytes))
        });
        let Some((bundle, bytes)) = bytes else { break };
        let Ok(entries) = bundle.entries(&bytes) else {
            break;
        };
        for entry in entries {
            read += 1;
            if members.push(entry).is_ok() {
                keys.note(read, members.log());
            }
        }
    }
    keys
}

/// The checkpoint in a note, of the federation's log; who signed it is not looked at.
fn of_this_log(
    note: &SignedNote,
    federation: &VerifiedFederation,
) -> Result<Checkpoint, TlogError> {
    let (checkpoint, expected) = (Checkpoint::parse(&note.text)?, origin(&federation.digest()));
    if checkpoint.origin == expected {
        return Ok(checkpoint);
    }
    Err(TlogError::OtherLog {
        expected,
        found: checkpoint.origin,
    })
}

fn remove(dir: &Path) -> Result<(), ExportError> {
    match std::fs::remove_dir_all(dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(io(dir)(error)),
        _ => Ok(()),
    }
}

/// Moves every file below `from` to its place below `to`.
fn move_into(from: &Path, to: &Path) -> Result<(), ExportError> {
    let entries = match std::fs::read_dir(from) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(io(from)(error)),
    };
    std::fs::create_dir_all(to).map_err(io(to))?;
    for entry in entries {
        let path = entry.map_err(io(from))?.path();
        let place = to.join(path.file_name().unwrap_or_default());
        if path.is_dir() {
            move_into(&path, &place)?;
        } else {
            std::fs::rename(&path, &place).map_err(io(&place))?;
        }
    }
    Ok(())
}

/// Keeps signed checkpoints, for whoever wants to be shown them.
fn keep_evidence(dir: &Path, notes: &[(&Checkpoint, &SignedNote)]) -> Result<PathBuf, ExportError> {
    let evidence = dir.join(EVIDENCE);
    for (checkpoint, note) in notes {
        let name = format!("checkpoint-{}-{}", checkpoint.size, checkpoint.root);
        write(&evidence.join(name), note.to_text().as_bytes())?;
    }
    Ok(evidence)
}

impl Api {
    /// Copies the log as it is now into a directory, at most `max_bytes` of entries. Full bundles that are there from an earlier
    /// copy are not fetched again, unless they do not lead to what the log has signed; the log continues that copy, or nothing
    /// of it is taken. `checkpoint` is written last. Gives the checkpoint with the signatures that the server showed.
    ///
    /// # Errors
    /// [`ExportError`].
    pub async fn export_log(
        &self,
        dir: &Path,
        federation: &VerifiedFederation,
        max_bytes: u64,
    ) -> Result<(Checkpoint, SignedNote), ExportError> {
        let before = earlier(dir, federation)?;
        let note = self.log_checkpoint().await?;
        let checkpoint = of_this_log(&note, federation)?;
        let two_logs = |why: String| -> Result<ExportError, ExportError> {
            let mut notes = vec![(&checkpoint, &note)];
            notes.extend(before.iter().map(|(checkpoint, note)| (checkpoint, note)));
            let evidence = keep_evidence(dir, &notes)?;
            Ok(ExportError::TwoLogs { why, evidence })
        };
        let copy = Copy {
            api: self,
            dir,
            federation,
            checkpoint: &checkpoint,
            before: before.as_ref().map(|(checkpoint, _)| checkpoint),
            max_bytes,
        };
        let mut fetched = copy.fetch(true).await?;
        if fetched.found.is_err() && fetched.reused > 0 {
            // Perhaps a file here was damaged, and the log is as it was.
            fetched = copy.fetch(false).await?;
        }
        let next = dir.join(NEXT);
        // Nobody is blamed for what the log's key has not signed: the entries say which one that is.
        let name = origin(&federation.digest());
        let signed = fetched.keys.checkpoint(&note, &name);
        let signed = signed.and_then(|_| match &before {
            // What is shown now may end before a key was replaced.
            Some((old, note)) => (fetched.keys.checkpoint(note, &name))
                .or_else(|_| copied_keys(dir, federation, old.size).checkpoint(note, &name))
                .map(|_| ()),
            None => Ok(()),
        });
        if let Err(error) = signed {
            remove(&next)?;
            return Err(error.into());
        }
        if let Some((old, _)) = &before
            && checkpoint.size < old.size
        {
            remove(&next)?;
            let why = format!("{} entries now, {} before", checkpoint.size, old.size);
            return Err(two_logs(why)?);
        }
        match fetched.found {
            Ok(()) => {}
            Err(Unlike::Old) => {
                remove(&next)?;
                let why = "its first entries have another root than the checkpoint that is here";
                return Err(two_logs(why.to_owned())?);
            }
            Err(Unlike::New) => {
                remove(&next)?;
                keep_evidence(dir, &[(&checkpoint, &note)])?;
                return Err(ExportError::OtherRoot);
            }
        }
        move_into(&next, dir)?;
        remove(&next)?;
        let aside = dir.join(format!("{CHECKPOINT}.next"));
        write(&aside, note.to_text().as_bytes())?;
        let place = dir.join(CHECKPOINT);
        std::fs::rename(&aside, &place).map_err(io(&place))?;
        Ok((checkpoint, note))
    }
}
