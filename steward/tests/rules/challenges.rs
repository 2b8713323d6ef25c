//! Challenges, answers and scalars: a steward answers one challenge a round, and opens only what the answers of all show.

use dawn_crypto::field;
use dawn_crypto::params::Q;
use dawn_identity::Signed;
use dawn_protocol::answers::{Scalars, answers_digest};
use dawn_protocol::{BeaconShare, Challenge, Decision, PackageReport, Rule, SessionId, Verdict};
use dawn_steward::records::AnswerKind;
use dawn_steward::{Refusal, StewardState};

use crate::assert_rule;
use crate::reporting::{Reported, Shown};
use crate::world::{ClosedRound, Round, World, body, refusal};

fn started() -> (World, StewardState, Round, ClosedRound) {
    let mut world = World::new();
    let state = world.start();
    let (round, closed) = world.closed_round(&state, &[0, 1, 2, 3, 4]);
    (world, state, round, closed)
}

fn another(world: &World) -> Refusal {
    Refusal::AnsweredAnother {
        round: world.id(1),
        kind: AnswerKind::Report,
    }
}

/// Two challenges would show the projections. The same one gets the same answers.
#[test]
fn one_challenge_per_round() {
    let (mut world, state, round, closed) = started();
    world.beacon(&state, &closed).expect("beacon");
    let bytes = world.report(&state, &closed).expect("report");
    let report: PackageReport = body(&bytes);
    assert_eq!(report.challenge, closed.challenge.body_digest());
    let answers = |state: &StewardState| {
        std::fs::read(state.own_answers(&report.round).expect("kept")).expect("read")
    };
    let first = answers(&state);
    assert_eq!(answers_digest(&first), report.answers);
    assert_eq!(first.len(), closed.challenged.answers_len(&report.outcomes));

    let other = world.challenged_again(&closed, &[3, 4, 5, 6]);
    assert_ne!(other.challenged.beacon(), closed.challenged.beacon());
    assert_eq!(refusal(world.report(&state, &other)), another(&world));
    drop(state);
    let state = world.start();
    assert_eq!(refusal(world.report(&state, &other)), another(&world));
    assert_eq!(world.report(&state, &closed).expect("again"), bytes);
    assert_eq!(answers(&state), first, "after a restart");

    // A verdict about the other challenge is not opened either.
    let reports = world.reports(&round, &closed, &bytes, &[2, 3, 4, 5]);
    let verdict = world.verdict(&closed, &reports, 0);
    assert_eq!(
        refusal(world.open(&state, &other, &reports, &verdict)),
        Refusal::NotReported(world.id(1))
    );
    world
        .open(&state, &closed, &reports, &verdict)
        .expect("the truth");
    assert_eq!(state.own_answers(&world.id(1)), None, "gone with the round");
    assert_eq!(refusal(world.report(&state, &other)), another(&world));
    assert_eq!(world.report(&state, &closed).expect("still"), bytes);
}

/// Answers to two challenges that are computed at the same time: the second to finish is refused.
#[test]
fn answers_that_race_end_in_one() {
    let (mut world, state, _, closed) = started();
    let other = world.challenged_again(&closed, &[3, 4, 5, 6]);
    let mut works = Vec::new();
    for round in [&closed, &other] {
        let begun = world.begin_report(&state, round, 10).expect("begun");
        let mut work = begun.expect("nothing was answered yet");
        work.page(&round.page(0, 10)).expect("page");
        works.push(work);
    }
    let second = works.pop().expect("two");
    let first = works.pop().expect("two");
    let bytes = world.finish_report(&state, first).expect("first");
    assert_eq!(
        refusal(state.finish_report(second, &mut world.rng)),
        another(&world)
    );
    assert_eq!(world.report(&state, &closed).expect("again"), bytes);
    let kept = std::fs::read(state.own_answers(&world.id(1)).expect("kept")).expect("read");
    assert_eq!(answers_digest(&kept), body::<PackageReport>(&bytes).answers);
    let files = std::fs::read_dir(world.data_dir().join("answers")).expect("list");
    assert_eq!(files.count(), 1, "the others are gone");
}

/// A challenge that does not follow from parts of exactly T stewards is not answered, whether the list is known or not.
#[test]
fn a_challenge_that_nobody_made_is_not_answered() {
    let (mut world, state, _, closed) = started();
    let honest = closed.challenge.peek().clone();
    let share = |world: &World, point: u8, change: &dyn Fn(&mut BeaconShare)| {
        let mut share = world.beacon_share_of(&closed.closed, point).peek().clone();
        change(&mut share);
        world.by_steward(&share, point)
    };
    let with = |world: &World, change: &dyn Fn(&mut Challenge)| {
        let mut challenge = honest.clone();
        change(&mut challenge);
        world.by_aggregator(&challenge)
    };
    let replaced = |world: &World, first: Signed<BeaconShare>| {
        with(world, &|c: &mut Challenge| c.shares[0] = first.clone())
    };
    // A proof under another key, one of something else, and one that is nonsense.
    let elsewhere = closed.closed.beacon_share(&world.vrfs[5], state.id()).proof;
    let fewer = world.close(&closed.announcement, closed.submissions[1..].to_vec());
    let of_another_list = world.beacon_share_of(&fewer.closed, 2).peek().proof.clone();
    let mut wrong = vec![
        replaced(&world, share(&world, 2, &|s| s.proof = elsewhere.clone())),
        replaced(
            &world,
            share(&world, 2, &|s| s.proof = of_another_list.clone()),
        ),
        replaced(&world, world.beacon_share_of(&fewer.closed, 2)),
        replaced(&world, share(&world, 2, &|s| s.session = SessionId(s.root))),
        // Signed by another steward.
        replaced(
            &world,
            world.by_steward(world.beacon_share_of(&closed.closed, 2).peek(), 6),
        ),
    ];
    let sixth = world.beacon_share_of(&closed.closed, 6);
    wrong.push(with(&world, &|c| c.shares.truncate(3)));
    wrong.push(with(&world, &|c| c.shares.push(sixth.clone())));
    wrong.push(with(&world, &|c| c.shares[1] = c.shares[0].clone()));
    wrong.push(with(&world, &|c| c.shares.swap(0, 1)));
    let mut cases: Vec<_> = wrong.into_iter().map(|c| (c, Rule::Challenge)).collect();
    cases.push((with(&world, &|c| c.root.0[0] ^= 1), Rule::Root));
    cases.push((with(&world, &|c| c.session.0.0[0] ^= 1), Rule::Session));
    cases.push((world.by_steward(&honest, 2), Rule::Signature));
    let mut lie = world.close(&closed.announcement, closed.submissions.clone());
    for known in [false, true] {
        if known {
            world.beacon(&state, &closed).expect("beacon");
        }
        for (challenge, rule) in &cases {
            lie.challenge = challenge.clone();
            let begun = world.begin_report(&state, &lie, 10);
            assert_rule!(refusal(begun.map(|_| Vec::new())), *rule);
        }
    }
    world.report(&state, &closed).expect("the truth");
}

/// A scalar that is not that of the payload would pass a bad device or drop a good one.
#[test]
fn wrong_scalars_give_no_opening() {
    let (mut world, state, round, closed) = started();
    let own = world.report(&state, &closed).expect("report");
    let reports = world.reports(&round, &closed, &own, &[2, 3, 4, 5, 6]);
    let verdict = world.verdict(&closed, &reports, 0);
    let honest = world.shown(&closed, &reports);
    let scalars = world.scalars(&closed);
    drop(state);
    let before = world.back_up_all();
    let mut state = world.start();
    for place in 0..5 {
        for half in 0..2 {
            let mut lie: Vec<[u32; 2]> = (0..5).map(|i| scalars.get(i).expect("five")).collect();
            lie[place][half] = field::add(lie[place][half], 1);
            let lie = Scalars::new(lie);
            let shown = Shown {
                scalars: lie.to_bytes(),
                ..honest.clone()
            };
            // Not those that the verdict names.
            let refused = world.open_shown(&state, &closed, &reports, &verdict, &shown);
            assert_rule!(refusal(refused), Rule::Scalars);
            // A verdict that follows from them: an honest device is dropped.
            let unfair = world.verdict_with(&closed, &reports, &lie);
            assert_eq!(unfair.decisions[place], Decision::Projection);
            let unfair = world.by_aggregator(&unfair);
            let refused = world.open_shown(&state, &closed, &reports, &unfair, &shown);
            assert_rule!(refusal(refused), Rule::Scalars);
            // The round is lost for this steward; the next lie meets one that was not told this one.
            assert_eq!(
                refusal(world.open(&state, &closed, &reports, &verdict)),
                Refusal::AnotherVerdict(world.id(1))
            );
            drop(state);
            world.restore_all(&before);
            state = world.start();
        }
    }
    // Bytes that are no scalars, although the verdict names their digest.
    let mut too_few = honest.scalars.clone();
    too_few.truncate(32);
    let mut wide = honest.scalars.clone();
    wide[..4].copy_from_slice(&Q.to_le_bytes());
    for bytes in [too_few, wide, [honest.scalars.clone(), vec![0]].concat()] {
        let named = Verdict {
            scalars: dawn_protocol::answers::scalars_digest(&bytes),
            ..verdict.peek().clone()
        };
        let named = world.by_aggregator(&named);
        let shown = Shown {
            scalars: bytes,
            ..honest.clone()
        };
        let refused = world.open_shown(&state, &closed, &reports, &named, &shown);
        assert_rule!(refusal(refused), Rule::Scalars);
    }
    // Payloads that are not those of the headers.
    for change in [
        (|payload: &mut Vec<u8>| payload[0] ^= 1) as fn(&mut Vec<u8>),
        |payload| payload[..4].copy_from_slice(&Q.to_le_bytes()),
        |payload| payload.truncate(8),
        |payload| payload.clear(),
    ] {
        let mut shown = honest.clone();
        change(shown.payloads.values_mut().next().expect("five"));
        let refused = world.open_shown(&state, &closed, &reports, &verdict, &shown);
        assert_rule!(refusal(refused), Rule::Payload);
    }
    world
        .open(&state, &closed, &reports, &verdict)
        .expect("the truth");
}

/// Nothing may be left out.
#[test]
fn without_everything_that_was_judged_there_is_no_opening() {
    let (mut world, state, round, closed) = started();
    let own = world.report(&state, &closed).expect("report");
    let reports = world.reports(&round, &closed, &own, &[2, 3, 4, 5, 6]);
    let verdict = world.verdict(&closed, &reports, 0);
    let shown = world.shown(&closed, &reports);
    let not_examined = Refusal::NotExamined(world.id(1));
    let begin = |world: &mut World| {
        let begun = world.begin_open(&state, &closed, &reports, &verdict);
        begun.expect("begun").expect("nothing was answered yet")
    };
    let mut work = begin(&mut world);
    while let Some(wanted) = work.wanted_answers() {
        let file = state.scratch(&mut world.rng).expect("file");
        std::fs::write(file.path(), &shown.answers[&wanted.digest]).expect("write");
        work.answers(wanted, file).expect("answers");
    }
    let refused = state.begin_scalars(work, &mut world.rng);
    let refused = refused.map(|_| Vec::new());
    assert_eq!(refusal(refused), not_examined, "no scalars");
    let mut work = begin(&mut world);
    work.scalars(&shown.scalars).expect("scalars");
    assert_eq!(
        work.wanted_answers().expect("of another").digest,
        reports[1].peek().answers,
        "its own it has"
    );
    let refused = state.begin_scalars(work, &mut world.rng);
    let refused = refused.map(|_| Vec::new());
    assert_eq!(refusal(refused), not_examined, "no answers");
    let work = begin(&mut world);
    let work = world.examined(&state, work, &shown).expect("examined");
    assert_eq!(
        work.wanted_payloads().len(),
        5,
        "small payloads are all recomputed"
    );
    let refused = state.begin_open(work).map(|_| Vec::new());
    assert_eq!(refusal(refused), not_examined, "no payloads");
    world
        .open(&state, &closed, &reports, &verdict)
        .expect("the truth");
}

/// A steward whose answers are off the polynomial is named, its word does not count, and the round goes on. A verdict
/// that believes it, or does not name it, is not opened.
#[test]
fn a_lying_steward_is_found() {
    let (mut world, state, round, closed) = started();
    let own = world.report(&state, &closed).expect("report");
    let honest = world.reports(&round, &closed, &own, &[2, 3, 4, 5, 6]);
    let lie = |index: usize, answer: &mut Vec<u32>| {
        if index == 1 {
            let last = answer.len() - 1;
            answer[last] = field::add(answer[last], 1);
        }
    };
    let mut reports: Vec<Reported> = honest.clone();
    reports[2] = world.report_with(&round, &closed, 3, lie);
    let verdict = world.verdict(&closed, &reports, 0);
    assert_eq!(verdict.peek().liars, [3]);
    assert_eq!(verdict.peek().openers, [1, 2, 4, 5, 6]);
    assert_eq!(verdict.peek().decisions, [Decision::Accepted; 5]);
    let refused = |world: &mut World, change: &dyn Fn(&mut Verdict)| {
        let mut unfair = verdict.peek().clone();
        change(&mut unfair);
        let unfair = world.by_aggregator(&unfair);
        refusal(world.open(&state, &closed, &reports, &unfair))
    };
    assert_rule!(refused(&mut world, &|v| v.liars.clear()), Rule::Verdict);
    assert_rule!(
        refused(&mut world, &|v| v.liars = vec![3, 4]),
        Rule::Verdict
    );
    assert_rule!(
        refused(&mut world, &|v| v.openers = vec![1, 2, 3, 4, 5, 6]),
        Rule::Verdict
    );
    assert_rule!(
        refused(&mut world, &|v| v.decisions[1] = Decision::AnswersDisagree),
        Rule::Verdict
    );
    assert_rule!(
        refused(&mut world, &|v| v.decisions[1] = Decision::Norm),
        Rule::Verdict
    );
    world
        .open(&state, &closed, &reports, &verdict)
        .expect("the round goes on");

    // With one away and one lying there is no polynomial with A answers: the submission does not count.
    let mut world = World::new();
    let state = world.start();
    let (round, closed) = world.closed_round(&state, &[0, 1, 2, 3, 4]);
    let own = world.report(&state, &closed).expect("report");
    let mut reports = world.reports(&round, &closed, &own, &[2, 3, 4, 5]);
    reports[2] = world.report_with(&round, &closed, 3, lie);
    let verdict = world.verdict(&closed, &reports, 0);
    assert_eq!(verdict.peek().decisions[1], Decision::AnswersDisagree);
    let unfair = Verdict {
        decisions: vec![Decision::Accepted; 5],
        ..verdict.peek().clone()
    };
    let unfair = world.by_aggregator(&unfair);
    assert_rule!(
        refusal(world.open(&state, &closed, &reports, &unfair)),
        Rule::Verdict
    );
    world
        .open(&state, &closed, &reports, &verdict)
        .expect("without that submission");
}

/// Answers that are not the ones of the report, or no answers at all.
#[test]
fn answers_that_are_not_those_of_the_report_give_no_opening() {
    let (mut world, state, round, closed) = started();
    let own = world.report(&state, &closed).expect("report");
    let reports = world.reports(&round, &closed, &own, &[2, 3, 4, 5, 6]);
    let verdict = world.verdict(&closed, &reports, 0);
    let honest = world.shown(&closed, &reports);
    let digest = reports[3].peek().answers;
    for change in [
        (|answers: &mut Vec<u8>| answers[0] ^= 1) as fn(&mut Vec<u8>),
        |answers| *answers.last_mut().expect("bytes") ^= 0x80,
        |answers| answers.truncate(answers.len() - 4),
        |answers| answers.push(0),
        |answers| answers.clear(),
        |answers| answers[4..8].copy_from_slice(&Q.to_le_bytes()),
    ] {
        let mut shown = honest.clone();
        change(shown.answers.get_mut(&digest).expect("answers"));
        let refused = world.open_shown(&state, &closed, &reports, &verdict, &shown);
        assert_rule!(refusal(refused), Rule::Answers);
    }
    // A report whose own answers are malformed does not count; a verdict that counts it is not opened.
    let mut malformed = reports.clone();
    let mut answers = reports[3].answers.clone();
    answers[..4].copy_from_slice(&u32::MAX.to_le_bytes());
    let outcomes = reports[3].peek().outcomes.clone();
    malformed[3] = world.reported(&closed, 4, outcomes, answers);
    let counted = Verdict {
        reports: malformed.iter().map(|r| r.body_digest()).collect(),
        ..verdict.peek().clone()
    };
    let counted = world.by_aggregator(&counted);
    assert_rule!(
        refusal(world.open(&state, &closed, &malformed, &counted)),
        Rule::Answers
    );
    world
        .open(&state, &closed, &reports, &verdict)
        .expect("the truth");
}

/// This steward's answers lie on the polynomial of the others': what it multiplies its shares with is what everybody
/// computes.
#[test]
fn its_own_answers_agree_with_the_others() {
    let (mut world, state, round, closed) = started();
    let own = world.report(&state, &closed).expect("report");
    let reports = world.reports(&round, &closed, &own, &[2, 3, 4, 5, 6]);
    let findings = world.findings(&closed, &reports, &world.scalars(&closed));
    for finding in findings {
        assert_eq!(finding.result, dawn_protocol::Examined::Valid);
        assert!((1..=6).all(|point| finding.agrees(point)));
    }
}
