//! Rounds of a task that asks for sums over groups, over HTTP.

use dawn_identity::Signed;
use dawn_learn::{Aggregation, Model, RobustRule};
use dawn_protocol::transcript::{Record, TranscriptReader};
use dawn_protocol::{GroupRule, GroupSums, Opening, Task};
use dawn_transport::TransportError;

use crate::devices::announcement;
use crate::rounds::{result, vector};
use crate::stewards::work_through;
use crate::world::World;

fn in_groups(task: &mut Task) {
    task.policy.min_accepted = 6;
    task.policy.min_honest = 6;
    task.policy.target_submissions = 7;
    // Everybody is waited for, however slow.
    task.deadlines.grace_ms = crate::world::LONG_MS;
    task.options.groups = Some(GroupRule {
        most: 3,
        size: 2,
        least: 2,
        honest: 2,
        dishonest: 0,
        rule: RobustRule {
            aggregation: Aggregation::GeometricMedian { iterations: 4 },
            mixing: None,
        },
    });
}

fn status(error: TransportError) -> u16 {
    error.status().expect("a problem")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_round_with_groups_opens_every_groups_sum() {
    let mut world = World::with(4, 1).await;
    let (running, api) = world.start_enrolled().await;
    let task = world.task(in_groups);
    let context = world.context(&task);
    api.post_task(&task, world.orgs[0].issuer()).await.unwrap();
    let mut stewards = world.stewards(&context);
    // However fast the verdict comes.
    stewards.iter_mut().for_each(|steward| steward.waits = true);
    let devices = world.devices(7);
    let id = context.round(1);
    work_through(&api, &mut stewards, &id, &["collecting"]).await;
    let shown = announcement(&api, &context, 0).await;
    for (i, device) in devices.iter().enumerate() {
        let submission = device.prepare(&context, &shown, &vector(i), 1000 + i as u64);
        device.submit(&api, &shown, &submission).await.unwrap();
    }
    work_through(&api, &mut stewards, &id, &["opening"]).await;

    // What is no opening of this round with its sums is refused, and nothing of it is kept.
    let before = world.rows().await;
    let sums = GroupSums::zero(3);
    let stray = stewards[0].sign(&Opening {
        round: id,
        session: shown.spec.peek().session(),
        root: dawn_crypto::digest::Digest([1; 32]),
        verdict: dawn_crypto::digest::Digest([2; 32]),
        steward: stewards[0].id,
        share_sum: sums.total(),
        groups: Some(sums.digest()),
    });
    let put = async |opening: &[u8], sums: Vec<u8>| {
        let put = api.put_opening(&id, &stewards[0].id, opening, sums).await;
        status(put.expect_err("refused"))
    };
    assert_eq!(put(stray.bytes(), sums.to_bytes()).await, 422);
    assert_eq!(put(stray.bytes(), vec![]).await, 422);
    assert_eq!(put(b"nothing", sums.to_bytes()).await, 400);
    assert_eq!(world.rows().await, before);

    // A steward that lies about one group: it is named, and the sums are right.
    stewards[2].lies = true;
    stewards
        .iter_mut()
        .for_each(|steward| steward.waits = false);
    work_through(&api, &mut stewards, &id, &["done", "aborted"]).await;
    let result = result(&api, &id).await;
    assert_eq!(result.peek().accepted, 7);
    assert_eq!(result.peek().culprits, [stewards[2].id]);
    assert_eq!(world.number("select count(*) from group_sums").await, 4);
    let bytes = api.model(&result.peek().model, 1 << 20).await.unwrap();
    Model::from_bytes(&bytes).unwrap();

    // The openings in the log name the sums that are stored, and neither can be said again otherwise.
    let entries = api.statements(&id).await.unwrap();
    let openings: Vec<Signed<Opening>> = entries
        .iter()
        .filter_map(|entry| Signed::from_bytes(&entry.envelope).ok())
        .collect();
    assert_eq!(openings.len(), 4);
    let mut bytes = Vec::new();
    api.download_transcript(&id, 1 << 30, &mut bytes)
        .await
        .unwrap();
    let mut reader = TranscriptReader::new(&bytes[..]);
    let mut beside = Vec::new();
    while let Some(record) = reader.next_record().unwrap() {
        if let Record::GroupSums(sums) = record {
            beside.push(dawn_protocol::group_sums::group_sums_digest(&sums));
        }
    }
    let mut named: Vec<_> = openings.iter().filter_map(|o| o.peek().groups).collect();
    named.sort_unstable();
    beside.sort_unstable();
    assert_eq!(beside, named);
    running.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_opening_without_its_sums_is_refused() {
    let mut world = World::with(4, 1).await;
    let (running, api) = world.start_enrolled().await;
    let task = world.task(in_groups);
    let context = world.context(&task);
    api.post_task(&task, world.orgs[0].issuer()).await.unwrap();
    let mut stewards = world.stewards(&context);
    // However fast the verdict comes.
    stewards.iter_mut().for_each(|steward| steward.waits = true);
    let devices = world.devices(7);
    let id = context.round(1);
    work_through(&api, &mut stewards, &id, &["collecting"]).await;
    let shown = announcement(&api, &context, 0).await;
    for (i, device) in devices.iter().enumerate() {
        let submission = device.prepare(&context, &shown, &vector(i), 1000 + i as u64);
        device.submit(&api, &shown, &submission).await.unwrap();
    }
    work_through(&api, &mut stewards, &id, &["opening"]).await;
    let entries = api.statements(&id).await.unwrap();
    let verdict = entries
        .iter()
        .find_map(|entry| Signed::<dawn_protocol::Verdict>::from_bytes(&entry.envelope).ok())
        .unwrap();
    let sums = GroupSums::zero(3);
    let opening = |groups| {
        stewards[0].sign(&Opening {
            round: id,
            session: shown.spec.peek().session(),
            root: verdict.peek().root,
            verdict: verdict.body_digest(),
            steward: stewards[0].id,
            share_sum: sums.total(),
            groups,
        })
    };
    for groups in [None, Some(sums.digest())] {
        let put = api.put_statement(&id, &opening(groups)).await;
        assert_eq!(status(put.expect_err("refused")), 422);
    }
    let named = opening(Some(sums.digest()));
    let id_of = stewards[0].id;
    let mut large = sums.to_bytes();
    large[..4].copy_from_slice(&u32::MAX.to_le_bytes());
    let mut other = sums.to_bytes();
    other[0] = 1;
    let longer = [sums.to_bytes(), vec![0; 4]].concat();
    for wrong in [large, other, longer, sums.to_bytes()[4..].to_vec()] {
        let put = api.put_opening(&id, &id_of, named.bytes(), wrong).await;
        assert!([400, 422].contains(&status(put.expect_err("refused"))));
    }
    assert_eq!(world.count_statements("opening").await, 0);
    // As it should be, twice; and then another one, which is evidence.
    api.put_opening(&id, &id_of, named.bytes(), sums.to_bytes())
        .await
        .unwrap();
    api.put_opening(&id, &id_of, named.bytes(), sums.to_bytes())
        .await
        .unwrap();
    let mut body = named.peek().clone();
    let one = GroupSums::new(
        vec![sums.total(); 2]
            .into_iter()
            .chain([{
                let mut bytes = sums.total().to_bytes();
                bytes[0] = 1;
                dawn_crypto::shamir::ShareSum::from_bytes(&bytes).unwrap()
            }])
            .collect(),
    );
    body.groups = Some(one.digest());
    body.share_sum = one.total();
    let second = stewards[0].sign(&body);
    let put = api
        .put_opening(&id, &id_of, second.bytes(), one.to_bytes())
        .await;
    assert_eq!(status(put.expect_err("another one")), 409);
    assert_eq!(world.number("select count(*) from group_sums").await, 1);
    assert_eq!(world.number("select count(*) from equivocations").await, 1);
    running.shutdown().await.unwrap();
}
