//! A store that is put back from a backup, at every stage of a round; a lost guard; a lost everything.

use dawn_identity::Signed;
use dawn_protocol::{LogEntry, SealingKey};
use dawn_steward::records::End;
use dawn_steward::{Condition, Refusal, StewardState};

use crate::now;
use crate::world::{World, refusal};

fn over(round: dawn_protocol::RoundId) -> Refusal {
    Refusal::Over {
        round,
        end: End::Restored,
    }
}

/// The backup is older than the sealing key: a new key would make two of one round.
#[test]
fn restored_before_the_sealing_key() {
    let mut world = World::new();
    drop(world.start());
    let backup = world.back_up();
    let state = world.start();
    world.sealing_key(&state, 3).expect("key");
    drop(state);
    world.restore(&backup);
    let state = world.start();
    assert_eq!(state.vault().condition(), Condition::Restored);
    for number in 1..=3 {
        let refused = refusal(world.sealing_key(&state, number));
        assert!(
            matches!(refused, Refusal::BelowFloor { floor: 3, .. }),
            "{refused}"
        );
    }
    world
        .sealing_key(&state, 4)
        .expect("a round that nobody can have seen");
    drop(state);
    let state = world.start();
    assert_eq!(
        state.vault().condition(),
        Condition::Intact,
        "noticed once, remembered for ever"
    );
    assert!(matches!(
        refusal(world.sealing_key(&state, 3)),
        Refusal::BelowFloor { .. }
    ));
}

#[test]
fn restored_before_the_endorsement() {
    let mut world = World::new();
    let state = world.start();
    let round = world.first_round(&state);
    drop(state);
    let backup = world.back_up();
    let state = world.start();
    world.endorse(&state, &round).expect("endorse");
    drop(state);
    world.restore(&backup);
    let state = world.start();
    // Another specification of the round, with the same sealing keys.
    let mut other = round.spec.peek().clone();
    other.opened_ms += 1;
    let other = world.by_aggregator(&other);
    assert_eq!(
        refusal(state.endorse(&other, &[], now(), &mut world.rng)),
        over(world.id(1))
    );
    assert_eq!(refusal(world.endorse(&state, &round)), over(world.id(1)));
    assert_eq!(refusal(world.sealing_key(&state, 1)), over(world.id(1)));
}

/// The backup does not know that a list was closed, and the round's stays the only one.
#[test]
fn restored_before_the_part_of_the_beacon() {
    let mut world = World::new();
    let state = world.start();
    let (_, closed) = world.closed_round(&state, &[0, 1, 2, 3, 4]);
    drop(state);
    let backup = world.back_up();
    let state = world.start();
    world.beacon(&state, &closed).expect("beacon");
    drop(state);
    world.restore(&backup);
    let state = world.start();
    let other = world.close(&closed.announcement, closed.submissions[1..].to_vec());
    assert_eq!(refusal(world.beacon(&state, &other)), over(world.id(1)));
    assert_eq!(refusal(world.beacon(&state, &closed)), over(world.id(1)));
    assert_eq!(refusal(world.report(&state, &other)), over(world.id(1)));
}

/// Two challenges would show the projections: what may have been answered is not answered again.
#[test]
fn restored_before_the_answers() {
    let mut world = World::new();
    let state = world.start();
    let (_, closed) = world.closed_round(&state, &[0, 1, 2, 3, 4]);
    world.beacon(&state, &closed).expect("beacon");
    drop(state);
    let backup = world.back_up();
    let state = world.start();
    world.report(&state, &closed).expect("report");
    drop(state);
    world.restore(&backup);
    let state = world.start();
    let other = world.challenged_again(&closed, &[3, 4, 5, 6]);
    assert_eq!(refusal(world.report(&state, &other)), over(world.id(1)));
    assert_eq!(refusal(world.report(&state, &closed)), over(world.id(1)));
    assert_eq!(state.own_answers(&world.id(1)), None);
    let kept = std::fs::read_dir(world.data_dir().join("answers")).expect("answers");
    assert_eq!(kept.count(), 0);
}

#[test]
fn restored_before_the_report() {
    let mut world = World::new();
    let state = world.start();
    let (_, closed) = world.closed_round(&state, &[0, 1, 2, 3, 4]);
    drop(state);
    let backup = world.back_up();
    let state = world.start();
    world.report(&state, &closed).expect("report");
    drop(state);
    world.restore(&backup);
    let state = world.start();
    let other = world.close(&closed.announcement, closed.submissions[1..].to_vec());
    assert_eq!(refusal(world.report(&state, &other)), over(world.id(1)));
    assert_eq!(refusal(world.report(&state, &closed)), over(world.id(1)));
    assert_eq!(
        std::fs::read_dir(world.guard_dir().join("secrets"))
            .expect("secrets")
            .count(),
        0
    );
}

#[test]
fn restored_before_the_opening() {
    let mut world = World::new();
    let state = world.start();
    let (round, closed) = world.closed_round(&state, &[0, 1, 2, 3, 4]);
    let own = world.report(&state, &closed).expect("report");
    drop(state);
    let backup = world.back_up();
    let state = world.start();
    let reports = world.reports(&round, &closed, &own, &[2, 3, 4, 5, 6]);
    let verdict = world.verdict(&closed, &reports, 0);
    world
        .open(&state, &closed, &reports, &verdict)
        .expect("open");
    let spent = state.vault().spent("digits").expect("ledger");
    assert!(spent > 0);
    drop(state);
    world.restore(&backup);
    let state = world.start();
    let fewer = world.reports(&round, &closed, &own, &[2, 3, 4, 5]);
    let other = world.verdict(&closed, &fewer, 0);
    assert_eq!(
        refusal(world.open(&state, &closed, &fewer, &other)),
        over(world.id(1))
    );
    assert_eq!(
        refusal(world.open(&state, &closed, &reports, &verdict)),
        over(world.id(1))
    );
    // The ledger is the guard's.
    assert_eq!(state.vault().spent("digits").expect("ledger"), spent);
    assert_eq!(
        state.vault().task(&world.context.id()).expect("task").spent,
        spent
    );
}

/// What was finished when the backup was taken stays: those are the bytes that left.
#[test]
fn restored_after_the_opening() {
    let mut world = World::new();
    let state = world.start();
    let (round, closed) = world.closed_round(&state, &[0, 1, 2, 3]);
    let own = world.report(&state, &closed).expect("report");
    let reports = world.reports(&round, &closed, &own, &[2, 3, 4, 5]);
    let verdict = world.verdict(&closed, &reports, 0);
    let answer = world
        .open(&state, &closed, &reports, &verdict)
        .expect("open");
    drop(state);
    let backup = world.back_up();
    let state = world.start();
    world.sealing_key(&state, 2).expect("next");
    drop(state);
    world.restore(&backup);
    let state = world.start();
    assert_eq!(state.vault().condition(), Condition::Restored);
    assert_eq!(
        world
            .open(&state, &closed, &reports, &verdict)
            .expect("the same"),
        answer
    );
    assert!(matches!(
        refusal(world.sealing_key(&state, 2)),
        Refusal::BelowFloor { floor: 2, .. }
    ));
}

/// Also a store that is gone altogether, while the guard is there.
#[test]
fn a_lost_store_is_a_restored_one() {
    let mut world = World::new();
    let state = world.start();
    world.sealing_key(&state, 5).expect("key");
    drop(state);
    std::fs::remove_dir_all(world.data_dir()).expect("lost");
    let state = world.start();
    assert_eq!(state.vault().condition(), Condition::Restored);
    assert!(matches!(
        refusal(world.sealing_key(&state, 5)),
        Refusal::BelowFloor { floor: 5, .. }
    ));
    world.sealing_key(&state, 6).expect("next");
}

/// Two backups, put back one after the other.
#[test]
fn restoring_again_is_noticed_again() {
    let mut world = World::new();
    let state = world.start();
    world.sealing_key(&state, 1).expect("key");
    drop(state);
    let backup = world.back_up();
    for number in [4, 9] {
        let state = world.start();
        world.sealing_key(&state, number).expect("key");
        drop(state);
        world.restore(&backup);
        let state = world.start();
        assert_eq!(state.vault().condition(), Condition::Restored);
        assert!(matches!(
            refusal(world.sealing_key(&state, number)),
            Refusal::BelowFloor { .. }
        ));
    }
}

/// Without the guard nothing says how old the store is: only tasks signed later count, by this steward's own clock.
#[test]
fn without_the_guard_only_later_tasks_count() {
    let mut world = World::new();
    world.budgets.insert("digits".to_owned(), u64::MAX);
    let state = world.start();
    world.sealing_key(&state, 1).expect("key");
    drop(state);
    std::fs::remove_dir_all(world.guard_dir()).expect("lost");
    let state = world.start();
    assert_eq!(state.vault().condition(), Condition::GuardLost);
    let refused = |world: &mut World, state: &StewardState, number, now| {
        let round = world.id(number);
        refusal(state.sealing_key(&round, now, &mut world.rng))
    };
    assert_eq!(refused(&mut world, &state, 1, now()), over(world.id(1)));
    for number in [2, 10] {
        let refused = refused(&mut world, &state, number, now());
        assert!(matches!(refused, Refusal::TaskTooOld { .. }), "{refused}");
    }
    drop(state);
    // It stays so after a restart, a long time later.
    let later = now() + 1_000_000;
    let state = world.start_at(later);
    assert_eq!(state.vault().condition(), Condition::Intact);
    assert!(matches!(
        refused(&mut world, &state, 10, later),
        Refusal::TaskTooOld { .. }
    ));
    drop(state);

    // A task that its owner signed after the loss counts, once somebody has said what was spent on its data.
    world.change_task(|task| task.created = now() + 5_000);
    let state = world.start_at(later);
    assert_eq!(
        refused(&mut world, &state, 1, later),
        Refusal::LedgerUnknown("digits".to_owned())
    );
    let stated = [("digits".to_owned(), 77)].into();
    state
        .restate_spending(&stated, &mut world.rng)
        .expect("stated");
    assert_eq!(state.vault().spent("digits").expect("ledger"), 77);
    let round = world.id(1);
    state
        .sealing_key(&round, later, &mut world.rng)
        .expect("counts");
    drop(state);
    // A task from the future would undo all this.
    world.change_task(|task| task.created = later + 5_000);
    let state = world.start_at(later);
    assert!(matches!(
        refused(&mut world, &state, 1, later),
        Refusal::TaskFromFuture { .. }
    ));
}

fn entry(index: u64, envelope: &[u8]) -> LogEntry {
    LogEntry {
        index,
        envelope: envelope.to_vec(),
    }
}

/// When everything is lost, or put back together, the log is what is left.
#[test]
fn the_log_shows_what_was_forgotten() {
    let mut world = World::new();
    let state = world.start();
    let first = world.sealing_key(&state, 1).expect("key");
    let seventh = world.sealing_key(&state, 7).expect("key");
    assert_eq!(
        state
            .observe_log(&[entry(0, &first), entry(1, &seventh)], &mut world.rng)
            .expect("log"),
        0
    );
    drop(state);
    std::fs::remove_dir_all(world.data_dir()).expect("lost");
    std::fs::remove_dir_all(world.guard_dir()).expect("lost");

    let state = world.start();
    assert_eq!(state.vault().condition(), Condition::Fresh);
    assert!(state.should_read_log().expect("flag"));
    // Others' statements, garbage, and statements that others made in this steward's name do not matter.
    let forged = SealingKey {
        round: world.id(30),
        steward: state.id(),
        key: dawn_crypto::seal::SealingSecretKey::generate(&mut world.rng).public(),
    };
    let by_another = world.by_steward(&forged, 2);
    let mut broken = seventh.clone();
    *broken.last_mut().expect("bytes") ^= 1;
    let noise = [
        entry(0, by_another.bytes()),
        entry(1, &broken),
        entry(2, b""),
        entry(3, &[0xff; 100]),
    ];
    assert_eq!(state.observe_log(&noise, &mut world.rng).expect("log"), 0);
    assert_eq!(
        state
            .observe_log(&[entry(4, &seventh)], &mut world.rng)
            .expect("log"),
        1
    );
    state.log_has_been_read(&mut world.rng).expect("read");
    for number in [1, 7] {
        let refused = refusal(world.sealing_key(&state, number));
        assert!(
            matches!(refused, Refusal::BelowFloor { .. } | Refusal::Over { .. }),
            "{refused}"
        );
    }
    drop(state);
    let state = world.start();
    assert!(!state.should_read_log().expect("flag"));
    assert!(matches!(
        refusal(world.sealing_key(&state, 7)),
        Refusal::Over {
            end: End::KeyUsedElsewhere,
            ..
        }
    ));
    world.sealing_key(&state, 8).expect("next");
}

/// A second steward with the same key: whoever sees the other's statement stops.
#[test]
fn another_statement_under_this_key_ends_the_round() {
    let mut world = World::new();
    let state = world.start();
    let round = world.first_round(&state);
    let elsewhere = SealingKey {
        round: world.id(1),
        steward: state.id(),
        key: dawn_crypto::seal::SealingSecretKey::generate(&mut world.rng).public(),
    };
    let elsewhere: Signed<SealingKey> = world.by_steward(&elsewhere, 1);
    assert_eq!(
        state
            .observe_log(&[entry(9, elsewhere.bytes())], &mut world.rng)
            .expect("log"),
        1
    );
    let expected = Refusal::Over {
        round: world.id(1),
        end: End::KeyUsedElsewhere,
    };
    assert_eq!(refusal(world.endorse(&state, &round)), expected);
    assert_eq!(refusal(world.sealing_key(&state, 1)), expected);
}

#[test]
fn one_process_at_a_time() {
    let mut world = World::new();
    let state = world.start();
    let key = world.stewards[0].public().id();
    let other_data = world.data_dir().join("other");
    let second =
        dawn_steward::Vault::open(&other_data, &world.guard_dir(), key, now(), &mut world.rng);
    assert!(
        matches!(second, Err(dawn_steward::VaultError::Guard(_))),
        "the guard is locked"
    );
    let other_guard = world.guard_dir().join("other");
    let second =
        dawn_steward::Vault::open(&world.data_dir(), &other_guard, key, now(), &mut world.rng);
    assert!(
        matches!(second, Err(dawn_steward::VaultError::Locked(_))),
        "the store is locked"
    );
    drop(state);
    let stranger = world.stewards[1].public().id();
    let second = dawn_steward::Vault::open(
        &world.data_dir(),
        &other_guard,
        stranger,
        now(),
        &mut world.rng,
    );
    assert!(
        matches!(second, Err(dawn_steward::VaultError::OtherKey(_))),
        "another steward's store"
    );
}

/// Two misfortunes one after the other: the guard that follows a lost one does not know the past, and says so to an even
/// older store.
#[test]
fn a_lost_guard_is_not_forgotten_with_the_store() {
    let mut world = World::new();
    drop(world.start());
    let backup = world.back_up();
    let state = world.start();
    world.sealing_key(&state, 1).expect("key");
    drop(state);
    world.restore(&backup);
    std::fs::remove_dir_all(world.guard_dir()).expect("lost");
    let state = world.start();
    assert_eq!(state.vault().condition(), Condition::GuardLost);
    drop(state);
    std::fs::remove_dir_all(world.data_dir()).expect("lost");
    let state = world.start();
    assert_eq!(state.vault().condition(), Condition::Restored);
    let refused = refusal(world.sealing_key(&state, 1));
    assert!(matches!(refused, Refusal::TaskTooOld { .. }), "{refused}");
}
