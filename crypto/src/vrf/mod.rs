//! A verifiable random function: ECVRF-EDWARDS25519-SHA512-TAI of RFC 9381 (suite string `0x03`).
//!
//! The holder of a secret key maps an input `alpha` to 64 bytes that nobody else can predict, and proves to
//! everybody who has the public key that these are the ones. Nobody, the holder included, can prove two
//! outputs for one key and input (*full uniqueness*: RFC 9381, section 3.1; it needs the validation that
//! [`VrfPublicKey::from_bytes`] always does).
//!
//! | file | explains | RFC 9381 |
//! |---|---|---|
//! | `keys` | keys from seeds, validation of public keys | 5.4.5, 5.5 |
//! | `curve` | encodings of points, inputs to points | 5.4.1.1, 5.5 |
//! | `proof` | proving, verifying, outputs | 5.1 to 5.3, 5.4.2.2 to 5.4.4 |
//!
//! * **What is unique is the output, not the proof.** Somebody who knows the secret key can make other valid
//!   proofs of the same output (another nonce; a `Gamma` with a part of small order). Compare, hash and
//!   store outputs, never proofs.
//! * **One seed, one use.** The nonce is derived as in Ed25519 (RFC 8032), so a seed that also signs gives its
//!   key away: a signature of the bytes of the point that an input is mapped to has the nonce of its proof.
//! * **An output is unpredictable only for a key that was fixed before the input was**: a holder who chooses the
//!   key after it knows `alpha` tries keys until it likes the output.
//! * Secrets are handled in constant time. Mapping an input to a point takes a time that depends on the
//!   public key and the input: *inputs are public*.

mod curve;
mod keys;
mod proof;

#[cfg(test)]
mod tests;

pub use keys::{VrfPublicKey, VrfSecretKey};
pub use proof::{VrfOutput, VrfProof, proof_to_hash, prove, verify};

/// Why a key or a proof is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VrfError {
    /// A public key has another length.
    #[error("a public VRF key has 32 bytes, not {bytes}")]
    PublicKeyLength {
        /// Its length.
        bytes: usize,
    },
    /// A public key is not the canonical encoding of a point of the curve.
    #[error("a public VRF key is not the canonical encoding of a point")]
    PublicKey,
    /// A public key of small order: every output would be the same for everybody.
    #[error("a public VRF key has small order")]
    SmallOrder,
    /// A proof has another length.
    #[error("a VRF proof has 80 bytes, not {bytes}")]
    ProofLength {
        /// Its length.
        bytes: usize,
    },
    /// The first part of a proof is not the canonical encoding of a point of the curve.
    #[error("the point of a VRF proof is not canonically encoded")]
    Gamma,
    /// The last part of a proof is not below the group's order.
    #[error("the scalar of a VRF proof is not below the order of the group")]
    Scalar,
    /// The proof is not of this input under this key.
    #[error("the VRF proof does not hold for this key and input")]
    Invalid,
}
