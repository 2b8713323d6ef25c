//! Bodies of requests: of the right media type, bounded before anything is allocated, and not too slow.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use axum::extract::{FromRequest, Request};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use http::{HeaderMap, header};
use tokio::time::Instant;

use crate::app::App;
use crate::config::Limits;
use crate::problem::Problem;

/// The media type of the protocol.
pub const CBOR: &str = "application/cbor";

/// A body of CBOR with at most `LIMIT` bytes, whole.
#[derive(Debug)]
pub struct CborBody<const LIMIT: usize>(pub Bytes);

impl<const LIMIT: usize> FromRequest<Arc<App>> for CborBody<LIMIT> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        check_media_type(&parts.headers, CBOR)?;
        check_length(&parts.headers, LIMIT as u64)?;
        let mut reader = BodyReader::new(body, &app.config.limits);
        let mut bytes = BytesMut::new();
        while let Some(piece) = reader.next().await? {
            if bytes.len() + piece.len() > LIMIT {
                return Err(too_large(LIMIT as u64));
            }
            bytes.extend_from_slice(&piece);
        }
        Ok(Self(bytes.freeze()))
    }
}

/// Refuses another media type; parameters such as `charset` are ignored.
pub fn check_media_type(headers: &HeaderMap, wanted: &str) -> Result<(), Problem> {
    let given = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let essence = given.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case(wanted) {
        Ok(())
    } else {
        Err(Problem::wrong_media_type(format!(
            "send the body as {wanted}"
        )))
    }
}

/// Refuses a body that announces more than `limit` bytes.
pub fn check_length(headers: &HeaderMap, limit: u64) -> Result<(), Problem> {
    let Some(value) = headers.get(header::CONTENT_LENGTH) else {
        return Ok(());
    };
    let length = value
        .to_str()
        .ok()
        .and_then(|text| text.parse::<u64>().ok())
        .ok_or_else(|| Problem::malformed("content-length is not a number"))?;
    if length > limit {
        Err(too_large(limit))
    } else {
        Ok(())
    }
}

/// The problem of a body with more than `limit` bytes.
pub fn too_large(limit: u64) -> Problem {
    Problem::too_large(format!("at most {limit} bytes are taken here"))
}

/// Reads a body piece by piece with limits on the pause between two pieces, on the whole, and on how slow it may
/// be on average: otherwise a byte now and then would hold a place for as long as a whole body may take.
#[derive(Debug)]
pub struct BodyReader {
    stream: BodyDataStream,
    held: Bytes,
    idle: Duration,
    whole: Duration,
    /// Bytes that must arrive in a second.
    pace: u64,
    begun: Instant,
    received: u64,
}

impl BodyReader {
    /// Starts the clock.
    pub fn new(body: Body, limits: &Limits) -> Self {
        Self {
            stream: body.into_data_stream(),
            held: Bytes::new(),
            idle: Duration::from_millis(limits.idle_timeout_ms),
            whole: Duration::from_millis(limits.body_timeout_ms),
            pace: limits.body_bytes_per_second.max(1),
            begun: Instant::now(),
            received: 0,
        }
    }

    /// The time since `paused` is not the sender's.
    pub fn resume(&mut self, paused: Instant) {
        self.begun += paused.elapsed();
    }

    /// When the next piece must be there.
    fn until(&self) -> Instant {
        let bought = Duration::from_secs_f64(self.received as f64 / self.pace as f64);
        let most = self.whole.min(self.idle + bought);
        (self.begun + most).min(Instant::now() + self.idle)
    }

    /// The next piece, in whatever size it arrives; `None` at the end.
    ///
    /// # Errors
    /// 408 when it does not come, 400 when the connection breaks.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Problem> {
        if !self.held.is_empty() {
            return Ok(Some(std::mem::take(&mut self.held)));
        }
        let until = self.until();
        loop {
            match tokio::time::timeout_at(until, self.stream.next()).await {
                Err(_) => return Err(Problem::too_slow("the body did not arrive in time")),
                Ok(None) => return Ok(None),
                Ok(Some(Err(_))) => return Err(Problem::malformed("the body broke off")),
                // Empty pieces do not reset the clock.
                Ok(Some(Ok(piece))) if piece.is_empty() => {}
                Ok(Some(Ok(piece))) => {
                    self.received += piece.len() as u64;
                    return Ok(Some(piece));
                }
            }
        }
    }

    /// The next piece with at most `most` bytes; the rest of what arrived is held back.
    ///
    /// # Errors
    /// As [`BodyReader::next`].
    pub async fn next_at_most(&mut self, most: usize) -> Result<Option<Bytes>, Problem> {
        let Some(mut piece) = self.next().await? else {
            return Ok(None);
        };
        if piece.len() > most {
            self.held = piece.split_off(most);
        }
        Ok(Some(piece))
    }

    /// Exactly `count` bytes; the caller has bounded `count`.
    ///
    /// # Errors
    /// 400 when the body ends before, and as [`BodyReader::next`].
    pub async fn exactly(&mut self, count: usize) -> Result<Bytes, Problem> {
        let mut bytes = BytesMut::with_capacity(count);
        while bytes.len() < count {
            let piece = self
                .next_at_most(count - bytes.len())
                .await?
                .ok_or_else(ends_early)?;
            bytes.extend_from_slice(&piece);
        }
        Ok(bytes.freeze())
    }

    /// A little-endian `u32`.
    ///
    /// # Errors
    /// As [`BodyReader::exactly`].
    pub async fn length(&mut self) -> Result<u32, Problem> {
        let bytes = self.exactly(4).await?;
        let bytes: [u8; 4] = bytes.as_ref().try_into().map_err(|_| ends_early())?;
        Ok(u32::from_le_bytes(bytes))
    }

    /// Refuses anything after what was read.
    ///
    /// # Errors
    /// 400 when there is more.
    pub async fn end(&mut self) -> Result<(), Problem> {
        match self.next().await? {
            None => Ok(()),
            Some(_) => Err(Problem::malformed("the body has more bytes than it says")),
        }
    }

    /// Reads and forgets at most `most` bytes, so that a caller which is still sending reads our answer
    /// instead of a broken connection.
    pub async fn drain(&mut self, most: u64) {
        let mut left = most;
        while let Ok(Some(piece)) = self.next().await {
            left = match left.checked_sub(piece.len() as u64) {
                Some(left) => left,
                None => return,
            };
        }
    }
}

fn ends_early() -> Problem {
    Problem::malformed("the body ends too early")
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::stream;

    /// Pieces of so many bytes, one every 20 ms.
    fn dripping(size: usize, count: usize) -> Body {
        Body::from_stream(stream::iter(0..count).then(move |_| async move {
            tokio::time::sleep(Duration::from_millis(20)).await;
            Ok::<_, std::io::Error>(Bytes::from(vec![0; size]))
        }))
    }

    async fn read(body: Body, limits: &Limits) -> Result<u64, Problem> {
        let mut reader = BodyReader::new(body, limits);
        while reader.next().await?.is_some() {}
        Ok(reader.received)
    }

    #[tokio::test]
    async fn a_body_that_only_drips_is_cut_off_long_before_its_deadline() {
        let limits = Limits {
            idle_timeout_ms: 1000,
            body_timeout_ms: 3_600_000,
            body_bytes_per_second: 1_000_000,
            ..Limits::default()
        };
        let read = read(dripping(10, usize::MAX), &limits);
        let read = tokio::time::timeout(Duration::from_secs(60), read).await;
        assert_eq!(read.expect("it is cut off").expect_err("early").status, 408);
    }

    #[tokio::test]
    async fn a_body_that_keeps_the_pace_is_read() {
        let limits = Limits {
            idle_timeout_ms: 10_000,
            body_bytes_per_second: 1,
            ..Limits::default()
        };
        assert_eq!(read(dripping(60, 30), &limits).await.expect("all"), 1800);
    }

    #[tokio::test]
    async fn a_pause_of_the_server_is_not_the_senders() {
        let limits = Limits {
            idle_timeout_ms: 2000,
            body_bytes_per_second: 1_000_000,
            ..Limits::default()
        };
        let mut reader = BodyReader::new(dripping(60, 10), &limits);
        reader.next().await.expect("arrives");
        let paused = Instant::now();
        tokio::time::sleep(Duration::from_millis(2500)).await;
        reader.resume(paused);
        reader.next().await.expect("arrives");
    }
}
