//! Who is slow is cut off, and holds up nobody else meanwhile.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::raw;
use crate::submissions::Collecting;

impl Collecting {
    /// Begins an upload and sends all of it but the last bytes.
    async fn begin_upload(&self, device: &str, bytes: &[u8]) -> TcpStream {
        let head = format!(
            "PUT /v1/tasks/{}/rounds/1/submissions/{device} HTTP/1.1\r\nhost: test\r\n\
             content-type: application/octet-stream\r\ncontent-length: {}\r\n\r\n",
            self.id.task,
            bytes.len()
        );
        let mut stream = TcpStream::connect(self.running.local_addr()).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(&bytes[..bytes.len() - 8]).await.unwrap();
        stream
    }

    /// Waits until so many uploads have a place.
    async fn wait_for_places(&self, count: usize) {
        let wanted = format!("\ndawn_upload_places {count}\n");
        for _ in 0..1200 {
            let metrics = raw::get(self.running.local_addr(), "/metrics").await;
            if String::from_utf8_lossy(&metrics.body).contains(&wanted) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("not {count} places are taken");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_with_slow_uploads_holds_up_nobody_else() {
    let mut round = Collecting::with(
        |_| {},
        |limits| {
            limits.uploads = 3;
            limits.idle_timeout_ms = 600_000;
            limits.body_timeout_ms = 600_000;
        },
    )
    .await;
    let (slow, other) = (round.world.device(0), round.world.device(1));
    let bytes = round.prepare(&slow, 1).to_bytes();
    let name = slow.id.to_string();
    let first = round.begin_upload(&name, &bytes).await;
    let second = round.begin_upload(&name, &bytes).await;
    round.wait_for_places(2).await;
    assert_eq!(round.put(&name, &bytes).await.status, 429);
    let fast = round.prepare(&other, 2).to_bytes();
    assert_eq!(round.put(&other.id.to_string(), &fast).await.status, 201);
    // Its connections are gone: the device has its places again.
    drop((first, second));
    round.wait_for_places(0).await;
    assert_eq!(round.put(&name, &bytes).await.status, 201);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_upload_is_cut_off() {
    let mut round = Collecting::with(
        |_| {},
        |limits| {
            limits.idle_timeout_ms = 200;
            limits.head_timeout_ms = 300;
        },
    )
    .await;
    let device = round.world.device(0);
    let bytes = round.prepare(&device, 1).to_bytes();
    let before = round.stored().await;
    let path = format!(
        "/v1/tasks/{}/rounds/1/submissions/{}",
        round.id.task, device.id
    );
    let head = format!(
        "PUT {path} HTTP/1.1\r\nhost: test\r\ncontent-type: application/octet-stream\r\ncontent-length: {}\r\n\r\n",
        bytes.len()
    );
    // All but the last bytes, which never come.
    let mut stream = tokio::net::TcpStream::connect(round.running.local_addr())
        .await
        .unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&bytes[..bytes.len() - 8]).await.unwrap();
    let mut answer = vec![0; 64];
    let read = tokio::time::timeout(Duration::from_secs(20), stream.read(&mut answer)).await;
    let read = read.expect("the server answers").unwrap();
    assert!(String::from_utf8_lossy(&answer[..read]).starts_with("HTTP/1.1 408"));
    // A head that never ends.
    let mut stream = tokio::net::TcpStream::connect(round.running.local_addr())
        .await
        .unwrap();
    stream
        .write_all(b"GET /healthz HTTP/1.1\r\nhost: te")
        .await
        .unwrap();
    let mut rest = Vec::new();
    let closed = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut rest)).await;
    assert!(closed.is_ok(), "the server closes the connection");
    assert_eq!(round.stored().await, before);
}
