//! A device's whole message, as the client library makes it (`docs/protocol.md`, sections 4.2 to 4.4).

use super::{Case, still_secret};
use crate::random::SecretRng;
use crate::world::World;
use dawn_protocol::prepare::PreparedSubmission;

pub const CASES: &[Case] = &[("device-submission", submission)];

fn submission() {
    let mut world = World::new(4, 1);
    let round = world.first_round();
    let device = world.device(0);
    let mut rng = SecretRng::new(31);
    let mut update = rng.update(world.context.dimension().coordinates());
    // Within the task's clip bound.
    for x in &mut update {
        *x /= 64;
    }
    let (open, chain) = (&round.open, &device.credential);
    let sent = PreparedSubmission::new(open, chain, &device.key, &update, &mut rng);
    let sent = sent.expect("an honest device");
    still_secret(&sent.payload);
    for package in &sent.packages {
        still_secret(package);
    }
}
