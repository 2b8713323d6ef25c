//! The table of forgeries (docs/identity-formats.md, section 9), as far as it is about requests: each row is a test, and each
//! shows that the honest request beside it is taken.

use dawn_aggregator::clock::now_s;
use dawn_identity::http_signature::{Parameters, Purpose, content_digest};

use crate::raw;
use crate::stage::{Stage, organisation};

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_key() {
    let mut stage = Stage::new().await;
    let stranger = organisation(&mut stage.world, "stranger");
    let by_stranger = stage.headers_by(stranger.root(), |_| {}).await;
    let answer = stage.send("POST", "/v1/orgs", &by_stranger).await;
    stage.refuses(answer, "no key with thumbprint").await;
    // Under the name of the right key.
    let mut renamed = by_stranger.clone();
    renamed.signature_input = renamed.signature_input.replace(
        &stranger.root().public().thumbprint().to_string(),
        &stage.newcomer.root().public().thumbprint().to_string(),
    );
    let answer = stage.send("POST", "/v1/orgs", &renamed).await;
    stage.refuses(answer, "does not verify").await;
    // A member's key speaks for nobody else either.
    let by_member = stage.headers_by(stage.world.orgs[0].root(), |_| {}).await;
    let answer = stage.send("POST", "/v1/orgs", &by_member).await;
    stage.refuses(answer, "no key with thumbprint").await;
    // The issuer key is not the root key.
    let by_issuer = stage.headers_by(stage.newcomer.issuer(), |_| {}).await;
    let answer = stage.send("POST", "/v1/orgs", &by_issuer).await;
    stage.refuses(answer, "no key with thumbprint").await;
    stage.takes_the_honest_one().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_digest() {
    let stage = Stage::new().await;
    let mut headers = stage.headers(|_| {}).await;
    let right = std::mem::replace(&mut headers.content_digest, content_digest(b"another body"));
    let answer = stage.send("POST", "/v1/orgs", &headers).await;
    stage.refuses(answer, "content-digest").await;
    // The right digest beside a wrong one, or by another algorithm.
    for digest in [
        format!("{right}, sha-512=:AA==:"),
        right.replace("256", "512"),
    ] {
        headers.content_digest = digest;
        let answer = stage.send("POST", "/v1/orgs", &headers).await;
        stage.refuses(answer, "content-digest").await;
    }
    stage.takes_the_honest_one().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replayed_nonce() {
    let stage = Stage::new().await;
    let second = stage.world.start().await;
    let api = crate::world::api(&stage.running);
    let nonce = api.nonce().await.unwrap().nonce;
    let parameters = Parameters {
        tag: Purpose::Register.tag(),
        nonce: &nonce,
        created: now_s(),
        expires: now_s() + 240,
    };
    let body = stage.registration.bytes();
    let made = raw::sign_headers("POST", "/v1/orgs", body, &parameters, stage.newcomer.root());
    // Sixteen times at once, at both replicas: one of them is taken.
    let answers = futures_util::future::join_all((0..16).map(|i| {
        let addr = if i % 2 == 0 {
            stage.addr()
        } else {
            second.local_addr()
        };
        let headers = raw::signature_headers(&made);
        async move {
            raw::with_headers(addr, "POST", "/v1/orgs", body, &headers)
                .await
                .status
        }
    }))
    .await;
    assert_eq!(
        answers.iter().filter(|status| **status == 201).count(),
        1,
        "{answers:?}"
    );
    assert_eq!(
        answers.iter().filter(|status| **status == 401).count(),
        15,
        "{answers:?}"
    );
    let answer = stage.send("POST", "/v1/orgs", &made).await;
    assert_eq!(answer.status, 401);
    assert!(
        answer.problem()["detail"]
            .as_str()
            .unwrap()
            .contains("used before")
    );
    // Nonces are remembered as long as they count, and not longer.
    let taken = "select count(*) from used_nonces";
    let before = stage.world.number(taken).await;
    assert!(before >= 1);
    let store = &stage.running.app().store;
    assert_eq!(store.forget_nonces().await.unwrap(), 0);
    let age = "update used_nonces set expires_ms = expires_ms - 330000 - 121000, used_ms = used_ms - 451000";
    stage.world.run_sql(age).await;
    assert_eq!(store.forget_nonces().await.unwrap(), before as u64);
    second.shutdown().await.unwrap();
    stage.running.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nonce_of_ones_own() {
    let stage = Stage::new().await;
    for nonce in [
        "abc",
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    ] {
        let headers = stage.headers(|parameters| parameters.nonce = nonce).await;
        let answer = stage.send("POST", "/v1/orgs", &headers).await;
        stage.refuses(answer, "not one of GET /v1/nonce").await;
    }
    // Asking for nonces leaves no rows.
    let rows = stage.world.number("select count(*) from used_nonces").await;
    for _ in 0..100 {
        raw::nonce(stage.addr()).await;
    }
    assert_eq!(
        stage.world.number("select count(*) from used_nonces").await,
        rows
    );
    stage.takes_the_honest_one().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_signature() {
    let stage = Stage::new().await;
    let old = |parameters: &mut Parameters<'_>| {
        parameters.created -= 250;
        parameters.expires = now_s() - 1;
    };
    let answer = stage
        .send("POST", "/v1/orgs", &stage.headers(old).await)
        .await;
    stage.refuses(answer, "expired").await;
    let long = |parameters: &mut Parameters<'_>| parameters.expires += 61;
    let answer = stage
        .send("POST", "/v1/orgs", &stage.headers(long).await)
        .await;
    stage.refuses(answer, "1 to 300 seconds").await;
    stage.takes_the_honest_one().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_ahead() {
    let stage = Stage::new().await;
    let ahead = |parameters: &mut Parameters<'_>| {
        parameters.created += 90;
        parameters.expires += 90;
    };
    let answer = stage
        .send("POST", "/v1/orgs", &stage.headers(ahead).await)
        .await;
    stage.refuses(answer, "set the clock").await;
    // A little is tolerated, and a clock that is behind by less than the signature lasts.
    let a_little = |parameters: &mut Parameters<'_>| parameters.created += 30;
    let answer = stage
        .send("POST", "/v1/orgs", &stage.headers(a_little).await)
        .await;
    assert_eq!(answer.status, 201);
    let behind = |parameters: &mut Parameters<'_>| {
        parameters.created -= 200;
        parameters.expires -= 200;
    };
    let answer = stage
        .send("POST", "/v1/orgs", &stage.headers(behind).await)
        .await;
    assert_eq!(answer.status, 200);
    stage.running.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stripped_signature() {
    let stage = Stage::new().await;
    let made = stage.headers(|_| {}).await;
    let all = raw::signature_headers(&made);
    for left_out in 1..4 {
        let headers: Vec<_> = (0..4).filter(|i| *i != left_out).map(|i| all[i]).collect();
        let body = stage.registration.bytes();
        let answer = raw::with_headers(stage.addr(), "POST", "/v1/orgs", body, &headers).await;
        stage
            .refuses(answer, &format!("no {} header", all[left_out].0))
            .await;
    }
    // Less than everything that matters.
    for (from, what) in [
        ("\"@method\" ", "@method"),
        ("\"@target-uri\" ", "@target-uri"),
        ("\"content-digest\" ", "content-digest"),
        (" \"content-type\"", "content-type"),
    ] {
        let mut less = made.clone();
        less.signature_input = less.signature_input.replace(from, "");
        let answer = stage.send("POST", "/v1/orgs", &less).await;
        stage
            .refuses(answer, &format!("does not cover {what}"))
            .await;
    }
    stage.takes_the_honest_one().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_method_or_path() {
    let stage = Stage::new().await;
    let made = stage.headers(|_| {}).await;
    let org = stage.world.orgs[0].id();
    // With another query, or as another path that takes requests: whatever is wrong first, it is refused.
    for (method, path) in [
        ("POST", "/v1/orgs?x=1".to_owned()),
        ("POST", "/v1/tasks".to_owned()),
        ("POST", "/v1/rosters".to_owned()),
        ("PUT", format!("/v1/orgs/{org}/steward")),
    ] {
        let answer = stage.send(method, &path, &made).await;
        assert!(
            matches!(answer.status, 400 | 401),
            "{method} {path}: {}",
            answer.status
        );
        answer.problem();
    }
    assert_eq!(stage.registered().await, 0);
    // An enrolment that was signed for another organisation's path.
    let world = &stage.world;
    let digest = world.federation.digest();
    let vrf = crate::world::vrf_key(&world.steward_keys[1]);
    let enrolment = world.orgs[0]
        .enrol_steward(&digest, &world.steward_keys[1], vrf.public(), now_s())
        .unwrap();
    let nonce = raw::nonce(stage.addr()).await;
    let parameters = Parameters {
        tag: Purpose::EnrolSteward.tag(),
        nonce: &nonce,
        created: now_s(),
        expires: now_s() + 240,
    };
    let signed_for = format!("/v1/orgs/{org}/steward");
    let made = raw::sign_headers(
        "PUT",
        &signed_for,
        enrolment.bytes(),
        &parameters,
        world.orgs[0].root(),
    );
    let headers = raw::signature_headers(&made);
    let other = format!("/v1/orgs/{}/steward", world.orgs[1].id());
    let answer = raw::with_headers(stage.addr(), "PUT", &other, enrolment.bytes(), &headers).await;
    assert_eq!(answer.status, 401);
    stage.takes_the_honest_one().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_downgraded_tag() {
    let stage = Stage::new().await;
    for other in Purpose::ALL
        .into_iter()
        .filter(|purpose| *purpose != Purpose::Register)
    {
        let headers = stage
            .headers(|parameters| parameters.tag = other.tag())
            .await;
        let answer = stage.send("POST", "/v1/orgs", &headers).await;
        stage.refuses(answer, "needs \"dawn-org-register\"").await;
    }
    let mut none = stage.headers(|_| {}).await;
    none.signature_input = none
        .signature_input
        .replace(";tag=\"dawn-org-register\"", "");
    let answer = stage.send("POST", "/v1/orgs", &none).await;
    stage.refuses(answer, "no parameter tag").await;
    let mut weaker = stage.headers(|_| {}).await;
    weaker.signature_input = weaker.signature_input.replace("ed25519", "hmac-sha256");
    let answer = stage.send("POST", "/v1/orgs", &weaker).await;
    stage.refuses(answer, "not ed25519").await;
    stage.takes_the_honest_one().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_signatures() {
    let stage = Stage::new().await;
    let (one, two) = (stage.headers(|_| {}).await, stage.headers(|_| {}).await);
    let mut joined = one.clone();
    joined.signature_input = format!(
        "{}, {}",
        one.signature_input,
        two.signature_input.replacen("dawn", "other", 1)
    );
    joined.signature = format!(
        "{}, {}",
        one.signature,
        two.signature.replacen("dawn", "other", 1)
    );
    let answer = stage.send("POST", "/v1/orgs", &joined).await;
    stage.refuses(answer, "signature").await;
    let body = stage.registration.bytes();
    let headers = [
        ("content-type", "application/cbor"),
        ("content-digest", one.content_digest.as_str()),
        ("signature-input", one.signature_input.as_str()),
        ("signature-input", two.signature_input.as_str()),
        ("signature", one.signature.as_str()),
        ("signature", two.signature.as_str()),
    ];
    let answer = raw::with_headers(stage.addr(), "POST", "/v1/orgs", body, &headers).await;
    stage.refuses(answer, "more than once").await;
    stage.takes_the_honest_one().await;
}

/// Low-order and non-canonical keys cannot even be written down as keys: no document with one is read. Signatures of another
/// spelling: `identity/tests/identity/http_signature_rules.rs`.
#[tokio::test(flavor = "multi_thread")]
async fn low_order_and_non_canonical_keys() {
    let stage = Stage::new().await;
    let own = *stage.newcomer.root().public().as_bytes();
    let mut low = [0; 32];
    low[0] = 1;
    let mut not_canonical = [0xff; 32];
    not_canonical[31] = 0x7f;
    for key in [low, [0; 32], not_canonical] {
        let mut bytes = stage.registration.bytes().to_vec();
        let at = bytes.windows(32).position(|window| window == own).unwrap();
        bytes[at..at + 32].copy_from_slice(&key);
        let answer = raw::signed(
            stage.addr(),
            "POST",
            "/v1/orgs",
            &bytes,
            Purpose::Register,
            stage.newcomer.root(),
        )
        .await;
        assert_eq!(
            answer.status,
            400,
            "{}",
            String::from_utf8_lossy(&answer.body)
        );
        answer.problem();
    }
    stage.takes_the_honest_one().await;
}

/// A million registrations: strangers together are slowed down, then there is no room; members go on.
#[tokio::test(flavor = "multi_thread")]
async fn more_registrations_than_a_minute_takes() {
    let mut stage = Stage::with(|limits| {
        // Founding was a stranger's request as well.
        limits.strangers_per_minute = 11;
        limits.requests_per_key_per_minute = 30;
    })
    .await;
    let second = stage.world.start().await;
    let digest = stage.world.federation.digest();
    let crowd: Vec<_> = (0..40)
        .map(|i| {
            let org = organisation(&mut stage.world, &format!("crowd {i}"));
            let registration = org.register(&digest, now_s()).unwrap();
            (org, registration)
        })
        .collect();
    let statuses = futures_util::future::join_all(crowd.iter().map(|(org, registration)| {
        let body = registration.bytes();
        raw::signed(
            stage.addr(),
            "POST",
            "/v1/orgs",
            body,
            Purpose::Register,
            org.root(),
        )
    }))
    .await;
    let count = |status: u16| {
        statuses
            .iter()
            .filter(|answer| answer.status == status)
            .count()
    };
    assert_eq!((count(201), count(429)), (10, 30));
    let refused = statuses.iter().find(|answer| answer.status == 429).unwrap();
    assert!(refused.head.to_ascii_lowercase().contains("retry-after:"));
    assert_eq!(stage.registered().await, 10);
    // Members are not slowed down by strangers, but each by itself.
    let member = &stage.world.orgs[0];
    let again = member.register(&digest, now_s()).unwrap();
    let statuses = futures_util::future::join_all((0..40).map(|_| {
        raw::signed(
            stage.addr(),
            "POST",
            "/v1/orgs",
            again.bytes(),
            Purpose::Register,
            member.root(),
        )
    }))
    .await;
    let taken = statuses
        .iter()
        .filter(|answer| answer.status == 200)
        .count();
    // It has registered, enrolled and posted before.
    assert_eq!(
        taken,
        30 - 3,
        "{:?}",
        statuses
            .iter()
            .map(|answer| answer.status)
            .collect::<Vec<_>>()
    );
    second.shutdown().await.unwrap();
    stage.running.shutdown().await.unwrap();
}
