//! How many submissions a round may have: devices, and stewards' noise beside them.

use dawn_protocol::roll::Roll;
use dawn_protocol::{Closed, Culprit, Rule, StewardNoise};

use crate::assert_violates;
use crate::noise::{CANDIDATES, noise, sigma};
use crate::world::World;

const ALL: [u8; 6] = [1, 2, 3, 4, 5, 6];

/// The places of noise are no places for devices: the bound that no sum wraps at counts on it.
#[test]
fn devices_have_no_more_places_than_the_policy_says() {
    let mut world = World::with_task(6, 1, |task| {
        task.options.noise = Some(StewardNoise {
            sigma: sigma(),
            candidates: CANDIDATES,
        });
        task.policy.max_submissions = 3;
        task.policy.target_submissions = 3;
    });
    let round = world.first_round();
    for (devices, points, fits) in [(3, &ALL[..], true), (4, &ALL[..1], false)] {
        let organisations: Vec<usize> = (0..devices).collect();
        let mut submissions = world.submissions(&round, &organisations);
        submissions.extend(noise(&world, &round, points));
        submissions.sort_by_key(|s| s.header.peek().credential.claimed_device());
        let mut roll = Roll::new();
        for submission in &submissions {
            let bytes = submission.header.bytes();
            roll.push(&round.open, &world.members, bytes).unwrap();
        }
        let closed = world.by_aggregator(&Closed {
            round: round.open.round_id(),
            session: round.open.session(),
            root: roll.root(),
            count: submissions.len() as u32,
            closed_ms: 0,
            register: round.open.spec().register,
        });
        let closed = round.open.clone().close(&closed, roll).map(|_| ());
        match fits {
            true => closed.unwrap(),
            false => {
                assert_violates!(closed, Rule::ClosedRoot, Culprit::Aggregator);
            }
        }
    }
}
