//! A submission is streamed with its length, the same bytes at every attempt.

use std::io::Write as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use dawn_identity::{DeviceId, Digest, TaskId};
use dawn_protocol::RoundId;
use dawn_transport::{Api, RetryPolicy, Settings, SubmissionBody, TransportError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const ROUND: RoundId = RoundId {
    task: TaskId(Digest([7; 32])),
    number: 1,
};
const DEVICE: DeviceId = DeviceId(Digest([9; 32]));

/// A server that answers 503 to the first upload and 400 to the second, and keeps the bodies.
async fn server() -> (String, Arc<Mutex<Vec<Vec<u8>>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let url = format!("http://{}", listener.local_addr().expect("address"));
    let bodies = Arc::new(Mutex::new(Vec::new()));
    let kept = bodies.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut bytes = Vec::new();
            let mut piece = vec![0u8; 1 << 16];
            let body = loop {
                if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
                    let head = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
                    let length: usize = head
                        .lines()
                        .find_map(|line| line.strip_prefix("content-length: ")?.parse().ok())
                        .expect("a length is announced");
                    if bytes.len() >= end + 4 + length {
                        break Some(bytes[end + 4..].to_vec());
                    }
                }
                match stream.read(&mut piece).await {
                    Ok(0) | Err(_) => break None,
                    Ok(n) => bytes.extend_from_slice(&piece[..n]),
                }
            };
            let Some(body) = body else { continue };
            let first = {
                let mut kept = kept.lock().expect("lock");
                kept.push(body);
                kept.len() == 1
            };
            let status = if first { "503 Busy" } else { "400 Bad Request" };
            let answer =
                format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    (url, bodies)
}

fn client(url: &str) -> Api {
    let retry = RetryPolicy {
        attempts: 3,
        first: Duration::from_millis(1),
        longest: Duration::from_millis(5),
    };
    Api::with_settings(
        url,
        Settings {
            retry,
            ..Settings::default()
        },
    )
    .expect("client")
}

async fn sent_twice(body: SubmissionBody, expected: &[u8]) {
    let (url, bodies) = server().await;
    let error = client(&url)
        .submit(&ROUND, &DEVICE, &body)
        .await
        .expect_err("refused in the end");
    assert_eq!(error.status(), Some(400));
    let bodies = bodies.lock().expect("lock");
    assert_eq!(bodies.len(), 2);
    assert!(bodies.iter().all(|body| body == expected));
}

#[tokio::test]
async fn bytes_a_file_and_a_reader_arrive_whole_at_every_attempt() {
    let data: Vec<u8> = (0..300_000u32).map(|i| (i % 251) as u8).collect();
    sent_twice(SubmissionBody::Bytes(Bytes::from(data.clone())), &data).await;

    let mut file = tempfile::NamedTempFile::new().expect("file");
    file.write_all(&data).expect("write");
    sent_twice(SubmissionBody::File(file.path().to_owned()), &data).await;

    let source = Bytes::from(data.clone());
    let reader = SubmissionBody::Reader {
        length: data.len() as u64,
        open: Box::new(move || {
            let source = source.clone();
            Box::pin(async move {
                Ok(Box::pin(std::io::Cursor::new(source))
                    as std::pin::Pin<Box<dyn tokio::io::AsyncRead + Send>>)
            })
        }),
    };
    sent_twice(reader, &data).await;
}

#[tokio::test]
async fn a_missing_file_is_an_error_here_not_a_request() {
    let (url, bodies) = server().await;
    let body = SubmissionBody::File("/nonexistent/submission".into());
    let error = client(&url)
        .submit(&ROUND, &DEVICE, &body)
        .await
        .expect_err("no file");
    assert!(matches!(error, TransportError::Io(_)), "{error}");
    assert!(bodies.lock().expect("lock").is_empty());
}

#[tokio::test]
async fn a_reader_that_ends_early_sends_nothing_that_counts() {
    let (url, bodies) = server().await;
    let reader = SubmissionBody::Reader {
        length: 1000,
        open: Box::new(|| {
            Box::pin(async {
                let short = std::io::Cursor::new(vec![1u8; 10]);
                Ok(Box::pin(short) as std::pin::Pin<Box<dyn tokio::io::AsyncRead + Send>>)
            })
        }),
    };
    client(&url)
        .submit(&ROUND, &DEVICE, &reader)
        .await
        .expect_err("too short");
    assert!(bodies.lock().expect("lock").is_empty());
}
