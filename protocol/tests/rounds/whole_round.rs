//! Rounds from the specification to the next model.

use dawn_protocol::digests::model_digest;
use dawn_protocol::phase::JudgeError;
use dawn_protocol::{
    AbortReason, Aborted, Culprit, Decision, Digest, Outcome, Rule, Start, Terminal,
};

use crate::assert_violates;
use crate::world::{ClosedRound, Round, World, a_hundred_thousand_coordinates};

fn sum_is_near(sum: &[i32], expected: i32, accepted: u32, world: &World) {
    // 16 deviations of every device's error.
    let sigma = world.task.peek().sigma_error.get();
    let noise = i64::from(accepted) * i64::try_from((16 * sigma).div_ceil(1 << 16)).unwrap();
    assert_eq!(sum.len(), world.context.dimension().coordinates());
    for value in sum {
        assert!(
            (i64::from(*value) - i64::from(expected)).abs() <= noise,
            "{value}"
        );
    }
}

fn closed_round(world: &mut World, devices: &[usize]) -> (Round, ClosedRound) {
    let round = world.first_round();
    let submissions = world.submissions(&round, devices);
    let closed = world.close(&round, submissions);
    (round, closed)
}

#[test]
fn two_honest_rounds_follow_each_other() {
    let mut world = World::new(6, 1);
    let (round, closed) = closed_round(&mut world, &[0, 1, 2, 3]);
    round.open.verify_previous(None, None).unwrap();
    let all = [1, 2, 3, 4, 5, 6];
    let reports = world.reports(&round, &closed, &all);
    let (judged, _) = world.judge(&closed, &reports);
    assert_eq!(judged.verdict().decisions, [Decision::Accepted; 4]);
    assert_eq!(judged.verdict().openers, all);
    let openings = world.openings(&round, &closed, &judged, &all);
    let opened = judged
        .open(&world.masked_sum(&closed, &judged), &openings)
        .unwrap();
    sum_is_near(opened.sum(), 1 + 2 + 3 + 4, 4, &world);
    assert_eq!(opened.points(), [1, 2, 3, 4]);
    assert!(opened.culprits().is_empty());

    let before = world.context.initial_model().unwrap();
    let next = opened.next_model(&before).unwrap();
    let next_digest = model_digest(&next.to_bytes());
    let result = world.by_aggregator(&opened.result(next_digest));
    opened.verify_result(&result, next_digest).unwrap();
    assert_violates!(
        opened.verify_result(&result, world.initial_model()),
        Rule::ResultModel,
        Culprit::Aggregator
    );

    let terminal = Terminal::Result(result);
    let second = world.round(2, Some(&terminal), next_digest, &all);
    second.open.verify_previous(Some(&terminal), None).unwrap();
    assert_violates!(
        second.open.verify_previous(None, None),
        Rule::SpecPrevious,
        Culprit::Aggregator
    );
    let stale = world.round(2, Some(&terminal), world.initial_model(), &all);
    assert_violates!(
        stale.open.verify_previous(Some(&terminal), None),
        Rule::SpecModel,
        Culprit::Aggregator
    );
    // After an abort the model stays.
    let abort = |model| {
        Terminal::Aborted(world.by_aggregator(&Aborted {
            round: second.open.round_id(),
            session: Some(second.open.session()),
            reason: AbortReason::TooFewReports,
            detail: String::new(),
            model,
            previous: Some(terminal.digest()),
            direction: None,
            draw: None,
        }))
    };
    let start = |model| Start {
        model,
        direction: None,
        draw: None,
    };
    let aborted = abort(next_digest);
    let other = Digest([0x66; 32]);
    let changed = abort(other);
    let third = world.round(3, Some(&aborted), next_digest, &all);
    third
        .open
        .verify_previous(Some(&aborted), Some(start(next_digest)))
        .unwrap();
    third.open.verify_previous(Some(&aborted), None).unwrap();
    // Neither does the specification choose another model than the abort, nor the abort than before.
    let swapped = world.round(3, Some(&aborted), other, &all);
    assert_violates!(
        swapped.open.verify_previous(Some(&aborted), None),
        Rule::SpecModel,
        Culprit::Aggregator
    );
    let swapped = world.round(3, Some(&changed), other, &all);
    assert_violates!(
        swapped
            .open
            .verify_previous(Some(&changed), Some(start(next_digest))),
        Rule::SpecModel,
        Culprit::Aggregator
    );
    assert_violates!(
        third
            .open
            .verify_previous(Some(&aborted), Some(start(world.initial_model()))),
        Rule::SpecModel,
        Culprit::Aggregator
    );
    assert_violates!(
        third.open.verify_previous(Some(&terminal), None),
        Rule::SpecPrevious,
        Culprit::Aggregator
    );
}

/// The first round leaves the initial model, whoever has followed it or not.
#[test]
fn an_abort_of_the_first_round_leaves_the_initial_model() {
    let mut world = World::new(4, 1);
    for (model, honest) in [(world.initial_model(), true), (Digest([0x66; 32]), false)] {
        let aborted = Terminal::Aborted(world.by_aggregator(&Aborted {
            round: world.context.round(1),
            session: None,
            reason: AbortReason::TooFewSealingKeys,
            detail: String::new(),
            model,
            previous: None,
            direction: None,
            draw: None,
        }));
        let second = world.round(2, Some(&aborted), model, &[1, 2, 3, 4]);
        let verified = second.open.verify_previous(Some(&aborted), None);
        if honest {
            verified.unwrap();
        } else {
            assert_violates!(verified, Rule::SpecModel, Culprit::Aggregator);
        }
    }
}

#[test]
fn a_round_opens_with_one_steward_away_from_the_start() {
    let mut world = World::new(6, 1);
    let seated = [1, 2, 4, 5, 6];
    let model = world.initial_model();
    let round = world.round(1, None, model, &seated);
    let submissions = world.submissions(&round, &[0, 1]);
    assert_eq!(submissions[0].packages.len(), 5);
    let closed = world.close(&round, submissions);
    let reports = world.reports(&round, &closed, &seated);
    let (judged, _) = world.judge(&closed, &reports);
    // T answers are enough at the opening.
    let openings = world.openings(&round, &closed, &judged, &[2, 4, 5, 6]);
    let opened = judged
        .open(&world.masked_sum(&closed, &judged), &openings)
        .unwrap();
    sum_is_near(opened.sum(), 3, 2, &world);
}

#[test]
fn a_device_that_cheats_one_steward_is_summed_and_two_is_not() {
    let mut world = World::new(6, 1);
    let round = world.first_round();
    let mut submissions = world.submissions(&round, &[0, 1, 2, 3]);
    // Packages that do not belong to the header: the first device at steward 6, the second at 5, 6.
    submissions[0].packages[5] = vec![0; 40];
    submissions[1].packages[4] = submissions[2].packages[4].clone();
    submissions[1].packages[5] = Vec::new();
    let (first, second) = (submissions[0].header.clone(), submissions[1].header.clone());
    let closed = world.close(&round, submissions);
    let reports = world.reports(&round, &closed, &[1, 2, 3, 4, 5, 6]);
    let (judged, _) = world.judge(&closed, &reports);
    for (submission, decision) in closed.submissions.iter().zip(&judged.verdict().decisions) {
        let expected = if submission.header == second {
            Decision::TooFewStewards
        } else {
            Decision::Accepted
        };
        assert_eq!(*decision, expected);
    }
    assert!(closed.submissions.iter().any(|s| s.header == first));
    assert_eq!(judged.verdict().openers, [1, 2, 3, 4, 5]);
    let openings = world.openings(&round, &closed, &judged, &[1, 2, 3, 4, 5]);
    let opened = judged
        .open(&world.masked_sum(&closed, &judged), &openings)
        .unwrap();
    sum_is_near(opened.sum(), 1 + 3 + 4, 3, &world);
    // Steward 6 does not hold the accepted set: its answer does not count.
    let answer = judged.opening(world.steward_id(6), dawn_crypto::shamir::ShareSum::zero());
    assert_violates!(
        judged.verify_opening(&world.by_steward(&answer, 6)),
        Rule::OpeningBinding,
        Culprit::Steward(world.steward_id(6))
    );
}

#[test]
fn a_wrong_answer_is_named_in_small_and_large_dimension() {
    for model in [
        crate::world::ten_coordinates(),
        a_hundred_thousand_coordinates(),
    ] {
        let mut world = World::with_task(6, 1, |task| task.model = model);
        let (round, closed) = closed_round(&mut world, &[0, 1, 2]);
        let reports = world.reports(&round, &closed, &[1, 2, 3, 4, 5, 6]);
        let (judged, _) = world.judge(&closed, &reports);
        let mut openings = world.openings(&round, &closed, &judged, &[1, 2, 3, 4, 5, 6]);
        // Steward 2 answers with what steward 3 should.
        let wrong = judged.opening(
            world.steward_id(2),
            world.share_sum(&round, &closed, &judged, 3),
        );
        openings[1] = world.by_steward(&wrong, 2);
        let opened = judged
            .open(&world.masked_sum(&closed, &judged), &openings)
            .unwrap();
        sum_is_near(opened.sum(), 6, 3, &world);
        assert_eq!(opened.culprits(), [world.steward_id(2)]);
        assert_eq!(opened.points(), [1, 3, 4, 5]);
    }
}

#[test]
fn a_verdict_that_does_not_follow_is_refused() {
    let mut world = World::new(6, 1);
    let (round, closed) = closed_round(&mut world, &[0, 1, 2, 3]);
    let reports = world.reports(&round, &closed, &[1, 2, 3, 4, 5, 6]);
    let honest = world.verdict(&closed, &reports, 0).unwrap();
    let adopt = |change: &dyn Fn(&mut dawn_protocol::Verdict)| {
        let mut verdict = honest.clone();
        change(&mut verdict);
        let signed = world.by_aggregator(&verdict);
        world.adopt(&closed, &reports, &signed).map(|_| ())
    };
    adopt(&|_| {}).unwrap();
    // A set of one victim.
    let accept_one = |v: &mut dawn_protocol::Verdict| {
        v.decisions = vec![Decision::OutsideOpeningSet; 4];
        v.decisions[0] = Decision::Accepted;
    };
    type Change<'a> = &'a dyn Fn(&mut dawn_protocol::Verdict);
    let changes: [(Change<'_>, Rule); 10] = [
        (&accept_one, Rule::Verdict),
        (&|v| v.openers.truncate(5), Rule::Verdict),
        (&|v| v.reports.truncate(5), Rule::VerdictReports),
        (&|v| v.root = v.session.0, Rule::Root),
        (&|v| v.charge_micro_rho -= 1, Rule::Charge),
        (&|v| v.session.0 = v.root, Rule::Session),
        (&|v| v.round.number = 2, Rule::Round),
        (&|v| v.challenge = v.root, Rule::Challenge),
        (&|v| v.scalars = v.root, Rule::Scalars),
        (&|v| v.liars = vec![2], Rule::Verdict),
    ];
    for (change, rule) in changes {
        assert_violates!(adopt(change), rule, Culprit::Aggregator);
    }
    // Signed by somebody else.
    let forged = world.by_steward(&honest, 1);
    assert_violates!(
        world.adopt(&closed, &reports, &forged).map(|_| ()),
        Rule::Signature,
        Culprit::Aggregator
    );
    // Other reports than the ones that were judged.
    assert_violates!(
        world
            .adopt(&closed, &reports[..5], &world.by_aggregator(&honest))
            .map(|_| ()),
        Rule::VerdictReports,
        Culprit::Aggregator
    );
}

#[test]
fn reports_count_once_each_and_only_for_this_round() {
    let mut world = World::new(6, 1);
    let (round, closed) = closed_round(&mut world, &[0, 1, 2]);
    let reports = world.reports(&round, &closed, &[1, 2, 3, 4, 5]);
    let twice = [&reports[..1], &reports[..]].concat();
    assert!(matches!(
        world.verdict(&closed, &twice, 0),
        Err(JudgeError::Violation(v)) if v.rule == Rule::VerdictReports
    ));
    assert_eq!(
        world.verdict(&closed, &reports[..4], 0),
        Err(JudgeError::Abort(AbortReason::TooFewReports))
    );
    let culprit = Culprit::Steward(world.steward_id(3));
    let refused = |change: &dyn Fn(&mut dawn_protocol::PackageReport)| {
        let mut report = reports[2].signed.peek().clone();
        change(&mut report);
        closed
            .challenged
            .verify_report(&world.by_steward(&report, 3))
    };
    assert_eq!(refused(&|_| {}), Ok(3));
    assert_violates!(refused(&|r| r.root = r.session.0), Rule::Root, culprit);
    assert_violates!(refused(&|r| r.round.number += 1), Rule::Round, culprit);
    assert_violates!(refused(&|r| r.session.0 = r.root), Rule::Session, culprit);
    assert_violates!(refused(&|r| r.challenge = r.root), Rule::Challenge, culprit);
    assert_violates!(
        refused(&|r| r.outcomes.push(Outcome::Ok)),
        Rule::ReportLength,
        culprit
    );
    // In another steward's name.
    let mut stolen = reports[2].signed.peek().clone();
    stolen.steward = world.steward_id(4);
    assert_violates!(
        closed
            .challenged
            .verify_report(&world.by_steward(&stolen, 3)),
        Rule::Signature,
        Culprit::Steward(world.steward_id(4))
    );
}

#[test]
fn a_budget_stops_the_task() {
    let charge = World::new(3, 0).context.charge_micro_rho();
    let mut world = World::with_task(3, 0, |task| {
        task.privacy.budget_micro_rho = Some(2 * charge);
    });
    let (round, closed) = closed_round(&mut world, &[0, 1]);
    let reports = world.reports(&round, &closed, &[1, 2, 3]);
    assert_eq!(
        world
            .verdict(&closed, &reports, charge)
            .unwrap()
            .spent_micro_rho,
        2 * charge
    );
    assert_eq!(
        world.verdict(&closed, &reports, charge + 1),
        Err(JudgeError::Abort(AbortReason::BudgetExhausted))
    );
    let mut verdict = world.verdict(&closed, &reports, charge).unwrap();
    verdict.spent_micro_rho += 1;
    assert_violates!(
        world
            .adopt(&closed, &reports, &world.by_aggregator(&verdict))
            .map(|_| ()),
        Rule::Budget,
        Culprit::Aggregator
    );
}
