//! A steward whose keys are replaced: its memory goes with it, and without that it takes no part in what has begun.

use dawn_crypto::seal::SealingSecretKey;
use dawn_crypto::vrf::VrfSecretKey;
use dawn_identity::{KeyId, SecretKey, Signed};
use dawn_protocol::{Endorsement, Rule, SealingKey};
use dawn_steward::{Refusal, Vault};

use crate::founding::sign_roster;
use crate::world::{World, body, refusal};
use crate::{assert_rule, now};

/// The steward under test gets other keys, in a roster of the next epoch that is in the register; gives the old key.
fn replace(world: &mut World) -> KeyId {
    let old = world.stewards[0].public().id();
    world.stewards[0] = SecretKey::generate(&mut world.rng);
    world.vrfs[0] = VrfSecretKey::generate(&mut world.rng);
    let epoch = world.entries.len() as u64 + 1;
    let (orgs, federation) = (&world.organisations, &world.federation);
    world.roster = sign_roster(orgs, &world.stewards, &world.vrfs, federation, epoch);
    let posting = orgs[0].post_roster(&world.roster, now()).expect("posting");
    world.members.push(posting.bytes()).expect("follows");
    world.entries.push(posting.bytes().to_vec());
    world.context = world
        .context
        .under_roster_in_force(&world.members)
        .expect("continues");
    old
}

fn succeed(world: &mut World, old: KeyId) {
    let new = world.stewards[0].public().id();
    let dirs = (&*world.data_dir(), &*world.guard_dir());
    Vault::succeed(dirs, old, new, now(), &mut world.rng).expect("the memory goes on");
}

#[test]
fn the_memory_goes_with_the_steward() {
    let mut world = World::new();
    let state = world.start();
    let first = world.first_round(&state);
    world.endorse(&state, &first).expect("endorse");
    drop(state);
    let old = replace(&mut world);
    succeed(&mut world, old);
    // After a crash it is done again.
    succeed(&mut world, old);
    let state = world.start();
    assert_eq!(state.vault().former_keys().expect("read"), [old]);
    // What was said in the round that went on was said with the old key: the same bytes, and nothing else.
    let again = world.sealing_key(&state, 1).expect("the same bytes");
    let own = first.spec.peek().sealing_keys[0].as_ref().expect("its key");
    assert_eq!(again, own.bytes());
    let mut other = first.spec.peek().clone();
    other.opened_ms += 1;
    let other = world.by_aggregator(&other);
    assert!(state.endorse(&other, &[], now(), &mut world.rng).is_err());
    // It takes part in the next one, with its new key.
    let bytes = world.sealing_key(&state, 2).expect("the next round");
    let key = Signed::<SealingKey>::from_bytes(&bytes).expect("a key");
    assert_eq!(key.peek().steward, state.id());
    assert!(key.verify(&world.stewards[0].public()).is_ok());
    drop(state);
    // The old key has no way back.
    let opened = Vault::open(
        &world.data_dir(),
        &world.guard_dir(),
        old,
        now(),
        &mut world.rng,
    );
    assert!(opened.is_err());
    // Nor does a stranger's key succeed it.
    let stranger = SecretKey::generate(&mut world.rng).public().id();
    let dirs = (&*world.data_dir(), &*world.guard_dir());
    assert!(Vault::succeed(dirs, stranger, old, now(), &mut world.rng).is_err());
}

/// A ledger that began anew would let the budget be spent twice, and a memory that did would endorse two specifications.
#[test]
fn without_the_memory_there_is_no_part_in_tasks_that_have_begun() {
    let mut world = World::new();
    drop(world.start());
    replace(&mut world);
    // A new store, as after the loss of the old one.
    std::fs::remove_dir_all(world.data_dir()).expect("removed");
    std::fs::remove_dir_all(world.guard_dir()).expect("removed");
    let state = world.start_without_tasks();
    assert_eq!(
        refusal(state.learn_task(&world.task).map(|_| Vec::new())),
        Refusal::ForgottenPast(world.context.id())
    );
    // Tasks that begin under the new keys are as good as any.
    let named = world.roster.peek().digest();
    world.change_task(|task| task.roster = named);
    state.learn_task(&world.task).expect("a new task");
    world.sealing_key(&state, 1).expect("a key");
}

/// The aggregator shows a register from before what this steward knew when it spoke.
#[test]
fn a_specification_names_no_older_register_than_the_steward_knew() {
    let mut world = World::new();
    let state = world.start();
    let registration = world.organisations[5]
        .register(&world.federation.digest(), now())
        .expect("registration");
    world.members.push(registration.bytes()).expect("follows");
    let entries = [registration.bytes().to_vec()];
    state.learn_register(1, &entries).expect("register");
    // What the test's aggregator drafts is as of the entry before.
    let round = world.first_round(&state);
    assert_eq!(round.spec.peek().register.entries, 1);
    let refused = refusal(world.endorse(&state, &round));
    let expected = Refusal::OldRegister {
        round: world.id(1),
        named: 1,
        known: 2,
    };
    assert_eq!(refused, expected);
    let mut spec = round.spec.peek().clone();
    spec.register = world.members.head();
    let signed = world.by_aggregator(&spec);
    let bytes = world.endorse_spec(&state, &signed, &[]).expect("endorsed");
    let endorsement: Endorsement = body(&bytes);
    assert_eq!(endorsement.session, spec.session());
}

/// The roster of a specification is the one in force at the place in the register that it names, and no other.
#[test]
fn the_roster_is_the_newest_at_the_place_that_is_named() {
    let mut world = World::new();
    let mut state = world.start();
    let before = world.first_round(&state);
    drop(state);
    let old_roster = world.roster.peek().digest();
    // Another steward's keys are replaced: this one knows it before it endorses.
    let other = SecretKey::generate(&mut world.rng);
    world.stewards[3] = other;
    let (orgs, federation) = (&world.organisations, &world.federation);
    world.roster = sign_roster(orgs, &world.stewards, &world.vrfs, federation, 2);
    let posting = orgs[0].post_roster(&world.roster, now()).expect("posting");
    world.members.push(posting.bytes()).expect("follows");
    world.entries.push(posting.bytes().to_vec());
    state = world.start();
    let rng = &mut world.rng.clone();
    // The old roster at the new place; the new one at the old place.
    let mut late = before.spec.peek().clone();
    late.register = world.members.head();
    assert_eq!(late.roster, old_roster);
    let late = world.by_aggregator(&late);
    assert_rule!(
        refusal(state.endorse(&late, &[], now(), rng)),
        Rule::Register
    );
    let mut early = before.spec.peek().clone();
    early.roster = world.roster.peek().digest();
    let secret = SealingSecretKey::generate(&mut world.rng);
    let statement = SealingKey {
        round: early.round,
        steward: dawn_identity::StewardId::of(
            &world.organisations[3].id(),
            &world.stewards[3].public(),
        ),
        key: secret.public(),
    };
    early.sealing_keys[3] = Some(Signed::sign(&statement, &world.stewards[3]).expect("signs"));
    early.matrix_seed = dawn_protocol::digests::matrix_seed(&early.round, &early.sealing_keys);
    let early = world.by_aggregator(&early);
    assert_rule!(
        refusal(state.endorse(&early, &[], now(), rng)),
        Rule::Register
    );
    // As it was specified, the round goes on.
    world.endorse(&state, &before).expect("endorse");
}
