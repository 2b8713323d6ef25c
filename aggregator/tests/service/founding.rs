//! `POST /v1/federation`, the request whose keys the body itself brings.

use dawn_aggregator::Aggregator;
use dawn_identity::http_signature::Purpose;
use dawn_identity::{Federation, FoundingDocument, Organisation, SecretKey, Validity};

use crate::raw::{self, Answer};
use crate::stage::Stage;
use crate::world::{World, now_s};

/// A document of somebody who founds alone, for an aggregator with these keys.
fn of_a_stranger(seed: u8, federation: &Federation) -> (FoundingDocument, SecretKey) {
    let root = SecretKey::from_seed(&[seed; 32]);
    let issuer = SecretKey::from_seed(&[seed + 100; 32]);
    let validity = Validity::starting(now_s() - 10, 1000);
    let id = dawn_identity::OrgId::of(&root.public());
    let certificate = Organisation::certify(&id, &root, &issuer.public(), validity, 1).unwrap();
    let org = Organisation::from_parts("stranger", root, issuer, certificate).unwrap();
    let own = Federation {
        founders: vec![org.founder_entry()],
        roster_quorum: 1,
        ..federation.clone()
    };
    let document = FoundingDocument::found(own, &[&org]).unwrap();
    (document, SecretKey::from_seed(&[seed; 32]))
}

async fn post(addr: std::net::SocketAddr, body: &[u8], key: &SecretKey) -> Answer {
    raw::signed(addr, "POST", "/v1/federation", body, Purpose::Found, key).await
}

/// Founders that a stranger invents, a new one each time, would otherwise be keys with a quota of their own, and each
/// request a row.
#[tokio::test(flavor = "multi_thread")]
async fn another_federation_leaves_no_trace() {
    let stage = Stage::new().await;
    let taken = "select count(*) from used_nonces";
    let strangers = "select count(*) from used_nonces where stranger";
    let before = stage.world.number(taken).await;
    assert_eq!(stage.world.number(strangers).await, 1, "the founding");
    let federation = &stage.world.federation.document().federation;
    for seed in 1..=5 {
        let (document, key) = of_a_stranger(seed, federation);
        let answer = post(stage.addr(), &document.to_bytes(), &key).await;
        assert_eq!(answer.status, 409);
        assert!(
            answer.problem()["detail"]
                .as_str()
                .unwrap()
                .contains("serves federation")
        );
    }
    // It is refused before any of its keys is decoded.
    let (document, key) = of_a_stranger(6, federation);
    let (mut bytes, own) = (document.to_bytes(), *key.public().as_bytes());
    let at = bytes.windows(32).position(|window| window == own).unwrap();
    bytes[at..at + 32].copy_from_slice(&[0xff; 32]);
    assert_eq!(post(stage.addr(), &bytes, &key).await.status, 409);
    assert_eq!(stage.world.number(taken).await, before);
    // The one that is served may be posted again, by its founders, and counts for their keys.
    let own = stage.world.federation.document().to_bytes();
    let answer = post(stage.addr(), &own, stage.world.orgs[1].root()).await;
    assert_eq!(answer.status, 200);
    assert_eq!(stage.world.number(strangers).await, 1);
    assert_eq!(stage.world.number(taken).await, before + 1);
    assert_eq!(post(stage.addr(), &own, &key).await.status, 401);
    stage.running.shutdown().await.unwrap();
}

/// Before there is a federation, whoever wants to found one is a stranger, and strangers share a quota.
#[tokio::test(flavor = "multi_thread")]
async fn founders_of_nothing_yet_are_strangers() {
    let world = World::new().await;
    let mut config = world.config();
    config.limits.strangers_per_minute = 3;
    let running = Aggregator::start(config.clone()).await.unwrap();
    let federation = &world.federation.document().federation;
    // Of another aggregator: refused as it is.
    let elsewhere = Federation {
        log: SecretKey::from_seed(&[9; 32]).public(),
        ..federation.clone()
    };
    for seed in 1..=5 {
        let (document, key) = of_a_stranger(seed, &elsewhere);
        let answer = post(running.local_addr(), &document.to_bytes(), &key).await;
        assert_eq!(answer.status, 422);
    }
    assert_eq!(world.number("select count(*) from used_nonces").await, 0);
    // Of this one, without the signature of its founder.
    let mut statuses = Vec::new();
    for seed in 1..=5 {
        let (mut document, key) = of_a_stranger(seed, federation);
        document.federation.created += 1;
        let answer = post(running.local_addr(), &document.to_bytes(), &key).await;
        statuses.push(answer.status);
    }
    assert_eq!(statuses, [422, 422, 422, 429, 429]);
    running.shutdown().await.unwrap();
    // Where the operator has pinned a federation, its founders are known, and strangers keep nobody from founding.
    config.federation = Some(world.federation.digest());
    let running = Aggregator::start(config).await.unwrap();
    let (document, key) = of_a_stranger(1, federation);
    let answer = post(running.local_addr(), &document.to_bytes(), &key).await;
    assert_eq!(answer.status, 403);
    let own = world.federation.document().to_bytes();
    let answer = post(running.local_addr(), &own, world.orgs[0].root()).await;
    assert_eq!(answer.status, 201);
    running.shutdown().await.unwrap();
}
