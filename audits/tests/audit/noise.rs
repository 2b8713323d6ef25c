//! Rounds whose stewards contribute noise: the auditor recomputes the choice and every candidate that was revealed.

use dawn_audits::{AuditRule, Party};
use dawn_crypto::params::Sigma;
use dawn_identity::Signed;
use dawn_protocol::{AbortReason, Decision, Outcome, RoundOpen, StewardNoise, Terminal};

use crate::common::round::{PlayedRound, Script};
use crate::common::transcript::transcript;
use crate::common::{Plan, World};
use crate::lies::with_verdict;
use crate::{assert_broken, audit};

fn world(seed: u64) -> World {
    let plan = Plan {
        noise: Some(StewardNoise {
            sigma: Sigma::from_f64_ceil(20.0).unwrap(),
            candidates: 4,
        }),
        ..Plan::default()
    };
    World::with(seed, &plan)
}

fn place(round: &PlayedRound, decision: Decision) -> usize {
    let decisions = &round.verdict.as_ref().unwrap().peek().decisions;
    decisions
        .iter()
        .position(|found| *found == decision)
        .unwrap()
}

#[test]
fn rounds_with_noise_pass_and_their_cost_is_recomputed() {
    let mut world = world(70);
    let first = world.play(None, &Script::default());
    let report = audit(&world, &transcript(&world, &first));
    assert!(report.passed(), "{report}");
    let [round] = &report.rounds[..] else {
        panic!()
    };
    assert_eq!((round.submitted, round.accepted, round.noise), (20, 4, 4));
    assert_eq!(round.rejected.get("not-chosen"), Some(&12));
    assert_eq!(round.organisations.values().sum::<u32>(), 4);
    assert_eq!(round.charge_micro_rho, world.context.charge_micro_rho());
    // The noise of T - f = 2 stewards makes the round cheaper than that of two devices alone.
    assert!(round.charge_micro_rho < World::new(70).context.charge_micro_rho() / 5);
    // The next round follows, with the noise of three, which is T.
    let script = Script {
        noiseless: vec![2],
        ..Script::default()
    };
    let second = world.play(Some(&first), &script);
    let report = audit(&world, &transcript(&world, &second));
    assert!(report.passed(), "{report}");
    assert_eq!((report.rounds[0].accepted, report.rounds[0].noise), (4, 3));
}

#[test]
fn a_steward_that_reveals_nothing_is_named_and_cannot_be_covered() {
    let mut world = world(71);
    let script = Script {
        secretive: vec![3],
        ..Script::default()
    };
    let round = world.play(None, &script);
    let report = audit(&world, &transcript(&world, &round));
    assert!(report.passed(), "{report}");
    assert_eq!(report.rounds[0].lying_stewards, [world.steward_id(3)]);
    assert_eq!(report.rounds[0].rejected.get("unproven-noise"), Some(&1));
    let unproven = place(&round, Decision::UnprovenNoise);
    for change in [
        |verdict: &mut dawn_protocol::Verdict, at: usize| verdict.decisions[at] = Decision::Noise,
        |verdict: &mut dawn_protocol::Verdict, _| verdict.liars.clear(),
        |verdict: &mut dawn_protocol::Verdict, _| verdict.liars = vec![2, 3],
    ] {
        let bytes = with_verdict(&world, &round, |verdict| change(verdict, unproven));
        assert_broken(
            &audit(&world, &bytes),
            AuditRule::Verdict,
            Party::Aggregator,
        );
    }
}

#[test]
fn the_aggregator_does_not_choose_which_noise_counts() {
    let mut world = world(72);
    let round = world.play(None, &Script::default());
    let (counted, not) = (
        place(&round, Decision::Noise),
        place(&round, Decision::NotChosen),
    );
    let bytes = with_verdict(&world, &round, |verdict| {
        verdict.decisions.swap(counted, not);
    });
    assert_broken(
        &audit(&world, &bytes),
        AuditRule::Verdict,
        Party::Aggregator,
    );
    // Noise is not passed off as a device's, nor left out.
    for decision in [Decision::Accepted, Decision::OutsideOpeningSet] {
        let bytes = with_verdict(&world, &round, |verdict| {
            verdict.decisions[counted] = decision;
        });
        assert_broken(
            &audit(&world, &bytes),
            AuditRule::Verdict,
            Party::Aggregator,
        );
    }
}

#[test]
fn a_report_that_answers_about_noise_that_was_not_chosen_is_its_stewards_fault() {
    let mut world = world(73);
    let mut round = world.play(None, &Script::default());
    let not = place(&round, Decision::NotChosen);
    let mut body = round.reports[1].peek().clone();
    body.outcomes[not] = Outcome::Malformed;
    round.reports[1] = Signed::sign(&body, world.steward_key(2)).unwrap();
    let steward = Party::Steward(world.steward_id(2));
    let report = audit(&world, &transcript(&world, &round));
    assert_broken(&report, AuditRule::Reports, steward);
}

#[test]
fn too_little_noise_ends_a_round_and_only_then() {
    let mut world = world(74);
    let script = Script {
        noiseless: vec![1, 4],
        ..Script::default()
    };
    let round = world.play(None, &script);
    let Terminal::Aborted(aborted) = &round.terminal else {
        panic!()
    };
    assert_eq!(aborted.peek().reason, AbortReason::TooLittleNoise);
    let report = audit(&world, &transcript(&world, &round));
    assert!(report.passed(), "{report}");
    assert!(report.to_string().contains("noise of stewards"), "{report}");
    // Two of four that keep their candidates to themselves end it at the verdict.
    let script = Script {
        secretive: vec![1, 4],
        ..Script::default()
    };
    let silent = world.play(None, &script);
    let Terminal::Aborted(aborted) = &silent.terminal else {
        panic!()
    };
    assert_eq!(aborted.peek().reason, AbortReason::TooLittleNoise);
    let report = audit(&world, &transcript(&world, &silent));
    assert!(report.passed(), "{report}");
    // With the noise of all it is no reason, before closing or after.
    let full = world.play(None, &Script::default());
    let open = RoundOpen::from_announcement(&world.context, &full.announcement()).unwrap();
    let told = PlayedRound {
        verdict: None,
        openings: vec![],
        terminal: world.abort(&open, AbortReason::TooLittleNoise),
        ..full
    };
    let report = audit(&world, &transcript(&world, &told));
    assert_broken(&report, AuditRule::Abort, Party::Aggregator);
    let told = PlayedRound {
        closed: None,
        challenge: None,
        reports: vec![],
        answers: vec![],
        ..told
    };
    let report = audit(&world, &transcript(&world, &told));
    // Before closing it may have been left out that the round came further.
    assert_broken(&report, AuditRule::Abort, Party::Provider);
}
