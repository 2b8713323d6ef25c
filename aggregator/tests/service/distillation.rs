//! A task that distils: its public set comes with it, is served, and is in the transcript.

use dawn_learn::{Dataset, PublicSet, TrainSpec, Way};
use dawn_protocol::digests::model_digest;

use crate::devices::announcement;
use crate::rounds::{result, vector};
use crate::stewards::work_through;
use crate::world::World;

#[tokio::test(flavor = "multi_thread")]
async fn the_public_set_comes_with_the_task() {
    let mut world = World::new().await;
    let (running, api) = world.start_enrolled().await;
    let set = |first: i16| {
        let features = (0..20).map(|f| first + 30 * f).collect();
        PublicSet::new(&Dataset::new(features, 4, 8, vec![0; 5]).unwrap()).unwrap()
    };
    let (public, other) = (set(-300).to_bytes(), set(-299).to_bytes());
    let student = TrainSpec {
        epochs: 2,
        batch: 2,
        learning_rate: 1 << 14,
        momentum: 0,
        dropout: None,
        rounding: None,
    };
    let task = world.task(|task| {
        let way = Way::distillation(&task.model, &set(-300), student).unwrap();
        task.options.way = Some(way);
    });
    let key = world.orgs[0].issuer();
    let refused = api.post_task(&task, key).await.unwrap_err();
    assert!(refused.to_string().contains("public set"), "{refused}");
    let long = [&public[..], &[0]].concat();
    for wrong in [&other[..], &[], &public[1..], &long] {
        let refused = api.post_task_with(&task, wrong, key).await.unwrap_err();
        assert_eq!(refused.status(), Some(422), "{refused}");
    }
    api.post_task_with(&task, &public, key).await.unwrap();
    api.post_task_with(&task, &public, key).await.unwrap();
    let context = world.context(&task);
    context.learn_public_set(&public).unwrap();
    let served = api.public_set(&context.id(), 1 << 10).await.unwrap();
    assert_eq!(served, public);
    let plain = world.task(|_| {});
    let refused = api.post_task_with(&plain, &public, key).await.unwrap_err();
    assert_eq!(refused.status(), Some(422), "{refused}");

    let mut stewards = world.stewards(&context);
    let id = context.round(1);
    work_through(&api, &mut stewards, &id, &["collecting"]).await;
    let announcement = announcement(&api, &context, 0).await;
    for (i, device) in world.devices(4).iter().enumerate() {
        let submission = device.prepare(&context, &announcement, &vector(i), i as u64);
        let sent = device.submit(&api, &announcement, &submission).await;
        sent.unwrap();
    }
    work_through(&api, &mut stewards, &id, &["done", "aborted"]).await;
    let result = result(&api, &id).await;
    assert_eq!(result.peek().accepted, 4);
    let initial = context.initial_model().unwrap();
    assert_ne!(result.peek().model, model_digest(&initial.to_bytes()));
    running.shutdown().await.unwrap();
}
