//! Rounds that end because the aggregator's key was replaced, and rounds of which somebody says so.

use std::fs;

use dawn_audits::verify::LOG_FILE;
use dawn_audits::{AuditRule, Party, verify_path};
use dawn_identity::{SecretKey, ServerRole, Signed};
use dawn_protocol::answers::Scalars;
use dawn_protocol::{AbortReason, Aborted, Terminal};

use crate::common::log::{before_rounds, head, of_round};
use crate::common::round::{PlayedRound, Script};
use crate::common::transcript::transcript;
use crate::common::{NOW, World};
use crate::logs::file;
use crate::server_keys::{key, options};
use crate::{assert_broken, audit};

/// The round up to a stage, from the specification alone to its openings.
fn up_to(round: &PlayedRound, stage: usize) -> PlayedRound {
    let mut cut = round.clone();
    if stage < 1 {
        cut.endorsements.clear();
    }
    if stage < 2 {
        cut.submissions.clear();
    }
    if stage < 3 {
        cut.closed = None;
    }
    if stage < 4 {
        cut.challenge = None;
    }
    if stage < 5 {
        cut.reports.clear();
        cut.answers.clear();
        cut.scalars = Scalars::new(vec![]);
    }
    if stage < 6 {
        cut.verdict = None;
    }
    if stage < 7 {
        cut.openings.clear();
    }
    cut
}

#[test]
fn a_round_whose_key_was_replaced_may_end_at_every_stage() {
    let mut world = World::new(606);
    let played = world.play(None, &Script::default());
    for stage in 0..=7 {
        let aborted = world.abort_replaced(&up_to(&played, stage), &key(70));
        let mut bytes = transcript(&world, &aborted);
        if stage < 3 {
            // Nothing names a place: the register is there as far as it goes.
            let before = world.register.clone();
            world.register.extend(aborted.later.iter().cloned());
            let at_once = PlayedRound {
                later: vec![],
                ..aborted.clone()
            };
            let first = audit(&world, &transcript(&world, &at_once));
            assert!(first.passed(), "{stage}: {first}");
            world.register = before;
            bytes = transcript(&world, &aborted);
        }
        let report = audit(&world, &bytes);
        assert!(report.passed(), "{stage}: {report}");
        assert_eq!(report.rounds[0].aborted.as_deref(), Some("key-replaced"));
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("1.dawn"), &bytes).unwrap();
        let log = [before_rounds(&world), of_round(&aborted)].concat();
        let log = file(&head(&log, &world.log), &log);
        fs::write(dir.path().join(LOG_FILE), log).unwrap();
        let report = verify_path(dir.path(), &options(&world)).unwrap();
        assert!(report.passed(), "{stage}: {report}");
    }
}

#[test]
fn a_key_that_was_not_replaced_ends_no_round() {
    let mut world = World::new(607);
    let played = world.play(None, &Script::default());
    let old = SecretKey::from_seed(&world.aggregator.to_seed());
    let right = world.abort_replaced(&up_to(&played, 3), &key(70));
    let Terminal::Aborted(said) = &right.terminal else {
        panic!("aborted")
    };
    let said = said.peek().clone();
    let signed = |reason, key: &SecretKey| {
        Aborted {
            reason,
            ..said.clone()
        }
        .signed(key)
    };
    let refused_by = |round: PlayedRound, rule, culprit| {
        let report = audit(&world, &transcript(&world, &round));
        assert_broken(&report, rule, culprit);
    };
    let refused = |round, rule| refused_by(round, rule, Party::Provider);
    let with = |terminal, later: &[Vec<u8>]| PlayedRound {
        terminal,
        later: later.to_vec(),
        ..right.clone()
    };
    let replaced = AbortReason::KeyReplaced;
    // Without the change; by the old key; by one that nobody let in.
    refused(with(signed(replaced, &key(70)), &[]), AuditRule::Abort);
    // The key that the round has, and nobody replaced: the aggregator ends a round that it does not like.
    refused_by(
        with(signed(replaced, &old), &[]),
        AuditRule::Abort,
        Party::Aggregator,
    );
    refused(
        with(signed(replaced, &old), &right.later),
        AuditRule::Container,
    );
    refused(
        with(signed(replaced, &key(71)), &right.later),
        AuditRule::Container,
    );
    // The new key ends an old round for no other reason, and the change is not there without need.
    let other = AbortReason::TooFewBeaconShares;
    refused(
        with(signed(other, &key(70)), &right.later),
        AuditRule::Container,
    );
    refused(with(signed(other, &key(70)), &[]), AuditRule::Abort);
    refused(
        with(signed(other, &old), &right.later),
        AuditRule::Container,
    );
    // Entries that are no part of the register, or more of it than is needed.
    refused(
        with(signed(replaced, &key(70)), &[vec![1, 2, 3]]),
        AuditRule::Roster,
    );
    let twice = [right.later.clone(), right.later.clone()].concat();
    refused(with(signed(replaced, &key(70)), &twice), AuditRule::Roster);
    let org = &world.organisations[3];
    let more = org.register(&world.federation.digest(), NOW).unwrap();
    let more = [right.later.clone(), vec![more.bytes().to_vec()]].concat();
    refused(
        with(signed(replaced, &key(70)), &more),
        AuditRule::Container,
    );
    let mut world = world;
    world.former.clear();
    // With the key of the log it is another purpose.
    let log_key = {
        let mut other = World::new(607);
        other.replace_server_key(ServerRole::Log, &key(70))
    };
    let report = audit(
        &world,
        &transcript(&world, &with(signed(replaced, &key(70)), &[log_key])),
    );
    assert_broken(&report, AuditRule::Container, Party::Provider);
}

trait Sign {
    fn signed(&self, key: &SecretKey) -> Terminal;
}

impl Sign for Aborted {
    fn signed(&self, key: &SecretKey) -> Terminal {
        Terminal::Aborted(Signed::sign(self, key).unwrap())
    }
}

/// Nobody let another key in: the aggregator ends a round that it does not like, at whatever stage, and the log alone shows it.
#[test]
fn a_round_that_is_ended_with_its_own_key_is_found_in_the_log() {
    let mut world = World::new(611);
    let first = world.play(None, &Script::default());
    let played = world.play(Some(&first), &Script::default());
    let Terminal::Aborted(replaced) = world.abort_replaced(&played, &key(70)).terminal else {
        panic!("aborted")
    };
    let ended = Terminal::Aborted(Signed::sign(replaced.peek(), &world.aggregator).unwrap());
    for stage in 0..=7 {
        let round = PlayedRound {
            terminal: ended.clone(),
            ..up_to(&played, stage)
        };
        let log = [before_rounds(&world), of_round(&first), of_round(&round)].concat();
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("1.dawn"), transcript(&world, &first)).unwrap();
        let written = file(&head(&log, &world.log), &log);
        fs::write(dir.path().join(LOG_FILE), written).unwrap();
        let report = verify_path(dir.path(), &options(&world)).unwrap();
        assert_broken(&report, AuditRule::Abort, Party::Aggregator);
    }
}

/// An abort because of the key holds at every stage, so that a verdict before it can be left out of the file: what it charged is
/// not the aggregator's lie.
#[test]
fn a_verdict_that_is_left_out_before_the_abort_convicts_nobody() {
    let mut world = World::new(612);
    let played = world.play(None, &Script::default());
    let aborted = world.abort_replaced(&played, &key(70));
    let before = world.register.clone();
    world.replace_server_key(ServerRole::Aggregator, &key(70));
    let second = world.play(Some(&aborted), &Script::default());
    let register = world.register.clone();
    let audit_with = |world: &World, first: Vec<u8>| {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("1.dawn"), first).unwrap();
        fs::write(dir.path().join("2.dawn"), transcript(world, &second)).unwrap();
        verify_path(dir.path(), &options(world)).unwrap()
    };
    for stage in 3..=7 {
        let cut = PlayedRound {
            later: aborted.later.clone(),
            terminal: aborted.terminal.clone(),
            ..up_to(&played, stage)
        };
        world.register.clone_from(&before);
        let first = transcript(&world, &cut);
        world.register.clone_from(&register);
        let report = audit_with(&world, first);
        assert!(report.passed(), "{stage}: {report}");
        let said = report
            .unchecked
            .iter()
            .any(|note| note.contains("ends at any stage"));
        assert!(said, "{:?}", report.unchecked);
    }
}
