//! A federation and two rounds of it, the same at every start: made by what the auditor's tests are made with.

#[path = "../../audits/tests/common/mod.rs"]
mod common;

use std::sync::OnceLock;

use dawn_identity::SecretKey;
use dawn_learn::ModelSpec;

use common::round::{PlayedRound, Script};
pub use common::transcript::{Draft, detached, transcript};
pub use common::{NOW, Plan, TestDevice as Device, World};
pub use common::{log as logged, plans};

/// Everybody, and what they said.
pub struct Honest {
    /// Three stewards, four devices; one of a member that registered later.
    pub world: World,
    /// Two rounds that opened, and one that too few devices came to.
    pub rounds: [PlayedRound; 3],
}

/// A task that asks for nothing.
fn plain(devices: usize) -> Plan {
    Plan {
        organisations: 3,
        faulty: 0,
        guests: 1,
        devices,
        model: ModelSpec::Logistic {
            inputs: 1,
            classes: 2,
        },
        ..Plan::default()
    }
}

/// The federation.
pub fn honest() -> &'static Honest {
    static HONEST: OnceLock<Honest> = OnceLock::new();
    HONEST.get_or_init(|| {
        let mut world = World::with(7, &plain(4));
        let first = world.play(None, &Script::default());
        let second = world.play(Some(&first), &Script::default());
        let alone = Script {
            devices: vec![1],
            ..Script::default()
        };
        let third = world.play(Some(&second), &alone);
        Honest {
            world,
            rounds: [first, second, third],
        }
    })
}

/// A round in which more happens, and where it was played.
pub struct Elaborate {
    /// The federation.
    pub world: World,
    /// Its second round.
    pub round: PlayedRound,
}

/// Noise, directions, selection and evaluation in one; groups and a student that learns in the second; the third is aborted because
/// the aggregator's key is replaced when the round has all but its result.
pub fn elaborate() -> &'static [Elaborate; 3] {
    static ELABORATE: OnceLock<[Elaborate; 3]> = OnceLock::new();
    ELABORATE.get_or_init(|| {
        let small = |plan| Plan {
            organisations: 2,
            faulty: 0,
            ..plan
        };
        let [options, groups, mut replaced] = [
            (203, small(plans::options())),
            (204, small(plans::groups())),
            (205, plain(2)),
        ]
        .map(|(seed, plan)| {
            let mut world = World::with(seed, &plan);
            let first = world.play(None, &Script::default());
            let round = world.play(Some(&first), &Script::default());
            Elaborate { world, round }
        });
        let key = SecretKey::from_seed(&[63; 32]);
        replaced.round = replaced.world.abort_replaced(&replaced.round, &key);
        [options, groups, replaced]
    })
}

/// The key that targets sign with themselves.
pub fn key() -> &'static SecretKey {
    static KEY: OnceLock<SecretKey> = OnceLock::new();
    KEY.get_or_init(|| SecretKey::from_seed(&[9; 32]))
}
