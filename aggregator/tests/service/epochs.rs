//! A steward's keys are replaced: a task goes on under the new ones from its next round on, and later tasks begin with them.

use dawn_crypto::shamir::Threshold;
use dawn_identity::{Register, SecretKey, SignedRoster, StewardId};
use dawn_protocol::{SealingKey, TaskContext};
use dawn_transport::{Api, TransportError};

use crate::devices::announcement;
use crate::raw;
use crate::rounds::{result, vector};
use crate::stewards::{Steward, work_through};
use crate::world::{World, now_s, roster, vrf_key};

fn status<T: std::fmt::Debug>(answer: Result<T, TransportError>) -> u16 {
    answer.expect_err("refused").status().expect("a problem")
}

/// One round of a task, to its result.
async fn play(world: &mut World, api: &Api, task: &TaskContext, number: u32) {
    let mut stewards = world.stewards(task);
    play_with(world, api, task, &mut stewards, number).await;
}

async fn play_with(
    world: &mut World,
    api: &Api,
    task: &TaskContext,
    stewards: &mut [Steward],
    number: u32,
) {
    submit(world, api, task, stewards, number).await;
    finish(api, task, stewards, number).await;
}

/// The first half of a round: devices have submitted.
async fn submit(
    world: &mut World,
    api: &Api,
    task: &TaskContext,
    stewards: &mut [Steward],
    number: u32,
) {
    let devices = world.devices(4);
    let id = task.round(number);
    work_through(api, stewards, &id, &["collecting"]).await;
    let shown = announcement(api, task, number - 1).await;
    assert_eq!(shown.spec.peek().roster, task.roster().digest());
    for (i, device) in devices.iter().enumerate() {
        let submission = device.prepare(task, &shown, &vector(i), 1000 + i as u64);
        device.submit(api, &shown, &submission).await.unwrap();
    }
}

async fn finish(api: &Api, task: &TaskContext, stewards: &mut [Steward], number: u32) {
    let id = task.round(number);
    work_through(api, stewards, &id, &["done", "aborted"]).await;
    assert_eq!(result(api, &id).await.peek().accepted, 4);
}

fn copy(key: &SecretKey) -> SecretKey {
    SecretKey::from_seed(&key.to_seed())
}

/// The roster of another epoch, with the stewards' keys as they are now.
fn next_roster(world: &World, epoch: u64) -> SignedRoster {
    let (orgs, keys) = (&world.orgs, &world.steward_keys);
    roster(
        &world.federation,
        orgs,
        keys,
        Threshold::new(3, 0).unwrap(),
        epoch,
    )
}

/// The first organisation makes new keys for its steward and enrols them.
async fn replace_keys(world: &mut World, api: &Api) {
    world.steward_keys[0] = SecretKey::generate(&mut world.rng);
    let (org, key) = (&world.orgs[0], &world.steward_keys[0]);
    let digest = world.federation.digest();
    let vrf = vrf_key(key);
    let enrolment = org.enrol_steward(&digest, key, vrf.public(), now_s());
    api.enrol_steward(&org.id(), &enrolment.unwrap(), org.root())
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_goes_on_under_the_replaced_keys_of_a_steward() {
    let mut world = World::new().await;
    let (running, api) = world.start_enrolled().await;
    let task = world.task(|task| {
        task.rounds = 3;
        // So that a round waits for all its stewards.
        task.deadlines.grace_ms = 20_000;
    });
    let old = world.context(&task);
    api.post_task(&task, world.orgs[0].issuer()).await.unwrap();
    let late = world.task(|task| task.name = "signed before, posted after".to_owned());
    let mut stewards = world.stewards(&old);
    submit(&mut world, &api, &old, &mut stewards, 1).await;

    // In the middle of round 1. No epoch is left out, and none has a steward that is not enrolled.
    let root = copy(world.orgs[0].root());
    let (org, old_key) = (world.orgs[0].id(), copy(&world.steward_keys[0]));
    let unknown = SecretKey::generate(&mut world.rng);
    let known = std::mem::replace(&mut world.steward_keys[0], unknown);
    let next = world.posting(&next_roster(&world, 2));
    assert_eq!(status(api.post_roster(&next, &root).await), 422);
    world.steward_keys[0] = known;
    replace_keys(&mut world, &api).await;
    let (next, gap) = (next_roster(&world, 2), next_roster(&world, 3));
    let posted = |roster: &SignedRoster| world.posting(roster);
    assert_eq!(status(api.post_roster(&posted(&gap), &root).await), 422);
    api.post_roster(&posted(&next), &root).await.unwrap();
    api.post_roster(&posted(&next), &root).await.unwrap();
    // Another roster of this epoch, signed by everybody.
    let mut fork = next.peek().clone();
    fork.created += 1;
    let signatures = world.orgs.iter().map(|org| fork.sign(org.root())).collect();
    let fork = SignedRoster::assemble(fork, signatures).unwrap();
    assert_eq!(status(api.post_roster(&posted(&fork), &root).await), 409);
    // The first one again changes nothing.
    api.post_roster(&posted(&world.roster), &root)
        .await
        .unwrap();
    let mut register = Register::new(&world.federation);
    api.extend_register(&mut register, None).await.unwrap();
    assert_eq!(register.members().rosters().len(), 2);
    let former = std::mem::replace(&mut world.roster, next);
    world.former.push(former);

    // Round 1 is finished by those who began it. Round 2 has the new keys, and the old ones have no part in it any more.
    let new = old.under_roster_in_force(register.members()).unwrap();
    assert_eq!(new.roster().epoch(), 2);
    let id = |key: &SecretKey| StewardId::of(&org, &key.public());
    assert_eq!(new.roster().point_of(&id(&old_key)), None);
    finish(&api, &old, &mut stewards, 1).await;
    let round = old.round(2);
    let left = api.work(&id(&old_key), 0).await.unwrap();
    assert!(left.is_empty(), "{left:?}");
    let sealing = dawn_crypto::seal::SealingSecretKey::generate(&mut world.rng);
    let statement = SealingKey {
        round,
        steward: id(&old_key),
        key: sealing.public(),
    };
    let statement = dawn_identity::Signed::sign(&statement, &old_key).unwrap();
    let path = format!("/v1/tasks/{}/rounds/2/statements/sealing-key", round.task);
    let addr = running.local_addr();
    let refused = raw::request(addr, "PUT", &path, "application/cbor", statement.bytes()).await;
    assert_eq!(refused.status, 422);
    stewards[0] = world.stewards(&new).remove(0);
    stewards.iter_mut().for_each(|steward| steward.go_on(&new));
    play_with(&mut world, &api, &new, &mut stewards, 2).await;

    // Another epoch with an organisation fewer: the task has the stewards that it was made for, a new task the new ones.
    let fewer = roster(
        &world.federation,
        &world.orgs[..2],
        &world.steward_keys[..2],
        Threshold::new(2, 0).unwrap(),
        3,
    );
    api.post_roster(&world.posting(&fewer), &root)
        .await
        .unwrap();
    play_with(&mut world, &api, &new, &mut stewards, 3).await;
    let issuer = world.orgs[0].issuer();
    assert_eq!(status(api.post_task(&late, issuer).await), 422);
    api.post_task(&task, issuer).await.unwrap();
    let before = std::mem::replace(&mut world.roster, fewer);
    world.former.push(before);
    let after = world.task(|task| task.rounds = 1);
    let issuer = world.orgs[0].issuer();
    api.post_task(&after, issuer).await.unwrap();
    let after = world.context(&after);
    assert_eq!((after.roster().epoch(), after.threshold().m()), (3, 2));
    play(&mut world, &api, &after, 1).await;
    running.shutdown().await.unwrap();
}

/// Keys that are replaced while stewards give their sealing keys: the round has the roster of the moment at which it is
/// specified, and what the old key gave before has no seat.
#[tokio::test(flavor = "multi_thread")]
async fn keys_that_are_replaced_while_a_round_is_keying() {
    let mut world = World::new().await;
    let (running, api) = world.start_enrolled().await;
    let task = world.task(|task| task.rounds = 1);
    let old = world.context(&task);
    api.post_task(&task, world.orgs[0].issuer()).await.unwrap();
    let id = old.round(1);
    let mut stewards = world.stewards(&old);
    let mut first = stewards.remove(0);
    assert_eq!(first.step_only(&api, "key").await, ["key"]);
    replace_keys(&mut world, &api).await;
    let next = next_roster(&world, 2);
    let root = copy(world.orgs[0].root());
    api.post_roster(&world.posting(&next), &root).await.unwrap();
    let former = std::mem::replace(&mut world.roster, next);
    world.former.push(former);
    let new = world.context(&task);
    let mut stewards = world.stewards(&new);
    work_through(&api, &mut stewards[1..], &id, &["endorsing", "collecting"]).await;
    let spec = api.statements(&id).await.unwrap();
    let spec = spec
        .iter()
        .find_map(|entry| {
            dawn_identity::Signed::<dawn_protocol::RoundSpec>::from_bytes(&entry.envelope).ok()
        })
        .unwrap();
    assert_eq!(spec.peek().roster, new.roster().digest());
    assert_eq!(spec.peek().seated().collect::<Vec<_>>(), [2, 3]);
    running.shutdown().await.unwrap();
}
