//! The register only grows, and nobody is shown less of it than before: over restarts, and from one statement to the next.

use dawn_identity::{Members, Signed};
use dawn_protocol::{Closed, Rule};
use dawn_steward::{BeaconStep, Refusal, StewardError, StewardState};

use crate::world::{ClosedRound, World, refusal};
use crate::{assert_rule, now};

/// One entry more, of this organisation's registration: the members after it, and the entry.
fn registered(world: &World, organisation: usize) -> (Members, Vec<u8>) {
    let registration = world.organisations[organisation]
        .register(&world.federation.digest(), now())
        .expect("registration");
    let mut members = world.members.clone();
    members.push(registration.bytes()).expect("follows");
    (members, registration.bytes().to_vec())
}

fn share(
    world: &mut World,
    state: &StewardState,
    round: &ClosedRound,
    closed: &Signed<Closed>,
) -> Result<Vec<u8>, StewardError> {
    let spec = round.announcement.spec.bytes();
    world.logged(state, &[spec, closed.bytes()]);
    let step = state.share_beacon(&round.announcement, closed, &mut world.rng)?;
    assert!(matches!(step, BeaconStep::Pages(_)));
    Ok(Vec::new())
}

#[test]
fn a_register_that_shrank_is_refused_after_a_restart_too() {
    let mut world = World::new();
    let state = world.start();
    let ((_, entry), (_, other)) = (registered(&world, 5), registered(&world, 4));
    state
        .learn_register(1, std::slice::from_ref(&entry))
        .expect("follows");
    world.sealing_key(&state, 1).expect("key");
    drop(state);
    let shrank = Refusal::RegisterShrank { shown: 1, known: 2 };

    let state = world.start();
    assert_eq!(refusal(world.sealing_key(&state, 2)), shrank);
    // Another entry in its place is another register.
    let refused = state.learn_register(1, std::slice::from_ref(&other));
    assert_rule!(refusal(refused.map(|()| Vec::new())), Rule::Register);
    drop(state);
    // The guard knows it when the store is gone.
    std::fs::remove_dir_all(world.data_dir()).expect("lost");
    let state = world.start();
    assert_eq!(refusal(world.sealing_key(&state, 2)), shrank);
    state.learn_register(1, &[entry]).expect("follows");
    world
        .sealing_key(&state, 2)
        .expect("all of it is shown again");
}

/// What was refused once is refused the next time too, however long it is, and the true register is taken after it.
#[test]
fn another_register_is_not_followed_when_it_is_shown_again() {
    for longer in [false, true] {
        let mut world = World::new();
        let state = world.start();
        let ((_, entry), (_, other)) = (registered(&world, 5), registered(&world, 4));
        state
            .learn_register(1, std::slice::from_ref(&entry))
            .expect("follows");
        world.sealing_key(&state, 1).expect("remembers");
        drop(state);
        let mut forked = world.entries.clone();
        forked.push(other);
        if longer {
            forked.push(registered(&world, 3).1);
        }
        let state = world.start();
        for _ in 0..3 {
            let known = usize::try_from(state.register_entries()).expect("small");
            let shown = state.learn_register(known as u64, &forked[known..]);
            assert_rule!(refusal(shown.map(|()| Vec::new())), Rule::Register);
            // Nor is anything judged by what it said.
            let refused = refusal(world.sealing_key(&state, 1));
            assert!(matches!(refused, Refusal::UnknownTask(_)), "{refused}");
        }
        let whole = [world.entries.clone(), vec![entry]].concat();
        let known = usize::try_from(state.register_entries()).expect("small");
        state
            .learn_register(known as u64, &whole[known..])
            .expect("the true one");
        state.learn_task(&world.task).expect("task");
        world.sealing_key(&state, 1).expect("nothing was lost");
    }
}

/// Whoever answers in the server's place once can show an entry that others may sign, but not have the steward remember it: what
/// was only read does not outlive a restart.
#[test]
fn what_was_only_read_keeps_nobody_from_the_true_register() {
    let mut world = World::new();
    let state = world.start();
    let ((_, entry), (_, other)) = (registered(&world, 5), registered(&world, 4));
    state.learn_register(1, &[other]).expect("follows");
    state
        .keep_server_keys(&mut world.rng)
        .expect("nothing to remember");
    // The true one does not go on from there, and nothing of the other stays.
    let roster = &world.entries[0];
    let refused = state.learn_register(2, std::slice::from_ref(roster));
    assert_rule!(refusal(refused.map(|()| Vec::new())), Rule::Register);
    assert_eq!(state.register_entries(), 0);
    // A page that was fetched before.
    state
        .learn_register(1, std::slice::from_ref(&entry))
        .expect("nothing of it is taken");
    assert_eq!(state.register_entries(), 0);
    let whole = [world.entries.clone(), vec![entry]].concat();
    state.learn_register(0, &whole).expect("the true one");
    drop(state);
    let state = world.start();
    world.sealing_key(&state, 1).expect("nothing was lost");
}

#[test]
fn a_closing_that_names_less_than_was_known_at_the_endorsement() {
    let mut world = World::new();
    let state = world.start();
    let round = world.first_round(&state);
    // Between the specification and the endorsement: nothing is wrong with the specification.
    let (members, entry) = registered(&world, 5);
    state
        .learn_register(1, std::slice::from_ref(&entry))
        .expect("follows");
    world.endorse(&state, &round).expect("endorse");
    let closed = world.closed(&round, &[0, 1, 2, 3]);
    assert_eq!(closed.statement.peek().register.entries, 1);
    let old = Refusal::OldClosing {
        round: world.id(1),
        named: 1,
        known: 2,
    };
    assert_eq!(
        refusal(share(&mut world, &state, &closed, &closed.statement)),
        old
    );
    assert_eq!(refusal(world.report(&state, &closed)), old);
    drop(state);

    // When only so much is shown after a restart, it says nothing at all, and does not even cosign the log.
    let state = world.start();
    let asked = state.share_beacon(&closed.announcement, &closed.statement, &mut world.rng);
    let shrank = Refusal::RegisterShrank { shown: 1, known: 2 };
    assert_eq!(refusal(asked.map(|_| Vec::new())), shrank);
    let size = world.leaves.len();
    let shown = world.to_cosign(size, size);
    let asked = state.cosign(&shown, now(), &mut world.rng);
    assert_eq!(
        refusal(asked.map(|_| Vec::new())),
        Refusal::RegisterShrank { shown: 1, known: 2 }
    );
    state.learn_register(1, &[entry]).expect("follows");
    let mut whole = closed.statement.peek().clone();
    whole.register = members.head();
    let whole = world.by_aggregator(&whole);
    share(&mut world, &state, &closed, &whole).expect("leaves nothing out");
}

/// Others endorsed a specification that this steward refused: it goes on from there only with what it knew.
#[test]
fn a_closing_that_names_less_than_was_known_at_the_sealing_key() {
    let mut world = World::new();
    let state = world.start();
    let (members, entry) = registered(&world, 5);
    state.learn_register(1, &[entry]).expect("follows");
    let round = world.first_round(&state);
    assert!(world.endorse(&state, &round).is_err());
    let closed = world.closed(&round, &[0, 1, 2, 3]);
    let old = Refusal::OldClosing {
        round: world.id(1),
        named: 1,
        known: 2,
    };
    assert_eq!(
        refusal(share(&mut world, &state, &closed, &closed.statement)),
        old
    );
    let mut whole = closed.statement.peek().clone();
    whole.register = members.head();
    let whole = world.by_aggregator(&whole);
    share(&mut world, &state, &closed, &whole).expect("leaves nothing out");
}
