//! Bodies as values: canonical CBOR for the protocol, JSON for people.

use dawn_identity::{Signed, Statement, from_canonical};
use dawn_protocol::LogEntry;
use dawn_protocol::log::entries_from_bytes;
use minicbor::{Decode, Encode};
use reqwest::Method;
use serde::de::DeserializeOwned;
use tokio::io::AsyncWrite;

use crate::api::{Api, Call, accepted};
use crate::body;
use crate::error::TransportError;
use crate::limits;

/// Decodes the one canonical encoding of a value.
pub(crate) fn parse<T>(bytes: &[u8], what: &'static str) -> Result<T, TransportError>
where
    T: Encode<()> + for<'b> Decode<'b, ()>,
{
    from_canonical(bytes).map_err(|error| TransportError::Malformed {
        what,
        why: error.to_string(),
    })
}

/// Reads at most `most` log entries; a longer list is refused before it takes memory.
pub(crate) fn parse_entries(
    bytes: &[u8],
    most: usize,
    what: &'static str,
) -> Result<Vec<LogEntry>, TransportError> {
    entries_from_bytes(bytes, most).map_err(|error| TransportError::Malformed {
        what,
        why: error.to_string(),
    })
}

/// Reads a signed statement without checking its signature.
pub(crate) fn parse_signed<T: Statement>(
    bytes: &[u8],
    what: &'static str,
) -> Result<Signed<T>, TransportError> {
    Signed::from_bytes(bytes).map_err(|error| TransportError::Malformed {
        what,
        why: error.to_string(),
    })
}

impl Api {
    pub(crate) async fn get_json<T: DeserializeOwned>(
        &self,
        path: &str,
        what: &'static str,
        limit: u64,
    ) -> Result<T, TransportError> {
        let answer = self.call(Call::get(path, limit)).await?;
        serde_json::from_slice(&answer.body).map_err(|error| TransportError::Malformed {
            what,
            why: error.to_string(),
        })
    }

    pub(crate) async fn send_bytes(
        &self,
        method: Method,
        path: &str,
        bytes: Vec<u8>,
    ) -> Result<(), TransportError> {
        self.call(Call::send(method, path, bytes, limits::ACKNOWLEDGEMENT))
            .await
            .map(|_| ())
    }

    /// Streams the answer of a GET to `writer`. Repeated until the server begins to answer; what broke off later is the
    /// caller's to start again, because part of it has been written.
    pub(crate) async fn download<W: AsyncWrite + Unpin>(
        &self,
        path: &str,
        limit: u64,
        writer: &mut W,
    ) -> Result<u64, TransportError> {
        let mut response = self
            .repeated(|| async {
                let request = self.request(Method::GET, path, &[])?;
                accepted(request.send().await.map_err(TransportError::from_http)?).await
            })
            .await?;
        body::copy(&mut response, limit, writer).await
    }
}
