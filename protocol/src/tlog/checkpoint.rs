//! Checkpoints (c2sp.org/tlog-checkpoint): what the log has promised, in three lines.
//!
//! ```text
//! dawn/log/<digest of the founding document>
//! <number of entries>
//! <base64 of the root>
//! ```
//!
//! Nothing in it is a time, and Ed25519 is deterministic: of one size every replica signs the same bytes.

use dawn_crypto::digest::Digest;
use dawn_identity::{PublicKey, SecretKey};

use super::note::SignedNote;
use super::{TlogError, format, hash_text, parse_decimal, parse_hash};

const WHAT: &str = "checkpoint";

/// The log at one size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Which log: [`super::origin`].
    pub origin: String,
    /// Number of entries.
    pub size: u64,
    /// RFC 6962 root over their leaf hashes.
    pub root: Digest,
}

impl Checkpoint {
    /// The text that is signed.
    pub fn text(&self) -> String {
        let root = hash_text(&self.root);
        format!("{}\n{}\n{root}\n", self.origin, self.size)
    }

    /// Reads the text. Extension lines, which the specification advises against, are refused: this log has none.
    ///
    /// # Errors
    /// [`TlogError::Format`].
    pub fn parse(text: &str) -> Result<Self, TlogError> {
        let lines: Vec<&str> = text.split('\n').take(5).collect();
        let [origin, size, root, ""] = lines[..] else {
            return Err(format(WHAT, "it has not exactly three lines"));
        };
        if origin.is_empty() {
            return Err(format(WHAT, "the origin is empty"));
        }
        Ok(Self {
            origin: origin.to_owned(),
            size: parse_decimal(size).ok_or(format(WHAT, "the size is not a decimal number"))?,
            root: parse_hash(root).ok_or(format(WHAT, "the root is not the base64 of a hash"))?,
        })
    }

    /// The checkpoint signed by its log.
    pub fn sign(&self, key: &SecretKey) -> SignedNote {
        SignedNote::sign(self.text(), &self.origin, key)
    }

    /// The checkpoint in a note, when it is of this log and the log's key has signed it.
    ///
    /// # Errors
    /// [`TlogError`].
    pub fn verify(note: &SignedNote, origin: &str, key: &PublicKey) -> Result<Self, TlogError> {
        let checkpoint = Self::parse(&note.text)?;
        if checkpoint.origin != origin {
            return Err(TlogError::OtherLog {
                expected: origin.to_owned(),
                found: checkpoint.origin,
            });
        }
        note.verify(origin, key)?;
        Ok(checkpoint)
    }
}
