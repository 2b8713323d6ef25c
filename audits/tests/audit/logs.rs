//! The log: without gaps, under its signed head, with everything in it and nobody heard twice.

use std::fs;

use dawn_audits::log::LogWriter;
use dawn_audits::verify::LOG_FILE;
use dawn_audits::{AuditReport, AuditRule, Options, Party, verify_path};
use dawn_crypto::digest::Digest;
use dawn_identity::{Change, Signed};
use dawn_protocol::{LogHead, Terminal};

use crate::assert_broken;
use crate::common::World;
pub use crate::common::log::{entries, head};
use crate::common::round::{PlayedRound, Script};
use crate::common::transcript::transcript;

pub fn file(head: &Signed<LogHead>, entries: &[Vec<u8>]) -> Vec<u8> {
    let mut writer = LogWriter::new(Vec::new(), head).unwrap();
    entries
        .iter()
        .for_each(|entry| writer.entry(entry).unwrap());
    writer.finish().unwrap()
}

fn audit(world: &World, round: &PlayedRound, log: &[u8]) -> AuditReport {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("1.dawn"), transcript(world, round)).unwrap();
    fs::write(dir.path().join(LOG_FILE), log).unwrap();
    verify_path(
        dir.path(),
        &Options {
            federation: Some(world.federation.digest()),
            ..Options::default()
        },
    )
    .unwrap()
}

pub fn scene(seed: u64) -> (World, PlayedRound, Vec<Vec<u8>>) {
    let mut world = World::new(seed);
    let round = world.play(None, &Script::default());
    let entries = entries(&world, &round);
    (world, round, entries)
}

#[test]
fn a_complete_log_passes() {
    let (world, round, entries) = scene(51);
    let report = audit(&world, &round, &file(&head(&entries, &world.log), &entries));
    assert!(report.passed(), "{report}");
    let log = report.log.clone().unwrap();
    assert_eq!(
        (log.size, log.statements_found),
        (entries.len() as u64, entries.len() - 1)
    );
    assert_eq!(report.unchecked.len(), 1, "no checkpoint is here: {report}");
}

#[test]
fn a_statement_that_is_not_in_the_log_is_hidden() {
    let (world, round, entries) = scene(52);
    // Three endorsements are enough, so that the fourth may never have come; nothing is logged after the end.
    let last = entries.last().unwrap().as_slice();
    let endorsements = round.endorsements.iter().map(Signed::bytes);
    let needless: Vec<&[u8]> = endorsements.chain([last]).collect();
    for place in 1..entries.len() {
        let mut fewer = entries.clone();
        let hidden = fewer.remove(place);
        let culprit = match needless.contains(&hidden.as_slice()) {
            true => Party::Provider,
            false => Party::Aggregator,
        };
        let report = audit(&world, &round, &file(&head(&fewer, &world.log), &fewer));
        assert_broken(&report, AuditRule::Log, culprit);
    }
}

#[test]
fn a_log_that_is_not_the_one_under_the_head_fails() {
    let (world, round, entries) = scene(53);
    let honest = head(&entries, &world.log);
    let provider = |log: &[u8]| {
        assert_broken(&audit(&world, &round, log), AuditRule::Log, Party::Provider);
    };
    let mut swapped = entries.clone();
    swapped.swap(0, 1);
    provider(&file(&honest, &swapped));
    provider(&file(&honest, &entries[..entries.len() - 1]));
    provider(&file(&honest, &[&entries[..], &entries[..1]].concat()));
    provider(&file(&head(&entries, &world.aggregator), &entries));
    let bytes = file(&honest, &entries);
    for len in [0, 3, 4, 9, 100, bytes.len() - 1] {
        provider(&bytes[..len]);
    }
    for at in (0..bytes.len()).step_by(997) {
        let mut changed = bytes.clone();
        changed[at] ^= 0x20;
        provider(&changed);
    }
}

/// Whoever hands a log over can write anything into it. Only under the head that the log's key signed is it the aggregator's.
#[test]
fn a_second_statement_that_somebody_wrote_into_the_file_blames_whoever_hands_it_over() {
    let (world, round, entries) = scene(58);
    let honest = head(&entries, &world.log);
    let mut verdict = round.verdict.as_ref().unwrap().peek().clone();
    verdict.spent_micro_rho += 1;
    let invented = Signed::sign(&verdict, &world.aggregator).unwrap();
    // The signature is of nobody: the last bytes are not the aggregator's.
    let mut unsigned = invented.bytes().to_vec();
    let last = unsigned.len() - 1;
    unsigned[last] ^= 1;
    for entry in [invented.bytes().to_vec(), unsigned] {
        let more = [&entries[..], &[entry]].concat();
        let report = audit(&world, &round, &file(&honest, &more));
        assert_broken(&report, AuditRule::Log, Party::Provider);
        let report = audit(&world, &round, &file(&head(&more, &world.log), &more));
        assert_broken(&report, AuditRule::Log, Party::Aggregator);
    }
}

/// What was logged before a specification or a closing is what they name: a revocation is not left out.
#[test]
fn a_revocation_that_was_logged_before_counts() {
    let (world, round, entries) = scene(56);
    let place = |bytes: &[u8]| entries.iter().position(|entry| entry == bytes).unwrap();
    let (spec, closed) = (
        place(round.spec.bytes()),
        place(round.closed.as_ref().unwrap().bytes()),
    );
    let org = &world.organisations[0];
    let change = Change::RevokeOrganisation;
    let event = org.event(&world.federation.digest(), (0, Digest([0; 32])), change, 1);
    let event = event.unwrap().bytes().to_vec();
    let audited = |at: usize| {
        let mut more = entries.clone();
        more.insert(at, event.clone());
        audit(&world, &round, &file(&head(&more, &world.log), &more))
    };
    for at in [1, spec, spec + 1, closed] {
        assert_broken(&audited(at), AuditRule::Log, Party::Aggregator);
    }
    assert!(audited(closed + 1).passed());
}

#[test]
fn two_statements_of_one_party_in_one_round_are_two_histories() {
    let (world, round, mut entries) = scene(54);
    let mut verdict = round.verdict.as_ref().unwrap().peek().clone();
    verdict.spent_micro_rho += 1;
    entries.push(
        Signed::sign(&verdict, &world.aggregator)
            .unwrap()
            .bytes()
            .to_vec(),
    );
    let report = audit(&world, &round, &file(&head(&entries, &world.log), &entries));
    assert_broken(&report, AuditRule::Log, Party::Aggregator);

    // A result and an abort are two ends.
    entries.pop();
    let context = world.context.verify_spec(&round.spec).unwrap();
    let open = dawn_protocol::RoundOpen::new(context, &round.endorsements).unwrap();
    let Terminal::Aborted(abort) = world.abort(&open, dawn_protocol::AbortReason::Policy) else {
        panic!("not an abort")
    };
    entries.push(abort.bytes().to_vec());
    let report = audit(&world, &round, &file(&head(&entries, &world.log), &entries));
    assert_broken(&report, AuditRule::Log, Party::Aggregator);
}
