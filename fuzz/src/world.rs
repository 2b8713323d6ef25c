//! A federation and two rounds of it, the same at every start: made by what the auditor's tests are made with.

#[path = "../../audits/tests/common/mod.rs"]
mod common;

use std::sync::OnceLock;

use dawn_identity::SecretKey;
use dawn_learn::ModelSpec;

use common::round::{PlayedRound, Script};
pub use common::transcript::{Draft, transcript};
pub use common::{NOW, Plan, TestDevice as Device, World};

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

/// The key that targets sign with themselves.
pub fn key() -> &'static SecretKey {
    static KEY: OnceLock<SecretKey> = OnceLock::new();
    KEY.get_or_init(|| SecretKey::from_seed(&[9; 32]))
}
