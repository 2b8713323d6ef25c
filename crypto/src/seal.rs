//! Packages sealed to one steward for one round (`docs/protocol.md`, section 4.3, step 4): HPKE (RFC 9180)
//! in base mode with X-Wing (X25519 and ML-KEM-768), HKDF-SHA256 and AES-128-GCM.
//!
//! On the wire: the encapsulated key (1120 bytes), then the ciphertext with its tag.

use core::fmt;
use hpke::aead::AesGcm128;
use hpke::kdf::HkdfSha256;
use hpke::kem::XWing;
use hpke::{Deserializable, Kem, OpModeR, OpModeS, Serializable};
use subtle::{Choice, ConstantTimeEq};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

type EncappedKey = <XWing as Kem>::EncappedKey;
type PrivateKey = <XWing as Kem>::PrivateKey;
type PublicKey = <XWing as Kem>::PublicKey;

/// Bytes of an encoded public sealing key.
pub const PUBLIC_KEY_BYTES: usize = 1216;
/// Bytes of an encapsulated key, at the front of every sealed package.
pub const ENCAPPED_KEY_BYTES: usize = 1120;
/// Bytes of the authentication tag, at the end.
pub const TAG_BYTES: usize = 16;
/// How much longer a sealed package is than its plaintext.
pub const OVERHEAD_BYTES: usize = ENCAPPED_KEY_BYTES + TAG_BYTES;

/// Why sealing or opening failed. Says nothing about the plaintext or the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// Not a public sealing key.
    #[error("not a public sealing key")]
    PublicKey,
    /// The public key could not be encapsulated to.
    #[error("nothing can be sealed to this public key")]
    Seal,
    /// A sealed package is shorter than its overhead.
    #[error("a sealed package has at least {OVERHEAD_BYTES} bytes, not {bytes}")]
    TooShort {
        /// Its length.
        bytes: usize,
    },
    /// The package is for another key, round, steward or submission, or was changed.
    #[error("the package does not open under this key, info and associated data")]
    Open,
}

/// A steward's secret sealing key of one round, as its 32-byte seed. Erased with the round.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct SealingSecretKey([u8; 32]);

impl SealingSecretKey {
    /// A fresh key.
    pub fn generate<R: rand_core::CryptoRng>(rng: &mut R) -> SealingSecretKey {
        let mut seed = [0; 32];
        rng.fill_bytes(&mut seed);
        let key = SealingSecretKey(seed);
        seed.zeroize();
        key
    }

    /// The key of a stored seed.
    pub fn from_bytes(seed: &[u8; 32]) -> SealingSecretKey {
        SealingSecretKey(*seed)
    }

    /// The seed, for storing.
    pub fn to_bytes(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.0)
    }

    /// The public half.
    pub fn public(&self) -> SealingPublicKey {
        let mut bytes = Box::new([0; PUBLIC_KEY_BYTES]);
        XWing::sk_to_pk(&self.private()).write_exact(&mut bytes[..]);
        SealingPublicKey(bytes)
    }

    fn private(&self) -> PrivateKey {
        PrivateKey::from_bytes(&self.0).expect("every 32-byte seed is a key")
    }
}

impl ConstantTimeEq for SealingSecretKey {
    fn ct_eq(&self, other: &Self) -> Choice {
        self.0.ct_eq(&other.0)
    }
}

impl fmt::Debug for SealingSecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealingSecretKey(redacted)")
    }
}

/// A steward's public sealing key of one round. In CBOR a byte string of 1216 bytes; only a well-formed key
/// can be made.
#[derive(Clone, PartialEq, Eq)]
pub struct SealingPublicKey(Box<[u8; PUBLIC_KEY_BYTES]>);

impl SealingPublicKey {
    /// The key that `bytes` encode.
    ///
    /// # Errors
    /// [`SealError::PublicKey`] for another length or a non-canonical encoding.
    pub fn from_bytes(bytes: &[u8]) -> Result<SealingPublicKey, SealError> {
        let array: [u8; PUBLIC_KEY_BYTES] = bytes.try_into().map_err(|_| SealError::PublicKey)?;
        PublicKey::from_bytes(bytes).map_err(|_| SealError::PublicKey)?;
        Ok(SealingPublicKey(Box::new(array)))
    }

    /// Its encoding.
    pub fn as_bytes(&self) -> &[u8; PUBLIC_KEY_BYTES] {
        &self.0
    }
}

impl fmt::Debug for SealingPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealingPublicKey({}..)", hex::encode(&self.0[..8]))
    }
}

impl<C> minicbor::Encode<C> for SealingPublicKey {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut minicbor::Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.bytes(&self.0[..])?.ok()
    }
}

impl<'b, C> minicbor::Decode<'b, C> for SealingPublicKey {
    fn decode(d: &mut minicbor::Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        SealingPublicKey::from_bytes(d.bytes()?).map_err(minicbor::decode::Error::custom)
    }
}

/// Seals `plaintext` to `to`. `info` names the use and the round, `aad` the submission and the steward.
///
/// # Errors
/// [`SealError::Seal`] when the key cannot be encapsulated to.
pub fn seal<R: rand_core::CryptoRng>(
    to: &SealingPublicKey,
    info: &[u8],
    aad: &[u8],
    plaintext: &[u8],
    rng: &mut R,
) -> Result<Vec<u8>, SealError> {
    let key = PublicKey::from_bytes(&to.0[..]).map_err(|_| SealError::PublicKey)?;
    let (encapped, ciphertext) = hpke::single_shot_seal_with_rng::<AesGcm128, HkdfSha256, XWing>(
        &OpModeS::Base,
        &key,
        info,
        plaintext,
        aad,
        rng,
    )
    .map_err(|_| SealError::Seal)?;
    let mut sealed = vec![0; ENCAPPED_KEY_BYTES];
    encapped.write_exact(&mut sealed);
    sealed.extend_from_slice(&ciphertext);
    Ok(sealed)
}

/// Opens what [`seal`] made.
///
/// # Errors
/// [`SealError::TooShort`], [`SealError::Open`].
pub fn open(
    key: &SealingSecretKey,
    info: &[u8],
    aad: &[u8],
    sealed: &[u8],
) -> Result<Zeroizing<Vec<u8>>, SealError> {
    if sealed.len() < OVERHEAD_BYTES {
        return Err(SealError::TooShort {
            bytes: sealed.len(),
        });
    }
    let (encapped, ciphertext) = sealed.split_at(ENCAPPED_KEY_BYTES);
    let encapped = EncappedKey::from_bytes(encapped).map_err(|_| SealError::Open)?;
    hpke::single_shot_open::<AesGcm128, HkdfSha256, XWing>(
        &OpModeR::Base,
        &key.private(),
        &encapped,
        info,
        ciphertext,
        aad,
    )
    .map(Zeroizing::new)
    .map_err(|_| SealError::Open)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rand_chacha::ChaCha20Rng;
    use rand_chacha::rand_core::SeedableRng;

    fn key(seed: u64) -> SealingSecretKey {
        SealingSecretKey::generate(&mut ChaCha20Rng::seed_from_u64(seed))
    }

    #[test]
    fn opens_only_with_the_same_key_info_and_data() {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let secret = key(2);
        let sealed = seal(&secret.public(), b"info", b"aad", b"share", &mut rng).expect("seals");
        assert_eq!(sealed.len(), OVERHEAD_BYTES + 5);
        assert_eq!(
            &open(&secret, b"info", b"aad", &sealed).expect("opens")[..],
            b"share"
        );
        assert_eq!(
            open(&key(3), b"info", b"aad", &sealed),
            Err(SealError::Open)
        );
        assert_eq!(
            open(&secret, b"other", b"aad", &sealed),
            Err(SealError::Open)
        );
        assert_eq!(
            open(&secret, b"info", b"other", &sealed),
            Err(SealError::Open)
        );
        for at in [
            0,
            1000,
            ENCAPPED_KEY_BYTES - 1,
            ENCAPPED_KEY_BYTES,
            sealed.len() - 1,
        ] {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert_eq!(
                open(&secret, b"info", b"aad", &changed),
                Err(SealError::Open),
                "{at}"
            );
        }
        let again = seal(&secret.public(), b"info", b"aad", b"share", &mut rng).expect("seals");
        assert_ne!(sealed, again);
    }

    #[test]
    fn keys_round_trip() {
        let secret = key(4);
        let stored = SealingSecretKey::from_bytes(&secret.to_bytes());
        assert!(bool::from(stored.ct_eq(&secret)));
        let public = secret.public();
        assert_eq!(
            SealingPublicKey::from_bytes(public.as_bytes()),
            Ok(public.clone())
        );
        let cbor = minicbor::to_vec(&public).expect("encodes");
        assert_eq!(
            minicbor::decode::<SealingPublicKey>(&cbor).expect("decodes"),
            public
        );
        assert_eq!(format!("{secret:?}"), "SealingSecretKey(redacted)");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn hostile_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..1400)) {
            prop_assert!(open(&key(5), b"", b"", &bytes).is_err());
            let _ = SealingPublicKey::from_bytes(&bytes);
            let _ = minicbor::decode::<SealingPublicKey>(&bytes);
        }
    }

    /// A public key of ML-KEM with a coefficient of its modulus or more is not canonical (FIPS 203, 7.2).
    #[test]
    fn malformed_public_keys_are_refused() {
        let mut bytes = *key(6).public().as_bytes();
        bytes[..3].copy_from_slice(&[0xff; 3]);
        let parsed = SealingPublicKey::from_bytes(&bytes);
        let mut rng = ChaCha20Rng::seed_from_u64(7);
        assert!(parsed.is_err() || seal(&parsed.expect("some"), b"", b"", b"", &mut rng).is_err());
        assert!(SealingPublicKey::from_bytes(&bytes[1..]).is_err());
    }
}
