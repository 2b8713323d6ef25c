//! Layers that a task leaves to its devices: trained with the others, kept on the device, never sent.
#![allow(clippy::unwrap_used, missing_docs)]

#[path = "../../audits/tests/common/mod.rs"]
mod common;
mod fake;

use std::fs;
use std::time::Duration;

use common::Plan;
use dawn_client::{ClientError, HeadsError};
use dawn_learn::{Dataset, ModelSpec, Way, evaluate};
use dawn_protocol::{EvaluationRule, TaskOptions};
use fake::{Scene, plan};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

const WAIT: Duration = Duration::from_secs(1);

async fn scene(way: &str) -> Scene {
    let model: ModelSpec = "mlp:2-3-2".parse().unwrap();
    let options = TaskOptions {
        way: Way::parse(way, &model).unwrap(),
        ..TaskOptions::default()
    };
    Scene::open(&Plan {
        model,
        options,
        ..plan()
    })
    .await
}

fn data() -> Dataset {
    Dataset::new(vec![1, 2, 3, 4, -5, 6, -7, -8], 2, 1, vec![0, 1, 0, 1]).unwrap()
}

fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

#[tokio::test]
async fn a_head_stays_on_its_device_and_is_used_again() {
    let scene = scene("personal:1").await;
    let dir = tempfile::tempdir().unwrap();
    let task = scene.world.context.id();
    let client = scene.client(dir.path());
    let mut participation = client.join(task).await.unwrap();
    let round = participation.next_round(WAIT).await.unwrap().unwrap();
    // Nothing of its own yet.
    assert_eq!(&round.own_model().unwrap(), round.model());
    let update = round.train(&data(), &mut rng(1)).unwrap();
    // Two inputs, three hidden units: the body. The head has eight weights more.
    assert_eq!(update.reveal().len(), 9);
    let own = round.own_model().unwrap();
    let (body, head) = own.weights().split_at(9);
    assert_eq!(body, &round.model().weights()[..9]);
    assert_ne!(head, &round.model().weights()[9..]);
    assert_eq!(participation.own_model(round.model()).unwrap(), own);
    let stored = fs::read(dir.path().join(format!("head-{task}"))).unwrap();
    let bytes: Vec<u8> = head
        .iter()
        .flat_map(|weight| weight.to_le_bytes())
        .collect();
    assert_eq!(stored, bytes);
    let receipt = round.submit(update, &mut rng(2)).await.unwrap();
    assert_eq!(receipt.round.number, 1);
    drop((participation, client));

    // After a restart the device has its own again, and another device has not.
    let client = scene.client(dir.path());
    let participation = client.join(task).await.unwrap();
    let published = scene.world.context.initial_model().unwrap();
    assert_eq!(participation.own_model(&published).unwrap(), own);
    let elsewhere = tempfile::tempdir().unwrap();
    let other = scene.builder(1, elsewhere.path()).build().unwrap();
    let other = other.join(task).await.unwrap();
    assert_eq!(other.own_model(&published).unwrap(), published);

    // What is not a head is not trained with.
    fs::write(dir.path().join(format!("head-{task}")), [1; 31]).unwrap();
    let refused = participation.own_model(&published).unwrap_err();
    assert!(matches!(
        refused,
        ClientError::Heads(HeadsError::Wrong { .. })
    ));
    assert!(refused.to_string().contains("remove it"), "{refused}");
}

#[tokio::test]
async fn a_device_judges_its_own_model_before_it_trains() {
    let rule = EvaluationRule {
        samples: 3,
        scale: 10,
        loss: EvaluationRule::LOSS,
    };
    let model: ModelSpec = "mlp:2-3-2".parse().unwrap();
    let options = TaskOptions {
        way: Way::parse("personal:1", &model).unwrap(),
        evaluation: Some(rule),
        ..TaskOptions::default()
    };
    let scene = Scene::open(&Plan {
        model,
        options,
        ..plan()
    })
    .await;
    let dir = tempfile::tempdir().unwrap();
    let client = scene.client(dir.path());
    let mut participation = client.join(scene.world.context.id()).await.unwrap();
    let round = participation.next_round(WAIT).await.unwrap().unwrap();
    for training in 0..2 {
        // The first three of four samples count; the second time with the head that was trained the first time.
        let own = round.own_model().unwrap();
        let first = data().subset(&[0, 1, 2]).unwrap();
        let found = evaluate(&own, &first).unwrap();
        let update = round
            .train_and_evaluate(&data(), &data(), &mut rng(training))
            .unwrap();
        assert_eq!(update.reveal().len(), 12);
        assert_eq!(update.reveal()[9..], rule.coordinates(&found));
        assert_eq!(update.reveal()[9] + update.reveal()[10], 30);
        // Who holds nothing out says nothing.
        let update = round.train(&data(), &mut rng(training)).unwrap();
        assert_eq!(update.reveal()[9..], [0, 0, 0]);
    }
    let update = round
        .train_and_evaluate(&data(), &data(), &mut rng(3))
        .unwrap();
    round.submit(update, &mut rng(4)).await.unwrap();
}

#[tokio::test]
async fn a_low_rank_update_is_as_long_as_its_adapters() {
    let scene = scene("low-rank:1-0").await;
    let dir = tempfile::tempdir().unwrap();
    let client = scene.client(dir.path());
    let mut participation = client.join(scene.world.context.id()).await.unwrap();
    let round = participation.next_round(WAIT).await.unwrap().unwrap();
    let update = round.train(&data(), &mut rng(1)).unwrap();
    // B, three outputs by rank one, and three biases.
    assert_eq!(update.reveal().len(), 6);
    assert_eq!(&round.own_model().unwrap(), round.model());
    round.submit(update, &mut rng(2)).await.unwrap();
    assert_eq!(scene.bodies().len(), 1);
    assert_eq!(
        fs::read_dir(dir.path()).unwrap().count(),
        1,
        "the ledger alone"
    );
}

/// A task maker chooses how many classes there are. Were a device away because of its labels, everybody would see it.
#[tokio::test]
async fn labels_that_the_task_does_not_know_keep_no_device_away() {
    let rule = EvaluationRule {
        samples: 3,
        scale: 10,
        loss: EvaluationRule::LOSS,
    };
    let options = TaskOptions {
        evaluation: Some(rule),
        ..TaskOptions::default()
    };
    let scene = Scene::open(&Plan {
        model: "mlp:2-3-2".parse().unwrap(),
        options,
        ..plan()
    })
    .await;
    let dir = tempfile::tempdir().unwrap();
    let client = scene.client(dir.path());
    let mut participation = client.join(scene.world.context.id()).await.unwrap();
    let round = participation.next_round(WAIT).await.unwrap().unwrap();
    let labelled = |labels: Vec<u8>| {
        let features = (0..2 * labels.len() as i16).map(|x| 7 * x % 5).collect();
        Dataset::new(features, 2, 1, labels).unwrap()
    };
    let known = labelled(vec![0, 1, 0]);
    let some = labelled(vec![0, 1, 0, 9]);
    let none = labelled(vec![9, 200]);
    let update = |data: &Dataset, held_out: &Dataset| {
        let update = round.train_and_evaluate(data, held_out, &mut rng(5));
        update.unwrap().reveal().to_vec()
    };
    // The others are learnt from and judged with as if they were all.
    assert_eq!(update(&some, &some), update(&known, &known));
    assert!(update(&known, &known).iter().any(|&x| x != 0));
    let empty = Dataset::new(Vec::new(), 2, 1, Vec::new()).unwrap();
    for nothing in [&none, &empty] {
        assert!(update(nothing, nothing).iter().all(|&x| x == 0));
    }
    let last = round.train_and_evaluate(&none, &none, &mut rng(5)).unwrap();
    let receipt = round.submit(last, &mut rng(6)).await.unwrap();
    assert_eq!(receipt.round.number, 1);
}
