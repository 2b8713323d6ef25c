//! Commitments to key shares (`docs/protocol.md`, section 4.3, step 1).

use crate::digest::{Digest, Hasher, labels};
use crate::shamir::{KeyShare, words_to_bytes};

/// `key_commit_j = H(KEY_COMMIT, j, blind_j, key share_j)`: over the *expanded* share, so that a seed and
/// its expansion cannot be told apart by which was committed, and before any challenge that depends on it.
/// `blind` is 32 fresh bytes; the share is its N little-endian words.
pub fn key_commitment(steward_point: u8, blind: &[u8; 32], share: &KeyShare) -> Digest {
    let mut hasher = Hasher::new(labels::KEY_COMMIT);
    hasher
        .field(&[steward_point])
        .field(blind)
        .field(&share.to_bytes());
    hasher.finalize()
}

/// `H(DIGIT_COMMIT, j, blind_j, share)`: a share of the digits of the norm proof, expanded.
pub fn digit_commitment(steward_point: u8, blind: &[u8; 32], share: &[u32]) -> Digest {
    words_commitment(labels::DIGIT_COMMIT, steward_point, blind, share)
}

/// `H(PROOF_COMMIT, j, blind_j, share)`: a share of all repetitions' proofs, expanded.
pub fn proof_commitment(steward_point: u8, blind: &[u8; 32], share: &[u32]) -> Digest {
    words_commitment(labels::PROOF_COMMIT, steward_point, blind, share)
}

fn words_commitment(label: &'static str, point: u8, blind: &[u8; 32], share: &[u32]) -> Digest {
    let mut hasher = Hasher::new(label);
    let bytes = zeroize::Zeroizing::new(words_to_bytes(share));
    hasher.field(&[point]).field(blind).field(&bytes);
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shamir::ShareEncoding;

    #[test]
    fn everything_is_bound() {
        let share = |seed| {
            ShareEncoding::Seed([seed; 32])
                .expand()
                .expect("a seed expands")
        };
        let base = key_commitment(1, &[2; 32], &share(3));
        assert_eq!(base, key_commitment(1, &[2; 32], &share(3)));
        assert_ne!(base, key_commitment(2, &[2; 32], &share(3)));
        assert_ne!(base, key_commitment(1, &[3; 32], &share(3)));
        assert_ne!(base, key_commitment(1, &[2; 32], &share(4)));
    }
}
