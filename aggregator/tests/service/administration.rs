//! What is signed as a request, and under which address.

use dawn_aggregator::clock::now_s;
use dawn_identity::http_signature::{Parameters, Purpose};

use crate::raw;
use crate::stage::Stage;

/// Behind a proxy that ends TLS the signature covers the address that the client called.
#[tokio::test(flavor = "multi_thread")]
async fn the_public_address_is_what_is_signed() {
    let world = crate::world::World::new().await;
    let mut config = world.config();
    config.public_url = Some("https://dawn.example.org/some/path".to_owned());
    assert!(
        dawn_aggregator::Aggregator::start(config.clone())
            .await
            .is_err()
    );
    config.public_url = Some("https://dawn.example.org".to_owned());
    let running = dawn_aggregator::Aggregator::start(config).await.unwrap();
    let body = world.federation.document().to_bytes();
    for (scheme, authority, expected) in [
        ("http", "test", 401),
        ("http", "dawn.example.org", 401),
        ("https", "dawn.example.org", 201),
    ] {
        let nonce = raw::nonce(running.local_addr()).await;
        let parts = dawn_identity::http_signature::RequestParts {
            method: "POST",
            scheme,
            authority,
            path: "/v1/federation",
            query: None,
            headers: &[],
        };
        let parameters = Parameters {
            tag: Purpose::Found.tag(),
            nonce: &nonce,
            created: now_s(),
            expires: now_s() + 60,
        };
        let made = dawn_identity::http_signature::sign(
            &parts,
            "application/cbor",
            &body,
            &parameters,
            world.orgs[0].root(),
        );
        let made = made.unwrap();
        let headers = raw::signature_headers(&made);
        let answer = raw::with_headers(
            running.local_addr(),
            "POST",
            "/v1/federation",
            &body,
            &headers,
        )
        .await;
        assert_eq!(answer.status, expected, "{scheme}://{authority}");
    }
    running.shutdown().await.unwrap();
}

/// Whatever the description lists that changes something is either signed as a request or a signed message of a round.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_administered_without_a_signature() {
    let stage = Stage::new().await;
    let rows = stage.world.rows().await;
    let answer = raw::get(stage.addr(), "/openapi.json").await;
    let description: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
    let org = stage.world.orgs[0].id().to_string();
    let mut administrative = 0;
    for (path, operations) in description["paths"].as_object().unwrap() {
        for method in ["post", "put", "delete", "patch"] {
            // What stewards and devices say carries signatures of its own; a cosignature is one.
            let speaks = path.starts_with("/v1/tasks/{task}/rounds/") || path == "/v1/log/witness";
            if operations.get(method).is_none() || speaks {
                continue;
            }
            administrative += 1;
            let (method, path) = (method.to_uppercase(), path.replace("{org}", &org));
            // Whatever the body is: it is not looked at before there is a signature.
            let body = b"\x80";
            let answer = raw::request(stage.addr(), &method, &path, "application/cbor", body).await;
            assert_eq!(answer.status, 401, "{method} {path}");
            answer.problem();
        }
    }
    assert_eq!(administrative, Purpose::ALL.len());
    assert_eq!(stage.world.rows().await, rows, "something was stored");
    stage.takes_the_honest_one().await;
}
