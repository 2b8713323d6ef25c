//! Signed HTTP requests: RFC 9421 with Ed25519 and `content-digest` (RFC 9530), in the strict form that administrative
//! requests have (`docs/identity-formats.md`, section 8).
//!
//! Pure: a request is given as its parts, the time and the nonce are parameters. What is accepted is a subset of the RFC
//! that has one spelling: one signature a request, components without parameters, parameters that are integers or plain
//! strings, every header that is covered there exactly once.
//!
//! | file | explains |
//! |---|---|
//! | [`fields`] | the structured fields (RFC 8941) `signature-input`, `signature`, `content-digest` |
//! | [`base`] | the text that is signed |
//! | [`purpose`] | what requests are signed for |
//! | here | what a signature of an administrative request must cover and say, making and checking one |

mod base;
mod fields;
mod purpose;

pub use base::RequestParts;
pub use fields::{SignatureInput, parse_signature, serialise_signature};
pub use purpose::Purpose;

use sha2::{Digest as _, Sha256};

use crate::jwk::Thumbprint;
use crate::keys::{PublicKey, SecretKey, Signature};

/// How far the signer's clock may be ahead, in seconds.
pub const CLOCK_SKEW: u64 = 60;

/// Longest time from `created` to `expires`, in seconds.
pub const MAX_LIFETIME: u64 = 300;

/// The only algorithm (RFC 9421, section 3.3.6).
pub const ALGORITHM: &str = "ed25519";

/// The label of the signatures that are made here.
const LABEL: &str = "dawn";

/// The components of a request's address when they are covered one by one, and not as `@target-uri`.
const ADDRESS: [&str; 3] = ["@authority", "@path", "@query"];

/// Why a request does not count as signed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HttpSignatureError {
    /// A header is missing.
    #[error("the request has no {0} header")]
    Missing(&'static str),
    /// A header is there more than once; which one is meant, readers disagree.
    #[error("the header {0} is there more than once")]
    Repeated(String),
    /// A header is longer than it may be.
    #[error("the header {0} is too long")]
    TooLong(&'static str),
    /// A header is not of the form that is read here.
    #[error("the header {header}: {why}")]
    Malformed {
        /// The header.
        header: &'static str,
        /// What is wrong.
        why: &'static str,
    },
    /// A component that the request does not have, or that is not known here.
    #[error("the signature covers {0}, which the request does not have")]
    Component(String),
    /// Something that must be signed is not.
    #[error("the signature does not cover {0}")]
    NotCovered(&'static str),
    /// A parameter is missing.
    #[error("the signature has no parameter {0}")]
    NoParameter(&'static str),
    /// Another algorithm.
    #[error("the signature's algorithm is not ed25519")]
    Algorithm,
    /// Made for another purpose.
    #[error("the signature's tag is \"{found}\", this request needs \"{expected}\"")]
    Tag {
        /// The tag of this purpose.
        expected: &'static str,
        /// The tag found.
        found: String,
    },
    /// The signer's clock, or ours, is wrong.
    #[error("the signature was created at {created}, in the future: it is {now}; set the clock")]
    Future {
        /// `created`, unix seconds.
        created: u64,
        /// The time here.
        now: u64,
    },
    /// Too late.
    #[error("the signature expired at {expires}: it is {now}; sign again, with a new nonce")]
    Expired {
        /// `expires`, unix seconds.
        expires: u64,
        /// The time here.
        now: u64,
    },
    /// Good for too long, or for no time at all.
    #[error("a signature is good for 1 to 300 seconds after it was created")]
    Lifetime,
    /// The body is not the one that was signed for.
    #[error("the body is not the one of the content-digest")]
    Digest,
    /// The key is not the one that the signature names.
    #[error("the signature names another key")]
    OtherKey,
    /// The signature does not verify.
    #[error("the signature does not verify under the key that it names")]
    BadSignature,
}

/// What the signer chooses.
#[derive(Clone, Copy, Debug)]
pub struct Parameters<'a> {
    /// What the request is for.
    pub tag: &'a str,
    /// The server's nonce: visible ASCII without quotes and backslashes.
    pub nonce: &'a str,
    /// When it is signed, unix seconds.
    pub created: u64,
    /// When it stops to count, unix seconds.
    pub expires: u64,
}

/// The headers that make a request a signed one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedHeaders {
    /// `content-digest`.
    pub content_digest: String,
    /// `signature-input`.
    pub signature_input: String,
    /// `signature`.
    pub signature: String,
}

/// The value of the `content-digest` header for a body.
pub fn content_digest(body: &[u8]) -> String {
    fields::serialise_digest(&Sha256::digest(body).into())
}

/// Signs a request with a body of this media type. The headers of `request` are not looked at.
///
/// # Errors
/// [`HttpSignatureError`] when a part of the request or a parameter cannot be written into a signature.
pub fn sign(
    request: &RequestParts<'_>,
    content_type: &str,
    body: &[u8],
    parameters: &Parameters<'_>,
    key: &SecretKey,
) -> Result<SignedHeaders, HttpSignatureError> {
    let content_digest = content_digest(body);
    let headers = [
        ("content-type", content_type),
        ("content-digest", content_digest.as_str()),
    ];
    let request = RequestParts {
        headers: &headers,
        ..*request
    };
    let input = SignatureInput {
        label: LABEL.to_owned(),
        components: ["@method", "@target-uri", "content-digest", "content-type"]
            .map(str::to_owned)
            .to_vec(),
        created: Some(parameters.created),
        expires: Some(parameters.expires),
        nonce: Some(parameters.nonce.to_owned()),
        keyid: Some(key.public().thumbprint().to_string()),
        alg: Some(ALGORITHM.to_owned()),
        tag: Some(parameters.tag.to_owned()),
        ..SignatureInput::default()
    };
    // What could not be read back is not signed: a quote in a nonce would end its string.
    let input = SignatureInput::parse(&input.serialise())?;
    let signature = key.sign(base::signature_base(&request, &input)?.as_bytes());
    Ok(SignedHeaders {
        content_digest,
        signature: serialise_signature(&input.label, &signature),
        signature_input: input.serialise(),
    })
}

/// A request that says everything that it must, **not verified**: the signature has not been looked at.
#[derive(Clone, Debug)]
pub struct ClaimedRequest {
    keyid: Thumbprint,
    nonce: String,
    expires: u64,
    digest: [u8; 32],
    base: String,
    signature: Signature,
}

impl ClaimedRequest {
    /// Reads the head of a request: it has one signature with this tag, made for now, that covers method, address, media
    /// type and the digest of the body. The body may still be on its way: all that is signed is in the head.
    ///
    /// # Errors
    /// [`HttpSignatureError`], except the last three.
    pub fn read(
        request: &RequestParts<'_>,
        tag: &'static str,
        now: u64,
    ) -> Result<Self, HttpSignatureError> {
        let input = SignatureInput::parse(request.header("signature-input")?)?;
        let signature = parse_signature(request.header("signature")?, &input.label)?;
        let covered = |name: &str| input.components.iter().any(|component| component == name);
        for name in ["@method", "content-digest", "content-type"] {
            if !covered(name) {
                return Err(HttpSignatureError::NotCovered(name));
            }
        }
        if !covered("@target-uri") && !ADDRESS.iter().all(|name| covered(name)) {
            return Err(HttpSignatureError::NotCovered(
                "@target-uri, or all of @authority, @path and @query",
            ));
        }
        let missing = HttpSignatureError::NoParameter;
        let created = input.created.ok_or(missing("created"))?;
        let expires = input.expires.ok_or(missing("expires"))?;
        let nonce = input.nonce.clone().ok_or(missing("nonce"))?;
        let keyid = input.keyid.as_deref().ok_or(missing("keyid"))?;
        let found = input.tag.clone().ok_or(missing("tag"))?;
        if input.alg.as_deref().is_some_and(|alg| alg != ALGORITHM) {
            return Err(HttpSignatureError::Algorithm);
        }
        if found != tag {
            return Err(HttpSignatureError::Tag {
                expected: tag,
                found,
            });
        }
        if created > now.saturating_add(CLOCK_SKEW) {
            return Err(HttpSignatureError::Future { created, now });
        }
        if expires <= created || expires - created > MAX_LIFETIME {
            return Err(HttpSignatureError::Lifetime);
        }
        if expires <= now {
            return Err(HttpSignatureError::Expired { expires, now });
        }
        let keyid = keyid.parse().map_err(|_| HttpSignatureError::Malformed {
            header: "signature-input",
            why: "the parameter keyid is not the thumbprint of a key (RFC 7638), 43 characters",
        })?;
        Ok(Self {
            keyid,
            nonce,
            expires,
            digest: fields::parse_digest(request.header("content-digest")?)?,
            base: base::signature_base(request, &input)?,
            signature,
        })
    }

    /// The key that the request names.
    pub fn keyid(&self) -> &Thumbprint {
        &self.keyid
    }

    /// The nonce that it names. Whether it is the server's, and new, is the server's to say.
    pub fn nonce(&self) -> &str {
        &self.nonce
    }

    /// When it stops to count, unix seconds.
    pub fn expires(&self) -> u64 {
        self.expires
    }

    /// Verifies that this is the body that the signature is about.
    ///
    /// # Errors
    /// [`HttpSignatureError::Digest`].
    pub fn verify_body(&self, body: &[u8]) -> Result<(), HttpSignatureError> {
        if self.digest == <[u8; 32]>::from(Sha256::digest(body)) {
            Ok(())
        } else {
            Err(HttpSignatureError::Digest)
        }
    }

    /// Verifies that this key, the one that is named, signed.
    ///
    /// # Errors
    /// [`HttpSignatureError::OtherKey`], [`HttpSignatureError::BadSignature`].
    pub fn verify(&self, key: &PublicKey) -> Result<(), HttpSignatureError> {
        if key.thumbprint() != self.keyid {
            return Err(HttpSignatureError::OtherKey);
        }
        key.verify(self.base.as_bytes(), &self.signature)
            .map_err(|_| HttpSignatureError::BadSignature)
    }
}

/// Verifies a signature of the general form under a key, whatever it covers and says: for known answers of others.
///
/// # Errors
/// [`HttpSignatureError`].
pub fn verify_any(request: &RequestParts<'_>, key: &PublicKey) -> Result<(), HttpSignatureError> {
    let input = SignatureInput::parse(request.header("signature-input")?)?;
    let signature = parse_signature(request.header("signature")?, &input.label)?;
    let base = base::signature_base(request, &input)?;
    key.verify(base.as_bytes(), &signature)
        .map_err(|_| HttpSignatureError::BadSignature)
}
