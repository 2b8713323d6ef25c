//! The append-only log of signed statements (`docs/protocol.md`, section 4.6).
//!
//! The aggregator keeps every statement that it acted on, in the order in which it did, as the
//! leaves of one RFC 6962 tree. What makes a head binding for everybody (checkpoints cosigned by
//! witnesses) is a later issue; until then a head is a promise of the log's key.

use dawn_crypto::digest::Digest;
use dawn_crypto::merkle;
use dawn_identity::{BrokenRule, DecodeError, Statement, from_canonical_bounded};
use minicbor::{Decode, Encode};

use crate::MAX_STATEMENT_BYTES;
use crate::work::check_items;

/// The log's size and root at a time. Signed by the federation's log key.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct LogHead {
    /// Number of entries.
    #[n(0)]
    pub size: u64,
    /// RFC 6962 root over the entries' leaf hashes.
    #[n(1)]
    pub root: Digest,
    /// Unix milliseconds.
    #[n(2)]
    pub time_ms: u64,
}

impl Statement for LogHead {
    const KIND: &'static str = "log-head";
    const MAX_BYTES: usize = 512;

    fn check(&self) -> Result<(), BrokenRule> {
        Ok(())
    }
}

/// One entry: a signed statement as it was received.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct LogEntry {
    /// The entry's index, from 0, without gaps.
    #[n(0)]
    pub index: u64,
    /// The signed bytes, at most [`MAX_STATEMENT_BYTES`].
    #[cbor(n(1), with = "minicbor::bytes")]
    pub envelope: Vec<u8>,
}

impl LogEntry {
    /// The entry's leaf in the log's tree: over the envelope alone, the index is the position.
    pub fn leaf(&self) -> Digest {
        merkle::leaf_hash(&self.envelope)
    }

    /// Refuses an entry that is empty or too long.
    ///
    /// # Errors
    /// [`BrokenRule`].
    pub fn check(&self) -> Result<(), BrokenRule> {
        BrokenRule::unless(
            !self.envelope.is_empty() && self.envelope.len() <= MAX_STATEMENT_BYTES,
            "a log entry has between 1 and 65,535 bytes",
        )
    }
}

/// Reads a list of at most `most` entries, within their bounds; nothing else in it is verified. A longer list is
/// refused before its entries take memory.
///
/// # Errors
/// [`DecodeError`].
pub fn entries_from_bytes(bytes: &[u8], most: usize) -> Result<Vec<LogEntry>, DecodeError> {
    check_items(bytes, most, "more log entries than were asked for")?;
    // The envelope, its length, the index, and the array around them.
    let limit = most
        .saturating_mul(MAX_STATEMENT_BYTES + 16)
        .saturating_add(16);
    let entries: Vec<LogEntry> = from_canonical_bounded(bytes, limit)?;
    entries.iter().try_for_each(LogEntry::check)?;
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;
    use dawn_identity::to_canonical;

    fn entries(count: u64) -> Vec<LogEntry> {
        let entry = |index| LogEntry {
            index,
            envelope: vec![7],
        };
        (0..count).map(entry).collect()
    }

    /// As many of the smallest entries as a page may have bytes would take more than a gigabyte.
    #[test]
    fn too_many_small_entries_are_refused_before_they_take_memory() {
        let bytes = to_canonical(&entries(20));
        assert_eq!(entries_from_bytes(&bytes, 20), Ok(entries(20)));
        // Were the entries decoded first, the cut would be found and this be malformed.
        let cut = &bytes[..bytes.len() - 1];
        assert!(matches!(
            entries_from_bytes(cut, 20),
            Err(DecodeError::Malformed(_))
        ));
        assert!(matches!(
            entries_from_bytes(cut, 19),
            Err(DecodeError::Rule(_))
        ));
        let indefinite = [&[0x9f], &bytes[1..], &[0xff]].concat();
        assert!(entries_from_bytes(&indefinite, 20).is_err());
    }

    #[test]
    fn entries_within_their_bounds_only() {
        for (length, accepted) in [(0, false), (1, true), (65_535, true), (65_536, false)] {
            let entry = LogEntry {
                index: u64::MAX,
                envelope: vec![7; length],
            };
            let bytes = to_canonical(&vec![entry]);
            assert_eq!(entries_from_bytes(&bytes, 1).is_ok(), accepted, "{length}");
        }
    }
}
