//! The server's keys are replaced: the auditor takes each statement under the key of its place, and nothing under the old one.

use std::fs;
use std::io::Cursor;

use dawn_audits::inclusion::{InclusionError, Outcome, Submitted, prove};
use dawn_audits::verify::LOG_FILE;
use dawn_audits::witness::CHECKPOINT_FILE;
use dawn_audits::{AuditReport, AuditRule, Options, Party, verify_path};
use dawn_crypto::merkle;
use dawn_identity::{SecretKey, ServerRole, Signed, Statement};
use dawn_protocol::tlog::{Checkpoint, origin};
use dawn_protocol::transcript::Kind;
use dawn_protocol::{Digest, LogHead, Receipt, Terminal};

use crate::common::log::{before_rounds, head, of_round};
use crate::common::round::{PlayedRound, Script};
use crate::common::transcript::{Draft, transcript};
use crate::common::{NOW, World};
use crate::logs::file;
use crate::{assert_broken, audit};

pub fn key(seed: u8) -> SecretKey {
    SecretKey::from_seed(&[seed; 32])
}

pub fn options(world: &World) -> Options {
    Options {
        federation: Some(world.federation.digest()),
        ..Options::default()
    }
}

/// A round under each of two keys of the aggregator, with the key of the log replaced between them as well.
struct Story {
    world: World,
    old: SecretKey,
    old_log: SecretKey,
    files: [Vec<u8>; 2],
    rounds: [PlayedRound; 2],
    log: Vec<Vec<u8>>,
    /// Entries before the changes.
    before: usize,
}

impl Story {
    fn new(seed: u64) -> Self {
        let mut world = World::new(seed);
        let first = world.play(None, &Script::default());
        let first_file = transcript(&world, &first);
        let mut log = [before_rounds(&world), of_round(&first)].concat();
        let before = log.len();
        let old = SecretKey::from_seed(&world.aggregator.to_seed());
        let old_log = SecretKey::from_seed(&world.log.to_seed());
        log.push(world.replace_server_key(ServerRole::Aggregator, &key(70)));
        log.push(world.replace_server_key(ServerRole::Log, &key(71)));
        let second = world.play(Some(&first), &Script::default());
        log.extend(of_round(&second));
        let files = [first_file, transcript(&world, &second)];
        Self {
            world,
            old,
            old_log,
            files,
            rounds: [first, second],
            log,
            before,
        }
    }

    fn checkpoint(&self, size: usize, key: &SecretKey) -> String {
        let leaves: Vec<Digest> = self.log[..size]
            .iter()
            .map(|entry| merkle::leaf_hash(entry))
            .collect();
        let checkpoint = Checkpoint {
            origin: origin(&self.world.federation.digest()),
            size: size as u64,
            root: merkle::root(&leaves),
        };
        checkpoint.sign(key).to_text()
    }

    fn audit(&self, head: &Signed<LogHead>, checkpoint: Option<String>) -> AuditReport {
        let dir = tempfile::tempdir().unwrap();
        for (name, bytes) in ["1.dawn", "2.dawn"].iter().zip(&self.files) {
            fs::write(dir.path().join(name), bytes).unwrap();
        }
        fs::write(dir.path().join(LOG_FILE), file(head, &self.log)).unwrap();
        if let Some(checkpoint) = checkpoint {
            fs::write(dir.path().join(CHECKPOINT_FILE), checkpoint).unwrap();
        }
        verify_path(dir.path(), &options(&self.world)).unwrap()
    }

    fn head(&self) -> Signed<LogHead> {
        head(&self.log, &self.world.log)
    }
}

#[test]
fn rounds_under_both_keys_pass_with_their_log() {
    let story = Story::new(601);
    let signers = [&story.rounds[0], &story.rounds[1]].map(|round| round.spec.signer());
    assert_eq!(signers, [story.old.public().id(), key(70).public().id()]);
    for bytes in &story.files {
        let report = audit(&story.world, bytes);
        assert!(report.passed(), "{report}");
    }
    let report = story.audit(&story.head(), None);
    assert!(report.passed(), "{report}");
    assert_eq!(report.rounds.len(), 2);
}

#[test]
fn the_newest_key_signs_the_log_and_the_old_one_only_what_was_before() {
    let story = Story::new(602);
    let (all, before) = (story.log.len(), story.before);
    // Before the change of the log's key, which is the second of two.
    for (size, key) in [
        (before, &story.old_log),
        (before + 1, &story.old_log),
        (before, &story.world.log),
        (before + 2, &story.world.log),
        (all, &story.world.log),
    ] {
        let report = story.audit(&story.head(), Some(story.checkpoint(size, key)));
        assert!(report.passed(), "{size}: {report}");
    }
    for (size, key) in [
        (before + 2, &story.old_log),
        (all, &story.old_log),
        (before, &story.old),
        (all, &key(72)),
    ] {
        let report = story.audit(&story.head(), Some(story.checkpoint(size, key)));
        assert_broken(&report, AuditRule::Log, Party::Provider);
    }
    let stolen = head(&story.log, &story.old_log);
    assert_broken(&story.audit(&stolen, None), AuditRule::Log, Party::Provider);
    let finding = story.audit(&stolen, None).finding.unwrap().to_string();
    assert!(finding.contains("replaced"), "{finding}");
}

fn put<T: Statement>(draft: &mut Draft, kind: Kind, body: &T, key: &SecretKey) {
    *draft.nth(kind, 0) = Signed::sign(body, key).unwrap().bytes().to_vec();
}

#[test]
fn a_specification_under_a_key_that_is_not_that_of_its_place_is_the_aggregators_fault() {
    let mut story = Story::new(603);
    let [first, second] = story.rounds.clone();
    // The old key at the new place: whoever has stolen it.
    let mut draft = Draft::of_bytes(&story.files[1]);
    put(&mut draft, Kind::Spec, second.spec.peek(), &story.old);
    let report = audit(&story.world, &draft.seal());
    assert_broken(&report, AuditRule::RoundSpec, Party::Aggregator);
    // The new key at the old place.
    let mut spec = second.spec.peek().clone();
    spec.register = first.spec.peek().register;
    let mut draft = Draft::of_bytes(&story.files[1]);
    put(&mut draft, Kind::Spec, &spec, &key(70));
    let report = audit(&story.world, &draft.seal());
    assert_broken(&report, AuditRule::RoundSpec, Party::Aggregator);
    // The old key at the old place is a round that the log does not have there.
    let stolen = Signed::sign(&spec, &story.old).unwrap();
    let at = story
        .log
        .iter()
        .position(|entry| entry == second.spec.bytes())
        .unwrap();
    story.log[at] = stolen.bytes().to_vec();
    let report = story.audit(&story.head(), None);
    assert_broken(&report, AuditRule::Log, Party::Aggregator);
}

#[test]
fn what_is_said_in_a_round_under_another_key_than_its_own_is_nobodys() {
    let story = Story::new(604);
    for (file, round, other) in [
        (&story.files[0], &story.rounds[0], &key(70)),
        (&story.files[1], &story.rounds[1], &story.old),
    ] {
        let refused = |draft: Draft, rule| {
            assert_broken(&audit(&story.world, &draft.seal()), rule, Party::Provider);
        };
        let draft = Draft::of_bytes(file);
        let mut changed = draft.clone();
        put(
            &mut changed,
            Kind::Closed,
            round.closed.as_ref().unwrap().peek(),
            other,
        );
        refused(changed, AuditRule::Closed);
        let mut changed = draft.clone();
        let challenge = round.challenge.as_ref().unwrap();
        put(&mut changed, Kind::Challenge, challenge.peek(), other);
        refused(changed, AuditRule::Challenge);
        let mut changed = draft.clone();
        put(
            &mut changed,
            Kind::Verdict,
            round.verdict.as_ref().unwrap().peek(),
            other,
        );
        refused(changed, AuditRule::Verdict);
        let Terminal::Result(result) = &round.terminal else {
            panic!("it opened")
        };
        let mut changed = draft;
        put(&mut changed, Kind::Result, result.peek(), other);
        refused(changed, AuditRule::Result);
    }
}

/// A closing that names a place after the change: the key was not the aggregator's any more.
#[test]
fn a_closing_after_the_change_is_the_aggregators_fault() {
    let mut world = World::new(605);
    let round = world.play(None, &Script::default());
    let old = SecretKey::from_seed(&world.aggregator.to_seed());
    world.replace_server_key(ServerRole::Aggregator, &key(70));
    let mut draft = Draft::of(&world, &round);
    let mut closed = round.closed.as_ref().unwrap().peek().clone();
    closed.register = world.members().head();
    put(&mut draft, Kind::Closed, &closed, &old);
    let report = audit(&world, &draft.seal());
    assert_broken(&report, AuditRule::Closed, Party::Aggregator);
}

/// What the log has after the change is under the new key, whoever wrote it there.
#[test]
fn a_statement_under_the_old_key_after_the_change_breaks_the_log() {
    let mut world = World::new(608);
    let played = world.play(None, &Script::default());
    let file_of = transcript(&world, &played);
    let mut log = [before_rounds(&world), of_round(&played)].concat();
    let event = world.replace_server_key(ServerRole::Aggregator, &key(70));
    let kinds = ["closed", "challenge", "verdict", "result"];
    let statements = [
        played.closed.as_ref().unwrap().bytes(),
        played.challenge.as_ref().unwrap().bytes(),
        played.verdict.as_ref().unwrap().bytes(),
        played.terminal.bytes(),
    ];
    for (kind, bytes) in kinds.iter().zip(statements) {
        let at = log.iter().position(|entry| entry == bytes).unwrap();
        log.insert(at, event.clone());
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("1.dawn"), &file_of).unwrap();
        let written = file(&head(&log, &world.log), &log);
        fs::write(dir.path().join(LOG_FILE), written).unwrap();
        let report = verify_path(dir.path(), &options(&world)).unwrap();
        assert_broken(&report, AuditRule::Log, Party::Aggregator);
        let finding = report.finding.unwrap().to_string();
        // A closing names the register before it, too; whichever is found first.
        assert!(
            *kind == "closed" || finding.contains("replaced"),
            "{finding}"
        );
        log.remove(at);
    }
}

/// Two ends of one round under two keys are two histories, as under one.
#[test]
fn the_aggregator_is_one_party_whichever_key_it_has() {
    let mut world = World::new(609);
    let played = world.play(None, &Script::default());
    let bytes = transcript(&world, &played);
    let aborted = world.abort_replaced(&played, &key(70));
    let mut log = [before_rounds(&world), of_round(&played)].concat();
    log.extend(aborted.later.iter().cloned());
    log.push(aborted.terminal.bytes().to_vec());
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("1.dawn"), bytes).unwrap();
    fs::write(
        dir.path().join(LOG_FILE),
        file(&head(&log, &world.log), &log),
    )
    .unwrap();
    let report = verify_path(dir.path(), &options(&world)).unwrap();
    assert_broken(&report, AuditRule::Log, Party::Aggregator);
}

#[test]
fn a_receipt_counts_under_the_key_of_its_round() {
    let story = Story::new(610);
    let outcome = |place: usize, key: &SecretKey| {
        let (round, bytes) = (&story.rounds[place], &story.files[place]);
        let header = round.submissions[0].header.peek();
        let receipt = Receipt {
            round: round.spec.peek().round,
            session: header.session,
            device: header.credential.claimed_device(),
            header: round.submissions[0].header.envelope_digest(),
            received_ms: NOW * 1000,
        };
        let submitted = Submitted::of(&Signed::sign(&receipt, key).unwrap());
        prove(&mut Cursor::new(bytes), &options(&story.world), &submitted)
    };
    for (place, right, wrong) in [(0, &story.old, &key(70)), (1, &key(70), &story.old)] {
        let found = outcome(place, right).unwrap().outcome;
        assert!(matches!(found, Outcome::Counted { .. }), "{found:?}");
        for wrong in [wrong, &key(72)] {
            let found = outcome(place, wrong);
            assert!(
                matches!(found, Err(InclusionError::Receipt(_))),
                "{found:?}"
            );
        }
    }
}
