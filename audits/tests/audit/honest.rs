//! Honest rounds pass, whoever is away, complains or answers wrongly.

use dawn_audits::{Options, verify_transcript};
use dawn_protocol::digests::sum_digest;
use std::io::Cursor;

use crate::audit;
use crate::common::round::{Cheat, Script};
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

    // The sum is small with the honest answers only, so the liar is known with one more away too.
    let round = world.play(
        None,
        &Script {
            absent: vec![6],
            ..liar
        },
    );
    let report = audit(&world, &transcript(&world, &round));
    assert!(report.passed(), "{report}");
    assert_eq!(report.rounds[0].wrong_stewards, [world.steward_id(2)]);

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

/// Devices that cheat are left out with their reason, and stewards that lie about submissions are named.
#[test]
fn cheating_devices_and_lying_stewards_do_not_fail_a_round() {
    let plan = Plan {
        organisations: 6,
        devices: 8,
        ..Plan::default()
    };
    let mut world = World::with(36, &plan);
    let script = Script {
        cheats: vec![
            (0, Cheat::NoDigits),
            (3, Cheat::ForeignProof),
            (5, Cheat::Unsigned),
        ],
        lying_answers: vec![(4, 1), (4, 3)],
        ..Script::default()
    };
    let round = world.play(None, &script);
    let report = audit(&world, &transcript(&world, &round));
    assert!(report.passed(), "{report}");
    let audited = &report.rounds[0];
    let rejected: Vec<_> = audited.rejected.iter().collect();
    assert_eq!(
        rejected,
        [
            (&"bad-header".to_owned(), &1),
            (&"norm".to_owned(), &1),
            (&"projection".to_owned(), &1)
        ]
    );
    assert_eq!(audited.accepted, 5);
    assert_eq!(audited.lying_stewards, [world.steward_id(4)]);
    assert!(audited.wrong_stewards.is_empty());
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
                silent_beacons: vec![1, 2],
                ..Script::default()
            },
            "too-few-beacon-shares",
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
