//! What a steward keeps when it is shown a log that does not continue the one that it has cosigned: both checkpoints, each
//! signed by the log's key, as files that anybody can verify (`docs/protocol.md`, section 4.6.1).
//!
//! Two roots of one size are a proof of two histories by themselves. Of two sizes the log can be asked for a consistency proof
//! from one to the other; one that does not come, or does not verify, is the proof. Fewer entries than were cosigned are what a
//! replica that lags shows, too.

use std::cmp::Ordering;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use dawn_crypto::merkle::leaf_hash;
use dawn_protocol::tlog::note::MAX_NOTE_BYTES;
use dawn_protocol::tlog::{Checkpoint, SignedNote};

use crate::durable;
use crate::witness::Witnessed;

/// Where it is, in the steward's data directory.
pub const EVIDENCE_FOLDER: &str = "evidence";
/// The checkpoint that this steward has cosigned.
pub const COSIGNED_FILE: &str = "cosigned";
/// The checkpoint that it was shown afterwards.
pub const SHOWN_FILE: &str = "shown";

/// Most pairs of each sort that are kept: who can make one can make many. They stay apart, so that what proves something is not
/// crowded out by what does not, nor a log that goes on otherwise by an honest one that was late.
pub const MOST_OF_A_SORT: usize = 4;

/// What became of a pair.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    /// It is in this folder now.
    Here(PathBuf),
    /// It was there before.
    Before,
    /// There are as many as are kept.
    Full,
}

/// Whether the two checkpoints alone show two histories.
pub(crate) fn is_proof(last: &Witnessed, shown: &Checkpoint) -> bool {
    last.size == shown.size && last.root != shown.root
}

/// Keeps what was cosigned last and what was shown, which `name` signed.
///
/// # Errors
/// Those of the file system.
pub(crate) fn keep(
    data_dir: &Path,
    last: &Witnessed,
    checkpoint: &Checkpoint,
    shown: &SignedNote,
    name: &str,
) -> io::Result<Kept> {
    // Only the log's own lines: others are nobody's word here, and may be many.
    let signed_by_log = shown.signatures.iter().filter(|line| line.name == name);
    let shown = SignedNote {
        text: shown.text.clone(),
        signatures: signed_by_log.cloned().collect(),
    };
    let sort = match checkpoint.size.cmp(&last.size) {
        Ordering::Less => "older",
        Ordering::Equal if is_proof(last, checkpoint) => "fork",
        Ordering::Equal | Ordering::Greater => "unproven",
    };
    let id = leaf_hash(format!("{}{}", last.note, shown.text).as_bytes()).to_string();
    let sizes = format!("{}-{}", last.size, checkpoint.size);
    let folder = format!("{sort}-{sizes}-{}", &id[..16]);
    let all = data_dir.join(EVIDENCE_FOLDER);
    let there = all.join(&folder);
    if there.exists() {
        return Ok(Kept::Before);
    }
    durable::create_private_dir(&all)?;
    let mut before = 0;
    for entry in fs::read_dir(&all)? {
        let name = entry?.file_name();
        before += usize::from(name.to_string_lossy().starts_with(&format!("{sort}-")));
    }
    if before >= MOST_OF_A_SORT {
        return Ok(Kept::Full);
    }
    // Written aside: a pair is there whole or not at all.
    let aside = all.join("new");
    if aside.exists() {
        fs::remove_dir_all(&aside)?;
    }
    durable::create_private_dir(&aside)?;
    for (file, text) in [
        (COSIGNED_FILE, last.note.as_str()),
        (SHOWN_FILE, &shown.to_text()),
    ] {
        // What is remembered without its signatures proves nothing to others.
        if !text.is_empty() && text.len() <= MAX_NOTE_BYTES {
            durable::replace(&aside, file, text.as_bytes())?;
        }
    }
    fs::rename(&aside, &there)?;
    durable::sync_dir(&all)?;
    Ok(Kept::Here(there))
}
