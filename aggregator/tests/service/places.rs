//! Who has a place in a round: within the quota of its organisation, and selected where the task selects devices.

use dawn_identity::{DeviceRequest, Register, SecretKey, SessionId, Signed, Validity};
use dawn_protocol::{Digest, DrawProof, NotSelected, RoundOpen, Selection, SubmissionHeader};

use crate::devices::{Device, announcement};
use crate::rounds::{result, vector};
use crate::stewards::work_through;
use crate::submissions::Collecting;
use crate::world::{World, now_s};

#[tokio::test(flavor = "multi_thread")]
async fn an_organisation_takes_no_more_places_than_its_quota() {
    let mut round = Collecting::with(|task| task.options.quota = Some(2), |_| {}).await;
    let own: Vec<_> = (0..5).map(|_| round.world.device(0)).collect();
    let prepared: Vec<_> = (0..)
        .zip(&own)
        .map(|(i, device)| (device.id.to_string(), round.prepare(device, i).to_bytes()))
        .collect();
    // All at once, whoever is first.
    let answers =
        futures_util::future::join_all(prepared.iter().map(|(name, bytes)| round.put(name, bytes)))
            .await;
    let taken: Vec<_> = answers.iter().map(|answer| answer.status == 201).collect();
    assert_eq!(taken.iter().filter(|taken| **taken).count(), 2);
    for answer in answers.iter().filter(|answer| answer.status != 201) {
        assert_eq!(answer.status, 429);
        assert!(String::from_utf8_lossy(&answer.body).contains("quota"));
    }
    // A repetition of what is there gets its receipt; others' places are theirs.
    for ((name, bytes), taken) in prepared.iter().zip(taken) {
        let again = round.put(name, bytes).await.status;
        assert_eq!(again, if taken { 200 } else { 429 });
    }
    let other = round.world.device(1);
    let bytes = round.prepare(&other, 9).to_bytes();
    assert_eq!(round.put(&other.id.to_string(), &bytes).await.status, 201);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_who_is_selected_and_proves_it_is_taken() {
    let half = |task: &mut dawn_protocol::Task| {
        task.options.selection = Some(Selection { rate: 1 << 31 });
    };
    let mut round = Collecting::with(half, |_| {}).await;
    let open = RoundOpen::from_announcement(&round.context, &round.announcement).unwrap();
    let (mut selected, mut others) = (Vec::new(), Vec::new());
    while selected.len() < 2 || others.is_empty() {
        let key = SecretKey::generate(&mut round.world.rng);
        let org = &round.world.orgs[0];
        let validity = Validity::starting(now_s() - 1000, 86_400);
        let request = DeviceRequest::of(&key, "device");
        let chain = org.enrol_device(&request, validity).unwrap();
        let drawn = open.select(&chain, &key);
        let device = Device::new(org.id(), key, chain);
        match drawn {
            Ok(_) => selected.push(device),
            Err(reason) => {
                assert_eq!(reason, NotSelected::Drawn);
                others.push(device);
            }
        }
    }
    let good = round.prepare(&selected[0], 1);
    // Under another header that its device signs.
    let with = |device: &Device, tweak: &dyn Fn(&mut SubmissionHeader)| {
        let mut other = good.clone();
        let mut header = good.header.peek().clone();
        tweak(&mut header);
        other.header = Signed::sign(&header, &device.key).unwrap();
        (device.id.to_string(), other.to_bytes())
    };
    let foreign = round.prepare(&selected[1], 2);
    let foreign = foreign.header.peek().selection.clone();
    let cases = [
        with(&selected[0], &|header| header.selection = None),
        with(&selected[0], &|header| header.selection = foreign.clone()),
        // Not selected, with the proof of one that is.
        with(&others[0], &|header| {
            header.credential = (&others[0].chain).into();
        }),
    ];
    for (device, bytes) in &cases {
        let answer = round.put(device, bytes).await;
        assert_eq!(answer.status, 422);
        let detail = String::from_utf8_lossy(&answer.body).into_owned();
        assert!(detail.contains("selection"), "{detail}");
    }
    assert_eq!(round.stored().await, (0, 0, 0, 0));
    let (device, bytes) = (selected[0].id.to_string(), good.to_bytes());
    assert_eq!(round.put(&device, &bytes).await.status, 201);
    // Old credentials, without a VRF key, have no part.
    let plain = round.world.device(0);
    assert_eq!(
        open.select(&plain.chain, &plain.key),
        Err(NotSelected::NoKey)
    );
}

/// A steward that was away for the round finds there what it needs to endorse the next one.
#[tokio::test(flavor = "multi_thread")]
async fn the_log_proves_what_a_round_leaves_to_draw_from() {
    let mut world = World::new().await;
    let (running, api) = world.start_enrolled().await;
    let task = world.task(|task| {
        task.rounds = 1;
        // Nearly everybody.
        task.options.selection = Some(Selection { rate: u32::MAX });
    });
    let context = world.context(&task);
    api.post_task(&task, world.orgs[0].issuer()).await.unwrap();
    let mut stewards = world.stewards(&context);
    let id = context.round(1);
    work_through(&api, &mut stewards, &id, &["collecting"]).await;
    let announcement = announcement(&api, &context, 0).await;
    for i in 0..4 {
        let key = SecretKey::generate(&mut world.rng);
        let org = &world.orgs[i % world.orgs.len()];
        let validity = Validity::starting(now_s() - 1000, 86_400);
        let chain = org.enrol_device(&DeviceRequest::of(&key, "device"), validity);
        let device = Device::new(org.id(), key, chain.unwrap());
        let submission = device.prepare(&context, &announcement, &vector(i), i as u64);
        let taken = device.submit(&api, &announcement, &submission).await;
        taken.unwrap();
    }
    work_through(&api, &mut stewards, &id, &["done", "aborted"]).await;
    let result = result(&api, &id).await.peek().clone();
    let mut register = Register::new(&world.federation);
    api.extend_register(&mut register, None).await.unwrap();
    let members = register.at(&announcement.spec.peek().register).unwrap();

    let entries = api.statements(&id).await.unwrap();
    let envelopes: Vec<&[u8]> = entries.iter().map(|entry| &entry.envelope[..]).collect();
    let proof = DrawProof::find(&result.session, envelopes.iter().copied()).unwrap();
    let proven = proof.verify(&context, &members).unwrap();
    assert_eq!((proven.round(), proven.session()), (id, result.session));
    assert_eq!(Some(proven.draw()), result.draw);
    // Every part of it is there once, and of no other session.
    for part in [
        proof.closed.bytes(),
        proof.challenge.bytes(),
        proof.announcement.spec.bytes(),
    ] {
        let rest = envelopes.iter().copied().filter(|bytes| *bytes != part);
        assert_eq!(DrawProof::find(&result.session, rest), None);
    }
    let other = SessionId(Digest([1; 32]));
    assert_eq!(DrawProof::find(&other, envelopes), None);
    running.shutdown().await.unwrap();
}
