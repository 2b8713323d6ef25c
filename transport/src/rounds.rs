//! Submissions, a steward's work, packages, statements and transcripts.

use std::io;
use std::path::PathBuf;
use std::pin::Pin;

use bytes::Bytes;
use dawn_identity::{DeviceId, Signed, Statement, StewardId};
use dawn_protocol::work::work_from_bytes;
use dawn_protocol::{LogEntry, PackagePage, Receipt, RoundId, WorkItem};
use reqwest::{Method, StatusCode, header};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::api::{Api, Call, MAX_WAIT_SECONDS, finish};
use crate::body;
use crate::codec::{parse_entries, parse_signed};
use crate::error::TransportError;
use crate::limits;

/// Most log entries about one round: a sealing key, an endorsement, a report and an opening of each of at most
/// 16 stewards, the aggregator's four statements, and room for more kinds.
pub const MAX_ROUND_ENTRIES: usize = 128;

/// Opens the bytes of a submission from their beginning, once per attempt.
pub type OpenReader = Box<
    dyn Fn() -> Pin<Box<dyn Future<Output = io::Result<Pin<Box<dyn AsyncRead + Send>>>> + Send>>
        + Send
        + Sync,
>;

/// Where the bytes of a submission container come from. They must be the same at every attempt: a device that sends a
/// second, different submission in one round is refused.
pub enum SubmissionBody {
    /// In memory.
    Bytes(Bytes),
    /// A file, opened anew for every attempt.
    File(PathBuf),
    /// Any reader of exactly `length` bytes.
    Reader {
        /// Bytes that the reader gives.
        length: u64,
        /// Opens it from its beginning.
        open: OpenReader,
    },
}

impl SubmissionBody {
    async fn open(&self) -> Result<(reqwest::Body, u64), TransportError> {
        match self {
            Self::Bytes(bytes) => Ok((reqwest::Body::from(bytes.clone()), bytes.len() as u64)),
            Self::File(path) => {
                let file = tokio::fs::File::open(path).await?;
                let length = file.metadata().await?.len();
                Ok((body::stream_from(Box::pin(file), length), length))
            }
            Self::Reader { length, open } => {
                Ok((body::stream_from(open().await?, *length), *length))
            }
        }
    }
}

impl Api {
    /// `PUT /v1/tasks/{task}/rounds/{round}/submissions/{device}`: sends a submission, streamed, and gives the receipt
    /// (unverified). Safe to repeat: the same submission gives the same receipt.
    ///
    /// # Errors
    /// [`TransportError`]; a 409 problem when the device has submitted something else in this round.
    pub async fn submit(
        &self,
        round: &RoundId,
        device: &DeviceId,
        submission: &SubmissionBody,
    ) -> Result<Signed<Receipt>, TransportError> {
        let path = format!("{}/submissions/{device}", round_path(round));
        let answer = self
            .repeated(|| async {
                let (body, length) = submission.open().await?;
                let request = self
                    .request(Method::PUT, &path, &[])?
                    .header(header::CONTENT_TYPE, CONTAINER)
                    .header(header::CONTENT_LENGTH, length)
                    .body(body);
                finish(
                    request.send().await.map_err(TransportError::from_http)?,
                    limits::RECEIPT,
                )
                .await
            })
            .await?;
        parse_signed(&answer.body, "receipt")
    }

    /// `GET /v1/stewards/{steward}/work`: what a steward should look at. Waits up to `wait_seconds` (at most
    /// [`MAX_WAIT_SECONDS`]) for something; an empty list means nothing came. Unverified.
    ///
    /// # Errors
    /// [`TransportError`].
    pub async fn work(
        &self,
        steward: &StewardId,
        wait_seconds: u32,
    ) -> Result<Vec<WorkItem>, TransportError> {
        let wait = wait_seconds.min(MAX_WAIT_SECONDS);
        let path = format!("v1/stewards/{steward}/work");
        let query = [("wait", u64::from(wait))];
        let answer = self
            .call(Call::get(&path, limits::WORK).query(&query).wait(wait))
            .await?;
        if answer.status == StatusCode::NO_CONTENT {
            return Ok(Vec::new());
        }
        work_from_bytes(&answer.body).map_err(|error| TransportError::Malformed {
            what: "list of work",
            why: error.to_string(),
        })
    }

    /// `GET /v1/tasks/{task}/rounds/{round}/packages/{steward}`: one page of headers and sealed
    /// packages in the order of the closed root, beginning with index `first`. Unverified, except
    /// that the page does begin there.
    ///
    /// # Errors
    /// [`TransportError`].
    pub async fn packages(
        &self,
        round: &RoundId,
        steward: &StewardId,
        first: u32,
    ) -> Result<PackagePage, TransportError> {
        let path = format!("{}/packages/{steward}", round_path(round));
        let after = [("after", u64::from(first))];
        let call = Call::get(&path, limits::PACKAGE_PAGE).query(&after);
        let answer = self.call(call).await?;
        let malformed = |why: String| TransportError::Malformed {
            what: "page of packages",
            why,
        };
        let page =
            PackagePage::from_bytes(&answer.body).map_err(|error| malformed(error.to_string()))?;
        if page.first != first {
            return Err(malformed(format!(
                "it begins with {}, not with {first}",
                page.first
            )));
        }
        Ok(page)
    }

    /// `PUT /v1/tasks/{task}/rounds/{round}/statements/{kind}`: publishes a steward's signed statement: a sealing key,
    /// an endorsement, a report or an opening. Safe to repeat with the same bytes.
    ///
    /// # Errors
    /// [`TransportError`]; a 409 problem when another statement of this kind is there already.
    pub async fn put_statement<T: Statement>(
        &self,
        round: &RoundId,
        statement: &Signed<T>,
    ) -> Result<(), TransportError> {
        self.put_statement_bytes(round, T::KIND, statement.bytes().to_vec())
            .await
    }

    /// As [`Api::put_statement`] for bytes that are kept as they were signed. `kind` is the statement's `KIND`.
    ///
    /// # Errors
    /// [`TransportError`].
    pub async fn put_statement_bytes(
        &self,
        round: &RoundId,
        kind: &str,
        bytes: Vec<u8>,
    ) -> Result<(), TransportError> {
        if kind.is_empty()
            || !kind
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte == b'-')
        {
            return Err(TransportError::Encode(format!(
                "{kind:?} is not a kind of statement"
            )));
        }
        self.send_bytes(
            Method::PUT,
            &format!("{}/statements/{kind}", round_path(round)),
            bytes,
        )
        .await
    }

    /// `GET /v1/tasks/{task}/rounds/{round}/statements`: the log's entries about one round. Unverified.
    ///
    /// # Errors
    /// [`TransportError`].
    pub async fn statements(&self, round: &RoundId) -> Result<Vec<LogEntry>, TransportError> {
        let path = format!("{}/statements", round_path(round));
        let answer = self.call(Call::get(&path, limits::STATEMENTS)).await?;
        parse_entries(&answer.body, MAX_ROUND_ENTRIES, "list of statements")
    }

    /// `GET /v1/tasks/{task}/rounds/{round}/transcript`: writes the transcript to `writer` while it arrives, at most
    /// `max_bytes`, and says how many bytes it was. Not repeated after the first byte was written.
    ///
    /// # Errors
    /// [`TransportError`].
    pub async fn download_transcript<W: AsyncWrite + Unpin>(
        &self,
        round: &RoundId,
        max_bytes: u64,
        writer: &mut W,
    ) -> Result<u64, TransportError> {
        self.download(
            &format!("{}/transcript", round_path(round)),
            max_bytes,
            writer,
        )
        .await
    }
}

/// The submission container is neither CBOR nor JSON.
const CONTAINER: &str = "application/octet-stream";

fn round_path(round: &RoundId) -> String {
    format!("v1/tasks/{}/rounds/{}", round.task, round.number)
}
