//! A crash in every phase loses nothing that was acknowledged.

use std::time::Duration;

use dawn_protocol::RoundId;
use dawn_transport::{Api, RetryPolicy, Settings};

use crate::devices::announcement;
use crate::rounds::{result, vector};
use crate::stewards::{challenge, work_through};
use crate::world::{World, api, wait_for_phase};

/// Ends the aggregator without a word, and starts another one on the same data.
async fn crash(
    world: &World,
    running: dawn_aggregator::Running,
) -> (dawn_aggregator::Running, Api) {
    drop(running);
    let running = world.start().await;
    let api = api(&running);
    (running, api)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_in_every_phase() {
    let mut world = World::new().await;
    let (running, api) = world.start_enrolled().await;
    let task = world.task(|task| task.rounds = 2);
    let context = world.context(&task);
    api.post_task(&task, world.orgs[0].issuer()).await.unwrap();
    let mut stewards = world.stewards(&context);
    let id = context.round(1);

    // Keying: one key is there already.
    let key = stewards[0].sealing_key(&id);
    api.put_statement(&id, &key).await.unwrap();
    let (running, api) = crash(&world, running).await;
    assert_eq!(api.statements(&id).await.unwrap()[0].envelope, key.bytes());
    for steward in &mut stewards {
        let key = steward.sealing_key(&id);
        api.put_statement(&id, &key).await.unwrap();
    }
    wait_for_phase(&api, &id, "endorsing").await;
    let entries = api.statements(&id).await.unwrap();

    // Endorsing: the specification is the same one.
    let (running, api) = crash(&world, running).await;
    assert_eq!(api.statements(&id).await.unwrap(), entries);
    work_through(&api, &mut stewards, &id, &["collecting"]).await;

    // Collecting, in the middle of it and once more.
    let announcement = announcement(&api, &context, 0).await;
    let devices = world.devices(4);
    let (mut running, mut api) = (running, api);
    let mut receipts = Vec::new();
    for (i, device) in devices.iter().enumerate() {
        let submission = device.prepare(&context, &announcement, &vector(i), i as u64);
        let receipt = device
            .submit(&api, &announcement, &submission)
            .await
            .unwrap();
        if i < 2 {
            (running, api) = crash(&world, running).await;
        }
        let again = device
            .submit(&api, &announcement, &submission)
            .await
            .unwrap();
        assert_eq!(receipt.bytes(), again.bytes());
        receipts.push(receipt.peek().header);
    }

    // Challenging, with one part of the beacon there.
    wait_for_phase(&api, &id, "challenging").await;
    assert_eq!(stewards[0].step(&api).await, ["beacon"]);
    let (running, api) = crash(&world, running).await;
    assert_eq!(world.count_statements("beacon-share").await, 1);
    challenge(&api, &mut stewards[1..], &id).await;
    let signed = api.challenge(&id).await.unwrap();

    // Reporting, with one report there.
    assert_eq!(stewards[0].step(&api).await, ["report"]);
    let (running, api) = crash(&world, running).await;
    assert_eq!(api.challenge(&id).await.unwrap().bytes(), signed.bytes());
    for steward in &mut stewards[1..] {
        steward.step_only(&api, "report").await;
    }
    wait_for_phase(&api, &id, "opening").await;

    // Opening. The scalars are computed again when their object is lost.
    drop(running);
    std::fs::remove_dir_all(world.dir.path().join("data/objects/scalars")).unwrap();
    let running = world.start().await;
    let api = crate::world::api(&running);
    work_through(&api, &mut stewards, &id, &["done"]).await;
    assert_eq!(
        result(&api, &id).await.peek().accepted,
        4,
        "every receipt is in the sum"
    );

    // Done: the next round goes on from there.
    let (running, api) = crash(&world, running).await;
    let next = RoundId::new(id.task, 2);
    work_through(&api, &mut stewards, &next, &["collecting"]).await;
    crate::log::check(&world, &api).await;
    running.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn crashes_at_any_moment() {
    // While stewards and devices go on, the server is killed again and again.
    let mut world = World::new().await;
    let (running, api) = world.start_enrolled().await;
    let task = world.task(|task| task.rounds = 1);
    let context = world.context(&task);
    api.post_task(&task, world.orgs[0].issuer()).await.unwrap();
    let id = context.round(1);
    let mut config = world.config();
    config.listen = running.local_addr();
    let url = running.url();
    let crashes = tokio::spawn(async move {
        let mut running = Some(running);
        for pause in [35_u64, 110, 60, 180, 20, 90, 140, 50, 75, 160] {
            drop(running.take());
            // The port may linger for a moment.
            running = loop {
                match dawn_aggregator::Aggregator::start(config.clone()).await {
                    Ok(started) => break Some(started),
                    Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
                }
            };
            tokio::time::sleep(Duration::from_millis(pause)).await;
        }
        running
    });
    // A server that starts ten times on a loaded machine is away for long.
    let retry = RetryPolicy {
        attempts: 60,
        longest: Duration::from_secs(1),
        ..RetryPolicy::default()
    };
    let settings = Settings {
        retry,
        ..Settings::default()
    };
    let api = Api::with_settings(&url, settings).unwrap();
    let mut stewards = world.stewards(&context);
    work_through(&api, &mut stewards, &id, &["collecting"]).await;
    let announcement = announcement(&api, &context, 0).await;
    let devices = world.devices(4);
    for (i, device) in devices.iter().enumerate() {
        let submission = device.prepare(&context, &announcement, &vector(i), i as u64);
        device
            .submit(&api, &announcement, &submission)
            .await
            .unwrap();
    }
    work_through(&api, &mut stewards, &id, &["done", "aborted"]).await;
    assert_eq!(result(&api, &id).await.peek().accepted, 4);
    let running = crashes.await.unwrap().unwrap();
    crate::log::check(&world, &api).await;
    running.shutdown().await.unwrap();
}
