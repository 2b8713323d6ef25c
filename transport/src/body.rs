//! Reading and sending bodies piece by piece, so that memory is bounded by what the caller allowed.

use std::io;
use std::pin::Pin;

use bytes::Bytes;
use futures_util::stream;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::error::TransportError;

/// Size of one piece of a streamed upload, in bytes.
const PIECE: usize = 64 * 1024;
/// Most that is reserved ahead on the word of `Content-Length`, in bytes.
const RESERVE: u64 = 256 * 1024;

/// Reads the whole body, at most `limit` bytes.
pub(crate) async fn read(
    response: &mut reqwest::Response,
    limit: u64,
) -> Result<Vec<u8>, TransportError> {
    let announced = response.content_length().unwrap_or(0);
    if announced > limit {
        return Err(TransportError::TooLarge { limit });
    }
    let mut body = Vec::with_capacity(usize::try_from(announced.min(RESERVE)).unwrap_or(0));
    while let Some(piece) = response.chunk().await.map_err(TransportError::from_http)? {
        if body.len() as u64 + piece.len() as u64 > limit {
            return Err(TransportError::TooLarge { limit });
        }
        body.extend_from_slice(&piece);
    }
    Ok(body)
}

/// Copies the body to `writer`, at most `limit` bytes, and says how many they were. The writer is flushed.
pub(crate) async fn copy<W: AsyncWrite + Unpin>(
    response: &mut reqwest::Response,
    limit: u64,
    writer: &mut W,
) -> Result<u64, TransportError> {
    let mut written = 0u64;
    while let Some(piece) = response.chunk().await.map_err(TransportError::from_http)? {
        written = written.saturating_add(piece.len() as u64);
        if written > limit {
            return Err(TransportError::TooLarge { limit });
        }
        writer.write_all(&piece).await?;
    }
    writer.flush().await?;
    Ok(written)
}

/// A request body that is read from `reader` while it is sent; it must give exactly `length` bytes.
pub(crate) fn stream_from(reader: Pin<Box<dyn AsyncRead + Send>>, length: u64) -> reqwest::Body {
    let pieces = stream::try_unfold((reader, length), |(mut reader, left)| async move {
        if left == 0 {
            return Ok(None);
        }
        let want = PIECE.min(usize::try_from(left).unwrap_or(PIECE));
        let mut piece = vec![0u8; want];
        let got = reader.read(&mut piece).await?;
        if got == 0 {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the upload is shorter than announced",
            ));
        }
        piece.truncate(got);
        Ok(Some((Bytes::from(piece), (reader, left - got as u64))))
    });
    reqwest::Body::wrap_stream(pieces)
}
