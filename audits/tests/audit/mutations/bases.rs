//! The honest transcripts that are mutated. Together they have every kind of record, and a value in every field that a task may
//! leave out.

use std::collections::BTreeMap;

use dawn_audits::Party;
use dawn_crypto::params::Sigma;
use dawn_identity::{KeyId, SecretKey};
use dawn_learn::{Aggregation, Dataset, ModelSpec, PublicSet, RobustRule, TrainSpec, Way};
use dawn_protocol::transcript::Kind;
use dawn_protocol::{
    EvaluationRule, Functional, GroupRule, Policy, Selection, StewardNoise, TaskOptions,
};

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
    liars.only = &[Kind::Verdict, Kind::Result, Kind::Challenge];
    vec![
        liars,
        made("plain", eventful, 201, &[all(), all()]),
        made("aborted", aborted, 202, &[few(), silent]),
        made("options", options(), 203, &[all(), all()]),
        made("groups", groups(), 204, &[all(), all()]),
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

/// Noise, directions, selection and evaluation.
fn options() -> Plan {
    Plan {
        devices: 4,
        clip: 1000,
        functional: Some(Functional::Direction),
        noise: Some(StewardNoise {
            sigma: Sigma::from_f64_ceil(20.0).unwrap(),
            candidates: 2,
        }),
        options: TaskOptions {
            selection: Some(Selection { rate: u32::MAX }),
            evaluation: Some(EvaluationRule {
                samples: 5,
                scale: 100,
                loss: EvaluationRule::LOSS,
            }),
            quota: Some(9),
            ..TaskOptions::default()
        },
        ..Plan::default()
    }
}

/// Groups, and a student that learns from a public set.
fn groups() -> Plan {
    let model = ModelSpec::Logistic {
        inputs: 2,
        classes: 2,
    };
    let features = (0..10).map(|f| 20 * f - 90).collect();
    let set = PublicSet::new(&Dataset::new(features, 2, 6, vec![0; 5]).unwrap()).unwrap();
    let student = TrainSpec {
        epochs: 3,
        batch: 2,
        learning_rate: 1 << 13,
        momentum: 0,
        dropout: None,
        rounding: None,
    };
    let plan = Plan::default();
    Plan {
        devices: 6,
        model,
        policy: Policy {
            min_accepted: 6,
            min_honest: 6,
            max_org_share_permille: 1000,
            ..plan.policy
        },
        options: TaskOptions {
            way: Some(Way::distillation(&model, &set, student).unwrap()),
            groups: Some(GroupRule {
                most: 3,
                size: 2,
                least: 2,
                honest: 2,
                dishonest: 0,
                rule: RobustRule {
                    aggregation: Aggregation::TrimmedMean { cut: 1 },
                    mixing: Some(2),
                },
            }),
            ..TaskOptions::default()
        },
        public_set: Some(set),
        ..plan
    }
}
