//! Rounds that are opened beyond the budget, and rounds that are thrown away for no reason.

use dawn_audits::{AuditRule, Party};
use dawn_crypto::digest::Digest;
use dawn_identity::Signed;
use dawn_protocol::transcript::Kind;
use dawn_protocol::{AbortReason, Aborted, RoundOpen};

use crate::common::round::{PlayedRound, Script};
use crate::common::transcript::{Draft, transcript};
use crate::common::{Plan, World};
use crate::lies::{resigned, world_and_round};
use crate::{assert_broken, audit};

#[test]
fn a_round_is_aborted_for_a_reason_that_does_not_hold() {
    let (world, round) = world_and_round(28);
    let context = world.context.verify_spec(&round.spec).unwrap();
    let open = RoundOpen::new(context, &round.endorsements).unwrap();
    // With everything there, only the sum is thrown away; then with less and less told.
    let unjudged = PlayedRound {
        verdict: None,
        openings: vec![],
        ..round.clone()
    };
    let unreported = PlayedRound {
        reports: vec![],
        answers: vec![],
        ..unjudged.clone()
    };
    let unasked = PlayedRound {
        challenge: None,
        ..unreported.clone()
    };
    let unclosed = PlayedRound {
        closed: None,
        ..unasked.clone()
    };
    let empty = PlayedRound {
        submissions: vec![],
        ..unclosed.clone()
    };
    let stages = [round, unjudged, unreported, unasked, unclosed, empty];
    let holds = |stage: usize, reason| {
        [
            (2, AbortReason::TooFewReports),
            (3, AbortReason::TooFewBeaconShares),
            (5, AbortReason::TooFewSubmissions),
        ]
        .contains(&(stage, reason))
    };
    // What must be there: submissions and all before them, the closing, the challenge, reports, and the verdict.
    let later = |reason| match reason {
        AbortReason::TooFewBeaconShares => 2,
        AbortReason::TooFewReports => 3,
        AbortReason::Policy => 4,
        AbortReason::TooFewOpenings
        | AbortReason::NoSmallOpening
        | AbortReason::AmbiguousOpening
        | AbortReason::ModelOverflow => 5,
        _ => 0,
    };
    for (stage, told) in stages.into_iter().enumerate() {
        for reason in AbortReason::ALL {
            let told = PlayedRound {
                terminal: world.abort(&open, *reason),
                ..told.clone()
            };
            let report = audit(&world, &transcript(&world, &told));
            if holds(stage, *reason) {
                assert!(report.passed(), "stage {stage}, {reason}: {report}");
            } else {
                assert!(!report.passed(), "stage {stage}, {reason}");
                // Whoever hands over a file can leave its end out.
                let culprit = match later(*reason) > 5 - stage {
                    true => Party::Provider,
                    false => Party::Aggregator,
                };
                assert_broken(&report, AuditRule::Abort, culprit);
            }
        }
    }
}

#[test]
fn more_is_spent_than_the_budget() {
    let charge = World::new(16).context.charge_micro_rho();
    let plan = Plan {
        budget_micro_rho: Some(charge),
        ..Plan::default()
    };
    let mut world = World::with(16, &plan);
    let first = world.play(None, &Script::default());
    assert!(audit(&world, &transcript(&world, &first)).passed());
    // The honest end of the next round.
    let second = world.play(Some(&first), &Script::default());
    let honest = audit(&world, &transcript(&world, &second));
    assert!(honest.passed(), "{honest}");
    assert_eq!(
        honest.rounds[0].aborted.as_deref(),
        Some("budget-exhausted")
    );
    // The aggregator opens all the same.
    let mut overspent = world.play(
        Some(&PlayedRound {
            spent_before: 0,
            verdict: None,
            ..first.clone()
        }),
        &Script::default(),
    );
    overspent.verdict = overspent.verdict.map(|verdict| {
        resigned(&world, &verdict, |verdict| {
            verdict.spent_micro_rho = 2 * charge
        })
    });
    let bytes = transcript(&world, &overspent);
    assert_broken(&audit(&world, &bytes), AuditRule::Budget, Party::Aggregator);
}

#[test]
fn rounds_that_ended_before_they_were_announced() {
    let mut world = World::new(32);
    let first = world.play(None, &Script::default());
    let second = world.play(Some(&first), &Script::default());
    for (round, early) in [(&first, 1), (&second, 2)] {
        let whole = Draft::of(&world, round);
        let context = world.context.verify_spec(&round.spec).unwrap();
        let session = Some(context.session());
        let end = |kinds: &[Kind], session, reason| {
            let aborted = Aborted {
                round: context.round_id(),
                session,
                reason,
                detail: String::new(),
                model: context.spec().model,
                previous: context.spec().previous,
                direction: None,
                draw: None,
            };
            let aborted = Signed::sign(&aborted, &world.aggregator).unwrap();
            whole.ended_early(kinds, &aborted)
        };
        for reason in AbortReason::ALL.iter().copied() {
            let unspecified = audit(&world, &end(&[], None, reason).seal());
            let unendorsed = audit(&world, &end(&[Kind::Spec], session, reason).seal());
            // A later round alone does not know what was spent.
            let unknown = reason == AbortReason::BudgetExhausted && early == 2;
            if reason == AbortReason::TooFewSealingKeys || unknown {
                assert!(unspecified.passed(), "{unspecified}");
                assert!(!unspecified.unchecked.is_empty());
            } else {
                assert_broken(&unspecified, AuditRule::Abort, Party::Aggregator);
            }
            if reason == AbortReason::TooFewEndorsements || unknown {
                assert!(unendorsed.passed(), "{unendorsed}");
            } else {
                let earlier = [
                    AbortReason::TooFewSealingKeys,
                    AbortReason::BudgetExhausted,
                    // There is none to have too little of.
                    AbortReason::TooLittleNoise,
                    // It is the key that signs the abort.
                    AbortReason::KeyReplaced,
                ];
                let culprit = match earlier.contains(&reason) {
                    true => Party::Aggregator,
                    false => Party::Provider,
                };
                assert_broken(&unendorsed, AuditRule::Abort, culprit);
            }
        }
        let reason = AbortReason::TooFewSealingKeys;
        // The abort names what is not in the file.
        let named = end(&[], session, reason).seal();
        assert_broken(&audit(&world, &named), AuditRule::Abort, Party::Provider);
        let unnamed = end(&[Kind::Spec], None, AbortReason::TooFewEndorsements).seal();
        assert_broken(
            &audit(&world, &unnamed),
            AuditRule::Abort,
            Party::Aggregator,
        );
        // Enough endorsements, and still too few.
        let endorsed = end(
            &[Kind::Spec, Kind::Endorsement],
            session,
            AbortReason::TooFewEndorsements,
        );
        assert_broken(
            &audit(&world, &endorsed.seal()),
            AuditRule::Abort,
            Party::Aggregator,
        );
        // The abort itself changes the model, or continues another history.
        let relabelled = |change: fn(&mut Aborted)| {
            let mut draft = end(&[], None, reason);
            let honest = Signed::<Aborted>::from_bytes(draft.nth(Kind::Aborted, 0)).unwrap();
            let changed = resigned(&world, &honest, change);
            *draft.nth(Kind::Aborted, 0) = changed.bytes().to_vec();
            audit(&world, &draft.seal())
        };
        let changed = relabelled(|aborted| aborted.model = Digest([0x66; 32]));
        assert_broken(&changed, AuditRule::Model, Party::Aggregator);
        if early == 2 {
            let forked = relabelled(|aborted| aborted.previous = Some(Digest([0x66; 32])));
            assert_broken(&forked, AuditRule::Continuity, Party::Aggregator);
        }
        // The model is not the one that was left; nobody signed for it.
        let mut other = end(&[], None, reason);
        let last = other.nth(Kind::Model, 0).len() - 1;
        other.nth(Kind::Model, 0)[last] ^= 1;
        assert_broken(
            &audit(&world, &other.seal()),
            AuditRule::Model,
            Party::Provider,
        );
    }
}
