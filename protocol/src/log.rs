//! The append-only log of signed statements (`docs/protocol.md`, section 4.6).
//!
//! The aggregator keeps every statement that it acted on, in the order in which it did, as the
//! leaves of one RFC 6962 tree. What makes a head binding for everybody (checkpoints cosigned by
//! witnesses) is a later issue; until then a head is a promise of the log's key.

use dawn_crypto::digest::Digest;
use dawn_crypto::merkle;
use dawn_identity::{BrokenRule, Statement};
use minicbor::{Decode, Encode};

use crate::MAX_STATEMENT_BYTES;

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
