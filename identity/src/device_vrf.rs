//! The VRF key by which a device is selected (`docs/protocol.md`, section 4.10).

use dawn_crypto::digest::{Hasher, labels};
use dawn_crypto::vrf::VrfSecretKey;
use zeroize::Zeroizing;

use crate::keys::SecretKey;

/// The VRF key of a device: of the seed `hash(DEVICE_VRF, seed of its Ed25519 key)`, so that a device keeps one secret.
/// The two keys share no scalar and no nonce: a key that signs and proves would give itself away ([`dawn_crypto::vrf`]).
pub fn device_vrf(device: &SecretKey) -> VrfSecretKey {
    let mut seed = Zeroizing::new([0; 32]);
    Hasher::new(labels::DEVICE_VRF)
        .field(&*device.to_seed())
        .xof()
        .fill(&mut *seed);
    VrfSecretKey::from_seed(&seed)
}
