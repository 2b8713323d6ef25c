//! Rounds whose stewards contribute noise.

use dawn_crypto::params::Sigma;
use dawn_identity::Signed;
use dawn_protocol::{Decision, StewardNoise, Task, Verdict, WorkItem};
use dawn_transport::SubmissionBody;

use crate::devices::announcement;
use crate::rounds::{result, vector};
use crate::stewards::{Steward, work_through};
use crate::world::{World, phase, wait_for_phase};

const CANDIDATES: u8 = 2;

fn with_noise(task: &mut Task) {
    task.options.noise = Some(StewardNoise {
        sigma: Sigma::ERROR_MIN,
        candidates: CANDIDATES,
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_round_opens_with_the_noise_of_its_stewards() {
    let mut world = World::with(4, 1).await;
    let (running, api) = world.start_enrolled().await;
    let task = world.task(|task| {
        with_noise(task);
        task.policy.max_submissions = 3;
        task.policy.target_submissions = 3;
    });
    let context = world.context(&task);
    api.post_task(&task, world.orgs[0].issuer()).await.unwrap();
    let mut stewards = world.stewards(&context);
    let id = context.round(1);
    // The devices alone fill the round, and it waits for the stewards.
    let until_collecting = async |stewards: &mut [Steward]| {
        for kind in ["key", "endorse"] {
            for steward in stewards.iter_mut() {
                steward.step_only(&api, kind).await;
            }
            let next = if kind == "key" {
                "endorsing"
            } else {
                "collecting"
            };
            wait_for_phase(&api, &id, next).await;
        }
    };
    until_collecting(&mut stewards).await;
    let announced = announcement(&api, &context, 0).await;
    for (i, device) in world.devices(3).iter().enumerate() {
        let submission = device.prepare(&context, &announced, &vector(i), 1000 + i as u64);
        device.submit(&api, &announced, &submission).await.unwrap();
    }
    assert_eq!(phase(&api, &context.id(), 1).await.0, "collecting");
    // The same candidate again is the same receipt; one too many, and one under another's path, are refused.
    let first = stewards[0].noise(&announced).remove(0);
    let (header, bytes) = (first.header.clone(), first.to_bytes());
    let submitter = header.peek().credential.claimed_device();
    let body = || SubmissionBody::Bytes(bytes.clone().into());
    let receipt = api.submit(&id, &submitter, &body()).await.unwrap();
    let again = api.submit(&id, &submitter, &body()).await.unwrap();
    assert_eq!(receipt.bytes(), again.bytes());
    let round = context.verify_spec(&announced.spec).unwrap();
    round.verify_receipt(&receipt, &header).unwrap();
    let other = stewards[1].noise(&announced).remove(0);
    let others = other.header.peek().credential.claimed_device();
    let refused = api.submit(&id, &others, &body()).await.unwrap_err();
    assert_eq!(refused.status(), Some(403));
    // A steward is asked until all its candidates are there.
    let items = api.work(&stewards[0].id, 0).await.unwrap();
    assert!(matches!(items[..], [WorkItem::ContributeNoise { .. }]));
    work_through(&api, &mut stewards, &id, &["done", "aborted"]).await;
    let result = result(&api, &id).await;
    assert_eq!(result.peek().accepted, 3);
    let statements = api.statements(&id).await.unwrap();
    let verdict = statements
        .iter()
        .find_map(|entry| Signed::<Verdict>::from_bytes(&entry.envelope).ok());
    let verdict = verdict.unwrap().peek().clone();
    let count = |of| verdict.decisions.iter().filter(|d| **d == of).count();
    assert_eq!((count(Decision::Accepted), count(Decision::Noise)), (3, 4));
    assert_eq!(count(Decision::NotChosen), 4);
    let status = api.task_status(&context.id()).await.unwrap();
    assert_eq!(status["rounds"][0]["submitted"], 3);
    assert_eq!(status["rounds"][0]["accepted"], 3);
    assert_eq!(status["spent_micro_rho"], context.charge_micro_rho());
    running.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_round_without_the_noise_of_t_stewards_is_given_up() {
    let mut world = World::with(4, 1).await;
    let (running, api) = world.start_enrolled().await;
    let task = world.task(|task| {
        with_noise(task);
        task.rounds = 1;
        // Collecting ends at the end of both.
        task.deadlines.endorsing_ms = 5000;
        task.deadlines.collecting_ms = 5000;
    });
    let context = world.context(&task);
    api.post_task(&task, world.orgs[0].issuer()).await.unwrap();
    let mut stewards = world.stewards(&context);
    let id = context.round(1);
    for kind in ["key", "endorse"] {
        for steward in &mut stewards {
            steward.step_only(&api, kind).await;
        }
        let next = if kind == "key" {
            "endorsing"
        } else {
            "collecting"
        };
        wait_for_phase(&api, &id, next).await;
    }
    let announced = announcement(&api, &context, 0).await;
    for (i, device) in world.devices(3).iter().enumerate() {
        let submission = device.prepare(&context, &announced, &vector(i), 1000 + i as u64);
        device.submit(&api, &announced, &submission).await.unwrap();
    }
    // T = 3, and one of three sends half of its candidates.
    for steward in &mut stewards[..2] {
        steward.step_only(&api, "noise").await;
    }
    let half = stewards[2].noise(&announced).remove(0);
    let submitter = half.header.peek().credential.claimed_device();
    let body = SubmissionBody::Bytes(half.to_bytes().into());
    api.submit(&id, &submitter, &body).await.unwrap();
    work_through(&api, &mut [], &id, &["done", "aborted"]).await;
    let (phase, reason) = phase(&api, &context.id(), 1).await;
    assert_eq!(
        (phase.as_str(), reason.as_deref()),
        ("aborted", Some("too-little-noise"))
    );
    running.shutdown().await.unwrap();
}
