//! What the log says of a round, beside what its transcript says: who hides something, and rounds that came further than
//! their abort.

use std::fs;

use curve25519_dalek::edwards::EdwardsPoint;
use curve25519_dalek::scalar::{Scalar, clamp_integer};
use dawn_audits::verify::LOG_FILE;
use dawn_audits::{AuditReport, AuditRule, Options, Party, verify_path};
use dawn_crypto::digest::labels;
use dawn_identity::{SecretKey, Signed};
use dawn_protocol::transcript::Kind;
use dawn_protocol::{AbortReason, Aborted, RoundOpen, Terminal};
use sha2::{Digest as _, Sha512};

use crate::assert_broken;
use crate::common::World;
use crate::common::round::{PlayedRound, Script};
use crate::common::transcript::{Draft, transcript};
use crate::logs::{entries, file, head, scene};

/// Audits a transcript beside a log.
fn beside(world: &World, transcript: &[u8], log: &[Vec<u8>]) -> AuditReport {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("1.dawn"), transcript).unwrap();
    let log = file(&head(log, &world.log), log);
    fs::write(dir.path().join(LOG_FILE), log).unwrap();
    let options = Options {
        federation: Some(world.federation.digest()),
        ..Options::default()
    };
    verify_path(dir.path(), &options).unwrap()
}

/// The same statement with another signature that verifies, which whoever has the key can make at any time: Ed25519 with
/// another nonce than that of RFC 8032.
fn signed_again(envelope: &[u8], key: &SecretKey) -> Vec<u8> {
    let mut d = minicbor::Decoder::new(envelope);
    d.tag().unwrap();
    d.array().unwrap();
    let header = d.bytes().unwrap();
    d.map().unwrap();
    let payload = d.bytes().unwrap();
    let mut message = vec![];
    let mut e = minicbor::Encoder::new(&mut message);
    e.array(4).unwrap().str("Signature1").unwrap();
    e.bytes(header).unwrap();
    e.bytes(labels::ENVELOPE_AAD.as_bytes()).unwrap();
    e.bytes(payload).unwrap();
    let hashed = |parts: &[&[u8]]| {
        let mut hash = Sha512::new();
        parts.iter().for_each(|part| hash.update(part));
        <[u8; 64]>::from(hash.finalize())
    };
    let secret = hashed(&[&key.to_seed()[..]]);
    let secret = Scalar::from_bytes_mod_order(clamp_integer(secret[..32].try_into().unwrap()));
    let nonce = Scalar::from_bytes_mod_order_wide(&hashed(&[b"another", &message]));
    let point = EdwardsPoint::mul_base(&nonce).compress();
    let public = key.public();
    let hash = hashed(&[point.as_bytes(), public.as_bytes(), &message]);
    let answer = nonce + Scalar::from_bytes_mod_order_wide(&hash) * secret;
    let mut again = envelope.to_vec();
    let at = again.len() - 64;
    again[at..at + 32].copy_from_slice(point.as_bytes());
    again[at + 32..].copy_from_slice(answer.as_bytes());
    assert_ne!(again, envelope);
    again
}

fn place(log: &[Vec<u8>], entry: &[u8]) -> usize {
    log.iter().position(|logged| logged == entry).unwrap()
}

fn without(log: &[Vec<u8>], entry: &[u8]) -> Vec<Vec<u8>> {
    let mut fewer = log.to_vec();
    fewer.remove(place(log, entry));
    fewer
}

/// What the aggregator logs when it aborts a round, whatever it has logged before.
fn aborted(world: &World, round: &PlayedRound, reason: AbortReason) -> Terminal {
    let context = world.context.verify_spec(&round.spec).unwrap();
    world.abort(
        &RoundOpen::new(context, &round.endorsements).unwrap(),
        reason,
    )
}

/// Whoever hands over a newer transcript beside an older log, both honest, is not the aggregator.
#[test]
fn an_older_log_beside_a_newer_transcript_blames_nobody_who_signed() {
    let (world, round, log) = scene(571);
    let bytes = transcript(&world, &round);
    for len in 1..log.len() {
        let report = beside(&world, &bytes, &log[..len]);
        assert_broken(&report, AuditRule::Log, Party::Provider);
    }
}

/// A steward or an owner that works with whoever hands over the transcript can sign again what it has signed, or what it
/// never sent.
#[test]
fn what_was_signed_again_or_never_sent_blames_nobody_else() {
    let (world, round, log) = scene(572);
    let owner = world.organisations[0].issuer();
    for (kind, key) in [
        (Kind::Task, owner),
        (Kind::Endorsement, world.steward_key(1)),
        (Kind::Report, world.steward_key(1)),
        (Kind::Opening, world.steward_key(1)),
    ] {
        let mut draft = Draft::of(&world, &round);
        let record = draft.nth(kind, 0);
        *record = signed_again(record, key);
        let report = beside(&world, &draft.seal(), &log);
        assert_broken(&report, AuditRule::Log, Party::Provider);
    }
    // The fourth endorsement never came; three are enough.
    let bytes = transcript(&world, &round);
    let fourth = round.endorsements.last().unwrap();
    let report = beside(&world, &bytes, &without(&log, fourth.bytes()));
    assert_broken(&report, AuditRule::Log, Party::Provider);
    // An opening that came after the abort, or never: an abort names none.
    let mut world = World::new(573);
    let silent = Script {
        silent_openers: vec![1, 2],
        ..Script::default()
    };
    let round = world.play(None, &silent);
    let log = entries(&world, &round);
    let bytes = transcript(&world, &round);
    assert!(beside(&world, &bytes, &log).passed());
    let fewer = without(&log, round.openings[0].bytes());
    let report = beside(&world, &bytes, &fewer);
    assert_broken(&report, AuditRule::Log, Party::Provider);
}

/// Whatever a later statement of the aggregator in the log rests on is in the log.
#[test]
fn what_the_log_goes_on_from_is_hidden_by_the_aggregator() {
    let (world, round, log) = scene(574);
    let bytes = transcript(&world, &round);
    let shares = &round.challenge.as_ref().unwrap().peek().shares;
    let keys = round.spec.peek().sealing_keys.iter().flatten();
    let mut hidden = vec![
        world.task.bytes(),
        round.spec.bytes(),
        round.closed.as_ref().unwrap().bytes(),
        shares[0].bytes(),
        round.challenge.as_ref().unwrap().bytes(),
        round.reports[1].bytes(),
        round.verdict.as_ref().unwrap().bytes(),
        round.openings[2].bytes(),
    ];
    hidden.extend(keys.map(Signed::bytes));
    for entry in hidden {
        let report = beside(&world, &bytes, &without(&log, entry));
        assert_broken(&report, AuditRule::Log, Party::Aggregator);
    }
    let mut fewer = without(&log, round.endorsements[0].bytes());
    fewer = without(&fewer, round.endorsements[3].bytes());
    let report = beside(&world, &bytes, &fewer);
    assert_broken(&report, AuditRule::Log, Party::Aggregator);
}

/// A round comes to its end in the log, so that the aggregator could compute the sum; and it is aborted, in a transcript that
/// stops where the reason would hold.
#[test]
fn a_round_that_came_further_than_its_abort_is_found_beside_the_log() {
    let (world, round, mut log) = scene(575);
    log.pop();
    let unopened = PlayedRound {
        openings: vec![],
        ..round.clone()
    };
    let unreported = PlayedRound {
        verdict: None,
        reports: vec![],
        answers: vec![],
        ..unopened.clone()
    };
    let unasked = PlayedRound {
        challenge: None,
        ..unreported.clone()
    };
    let empty = PlayedRound {
        closed: None,
        submissions: vec![],
        ..unasked.clone()
    };
    let until = |entry: &[u8]| place(&log, entry);
    let (closed, asked) = (round.closed.as_ref(), round.challenge.as_ref());
    let judged = until(round.verdict.as_ref().unwrap().bytes());
    let (closed, asked) = (
        until(closed.unwrap().bytes()),
        until(asked.unwrap().bytes()),
    );
    for (told, reason, tells) in [
        (unopened, AbortReason::TooFewOpenings, log.len()),
        (unreported.clone(), AbortReason::TooFewReports, judged),
        (unasked, AbortReason::TooFewBeaconShares, asked),
        (empty, AbortReason::TooFewSubmissions, closed + 1),
    ] {
        let end = aborted(&world, &round, reason);
        let told = PlayedRound {
            terminal: end.clone(),
            ..told
        };
        let bytes = transcript(&world, &told);
        assert!(crate::audit(&world, &bytes).passed(), "{reason}");
        // With all of it in the log, and with no more than speaks against the reason.
        for len in [log.len(), tells] {
            let logged = [&log[..len], &[end.bytes().to_vec()]].concat();
            let report = beside(&world, &bytes, &logged);
            let finding = report.finding.expect("the abort passes");
            assert_eq!(finding.culprit, Party::Aggregator, "{reason}: {finding}");
            let found = [AuditRule::Abort, AuditRule::Log].contains(&finding.rule);
            assert!(found, "{reason}: {finding}");
        }
    }
    // Without one of the reports that are needed the reason holds, and they are in the transcript or left out of it.
    let end = aborted(&world, &round, AbortReason::TooFewReports);
    let few = log[..judged - 2].to_vec();
    let logged = [&few[..], &[end.bytes().to_vec()]].concat();
    let told = PlayedRound {
        terminal: end,
        reports: round.reports[..2].to_vec(),
        answers: round.answers[..2].to_vec(),
        ..unreported
    };
    let report = beside(&world, &transcript(&world, &told), &logged);
    assert!(report.passed(), "{report}");
    let untold = PlayedRound {
        reports: vec![],
        answers: vec![],
        ..told
    };
    let report = beside(&world, &transcript(&world, &untold), &logged);
    assert_broken(&report, AuditRule::Log, Party::Provider);
}

/// The same before there is a round to speak of.
#[test]
fn enough_sealing_keys_and_endorsements_in_the_log_refute_their_want() {
    let (world, round, log) = scene(576);
    let whole = Draft::of(&world, &round);
    let spec = place(&log, round.spec.bytes());
    let context = world.context.verify_spec(&round.spec).unwrap();
    let early = |kinds: &[Kind], session, reason| {
        let aborted = Aborted {
            round: context.round_id(),
            session,
            reason,
            detail: String::new(),
            model: context.spec().model,
            previous: None,
            direction: None,
            draw: None,
        };
        let end = Signed::sign(&aborted, &world.aggregator).unwrap();
        let told = whole.ended_early(kinds, &end);
        (told.seal(), end.bytes().to_vec())
    };
    let unspecified = early(&[], None, AbortReason::TooFewSealingKeys);
    let session = Some(context.session());
    let unendorsed = early(&[Kind::Spec], session, AbortReason::TooFewEndorsements);
    let needed = |least: u8| usize::from(least);
    let threshold = world.context.threshold();
    for ((bytes, end), first, most, left_out) in [
        (&unspecified, spec - 4, needed(threshold.a()), false),
        (&unendorsed, spec + 1, needed(threshold.t()), true),
    ]
    .map(|(told, first, most, left_out)| ((&told.0, &told.1), first, most, left_out))
    {
        for came in 0..=4 {
            let logged = [&log[..first + came], std::slice::from_ref(end)].concat();
            let report = beside(&world, bytes, &logged);
            if came >= most {
                let finding = report.finding.expect("the abort passes");
                assert_eq!(finding.culprit, Party::Aggregator, "{came}: {finding}");
                assert_eq!(finding.rule, AuditRule::Abort, "{came}: {finding}");
            } else if left_out && came > 0 {
                assert_broken(&report, AuditRule::Log, Party::Provider);
            } else {
                assert!(report.passed(), "{came}: {report}");
            }
        }
    }
    // Nor does it help to specify the round first.
    let (bytes, end) = &unspecified;
    let logged = [&log[..=spec], std::slice::from_ref(end)].concat();
    let report = beside(&world, bytes, &logged);
    assert_broken(&report, AuditRule::Abort, Party::Aggregator);
}

/// A report or an opening that was logged, and that the aggregator did not weigh.
#[test]
fn what_was_logged_and_not_weighed_is_the_aggregators() {
    let mut world = World::new(577);
    let round = world.play(None, &Script::default());
    let full = entries(&world, &round);
    // The same round in which one steward says nothing to the verdict.
    let mut world = World::new(577);
    let silent = Script {
        silent_openers: vec![4],
        ..Script::default()
    };
    let fewer = world.play(None, &silent);
    let log = entries(&world, &fewer);
    assert!(beside(&world, &transcript(&world, &fewer), &log).passed());
    let opening = round.openings[3].bytes();
    assert!(full.iter().any(|entry| entry == opening));
    let mut more = log.clone();
    more.insert(log.len() - 1, opening.to_vec());
    let report = beside(&world, &transcript(&world, &fewer), &more);
    assert_broken(&report, AuditRule::Log, Party::Aggregator);
    // What came after the end was not for the round.
    more = log.clone();
    more.push(opening.to_vec());
    assert!(beside(&world, &transcript(&world, &fewer), &more).passed());
}
