//! A device in a task that selects: it knows before it trains, and before it fetches a model.
#![allow(clippy::unwrap_used, missing_docs)]

#[path = "../../audits/tests/common/mod.rs"]
mod common;
mod fake;

use std::time::Duration;

use dawn_client::{ClientError, Update};
use dawn_protocol::{NotSelected, Selection};
use fake::{Scene, plan};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

const WAIT: Duration = Duration::from_secs(1);

#[tokio::test]
async fn a_device_is_told_before_it_trains_that_it_is_not_selected() {
    let mut plan = plan();
    plan.devices = 12;
    plan.options.selection = Some(Selection { rate: 1 << 31 });
    let scene = Scene::open(&plan).await;
    let models = std::mem::take(&mut scene.stage.lock().unwrap().models);
    let (mut selected, mut others) = (0, 0);
    for place in 0..plan.devices {
        let dir = tempfile::tempdir().unwrap();
        let client = scene.builder(place, dir.path()).build().unwrap();
        let mut participation = client.join(scene.world.context.id()).await.unwrap();
        match participation.next_round(WAIT).await.map(|_| ()) {
            Err(ClientError::NotSelected { round, reason }) => {
                assert_eq!((round.number, reason), (1, NotSelected::Drawn));
                // It asks for later rounds only, and nothing was claimed or sent.
                assert!(participation.next_round(WAIT).await.unwrap().is_none());
                assert!(client.receipts().unwrap().is_empty());
                others += 1;
            }
            Err(ClientError::Transport(error)) => {
                assert_eq!(error.status(), Some(404), "no model is there yet");
                scene.stage.lock().unwrap().models = models.clone();
                let round = participation.next_round(WAIT).await.unwrap().unwrap();
                let mut rng = ChaCha20Rng::seed_from_u64(place as u64);
                let update = Update::forged(vec![1, 2, 3, 4]);
                round.submit(update, &mut rng).await.unwrap();
                scene.stage.lock().unwrap().models.clear();
                selected += 1;
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(selected > 0 && others > 0, "{selected} {others}");
    assert_eq!(scene.bodies().len(), selected);
}
