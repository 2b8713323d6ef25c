//! The nonces of signed requests: given away without a row, so that nobody fills the database by asking, and taken once.
//!
//! A nonce is `expiry (u64 LE, unix milliseconds) | 16 random bytes | tag (16)`, base64url. The tag is made with the secret of
//! the aggregator's key, which all replicas share; where another waits to take over, with either
//! ([`crate::app::App`] says which count). Those of another federation's aggregator do not count here. That a nonce is
//! taken once is the work of [`crate::store::nonces`].

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use dawn_crypto::digest::{hash, labels};
use dawn_identity::SecretKey;
use getrandom::SysRng;
use rand_core::TryRng as _;

/// Milliseconds that a nonce is good for: as long as a signature with it may be, and a little for the way.
pub const LIFETIME_MS: u64 = 330_000;

/// Bytes under the tag.
const BODY: usize = 24;
/// Bytes of the tag: nobody guesses one of 2^128 in the minutes that it counts.
const TAG: usize = 16;

/// A nonce that this aggregator gave away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nonce {
    /// What is remembered of it when it is taken.
    pub id: [u8; 16],
    /// When it stops to count, unix milliseconds.
    pub expires_ms: u64,
}

fn tag(key: &SecretKey, body: &[u8]) -> [u8; TAG] {
    let digest = hash(labels::REQUEST_NONCE, &[key.to_seed().as_slice(), body]);
    let mut tag = [0; TAG];
    tag.copy_from_slice(&digest.0[..TAG]);
    tag
}

/// A new nonce.
///
/// # Errors
/// The system has no randomness.
pub fn issue(key: &SecretKey, now_ms: u64) -> Result<(String, Nonce), getrandom::Error> {
    let expires_ms = now_ms.saturating_add(LIFETIME_MS);
    let mut id = [0; 16];
    SysRng.try_fill_bytes(&mut id)?;
    let mut bytes = Vec::with_capacity(BODY + TAG);
    bytes.extend_from_slice(&expires_ms.to_le_bytes());
    bytes.extend_from_slice(&id);
    let tag = tag(key, &bytes);
    bytes.extend_from_slice(&tag);
    Ok((URL_SAFE_NO_PAD.encode(bytes), Nonce { id, expires_ms }))
}

/// Reads a nonce; `None` when it is not one that this aggregator gave away, or it is too late.
pub fn read(keys: &[&SecretKey], text: &str, now_ms: u64) -> Option<Nonce> {
    // Encoded, 40 bytes take 54 characters.
    if text.len() != 54 {
        return None;
    }
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    let (body, given) = bytes.split_at_checked(BODY)?;
    let ours = |key: &&SecretKey| {
        // In constant time: a tag must not be found byte by byte.
        let different = tag(key, body)
            .iter()
            .zip(given)
            .fold(0, |different, (a, b)| different | (a ^ b));
        std::hint::black_box(different) == 0
    };
    let expires_ms = u64::from_le_bytes(body[..8].try_into().ok()?);
    let nonce = Nonce {
        id: body[8..].try_into().ok()?,
        expires_ms,
    };
    // A replica's clock may be ahead; for longer than that nobody remembers what was used.
    let counts = now_ms < expires_ms && expires_ms <= now_ms.saturating_add(2 * LIFETIME_MS);
    (given.len() == TAG && counts && keys.iter().any(ours)).then_some(nonce)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nonce_counts_where_and_while_it_was_given() {
        let key = SecretKey::from_seed(&[1; 32]);
        let other = SecretKey::from_seed(&[2; 32]);
        let (text, nonce) = issue(&key, 1000).expect("randomness");
        assert_eq!(read(&[&key], &text, 1000), Some(nonce));
        assert_eq!(read(&[&key], &text, 1000 + LIFETIME_MS - 1), Some(nonce));
        assert_eq!(read(&[&key], &text, 1000 + LIFETIME_MS), None);
        assert_eq!(read(&[&other], &text, 1000), None);
        assert_eq!(read(&[&other, &key], &text, 1000), Some(nonce));
        assert_eq!(read(&[], &text, 1000), None);
        // Made by somebody who has the key, to be good for longer than it is remembered.
        let (long, _) = issue(&key, 1000 + LIFETIME_MS + 1).expect("randomness");
        assert_eq!(read(&[&key], &long, 1000), None);
        assert!(read(&[&key], &long, 1001).is_some());
        assert_ne!(issue(&key, 1000).expect("randomness").0, text);
        for at in 0..text.len() {
            let mut other = text.clone().into_bytes();
            other[at] = if other[at] == b'A' { b'B' } else { b'A' };
            let other = String::from_utf8(other).expect("ASCII");
            assert_eq!(read(&[&key], &other, 1000), None, "{at}");
        }
        for other in ["", "A", &text[1..], &format!("{text}A"), &"=".repeat(54)] {
            assert_eq!(read(&[&key], other, 1000), None);
        }
    }
}
