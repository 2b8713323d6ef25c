//! Uploads that break: a device whose connection is cut after so many bytes. Plain TCP, because an
//! HTTP library would politely finish.

use std::time::Duration;

use anyhow::{Context, Result};
use dawn_identity::DeviceId;
use dawn_protocol::RoundId;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Content type of a submission container (`docs/protocol.md`, section 4.4).
const CONTAINER_TYPE: &str = "application/octet-stream";

/// Sends the head of the request and the first `sent` bytes of a submission, and hangs up. When
/// that was all of it, waits for the first byte of the answer without reading it, so that the
/// server surely had everything.
pub async fn break_upload(
    server: &str,
    round: &RoundId,
    device: &DeviceId,
    wire: &[u8],
    sent: usize,
) -> Result<()> {
    let host = server
        .strip_prefix("http://")
        .context("broken uploads are simulated over plain http only")?
        .trim_end_matches('/');
    let mut stream = TcpStream::connect(host).await?;
    let head = format!(
        "PUT /v1/tasks/{}/rounds/{}/submissions/{device} HTTP/1.1\r\nhost: {host}\r\ncontent-type: {}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        round.task,
        round.number,
        CONTAINER_TYPE,
        wire.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(&wire[..sent.min(wire.len())]).await?;
    stream.flush().await?;
    if sent >= wire.len() {
        let mut first = [0; 1];
        let _ = tokio::time::timeout(Duration::from_secs(20), stream.read(&mut first)).await;
    }
    Ok(())
}
