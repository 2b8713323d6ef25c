//! Proofs of the verifiable random function (RFC 9381, ECVRF-EDWARDS25519-SHA512-TAI).

use super::{Case, still_secret};
use crate::random::SecretRng;
use dawn_crypto::vrf::{VrfSecretKey, prove};

pub const CASES: &[Case] = &[("vrf-prove", prove_twice)];

fn prove_twice() {
    let key = VrfSecretKey::generate(&mut SecretRng::new(61));
    still_secret(&key.to_seed()[..]);
    // One and several attempts to map the input to a point.
    for alpha in [&b"first"[..], b"second", b"third"] {
        still_secret(prove(&key, alpha).as_bytes());
    }
}
