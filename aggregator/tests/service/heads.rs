//! What the head of a signed request decides before any of its body is read, and what becomes of its nonce.

use dawn_aggregator::clock::now_s;
use dawn_identity::http_signature::{Parameters, Purpose, SignedHeaders};
use dawn_identity::{Organisation, SecretKey, Signed, Validity};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::raw::{self, exchange};
use crate::stage::Stage;

const LONG: usize = 4 << 20;

/// The head of a request for a task that announces so many bytes.
fn head(made: Option<&SignedHeaders>, length: usize) -> Vec<u8> {
    let mut head = "POST /v1/tasks HTTP/1.1\r\nhost: test\r\nconnection: close\r\n".to_owned();
    match made {
        Some(made) => {
            for (name, value) in raw::signature_headers(made) {
                head.push_str(&format!("{name}: {value}\r\n"));
            }
        }
        None => head.push_str("content-type: application/cbor\r\n"),
    }
    format!("{head}content-length: {length}\r\n\r\n").into_bytes()
}

async fn signed(
    stage: &Stage,
    body: &[u8],
    key: &SecretKey,
    tweak: impl FnOnce(&mut Parameters<'_>),
) -> SignedHeaders {
    let nonce = raw::nonce(stage.addr()).await;
    signed_with(&nonce, body, key, tweak)
}

fn signed_with(
    nonce: &str,
    body: &[u8],
    key: &SecretKey,
    tweak: impl FnOnce(&mut Parameters<'_>),
) -> SignedHeaders {
    let mut parameters = Parameters {
        tag: Purpose::CreateTask.tag(),
        nonce,
        created: now_s(),
        expires: now_s() + 240,
    };
    tweak(&mut parameters);
    raw::sign_headers("POST", "/v1/tasks", body, &parameters, key)
}

/// A task with a public set that it does not ask for: refused for that when everything about the signature is right.
fn long_task(stage: &mut Stage) -> Vec<u8> {
    let task = stage.world.task(|_| {});
    let mut body = b"DWND".to_vec();
    body.extend_from_slice(&(task.bytes().len() as u32).to_le_bytes());
    body.extend_from_slice(task.bytes());
    body.resize(LONG - 64, 0);
    body
}

/// Nothing of the body is ever sent: who waits for it would not answer.
#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_does_not_pass_is_refused_before_the_body() {
    let mut stage = Stage::new().await;
    let body = long_task(&mut stage);
    let root = stage.world.orgs[0].root();
    let mut cases = vec![(None, "no signature-input header")];
    let expired = |parameters: &mut Parameters<'_>| {
        parameters.created -= 250;
        parameters.expires = now_s() - 1;
    };
    cases.push((Some(signed(&stage, &body, root, expired).await), "expired"));
    let own = |parameters: &mut Parameters<'_>| parameters.nonce = "abc";
    let made = signed(&stage, &body, root, own).await;
    cases.push((Some(made), "not one of GET /v1/nonce"));
    let mut spoiled = signed(&stage, &body, root, |_| {}).await;
    spoiled.content_digest = dawn_identity::http_signature::content_digest(b"another");
    cases.push((Some(spoiled), "does not verify"));
    for (made, what) in &cases {
        let answer = exchange(stage.addr(), &head(made.as_ref(), body.len())).await;
        stage.refuses(answer.expect("an answer"), what).await;
    }
    // The whole request is read when a member's key has signed its head.
    for key in [root, stage.world.orgs[0].issuer()] {
        let made = signed(&stage, &body, key, |_| {}).await;
        let mut request = head(Some(&made), body.len());
        request.extend_from_slice(&body);
        let answer = exchange(stage.addr(), &request).await.expect("an answer");
        assert_eq!(answer.status, 422, "{:?}", answer.problem());
        // And taken once: the same head again is refused, without its body.
        let answer = exchange(stage.addr(), &head(Some(&made), body.len())).await;
        stage
            .refuses(answer.expect("an answer"), "used before")
            .await;
    }
    stage.takes_the_honest_one().await;
}

/// A stranger's key, or an issuer that only the task itself shows: as many bytes as a task has, and no more.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_nobody_announced_gets_no_room() {
    let mut stage = Stage::new().await;
    let body = long_task(&mut stage);
    let owner = &stage.world.orgs[0];
    let fresh = SecretKey::from_seed(&[77; 32]);
    let validity = Validity::starting(now_s() - 10, 86_400);
    let certificate =
        Organisation::certify(&owner.id(), owner.root(), &fresh.public(), validity, 9).unwrap();
    for key in [&fresh, stage.newcomer.root()] {
        let made = signed(&stage, &body, key, |_| {}).await;
        let mut request = head(Some(&made), body.len());
        request.extend_from_slice(&body[..20_000]);
        let answer = exchange(stage.addr(), &request).await.expect("an answer");
        assert_eq!(answer.status, 413, "{:?}", answer.problem());
    }
    // With the issuer that it brings a task is taken, as ever.
    let mut task = stage.world.task(|_| {}).peek().clone();
    task.issuer = certificate;
    let task = Signed::sign(&task, &fresh).unwrap();
    let made = signed(&stage, task.bytes(), &fresh, |_| {}).await;
    let mut request = head(Some(&made), task.bytes().len());
    request.extend_from_slice(task.bytes());
    let answer = exchange(stage.addr(), &request).await.expect("an answer");
    assert_eq!(answer.status, 201);
    stage.takes_the_honest_one().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_uses_up_the_nonce_of_another() {
    let stage = Stage::new().await;
    let task = stage.world.task(|_| {});
    let (body, key) = (task.bytes(), stage.world.orgs[0].issuer());
    let nonce = raw::nonce(stage.addr()).await;
    let made = signed_with(&nonce, body, key, |_| {});
    // Somebody else with the same nonce, and the same head before another body, both whole and cut off.
    let stranger = stage.newcomer.root();
    let theirs = signed_with(&nonce, body, stranger, |_| {});
    let mut other = body.to_vec();
    other[100] ^= 1;
    for (made, sent) in [
        (&theirs, body),
        (&made, &other[..]),
        (&made, &body[..10]),
        (&made, &[]),
    ] {
        let mut request = head(Some(made), sent.len());
        request.extend_from_slice(sent);
        let answer = exchange(stage.addr(), &request).await.expect("an answer");
        assert_eq!(answer.status, 401);
    }
    let mut request = head(Some(&made), body.len());
    request.extend_from_slice(body);
    let answer = exchange(stage.addr(), &request).await.expect("an answer");
    assert_eq!(answer.status, 201, "the nonce was used up");
    let answer = exchange(stage.addr(), &request).await.expect("an answer");
    stage.refuses(answer, "used before").await;
    stage.takes_the_honest_one().await;
}

/// One head before many bodies that never come: two of them wait, and none after.
#[tokio::test(flavor = "multi_thread")]
async fn one_head_holds_two_places_and_no_more() {
    let mut stage = Stage::new().await;
    let body = long_task(&mut stage);
    let key = stage.world.orgs[0].issuer();
    let made = signed(&stage, &body, key, |_| {}).await;
    let mut waiting = Vec::new();
    for _ in 0..2 {
        let mut stream = TcpStream::connect(stage.addr()).await.unwrap();
        stream
            .write_all(&head(Some(&made), LONG - 64))
            .await
            .unwrap();
        waiting.push(stream);
    }
    // The first two may be on their way still.
    let mut refused = None;
    for _ in 0..50 {
        let mut stream = TcpStream::connect(stage.addr()).await.unwrap();
        stream
            .write_all(&head(Some(&made), LONG - 64))
            .await
            .unwrap();
        let mut first = [0; 12];
        let read = tokio::time::timeout(
            std::time::Duration::from_millis(500),
            stream.read_exact(&mut first),
        );
        if let Ok(Ok(_)) = read.await {
            refused = Some(String::from_utf8_lossy(&first).into_owned());
            break;
        }
        waiting.push(stream);
    }
    assert_eq!(refused.as_deref(), Some("HTTP/1.1 429"));
    assert!(waiting.len() <= 3, "{} wait", waiting.len());
    // Others are not held up.
    let other = stage.world.orgs[1].root();
    let made = signed(&stage, &body, other, |_| {}).await;
    let mut request = head(Some(&made), body.len());
    request.extend_from_slice(&body);
    let answer = exchange(stage.addr(), &request).await.expect("an answer");
    assert_eq!(answer.status, 401, "another owner's key signs no such task");
    drop(waiting);
    stage.takes_the_honest_one().await;
}
