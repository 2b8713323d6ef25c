//! Keys (RFC 9381, sections 5.4.5 and 5.5; RFC 8032, section 5.1.5).

use super::VrfError;
use super::curve::string_to_point;
use crate::declassify;
use core::fmt;
use curve25519_dalek::edwards::EdwardsPoint;
use curve25519_dalek::scalar::{Scalar, clamp_integer};
use sha2::{Digest as _, Sha512};
use subtle::{Choice, ConstantTimeEq};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// A secret key. Wiped when dropped, never printed, neither `Copy` nor `Clone`. It carries its public key, so
/// that nothing is ever proven under another one.
pub struct VrfSecretKey {
    seed: [u8; 32],
    /// `x`, modulo the group's order.
    pub(super) scalar: Scalar,
    /// The half of the hashed seed that nonces are derived from.
    pub(super) prefix: [u8; 32],
    public: VrfPublicKey,
}

impl VrfSecretKey {
    /// A fresh key.
    pub fn generate<R: rand_core::CryptoRng>(rng: &mut R) -> VrfSecretKey {
        let mut seed = Zeroizing::new([0; 32]);
        rng.fill_bytes(&mut *seed);
        VrfSecretKey::from_seed(&seed)
    }

    /// The key of a seed, which MUST be used for nothing else (see [the module](super)).
    pub fn from_seed(seed: &[u8; 32]) -> VrfSecretKey {
        let hash = Zeroizing::new(<[u8; 64]>::from(Sha512::digest(seed)));
        let (halves, _) = hash.as_chunks::<32>();
        let clamped = Zeroizing::new(clamp_integer(halves[0]));
        // Everything that x multiplies has prime order, so that x counts modulo that order only.
        let scalar = Scalar::from_bytes_mod_order(*clamped);
        let point = EdwardsPoint::mul_base(&scalar);
        let mut bytes = point.compress().to_bytes();
        declassify::published(&mut bytes);
        VrfSecretKey {
            seed: *seed,
            scalar,
            prefix: halves[1],
            public: VrfPublicKey { bytes, point },
        }
    }

    /// The seed, for storing.
    pub fn to_seed(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.seed)
    }

    /// The public half.
    pub fn public(&self) -> &VrfPublicKey {
        &self.public
    }

    /// A key of any scalar, for crafted proofs.
    #[cfg(test)]
    pub(super) fn with_scalar(scalar: Scalar) -> VrfSecretKey {
        let mut key = VrfSecretKey::from_seed(&[0; 32]);
        key.scalar = scalar;
        key
    }
}

impl ConstantTimeEq for VrfSecretKey {
    fn ct_eq(&self, other: &Self) -> Choice {
        self.seed.ct_eq(&other.seed)
    }
}

impl Drop for VrfSecretKey {
    fn drop(&mut self) {
        self.seed.zeroize();
        self.scalar.zeroize();
        self.prefix.zeroize();
    }
}

impl ZeroizeOnDrop for VrfSecretKey {}

impl fmt::Debug for VrfSecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("VrfSecretKey(redacted)")
    }
}

/// A public key that was validated: a canonically encoded point that is not of small order. In CBOR a byte
/// string of 32 bytes.
#[derive(Clone)]
pub struct VrfPublicKey {
    bytes: [u8; 32],
    pub(super) point: EdwardsPoint,
}

impl VrfPublicKey {
    /// Bytes of a public key.
    pub const BYTES: usize = 32;

    /// Reads and validates a key (`ECVRF_validate_key`).
    ///
    /// # Errors
    /// [`VrfError::PublicKeyLength`], [`VrfError::PublicKey`], [`VrfError::SmallOrder`].
    pub fn from_bytes(bytes: &[u8]) -> Result<VrfPublicKey, VrfError> {
        let length = VrfError::PublicKeyLength { bytes: bytes.len() };
        let bytes: [u8; 32] = bytes.try_into().map_err(|_| length)?;
        let point = string_to_point(&bytes).ok_or(VrfError::PublicKey)?;
        if point.is_small_order() {
            return Err(VrfError::SmallOrder);
        }
        Ok(VrfPublicKey { bytes, point })
    }

    /// The 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.bytes
    }

    /// A key that nobody validated, to show what validation is for.
    #[cfg(test)]
    pub(super) fn unchecked(bytes: [u8; 32], point: EdwardsPoint) -> VrfPublicKey {
        VrfPublicKey { bytes, point }
    }
}

impl PartialEq for VrfPublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl Eq for VrfPublicKey {}

impl fmt::Debug for VrfPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VrfPublicKey({})", hex::encode(self.bytes))
    }
}

impl<C> minicbor::Encode<C> for VrfPublicKey {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut minicbor::Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.bytes(&self.bytes)?.ok()
    }
}

impl<'b, C> minicbor::Decode<'b, C> for VrfPublicKey {
    fn decode(d: &mut minicbor::Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        VrfPublicKey::from_bytes(d.bytes()?).map_err(minicbor::decode::Error::custom)
    }
}
