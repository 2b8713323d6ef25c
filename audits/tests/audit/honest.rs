//! Honest rounds pass, whoever is away, complains or answers wrongly.

use dawn_audits::{Options, verify_transcript};
use dawn_protocol::digests::sum_digest;
use std::io::Cursor;

use crate::audit;
use crate::common::round::Script;
use crate::common::transcript::transcript;
use crate::common::{Plan, World};

#[test]
fn an_honest_round_passes_and_its_sum_is_the_sum_of_the_updates_and_noise() {
    let mut world = World::new(1);
    let round = world.play(None, &Script::default());
    let report = audit(&world, &transcript(&world, &round));
    assert!(report.passed(), "{report}");
    assert_eq!(report.summary(), "PASS");
    assert!(report.federation_pinned && report.unchecked.is_empty());
    let [audited] = &report.rounds[..] else {
        panic!()
    };
    assert_eq!(
        (audited.number, audited.submitted, audited.accepted),
        (1, 4, 4)
    );
    assert_eq!(audited.organisations.len(), 4);
    assert_eq!(
        audited.spent_micro_rho,
        Some(world.context.charge_micro_rho())
    );
    // The noise is small: the sum is close to what the devices put in.
    let plain: Vec<i32> = (0..4)
        .map(|i| round.updates.iter().map(|update| update[i]).sum())
        .collect();
    let scale = 1i64 << 12;
    let (before, after) = (round.model.weights(), round.next_model.weights());
    for i in 0..4 {
        let step = i64::from(after[i] - before[i]) * 4 / scale;
        assert!(
            (step - i64::from(plain[i])).abs() < 120,
            "{step} {}",
            plain[i]
        );
    }
    assert!(
        audited.sum.is_some_and(|sum| sum != sum_digest(&plain)),
        "noise was added"
    );
}

#[test]
fn without_a_pin_the_report_says_what_it_trusts() {
    let mut world = World::new(2);
    let round = world.play(None, &Script::default());
    let bytes = transcript(&world, &round);
    let report = verify_transcript(&mut Cursor::new(bytes), &Options::default()).unwrap();
    assert!(report.passed() && !report.federation_pinned);
    assert_eq!(report.federation, Some(world.federation.digest()));
    assert!(report.to_string().contains("NOT pinned"));
}

#[test]
fn away_wrong_and_complaining_stewards_do_not_fail_a_round() {
    let plan = Plan {
        organisations: 6,
        devices: 6,
        ..Plan::default()
    };
    let mut world = World::with(3, &plan);
    let liar = Script {
        lying_openers: vec![2],
        ..Script::default()
    };
    let round = world.play(None, &liar);
    let report = audit(&world, &transcript(&world, &round));
    assert!(report.passed(), "{report}");
    assert_eq!(report.rounds[0].wrong_stewards, [world.steward_id(2)]);

    // With one more away, fewer than A agree: the sum opens, but nobody can be named.
    let round = world.play(
        None,
        &Script {
            absent: vec![6],
            ..liar
        },
    );
    let report = audit(&world, &transcript(&world, &round));
    assert!(report.passed(), "{report}");
    assert!(report.rounds[0].wrong_stewards.is_empty() && report.rounds[0].sum.is_some());

    // One steward complains about one submission, two about another: the first may stay.
    let script = Script {
        complaints: vec![(1, 0), (1, 2), (2, 2)],
        ..Script::default()
    };
    let round = world.play(None, &script);
    let report = audit(&world, &transcript(&world, &round));
    assert!(report.passed(), "{report}");
    assert_eq!(report.rounds[0].accepted, 5, "{report}");
    assert_eq!(report.rounds[0].rejected.values().sum::<u32>(), 1);
}

#[test]
fn aborted_rounds_pass_when_their_reason_holds() {
    let mut world = World::new(4);
    for (script, reason) in [
        (
            Script {
                devices: vec![0],
                ..Script::default()
            },
            "too-few-submissions",
        ),
        (
            Script {
                complaints: vec![(1, 0), (2, 1), (3, 2)],
                ..Script::default()
            },
            "policy",
        ),
        (
            Script {
                silent_openers: vec![1, 2],
                ..Script::default()
            },
            "too-few-openings",
        ),
        (
            Script {
                lying_openers: vec![1, 2],
                ..Script::default()
            },
            "no-small-opening",
        ),
    ] {
        let round = world.play(None, &script);
        let report = audit(&world, &transcript(&world, &round));
        assert!(report.passed(), "{script:?}: {report}");
        assert_eq!(
            report.rounds[0].aborted.as_deref(),
            Some(reason),
            "{script:?}"
        );
        assert_eq!(report.rounds[0].next_model, report.rounds[0].model);
    }
}

#[test]
fn devices_of_members_that_joined_later_count() {
    let plan = Plan {
        guests: 2,
        devices: 6,
        ..Plan::default()
    };
    let mut world = World::with(5, &plan);
    let round = world.play(None, &Script::default());
    let report = audit(&world, &transcript(&world, &round));
    assert!(report.passed(), "{report}");
    assert_eq!(report.rounds[0].organisations.len(), 6);
}

#[test]
fn reports_come_back_from_json_the_same() {
    let mut world = World::new(6);
    let round = world.play(None, &Script::default());
    let mut bytes = transcript(&world, &round);
    let good = audit(&world, &bytes);
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    let bad = audit(&world, &bytes);
    for report in [good, bad] {
        let json = report.to_json().unwrap();
        let back: dawn_audits::AuditReport = serde_json::from_str(&json).unwrap();
        assert_eq!(back, report);
    }
}
