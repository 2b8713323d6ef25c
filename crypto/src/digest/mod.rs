//! Labelled hashes (`docs/protocol.md`, section 3): BLAKE3 in key-derivation mode, one context string a
//! use, every variable-length field framed by its length.

use core::fmt;
use core::str::FromStr;

pub mod labels;

/// A 32-byte hash. Public: compared and printed freely. In CBOR a byte string of 32 bytes, in JSON and
/// for people lower-case hexadecimal.
#[derive(Copy, Clone, Eq, PartialEq, Ord, PartialOrd, Hash)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// The 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl AsRef<[u8]> for Digest {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in self.0 {
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that is not a digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a digest is 64 lower-case hexadecimal digits")]
pub struct ParseDigestError;

impl FromStr for Digest {
    type Err = ParseDigestError;

    fn from_str(text: &str) -> Result<Digest, ParseDigestError> {
        // One digest, one spelling: upper case is refused.
        if text.bytes().any(|b| b.is_ascii_uppercase()) {
            return Err(ParseDigestError);
        }
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| ParseDigestError)?;
        Ok(Digest(bytes))
    }
}

impl<C> minicbor::Encode<C> for Digest {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut minicbor::Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.bytes(&self.0)?.ok()
    }
}

impl<'b, C> minicbor::Decode<'b, C> for Digest {
    fn decode(d: &mut minicbor::Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        <[u8; 32]>::try_from(d.bytes()?)
            .map(Digest)
            .map_err(|_| minicbor::decode::Error::message("a digest is 32 bytes"))
    }
}

impl serde::Serialize for Digest {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Digest {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// A labelled hash over framed fields: `BLAKE3-derive_key(context, LE64(len_1) || field_1 || ...)`.
pub struct Hasher(blake3::Hasher);

impl Hasher {
    /// Starts a hash under one of the [`labels`].
    pub fn new(context: &'static str) -> Hasher {
        Hasher(blake3::Hasher::new_derive_key(context))
    }

    /// Adds a field, framed by its length as a little-endian `u64`.
    pub fn field(&mut self, bytes: &[u8]) -> &mut Hasher {
        self.0.update(&(bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
        self
    }

    /// Adds bytes without a frame: for streams whose length the label or an earlier field fixes.
    pub fn update(&mut self, bytes: &[u8]) -> &mut Hasher {
        self.0.update(bytes);
        self
    }

    /// The digest of what was added so far.
    pub fn finalize(&self) -> Digest {
        Digest(*self.0.finalize().as_bytes())
    }

    /// The extendable output over what was added so far; its first 32 bytes are [`Hasher::finalize`].
    pub fn xof(&self) -> Xof {
        Xof(self.0.finalize_xof())
    }
}

impl fmt::Debug for Hasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hasher(..)")
    }
}

impl Drop for Hasher {
    fn drop(&mut self) {
        // Seeds and blinds pass through here.
        zeroize::Zeroize::zeroize(&mut self.0);
    }
}

/// A stream of bytes that follows from a labelled input.
pub struct Xof(blake3::OutputReader);

impl Xof {
    /// Fills `out` with the next bytes of the stream.
    pub fn fill(&mut self, out: &mut [u8]) {
        self.0.fill(out);
    }
}

impl fmt::Debug for Xof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Xof(..)")
    }
}

impl Drop for Xof {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.0);
    }
}

/// The digest of `fields`, each framed, under `context`.
pub fn hash(context: &'static str, fields: &[&[u8]]) -> Digest {
    let mut hasher = Hasher::new(context);
    for field in fields {
        hasher.field(field);
    }
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn framing_separates_fields() {
        let a = hash(labels::KEY_ID, &[b"ab", b"c"]);
        let b = hash(labels::KEY_ID, &[b"a", b"bc"]);
        let c = hash(labels::KEY_ID, &[b"abc"]);
        assert!(a != b && b != c && a != c);
        assert_ne!(hash(labels::KEY_ID, &[]), hash(labels::KEY_ID, &[b""]));
        assert_ne!(hash(labels::KEY_ID, &[b"x"]), hash(labels::ORG_ID, &[b"x"]));
    }

    #[test]
    fn layout_is_blake3_derive_key_over_framed_fields() {
        let mut input = Vec::new();
        for field in [&b"first"[..], b"", b"third"] {
            input.extend_from_slice(&(field.len() as u64).to_le_bytes());
            input.extend_from_slice(field);
        }
        assert_eq!(
            hash(labels::SESSION, &[b"first", b"", b"third"]).0,
            blake3::derive_key(labels::SESSION, &input)
        );
    }

    #[test]
    fn stream_starts_with_the_digest() {
        let mut hasher = Hasher::new(labels::MATRIX_SEED);
        hasher.field(b"seed");
        let mut out = [0; 64];
        hasher.xof().fill(&mut out);
        assert_eq!(hasher.finalize().0, out[..32]);
    }

    proptest! {
        #[test]
        fn text_and_cbor_round_trip(bytes in any::<[u8; 32]>()) {
            let digest = Digest(bytes);
            prop_assert_eq!(digest.to_string().parse(), Ok(digest));
            let cbor = minicbor::to_vec(digest).expect("encodes");
            prop_assert_eq!(&cbor[..2], &[0x58, 0x20]);
            prop_assert_eq!(minicbor::decode::<Digest>(&cbor).expect("decodes"), digest);
        }

        #[test]
        fn hostile_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..80), text in ".{0,70}") {
            let _ = minicbor::decode::<Digest>(&bytes);
            let _ = text.parse::<Digest>();
        }
    }

    #[test]
    fn other_lengths_and_spellings_are_refused() {
        for len in [0, 31, 33] {
            let cbor =
                minicbor::to_vec(minicbor::bytes::ByteVec::from(vec![7; len])).expect("encodes");
            assert!(minicbor::decode::<Digest>(&cbor).is_err());
        }
        assert!("ab".repeat(31).parse::<Digest>().is_err());
        assert!("AB".repeat(32).parse::<Digest>().is_err());
        assert!("zz".repeat(32).parse::<Digest>().is_err());
    }
}
