//! Rounds of a task that asks for directions: the auditor follows which model the last accepted update went from.

use dawn_audits::{AuditRule, Party};
use dawn_learn::Model;
use dawn_protocol::digests::model_digest;
use dawn_protocol::transcript::Kind;
use dawn_protocol::{Decision, Functional, Terminal};

use crate::common::round::{PlayedRound, Script};
use crate::common::transcript::{Draft, transcript};
use crate::common::{Plan, World};
use crate::lies::resigned;
use crate::{assert_broken, audit, rounds};

fn plan() -> Plan {
    Plan {
        functional: Some(Functional::Direction),
        rounds: 5,
        ..Plan::default()
    }
}

/// A round, one that is aborted, and two more.
fn four(world: &mut World) -> Vec<PlayedRound> {
    let few = Script {
        devices: vec![0],
        ..Script::default()
    };
    let all = Script::default();
    rounds(world, &[all.clone(), few, all.clone(), all])
}

#[test]
fn rounds_with_directions_pass() {
    let mut world = World::with(61, &plan());
    let played = four(&mut world);
    let named: Vec<_> = (played.iter().map(|round| round.spec.peek().direction)).collect();
    let from = |round: usize| Some(model_digest(&played[round].model.to_bytes()));
    assert_eq!(named, [None, from(0), from(0), from(2)]);
    for round in &played {
        let report = audit(&world, &transcript(&world, round));
        assert!(report.passed(), "{report}");
    }
    let verdict = played[3].verdict.as_ref().unwrap().peek();
    assert!(verdict.decisions.iter().all(|d| *d == Decision::Accepted));
}

#[test]
fn another_direction_is_found() {
    let mut world = World::with(62, &plan());
    let played = four(&mut world);
    let other = Model::from_weights(played[0].model.spec(), vec![1, 2, 3, 4]).unwrap();
    let other_digest = model_digest(&other.to_bytes());
    // A result that names another model than its round started from.
    let Terminal::Result(honest) = &played[2].terminal else {
        panic!("a result");
    };
    for direction in [None, Some(other_digest)] {
        let lie = PlayedRound {
            terminal: Terminal::Result(resigned(&world, honest, |result| {
                result.direction = direction;
            })),
            ..played[2].clone()
        };
        let bytes = transcript(&world, &lie);
        assert_broken(&audit(&world, &bytes), AuditRule::Model, Party::Aggregator);
    }
    // An abort that changes it.
    let Terminal::Aborted(honest) = &played[1].terminal else {
        panic!("an abort");
    };
    let lie = PlayedRound {
        terminal: Terminal::Aborted(resigned(&world, honest, |aborted| {
            aborted.direction = Some(other_digest);
        })),
        ..played[1].clone()
    };
    let bytes = transcript(&world, &lie);
    assert_broken(&audit(&world, &bytes), AuditRule::Model, Party::Aggregator);
    // A specification that does not take it over.
    for direction in [None, Some(other_digest)] {
        let lie = PlayedRound {
            spec: resigned(&world, &played[3].spec, |spec| spec.direction = direction),
            ..played[3].clone()
        };
        let bytes = transcript(&world, &lie);
        assert_broken(&audit(&world, &bytes), AuditRule::Model, Party::Aggregator);
    }
    // A file with other bytes, without them, or with more than is asked for.
    let provider = |draft: &Draft| {
        assert_broken(
            &audit(&world, &draft.seal()),
            AuditRule::Model,
            Party::Provider,
        );
    };
    let mut draft = Draft::of(&world, &played[3]);
    *draft.nth(Kind::Direction, 0) = other.to_bytes();
    provider(&draft);
    let mut draft = Draft::of(&world, &played[3]);
    let place = draft.places(Kind::Direction)[0];
    draft.records.remove(place);
    provider(&draft);
    let mut draft = Draft::of(&world, &played[0]);
    let place = draft.places(Kind::Model)[0];
    draft
        .records
        .insert(place + 1, (Kind::Direction, other.to_bytes()));
    provider(&draft);
}

/// Scalars that were computed with another row let nobody in unseen.
#[test]
fn scalars_of_another_row_are_found() {
    let mut world = World::with(63, &plan());
    let played = four(&mut world);
    let mut lie = played[3].clone();
    // As if nothing had been asked for: what the honest scalars of the round before were worth.
    lie.scalars = played[2].scalars.clone();
    let verdict = lie.verdict.take().unwrap();
    let digest = lie.scalars.digest();
    lie.verdict = Some(resigned(&world, &verdict, |verdict| {
        verdict.scalars = digest
    }));
    let bytes = transcript(&world, &lie);
    assert_broken(
        &audit(&world, &bytes),
        AuditRule::Scalars,
        Party::Aggregator,
    );
}
