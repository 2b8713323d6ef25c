//! Fully signed, dishonest transcripts: each lie is caught, by its rule, and the liar is named.

use dawn_audits::{AuditRule, Party};
use dawn_crypto::digest::Digest;
use dawn_crypto::mask::payload_digest;
use dawn_crypto::vrf::{self, VrfSecretKey};
use dawn_identity::{Signed, Statement};
use dawn_learn::Model;
use dawn_protocol::beacon::beacon_input;
use dawn_protocol::digests::{matrix_seed, model_digest};
use dawn_protocol::{
    BeaconShare, Challenge, Closed, Decision, RoundResult, RoundSpec, Terminal, Verdict,
};

use crate::common::round::{Cheat, PlayedRound, Script};
use crate::common::transcript::transcript;
use crate::common::{Plan, World};
use crate::{assert_broken, audit};

pub fn world_and_round(seed: u64) -> (World, PlayedRound) {
    let mut world = World::new(seed);
    let round = world.play(None, &Script::default());
    (world, round)
}

/// The round with a statement that was changed and then signed by the aggregator.
pub fn resigned<T: Statement + Clone>(
    world: &World,
    signed: &Signed<T>,
    change: impl FnOnce(&mut T),
) -> Signed<T> {
    let mut body = signed.peek().clone();
    change(&mut body);
    Signed::sign(&body, &world.aggregator).unwrap()
}

pub fn with_result(
    world: &World,
    round: &PlayedRound,
    change: impl FnOnce(&mut RoundResult),
) -> Vec<u8> {
    let mut round = round.clone();
    let Terminal::Result(result) = &round.terminal else {
        panic!("no result")
    };
    round.terminal = Terminal::Result(resigned(world, result, change));
    transcript(world, &round)
}

pub fn with_verdict(
    world: &World,
    round: &PlayedRound,
    change: impl FnOnce(&mut Verdict),
) -> Vec<u8> {
    let mut round = round.clone();
    round.verdict = round
        .verdict
        .map(|verdict| resigned(world, &verdict, change));
    transcript(world, &round)
}

fn with_closed(world: &World, round: &PlayedRound, change: impl FnOnce(&mut Closed)) -> Vec<u8> {
    let mut round = round.clone();
    round.closed = round.closed.map(|closed| resigned(world, &closed, change));
    transcript(world, &round)
}

fn with_spec(world: &World, round: &PlayedRound, change: impl FnOnce(&mut RoundSpec)) -> Vec<u8> {
    let mut round = round.clone();
    round.spec = resigned(world, &round.spec, change);
    transcript(world, &round)
}

#[test]
fn lies_in_the_result() {
    let (world, round) = world_and_round(11);
    let caught = |change: fn(&mut RoundResult), rule| {
        let bytes = with_result(&world, &round, change);
        assert_broken(&audit(&world, &bytes), rule, Party::Aggregator);
    };
    caught(|result| result.sum = Digest([1; 32]), AuditRule::Sum);
    caught(|result| result.model = Digest([1; 32]), AuditRule::Model);
    caught(|result| result.accepted -= 1, AuditRule::Result);
    caught(|result| result.verdict = Digest([1; 32]), AuditRule::Result);
    caught(
        |result| result.session.0 = Digest([1; 32]),
        AuditRule::Result,
    );
    caught(
        |result| {
            result.points.remove(0);
        },
        AuditRule::Result,
    );
    let innocent = world.steward_id(3);
    let bytes = with_result(&world, &round, |result| result.culprits = vec![innocent]);
    assert_broken(&audit(&world, &bytes), AuditRule::Result, Party::Aggregator);
}

#[test]
fn lies_in_the_verdict() {
    let (world, round) = world_and_round(13);
    let caught = |change: fn(&mut Verdict), rule| {
        let bytes = with_verdict(&world, &round, change);
        assert_broken(&audit(&world, &bytes), rule, Party::Aggregator);
    };
    // An honest submission is left out.
    caught(
        |verdict| verdict.decisions[1] = Decision::TooFewStewards,
        AuditRule::Verdict,
    );
    caught(
        |verdict| {
            verdict.openers.pop();
        },
        AuditRule::Verdict,
    );
    caught(|verdict| verdict.root = Digest([1; 32]), AuditRule::Verdict);
    caught(
        |verdict| verdict.session.0 = Digest([1; 32]),
        AuditRule::Verdict,
    );
    caught(
        |verdict| {
            verdict.charge_micro_rho -= 1;
            verdict.spent_micro_rho -= 1;
        },
        AuditRule::Budget,
    );
    // What was spent before round 1 is nothing.
    caught(|verdict| verdict.spent_micro_rho += 1, AuditRule::Budget);
}

#[test]
fn a_submission_that_too_few_stewards_opened_is_let_in() {
    let mut world = World::new(14);
    let round = world.play(
        None,
        &Script {
            complaints: vec![(1, 2)],
            ..Script::default()
        },
    );
    let bytes = with_verdict(&world, &round, |verdict| {
        assert_eq!(verdict.decisions[2], Decision::TooFewStewards);
        verdict.decisions[2] = Decision::Accepted;
    });
    assert_broken(
        &audit(&world, &bytes),
        AuditRule::Verdict,
        Party::Aggregator,
    );
}

#[test]
fn a_report_that_the_verdict_left_out_or_that_is_left_out_of_the_file() {
    let (world, round) = world_and_round(15);
    let bytes = with_verdict(&world, &round, |verdict| {
        verdict.reports.pop();
    });
    assert_broken(&audit(&world, &bytes), AuditRule::Reports, Party::Provider);
    let mut fewer = round.clone();
    fewer.reports.pop();
    fewer.answers.pop();
    let bytes = transcript(&world, &fewer);
    assert_broken(&audit(&world, &bytes), AuditRule::Reports, Party::Provider);
    let mut fewer = round;
    fewer.openings.pop();
    let bytes = transcript(&world, &fewer);
    assert_broken(&audit(&world, &bytes), AuditRule::Openings, Party::Provider);
}

#[test]
fn lies_in_the_closed_list() {
    let (world, round) = world_and_round(17);
    let bytes = with_closed(&world, &round, |closed| closed.count += 1);
    assert_broken(&audit(&world, &bytes), AuditRule::Closed, Party::Aggregator);
    let bytes = with_closed(&world, &round, |closed| closed.session.0 = Digest([1; 32]));
    assert_broken(&audit(&world, &bytes), AuditRule::Closed, Party::Aggregator);
    // Nobody can tell whether the root or the list is false: whoever brings both has to explain it.
    let bytes = with_closed(&world, &round, |closed| closed.root = Digest([1; 32]));
    assert_broken(&audit(&world, &bytes), AuditRule::Closed, Party::Provider);
    let mut fewer = round;
    fewer.submissions.remove(1);
    let bytes = transcript(&world, &fewer);
    assert_broken(&audit(&world, &bytes), AuditRule::Closed, Party::Provider);
}

#[test]
fn a_device_is_listed_twice_under_a_signed_root() {
    let (world, mut round) = world_and_round(18);
    round.submissions.insert(1, round.submissions[0].clone());
    let leaves: Vec<Digest> = round
        .submissions
        .iter()
        .map(|submission| dawn_crypto::merkle::leaf_hash(submission.header.bytes()))
        .collect();
    let bytes = with_closed(&world, &round, |closed| {
        closed.root = dawn_crypto::merkle::root(&leaves);
        closed.count += 1;
    });
    assert_broken(
        &audit(&world, &bytes),
        AuditRule::Submissions,
        Party::Aggregator,
    );
}

#[test]
fn a_payload_that_must_not_have_been_taken() {
    let (world, mut round) = world_and_round(19);
    let device = &world.devices[0];
    // The device signs for a word that is not an element of the field.
    let submission = &mut round.submissions[0];
    submission.payload[..4].copy_from_slice(&u32::MAX.to_le_bytes());
    let mut hasher = dawn_crypto::mask::PayloadHasher::new();
    hasher.update(&submission.payload);
    let mut header = submission.header.peek().clone();
    header.payload = hasher.finalize();
    submission.header = Signed::sign(&header, &device.key).unwrap();
    let bytes = transcript(&world, &round);
    assert_broken(
        &audit(&world, &bytes),
        AuditRule::Payloads,
        Party::Aggregator,
    );
    assert_ne!(payload_digest(&[]), header.payload);
}

#[test]
fn lies_in_the_specification() {
    let (world, round) = world_and_round(20);
    let caught = |change: fn(&mut RoundSpec), rule| {
        let bytes = with_spec(&world, &round, change);
        assert_broken(&audit(&world, &bytes), rule, Party::Aggregator);
    };
    caught(|spec| spec.matrix_seed = [1; 32], AuditRule::RoundSpec);
    caught(|spec| spec.charge_micro_rho = 0, AuditRule::RoundSpec);
    caught(|spec| spec.dimension += 1, AuditRule::RoundSpec);
    caught(|spec| spec.roster = Digest([1; 32]), AuditRule::RoundSpec);
    caught(
        |spec| {
            spec.sealing_keys[0] = None;
            spec.matrix_seed = matrix_seed(&spec.round, &spec.sealing_keys);
        },
        AuditRule::RoundSpec,
    );
    caught(|spec| spec.sealing_keys.swap(0, 1), AuditRule::RoundSpec);
    // The first model is not the aggregator's to choose.
    caught(|spec| spec.model = Digest([1; 32]), AuditRule::Model);
}

#[test]
fn a_specification_that_too_few_endorsed() {
    let (world, mut round) = world_and_round(21);
    round
        .endorsements
        .truncate(usize::from(world.context.threshold().t()) - 1);
    let bytes = transcript(&world, &round);
    assert_broken(
        &audit(&world, &bytes),
        AuditRule::Endorsements,
        Party::Provider,
    );
}

#[test]
fn a_round_that_does_not_start_from_the_model_before() {
    let mut world = World::new(22);
    let first = world.play(None, &Script::default());
    let spec = first.model.spec();
    let other = Model::from_weights(spec, vec![1, 2, 3, 4]).unwrap();
    let lie = PlayedRound {
        next_model: other.clone(),
        ..first
    };
    let second = world.play(Some(&lie), &Script::default());
    assert_eq!(second.spec.peek().model, model_digest(&other.to_bytes()));
    let bytes = transcript(&world, &second);
    assert_broken(&audit(&world, &bytes), AuditRule::Model, Party::Aggregator);
}

/// An abort leaves the model that its round started from, whatever the aggregator signs.
#[test]
fn an_abort_changes_the_model() {
    let mut world = World::new(23);
    let few = Script {
        devices: vec![0],
        ..Script::default()
    };
    let aborted = world.play(None, &few);
    let Terminal::Aborted(honest) = &aborted.terminal else {
        panic!("not an abort")
    };
    let other = Model::from_weights(aborted.model.spec(), vec![1, 2, 3, 4]).unwrap();
    let other_digest = model_digest(&other.to_bytes());
    let lie = PlayedRound {
        terminal: Terminal::Aborted(resigned(&world, honest, |aborted| {
            aborted.model = other_digest;
        })),
        next_model: other.clone(),
        ..aborted.clone()
    };
    let caught = |world: &World, bytes: &[u8]| {
        assert_broken(&audit(world, bytes), AuditRule::Model, Party::Aggregator);
    };
    caught(&world, &transcript(&world, &lie));
    // The round after it, alone: everybody knows what round 1 started from.
    let second = world.play(Some(&lie), &Script::default());
    assert_eq!(second.spec.peek().model, other_digest);
    caught(&world, &transcript(&world, &second));
    // The abort was honest, and the specification after it is not.
    let swapped = PlayedRound {
        next_model: other,
        ..aborted.clone()
    };
    let second = world.play(Some(&swapped), &Script::default());
    caught(&world, &transcript(&world, &second));
    // Later too, without the rounds before.
    let second = world.play(Some(&aborted), &few);
    let swapped = PlayedRound {
        next_model: swapped.next_model,
        ..second
    };
    let third = world.play(Some(&swapped), &Script::default());
    caught(&world, &transcript(&world, &third));
}

#[test]
fn lies_in_the_challenge() {
    let (world, round) = world_and_round(31);
    let caught = |change: fn(&mut Challenge)| {
        let mut round = round.clone();
        round.challenge = round
            .challenge
            .map(|challenge| resigned(&world, &challenge, change));
        let bytes = transcript(&world, &round);
        assert_broken(
            &audit(&world, &bytes),
            AuditRule::Challenge,
            Party::Aggregator,
        );
    };
    caught(|challenge| challenge.root = Digest([1; 32]));
    caught(|challenge| challenge.session.0 = Digest([1; 32]));
    caught(|challenge| challenge.shares.truncate(1));
    caught(|challenge| challenge.shares.swap(0, 1));
    caught(|challenge| challenge.shares[1] = challenge.shares[0].clone());
    // A part that is proven under another key, or of something else.
    let key = VrfSecretKey::from_seed(&[9; 32]);
    let forged = |change: fn(&VrfSecretKey, &mut BeaconShare)| {
        let mut round = round.clone();
        round.challenge = round.challenge.map(|challenge| {
            resigned(&world, &challenge, |challenge| {
                let mut part = challenge.shares[0].peek().clone();
                change(&key, &mut part);
                challenge.shares[0] = Signed::sign(&part, world.steward_key(1)).unwrap();
            })
        });
        let bytes = transcript(&world, &round);
        assert_broken(
            &audit(&world, &bytes),
            AuditRule::Challenge,
            Party::Aggregator,
        );
    };
    forged(|key, part| {
        let input = beacon_input(&part.session, &part.root);
        part.proof = vrf::prove(key, &input.0);
    });
    forged(|_, part| part.root = Digest([1; 32]));
    // The T that are there are proven, but one of them is none of the roster's.
    let mut round = round;
    round.challenge = round.challenge.map(|challenge| {
        resigned(&world, &challenge, |challenge| {
            let part = challenge.shares[0].peek().clone();
            challenge.shares[0] = Signed::sign(&part, &world.log).unwrap();
        })
    });
    let bytes = transcript(&world, &round);
    assert_broken(
        &audit(&world, &bytes),
        AuditRule::Challenge,
        Party::Aggregator,
    );
}

/// Whoever masks a long vector and proves about another passes with scalars that nobody computes from its payload.
#[test]
fn a_cheating_device_is_let_in_with_false_scalars() {
    let mut world = World::new(33);
    let cheats = Script {
        cheats: vec![(1, Cheat::ForeignProof)],
        ..Script::default()
    };
    let honest = world.play(None, &cheats);
    assert!(audit(&world, &transcript(&world, &honest)).passed());
    let lie = world.play(
        None,
        &Script {
            false_scalars: true,
            ..cheats
        },
    );
    let decisions = &lie.verdict.as_ref().unwrap().peek().decisions;
    assert_eq!(decisions[1], Decision::Accepted);
    let bytes = transcript(&world, &lie);
    assert_broken(
        &audit(&world, &bytes),
        AuditRule::Scalars,
        Party::Aggregator,
    );
}

/// Whatever was decided about who cheats, and whoever is called a liar, follows from the answers.
#[test]
fn lies_about_what_the_answers_show() {
    let plan = Plan {
        organisations: 6,
        devices: 6,
        ..Plan::default()
    };
    let mut world = World::with(34, &plan);
    let script = Script {
        cheats: vec![
            (1, Cheat::ForeignProof),
            (2, Cheat::NoDigits),
            (4, Cheat::Unsigned),
        ],
        lying_answers: vec![(3, 0)],
        ..Script::default()
    };
    let round = world.play(None, &script);
    let verdict = round.verdict.as_ref().unwrap().peek();
    assert_eq!(
        verdict.decisions,
        [
            Decision::Accepted,
            Decision::Projection,
            Decision::Norm,
            Decision::Accepted,
            Decision::BadHeader,
            Decision::Accepted
        ]
    );
    assert_eq!((&verdict.liars[..], verdict.openers.len()), (&[3][..], 5));
    let caught = |change: fn(&mut Verdict), rule| {
        let bytes = with_verdict(&world, &round, change);
        assert_broken(&audit(&world, &bytes), rule, Party::Aggregator);
    };
    for place in [1, 2, 4] {
        let bytes = with_verdict(&world, &round, |v| v.decisions[place] = Decision::Accepted);
        assert_broken(
            &audit(&world, &bytes),
            AuditRule::Verdict,
            Party::Aggregator,
        );
    }
    caught(|v| v.decisions[1] = Decision::Norm, AuditRule::Verdict);
    caught(
        |v| v.decisions[0] = Decision::Projection,
        AuditRule::Verdict,
    );
    caught(|v| v.liars = vec![], AuditRule::Verdict);
    caught(|v| v.liars = vec![2, 3], AuditRule::Verdict);
    caught(|v| v.challenge = Digest([1; 32]), AuditRule::Verdict);
    caught(|v| v.scalars = Digest([1; 32]), AuditRule::Scalars);
}

#[test]
fn a_header_that_does_not_verify_is_in_nobodys_sum() {
    // The aggregator closes over a header that its device did not sign, and accepts it.
    let mut world = World::new(24);
    let script = Script {
        cheats: vec![(0, Cheat::Unsigned)],
        ..Script::default()
    };
    let round = world.play(None, &script);
    assert!(audit(&world, &transcript(&world, &round)).passed());
    let bytes = with_verdict(&world, &round, |verdict| {
        assert_eq!(verdict.decisions[0], Decision::BadHeader);
        verdict.decisions[0] = Decision::Accepted;
    });
    assert_broken(
        &audit(&world, &bytes),
        AuditRule::Verdict,
        Party::Aggregator,
    );
}

#[test]
fn another_federation_than_the_pinned_one() {
    let (world, round) = world_and_round(29);
    let other = World::new(30);
    let report = audit(&other, &transcript(&world, &round));
    assert_broken(&report, AuditRule::Federation, Party::Provider);
}
