//! Rounds that are opened beyond the budget, and rounds that are thrown away for no reason.

use dawn_audits::{AuditRule, Party};
use dawn_protocol::{AbortReason, RoundOpen};

use crate::common::round::{PlayedRound, Script};
use crate::common::transcript::transcript;
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
    let unclosed = PlayedRound {
        closed: None,
        reports: vec![],
        ..unjudged.clone()
    };
    let empty = PlayedRound {
        submissions: vec![],
        ..unclosed.clone()
    };
    let stages = [round, unjudged, unclosed, empty];
    let holds = |stage: usize, reason| stage == 3 && reason == AbortReason::TooFewSubmissions;
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
                assert_broken(&report, AuditRule::Abort, Party::Aggregator);
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
