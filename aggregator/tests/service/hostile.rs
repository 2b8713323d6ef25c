//! Hostile input to every endpoint: a problem document, no 5xx, nothing stored.

use std::net::SocketAddr;

use dawn_identity::http_signature::Purpose;
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};

use crate::raw::{exchange, request, signed};
use crate::submissions::Collecting;
use crate::world::World;

const CBOR: &str = "application/cbor";
const OCTETS: &str = "application/octet-stream";

/// Every endpoint that takes a body, with its media type and the most that it takes.
fn with_bodies(task: &str, device: &str, org: &str) -> Vec<(&'static str, String, &'static str)> {
    let mut endpoints = vec![
        ("POST", "/v1/federation".to_owned(), CBOR),
        ("POST", "/v1/federation/keys".to_owned(), CBOR),
        ("POST", "/v1/orgs".to_owned(), CBOR),
        ("PUT", format!("/v1/orgs/{org}/steward"), CBOR),
        ("POST", "/v1/rosters".to_owned(), CBOR),
        ("POST", "/v1/tasks".to_owned(), CBOR),
        (
            "PUT",
            format!("/v1/tasks/{task}/rounds/1/submissions/{device}"),
            OCTETS,
        ),
    ];
    endpoints.push((
        "PUT",
        format!("/v1/tasks/{task}/rounds/1/reports/{device}"),
        OCTETS,
    ));
    for kind in ["sealing-key", "endorsement", "beacon-share", "opening"] {
        endpoints.push((
            "PUT",
            format!("/v1/tasks/{task}/rounds/1/statements/{kind}"),
            CBOR,
        ));
    }
    endpoints
}

/// What an administrative request is for.
fn purpose(method: &str, path: &str) -> Option<Purpose> {
    Some(match (method, path.split('/').next_back()?) {
        ("POST", "federation") => Purpose::Found,
        ("POST", "keys") => Purpose::ReplaceServerKey,
        ("POST", "orgs") => Purpose::Register,
        ("PUT", "steward") => Purpose::EnrolSteward,
        ("POST", "rosters") => Purpose::PostRoster,
        ("POST", "tasks") => Purpose::CreateTask,
        _ => return None,
    })
}

async fn assert_refused(
    addr: SocketAddr,
    method: &str,
    path: &str,
    media_type: &str,
    body: &[u8],
    what: &str,
) {
    let answer = request(addr, method, path, media_type, body).await;
    assert!(
        (400..500).contains(&answer.status),
        "{method} {path}, {what}: {} {}",
        answer.status,
        String::from_utf8_lossy(&answer.body)
    );
    answer.problem();
}

async fn objects(world: &World) -> [usize; 4] {
    // Files of uploads that broke off are removed in the background.
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    ["payloads", "packages", "answers", "models"].map(|folder| world.objects(folder))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_body_that_is_wrong_is_refused() {
    let mut round = Collecting::new().await;
    let addr = round.running.local_addr();
    let task = round.id.task.to_string();
    let device = round.world.device(0);
    let org = round.world.orgs[0].id().to_string();
    let root = round.world.orgs[0].root();
    let rows = round.world.rows().await;
    let files = objects(&round.world).await;
    let mut rng = ChaCha20Rng::seed_from_u64(3);

    // Messages that are good somewhere else, whole and damaged.
    let registration = round.world.orgs[1]
        .register(&round.world.federation.digest(), 5)
        .unwrap();
    let signed_task = round.world.task(|task| task.name = "another".to_owned());
    let good: Vec<Vec<u8>> = vec![
        round.world.federation.document().to_bytes(),
        round.world.roster.to_bytes(),
        registration.bytes().to_vec(),
        round.announcement.to_bytes(),
        round.announcement.endorsements[0].bytes().to_vec(),
        round.prepare(&device, 1).header.bytes().to_vec(),
    ];
    for (method, path, media_type) in with_bodies(&task, &device.id.to_string(), &org) {
        // Nothing, garbage of CBOR, deep nesting, huge announced lengths.
        let mut bodies: Vec<(String, Vec<u8>)> = vec![
            ("nothing".to_owned(), Vec::new()),
            ("null".to_owned(), vec![0xf6]),
            ("an array without an end".to_owned(), vec![0x9f; 1000]),
            ("arrays in arrays".to_owned(), vec![0x81; 1000]),
            (
                "an array of 2^64 items".to_owned(),
                vec![0x9b, 255, 255, 255, 255, 255, 255, 255, 255],
            ),
            (
                "a string of 2^64 bytes".to_owned(),
                vec![0x5b, 255, 255, 255, 255, 255, 255, 255, 255],
            ),
            ("a tag of tags".to_owned(), vec![0xd2; 500]),
        ];
        for size in [1, 7, 100, 1000] {
            let mut noise = vec![0; size];
            rng.fill_bytes(&mut noise);
            bodies.push((format!("{size} random bytes"), noise));
        }
        for (i, good) in good.iter().enumerate() {
            // Whole, it belongs elsewhere or is stored already; both its own endpoint may say.
            for cut in [1, good.len() / 3, good.len() / 2, good.len() - 1] {
                bodies.push((format!("message {i} cut at {cut}"), good[..cut].to_vec()));
            }
            bodies.push((
                format!("message {i} and a byte"),
                [&good[..], &[0]].concat(),
            ));
            for _ in 0..6 {
                let mut damaged = good.clone();
                let at = rng.next_u32() as usize % damaged.len();
                damaged[at] ^= 1 << (rng.next_u32() % 8);
                bodies.push((format!("message {i} damaged at {at}"), damaged));
            }
        }
        for (what, body) in &bodies {
            assert_refused(addr, method, &path, media_type, body, what).await;
            // Signed, it gets as far as it can.
            if let Some(purpose) = purpose(method, &path) {
                let answer = signed(addr, method, &path, body, purpose, root).await;
                assert!(
                    (400..500).contains(&answer.status) && answer.status != 429,
                    "{method} {path}, {what}: {}",
                    answer.status
                );
                answer.problem();
            }
        }
        // The right bytes under a wrong name.
        for wrong in ["", "text/plain", "application/json"] {
            let answer = request(addr, method, &path, wrong, &signed_task.bytes()[..10]).await;
            assert_eq!(answer.status, 415, "{method} {path} as {wrong}");
            answer.problem();
        }
    }
    assert_eq!(round.world.rows().await, rows, "something was stored");
    assert_eq!(objects(&round.world).await, files, "something was stored");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_large_is_refused_before_it_is_read() {
    let mut round = Collecting::new().await;
    let addr = round.running.local_addr();
    let task = round.id.task.to_string();
    let device = round.world.device(0).id.to_string();
    let org = round.world.orgs[0].id().to_string();
    let rows = round.world.rows().await;
    for (method, path, media_type) in with_bodies(&task, &device, &org) {
        // Announced: refused at once, nothing is sent.
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\ncontent-type: {media_type}\r\n\
             content-length: 1000000000000\r\n\r\n"
        );
        let answer = exchange(addr, head.as_bytes()).await.expect("an answer");
        assert_eq!(answer.status, 413, "{method} {path}");
        answer.problem();
        // Not announced: cut off.
        let mut chunked = format!(
            "{method} {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\ncontent-type: {media_type}\r\n\
             transfer-encoding: chunked\r\n\r\n"
        )
        .into_bytes();
        for _ in 0..40 {
            chunked.extend_from_slice(b"1000\r\n");
            chunked.extend_from_slice(&[0x81; 0x1000]);
            chunked.extend_from_slice(b"\r\n");
        }
        chunked.extend_from_slice(b"0\r\n\r\n");
        // The server may close before everything is sent; when it answers, it refuses.
        if let Some(answer) = exchange(addr, &chunked).await {
            // What has to be signed is refused without a look at the body.
            let expected: &[u16] = match media_type {
                _ if purpose(method, &path).is_some() => &[401],
                CBOR => &[413],
                _ => &[400],
            };
            assert!(
                expected.contains(&answer.status),
                "{method} {path}: {}",
                answer.status
            );
            answer.problem();
        }
    }
    assert_eq!(round.world.rows().await, rows, "something was stored");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_path_that_is_wrong_is_refused() {
    let mut round = Collecting::new().await;
    let addr = round.running.local_addr();
    let task = round.id.task.to_string();
    let device = round.world.device(0).id.to_string();
    let steward = round.stewards[0].id.to_string();
    let unknown = "ab".repeat(32);
    let upper = "AB".repeat(32);
    let rows = round.world.rows().await;
    let long = "x".repeat(20_000);
    let cases: Vec<(&str, String, &[u16])> = vec![
        ("GET", "/".to_owned(), &[404]),
        ("GET", "/v1/nothing".to_owned(), &[404]),
        ("GET", format!("/v1/{long}"), &[404]),
        ("DELETE", "/v1/federation".to_owned(), &[405]),
        ("PATCH", "/v1/tasks".to_owned(), &[405]),
        ("POST", "/healthz".to_owned(), &[405]),
        ("POST", "/openapi.json".to_owned(), &[405]),
        ("GET", format!("/v1/orgs/{unknown}"), &[404]),
        ("GET", "/v1/orgs/nonsense".to_owned(), &[400]),
        ("GET", format!("/v1/orgs/{upper}"), &[400]),
        ("GET", "/v1/orgs/%ff%fe".to_owned(), &[400]),
        ("GET", "/v1/rosters/9".to_owned(), &[404]),
        ("GET", "/v1/rosters/-1".to_owned(), &[400]),
        ("GET", "/v1/rosters/99999999999999999999".to_owned(), &[400]),
        ("GET", "/v1/rosters/18446744073709551615".to_owned(), &[404]),
        ("GET", format!("/v1/tasks/{unknown}"), &[404]),
        ("GET", format!("/v1/tasks/{unknown}/status"), &[404]),
        ("GET", format!("/v1/tasks/{unknown}/round"), &[404]),
        ("GET", format!("/v1/tasks/{task}/round?after=-1"), &[400]),
        ("GET", format!("/v1/tasks/{task}/round?wait=soon"), &[400]),
        ("GET", format!("/v1/tasks/{task}/round?unknown=1"), &[400]),
        ("GET", format!("/v1/models/{unknown}"), &[404]),
        (
            "GET",
            "/v1/models/..%2f..%2fkeys%2flog.pem".to_owned(),
            &[400],
        ),
        ("GET", format!("/v1/stewards/{unknown}/work"), &[404]),
        (
            "GET",
            format!("/v1/stewards/{steward}/work?wait=-1"),
            &[400],
        ),
        (
            "GET",
            format!("/v1/tasks/{task}/rounds/1/packages/{unknown}"),
            &[404],
        ),
        (
            "GET",
            format!("/v1/tasks/{task}/rounds/1/packages/{steward}"),
            &[409],
        ),
        (
            "GET",
            format!("/v1/tasks/{task}/rounds/2/packages/{steward}"),
            &[404],
        ),
        (
            "GET",
            format!("/v1/tasks/{task}/rounds/1/packages/{steward}?after=x"),
            &[400],
        ),
        (
            "GET",
            format!("/v1/tasks/{task}/rounds/2/statements"),
            &[404],
        ),
        (
            "GET",
            format!("/v1/tasks/{task}/rounds/4294967295/statements"),
            &[404],
        ),
        (
            "GET",
            format!("/v1/tasks/{task}/rounds/4294967296/statements"),
            &[400],
        ),
        (
            "GET",
            format!("/v1/tasks/{task}/rounds/0/transcript"),
            &[404],
        ),
        (
            "GET",
            format!("/v1/tasks/{task}/rounds/1/transcript"),
            &[409],
        ),
        (
            "GET",
            format!("/v1/tasks/{task}/rounds/1/challenge"),
            &[404],
        ),
        ("GET", format!("/v1/tasks/{task}/rounds/1/scalars"), &[409]),
        ("GET", format!("/v1/tasks/{task}/rounds/2/scalars"), &[404]),
        (
            "GET",
            format!("/v1/tasks/{task}/rounds/1/answers/{unknown}"),
            &[409],
        ),
        (
            "GET",
            format!("/v1/tasks/{task}/rounds/1/answers/nonsense"),
            &[400],
        ),
        (
            "GET",
            format!("/v1/tasks/{task}/rounds/1/payloads/{unknown}"),
            &[409],
        ),
        ("GET", "/v1/log/entries?from=-1".to_owned(), &[400]),
        (
            "GET",
            "/v1/log/entries?limit=99999999999".to_owned(),
            &[400],
        ),
    ];
    for (method, path, expected) in cases {
        let answer = request(addr, method, &path, "", &[]).await;
        let shown = &path[..path.len().min(100)];
        assert!(
            expected.contains(&answer.status),
            "{method} {shown}: {}",
            answer.status
        );
        answer.problem();
    }
    for (path, body, expected) in [
        (
            format!("/v1/tasks/{task}/rounds/1/statements/verdict"),
            CBOR,
            404,
        ),
        (
            format!("/v1/tasks/{task}/rounds/1/statements/report"),
            CBOR,
            404,
        ),
        (
            format!("/v1/tasks/{task}/rounds/1/answers/{unknown}"),
            OCTETS,
            405,
        ),
        (
            format!("/v1/tasks/{task}/rounds/1/reports/{device}0"),
            OCTETS,
            400,
        ),
        (
            format!("/v1/tasks/{unknown}/rounds/1/statements/endorsement"),
            CBOR,
            404,
        ),
        (
            format!("/v1/tasks/{task}/rounds/7/statements/sealing-key"),
            CBOR,
            400,
        ),
        (
            format!("/v1/tasks/{task}/rounds/7/submissions/{device}"),
            OCTETS,
            404,
        ),
        (
            format!("/v1/tasks/{unknown}/rounds/1/submissions/{device}"),
            OCTETS,
            404,
        ),
        (
            format!("/v1/tasks/{task}/rounds/1/submissions/{device}0"),
            OCTETS,
            400,
        ),
    ] {
        let answer = request(addr, "PUT", &path, body, b"DWNS").await;
        assert_eq!(answer.status, expected, "{path}");
        answer.problem();
    }
    assert_eq!(round.world.rows().await, rows, "something was stored");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_http_hurts_nobody() {
    let mut round = Collecting::new().await;
    let addr = round.running.local_addr();
    let mut rng = ChaCha20Rng::seed_from_u64(4);
    for size in [1, 10, 1000, 100_000] {
        let mut noise = vec![0; size];
        rng.fill_bytes(&mut noise);
        // Whatever the answer is, it is not a failure of the server.
        noise.extend_from_slice(b"\r\n\r\n");
        if let Some(answer) = exchange(addr, &noise).await {
            assert!(answer.status < 500);
        }
    }
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(20_000));
    if let Some(answer) = exchange(addr, many.as_bytes()).await {
        assert!(answer.status < 500);
    }
    let device = round.world.device(0);
    let bytes = round.prepare(&device, 1).to_bytes();
    assert_eq!(round.put(&device.id.to_string(), &bytes).await.status, 201);
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_for_another_round_or_by_another_are_refused() {
    let mut round = Collecting::new().await;
    let addr = round.running.local_addr();
    let rows = round.world.rows().await;
    let task = round.id.task.to_string();
    let endorsement = round.announcement.endorsements[0].clone();
    let path = |kind: &str| format!("/v1/tasks/{task}/rounds/1/statements/{kind}");
    // A steward's endorsement signed by another steward.
    let forged = round.stewards[1].sign(&{
        let mut body = endorsement.peek().clone();
        body.steward = round.stewards[0].id;
        body
    });
    assert_refused(
        addr,
        "PUT",
        &path("endorsement"),
        CBOR,
        forged.bytes(),
        "forged",
    )
    .await;
    // Of another session.
    let other = round.stewards[0].sign(&{
        let mut body = endorsement.peek().clone();
        body.session.0.0[0] ^= 1;
        body
    });
    assert_refused(
        addr,
        "PUT",
        &path("endorsement"),
        CBOR,
        other.bytes(),
        "another session",
    )
    .await;
    // Of another kind than the path.
    assert_refused(
        addr,
        "PUT",
        &path("report"),
        CBOR,
        endorsement.bytes(),
        "another kind",
    )
    .await;
    // A key for a round that the path does not name.
    let next = round.context.round(2);
    let key = round.stewards[0].sealing_key(&next);
    assert_refused(
        addr,
        "PUT",
        &path("sealing-key"),
        CBOR,
        key.bytes(),
        "another round",
    )
    .await;
    // A key of the round in the path, which does not exist yet.
    let answer = request(
        addr,
        "PUT",
        &format!("/v1/tasks/{task}/rounds/2/statements/sealing-key"),
        CBOR,
        key.bytes(),
    )
    .await;
    assert_eq!(answer.status, 404);
    assert_eq!(round.world.rows().await, rows, "something was stored");
}
