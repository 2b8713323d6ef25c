//! Ed25519 keys and signatures (RFC 8032), with the strict reading of the standard everywhere:
//! a public key or signature has one encoding, and a key of small order is no key.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use dawn_crypto::digest::hash;
use ed25519_dalek::{Signer as _, SigningKey, VerifyingKey};
use minicbor::{Decoder, Encoder};
use rand_core::CryptoRng;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroizing;

use crate::ids::KeyId;

/// Why bytes or text are not a key, or a signature does not verify.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The length is not that of a key or signature.
    #[error("a {what} has {expected} bytes, these are {actual}")]
    Length {
        /// What was being read.
        what: &'static str,
        /// Its length in bytes.
        expected: usize,
        /// The length found.
        actual: usize,
    },
    /// The bytes are not the encoding of a point of the curve.
    #[error("the public key is not a point of the curve")]
    NotAPoint,
    /// The bytes are a second encoding of a point.
    #[error("the public key is not canonically encoded")]
    NotCanonical,
    /// The point has small order: signatures under it prove nothing.
    #[error("the public key has low order")]
    LowOrder,
    /// The text is not what it should be.
    #[error("not a key in the expected text form: {0}")]
    Text(String),
    /// A key file is encrypted and no passphrase was given, or it cannot be opened with it.
    #[error("{0}")]
    Passphrase(&'static str),
    /// A key file carries a public key that does not belong to its secret key.
    #[error("the key file's public key does not belong to its secret key")]
    Mismatch,
    /// The signature does not verify under the key.
    #[error("the signature does not verify under key {0}")]
    BadSignature(KeyId),
}

/// An Ed25519 public key that is known to be canonically encoded and not of low order.
///
/// Decoding decompresses the point once; it is kept, so verifying does not do it again.
/// CBOR: a 32-byte byte string. Text and JSON: 64 lower-case hexadecimal digits.
#[derive(Clone, Copy)]
pub struct PublicKey(VerifyingKey);

impl PublicKey {
    /// Bytes of an encoded key.
    pub const BYTES: usize = 32;

    /// Reads a key.
    ///
    /// # Errors
    /// [`KeyError`] when the bytes are not 32, not a point, not the canonical encoding of the
    /// point, or the point has low order.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, KeyError> {
        let array: &[u8; Self::BYTES] = bytes.try_into().map_err(|_| KeyError::Length {
            what: "public key",
            expected: Self::BYTES,
            actual: bytes.len(),
        })?;
        let key = VerifyingKey::from_bytes(array).map_err(|_| KeyError::NotAPoint)?;
        // dalek accepts what ZIP 215 accepts; we want one spelling per key, because keys are hashed.
        if key.to_edwards().compress().as_bytes() != array {
            return Err(KeyError::NotCanonical);
        }
        if key.is_weak() {
            return Err(KeyError::LowOrder);
        }
        Ok(Self(key))
    }

    /// The encoded key.
    pub fn as_bytes(&self) -> &[u8; Self::BYTES] {
        self.0.as_bytes()
    }

    /// The key's identifier.
    pub fn id(&self) -> KeyId {
        KeyId::of(self)
    }

    /// Verifies a signature over a message, strictly: no malleable scalar, no low-order point.
    ///
    /// # Errors
    /// [`KeyError::BadSignature`] naming this key.
    pub fn verify(&self, message: &[u8], signature: &Signature) -> Result<(), KeyError> {
        self.0
            .verify_strict(message, &ed25519_dalek::Signature::from_bytes(&signature.0))
            .map_err(|_| KeyError::BadSignature(self.id()))
    }

    /// Verifies what [`SecretKey::sign_labelled`] signed.
    ///
    /// # Errors
    /// [`KeyError::BadSignature`] naming this key.
    pub fn verify_labelled(
        &self,
        label: &'static str,
        fields: &[&[u8]],
        signature: &Signature,
    ) -> Result<(), KeyError> {
        self.verify(&hash(label, fields).0, signature)
    }

    pub(crate) fn from_dalek(key: VerifyingKey) -> Result<Self, KeyError> {
        Self::from_bytes(key.as_bytes())
    }

    pub(crate) fn dalek(&self) -> &VerifyingKey {
        &self.0
    }
}

impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for PublicKey {}

impl PartialOrd for PublicKey {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for PublicKey {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_bytes().cmp(other.as_bytes())
    }
}

impl Hash for PublicKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_bytes().hash(state);
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.as_bytes()))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}

impl FromStr for PublicKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        // One spelling here too: upper case would be a second text for the same key.
        if text.len() != 2 * Self::BYTES || text.bytes().any(|b| b.is_ascii_uppercase()) {
            return Err(KeyError::Text(
                "expected 64 lower-case hexadecimal digits".into(),
            ));
        }
        let bytes = hex::decode(text).map_err(|e| KeyError::Text(e.to_string()))?;
        Self::from_bytes(&bytes)
    }
}

impl<C> minicbor::Encode<C> for PublicKey {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.bytes(self.as_bytes())?.ok()
    }
}

impl<'b, C> minicbor::Decode<'b, C> for PublicKey {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        Self::from_bytes(d.bytes()?).map_err(minicbor::decode::Error::custom)
    }
}

impl Serialize for PublicKey {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PublicKey {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

/// An Ed25519 secret key. Wiped when dropped, never printed, neither `Copy` nor `Clone`.
pub struct SecretKey(SigningKey);

impl SecretKey {
    /// Makes a key.
    pub fn generate<R: CryptoRng + ?Sized>(rng: &mut R) -> Self {
        let mut seed = Zeroizing::new([0u8; 32]);
        rng.fill_bytes(seed.as_mut_slice());
        Self(SigningKey::from_bytes(&seed))
    }

    /// The key of a 32-byte seed (the `secret key` of RFC 8032, section 5.1.5).
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(seed))
    }

    /// The seed, for keeping at rest. Wiped when dropped.
    pub fn to_seed(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.0.to_bytes())
    }

    /// The public half.
    pub fn public(&self) -> PublicKey {
        // A clamped scalar times the base point has prime order: canonical and not of low order.
        PublicKey(self.0.verifying_key())
    }

    /// Signs a message (RFC 8032 pure Ed25519, deterministic).
    ///
    /// Callers outside this crate want [`crate::Signed::sign`] or [`SecretKey::sign_labelled`],
    /// which separate uses of the key; this is for formats that fix their own message (RFC 9421
    /// HTTP message signatures, signed notes).
    pub fn sign(&self, message: &[u8]) -> Signature {
        Signature(self.0.sign(message).to_bytes())
    }

    /// Signs `hash(label, fields)`: a signature that is good for one purpose only.
    pub fn sign_labelled(&self, label: &'static str, fields: &[&[u8]]) -> Signature {
        self.sign(&hash(label, fields).0)
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey(redacted, public {})", self.public())
    }
}

/// An Ed25519 signature: 64 bytes, not yet verified. CBOR: a byte string.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Signature([u8; Signature::BYTES]);

impl Signature {
    /// Bytes of a signature.
    pub const BYTES: usize = 64;

    /// Reads a signature. Whether it is canonical shows when it is verified.
    ///
    /// # Errors
    /// [`KeyError::Length`] when the bytes are not 64.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, KeyError> {
        bytes.try_into().map(Self).map_err(|_| KeyError::Length {
            what: "signature",
            expected: Self::BYTES,
            actual: bytes.len(),
        })
    }

    /// The 64 bytes.
    pub fn as_bytes(&self) -> &[u8; Self::BYTES] {
        &self.0
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signature({})", hex::encode(self.0))
    }
}

impl<C> minicbor::Encode<C> for Signature {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.bytes(&self.0)?.ok()
    }
}

impl<'b, C> minicbor::Decode<'b, C> for Signature {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        Self::from_bytes(d.bytes()?).map_err(minicbor::decode::Error::custom)
    }
}
