//! Rounds of a task that distils: the auditor trains the student again, from the public set in the transcript.

use dawn_audits::{AuditRule, Party};
use dawn_protocol::digests::model_digest;
use dawn_protocol::transcript::Kind;

use crate::common::round::{PlayedRound, Script};
use crate::common::transcript::{Draft, transcript};
use crate::common::{Plan, World, plans};
use crate::lies::with_result;
use crate::{assert_broken, audit};

fn two_rounds() -> (World, PlayedRound, PlayedRound) {
    let mut world = World::with(81, &plans::distilled());
    let first = world.play(None, &Script::default());
    let second = world.play(Some(&first), &Script::default());
    (world, first, second)
}

#[test]
fn honest_rounds_pass_and_the_student_is_trained_again() {
    let (world, first, second) = two_rounds();
    assert_eq!(world.context.dimension().coordinates(), 10);
    for round in [&first, &second] {
        let report = audit(&world, &transcript(&world, round));
        assert!(report.passed(), "{report}");
        let next = model_digest(&round.next_model.to_bytes());
        assert_eq!(report.rounds[0].next_model, next);
        assert_ne!(round.model, round.next_model);
    }
}

#[test]
fn another_model_than_the_students_is_found() {
    let (world, first, _) = two_rounds();
    let bytes = with_result(&world, &first, |result| {
        result.model = model_digest(&first.model.to_bytes());
    });
    assert_broken(&audit(&world, &bytes), AuditRule::Model, Party::Aggregator);
}

#[test]
fn another_public_set_or_none_blames_nobody_who_signed() {
    let (world, first, _) = two_rounds();
    let draft = Draft::of(&world, &first);
    let place = draft.places(Kind::PublicSet)[0];
    let mut without = draft.clone();
    without.records.remove(place);
    assert_broken(
        &audit(&world, &without.seal()),
        AuditRule::Task,
        Party::Provider,
    );
    let mut other = draft.clone();
    other.records[place].1 = plans::public_set(1).to_bytes();
    assert_broken(
        &audit(&world, &other.seal()),
        AuditRule::Task,
        Party::Provider,
    );
    for byte in 0..draft.records[place].1.len() {
        let mut damaged = draft.clone();
        damaged.records[place].1[byte] ^= 1;
        assert_broken(
            &audit(&world, &damaged.seal()),
            AuditRule::Task,
            Party::Provider,
        );
    }
    let mut longer = draft.clone();
    longer.records[place].1.push(0);
    assert_broken(
        &audit(&world, &longer.seal()),
        AuditRule::Container,
        Party::Provider,
    );
    // Twice, and in a task that does not distil.
    let mut twice = draft.clone();
    let record = twice.records[place].clone();
    twice.records.insert(place, record.clone());
    assert_broken(
        &audit(&world, &twice.seal()),
        AuditRule::Container,
        Party::Provider,
    );
    let mut world = World::with(82, &Plan::default());
    let round = world.play(None, &Script::default());
    let mut plain = Draft::of(&world, &round);
    let after = plain.places(Kind::Task)[0] + 1;
    plain.records.insert(after, record);
    assert!(!audit(&world, &plain.seal()).passed());
}
