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

/// Reads a body piece by piece with a limit on the pause between two pieces and on the whole.
#[derive(Debug)]
pub struct BodyReader {
    stream: BodyDataStream,
    held: Bytes,
    idle: Duration,
    until: Instant,
}

impl BodyReader {
    /// Starts the clock.
    pub fn new(body: Body, limits: &Limits) -> Self {
        Self {
            stream: body.into_data_stream(),
            held: Bytes::new(),
            idle: Duration::from_millis(limits.idle_timeout_ms),
            until: Instant::now() + Duration::from_millis(limits.body_timeout_ms),
        }
    }

    /// The next piece, in whatever size it arrives; `None` at the end.
    ///
    /// # Errors
    /// 408 when it does not come, 400 when the connection breaks.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Problem> {
        if !self.held.is_empty() {
            return Ok(Some(std::mem::take(&mut self.held)));
        }
        let until = self.until.min(Instant::now() + self.idle);
        loop {
            match tokio::time::timeout_at(until, self.stream.next()).await {
                Err(_) => return Err(Problem::too_slow("the body did not arrive in time")),
                Ok(None) => return Ok(None),
                Ok(Some(Err(_))) => return Err(Problem::malformed("the body broke off")),
                // Empty pieces do not reset the clock.
                Ok(Some(Ok(piece))) if piece.is_empty() => {}
                Ok(Some(Ok(piece))) => return Ok(Some(piece)),
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
