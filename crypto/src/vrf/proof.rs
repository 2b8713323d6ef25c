//! Proofs (RFC 9381, sections 5.1 to 5.3).

use super::curve::{SUITE, encode_to_curve, string_to_point};
use super::{VrfError, VrfPublicKey, VrfSecretKey};
use core::fmt;
use curve25519_dalek::edwards::EdwardsPoint;
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::VartimeMultiscalarMul;
use sha2::{Digest as _, Sha512};
use zeroize::Zeroizing;

/// A proof, not yet verified: `Gamma` (32 bytes), `c` (16), `s` (32). In CBOR a byte string.
///
/// Equality is that of the bytes, and says nothing about the outputs: one output can have several valid proofs.
#[derive(Clone, PartialEq, Eq)]
pub struct VrfProof(pub(super) [u8; VrfProof::BYTES]);

impl VrfProof {
    /// Bytes of a proof.
    pub const BYTES: usize = 80;

    /// Reads a proof; whether it is well formed shows when it is verified.
    ///
    /// # Errors
    /// [`VrfError::ProofLength`].
    pub fn from_bytes(bytes: &[u8]) -> Result<VrfProof, VrfError> {
        let length = VrfError::ProofLength { bytes: bytes.len() };
        bytes.try_into().map(VrfProof).map_err(|_| length)
    }

    /// The 80 bytes.
    pub fn as_bytes(&self) -> &[u8; VrfProof::BYTES] {
        &self.0
    }

    /// `ECVRF_decode_proof` (section 5.4.4).
    fn decode(&self) -> Result<Decoded, VrfError> {
        let (blocks, _) = self.0.as_chunks::<16>();
        let pair = |at: usize| -> [u8; 32] {
            let mut bytes = [0; 32];
            bytes[..16].copy_from_slice(&blocks[at]);
            bytes[16..].copy_from_slice(&blocks[at + 1]);
            bytes
        };
        let gamma = string_to_point(&pair(0)).ok_or(VrfError::Gamma)?;
        let s: Option<Scalar> = Scalar::from_canonical_bytes(pair(3)).into();
        Ok(Decoded {
            gamma,
            c: blocks[2],
            s: s.ok_or(VrfError::Scalar)?,
        })
    }
}

impl fmt::Debug for VrfProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VrfProof({})", hex::encode(self.0))
    }
}

impl<C> minicbor::Encode<C> for VrfProof {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut minicbor::Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.bytes(&self.0)?.ok()
    }
}

impl<'b, C> minicbor::Decode<'b, C> for VrfProof {
    fn decode(d: &mut minicbor::Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        VrfProof::from_bytes(d.bytes()?).map_err(minicbor::decode::Error::custom)
    }
}

struct Decoded {
    gamma: EdwardsPoint,
    c: [u8; 16],
    s: Scalar,
}

/// `beta`: the 64 bytes that a key and an input have. Whoever lacks the key and a proof cannot tell them from
/// uniform ones.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct VrfOutput([u8; VrfOutput::BYTES]);

impl VrfOutput {
    /// Bytes of an output.
    pub const BYTES: usize = 64;

    /// The 64 bytes.
    pub fn as_bytes(&self) -> &[u8; VrfOutput::BYTES] {
        &self.0
    }

    /// Step 6 of section 5.2. The cofactor takes away a part of small order, with which `Gamma` could
    /// otherwise be varied.
    pub(super) fn of(gamma: &EdwardsPoint) -> VrfOutput {
        let hash = Sha512::new()
            .chain_update([SUITE, 0x03])
            .chain_update(gamma.mul_by_cofactor().compress().as_bytes())
            .chain_update([0x00]);
        VrfOutput(hash.finalize().into())
    }
}

impl fmt::Debug for VrfOutput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VrfOutput({})", hex::encode(self.0))
    }
}

/// Proves the output of `alpha` (`ECVRF_prove`, section 5.1). The same every time. `alpha` is public: what
/// depends on it and on the public key alone takes a time that depends on them; everything else is constant.
///
/// # Panics
/// When `alpha` can be mapped to no point, which nobody can bring about: probability `2^-256`.
pub fn prove(key: &VrfSecretKey, alpha: &[u8]) -> VrfProof {
    let (h, _) = encode_to_curve(key.public().as_bytes(), alpha)
        .expect("256 counters fail together with probability 2^-256");
    let gamma = h * key.scalar;
    let nonce = nonce(key, &h);
    let u = EdwardsPoint::mul_base(&nonce);
    let v = h * *nonce;
    let c = challenge(key.public(), &h, &gamma, &u, &v);
    let s = *nonce + scalar_of(&c) * key.scalar;
    let mut bytes = [0; VrfProof::BYTES];
    bytes[..32].copy_from_slice(gamma.compress().as_bytes());
    bytes[32..48].copy_from_slice(&c);
    bytes[48..].copy_from_slice(s.as_bytes());
    VrfProof(bytes)
}

/// The output of `alpha` under a key, when `proof` proves it (`ECVRF_verify`, section 5.3).
///
/// # Errors
/// [`VrfError::Gamma`] or [`VrfError::Scalar`] when the proof is not canonically encoded,
/// [`VrfError::Invalid`] when it proves something else.
pub fn verify(key: &VrfPublicKey, alpha: &[u8], proof: &VrfProof) -> Result<VrfOutput, VrfError> {
    let Decoded { gamma, c, s } = proof.decode()?;
    let (h, _) = encode_to_curve(key.as_bytes(), alpha).ok_or(VrfError::Invalid)?;
    let factor = scalar_of(&c);
    // The points are negated and not the factor: -c modulo the order is another multiple of a point that has
    // a part of small order.
    let u = EdwardsPoint::vartime_double_scalar_mul_basepoint(&factor, &-key.point, &s);
    let v = EdwardsPoint::vartime_multiscalar_mul([s, factor], [h, -gamma]);
    if challenge(key, &h, &gamma, &u, &v) != c {
        return Err(VrfError::Invalid);
    }
    Ok(VrfOutput::of(&gamma))
}

/// The output that a proof states (`ECVRF_proof_to_hash`, section 5.2). *This verifies nothing*: it is for
/// one's own proofs, and for those that were verified before.
///
/// # Errors
/// [`VrfError::Gamma`], [`VrfError::Scalar`].
pub fn proof_to_hash(proof: &VrfProof) -> Result<VrfOutput, VrfError> {
    proof.decode().map(|decoded| VrfOutput::of(&decoded.gamma))
}

/// `ECVRF_nonce_generation_RFC8032` (section 5.4.2.2).
pub(super) fn nonce(key: &VrfSecretKey, h: &EdwardsPoint) -> Zeroizing<Scalar> {
    let hash = Sha512::new()
        .chain_update(key.prefix)
        .chain_update(h.compress().as_bytes());
    let hash = Zeroizing::new(<[u8; 64]>::from(hash.finalize()));
    Zeroizing::new(Scalar::from_bytes_mod_order_wide(&hash))
}

/// `ECVRF_challenge_generation` (section 5.4.3).
pub(super) fn challenge(
    key: &VrfPublicKey,
    h: &EdwardsPoint,
    gamma: &EdwardsPoint,
    u: &EdwardsPoint,
    v: &EdwardsPoint,
) -> [u8; 16] {
    let mut hash = Sha512::new();
    hash.update([SUITE, 0x02]);
    hash.update(key.as_bytes());
    for point in [h, gamma, u, v] {
        hash.update(point.compress().as_bytes());
    }
    hash.update([0x00]);
    let hash: [u8; 64] = hash.finalize().into();
    let mut c = [0; 16];
    c.copy_from_slice(&hash[..16]);
    c
}

/// `c` as a number below `2^128`.
pub(super) fn scalar_of(c: &[u8; 16]) -> Scalar {
    Scalar::from(u128::from_le_bytes(*c))
}
