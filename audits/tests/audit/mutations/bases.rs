//! The honest transcripts that are mutated. Together they have every kind of record, and a value in every field that a task may
//! leave out.

use std::collections::BTreeMap;

use dawn_audits::Party;
use dawn_identity::{KeyId, SecretKey};
use dawn_protocol::transcript::Kind;

use crate::common::plans;
use crate::common::round::{PlayedRound, Script};
use crate::common::transcript::Draft;
use crate::common::{Plan, World};

/// An honest round.
pub struct Base {
    pub name: &'static str,
    pub world: World,
    pub round: PlayedRound,
    /// A round before or after it, to take records from.
    pub other: PlayedRound,
    pub draft: Draft,
    /// The kinds of records that are of interest here; all when empty.
    pub only: &'static [Kind],
}

impl Base {
    /// Who speaks under which key.
    pub fn parties(&self) -> BTreeMap<KeyId, (Party, &SecretKey)> {
        let world = &self.world;
        let mut all = vec![(Party::Aggregator, &world.aggregator)];
        for (point, key) in (1u8..).zip(&world.stewards) {
            all.push((Party::Steward(world.steward_id(point)), key));
        }
        for org in world.organisations.iter().chain(&world.guests) {
            all.push((Party::Organisation(org.id()), org.root()));
            all.push((Party::Organisation(org.id()), org.issuer()));
        }
        for device in &world.devices {
            all.push((Party::Device(device.id), &device.key));
        }
        let by_key = all
            .into_iter()
            .map(|(party, key)| (key.public().id(), (party, key)));
        by_key.collect()
    }
}

fn base(name: &'static str, mut world: World, scripts: &[Script]) -> Base {
    let mut played: Vec<PlayedRound> = vec![];
    for script in scripts {
        let round = world.play(played.last(), script);
        played.push(round);
    }
    let round = played.pop().unwrap();
    let draft = Draft::of(&world, &round);
    Base {
        name,
        other: played.pop().unwrap(),
        round,
        draft,
        only: &[],
        world,
    }
}

/// Two stewards, and one device of each of them: the second round.
fn small(plan: Plan, seed: u64, scripts: &[Script]) -> (World, Vec<Script>) {
    let plan = Plan {
        organisations: 2,
        faulty: 0,
        rounds: 5,
        ..plan
    };
    (World::with(seed, &plan), scripts.to_vec())
}

/// All of them.
pub fn bases() -> Vec<Base> {
    let all = Script::default;
    let few = || Script {
        devices: vec![0],
        ..all()
    };
    let made = |name, plan, seed, scripts: &[Script]| {
        let (world, scripts) = small(plan, seed, scripts);
        base(name, world, &scripts)
    };
    let eventful = Plan {
        guests: 1,
        devices: 3,
        eventful: true,
        ..Plan::default()
    };
    let aborted = Plan {
        devices: 2,
        ..Plan::default()
    };
    let silent = Script {
        silent_openers: vec![1],
        ..all()
    };
    let mut liars = base(
        "liars",
        World::with(205, &many()),
        &[
            all(),
            Script {
                lying_answers: vec![(3, 0)],
                lying_openers: vec![5],
                ..all()
            },
        ],
    );
    let mut replaced = made(
        "replaced",
        Plan {
            devices: 2,
            ..Plan::default()
        },
        206,
        &[few(), all()],
    );
    let key = SecretKey::from_seed(&[63; 32]);
    replaced.round = replaced.world.abort_replaced(&replaced.round, &key);
    replaced.draft = Draft::of(&replaced.world, &replaced.round);
    replaced.only = &[Kind::Later];
    liars.only = &[Kind::Verdict, Kind::Result, Kind::Challenge];
    vec![
        liars,
        replaced,
        made("plain", eventful, 201, &[all(), all()]),
        made("aborted", aborted, 202, &[few(), silent]),
        made("options", plans::options(), 203, &[all(), all()]),
        made("groups", plans::groups(), 204, &[all(), all()]),
    ]
}

/// Enough stewards to find a liar among them.
fn many() -> Plan {
    Plan {
        organisations: 6,
        devices: 6,
        ..Plan::default()
    }
}
