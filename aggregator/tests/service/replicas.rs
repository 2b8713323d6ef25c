//! Several replicas over one database, and leases that expire.

use std::time::Duration;

use dawn_aggregator::store::jobs::{JobId, JobKind};
use dawn_aggregator::{Aggregator, StartError};
use dawn_identity::Digest;

use crate::devices::announcement;
use crate::rounds::{result, vector};
use crate::stewards::Steward;
use crate::world::{World, api, phase};

#[tokio::test(flavor = "multi_thread")]
async fn two_replicas_race_and_every_step_is_taken_once() {
    let mut world = World::new().await;
    let (one, first) = world.start_enrolled().await;
    let two = world.start().await;
    let second = api(&two);
    let task = world.task(|task| task.rounds = 3);
    let context = world.context(&task);
    first
        .post_task(&task, world.orgs[0].issuer())
        .await
        .unwrap();
    let mut stewards: Vec<Steward> = world.stewards(&context);
    let devices = world.devices(4);
    let mut submitted = 0;
    for _ in 0..2000 {
        for (i, steward) in stewards.iter_mut().enumerate() {
            // Stewards talk to either replica.
            steward
                .step(if i % 2 == 0 { &first } else { &second })
                .await;
        }
        let current = submitted + 1;
        if submitted < 3 && phase(&second, &context.id(), current).await.0 == "collecting" {
            let announcement = announcement(&second, &context, submitted).await;
            let sends = devices.iter().enumerate().map(|(i, device)| {
                let submission = device.prepare(&context, &announcement, &vector(i), i as u64);
                let (first, second, announcement) = (&first, &second, &announcement);
                // Every device sends to both at once and gets one receipt.
                async move {
                    let (a, b) = tokio::join!(
                        device.submit(first, announcement, &submission),
                        device.submit(second, announcement, &submission)
                    );
                    assert_eq!(a.unwrap().bytes(), b.unwrap().bytes());
                }
            });
            futures_util::future::join_all(sends).await;
            submitted += 1;
        }
        if phase(&first, &context.id(), 3).await.0 == "done" {
            break;
        }
    }
    for number in 1..=3 {
        assert_eq!(
            result(&first, &context.round(number)).await.peek().accepted,
            4
        );
    }
    // One specification, closing, verdict and result a round.
    for kind in ["round-spec", "closed", "verdict", "result"] {
        let count = world.count_statements(kind).await;
        assert_eq!(count, 3, "{kind}");
    }
    assert_eq!(world.number("select rounds::bigint from budget").await, 3);
    crate::log::check(&world, &second).await;
    one.shutdown().await.unwrap();
    two.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_expires_and_the_late_worker_is_powerless() {
    let world = World::new().await;
    let mut config = world.config();
    config.worker = false;
    let running = dawn_aggregator::Aggregator::start(config).await.unwrap();
    let store = &running.app().store;
    // The sweep is due from the beginning.
    let lease = Duration::from_millis(300);
    let lost = store.lease_job([1; 16], lease).await.unwrap().unwrap();
    assert_eq!(lost.id.kind, JobKind::Sweep);
    assert!(
        store.lease_job([2; 16], lease).await.unwrap().is_none(),
        "it is taken"
    );
    assert!(store.renew_lease(&lost, lease).await.unwrap());
    tokio::time::sleep(Duration::from_millis(400)).await;
    let taken = store
        .lease_job([2; 16], Duration::from_secs(60))
        .await
        .unwrap()
        .unwrap();
    assert_eq!((taken.id, taken.attempts), (lost.id, 2));
    assert!(
        !store.renew_lease(&lost, lease).await.unwrap(),
        "the old token is worth nothing"
    );
    store
        .release_job(&lost, Duration::ZERO, None)
        .await
        .unwrap();
    assert!(
        store.lease_job([3; 16], lease).await.unwrap().is_none(),
        "and cannot give the job away"
    );
    store
        .release_job(&taken, Duration::ZERO, Some("failed"))
        .await
        .unwrap();
    let third = store.lease_job([3; 16], lease).await.unwrap().unwrap();
    assert_eq!(third.attempts, 3, "failures count");
    store.finish_job(&third).await.unwrap();
    assert!(store.lease_job([4; 16], lease).await.unwrap().is_none());
    running.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn many_workers_share_jobs_without_doubles() {
    let world = World::new().await;
    let mut config = world.config();
    config.worker = false;
    let running = dawn_aggregator::Aggregator::start(config).await.unwrap();
    let store = &running.app().store;
    for number in 1..=20 {
        let id = JobId {
            kind: JobKind::Cleanup,
            task: Digest([1; 32]),
            number,
        };
        store.ensure_job(&id).await.unwrap();
    }
    let takers = (0..8_u8).map(|worker| async move {
        let mut taken = Vec::new();
        while let Some(lease) = store
            .lease_job([worker; 16], Duration::from_secs(60))
            .await
            .unwrap()
        {
            taken.push(lease.id.number);
        }
        taken
    });
    let mut taken = futures_util::future::join_all(takers).await.concat();
    taken.sort_unstable();
    // The sweep has number 0.
    assert_eq!(taken, (0..=20).collect::<Vec<_>>());
    running.shutdown().await.unwrap();
}

/// A replica that made keys of its own would sign what nobody believes: closings, verdicts, ends of rounds.
#[tokio::test(flavor = "multi_thread")]
async fn a_replica_with_other_keys_signs_nothing() {
    let world = World::new().await;
    let mut config = world.config();
    config.data_dir = world.dir.path().join("elsewhere");
    // Before there is a federation nobody can know.
    let stray = Aggregator::start(config.clone()).await.unwrap();
    let (_running, api) = world.start_enrolled().await;
    let refused = crate::world::api(&stray)
        .post_task(&world.task(|_| {}), world.orgs[0].issuer())
        .await;
    assert!(refused.is_err());
    api.post_task(&world.task(|_| {}), world.orgs[0].root())
        .await
        .unwrap();
    stray.shutdown().await.unwrap();
    assert!(matches!(
        Aggregator::start(config).await,
        Err(StartError::Federation(_))
    ));
}
