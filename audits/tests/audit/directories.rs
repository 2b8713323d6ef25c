//! Rounds one after the other: none missing, none twice, one history.

use std::fs;
use std::path::Path;

use dawn_audits::{AuditError, AuditReport, AuditRule, Options, Party, verify_path};
use dawn_protocol::AbortReason;
use dawn_protocol::RoundOpen;

use crate::common::World;
use crate::common::round::{PlayedRound, Script};
use crate::common::transcript::transcript;
use crate::{assert_broken, rounds};

fn write(world: &World, dir: &Path, played: &[PlayedRound]) {
    for (place, round) in played.iter().enumerate() {
        // The order of the names is not that of the rounds.
        let name = format!("{}.dawn", (b'z' - u8::try_from(place).unwrap()) as char);
        fs::write(dir.join(name), transcript(world, round)).unwrap();
    }
}

fn audit(world: &World, dir: &Path) -> AuditReport {
    let options = Options {
        federation: Some(world.federation.digest()),
        ..Options::default()
    };
    verify_path(dir, &options).unwrap()
}

/// Three rounds, the one in the middle aborted after its verdict.
fn three(seed: u64) -> (World, Vec<PlayedRound>) {
    let mut world = World::new(seed);
    let scripts = [
        Script::default(),
        Script {
            silent_openers: vec![1, 2],
            ..Script::default()
        },
        Script::default(),
    ];
    let played = rounds(&mut world, &scripts);
    (world, played)
}

#[test]
fn consecutive_rounds_pass_and_what_they_spent_adds_up() {
    let (world, played) = three(41);
    let dir = tempfile::tempdir().unwrap();
    write(&world, dir.path(), &played);
    let report = audit(&world, dir.path());
    assert!(report.passed(), "{report}");
    let numbers: Vec<u32> = report.rounds.iter().map(|round| round.number).collect();
    assert_eq!(numbers, [1, 2, 3]);
    let charge = world.context.charge_micro_rho();
    let spent: Vec<_> = report
        .rounds
        .iter()
        .map(|round| round.spent_micro_rho)
        .collect();
    assert_eq!(spent, [Some(charge), Some(2 * charge), Some(3 * charge)]);
    assert_eq!(report.rounds[1].next_model, report.rounds[0].next_model);
    assert_eq!(
        report.unchecked.len(),
        2,
        "the log is missing, and that too few answered is the aggregator's word: {report}"
    );
}

#[test]
fn a_later_round_alone_passes_and_says_what_it_could_not_check() {
    let (world, played) = three(42);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("round.dawn");
    fs::write(&file, transcript(&world, &played[2])).unwrap();
    let report = audit(&world, &file);
    assert!(report.passed(), "{report}");
    assert_eq!(report.unchecked.len(), 2, "{report}");
}

#[test]
fn a_missing_or_doubled_round_is_found() {
    let (world, played) = three(43);
    let dir = tempfile::tempdir().unwrap();
    write(&world, dir.path(), &[played[0].clone(), played[2].clone()]);
    assert_broken(
        &audit(&world, dir.path()),
        AuditRule::Continuity,
        Party::Provider,
    );
    let dir = tempfile::tempdir().unwrap();
    write(
        &world,
        dir.path(),
        &[played[0].clone(), played[1].clone(), played[1].clone()],
    );
    assert_broken(
        &audit(&world, dir.path()),
        AuditRule::Continuity,
        Party::Provider,
    );
}

#[test]
fn two_ends_of_one_round_are_two_histories() {
    let (world, mut played) = three(44);
    // To round 2 the aggregator shows another end of round 1 than it shows here.
    let context = world.context.verify_spec(&played[0].spec).unwrap();
    let open = RoundOpen::new(context, &played[0].endorsements).unwrap();
    played[0].openings.truncate(1);
    played[0].terminal = world.abort(&open, AbortReason::TooFewOpenings);
    let dir = tempfile::tempdir().unwrap();
    write(&world, dir.path(), &played);
    assert_broken(
        &audit(&world, dir.path()),
        AuditRule::Continuity,
        Party::Aggregator,
    );
}

#[test]
fn what_was_spent_before_is_forgotten() {
    let mut world = World::new(45);
    let first = world.play(None, &Script::default());
    let forgetful = PlayedRound {
        spent_before: 0,
        verdict: None,
        ..first.clone()
    };
    let second = world.play(Some(&forgetful), &Script::default());
    let dir = tempfile::tempdir().unwrap();
    write(&world, dir.path(), &[first, second]);
    assert_broken(
        &audit(&world, dir.path()),
        AuditRule::Budget,
        Party::Aggregator,
    );
}

#[test]
fn a_file_that_is_no_transcript_fails_the_directory() {
    let (world, played) = three(46);
    let dir = tempfile::tempdir().unwrap();
    write(&world, dir.path(), &played);
    fs::write(dir.path().join("broken.dawn"), b"DWNT").unwrap();
    let report = audit(&world, dir.path());
    assert_broken(&report, AuditRule::Container, Party::Provider);
    assert!(report.place.unwrap().contains("broken.dawn"));
}

#[test]
fn nothing_to_audit_is_no_report() {
    let dir = tempfile::tempdir().unwrap();
    let nothing = verify_path(dir.path(), &Options::default());
    assert!(matches!(nothing, Err(AuditError::Nothing(_))));
    let missing = verify_path(&dir.path().join("none"), &Options::default());
    assert!(matches!(missing, Err(AuditError::Unreadable { .. })));
}
