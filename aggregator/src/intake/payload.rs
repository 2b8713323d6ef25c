//! The payload of a submission, checked while it streams.

use dawn_crypto::mask::PayloadHasher;
use dawn_crypto::params::Q;

use crate::problem::Problem;

/// Checks a stream of little-endian words: each below q, and their digest.
pub(super) struct PayloadCheck {
    hasher: PayloadHasher,
    // Bytes of a word that the last piece cut.
    cut: [u8; 4],
    held: usize,
}

impl PayloadCheck {
    pub(super) fn new() -> Self {
        Self {
            hasher: PayloadHasher::new(),
            cut: [0; 4],
            held: 0,
        }
    }

    /// The next bytes, in pieces of any size.
    pub(super) fn push(&mut self, mut bytes: &[u8]) -> Result<(), Problem> {
        self.hasher.update(bytes);
        while self.held > 0 && !bytes.is_empty() {
            self.cut[self.held] = bytes[0];
            self.held = (self.held + 1) % 4;
            bytes = &bytes[1..];
            if self.held == 0 {
                check(self.cut)?;
            }
        }
        let (words, rest) = bytes.as_chunks::<4>();
        for word in words {
            check(*word)?;
        }
        if !rest.is_empty() {
            self.cut[..rest.len()].copy_from_slice(rest);
            self.held = rest.len();
        }
        Ok(())
    }

    /// The digest of everything.
    pub(super) fn digest(&self) -> dawn_crypto::digest::Digest {
        self.hasher.finalize()
    }
}

fn check(word: [u8; 4]) -> Result<(), Problem> {
    if u32::from_le_bytes(word) < Q {
        Ok(())
    } else {
        Err(Problem::invalid(
            "a coordinate of the payload is not below q",
        ))
    }
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
