//! What stewards are blamed for, and what they are not: only what no honest one would sign.

use dawn_audits::{AuditRule, Party};
use dawn_crypto::digest::Digest;
use dawn_crypto::shamir::ShareSum;
use dawn_identity::{SecretKey, Signed};
use dawn_protocol::Terminal;
use dawn_protocol::answers::answers_digest;
use dawn_protocol::transcript::Kind;

use crate::common::round::Script;
use crate::common::transcript::{Draft, transcript};
use crate::common::{Plan, World};
use crate::lies::{with_result, world_and_round};
use crate::{assert_broken, audit};

#[test]
fn statements_signed_by_the_wrong_party_blame_nobody_who_did_not_sign() {
    let (world, round) = world_and_round(23);
    let stranger = SecretKey::from_seed(&[7; 32]);
    let mut draft = Draft::of(&world, &round);
    let original = draft.clone();
    let mut caught = |kind: Kind, bytes: &[u8], rule: AuditRule| {
        draft = original.clone();
        *draft.nth(kind, 0) = bytes.to_vec();
        assert_broken(&audit(&world, &draft.seal()), rule, Party::Provider);
    };
    macro_rules! by_others {
        ($kind:expr, $signed:expr, $rule:expr) => {
            for key in [
                &stranger,
                &world.log,
                world.steward_key(2),
                world.organisations[1].root(),
            ] {
                caught(
                    $kind,
                    Signed::sign($signed.peek(), key).unwrap().bytes(),
                    $rule,
                );
            }
        };
    }
    by_others!(Kind::Task, world.task, AuditRule::Task);
    by_others!(Kind::Spec, round.spec, AuditRule::RoundSpec);
    by_others!(
        Kind::Endorsement,
        round.endorsements[0],
        AuditRule::Endorsements
    );
    by_others!(
        Kind::Closed,
        round.closed.as_ref().unwrap(),
        AuditRule::Closed
    );
    by_others!(
        Kind::Challenge,
        round.challenge.as_ref().unwrap(),
        AuditRule::Challenge
    );
    by_others!(Kind::Report, round.reports[0], AuditRule::Reports);
    by_others!(
        Kind::Verdict,
        round.verdict.as_ref().unwrap(),
        AuditRule::Verdict
    );
    by_others!(Kind::Opening, round.openings[0], AuditRule::Openings);
    let Terminal::Result(result) = &round.terminal else {
        panic!("no result")
    };
    by_others!(Kind::Result, result, AuditRule::Result);
    // A header signed by another device's key changes the closed list.
    by_others!(Kind::Header, round.submissions[0].header, AuditRule::Closed);
}

#[test]
fn stewards_are_blamed_for_what_no_honest_one_says() {
    let (world, round) = world_and_round(25);
    let steward = world.steward_id(1);
    let mut short = round.clone();
    let mut body = short.reports[0].peek().clone();
    body.outcomes.pop();
    let three = short.answers[0].len() / 4 * 3;
    short.answers[0].truncate(three);
    body.answers = answers_digest(&short.answers[0]);
    short.reports[0] = Signed::sign(&body, world.steward_key(1)).unwrap();
    let report = audit(&world, &transcript(&world, &short));
    assert_broken(&report, AuditRule::Reports, Party::Steward(steward));

    let mut twice = round.clone();
    let mut body = twice.reports[0].peek().clone();
    body.root = Digest([1; 32]);
    twice
        .reports
        .insert(1, Signed::sign(&body, world.steward_key(1)).unwrap());
    twice.answers.insert(1, twice.answers[0].clone());
    let report = audit(&world, &transcript(&world, &twice));
    assert_broken(&report, AuditRule::Reports, Party::Steward(steward));

    let mut twice = round.clone();
    let mut body = twice.openings[0].peek().clone();
    body.share_sum = ShareSum::zero();
    twice
        .openings
        .insert(1, Signed::sign(&body, world.steward_key(1)).unwrap());
    let report = audit(&world, &transcript(&world, &twice));
    assert_broken(&report, AuditRule::Openings, Party::Steward(steward));
}

/// What a steward answers is its own only when its report names it.
#[test]
fn answers_that_are_not_elements_or_not_the_stewards() {
    let (world, round) = world_and_round(35);
    let mut stray = round.clone();
    stray.answers[1][8..12].copy_from_slice(&u32::MAX.to_le_bytes());
    let report = audit(&world, &transcript(&world, &stray));
    assert_broken(&report, AuditRule::Answers, Party::Provider);
    let mut body = stray.reports[1].peek().clone();
    body.answers = answers_digest(&stray.answers[1]);
    stray.reports[1] = Signed::sign(&body, world.steward_key(2)).unwrap();
    let report = audit(&world, &transcript(&world, &stray));
    let steward = Party::Steward(world.steward_id(2));
    assert_broken(&report, AuditRule::Answers, steward);
    // Answers that are signed for and whole are a lie at most; the verdict is about others.
    let mut other = round.clone();
    other.answers[1][8] ^= 1;
    body.answers = answers_digest(&other.answers[1]);
    other.reports[1] = Signed::sign(&body, world.steward_key(2)).unwrap();
    let report = audit(&world, &transcript(&world, &other));
    assert_broken(&report, AuditRule::Reports, Party::Provider);
    let mut swapped = round;
    swapped.answers.swap(0, 1);
    let report = audit(&world, &transcript(&world, &swapped));
    assert_broken(&report, AuditRule::Answers, Party::Provider);
}

#[test]
fn a_steward_that_may_not_open_answers() {
    let plan = Plan {
        organisations: 6,
        devices: 6,
        ..Plan::default()
    };
    let mut world = World::with(26, &plan);
    let script = Script {
        complaints: vec![(6, 0)],
        ..Script::default()
    };
    let mut round = world.play(None, &script);
    let mut body = round.openings[0].peek().clone();
    assert!(!round.verdict.as_ref().unwrap().peek().openers.contains(&6));
    body.steward = world.steward_id(6);
    round
        .openings
        .push(Signed::sign(&body, world.steward_key(6)).unwrap());
    let report = audit(&world, &transcript(&world, &round));
    assert_broken(
        &report,
        AuditRule::Openings,
        Party::Steward(world.steward_id(6)),
    );
}

#[test]
fn answers_to_what_another_was_shown_do_not_blame_the_steward() {
    // A lying aggregator shows one steward another root and another verdict; it answers honestly.
    let (world, round) = world_and_round(27);
    let mut other = round.clone();
    let mut body = other.reports[0].peek().clone();
    body.root = Digest([1; 32]);
    other.reports[0] = Signed::sign(&body, world.steward_key(1)).unwrap();
    let report = audit(&world, &transcript(&world, &other));
    assert_broken(&report, AuditRule::Reports, Party::Provider);
    let mut other = round.clone();
    let mut body = other.reports[0].peek().clone();
    body.challenge = Digest([1; 32]);
    other.reports[0] = Signed::sign(&body, world.steward_key(1)).unwrap();
    let report = audit(&world, &transcript(&world, &other));
    assert_broken(&report, AuditRule::Reports, Party::Provider);
    let mut other = round;
    let mut body = other.openings[0].peek().clone();
    body.verdict = Digest([1; 32]);
    other.openings[0] = Signed::sign(&body, world.steward_key(1)).unwrap();
    let report = audit(&world, &transcript(&world, &other));
    assert_broken(&report, AuditRule::Openings, Party::Provider);
}

#[test]
fn a_lying_steward_that_the_aggregator_covers_for() {
    let plan = Plan {
        organisations: 6,
        devices: 6,
        ..Plan::default()
    };
    let mut world = World::with(12, &plan);
    let round = world.play(
        None,
        &Script {
            lying_openers: vec![5],
            ..Script::default()
        },
    );
    let bytes = with_result(&world, &round, |result| {
        assert_eq!(result.culprits.len(), 1);
        result.culprits.clear();
    });
    assert_broken(&audit(&world, &bytes), AuditRule::Result, Party::Aggregator);
}
