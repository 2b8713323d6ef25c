//! A device says one thing per round, says it durably first, and repeats it without a change.
#![allow(clippy::unwrap_used, missing_docs)]

#[path = "../../audits/tests/common/mod.rs"]
mod common;
mod fake;

use std::time::Duration;

use dawn_client::ledger::LedgerError;
use dawn_client::{Client, ClientError, OpenRound, Update};
use dawn_crypto::mask::parse_payload;
use dawn_identity::{Digest, SecretKey, Signed};
use dawn_learn::Dataset;
use dawn_protocol::container::{ContainerHead, ContainerLimits};
use dawn_protocol::{Rule, SubmissionHeader};
use fake::{Scene, plan};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

const WAIT: Duration = Duration::from_secs(1);

fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

async fn first_round(scene: &Scene, client: &Client) -> OpenRound {
    let mut participation = client.join(scene.world.context.id()).await.unwrap();
    participation.next_round(WAIT).await.unwrap().unwrap()
}

fn an_update() -> Update {
    Update::forged(vec![3, -4, 5, -6])
}

#[tokio::test]
async fn a_device_trains_submits_and_keeps_its_receipt() {
    let scene = Scene::open(&plan()).await;
    let dir = tempfile::tempdir().unwrap();
    let client = scene.client(dir.path());
    let mut participation = client.join(scene.world.context.id()).await.unwrap();
    let round = participation.next_round(WAIT).await.unwrap().unwrap();
    assert_eq!(round.id().number, 1);
    let data = Dataset::new(vec![1, 2, 3, 4], 1, 0, vec![0, 1, 0, 1]).unwrap();
    let update = round.train(&data, &mut rng(1)).unwrap();
    let limits = ContainerLimits::of(round.verified().context());
    let receipt = round.submit(update, &mut rng(2)).await.unwrap();

    let bodies = scene.bodies();
    assert_eq!(bodies.len(), 1);
    let mut rest = &bodies[0][..];
    let head = ContainerHead::read_from(&mut rest, limits).unwrap();
    assert_eq!(rest.len(), limits.payload_bytes);
    parse_payload(rest).unwrap();
    let header = Signed::<SubmissionHeader>::from_bytes(&head.header).unwrap();
    assert_eq!(receipt.header, header.envelope_digest());

    assert_eq!(client.receipts().unwrap(), [receipt.signed().clone()]);
    assert!(participation.next_round(WAIT).await.unwrap().is_none());
    drop((participation, client));
    let after_restart = scene.client(dir.path());
    assert_eq!(after_restart.receipts().unwrap(), [receipt.into_signed()]);
}

#[tokio::test]
async fn retries_send_identical_bytes() {
    let scene = Scene::open(&plan()).await;
    scene.stage.lock().unwrap().failures = 3;
    let dir = tempfile::tempdir().unwrap();
    let round = first_round(&scene, &scene.client(dir.path())).await;
    round.submit(an_update(), &mut rng(1)).await.unwrap();
    let bodies = scene.bodies();
    assert_eq!(bodies.len(), 4);
    assert!(bodies.iter().all(|body| *body == bodies[0]));
}

/// Enough devices were faster: the round is over before its time, and the device goes on with the next.
#[tokio::test]
async fn a_round_that_ended_early_is_too_late() {
    let scene = Scene::open(&plan()).await;
    scene.stage.lock().unwrap().over = true;
    let dir = tempfile::tempdir().unwrap();
    let round = first_round(&scene, &scene.client(dir.path())).await;
    let id = round.id();
    let refused = round.submit(an_update(), &mut rng(1)).await;
    assert!(matches!(refused, Err(ClientError::TooLate { round, .. }) if round == id));
    assert_eq!(scene.bodies().len(), 1);
}

#[tokio::test]
async fn every_submission_has_its_own_mask() {
    let scene = Scene::open(&plan()).await;
    let dir = tempfile::tempdir().unwrap();
    let round = first_round(&scene, &scene.client(dir.path())).await;
    let update = an_update();
    let mut generator = rng(1);
    let one = round.prepare(&update, &mut generator).unwrap();
    let two = round.prepare(&update, &mut generator).unwrap();
    let (one, two) = (one.header().peek(), two.header().peek());
    assert_ne!(one.payload, two.payload);
    assert!(
        one.commitments
            .iter()
            .all(|commitment| !two.commitments.contains(commitment))
    );
}

#[tokio::test]
async fn the_same_round_is_not_submitted_twice_whatever_the_session() {
    let mut scene = Scene::open(&plan()).await;
    let dir = tempfile::tempdir().unwrap();
    let client = scene.client(dir.path());
    let first = first_round(&scene, &client).await;
    scene.announce_again();
    let second = first_round(&scene, &client).await;
    assert_eq!(first.id(), second.id());
    assert_ne!(first.verified().session(), second.verified().session());

    second.submit(an_update(), &mut rng(1)).await.unwrap();
    let refused = first.submit(an_update(), &mut rng(2)).await;
    assert!(matches!(
        refused,
        Err(ClientError::Ledger(LedgerError::AlreadyClaimed { .. }))
    ));
    assert_eq!(
        scene.bodies().len(),
        1,
        "nothing was sent for the refused one"
    );
}

#[tokio::test]
async fn a_claimed_round_is_not_offered_again_after_a_restart() {
    let scene = Scene::open(&plan()).await;
    let dir = tempfile::tempdir().unwrap();
    let client = scene.client(dir.path());
    let round = first_round(&scene, &client).await;
    // The device loses power while it sends: there is a claim and no receipt.
    scene.stage.lock().unwrap().tamper = |receipt| receipt.header = Digest([0; 32]);
    round.submit(an_update(), &mut rng(1)).await.unwrap_err();
    drop(client);

    let client = scene.client(dir.path());
    let mut participation = client.join(scene.world.context.id()).await.unwrap();
    assert!(participation.next_round(WAIT).await.unwrap().is_none());
    assert!(client.receipts().unwrap().is_empty());
}

#[tokio::test]
async fn the_same_prepared_submission_may_be_sent_again_and_another_may_not() {
    let scene = Scene::open(&plan()).await;
    let dir = tempfile::tempdir().unwrap();
    let round = first_round(&scene, &scene.client(dir.path())).await;
    let mut generator = rng(1);
    let prepared = round.prepare(&an_update(), &mut generator).unwrap();
    let other = round.prepare(&an_update(), &mut generator).unwrap();
    let one = round.send(&prepared).await.unwrap();
    let two = round.send(&prepared).await.unwrap();
    assert_eq!(one.header, two.header);
    assert!(matches!(
        round.send(&other).await,
        Err(ClientError::Ledger(_))
    ));
    let bodies = scene.bodies();
    assert!(bodies.iter().all(|body| *body == *prepared.wire()));
}

#[tokio::test]
async fn receipts_that_are_not_ours_are_refused() {
    for (forge_key, tamper) in [
        (true, (|_| {}) as fn(&mut dawn_protocol::Receipt)),
        (false, |receipt| receipt.header = Digest([9; 32])),
        (false, |receipt| receipt.round.number = 2),
        (false, |receipt| receipt.session.0 = Digest([9; 32])),
        (false, |receipt| receipt.device.0 = Digest([9; 32])),
    ] {
        let scene = Scene::open(&plan()).await;
        {
            let mut stage = scene.stage.lock().unwrap();
            stage.tamper = tamper;
            if forge_key {
                stage.receipt_key = SecretKey::from_seed(&[1; 32]);
            }
        }
        let dir = tempfile::tempdir().unwrap();
        let client = scene.client(dir.path());
        let round = first_round(&scene, &client).await;
        let refused = round.submit(an_update(), &mut rng(1)).await;
        let Err(ClientError::Violation(violation)) = refused else {
            panic!("a false receipt was accepted");
        };
        assert!(matches!(
            violation.rule,
            Rule::Signature | Rule::Receipt | Rule::Round | Rule::Session
        ));
        assert!(client.receipts().unwrap().is_empty());
    }
}

#[tokio::test]
async fn one_state_directory_serves_one_device_at_a_time() {
    let scene = Scene::open(&plan()).await;
    let dir = tempfile::tempdir().unwrap();
    let client = scene.client(dir.path());
    assert!(matches!(
        scene.builder(0, dir.path()).build(),
        Err(ClientError::Ledger(LedgerError::Store(_)))
    ));
    drop(client);
    assert!(matches!(
        scene.builder(1, dir.path()).build(),
        Err(ClientError::Ledger(LedgerError::OtherDevice { .. }))
    ));
    scene.builder(0, dir.path()).build().unwrap();
}
