//! What happens at the same time as a change of the server's keys, and where replicas have different ones.

use std::time::Duration;

use dawn_aggregator::clock::{now_ms, now_s};
use dawn_aggregator::keys::Keys;
use dawn_aggregator::store::register::{Appended, NewEntry};
use dawn_aggregator::{Aggregator, StartError, nonces};
use dawn_identity::ServerRole;
use dawn_identity::http_signature::Purpose;

use crate::raw;
use crate::server_keys::{self, change, elsewhere, event, key, members, put_next, replace};
use crate::stewards::{Steward, work_through};
use crate::world::{World, api, phase};

/// Founders at two replicas post changes that both are the next one: one history.
#[tokio::test(flavor = "multi_thread")]
async fn of_changes_that_are_posted_at_once_one_counts() {
    let world = World::new().await;
    let (one, first) = world.start_enrolled().await;
    let two = world.start().await;
    let second = api(&two);
    let members = members(&world, &first).await;
    let by = [&world.orgs[0], &world.orgs[1]];
    let posts = (0..16_u8).map(|at| {
        let role = [ServerRole::Aggregator, ServerRole::Log][usize::from(at % 2)];
        let posted = event(change(&members, role, &key(100 + at)), &by);
        let api = if at % 3 == 0 { &first } else { &second };
        async move { api.replace_server_key(&posted, by[0].root()).await.is_ok() }
    });
    let taken = futures_util::future::join_all(posts).await;
    assert_eq!(taken.iter().filter(|taken| **taken).count(), 1);
    let after = server_keys::members(&world, &second).await;
    assert_eq!(after.last_server_key_change().0, 1);
    one.shutdown().await.unwrap();
    two.shutdown().await.unwrap();
}

/// Founders at two replicas post the same change, each as its own statement: none is refused.
#[tokio::test(flavor = "multi_thread")]
async fn founders_post_the_same_change_at_once() {
    let world = World::new().await;
    let (one, first) = world.start_enrolled().await;
    let two = world.start().await;
    let second = api(&two);
    for round in 0..4 {
        let members = members(&world, &first).await;
        let change = change(&members, ServerRole::Log, &key(100 + round));
        let posts = (0..6_usize).map(|at| {
            let by = [&world.orgs[at % 2], &world.orgs[(at + 1) % 2]];
            let posted = event(change, &by);
            let api = if at < 3 { &first } else { &second };
            async move { api.replace_server_key(&posted, by[0].root()).await }
        });
        for answer in futures_util::future::join_all(posts).await {
            answer.unwrap();
        }
    }
    let after = members(&world, &second).await;
    assert_eq!(after.last_server_key_change().0, 4);
    one.shutdown().await.unwrap();
    two.shutdown().await.unwrap();
}

/// Whoever posts a change may be cut off at any moment: with the change itself the rounds are woken that it ends.
#[tokio::test(flavor = "multi_thread")]
async fn rounds_end_whatever_becomes_of_whoever_posts_the_change() {
    let world = World::new().await;
    put_next(
        &world.config().data_dir.join("keys"),
        ServerRole::Aggregator,
        &key(70),
    );
    let (running, api) = world.start_enrolled().await;
    let task = world.task(|_| {});
    let context = world.context(&task);
    api.post_task(&task, world.orgs[0].issuer()).await.unwrap();
    let mut stewards: Vec<Steward> = world.stewards(&context);
    work_through(&api, &mut stewards, &context.round(1), &["collecting"]).await;
    let members = members(&world, &api).await;
    let by = [&world.orgs[0], &world.orgs[1]];
    let posted = event(change(&members, ServerRole::Aggregator, &key(70)), &by);
    let entry = members.verify_entry(posted.bytes()).unwrap();
    let new = NewEntry {
        org: None,
        before: members.head(),
        after: members.head().after(&entry.envelope_digest()),
        entry,
        now_ms: now_ms(),
    };
    let appended = running.app().store.append_register(&new).await.unwrap();
    assert_eq!(appended, Appended::Now);
    work_through(&api, &mut [], &context.round(1), &["aborted"]).await;
    let (_, reason) = phase(&api, &context.round(1).task, 1).await;
    assert_eq!(reason.as_deref(), Some("key-replaced"));
    running.shutdown().await.unwrap();
}

/// While the new key has its old name at one replica and its own at another, each takes the nonces of the other. Those of the
/// key that was replaced count nowhere: it may be a thief's.
#[tokio::test(flavor = "multi_thread")]
async fn replicas_with_different_files_take_each_others_nonces() {
    let world = World::new().await;
    let aggregator = ServerRole::Aggregator;
    let (first, first_api) = world.start_enrolled().await;
    let config = elsewhere(&world, "waiting");
    put_next(&config.data_dir.join("keys"), aggregator, &key(70));
    let waiting = Aggregator::start(config).await.unwrap();
    let config = elsewhere(&world, "moved");
    let keys = config.data_dir.join("keys");
    put_next(&keys, aggregator, &key(70));
    std::fs::rename(
        Keys::next_path(&keys, aggregator),
        keys.join("aggregator.pem"),
    )
    .unwrap();
    let digest = world.federation.digest();
    let org = &world.orgs[0];
    let registration = org.register(&digest, now_s()).unwrap();
    let post = async |nonce: &str, to: std::net::SocketAddr| {
        let (purpose, body) = (Purpose::Register, registration.bytes());
        raw::signed_with(nonce, to, "POST", "/v1/orgs", body, purpose, org.root())
            .await
            .status
    };
    // Before the change, too.
    let of_first = raw::nonce(first.local_addr()).await;
    assert_eq!(post(&of_first, waiting.local_addr()).await, 200);
    replace(&world, &first_api, aggregator, &key(70)).await;
    let moved = Aggregator::start(config).await.unwrap();
    for (from, to) in [(&waiting, &moved), (&moved, &waiting)] {
        // Each looks at the register every 50 ms, without being asked anything.
        tokio::time::sleep(Duration::from_millis(500)).await;
        let nonce = raw::nonce(from.local_addr()).await;
        assert_eq!(post(&nonce, to.local_addr()).await, 200);
        assert_eq!(post(&nonce, from.local_addr()).await, 401);
    }
    let (stolen, _) = nonces::issue(&first.app().keys.aggregator, now_ms()).unwrap();
    for to in [&waiting, &moved] {
        assert_eq!(post(&stolen, to.local_addr()).await, 401);
    }
    for running in [first, waiting, moved] {
        running.shutdown().await.unwrap();
    }
}

/// A replica waits for a key that founders may yet let in. With one that was replaced already, or with a wrong key of the other
/// role, it does not start.
#[tokio::test(flavor = "multi_thread")]
async fn a_replica_does_not_wait_for_what_never_comes() {
    let world = World::new().await;
    let (running, api) = world.start_enrolled().await;
    let roles = [ServerRole::Aggregator, ServerRole::Log];
    let start = async |name: &str, next: [Option<u8>; 2], replaced: [bool; 2]| {
        let config = elsewhere(&world, name);
        let keys = config.data_dir.join("keys");
        for (role, (next, replaced)) in roles.into_iter().zip(next.into_iter().zip(replaced)) {
            if let Some(seed) = next {
                put_next(&keys, role, &key(seed));
            }
            if replaced {
                let path = keys.join(format!("{role}.pem"));
                std::fs::write(&path, key(99).to_pkcs8_pem().as_bytes()).unwrap();
            }
        }
        match Aggregator::start(config).await {
            Ok(running) => {
                running.shutdown().await.unwrap();
                true
            }
            Err(StartError::Federation(_)) => false,
            Err(other) => panic!("{other}"),
        }
    };
    // Its aggregator's key is lost, and another waits; that of the log is right, and then it is not.
    assert!(start("waits", [Some(71), None], [true, false]).await);
    assert!(!start("hopeless", [Some(71), None], [true, true]).await);
    assert!(!start("as-hopeless", [None, Some(71)], [true, true]).await);
    assert!(start("waits-for-both", [Some(71), Some(72)], [true, true]).await);
    // Two changes later the key that waited has been let in and replaced.
    replace(&world, &api, ServerRole::Aggregator, &key(71)).await;
    assert!(start("has-it", [Some(71), None], [true, false]).await);
    replace(&world, &api, ServerRole::Aggregator, &key(73)).await;
    assert!(!start("too-late", [Some(71), None], [true, false]).await);
    assert!(start("in-time", [Some(73), None], [true, false]).await);
    running.shutdown().await.unwrap();
}
