//! HTTP by hand, for requests that no client library would send.

use std::net::SocketAddr;
use std::time::Duration;

use dawn_aggregator::clock::now_s;
use dawn_identity::SecretKey;
use dawn_identity::http_signature::{Parameters, Purpose, RequestParts, SignedHeaders, sign};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    /// A problem document whose members agree with the answer.
    pub fn problem(&self) -> serde_json::Value {
        assert!(
            self.head
                .to_ascii_lowercase()
                .contains("content-type: application/problem+json"),
            "not a problem document: {}",
            self.head
        );
        let problem: serde_json::Value = serde_json::from_slice(&self.body).unwrap();
        assert_eq!(problem["status"], self.status);
        for member in ["type", "title", "detail"] {
            assert!(
                !problem[member].as_str().unwrap().is_empty(),
                "{member} is missing"
            );
        }
        problem
    }
}

/// Sends these bytes and reads the answer to the end of the connection.
pub async fn exchange(addr: SocketAddr, request: &[u8]) -> Option<Answer> {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    let (mut reader, mut writer) = stream.split();
    let mut bytes = Vec::new();
    let send = async {
        // The server may answer and close before everything is sent.
        let _ = writer.write_all(request).await;
    };
    let receive = async {
        let _ = tokio::time::timeout(Duration::from_secs(30), reader.read_to_end(&mut bytes)).await;
    };
    tokio::join!(send, receive);
    parse(&bytes)
}

fn parse(bytes: &[u8]) -> Option<Answer> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let status = head.split(' ').nth(1)?.parse().unwrap();
    Some(Answer {
        status,
        head,
        body: bytes[end + 4..].to_vec(),
    })
}

/// A request with a body of a media type; without one when the type is empty.
pub async fn request(
    addr: SocketAddr,
    method: &str,
    path: &str,
    media_type: &str,
    body: &[u8],
) -> Answer {
    let mut bytes =
        format!("{method} {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n").into_bytes();
    if !media_type.is_empty() {
        bytes.extend_from_slice(format!("content-type: {media_type}\r\n").as_bytes());
    }
    bytes.extend_from_slice(format!("content-length: {}\r\n\r\n", body.len()).as_bytes());
    bytes.extend_from_slice(body);
    exchange(addr, &bytes).await.expect("an answer")
}

pub async fn get(addr: SocketAddr, path: &str) -> Answer {
    request(addr, "GET", path, "", &[]).await
}

/// A nonce of this server.
pub async fn nonce(addr: SocketAddr) -> String {
    let answer = get(addr, "/v1/nonce").await;
    let info: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
    info["nonce"].as_str().unwrap().to_owned()
}

/// The headers of a signed request with a body of CBOR.
pub fn sign_headers(
    method: &str,
    path: &str,
    body: &[u8],
    parameters: &Parameters<'_>,
    key: &SecretKey,
) -> SignedHeaders {
    let parts = RequestParts {
        method,
        scheme: "http",
        authority: "test",
        path,
        query: None,
        headers: &[],
    };
    sign(&parts, "application/cbor", body, parameters, key).unwrap()
}

/// They, as they are sent.
pub fn signature_headers(made: &SignedHeaders) -> [(&str, &str); 4] {
    [
        ("content-type", "application/cbor"),
        ("content-digest", &made.content_digest),
        ("signature-input", &made.signature_input),
        ("signature", &made.signature),
    ]
}

/// A request with these headers.
pub async fn with_headers(
    addr: SocketAddr,
    method: &str,
    path: &str,
    body: &[u8],
    headers: &[(&str, &str)],
) -> Answer {
    let mut bytes =
        format!("{method} {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n").into_bytes();
    for (name, value) in headers {
        bytes.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
    }
    bytes.extend_from_slice(format!("content-length: {}\r\n\r\n", body.len()).as_bytes());
    bytes.extend_from_slice(body);
    exchange(addr, &bytes).await.expect("an answer")
}

/// A signed request.
pub async fn signed(
    addr: SocketAddr,
    method: &str,
    path: &str,
    body: &[u8],
    purpose: Purpose,
    key: &SecretKey,
) -> Answer {
    let nonce = nonce(addr).await;
    signed_with(&nonce, addr, method, path, body, purpose, key).await
}

/// A signed request with a nonce from elsewhere.
pub async fn signed_with(
    nonce: &str,
    addr: SocketAddr,
    method: &str,
    path: &str,
    body: &[u8],
    purpose: Purpose,
    key: &SecretKey,
) -> Answer {
    let parameters = Parameters {
        tag: purpose.tag(),
        nonce,
        created: now_s(),
        expires: now_s() + 240,
    };
    let made = sign_headers(method, path, body, &parameters, key);
    with_headers(addr, method, path, body, &signature_headers(&made)).await
}
