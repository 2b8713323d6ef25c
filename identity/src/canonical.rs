//! The one encoding of every value (`docs/identity-formats.md`, section 2).
//!
//! Types are encoded by minicbor as definite-length arrays of their fields. Bytes are accepted
//! only when encoding the decoded value gives the same bytes again: so there are no indefinite
//! lengths, no longer-than-needed integers, no unknown fields and no trailing bytes, and a digest
//! over the bytes is a digest over the value.

use minicbor::{Decode, Encode};

use crate::rule::BrokenRule;

/// Why bytes are not the canonical encoding of a value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Longer than this kind of value may be; nothing was decoded.
    #[error("{actual} bytes, at most {limit} are allowed")]
    TooLarge {
        /// Most bytes that are accepted.
        limit: usize,
        /// Bytes given.
        actual: usize,
    },
    /// Not CBOR, or not of this type.
    #[error("malformed: {0}")]
    Malformed(String),
    /// A second encoding of a value, or bytes after it.
    #[error("not the canonical encoding of the value")]
    NotCanonical,
    /// The value contradicts itself or exceeds a bound.
    #[error("broken rule: {0}")]
    Rule(#[from] BrokenRule),
}

/// Encodes a value canonically.
pub fn to_canonical<T: Encode<()>>(value: &T) -> Vec<u8> {
    minicbor::to_vec(value).expect("encoding into memory does not fail")
}

/// Decodes a value and refuses every encoding of it but the canonical one.
///
/// Memory stays proportional to the input, whatever lengths it declares. Give untrusted bytes to
/// [`from_canonical_bounded`].
///
/// # Errors
/// [`DecodeError::Malformed`] or [`DecodeError::NotCanonical`].
pub fn from_canonical<T>(bytes: &[u8]) -> Result<T, DecodeError>
where
    T: Encode<()> + for<'b> Decode<'b, ()>,
{
    let value: T = minicbor::decode(bytes).map_err(|e| DecodeError::Malformed(e.to_string()))?;
    if to_canonical(&value) != bytes {
        return Err(DecodeError::NotCanonical);
    }
    Ok(value)
}

/// [`from_canonical`] for at most `limit` bytes.
///
/// # Errors
/// [`DecodeError`]; [`DecodeError::TooLarge`] before anything is decoded.
pub fn from_canonical_bounded<T>(bytes: &[u8], limit: usize) -> Result<T, DecodeError>
where
    T: Encode<()> + for<'b> Decode<'b, ()>,
{
    if bytes.len() > limit {
        return Err(DecodeError::TooLarge {
            limit,
            actual: bytes.len(),
        });
    }
    from_canonical(bytes)
}
