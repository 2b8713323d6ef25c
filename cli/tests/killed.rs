//! `kill -9` of real processes in the middle of a round: what was acknowledged is not lost, and a
//! steward goes on where it was (docs/protocol.md, section 6: "replica dies in the middle").
#![allow(clippy::unwrap_used)]

mod common;

use common::Testbed;
use rand_core::UnwrapErr;

/// The server is killed while devices upload and again after the round was closed. Every receipt,
/// from before and after, is for a submission that is in the sum.
#[tokio::test(flavor = "multi_thread")]
async fn every_receipt_survives_a_killed_aggregator() {
    let mut bed = Testbed::open(4, 12, 25_000).await;
    let mut prepared = Vec::new();
    for (open, (client, data)) in bed.open_rounds().await.into_iter().zip(&bed.clients) {
        let rng = &mut UnwrapErr(getrandom::SysRng);
        let update = open.train(data, rng).unwrap();
        let submission = open.prepare(&update, rng).unwrap();
        prepared.push((client.device(), open, submission));
    }
    let later = prepared.split_off(6);
    let mut acknowledged = Vec::new();
    for (device, open, submission) in &prepared {
        open.send(submission).await.unwrap();
        acknowledged.push(*device);
    }
    // These six are on their way when the server dies; their clients go on trying.
    let sending: Vec<_> = later
        .into_iter()
        .map(|(device, open, submission)| {
            tokio::spawn(async move { open.send(&submission).await.map(|_| device) })
        })
        .collect();
    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    bed.stage.kill_aggregator().unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    bed.stage.start_aggregator().await.unwrap();
    for sent in sending {
        acknowledged.push(sent.await.unwrap().unwrap());
    }
    assert_eq!(acknowledged.len(), 12);

    // Once more, when the round is closed and the stewards are at work.
    bed.wait_for(&["reporting", "opening", "done"]).await;
    bed.stage.kill_aggregator().unwrap();
    bed.stage.start_aggregator().await.unwrap();
    assert_eq!(bed.wait_for(&["done", "aborted"]).await, "done");

    let accepted = bed.accepted().await;
    for device in acknowledged {
        assert!(
            accepted.contains(&device),
            "{device} has a receipt and is not in the sum"
        );
    }
    assert_eq!(bed.audit().await, "PASS");
    bed.stage.close().unwrap();
}

/// Three stewards of which two must answer: one is killed for good, another is killed and started
/// again in the middle. The round can only open with what the second remembers from before.
#[tokio::test(flavor = "multi_thread")]
async fn a_killed_steward_goes_on_where_it_was() {
    let mut bed = Testbed::open(3, 6, 10_000).await;
    let mut acknowledged = Vec::new();
    for (open, (client, data)) in bed.open_rounds().await.into_iter().zip(&bed.clients) {
        let rng = &mut UnwrapErr(getrandom::SysRng);
        let update = open.train(data, rng).unwrap();
        open.submit(update, rng).await.unwrap();
        acknowledged.push(client.device());
    }
    bed.stage.kill_steward(2).unwrap();
    bed.stage.kill_steward(1).unwrap();
    bed.stage.start_steward(1).unwrap();
    bed.wait_for(&["reporting", "opening", "done"]).await;
    bed.stage.kill_steward(1).unwrap();
    bed.stage.start_steward(1).unwrap();
    assert_eq!(bed.wait_for(&["done", "aborted"]).await, "done");
    let accepted = bed.accepted().await;
    for device in acknowledged {
        assert!(
            accepted.contains(&device),
            "{device} has a receipt and is not in the sum"
        );
    }
    assert_eq!(bed.audit().await, "PASS");
    bed.stage.close().unwrap();
}
