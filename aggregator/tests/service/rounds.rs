//! Whole rounds.

use std::collections::BTreeMap;

use dawn_crypto::merkle;
use dawn_identity::{Organisation, SecretKey, Signed, Validity};
use dawn_learn::{Model, apply_update};
use dawn_protocol::digests::model_digest;
use dawn_protocol::submission::package_digest;
use dawn_protocol::transcript::{Part, Record, TranscriptReader, attach, max_detached_bytes};
use dawn_protocol::{RoundResult, TaskContext, Terminal};

use crate::devices::{Device, announcement};
use crate::raw::get;
use crate::stewards::work_through;
use crate::world::{World, now_s};

/// The vector of device i: distinct, so that a missing or doubled one shows in the sum.
pub fn vector(i: usize) -> Vec<i32> {
    (0..15).map(|j| 1 << ((i + j) % 8)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_rounds_open_the_sum_of_what_was_submitted() {
    let mut world = World::with(6, 1).await;
    let (running, api) = world.start_enrolled().await;
    let task = world.task(|_| {});
    let context = world.context(&task);
    api.post_task(&task, world.orgs[0].issuer()).await.unwrap();
    let mut stewards = world.stewards(&context);
    // One steward is away all the time.
    stewards.truncate(5);
    let devices = world.devices(4);
    let mut model = context.initial_model().unwrap();
    for number in 1..=2 {
        let id = context.round(number);
        work_through(&api, &mut stewards, &id, &["collecting"]).await;
        let announcement = announcement(&api, &context, number - 1).await;
        assert_eq!(
            announcement.spec.peek().model,
            model_digest(&model.to_bytes())
        );
        let round = context.verify_spec(&announcement.spec).unwrap();
        for (i, device) in devices.iter().enumerate() {
            let submission = device.prepare(&context, &announcement, &vector(i), 1000 + i as u64);
            let receipt = device
                .submit(&api, &announcement, &submission)
                .await
                .unwrap();
            round.verify_receipt(&receipt, &submission.header).unwrap();
        }
        work_through(&api, &mut stewards, &id, &["done", "aborted"]).await;
        let result = result(&api, &id).await;
        assert_eq!(result.peek().accepted, 4);
        assert!(result.peek().culprits.is_empty());
        // The noise of one device has deviation 6.36: the sum is within 100 of that of the vectors.
        let bytes = api.model(&result.peek().model, 1 << 20).await.unwrap();
        let next = Model::from_bytes(&bytes).unwrap();
        let exact: Vec<i32> = (0..15)
            .map(|j| (0..4).map(|i| vector(i)[j]).sum())
            .collect();
        let expected = apply_update(&model, &exact, 4, 10).unwrap();
        for (found, expected) in next.weights().iter().zip(expected.weights()) {
            assert!(
                (found - expected).abs() < 100 << 10,
                "{found} is far from {expected}"
            );
        }
        model = next;
    }
    let status = api.task_status(&context.id()).await.unwrap();
    assert_eq!(status["ended"], true);
    assert_eq!(status["rounds"][1]["accepted"], 4);
    assert_eq!(status["spent_micro_rho"], 2 * context.charge_micro_rho());
    assert!(matches!(
        api.open_round(&context.id(), 0, 0).await.unwrap(),
        dawn_transport::RoundPoll::Ended
    ));
    running.shutdown().await.unwrap();
}

pub async fn result(api: &dawn_transport::Api, id: &dawn_protocol::RoundId) -> Signed<RoundResult> {
    let entries = api.statements(id).await.unwrap();
    let last = entries.last().unwrap();
    Signed::from_bytes(&last.envelope).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_transcript_has_everything_in_its_order() {
    let mut world = World::new().await;
    let (running, api) = world.start_enrolled().await;
    // Everybody is waited for, however slow.
    let task = world.task(|task| task.deadlines.grace_ms = crate::world::LONG_MS);
    let context = world.context(&task);
    api.post_task(&task, world.orgs[0].issuer()).await.unwrap();
    let mut stewards = world.stewards(&context);
    let devices = world.devices(4);
    for number in 1..=2 {
        let id = context.round(number);
        work_through(&api, &mut stewards, &id, &["collecting"]).await;
        let announcement = announcement(&api, &context, number - 1).await;
        for (i, device) in devices.iter().enumerate() {
            let submission = device.prepare(&context, &announcement, &vector(i), i as u64);
            device
                .submit(&api, &announcement, &submission)
                .await
                .unwrap();
        }
        work_through(&api, &mut stewards, &id, &["done"]).await;
    }
    for number in 1..=2 {
        let mut bytes = Vec::new();
        // It is written by a job when the round has ended; the client asks again while it is.
        api.download_transcript(&context.round(number), 1 << 24, &mut bytes)
            .await
            .unwrap();
        let mut reader = TranscriptReader::new(&bytes[..]);
        let mut headers = Vec::new();
        let mut root = None;
        let mut kinds = Vec::new();
        while let Some(record) = reader.next_record().unwrap() {
            kinds.push(record.kind().name());
            match record {
                Record::Header(header) => headers.push(merkle::leaf_hash(&header)),
                Record::Closed(closed) => root = Some(closed.peek().root),
                Record::Terminal(terminal) => assert!(matches!(*terminal, Terminal::Result(_))),
                _ => {}
            }
        }
        assert_eq!(headers.len(), 4);
        assert_eq!(root, Some(merkle::root(&headers)));
        assert_eq!(kinds.contains(&"previous result"), number == 2);
        assert_eq!(kinds.iter().filter(|kind| **kind == "opening").count(), 3);
        // Without payloads and answers, and put together again with those that are served beside it.
        let id = context.round(number);
        let most = max_detached_bytes(task.peek());
        let mut detached = Vec::new();
        api.download_detached_transcript(&id, most, &mut detached)
            .await
            .unwrap();
        assert!(detached.len() + 4 * context.dimension().payload_bytes() < bytes.len());
        let mut parts = BTreeMap::new();
        let mut reader = TranscriptReader::new(&detached[..]);
        while let Some(record) = reader.next_record().unwrap() {
            let Some(part) = Part::of(&record) else {
                continue;
            };
            let mut out = Vec::new();
            let got = match part {
                Part::Payload(digest) => {
                    api.download_payload(&id, &digest, 1 << 20, &mut out).await
                }
                Part::Answers(digest) => {
                    api.download_answers(&id, &digest, 1 << 20, &mut out).await
                }
            };
            got.unwrap();
            parts.insert(part, out);
        }
        assert_eq!(parts.len(), 4 + 3);
        let mut whole = Vec::new();
        let open = |part: Part| Ok((parts[&part].len() as u64, &parts[&part][..]));
        attach(&detached[..], &mut whole, open).unwrap();
        assert_eq!(whole, bytes);
        // The whole one is what is given when nothing is said, or the contrary.
        let path = format!("/v1/tasks/{}/rounds/{number}/transcript", id.task);
        let addr = running.local_addr();
        assert_eq!(
            get(addr, &format!("{path}?payloads=true")).await.body,
            bytes
        );
        assert_eq!(
            get(addr, &format!("{path}?payloads=false")).await.body,
            detached
        );
        for wrong in ["payloads=0", "payload=false", "payloads="] {
            assert_eq!(
                get(addr, &format!("{path}?{wrong}")).await.status,
                400,
                "{wrong}"
            );
        }
    }
    // What a crash has left before the whole one was there may be of another one.
    let second = context.round(2);
    let path = format!("data/objects/transcripts/{}/2", second.task);
    std::fs::remove_file(world.dir.path().join(path)).unwrap();
    let path = format!("/v1/tasks/{}/rounds/2/transcript", second.task);
    for which in ["true", "false"] {
        let path = format!("{path}?payloads={which}");
        assert_eq!(get(running.local_addr(), &path).await.status, 503);
    }
    // What an earlier version wrote is there as it wrote it.
    let first = context.round(1);
    let path = format!("data/objects/detached-transcripts/{}/1", first.task);
    std::fs::remove_file(world.dir.path().join(path)).unwrap();
    let mut old = Vec::new();
    api.download_detached_transcript(&first, 1 << 24, &mut old)
        .await
        .unwrap();
    assert_eq!(old[..4], dawn_protocol::transcript::MAGIC);
    // Sealed packages do not outlive their round; payloads stay for auditors.
    assert_eq!(world.objects("packages"), 0);
    assert_eq!(world.objects("payloads"), 8);
    running.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_did_not_found_takes_part() {
    let mut world = World::new().await;
    let (running, api) = world.start_enrolled().await;
    let validity = Validity::starting(now_s() - 10, 86_400);
    let newcomer = Organisation::generate("newcomer", validity, &mut world.rng).unwrap();
    let registration = newcomer
        .register(&world.federation.digest(), now_s())
        .unwrap();
    api.register_org(&registration, newcomer.root())
        .await
        .unwrap();
    assert_eq!(api.register_entries(0).await.unwrap().len(), 5);
    assert_eq!(api.register_entries(5).await.unwrap().len(), 0);
    assert_eq!(api.org(&newcomer.id()).await.unwrap()["founder"], false);

    let task = world.task(|task| task.rounds = 1);
    let mut register = dawn_identity::Register::new(&world.federation);
    api.extend_register(&mut register, None).await.unwrap();
    let context = TaskContext::verify(&world.federation, register.members(), &task).unwrap();
    api.post_task(&task, world.orgs[0].issuer()).await.unwrap();
    let mut stewards = world.stewards(&context);
    let id = context.round(1);
    work_through(&api, &mut stewards, &id, &["collecting"]).await;
    let announcement = announcement(&api, &context, 0).await;
    let mut devices = world.devices(3);
    let key = SecretKey::generate(&mut world.rng);
    let chain = newcomer
        .issue_device(&key.public(), "device", validity)
        .unwrap();
    devices.push(Device::new(newcomer.id(), key, chain));
    for (i, device) in devices.iter().enumerate() {
        let submission = device.prepare(&context, &announcement, &vector(i), i as u64);
        device
            .submit(&api, &announcement, &submission)
            .await
            .unwrap();
    }
    work_through(&api, &mut stewards, &id, &["done", "aborted"]).await;
    assert_eq!(result(&api, &id).await.peek().accepted, 4);
    running.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_whose_packages_do_not_open_is_left_out() {
    let mut world = World::new().await;
    let (running, api) = world.start_enrolled().await;
    let task = world.task(|task| task.rounds = 1);
    let context = world.context(&task);
    api.post_task(&task, world.orgs[0].issuer()).await.unwrap();
    let mut stewards = world.stewards(&context);
    let id = context.round(1);
    work_through(&api, &mut stewards, &id, &["collecting"]).await;
    let announcement = announcement(&api, &context, 0).await;
    let devices = world.devices(4);
    for (i, device) in devices.iter().enumerate() {
        let mut submission = device.prepare(&context, &announcement, &vector(i), i as u64);
        if i == 2 {
            let mut header = submission.header.peek().clone();
            for place in 0..2 {
                submission.packages[place][7] ^= 1;
                header.packages[place] = package_digest(&submission.packages[place]);
            }
            submission.header = Signed::sign(&header, &device.key).unwrap();
        }
        device
            .submit(&api, &announcement, &submission)
            .await
            .unwrap();
    }
    work_through(&api, &mut stewards, &id, &["done", "aborted"]).await;
    assert_eq!(result(&api, &id).await.peek().accepted, 3);
    let status = api.task_status(&id.task).await.unwrap();
    let round = &status["rounds"][0];
    assert_eq!(
        (&round["submitted"], &round["accepted"]),
        (&4.into(), &3.into())
    );
    assert_eq!(
        round["rejected"],
        serde_json::json!({ "too-few-stewards": 1 })
    );
    for phase in [
        "keying",
        "endorsing",
        "collecting",
        "challenging",
        "reporting",
        "opening",
    ] {
        assert!(round["phase_ms"][phase].is_u64(), "{phase}");
    }
    running.shutdown().await.unwrap();
}
