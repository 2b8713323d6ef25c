//! Sealing and opening of packages (`docs/protocol.md`, section 4.3, step 4).

use super::{Case, still_secret};
use crate::marks;
use crate::random::SecretRng;
use dawn_crypto::seal::{SealError, SealingPublicKey, SealingSecretKey, open, seal};
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};

pub const CASES: &[Case] = &[
    ("sealing-key", generate),
    ("seal", seal_a_share),
    ("open", open_a_share),
    ("open-refused", open_what_was_changed),
];

/// A stored key, before anything is marked.
fn stored_key() -> [u8; 32] {
    *SealingSecretKey::generate(&mut ChaCha20Rng::seed_from_u64(21)).to_bytes()
}

fn public_key() -> SealingPublicKey {
    SealingSecretKey::from_bytes(&stored_key()).public()
}

/// The same key as a secret.
fn secret_key() -> SealingSecretKey {
    let mut stored = stored_key();
    marks::secret(&mut stored);
    SealingSecretKey::from_bytes(&stored)
}

fn generate() {
    let key = SealingSecretKey::generate(&mut SecretRng::new(22));
    still_secret(&key.to_bytes()[..]);
    still_secret(key.public().as_bytes());
}

fn seal_a_share() {
    let mut rng = SecretRng::new(23);
    let mut share = vec![0; 8230];
    rng.fill_bytes(&mut share);
    let sealed = seal(&public_key(), b"info", b"aad", &share, &mut rng).expect("seals");
    still_secret(&sealed);
}

fn sealed() -> Vec<u8> {
    let mut rng = ChaCha20Rng::seed_from_u64(24);
    seal(&public_key(), b"info", b"aad", &[5; 8230], &mut rng).expect("seals")
}

fn open_a_share() {
    let opened = open(&secret_key(), b"info", b"aad", &sealed()).expect("opens");
    still_secret(&opened);
}

fn open_what_was_changed() {
    // A bit of ML-KEM's ciphertext (decapsulation refuses implicitly), of X25519's, and of the tag.
    for at in [5, 1100, 1120 + 8230 + 3] {
        let mut changed = sealed();
        changed[at] ^= 1;
        let opened = open(&secret_key(), b"info", b"aad", &changed);
        assert!(matches!(opened, Err(SealError::Open)));
    }
}
