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

/// The federation.
pub fn honest() -> &'static Honest {
    static HONEST: OnceLock<Honest> = OnceLock::new();
    HONEST.get_or_init(|| {
        let plan = Plan {
            organisations: 3,
            faulty: 0,
            guests: 1,
            devices: 4,
            model: ModelSpec::Logistic {
                inputs: 1,
                classes: 2,
            },
            ..Plan::default()
        };
        let mut world = World::with(7, &plan);
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

/// A round of a task that asks for more, and where it was played.
pub struct Elaborate {
    /// The federation.
    pub world: World,
    /// Its second round.
    pub round: PlayedRound,
}

/// Noise, directions, selection and evaluation in one; groups and a student that learns in the other.
pub fn elaborate() -> &'static [Elaborate; 2] {
    static ELABORATE: OnceLock<[Elaborate; 2]> = OnceLock::new();
    ELABORATE.get_or_init(|| {
        [(203, plans::options()), (204, plans::groups())].map(|(seed, plan)| {
            let small = Plan {
                organisations: 2,
                faulty: 0,
                ..plan
            };
            let mut world = World::with(seed, &small);
            let first = world.play(None, &Script::default());
            let round = world.play(Some(&first), &Script::default());
            Elaborate { world, round }
        })
    })
}

/// The key that targets sign with themselves.
pub fn key() -> &'static SecretKey {
    static KEY: OnceLock<SecretKey> = OnceLock::new();
    KEY.get_or_init(|| SecretKey::from_seed(&[9; 32]))
}
