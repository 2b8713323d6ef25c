//! What the proof of the norm computes from the masked vector before it is masked (`docs/protocol.md`, section 4.3).

use super::{Case, still_secret};
use crate::random::SecretRng;
use dawn_crypto::norm::projection::Projection;
use dawn_crypto::params::N;

pub const CASES: &[Case] = &[("norm-projection", project)];

fn project() {
    let projection = Projection::new([8; 32], 256).expect("in range");
    let v = SecretRng::new(71).update(3 * N);
    still_secret(&projection.project(&v).expect("whole blocks"));
}
