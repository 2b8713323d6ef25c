//! Digests of models and sums, and the seed that nobody chooses
//! (`docs/protocol.md`, section 3 and section 4.1).

use dawn_crypto::digest::{Digest, Hasher, hash, labels};
use dawn_identity::{SessionId, Signed, to_canonical};

use crate::round_id::RoundId;
use crate::spec::{RoundSpec, SealingKey};

/// The session id of a specification: `hash(SESSION, canonical bytes)`.
pub fn session(spec: &RoundSpec) -> SessionId {
    SessionId(hash(labels::SESSION, &[&to_canonical(spec)]))
}

/// The seed of a round's public matrix: `hash(MATRIX_SEED, task, round number as u32 LE, then one
/// field per evaluation point)`, the field being empty for a steward without a sealing key and the
/// body digest of its sealing key statement otherwise. The keys are fresh in every round, so the
/// matrix is, and nobody chooses it alone.
pub fn matrix_seed(round: &RoundId, sealing_keys: &[Option<Signed<SealingKey>>]) -> [u8; 32] {
    let mut hasher = Hasher::new(labels::MATRIX_SEED);
    hasher.field(round.task.as_bytes());
    hasher.field(&round.number.to_le_bytes());
    for key in sealing_keys {
        match key {
            Some(signed) => hasher.field(&signed.body_digest().0),
            None => hasher.field(&[]),
        };
    }
    hasher.finalize().0
}

/// The digest of a model: `hash(MODEL, canonical model bytes)`.
pub fn model_digest(canonical_model: &[u8]) -> Digest {
    hash(labels::MODEL, &[canonical_model])
}

/// The digest of an opened sum: `hash(SUM, the coordinates as i32 LE)`.
pub fn sum_digest(sum: &[i32]) -> Digest {
    let bytes: Vec<u8> = sum.iter().flat_map(|v| v.to_le_bytes()).collect();
    hash(labels::SUM, &[&bytes])
}

/// The digest of what a round opened, one sum or that of every group: as [`sum_digest`], with one field a sum.
pub fn sums_digest(sums: &[Vec<i32>]) -> Digest {
    let mut hasher = Hasher::new(labels::SUM);
    for sum in sums {
        let bytes: Vec<u8> = sum.iter().flat_map(|v| v.to_le_bytes()).collect();
        hasher.field(&bytes);
    }
    hasher.finalize()
}
