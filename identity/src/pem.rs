//! Keys as PEM text: PKCS#8 for secret keys (RFC 8410), SubjectPublicKeyInfo for public ones.
//!
//! The secret form is written without the public key, because OpenSSL 3.0 refuses the newer
//! PKCS#8 version that carries it. Both forms are read. Keys under a passphrase: [`crate::passphrase`]. File permissions are
//! the caller's business.

use ed25519_dalek::pkcs8::{
    DecodePrivateKey as _, DecodePublicKey as _, EncodePrivateKey as _, EncodePublicKey as _,
    KeypairBytes, spki::der::pem::LineEnding,
};
use zeroize::{Zeroize as _, Zeroizing};

use crate::keys::{KeyError, PublicKey, SecretKey};
use crate::passphrase::is_encrypted;

fn text_error(error: impl std::fmt::Display) -> KeyError {
    KeyError::Text(error.to_string())
}

impl SecretKey {
    /// The key as an unencrypted PKCS#8 PEM file, as `openssl genpkey -algorithm ed25519` writes
    /// it. The text is wiped when dropped.
    pub fn to_pkcs8_pem(&self) -> Zeroizing<String> {
        let mut pair = KeypairBytes {
            secret_key: *self.to_seed(),
            public_key: None,
        };
        let text = pair
            .to_pkcs8_pem(LineEnding::LF)
            .expect("48 bytes of DER always encode as PEM");
        pair.secret_key.zeroize();
        text
    }

    /// Reads an unencrypted PKCS#8 PEM file.
    ///
    /// # Errors
    /// [`KeyError::Text`] when it is none or not of an Ed25519 key, [`KeyError::Passphrase`] when it is encrypted,
    /// [`KeyError::Mismatch`] when it carries a public key that is not the secret key's.
    pub fn from_pkcs8_pem(text: &str) -> Result<Self, KeyError> {
        if is_encrypted(text) {
            return Err(KeyError::Passphrase(
                "the key is encrypted: a passphrase is needed",
            ));
        }
        Self::from_pair(KeypairBytes::from_pkcs8_pem(text).map_err(text_error)?)
    }

    /// The key of a decoded file.
    pub(crate) fn from_pair(mut pair: KeypairBytes) -> Result<Self, KeyError> {
        let key = Self::from_seed(&pair.secret_key);
        pair.secret_key.zeroize();
        match &pair.public_key {
            Some(public) if public.0 != *key.public().as_bytes() => Err(KeyError::Mismatch),
            _ => Ok(key),
        }
    }
}

impl PublicKey {
    /// The key as a PEM `PUBLIC KEY` file, as `openssl pkey -pubout` writes it.
    pub fn to_pem(&self) -> String {
        self.dalek()
            .to_public_key_pem(LineEnding::LF)
            .expect("44 bytes of DER always encode as PEM")
    }

    /// Reads a PEM `PUBLIC KEY` file.
    ///
    /// # Errors
    /// [`KeyError`] when it is none, not of an Ed25519 key, or the key is refused by
    /// [`PublicKey::from_bytes`].
    pub fn from_pem(text: &str) -> Result<Self, KeyError> {
        let key = ed25519_dalek::VerifyingKey::from_public_key_pem(text).map_err(text_error)?;
        Self::from_dalek(key)
    }
}
