//! Submissions: receipts, repetitions, contradictions, and everything that is refused.

use std::time::Duration;

use dawn_aggregator::Running;
use dawn_identity::Signed;
use dawn_protocol::prepare::PreparedSubmission;
use dawn_protocol::{RoundAnnouncement, RoundId, SubmissionHeader, TaskContext};
use dawn_transport::{Api, TransportError};

use crate::devices::{Device, announcement};
use crate::raw::{self, Answer};
use crate::rounds::vector;
use crate::stewards::{Steward, work_through};
use crate::world::{World, api};

/// A round that collects.
pub struct Collecting {
    pub world: World,
    pub running: Running,
    pub api: Api,
    pub context: TaskContext,
    pub stewards: Vec<Steward>,
    pub announcement: RoundAnnouncement,
    pub id: RoundId,
}

impl Collecting {
    pub async fn new() -> Self {
        Self::with(|_| {}, |_| {}).await
    }

    pub async fn with(
        tweak: impl FnOnce(&mut dawn_protocol::Task),
        limits: impl FnOnce(&mut dawn_aggregator::Limits),
    ) -> Self {
        Self::among(World::new().await, tweak, limits).await
    }

    /// With m stewards of which f may be malicious.
    pub async fn of(m: u8, f: u8, tweak: impl FnOnce(&mut dawn_protocol::Task)) -> Self {
        Self::among(World::with(m, f).await, tweak, |_| {}).await
    }

    async fn among(
        world: World,
        tweak: impl FnOnce(&mut dawn_protocol::Task),
        limits: impl FnOnce(&mut dawn_aggregator::Limits),
    ) -> Self {
        let mut config = world.config();
        limits(&mut config.limits);
        let running = dawn_aggregator::Aggregator::start(config).await.unwrap();
        let api = api(&running);
        world.enrol(&api).await;
        let task = world.task(tweak);
        let context = world.context(&task);
        api.post_task(&task, world.orgs[0].issuer()).await.unwrap();
        let mut stewards = world.stewards(&context);
        let id = context.round(1);
        work_through(&api, &mut stewards, &id, &["collecting"]).await;
        let announcement = announcement(&api, &context, 0).await;
        Self {
            world,
            running,
            api,
            context,
            stewards,
            announcement,
            id,
        }
    }

    pub fn prepare(&self, device: &Device, seed: u64) -> PreparedSubmission {
        device.prepare(
            &self.context,
            &self.announcement,
            &vector(seed as usize),
            seed,
        )
    }

    pub async fn put(&self, device: &str, bytes: &[u8]) -> Answer {
        let path = format!(
            "/v1/tasks/{}/rounds/{}/submissions/{device}",
            self.id.task, self.id.number
        );
        raw::request(
            self.running.local_addr(),
            "PUT",
            &path,
            "application/octet-stream",
            bytes,
        )
        .await
    }

    /// What is stored of submissions: rows, evidence, payloads, packages.
    pub async fn stored(&self) -> (i64, i64, usize, usize) {
        // Files of uploads that broke off are removed in the background.
        tokio::time::sleep(Duration::from_millis(50)).await;
        (
            self.world.number("select count(*) from submissions").await,
            self.world
                .number("select count(*) from equivocations")
                .await,
            self.world.objects("payloads"),
            self.world.objects("packages"),
        )
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_submission_gets_the_same_receipt_for_ever() {
    let mut round = Collecting::new().await;
    let device = round.world.device(0);
    let submission = round.prepare(&device, 1);
    let bytes = submission.to_bytes();
    let first = round.put(&device.id.to_string(), &bytes).await;
    assert_eq!(first.status, 201);
    let again = round.put(&device.id.to_string(), &bytes).await;
    assert_eq!((again.status, &again.body), (200, &first.body));
    for i in 2..=4 {
        let other = round.world.device(i as usize % 3);
        let submission = round.prepare(&other, i);
        other
            .submit(&round.api, &round.announcement, &submission)
            .await
            .unwrap();
    }
    work_through(&round.api, &mut round.stewards, &round.id, &["done"]).await;
    let late = round.put(&device.id.to_string(), &bytes).await;
    assert_eq!((late.status, &late.body), (200, &first.body));
    // Replayed in the next round it is worth nothing.
    let next = round.context.round(2);
    work_through(&round.api, &mut round.stewards, &next, &["collecting"]).await;
    let path = format!("/v1/tasks/{}/rounds/2/submissions/{}", next.task, device.id);
    let addr = round.running.local_addr();
    let replayed = raw::request(addr, "PUT", &path, "application/octet-stream", &bytes).await;
    assert_eq!(replayed.status, 422);
    replayed.problem();
    let path = format!("/v1/tasks/{}/rounds/2/statements/endorsement", next.task);
    let endorsement = round.announcement.endorsements[0].bytes();
    let replayed = raw::request(addr, "PUT", &path, "application/cbor", endorsement).await;
    assert_eq!(replayed.status, 422);
    replayed.problem();
    // Another one, although the device has a receipt, is too late twice over.
    let other = round.prepare(&device, 9).to_bytes();
    let refused = round.put(&device.id.to_string(), &other).await;
    assert_eq!(refused.status, 409);
    refused.problem();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_submission_is_refused_and_kept_as_evidence() {
    let mut round = Collecting::new().await;
    let device = round.world.device(0);
    let first = round.prepare(&device, 1);
    device
        .submit(&round.api, &round.announcement, &first)
        .await
        .unwrap();
    let before = round.stored().await;
    let second = round.prepare(&device, 2);
    let refused = device
        .submit(&round.api, &round.announcement, &second)
        .await
        .unwrap_err();
    assert!(matches!(refused, TransportError::Problem(problem) if problem.status == 409));
    let after = round.stored().await;
    assert_eq!((after.0, after.2, after.3), (before.0, before.2, before.3));
    assert_eq!(after.1, 1);
    let header: Vec<u8> = {
        use sqlx::Connection;
        let mut connection = sqlx::PgConnection::connect(round.world.postgres.url())
            .await
            .unwrap();
        sqlx::query_scalar("select envelope from equivocations")
            .fetch_one(&mut connection)
            .await
            .unwrap()
    };
    assert_eq!(header, second.header.bytes());
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_at_once_one_wins() {
    // All of them get a place at once.
    let mut round = Collecting::with(|_| {}, |limits| limits.uploads_per_device = 12).await;
    let device = round.world.device(0);
    let submissions: Vec<_> = (0..6)
        .map(|i| round.prepare(&device, i).to_bytes())
        .collect();
    let name = device.id.to_string();
    // Each of them twice: repetitions of the winner get its receipt.
    let answers = futures_util::future::join_all(
        submissions
            .iter()
            .chain(&submissions)
            .map(|bytes| round.put(&name, bytes)),
    )
    .await;
    let receipts: Vec<_> = answers
        .iter()
        .filter(|answer| answer.status < 300)
        .collect();
    assert!(
        (1..=2).contains(&receipts.len()),
        "{} receipts",
        receipts.len()
    );
    assert!(
        receipts
            .iter()
            .all(|answer| answer.body == receipts[0].body)
    );
    assert_eq!(
        answers.iter().filter(|answer| answer.status == 201).count(),
        1
    );
    for answer in answers.iter().filter(|answer| answer.status >= 300) {
        assert_eq!(answer.status, 409);
        answer.problem();
    }
    assert_eq!(round.stored().await, (1, 1, 1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_wrong_is_refused_and_leaves_nothing() {
    let mut round = Collecting::new().await;
    let device = round.world.device(0);
    let other = round.world.device(1);
    let good = round.prepare(&device, 1);
    let bytes = good.to_bytes();
    let name = device.id.to_string();
    let before = round.stored().await;
    let head = good.head().encoded_len();
    let header = good.header.bytes().len();
    let mut cases: Vec<(String, String, Vec<u8>, u16)> = Vec::new();
    let mut case = |what: &str, device: &str, bytes: Vec<u8>, status| {
        cases.push((what.to_owned(), device.to_owned(), bytes, status));
    };

    // Cut at, and on both sides of, every boundary of the container.
    for cut in [
        0,
        1,
        3,
        4,
        7,
        8,
        9,
        8 + header - 1,
        8 + header,
        8 + header + 1,
        8 + header + 4,
        head - 1,
        head,
    ] {
        case(&format!("cut at {cut}"), &name, bytes[..cut].to_vec(), 400);
    }
    for short in [1, 2, 3, 4, 5000] {
        case(
            &format!("{short} bytes short"),
            &name,
            bytes[..bytes.len() - short].to_vec(),
            400,
        );
    }
    case("a byte too many", &name, [&bytes[..], &[0]].concat(), 400);
    case(
        "two containers",
        &name,
        [&bytes[..], &bytes[..]].concat(),
        400,
    );
    case(
        "another device's path",
        &other.id.to_string(),
        bytes.clone(),
        403,
    );
    case(
        "random bytes",
        &name,
        (0..9000_u32)
            .map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8)
            .collect(),
        400,
    );

    let mut flipped = bytes.clone();
    flipped[0] ^= 1;
    case("another magic", &name, flipped, 400);
    let mut flipped = bytes.clone();
    flipped[4..8].copy_from_slice(&u32::MAX.to_le_bytes());
    case("a header of 4 GiB", &name, flipped, 413);
    let mut flipped = bytes.clone();
    flipped[8 + header] = 255;
    case("255 packages", &name, flipped, 400);
    let mut flipped = bytes.clone();
    flipped[8 + header + 1..8 + header + 5].copy_from_slice(&u32::MAX.to_le_bytes());
    case("a package of 4 GiB", &name, flipped, 413);
    let mut flipped = bytes.clone();
    flipped[8 + header + 5] ^= 1;
    case("another package", &name, flipped, 422);
    let mut flipped = bytes.clone();
    flipped[head] ^= 1;
    case("another payload", &name, flipped, 422);
    let mut flipped = bytes.clone();
    let last = flipped.len();
    flipped[last - 4..].copy_from_slice(&u32::MAX.to_le_bytes());
    case("a coordinate beyond q", &name, flipped, 422);

    // Headers that are signed, and wrong.
    let signed = |key: &dawn_identity::SecretKey, tweak: &dyn Fn(&mut SubmissionHeader)| {
        let mut header = good.header.peek().clone();
        tweak(&mut header);
        let mut other = good.clone();
        other.header = Signed::sign(&header, key).unwrap();
        other.to_bytes()
    };
    case(
        "another round",
        &name,
        signed(&device.key, &|header| header.round.number = 2),
        422,
    );
    case(
        "another session",
        &name,
        signed(&device.key, &|header| header.session.0.0[0] ^= 1),
        422,
    );
    case(
        "another's signature",
        &name,
        signed(&other.key, &|_| {}),
        422,
    );
    let fewer = signed(&device.key, &|header| {
        header.commitments.pop();
        header.digit_commitments.pop();
        header.proof_commitments.pop();
        header.packages.pop();
    });
    case("a commitment too few", &name, fewer, 422);
    case(
        "a package too few",
        &name,
        signed(&device.key, &|header| {
            header.packages.pop();
        }),
        422,
    );
    case(
        "another's credential",
        &name,
        signed(&device.key, &|header| {
            header.credential = other.chain.clone().into()
        }),
        422,
    );
    // A stranger's device, properly certified by nobody.
    let stranger = dawn_identity::Organisation::generate(
        "stranger",
        dawn_identity::Validity::starting(crate::world::now_s() - 10, 86_400),
        &mut round.world.rng,
    )
    .unwrap();
    let chain = stranger
        .issue_device(
            &device.key.public(),
            "device",
            dawn_identity::Validity::starting(crate::world::now_s() - 10, 86_400),
        )
        .unwrap();
    let foreign = dawn_identity::DeviceId::of(&stranger.id(), &device.key.public()).to_string();
    case(
        "a stranger",
        &foreign,
        signed(&device.key, &|header| {
            header.credential = chain.clone().into()
        }),
        422,
    );

    for (what, device, bytes, status) in cases {
        let answer = round.put(&device, &bytes).await;
        let detail = String::from_utf8_lossy(&answer.body).into_owned();
        assert_eq!(answer.status, status, "{what}: {detail}");
        answer.problem();
    }
    assert_eq!(round.stored().await, before, "something was stored");
    // The server is as before: the good one is taken.
    assert_eq!(round.put(&name, &bytes).await.status, 201);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_round_takes_no_more() {
    let mut round = Collecting::with(
        |task| {
            task.policy.max_submissions = 4;
            task.policy.target_submissions = 4;
            // The list stays open until the deadline in this test: no worker closes it.
            task.deadlines.reporting_ms = crate::world::LONG_MS;
        },
        |_| {},
    )
    .await;
    let devices = round.world.devices(6);
    let prepared: Vec<_> = devices
        .iter()
        .enumerate()
        .map(|(i, device)| {
            (
                device.id.to_string(),
                round.prepare(device, i as u64).to_bytes(),
            )
        })
        .collect();
    let answers =
        futures_util::future::join_all(prepared.iter().map(|(name, bytes)| round.put(name, bytes)))
            .await;
    assert_eq!(
        answers.iter().filter(|answer| answer.status == 201).count(),
        4
    );
    for answer in answers.iter().filter(|answer| answer.status != 201) {
        assert!([409, 429].contains(&answer.status), "{}", answer.status);
        answer.problem();
    }
    assert_eq!(round.stored().await, (4, 0, 4, 4));
}
