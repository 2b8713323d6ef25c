//! What a founding document claims to be, read without decoding a key.

use dawn_crypto::digest::{Digest, hash, labels};
use minicbor::Decoder;

use crate::canonical::DecodeError;
use crate::federation::{FoundingDocument, MAX_FOUNDERS};
use crate::rule::BrokenRule;

/// What a founding document claims to be. Nothing is verified; but the body is determined by its digest, so who knows which
/// federation is meant can refuse others for the price of one hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FoundingClaim {
    /// `hash(FEDERATION, body)` of the body as it stands.
    pub digest: Digest,
    /// Bytes of the aggregator's key.
    pub aggregator: [u8; 32],
    /// Bytes of the log's key.
    pub log: [u8; 32],
}

impl FoundingClaim {
    /// Reads the claim of a document with at most [`MAX_FOUNDERS`] founders (`docs/identity-formats.md`, section 6).
    ///
    /// # Errors
    /// [`DecodeError`] when it is too long or has no such form. Not everything that passes is a document: see
    /// [`FoundingDocument::from_bytes`].
    pub fn read(bytes: &[u8]) -> Result<Self, DecodeError> {
        let limit = FoundingDocument::MAX_BYTES;
        if bytes.len() > limit {
            return Err(DecodeError::TooLarge {
                limit,
                actual: bytes.len(),
            });
        }
        let malformed = |error: minicbor::decode::Error| DecodeError::Malformed(error.to_string());
        let mut decoder = Decoder::new(bytes);
        array(&mut decoder, 2)?;
        let begin = decoder.position();
        array(&mut decoder, 7)?;
        decoder.str().map_err(malformed)?;
        let founders = decoder.array().map_err(malformed)?;
        BrokenRule::unless(
            founders.is_some_and(|founders| (1..=MAX_FOUNDERS as u64).contains(&founders)),
            "a federation has 1 to 64 founders",
        )?;
        for _ in 0..founders.unwrap_or_default() {
            array(&mut decoder, 2)?;
            decoder.str().map_err(malformed)?;
            decoder.bytes().map_err(malformed)?;
        }
        let mut key = || -> Result<[u8; 32], DecodeError> {
            let bytes = decoder.bytes().map_err(malformed)?;
            bytes
                .try_into()
                .map_err(|_| DecodeError::Malformed("a key is 32 bytes".to_owned()))
        };
        let (aggregator, log) = (key()?, key()?);
        // Admission, quorum, date.
        for _ in 0..3 {
            decoder.skip().map_err(malformed)?;
        }
        let body = &bytes[begin..decoder.position()];
        Ok(Self {
            digest: hash(labels::FEDERATION, &[body]),
            aggregator,
            log,
        })
    }
}

fn array(decoder: &mut Decoder<'_>, fields: u64) -> Result<(), DecodeError> {
    match decoder.array() {
        Ok(Some(found)) if found == fields => Ok(()),
        Ok(_) => Err(DecodeError::Malformed(format!(
            "an array of {fields} fields is expected"
        ))),
        Err(error) => Err(DecodeError::Malformed(error.to_string())),
    }
}
