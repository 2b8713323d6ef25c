//! A device's own check: counted, left out with the reason, or missing although there is a receipt.

use std::io::Cursor;

use dawn_audits::inclusion::{InclusionError, Outcome, Proof, Submitted, prove};
use dawn_audits::{AuditRule, Options};
use dawn_crypto::digest::Digest;
use dawn_identity::{SecretKey, Signed};
use dawn_protocol::prepare::PreparedSubmission;
use dawn_protocol::{Receipt, SessionId};

use crate::assert_broken;
use crate::common::round::{Cheat, PlayedRound, Script};
use crate::common::transcript::transcript;
use crate::common::{NOW, Plan, World};

fn receipt(
    world: &World,
    round: &PlayedRound,
    of: &PreparedSubmission,
    key: &SecretKey,
) -> Submitted {
    let header = of.header.peek();
    let receipt = Receipt {
        round: round.spec.peek().round,
        session: header.session,
        device: header.credential.claimed_device(),
        header: of.header.envelope_digest(),
        received_ms: NOW * 1000,
    };
    assert!(
        world
            .devices
            .iter()
            .any(|device| device.id == receipt.device)
    );
    Submitted::of(&Signed::sign(&receipt, key).unwrap())
}

fn asked(world: &World, bytes: &[u8], submitted: &Submitted) -> Result<Proof, InclusionError> {
    let options = Options {
        federation: Some(world.federation.digest()),
        ..Options::default()
    };
    prove(&mut Cursor::new(bytes), &options, submitted)
}

fn outcome(world: &World, round: &PlayedRound, submitted: &Submitted) -> Outcome {
    asked(world, &transcript(world, round), submitted)
        .unwrap()
        .outcome
}

#[test]
fn a_submission_is_counted_or_left_out_for_a_reason() {
    let mut world = World::with(
        401,
        &Plan {
            devices: 5,
            ..Plan::default()
        },
    );
    let script = Script {
        cheats: vec![(1, Cheat::ForeignProof)],
        ..Script::default()
    };
    let round = world.play(None, &script);
    for (place, submission) in round.submissions.iter().enumerate() {
        let submitted = receipt(&world, &round, submission, &world.aggregator);
        let found = outcome(&world, &round, &submitted);
        let expected = match place {
            1 => Outcome::LeftOut {
                place,
                reason: "projection".into(),
            },
            _ => Outcome::Counted { place, accepted: 4 },
        };
        assert_eq!(found, expected);
        // A claim without a receipt finds the same.
        let claim = Submitted {
            receipt: None,
            ..submitted
        };
        assert_eq!(outcome(&world, &round, &claim), expected);
    }
    let silent = Script {
        silent_openers: vec![1, 2],
        ..Script::default()
    };
    let aborted = world.play(None, &silent);
    let submitted = receipt(&world, &aborted, &aborted.submissions[0], &world.aggregator);
    // Some have opened: that no more did is the aggregator's word.
    let expected = Outcome::NoResult {
        place: 0,
        reason: "too-few-openings".into(),
        sum_is_open: false,
    };
    assert_eq!(outcome(&world, &aborted, &submitted), expected);
    // Enough have opened, and the aggregator says that nothing came of it.
    let lying = Script {
        lying_openers: vec![1, 2, 3],
        ..Script::default()
    };
    let unopened = world.play(None, &lying);
    let submitted = receipt(
        &world,
        &unopened,
        &unopened.submissions[0],
        &world.aggregator,
    );
    let expected = Outcome::NoResult {
        place: 0,
        reason: "no-small-opening".into(),
        sum_is_open: true,
    };
    assert_eq!(outcome(&world, &unopened, &submitted), expected);
}

/// The aggregator takes a submission, signs that it did, and closes the list without it. The transcript passes: only the
/// receipt shows it.
#[test]
fn an_honest_submission_that_was_dropped_is_evidence() {
    let mut world = World::with(
        402,
        &Plan {
            devices: 5,
            ..Plan::default()
        },
    );
    let script = Script {
        dropped: Some(2),
        ..Script::default()
    };
    let played = world.play(None, &script);
    let dropped = played.dropped.clone().unwrap();
    let bytes = transcript(&world, &played);
    assert!(crate::audit(&world, &bytes).passed());
    let submitted = receipt(&world, &played, &dropped, &world.aggregator);
    let found = outcome(&world, &played, &submitted);
    assert_eq!(
        found,
        Outcome::Missing {
            receipt: true,
            closed: true
        }
    );
    assert!(found.is_evidence());
    // Whoever has no receipt may have sent nothing.
    let claim = Submitted {
        receipt: None,
        ..submitted
    };
    assert!(!outcome(&world, &played, &claim).is_evidence());
    // A device cannot make one up.
    let forged = receipt(&world, &played, &dropped, &world.log);
    let refused = asked(&world, &bytes, &forged);
    assert!(matches!(refused, Err(InclusionError::Receipt(_))));
    // Before a list is closed nobody has promised which it is.
    let few = Script {
        devices: vec![0],
        ..Script::default()
    };
    let aborted = world.play(None, &few);
    let mut empty = aborted.clone();
    let taken = empty.submissions.remove(0);
    let submitted = receipt(&world, &aborted, &taken, &world.aggregator);
    let found = outcome(&world, &empty, &submitted);
    assert_eq!(
        found,
        Outcome::Missing {
            receipt: true,
            closed: false
        }
    );
    assert!(!found.is_evidence());
}

#[test]
fn a_receipt_for_another_session_round_or_submission() {
    let mut world = World::new(403);
    let round = world.play(None, &Script::default());
    let bytes = transcript(&world, &round);
    let honest = receipt(&world, &round, &round.submissions[0], &world.aggregator);
    let body = honest.receipt.as_ref().unwrap().peek().clone();
    let signed = |body: &Receipt| Submitted::of(&Signed::sign(body, &world.aggregator).unwrap());
    let elsewhere = signed(&Receipt {
        session: SessionId(Digest([1; 32])),
        ..body.clone()
    });
    let found = asked(&world, &bytes, &elsewhere).unwrap().outcome;
    assert_eq!(found, Outcome::OtherSession { receipt: true });
    assert!(found.is_evidence());
    let mut later = body.clone();
    later.round.number += 1;
    let refused = asked(&world, &bytes, &signed(&later));
    assert!(matches!(refused, Err(InclusionError::OtherRound { .. })));
    let other = Submitted {
        header: Digest([2; 32]),
        ..honest.clone()
    };
    assert!(matches!(
        asked(&world, &bytes, &other),
        Err(InclusionError::OtherReceipt)
    ));
    // A transcript that does not hold together says nothing.
    let proof = asked(&world, &bytes[..bytes.len() - 1], &honest).unwrap();
    assert_eq!(proof.outcome, Outcome::Unsound);
    assert_broken(
        &proof.report,
        AuditRule::Container,
        dawn_audits::Party::Provider,
    );
}
