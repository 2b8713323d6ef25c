//! A second, different answer of any kind in one round is refused, at once and after a restart; the same question gets
//! the same bytes.

use dawn_identity::{SecretKey, Signed};
use dawn_protocol::{
    AbortReason, Aborted, Endorsement, PackageReport, RoundResult, Rule, SealingKey, Terminal,
};
use dawn_steward::Refusal;
use dawn_steward::records::{AnswerKind, End};

use crate::assert_rule;
use crate::founding::sign_roster;
use crate::now;
use crate::world::{World, body, refusal};

/// Runs a question twice, then after a restart, and says what the answers were.
macro_rules! same_again {
    ($world:ident, $state:ident, $ask:expr) => {{
        let first = $ask.expect("first");
        assert_eq!($ask.expect("again"), first);
        drop($state);
        $state = $world.start();
        assert_eq!($ask.expect("after a restart"), first);
        first
    }};
}

fn another(result: Result<Vec<u8>, dawn_steward::StewardError>) -> AnswerKind {
    match refusal(result) {
        Refusal::AnsweredAnother { kind, .. } => kind,
        other => panic!("refused by another rule: {other}"),
    }
}

#[test]
fn one_sealing_key_per_round() {
    let mut world = World::new();
    let mut state = world.start();
    let bytes = same_again!(world, state, world.sealing_key(&state, 3));
    let key: SealingKey = body(&bytes);
    assert_eq!((key.round, key.steward), (world.id(3), state.id()));
    // Rounds only go forward.
    assert!(matches!(
        refusal(world.sealing_key(&state, 2)),
        Refusal::LaterRound { highest: 3, .. }
    ));
    world.sealing_key(&state, 4).expect("the next");
    assert_eq!(
        world
            .sealing_key(&state, 3)
            .expect("what was said stays said"),
        bytes
    );
    assert!(matches!(
        refusal(world.sealing_key(&state, 41)),
        Refusal::NoSuchRound(_)
    ));
}

#[test]
fn one_specification_per_round() {
    let mut world = World::new();
    let mut state = world.start();
    let round = world.first_round(&state);
    let bytes = same_again!(world, state, world.endorse(&state, &round));
    let endorsement: Endorsement = body(&bytes);
    assert_eq!(endorsement.session, round.spec.peek().session());

    // The same round a second later, and the same round with other sealing keys of the others.
    let mut later = round.spec.peek().clone();
    later.opened_ms += 1000;
    let later = world.by_aggregator(&later);
    let rng = &mut world.rng.clone();
    assert_eq!(
        another(state.endorse(&later, &[], now(), rng)),
        AnswerKind::Endorsement
    );
    let own = world.sealing_key(&state, 1).expect("the same");
    let model = world.initial_model();
    let other = world.round_with(&own, 1, None, model);
    assert_eq!(
        another(world.endorse(&state, &other)),
        AnswerKind::Endorsement
    );
    drop(state);
    let state = world.start();
    assert_eq!(
        another(world.endorse(&state, &other)),
        AnswerKind::Endorsement
    );

    // T others who endorse the other one do not make this steward report on it.
    let announcement = world.announce(&other, &[2, 3, 4, 5]);
    let submissions = world.submissions(&announcement, &[0, 1, 2]);
    let closed = world.close(&announcement, submissions);
    assert_eq!(
        refusal(world.report(&state, &closed)),
        Refusal::OtherSession(world.id(1))
    );
}

/// A steward that was away when the round was endorsed: T others make the session the only one, and from its report on
/// it is this steward's as well.
#[test]
fn a_session_that_others_endorsed_is_taken_part_in_once() {
    let mut world = World::new();
    let state = world.start();
    let round = world.first_round(&state);
    let own = world.sealing_key(&state, 1).expect("the same");
    let model = world.initial_model();
    let other = world.round_with(&own, 1, None, model);
    let announcement = world.announce(&round, &[2, 3, 4, 5]);
    let submissions = world.submissions(&announcement, &[0, 1, 2]);
    let closed = world.close(&announcement, submissions);
    world.report(&state, &closed).expect("report");
    drop(state);
    let state = world.start();
    assert_eq!(
        refusal(world.endorse(&state, &other)),
        Refusal::OtherSession(world.id(1))
    );
    world.endorse(&state, &round).expect("late and welcome");
}

#[test]
fn a_specification_needs_this_stewards_own_key() {
    let mut world = World::new();
    let state = world.start();
    world.sealing_key(&state, 1).expect("key");
    let model = world.initial_model();
    // A key that this steward signed for another round is not accepted by anybody; one that an impostor with the same
    // signing key made for this round is not its own.
    let forged = SealingKey {
        round: world.id(1),
        steward: state.id(),
        key: dawn_crypto::seal::SealingSecretKey::generate(&mut world.rng).public(),
    };
    let forged = world.by_steward(&forged, 1);
    let round = world.round_with(forged.bytes(), 1, None, model);
    assert_eq!(
        refusal(world.endorse(&state, &round)),
        Refusal::NotMySealingKey(world.id(1))
    );

    let mut without = round.spec.peek().clone();
    without.sealing_keys[0] = None;
    without.matrix_seed =
        dawn_protocol::digests::matrix_seed(&without.round, &without.sealing_keys);
    let without = world.by_aggregator(&without);
    let rng = &mut world.rng.clone();
    assert_eq!(
        refusal(state.endorse(&without, &[], now(), rng)),
        Refusal::NotMySealingKey(world.id(1))
    );
}

#[test]
fn one_roster_per_task() {
    let mut world = World::new();
    let state = world.start();
    let round = world.first_round(&state);
    // Stewards that the aggregator made, in a roster that everybody signed and nobody put into the register.
    let mut stewards: Vec<SecretKey> = vec![SecretKey::from_seed(&world.stewards[0].to_seed())];
    stewards.extend((1..6).map(|_| SecretKey::generate(&mut world.rng)));
    let other = sign_roster(
        &world.organisations,
        &stewards,
        &world.vrfs,
        &world.federation,
        2,
    );
    let mut task = world.task.peek().clone();
    task.roster = other.peek().digest();
    let task = Signed::sign(&task, world.organisations[0].issuer()).expect("task");
    let refused = state.learn_task(&task).map(|_| Vec::new());
    assert_rule!(refusal(refused), Rule::TaskBinding);
    let mut spec = round.spec.peek().clone();
    spec.roster = other.peek().digest();
    let spec = world.by_aggregator(&spec);
    let rng = &mut world.rng.clone();
    assert_rule!(refusal(state.endorse(&spec, &[], now(), rng)), Rule::Roster);
    // A roster without this steward, which is in the register.
    stewards[0] = SecretKey::generate(&mut world.rng);
    let without = sign_roster(
        &world.organisations,
        &stewards,
        &world.vrfs,
        &world.federation,
        2,
    );
    let posting = world.organisations[0].post_roster(&without, now());
    let entry = posting.expect("posting").bytes().to_vec();
    state.learn_register(1, &[entry]).expect("register");
    let mut task = world.task.peek().clone();
    task.roster = without.peek().digest();
    let task = Signed::sign(&task, world.organisations[0].issuer()).expect("task");
    let refused = state.learn_task(&task).map(|_| Vec::new());
    assert!(matches!(refusal(refused), Refusal::NotInRoster { .. }));
}

#[test]
fn one_closed_list_per_round() {
    let mut world = World::new();
    let mut state = world.start();
    let (_, closed) = world.closed_round(&state, &[0, 1, 2, 3, 4]);
    let bytes = same_again!(world, state, world.report(&state, &closed));
    let report: PackageReport = body(&bytes);
    assert_eq!(report.root, closed.statement.peek().root);

    let fewer = world.close(&closed.announcement, closed.submissions[1..].to_vec());
    assert_eq!(another(world.report(&state, &fewer)), AnswerKind::Report);
    let mut later = closed.statement.peek().clone();
    later.closed_ms += 1;
    let later = world.by_aggregator(&later);
    let rng = &mut world.rng.clone();
    let asked = state
        .report(&closed.announcement, &later, &closed.challenge, rng)
        .map(|_| Vec::new());
    assert_eq!(another(asked), AnswerKind::Report);
    drop(state);
    let state = world.start();
    assert_eq!(another(world.report(&state, &fewer)), AnswerKind::Report);
}

/// Two reports of one round that are made at the same time: the second to finish is refused.
#[test]
fn reports_that_race_end_in_one() {
    let mut world = World::new();
    let state = world.start();
    let (_, closed) = world.closed_round(&state, &[0, 1, 2, 3, 4]);
    let fewer = world.close(&closed.announcement, closed.submissions[1..].to_vec());
    let mut works = Vec::new();
    for list in [&closed, &fewer] {
        let begun = world.begin_report(&state, list, 10).expect("begun");
        let mut work = begun.expect("nothing was answered yet");
        work.page(&list.page(0, 10)).expect("page");
        works.push(work);
    }
    let second = works.pop().expect("two");
    let first = works.pop().expect("two");
    let bytes = world.finish_report(&state, first).expect("first");
    assert_eq!(
        another(state.finish_report(second, &mut world.rng)),
        AnswerKind::Report
    );
    assert_eq!(world.report(&state, &closed).expect("again"), bytes);
}

#[test]
fn one_verdict_per_round() {
    let mut world = World::new();
    let mut state = world.start();
    let (round, closed) = world.closed_round(&state, &[0, 1, 2, 3, 4]);
    let own = world.report(&state, &closed).expect("report");
    let reports = world.reports(&round, &closed, &own, &[2, 3, 4, 5, 6]);
    let verdict = world.verdict(&closed, &reports, 0);
    same_again!(
        world,
        state,
        world.open(&state, &closed, &reports, &verdict)
    );

    // A verdict that is as true, from fewer reports; and one over another U, since steward 2 now complains.
    let fewer = world.reports(&round, &closed, &own, &[2, 3, 4, 5]);
    let other = world.verdict(&closed, &fewer, 0);
    assert_eq!(
        another(world.open(&state, &closed, &fewer, &other)),
        AnswerKind::Opening
    );
    let mut complaining = fewer.clone();
    complaining[1] = world.without_first(&closed, &reports[1]);
    let smaller = world.verdict(&closed, &complaining, 0);
    assert_ne!(smaller.peek().decisions, verdict.peek().decisions);
    assert_eq!(
        another(world.open(&state, &closed, &complaining, &smaller)),
        AnswerKind::Opening
    );
    drop(state);
    let state = world.start();
    assert_eq!(
        another(world.open(&state, &closed, &complaining, &smaller)),
        AnswerKind::Opening
    );
    // Everything else about the round stays said too.
    let other = world.close(&closed.announcement, closed.submissions[1..].to_vec());
    assert_eq!(another(world.report(&state, &other)), AnswerKind::Report);
}

#[test]
fn a_round_that_another_follows_is_over() {
    let mut world = World::new();
    let state = world.start();
    let (round, closed) = world.closed_round(&state, &[0, 1, 2, 3]);
    world.sealing_key(&state, 2).expect("the next round begins");
    assert_eq!(
        refusal(world.report(&state, &closed)),
        Refusal::Over {
            round: world.id(1),
            end: End::Superseded
        }
    );
    let again = world
        .endorse(&state, &round)
        .expect("what was said stays said");
    assert_eq!(body::<Endorsement>(&again).round, world.id(1));
}

#[test]
fn old_rounds_are_forgotten_and_refused() {
    let mut world = World::new();
    let state = world.start();
    for number in 1..=20 {
        world.sealing_key(&state, number).expect("key");
    }
    assert!(world.sealing_key(&state, 4).is_ok(), "remembered");
    assert!(matches!(
        refusal(world.sealing_key(&state, 3)),
        Refusal::BelowFloor { floor: 3, .. }
    ));
    assert!(matches!(
        refusal(world.sealing_key(&state, 1)),
        Refusal::BelowFloor { .. }
    ));
}

/// The specification has to continue the history that this steward took part in.
#[test]
fn one_history() {
    let mut world = World::new();
    let state = world.start();
    let (round, closed) = world.closed_round(&state, &[0, 1, 2, 3]);
    let own_report = world.report(&state, &closed).expect("report");
    let reports = world.reports(&round, &closed, &own_report, &[2, 3, 4, 5]);
    let verdict = world.verdict(&closed, &reports, 0);
    world
        .open(&state, &closed, &reports, &verdict)
        .expect("open");
    let result = RoundResult {
        round: world.id(1),
        session: closed.open.session(),
        verdict: verdict.body_digest(),
        openings: vec![dawn_protocol::Digest([1; 32]); 4],
        points: vec![1, 2, 3, 4],
        culprits: Vec::new(),
        accepted: 4,
        sum: dawn_protocol::Digest([2; 32]),
        model: dawn_protocol::Digest([3; 32]),
        direction: None,
        draw: None,
        evaluation: None,
    };
    let own = world.sealing_key(&state, 2).expect("key");
    let endorse = |world: &mut World, terminal: &Terminal, model| {
        let next = world.round_with(&own, 2, Some(terminal), model);
        world.endorse_spec(&state, &next.spec, std::slice::from_ref(terminal))
    };
    let other_verdict = RoundResult {
        verdict: dawn_protocol::Digest([9; 32]),
        ..result.clone()
    };
    let fork = Terminal::Result(world.by_aggregator(&other_verdict));
    assert_eq!(
        refusal(endorse(&mut world, &fork, result.model)),
        Refusal::OtherHistory(world.id(2))
    );
    let other_session = Aborted {
        round: world.id(1),
        session: Some(dawn_protocol::SessionId(dawn_protocol::Digest([8; 32]))),
        reason: AbortReason::TooFewReports,
        detail: String::new(),
        model: world.initial_model(),
        previous: None,
        direction: None,
        draw: None,
    };
    let fork = Terminal::Aborted(world.by_aggregator(&other_session));
    let model = world.initial_model();
    assert_eq!(
        refusal(endorse(&mut world, &fork, model)),
        Refusal::OtherHistory(world.id(2))
    );
    let honest = Terminal::Result(world.by_aggregator(&result));
    assert_rule!(
        refusal(endorse(&mut world, &honest, model)),
        Rule::SpecModel
    );
    endorse(&mut world, &honest, result.model).expect("the true history");
}

#[test]
fn a_specification_from_another_time_is_refused() {
    let mut world = World::new();
    let state = world.start();
    let round = world.first_round(&state);
    let rng = &mut world.rng.clone();
    for now in [now() - 100_000, now() + 100_000] {
        let refused = refusal(state.endorse(&round.spec, &[], now, rng));
        assert!(matches!(refused, Refusal::WrongTime { .. }), "{refused}");
    }
    world.endorse(&state, &round).expect("now");
}
