//! The part of the beacon: of one closed list a round, on disk first, under the key that the roster names.

use dawn_crypto::vrf::VrfSecretKey;
use dawn_identity::Signed;
use dawn_protocol::BeaconShare;
use dawn_steward::Refusal;
use dawn_steward::records::{AnswerKind, End};

use crate::asking::read_list;
use crate::world::{World, refusal};

fn another(kind: AnswerKind, world: &World) -> Refusal {
    Refusal::AnsweredAnother {
        round: world.id(1),
        kind,
    }
}

#[test]
fn one_part_of_the_beacon_per_round() {
    let mut world = World::new();
    let state = world.start();
    let (_, closed) = world.closed_round(&state, &[0, 1, 2, 3, 4]);
    let bytes = world.beacon(&state, &closed).expect("beacon");
    let share = Signed::<BeaconShare>::from_bytes(&bytes).expect("share");
    assert_eq!(closed.closed.verify_beacon_share(&share), Ok(1));
    assert_eq!(world.beacon(&state, &closed).expect("again"), bytes);

    // Another list, and the same list closed at another time.
    let fewer = world.close(&closed.announcement, closed.submissions[1..].to_vec());
    let mut later = world.close(&closed.announcement, closed.submissions.clone());
    let mut statement = later.statement.peek().clone();
    statement.closed_ms += 1;
    later.statement = world.by_aggregator(&statement);
    let expected = another(AnswerKind::BeaconShare, &world);
    let mut state = Some(state);
    for _ in 0..2 {
        let running = state.take().unwrap_or_else(|| world.start());
        for other in [&fewer, &later] {
            assert_eq!(refusal(world.beacon(&running, other)), expected);
            // A report is about the list that the beacon was made for.
            let refused = refusal(world.report(&running, other));
            assert_eq!(refused, Refusal::OtherList(world.id(1)));
        }
        let again = world.beacon(&running, &closed).expect("after a restart");
        assert_eq!(again, bytes);
    }
    let state = world.start();
    world.report(&state, &closed).expect("report");
    assert_eq!(world.beacon(&state, &closed).expect("still"), bytes);
}

/// A steward that reported without having been asked for its part says nothing about another list.
#[test]
fn a_late_part_of_the_beacon_is_of_the_reported_list() {
    let mut world = World::new();
    let state = world.start();
    let (round, closed) = world.closed_round(&state, &[0, 1, 2, 3, 4]);
    let own = world.report(&state, &closed).expect("report");
    let fewer = world.close(&closed.announcement, closed.submissions[1..].to_vec());
    let other_list = Refusal::OtherList(world.id(1));
    assert_eq!(refusal(world.beacon(&state, &fewer)), other_list);
    drop(state);
    let state = world.start();
    assert_eq!(refusal(world.beacon(&state, &fewer)), other_list);
    world.beacon(&state, &closed).expect("late and welcome");
    // It has not spoilt what was found.
    let reports = world.reports(&round, &closed, &own, &[2, 3, 4, 5]);
    let verdict = world.verdict(&closed, &reports, 0);
    world
        .open(&state, &closed, &reports, &verdict)
        .expect("open");
}

/// Two lists that are read at the same time: the second to finish is refused.
#[test]
fn parts_of_the_beacon_that_race_end_in_one() {
    let mut world = World::new();
    let state = world.start();
    let (_, closed) = world.closed_round(&state, &[0, 1, 2, 3, 4]);
    let fewer = world.close(&closed.announcement, closed.submissions[1..].to_vec());
    let mut lists = Vec::new();
    for round in [&closed, &fewer] {
        let spec = round.announcement.spec.bytes();
        world.logged(&state, &[spec, round.statement.bytes()]);
        let step = state.share_beacon(&round.announcement, &round.statement, &mut world.rng);
        let dawn_steward::BeaconStep::Pages(list) = step.expect("begun") else {
            panic!("nothing was answered yet");
        };
        lists.push(read_list(list, round, 2).expect("read"));
    }
    let report = world.begin_report(&state, &fewer, 10).expect("begun");
    let second = lists.pop().expect("two");
    let first = lists.pop().expect("two");
    let bytes = state.finish_beacon(first, &mut world.rng).expect("first");
    assert_eq!(
        refusal(state.finish_beacon(second, &mut world.rng)),
        another(AnswerKind::BeaconShare, &world)
    );
    // And a report on the other list that was begun before.
    let mut report = report.expect("nothing was answered yet");
    report.page(&fewer.page(0, 10)).expect("page");
    assert_eq!(
        refusal(state.finish_report(report, &mut world.rng)),
        Refusal::OtherList(world.id(1))
    );
    assert_eq!(world.beacon(&state, &closed).expect("again"), bytes);
}

#[test]
fn another_session_and_a_later_round_get_no_part_of_the_beacon() {
    let mut world = World::new();
    let state = world.start();
    let (_, closed) = world.closed_round(&state, &[0, 1, 2, 3]);
    let own = world.sealing_key(&state, 1).expect("the same");
    let model = world.initial_model();
    let other = world.round_with(&own, 1, None, model);
    let other = world.closed(&other, &[0, 1, 2]);
    assert_eq!(
        refusal(world.beacon(&state, &other)),
        Refusal::OtherSession(world.id(1))
    );
    world.sealing_key(&state, 2).expect("the next round begins");
    let over = Refusal::Over {
        round: world.id(1),
        end: End::Superseded,
    };
    assert_eq!(refusal(world.beacon(&state, &closed)), over);
}

/// With a key that the roster does not name nothing is signed: nobody would believe it.
#[test]
fn the_key_is_the_one_of_the_roster() {
    let mut world = World::new();
    let state = world.start();
    let (_, closed) = world.closed_round(&state, &[0, 1, 2, 3]);
    drop(state);
    let right = std::mem::replace(&mut world.vrfs[0], VrfSecretKey::from_seed(&[9; 32]));
    let state = world.start();
    assert_eq!(
        refusal(world.beacon(&state, &closed)),
        Refusal::NotMyVrfKey(world.id(1))
    );
    drop(state);
    world.vrfs[0] = right;
    let state = world.start();
    world.beacon(&state, &closed).expect("the right one");
}
