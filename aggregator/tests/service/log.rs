//! The log: gapless, append-only, and under the root that its head names.

use dawn_crypto::merkle;
use dawn_identity::{Digest, Organisation, Validity};
use dawn_protocol::LogEntry;
use dawn_transport::Api;

use crate::stewards::work_through;
use crate::world::{World, api, now_s};

async fn all_entries(api: &Api) -> Vec<LogEntry> {
    let mut entries = Vec::new();
    loop {
        let page = api.log_entries(entries.len() as u64, 7).await.unwrap();
        if page.is_empty() {
            return entries;
        }
        entries.extend(page);
    }
}

/// The head is signed by the log key, and its root is that of the entries.
pub async fn check(world: &World, api: &Api) -> usize {
    let head = api
        .log_head()
        .await
        .unwrap()
        .verify(&world.federation.log)
        .unwrap();
    let entries = all_entries(api).await;
    let size = head.size as usize;
    assert!(entries.len() >= size);
    assert!(
        entries
            .iter()
            .zip(0..)
            .all(|(entry, index)| entry.index == index)
    );
    let leaves: Vec<_> = entries.iter().map(LogEntry::leaf).collect();
    assert_eq!(merkle::root(&leaves[..size]), head.root);
    size
}

async fn running_head(world: &World, api: &Api) -> (u64, Digest) {
    let head = api
        .log_head()
        .await
        .unwrap()
        .verify(&world.federation.log)
        .unwrap();
    (head.size, head.root)
}

#[tokio::test(flavor = "multi_thread")]
async fn many_writers_at_two_replicas_leave_no_gap() {
    let mut world = World::new().await;
    let (one, first) = world.start_enrolled().await;
    let two = world.start().await;
    let second = api(&two);
    let before = check(&world, &first).await;
    // Founding document, 3 registrations, 3 enrolments, a roster.
    assert_eq!(before, 8);
    let digest = world.federation.digest();
    let registrations: Vec<_> = (0..40)
        .map(|i| {
            let validity = Validity::starting(now_s() - 10, 1000);
            let org =
                Organisation::generate(&format!("new {i}"), validity, &mut world.rng).unwrap();
            let registration = org.register(&digest, now_s()).unwrap();
            (org, registration)
        })
        .collect();
    let (_, old) = running_head(&world, &first).await;
    // Each at both replicas at once: one of them stores it.
    let outcomes =
        futures_util::future::join_all(registrations.iter().flat_map(|(org, registration)| {
            [
                first.register_org(registration, org.root()),
                second.register_org(registration, org.root()),
            ]
        }))
        .await;
    for outcome in outcomes {
        outcome.unwrap();
    }
    assert_eq!(check(&world, &first).await, before + 40);
    assert_eq!(check(&world, &second).await, before + 40);
    // What was there is still there, where it was.
    let leaves: Vec<_> = all_entries(&second)
        .await
        .iter()
        .map(LogEntry::leaf)
        .collect();
    assert_eq!(merkle::root(&leaves[..before]), old);
    let (size, new) = running_head(&world, &second).await;
    let proof = merkle::consistency_proof(&leaves, before).unwrap();
    merkle::verify_consistency(before as u64, &old, size, &new, &proof).unwrap();
    one.shutdown().await.unwrap();
    two.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_round_is_in_the_log_in_its_order() {
    let world = World::new().await;
    let (running, api) = world.start_enrolled().await;
    let task = world.task(|task| {
        task.rounds = 1;
        task.deadlines.collecting_ms = 1;
        task.deadlines.endorsing_ms = 2000;
    });
    let context = world.context(&task);
    api.post_task(&task, world.orgs[0].issuer()).await.unwrap();
    let mut stewards = world.stewards(&context);
    let id = context.round(1);
    work_through(&api, &mut stewards, &id, &["aborted"]).await;
    let size = check(&world, &api).await;
    let entries = api.statements(&id).await.unwrap();
    // Three sealing keys, the specification, three endorsements, the end.
    assert_eq!(entries.len(), 8);
    assert!(entries.windows(2).all(|pair| pair[0].index < pair[1].index));
    assert_eq!(entries.last().unwrap().index, size as u64 - 1);
    running.shutdown().await.unwrap();
}
