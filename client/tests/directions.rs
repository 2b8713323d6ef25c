//! A device in a task that asks for directions: it fetches both models, and never fails.
#![allow(clippy::unwrap_used, missing_docs)]

#[path = "../../audits/tests/common/mod.rs"]
mod common;
mod fake;

use std::time::Duration;

use dawn_client::{ClientError, Update};
use dawn_identity::Signed;
use dawn_learn::Model;
use dawn_protocol::digests::model_digest;
use dawn_protocol::{Digest, Functional, RoundResult, SessionId, Terminal};
use fake::{Scene, now, plan, shelf};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

const WAIT: Duration = Duration::from_secs(1);

/// The second round of a task whose first went from zero to these weights.
async fn second_round(weights: [i32; 4]) -> Scene {
    let mut plan = plan();
    plan.functional = Some(Functional::Direction);
    let mut scene = Scene::open(&plan).await;
    let initial = scene.world.context.initial_model().unwrap();
    let next = Model::from_weights(initial.spec(), weights.to_vec()).unwrap();
    let result = RoundResult {
        round: scene.world.context.round(1),
        session: SessionId(Digest([1; 32])),
        verdict: Digest([2; 32]),
        openings: vec![Digest([1; 32]); 3],
        points: vec![1, 2, 3],
        culprits: Vec::new(),
        accepted: 4,
        sum: Digest([2; 32]),
        model: model_digest(&next.to_bytes()),
        direction: Some(model_digest(&initial.to_bytes())),
        draw: None,
        evaluation: None,
    };
    let end = Terminal::Result(Signed::sign(&result, &scene.world.aggregator).unwrap());
    let announced = scene
        .world
        .announce(2, Some(&end), &next, &[], now() * 1000);
    {
        let mut stage = scene.stage.lock().unwrap();
        stage.announcement = Some(announced.announcement);
        stage.open = Some(announced.open);
        stage.models = shelf(&initial);
        stage.models.extend(shelf(&next));
    }
    scene
}

/// What is hidden, with the noise: `clip` is 1000, the noise below 70.
async fn hidden(weights: [i32; 4], x: [i32; 4]) -> Vec<i32> {
    let scene = second_round(weights).await;
    let dir = tempfile::tempdir().unwrap();
    let client = scene.client(dir.path());
    let mut participation = client.join(scene.world.context.id()).await.unwrap();
    let round = participation.next_round(WAIT).await.unwrap().unwrap();
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let mut hidden = Vec::new();
    let prepared = round
        .prepare_observed(&Update::forged(x.to_vec()), &mut rng, |block| {
            hidden.extend_from_slice(block);
        })
        .unwrap();
    round.send(&prepared).await.unwrap();
    assert_eq!(scene.bodies().len(), 1);
    hidden.truncate(4);
    hidden
}

#[tokio::test]
async fn what_an_update_has_against_the_direction_is_taken_away_and_the_rest_is_sent() {
    let near = |hidden: &[i32], x: [i32; 4]| hidden.iter().zip(x).all(|(v, x)| (v - x).abs() < 70);
    let went = [1000, 0, -1000, 0];
    for (x, sent) in [
        ([500, 300, -100, 0], [500, 300, -100, 0]),
        ([-200, 900, -201, 0], [-200, 900, -201, 0]),
        ([-500, 300, 100, 0], [-200, 300, -200, 0]),
        ([-602, 400, 98, 0], [-252, 400, -252, 0]),
        ([-600, 0, 600, 0], [0; 4]),
    ] {
        let hidden = hidden(went, x).await;
        assert!(near(&hidden, sent), "{x:?}: {hidden:?}");
    }
}

#[tokio::test]
async fn another_model_of_the_direction_is_refused() {
    let scene = second_round([1, 2, 3, 4]).await;
    {
        let mut stage = scene.stage.lock().unwrap();
        let initial = scene.world.context.initial_model().unwrap();
        let named = model_digest(&initial.to_bytes()).to_string();
        let other = Model::from_weights(initial.spec(), vec![9; 4]).unwrap();
        stage.models.insert(named, other.to_bytes());
    }
    let dir = tempfile::tempdir().unwrap();
    let client = scene.client(dir.path());
    let mut participation = client.join(scene.world.context.id()).await.unwrap();
    let refused = participation.next_round(WAIT).await.err().unwrap();
    assert!(matches!(refused, ClientError::Server(_)), "{refused}");
}
