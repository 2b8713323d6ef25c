//! One COSE_Sign1 envelope (RFC 9052, section 4.2), whatever it carries
//! (`docs/identity-formats.md`, section 3).
//!
//! ```text
//! 18([ << {1: -8, 3: "application/dawn+cbor; kind=KIND", 4: kid} >>, {}, payload, signature ])
//! ```
//!
//! The tag is required, the unprotected header is empty, and the whole is accepted only when
//! encoding it again gives the same bytes. The external data of the signature is the label
//! `ENVELOPE_AAD`, so that nothing signed elsewhere with the same key can be replayed here.

use coset::{
    CborSerializable as _, ContentType, Header, HeaderBuilder, TaggedCborSerializable as _,
};
use coset::{CoseSign1, CoseSign1Builder, RegisteredLabelWithPrivate, iana};
use dawn_crypto::digest::{Digest, hash, labels};
use minicbor::Decoder;

use crate::canonical::DecodeError;
use crate::ids::KeyId;
use crate::keys::{PublicKey, SecretKey, Signature};

/// Longest kind, in bytes.
pub const MAX_KIND_BYTES: usize = 40;

/// Most bytes that an envelope adds to its payload.
pub const OVERHEAD_BYTES: usize = 256;

const CONTENT_TYPE: &str = "application/dawn+cbor; kind=";
const MAX_HEADER_BYTES: usize = 160;

/// Why bytes are not an envelope, or not the one that was expected. Where a signer is to blame it
/// is named.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    /// Longer than this kind of envelope may be; nothing was decoded.
    #[error("an envelope of {actual} bytes, at most {limit} are allowed")]
    TooLarge {
        /// Most bytes that are accepted.
        limit: usize,
        /// Bytes given.
        actual: usize,
    },
    /// Not a COSE_Sign1 of the required shape.
    #[error("not a signed envelope: {0}")]
    Malformed(&'static str),
    /// A second encoding of an envelope.
    #[error("the envelope is not canonically encoded")]
    NotCanonical,
    /// A statement of another kind.
    #[error("expected a statement of kind {expected}, found {found}")]
    WrongKind {
        /// The kind asked for.
        expected: &'static str,
        /// The kind found.
        found: String,
    },
    /// The payload is not a statement of this kind.
    #[error("the {kind} signed by key {signer}: {source}")]
    Payload {
        /// The kind of the statement.
        kind: &'static str,
        /// The key that claims to have signed it (not verified).
        signer: KeyId,
        /// What is wrong with it.
        source: DecodeError,
    },
    /// The envelope names another key than the one that should have signed.
    #[error("the {kind} names key {found} as its signer, it must be key {expected}")]
    WrongSigner {
        /// The kind of the statement.
        kind: String,
        /// The key that should have signed.
        expected: KeyId,
        /// The key named.
        found: KeyId,
    },
    /// The signature does not verify.
    #[error("the signature of key {signer} on the {kind} does not verify")]
    BadSignature {
        /// The kind of the statement.
        kind: String,
        /// The key that should have signed.
        signer: KeyId,
    },
}

/// A parsed envelope whose statement is not interpreted: what a log, a relay or an auditor sees.
/// The signature is not verified by parsing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    bytes: Vec<u8>,
    kind: String,
    signer: KeyId,
    payload: std::ops::Range<usize>,
    signature: Signature,
}

impl Envelope {
    /// Parses an envelope of any kind, of at most `limit` bytes.
    ///
    /// # Errors
    /// [`EnvelopeError::TooLarge`], [`EnvelopeError::Malformed`], [`EnvelopeError::NotCanonical`].
    pub fn parse(bytes: &[u8], limit: usize) -> Result<Self, EnvelopeError> {
        if bytes.len() > limit {
            return Err(EnvelopeError::TooLarge {
                limit,
                actual: bytes.len(),
            });
        }
        let parts = Parts::split(bytes).ok_or(EnvelopeError::Malformed(
            "not a tagged COSE_Sign1 with an empty unprotected header",
        ))?;
        let (kind, signer) = read_header(parts.header)?;
        let signature = Signature::from_bytes(parts.signature)
            .map_err(|_| EnvelopeError::Malformed("the signature does not have 64 bytes"))?;
        // The one comparison that refuses every other spelling: longer integers, reordered or
        // repeated header entries, unknown ones, bytes after the end.
        let again = sign1(&kind, &signer, parts.payload.to_vec(), signature.as_bytes());
        if encode(again) != bytes {
            return Err(EnvelopeError::NotCanonical);
        }
        Ok(Self {
            bytes: bytes.to_vec(),
            payload: parts.payload_at..parts.payload_at + parts.payload.len(),
            kind,
            signer,
            signature,
        })
    }

    /// Signs a payload as a statement of this kind.
    ///
    /// # Errors
    /// [`EnvelopeError::Malformed`] when the kind is not 1 to [`MAX_KIND_BYTES`] lower-case
    /// letters, digits and hyphens.
    pub fn seal(kind: &str, payload: Vec<u8>, key: &SecretKey) -> Result<Self, EnvelopeError> {
        if !is_kind(kind) {
            return Err(EnvelopeError::Malformed("not a kind"));
        }
        let signer = key.public().id();
        let mut message = sign1(kind, &signer, payload, &[]);
        let signature = key.sign(&message.tbs_data(labels::ENVELOPE_AAD.as_bytes()));
        message.signature = signature.as_bytes().to_vec();
        let payload_len = message.payload.as_ref().map_or(0, Vec::len);
        let bytes = encode(message);
        // The payload is followed by the signature and its two bytes of length.
        let payload_end = bytes.len() - Signature::BYTES - 2;
        Ok(Self {
            payload: payload_end - payload_len..payload_end,
            bytes,
            kind: kind.to_owned(),
            signer,
            signature,
        })
    }

    /// The whole envelope, exactly as it was received or made.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The kind of the statement.
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// The key that claims to have signed.
    pub fn signer(&self) -> KeyId {
        self.signer
    }

    /// The statement's bytes (its body).
    pub fn payload(&self) -> &[u8] {
        &self.bytes[self.payload.clone()]
    }

    /// Digest of what is said: `hash(STATEMENT, kind, payload)`. Signer and signature are not
    /// part of it, so a body that is signed again is the same statement.
    pub fn body_digest(&self) -> Digest {
        body_digest(&self.kind, self.payload())
    }

    /// Digest of the whole envelope: `hash(ENVELOPE, bytes)`. It pins signer and signature.
    pub fn envelope_digest(&self) -> Digest {
        hash(labels::ENVELOPE, &[&self.bytes])
    }

    /// Verifies the signature, and that the envelope names this key.
    ///
    /// # Errors
    /// [`EnvelopeError::WrongSigner`], [`EnvelopeError::BadSignature`].
    pub fn verify(&self, key: &PublicKey) -> Result<(), EnvelopeError> {
        let expected = key.id();
        if self.signer != expected {
            return Err(EnvelopeError::WrongSigner {
                kind: self.kind.clone(),
                expected,
                found: self.signer,
            });
        }
        let message = sign1(&self.kind, &self.signer, self.payload().to_vec(), &[]);
        let signed = message.tbs_data(labels::ENVELOPE_AAD.as_bytes());
        key.verify(&signed, &self.signature)
            .map_err(|_| EnvelopeError::BadSignature {
                kind: self.kind.clone(),
                signer: expected,
            })
    }
}

/// Digest of a statement's body: see [`Envelope::body_digest`].
pub fn body_digest(kind: &str, payload: &[u8]) -> Digest {
    hash(labels::STATEMENT, &[kind.as_bytes(), payload])
}

/// The four parts of a COSE_Sign1, borrowed.
struct Parts<'a> {
    header: &'a [u8],
    payload: &'a [u8],
    payload_at: usize,
    signature: &'a [u8],
}

impl<'a> Parts<'a> {
    /// Splits without copying, so that a hostile envelope costs nothing before its shape is known.
    fn split(bytes: &'a [u8]) -> Option<Self> {
        let mut d = Decoder::new(bytes);
        if d.tag().ok()?.as_u64() != <CoseSign1 as coset::TaggedCborSerializable>::TAG {
            return None;
        }
        if d.array().ok()? != Some(4) {
            return None;
        }
        let header = d.bytes().ok()?;
        if d.map().ok()? != Some(0) {
            return None;
        }
        let payload = d.bytes().ok()?;
        let payload_at = d.position() - payload.len();
        let signature = d.bytes().ok()?;
        Some(Self {
            header,
            payload,
            payload_at,
            signature,
        })
    }
}

fn is_kind(text: &str) -> bool {
    (1..=MAX_KIND_BYTES).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

/// Reads kind and key identifier. What else the header may contain is left to the comparison with
/// the canonical encoding.
fn read_header(bytes: &[u8]) -> Result<(String, KeyId), EnvelopeError> {
    if bytes.len() > MAX_HEADER_BYTES {
        return Err(EnvelopeError::Malformed("the protected header is too long"));
    }
    let header = Header::from_slice(bytes)
        .map_err(|_| EnvelopeError::Malformed("the protected header is not a COSE header"))?;
    if header.alg != Some(RegisteredLabelWithPrivate::Assigned(iana::Algorithm::EdDSA)) {
        return Err(EnvelopeError::Malformed("the algorithm is not EdDSA"));
    }
    let kind = match &header.content_type {
        Some(ContentType::Text(text)) => text.strip_prefix(CONTENT_TYPE),
        _ => None,
    };
    let kind = kind
        .filter(|kind| is_kind(kind))
        .ok_or(EnvelopeError::Malformed(
            "the content type is not application/dawn+cbor with a kind",
        ))?;
    let id: [u8; 32] = header
        .key_id
        .as_slice()
        .try_into()
        .map_err(|_| EnvelopeError::Malformed("the key identifier does not have 32 bytes"))?;
    Ok((kind.to_owned(), KeyId(Digest(id))))
}

fn sign1(kind: &str, signer: &KeyId, payload: Vec<u8>, signature: &[u8]) -> CoseSign1 {
    CoseSign1Builder::new()
        .protected(
            HeaderBuilder::new()
                .algorithm(iana::Algorithm::EdDSA)
                .content_type(format!("{CONTENT_TYPE}{kind}"))
                .key_id(signer.as_bytes().to_vec())
                .build(),
        )
        .payload(payload)
        .signature(signature.to_vec())
        .build()
}

fn encode(message: CoseSign1) -> Vec<u8> {
    message
        .to_tagged_vec()
        .expect("a header without free entries always encodes")
}
