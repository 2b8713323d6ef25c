//! A steward's keys are replaced between two rounds of one task: the auditor follows the register, and nothing else.

use std::fs;

use dawn_audits::{AuditReport, AuditRule, Options, Party, verify_path};
use dawn_identity::{RegisterHead, Signed};
use dawn_protocol::transcript::Kind;

use crate::common::World;
use crate::common::round::{PlayedRound, Script};
use crate::common::transcript::{Draft, transcript};
use crate::{assert_broken, audit};

fn head(world: &World) -> RegisterHead {
    world.context.verified_with().head()
}

/// Round 1 under the first roster, and round 2 under the second: what an aggregator writes of both.
fn two_rounds(seed: u64) -> (World, [PlayedRound; 2], Vec<u8>) {
    let mut world = World::new(seed);
    let first = world.play(None, &Script::default());
    let first_file = transcript(&world, &first);
    world.replace_steward(2);
    let second = world.play(Some(&first), &Script::default());
    (world, [first, second], first_file)
}

fn audit_both(world: &World, files: [&[u8]; 2]) -> AuditReport {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("1.dawn"), files[0]).unwrap();
    fs::write(dir.path().join("2.dawn"), files[1]).unwrap();
    let options = Options {
        federation: Some(world.federation.digest()),
        ..Options::default()
    };
    verify_path(dir.path(), &options).unwrap()
}

#[test]
fn a_task_goes_on_under_the_next_roster() {
    let (world, [first, second], first_file) = two_rounds(91);
    let rosters = [&first, &second].map(|round| round.spec.peek().roster);
    assert_ne!(rosters[0], rosters[1]);
    assert_eq!(rosters[1], world.roster.peek().digest());
    assert_ne!(
        first.spec.peek().sealing_keys[1].as_ref().unwrap().signer(),
        second.spec.peek().sealing_keys[1]
            .as_ref()
            .unwrap()
            .signer()
    );
    let second_file = transcript(&world, &second);
    let report = audit_both(&world, [&first_file, &second_file]);
    assert!(report.passed(), "{report}");
    assert_eq!(report.rounds.len(), 2);
    // Each says everything that it needs.
    assert!(audit(&world, &second_file).passed());
}

#[test]
fn a_round_under_a_roster_that_is_not_in_force_is_the_aggregators_fault() {
    let mut world = World::new(92);
    let first = world.play(None, &Script::default());
    let (old_head, old_roster) = (head(&world), world.roster.clone());
    let stale = world.play(Some(&first), &Script::default());
    world.replace_steward(2);
    let second = world.play(Some(&first), &Script::default());
    // The old roster at a place where the new one is in force.
    let mut spec = stale.spec.peek().clone();
    spec.register = head(&world);
    let mut draft = Draft::of(&world, &stale);
    *draft.nth(Kind::Spec, 0) = Signed::sign(&spec, &world.aggregator)
        .unwrap()
        .bytes()
        .to_vec();
    *draft.nth(Kind::Roster, 0) = old_roster.to_bytes();
    assert_broken(
        &audit(&world, &draft.seal()),
        AuditRule::RoundSpec,
        Party::Aggregator,
    );
    // The new one before it is.
    let mut spec = second.spec.peek().clone();
    spec.register = old_head;
    let mut draft = Draft::of(&world, &second);
    *draft.nth(Kind::Spec, 0) = Signed::sign(&spec, &world.aggregator)
        .unwrap()
        .bytes()
        .to_vec();
    assert_broken(
        &audit(&world, &draft.seal()),
        AuditRule::RoundSpec,
        Party::Aggregator,
    );
}

#[test]
fn another_roster_in_the_file_is_the_fault_of_who_hands_it_over() {
    let (world, [first, second], first_file) = two_rounds(93);
    let provider = |draft: &Draft| {
        let report = audit(&world, &draft.seal());
        assert_broken(&report, AuditRule::Roster, Party::Provider);
    };
    let draft = Draft::of(&world, &second);
    let old = Draft::of_bytes(&first_file).nth(Kind::Roster, 0).clone();
    let mut other = draft.clone();
    *other.nth(Kind::Roster, 0) = old;
    provider(&other);
    // The register without its last entry, without any, and with its entries exchanged.
    let places = draft.places(Kind::Register);
    assert_eq!(places.len(), 2);
    let mut short = draft.clone();
    short.records.remove(places[1]);
    provider(&short);
    short.records.remove(places[0]);
    provider(&short);
    let mut exchanged = draft.clone();
    exchanged.records.swap(places[0], places[1]);
    provider(&exchanged);
    assert_eq!(first.spec.peek().register.entries, 1);
}
