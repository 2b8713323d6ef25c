//! A steward's keys are replaced: tasks before go on with the old roster, later ones have the new one.

use dawn_crypto::shamir::Threshold;
use dawn_identity::{SecretKey, StewardId};
use dawn_transport::TransportError;

use crate::devices::announcement;
use crate::rounds::{result, vector};
use crate::stewards::work_through;
use crate::world::{World, now_s, roster, vrf_key};

fn status<T: std::fmt::Debug>(answer: Result<T, TransportError>) -> u16 {
    answer.expect_err("refused").status().expect("a problem")
}

/// One round of a task, to its result.
async fn play(world: &mut World, api: &dawn_transport::Api, task: &dawn_protocol::TaskContext) {
    let mut stewards = world.stewards(task);
    let devices = world.devices(4);
    let id = task.round(1);
    work_through(api, &mut stewards, &id, &["collecting"]).await;
    let shown = announcement(api, task, 0).await;
    assert_eq!(shown.spec.peek().roster, task.roster().digest());
    for (i, device) in devices.iter().enumerate() {
        let submission = device.prepare(task, &shown, &vector(i), 1000 + i as u64);
        device.submit(api, &shown, &submission).await.unwrap();
    }
    work_through(api, &mut stewards, &id, &["done", "aborted"]).await;
    assert_eq!(result(api, &id).await.peek().accepted, 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replaced_steward_opens_for_the_tasks_before_and_the_new_one_for_those_after() {
    let mut world = World::new().await;
    let (running, api) = world.start_enrolled().await;
    let before = world.task(|task| task.rounds = 1);
    let old = world.context(&before);
    api.post_task(&before, world.orgs[0].issuer())
        .await
        .unwrap();
    let late = world.task(|task| task.name = "signed before, posted after".to_owned());

    // The first organisation makes new keys for its steward, and everybody signs the next epoch.
    let (old_keys, old_roster) = (
        std::mem::take(&mut world.steward_keys),
        world.roster.clone(),
    );
    let copy = |key: &SecretKey| SecretKey::from_seed(&key.to_seed());
    world.steward_keys = old_keys.iter().map(copy).collect();
    world.steward_keys[0] = SecretKey::generate(&mut world.rng);
    let threshold = Threshold::new(3, 0).unwrap();
    let epoch = |world: &World, epoch| {
        roster(
            &world.federation,
            &world.orgs,
            &world.steward_keys,
            threshold,
            epoch,
        )
    };
    let root = |world: &World| SecretKey::from_seed(&world.orgs[0].root().to_seed());
    // Not before it is enrolled, and no epoch is left out.
    let next = epoch(&world, 2);
    assert_eq!(status(api.post_roster(&next, &root(&world)).await), 422);
    let vrf = vrf_key(&world.steward_keys[0]);
    let enrolment = world.orgs[0]
        .enrol_steward(
            &world.federation.digest(),
            &world.steward_keys[0],
            vrf.public(),
            now_s(),
        )
        .unwrap();
    let org = world.orgs[0].id();
    api.enrol_steward(&org, &enrolment, &root(&world))
        .await
        .unwrap();
    let later = epoch(&world, 3);
    assert_eq!(status(api.post_roster(&later, &root(&world)).await), 422);
    api.post_roster(&next, &root(&world)).await.unwrap();
    api.post_roster(&next, &root(&world)).await.unwrap();
    world.roster = next;

    // A new task names the newest roster; one that is there already may be posted again.
    assert_eq!(
        status(api.post_task(&late, world.orgs[0].issuer()).await),
        422
    );
    api.post_task(&before, world.orgs[0].issuer())
        .await
        .unwrap();
    let after = world.task(|task| task.rounds = 1);
    let new = world.context(&after);
    api.post_task(&after, world.orgs[0].issuer()).await.unwrap();
    assert_ne!(old.roster().digest(), new.roster().digest());
    let id = |key: &SecretKey| StewardId::of(&org, &key.public());
    assert_eq!(old.roster().point_of(&id(&old_keys[0])), Some(1));
    assert_eq!(new.roster().point_of(&id(&old_keys[0])), None);
    assert_eq!(new.roster().point_of(&id(&world.steward_keys[0])), Some(1));
    play(&mut world, &api, &new).await;
    // The old task's stewards are those that it named.
    world.steward_keys = old_keys;
    world.roster = old_roster;
    play(&mut world, &api, &old).await;
    running.shutdown().await.unwrap();
}
