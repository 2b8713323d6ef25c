//! The payload of a submission, checked while it streams.

use dawn_crypto::mask::PayloadHasher;
use dawn_crypto::params::Q;

use crate::problem::Problem;

/// Checks a stream of little-endian words: each below q, and their digest.
pub(super) struct PayloadCheck {
    hasher: PayloadHasher,
    words: WordCheck,
}

impl PayloadCheck {
    pub(super) fn new() -> Self {
        Self {
            hasher: PayloadHasher::new(),
            words: WordCheck::default(),
        }
    }

    /// The next bytes, in pieces of any size.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<(), Problem> {
        self.hasher.update(bytes);
        if self.words.push(bytes) {
            Ok(())
        } else {
            Err(Problem::invalid(
                "a coordinate of the payload is not below q",
            ))
        }
    }

    /// The digest of everything.
    pub(super) fn digest(&self) -> dawn_crypto::digest::Digest {
        self.hasher.finalize()
    }
}

/// Checks that the little-endian words of a stream are below q.
#[derive(Default)]
pub(super) struct WordCheck {
    // Bytes of a word that the last piece cut.
    cut: [u8; 4],
    held: usize,
}

impl WordCheck {
    /// The next bytes, in pieces of any size; whether the words that they complete are below q.
    pub(super) fn push(&mut self, mut bytes: &[u8]) -> bool {
        while self.held > 0 && !bytes.is_empty() {
            self.cut[self.held] = bytes[0];
            self.held = (self.held + 1) % 4;
            bytes = &bytes[1..];
            if self.held == 0 && !is_canonical(self.cut) {
                return false;
            }
        }
        let (words, rest) = bytes.as_chunks::<4>();
        if !words.iter().all(|word| is_canonical(*word)) {
            return false;
        }
        if !rest.is_empty() {
            self.cut[..rest.len()].copy_from_slice(rest);
            self.held = rest.len();
        }
        true
    }
}

fn is_canonical(word: [u8; 4]) -> bool {
    u32::from_le_bytes(word) < Q
}

#[cfg(test)]
mod tests {
    use super::*;
    use dawn_crypto::mask::{payload_bytes, payload_digest};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn however_it_is_cut(words in prop::collection::vec(0..Q, 1..60), sizes in prop::collection::vec(1_usize..9, 1..20)) {
            let bytes = payload_bytes(&words);
            let mut check = PayloadCheck::new();
            let mut rest = &bytes[..];
            for size in sizes.iter().cycle() {
                let (now, later) = rest.split_at(rest.len().min(*size));
                check.push(now).expect("all below q");
                rest = later;
                if rest.is_empty() {
                    break;
                }
            }
            prop_assert_eq!(check.digest(), payload_digest(&words));
        }

        #[test]
        fn a_word_that_is_too_large_is_found(before in 0_usize..9, value in Q..=u32::MAX, size in 1_usize..9) {
            let mut bytes = vec![0; 4 * before];
            bytes.extend_from_slice(&value.to_le_bytes());
            bytes.extend_from_slice(&[0; 8]);
            let mut check = PayloadCheck::new();
            prop_assert!(bytes.chunks(size).any(|piece| check.push(piece).is_err()));
        }
    }
}
