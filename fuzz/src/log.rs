//! The log of the federation of [`crate::world`], with everything that was said in its rounds.

use std::sync::OnceLock;

use dawn_crypto::digest::Digest;
use dawn_crypto::merkle;
use dawn_protocol::tlog::{Checkpoint, origin};

use crate::world::{honest, logged};

/// An honest log.
pub struct Log {
    /// Its name.
    pub origin: String,
    /// Its entries.
    pub entries: Vec<Vec<u8>>,
    /// Their leaf hashes.
    pub leaves: Vec<Digest>,
    /// The root at every size, from 0.
    pub roots: Vec<Digest>,
}

/// The log.
pub fn log() -> &'static Log {
    static LOG: OnceLock<Log> = OnceLock::new();
    LOG.get_or_init(|| {
        let honest = honest();
        let mut entries = logged::before_rounds(&honest.world);
        entries.extend(honest.rounds.iter().flat_map(logged::of_round));
        let leaves: Vec<_> = entries
            .iter()
            .map(|entry| merkle::leaf_hash(entry))
            .collect();
        Log {
            origin: origin(&honest.world.federation.digest()),
            roots: (0..=leaves.len())
                .map(|size| merkle::root(&leaves[..size]))
                .collect(),
            entries,
            leaves,
        }
    })
}

impl Log {
    /// The checkpoint of its first entries.
    pub fn checkpoint(&self, size: usize) -> Checkpoint {
        Checkpoint {
            origin: self.origin.clone(),
            size: size as u64,
            root: self.roots[size],
        }
    }
}
