//! The log in the formats of the Community Cryptography Specification Project (C2SP), so that programs that
//! nobody here wrote can verify it (`docs/protocol.md`, section 4.6.1). Pure: no I/O, no clock.
//!
//! | module | explains | specification |
//! |---|---|---|
//! | [`note`] | text with signature lines under it, Ed25519 | c2sp.org/signed-note |
//! | [`checkpoint`] | size and root of the log, signed by the log | c2sp.org/tlog-checkpoint |
//! | [`cosignature`] | what a steward says about a checkpoint after it has verified it | c2sp.org/tlog-cosignature, version 1 |
//! | [`tile`] | the tree and its entries as files of 256 hashes or entries | c2sp.org/tlog-tiles |
//! | [`subtree`] | inclusion and consistency proofs computed from tiles | RFC 6962, section 2.1 |
//! | [`proof`] | one file that shows that an entry is in the log | c2sp.org/tlog-proof |
//! | [`witness`] | what a steward is shown before it cosigns | c2sp.org/tlog-witness, `add-checkpoint` |
//!
//! Hashing is that of [`dawn_crypto::merkle`]: SHA-256 as in RFC 6962. Everything that is parsed here has one
//! encoding, and is bounded before it takes memory.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dawn_crypto::digest::Digest;
use dawn_identity::{KeyError, StewardId};

pub mod checkpoint;
pub mod cosignature;
pub mod keys;
pub mod note;
pub mod proof;
pub mod subtree;
pub mod tile;
pub mod witness;

pub use checkpoint::Checkpoint;
pub use cosignature::Cosignature;
pub use keys::LogKeys;
pub use note::{NoteSignature, SignedNote};
pub use proof::TlogProof;
pub use tile::{Bundle, TileId, TileSet};
pub use witness::AddCheckpoint;

/// The origin line of a federation's log, which is also the name of the log's key: a log is named by the founding
/// document, and not by where it is served.
pub fn origin(federation: &Digest) -> String {
    format!("dawn/log/{federation}")
}

/// The name under which a steward cosigns.
pub fn cosigner(steward: &StewardId) -> String {
    format!("dawn/steward/{steward}")
}

/// Why bytes are not what they should be, or do not show what they should.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TlogError {
    /// The text is not of the format.
    #[error("not a {what}: {why}")]
    Format {
        /// What was being read.
        what: &'static str,
        /// The rule that is broken.
        why: &'static str,
    },
    /// The checkpoint is of another log.
    #[error("the checkpoint is of the log {found}, not of {expected}")]
    OtherLog {
        /// The origin that was expected.
        expected: String,
        /// The origin line.
        found: String,
    },
    /// No signature line is of this key.
    #[error("the note has no signature by {0}")]
    NotSigned(String),
    /// A signature line of this key does not verify.
    #[error("the signature by {name} is wrong: {error}")]
    BadSignature {
        /// The key's name.
        name: String,
        /// Why.
        error: KeyError,
    },
    /// Signed with a key that signs no log of this size any more.
    #[error(
        "a log of {0} entries is signed here with a key that was replaced before: whoever has the old key may have made it; fetch it again"
    )]
    ReplacedKey(u64),
    /// Signed with none of the log's keys, as far as they are known.
    #[error(
        "a log of {0} entries is signed with none of the log's keys that are known here; if its key was replaced since, fetch the newest register"
    )]
    UnknownKey(u64),
    /// A tile that the computation needs is not there, or too short.
    #[error("tile {0} is missing or too short")]
    NoTile(String),
    /// A proof does not lead to the root.
    #[error("{0}")]
    Proof(#[from] dawn_crypto::merkle::MerkleError),
}

pub(crate) fn format(what: &'static str, why: &'static str) -> TlogError {
    TlogError::Format { what, why }
}

/// A decimal number in its one spelling: no sign, no leading zero.
pub(crate) fn parse_decimal(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits || (text.len() > 1 && text.starts_with('0')) {
        return None;
    }
    text.parse().ok()
}

/// A hash in base64 (RFC 4648, section 4, with padding).
pub(crate) fn parse_hash(text: &str) -> Option<Digest> {
    // 32 bytes are 44 characters: longer text takes no memory.
    if text.len() != 44 {
        return None;
    }
    let bytes: [u8; 32] = STANDARD.decode(text).ok()?.try_into().ok()?;
    Some(Digest(bytes))
}

pub(crate) fn hash_text(hash: &Digest) -> String {
    STANDARD.encode(hash.0)
}

/// Lines of hashes up to an empty line, at most `most` of them; what follows the empty line.
pub(crate) fn parse_hashes<'a>(
    mut rest: &'a str,
    most: usize,
    what: &'static str,
) -> Result<(Vec<Digest>, &'a str), TlogError> {
    let mut hashes = Vec::new();
    loop {
        let (line, after) = rest
            .split_once('\n')
            .ok_or(format(what, "it ends before the checkpoint"))?;
        rest = after;
        if line.is_empty() {
            return Ok((hashes, rest));
        }
        if hashes.len() == most {
            return Err(format(what, "more hashes than a tree has levels"));
        }
        hashes.push(parse_hash(line).ok_or(format(what, "a line is not the base64 of a hash"))?);
    }
}

/// Most hashes of a proof: a tree of less than 2^64 leaves.
pub(crate) const MAX_PROOF: usize = 63;

#[cfg(test)]
mod hostile;
#[cfg(test)]
mod tests;
