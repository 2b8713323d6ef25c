//! Submissions, a steward's work, packages, statements, answers and transcripts.

use std::io;
use std::path::PathBuf;
use std::pin::Pin;

use bytes::Bytes;
use dawn_identity::{DeviceId, Digest, Signed, Statement, StewardId};
use dawn_protocol::answers::Scalars;
use dawn_protocol::work::work_from_bytes;
use dawn_protocol::{Challenge, LogEntry, PackagePage, Receipt, RoundId, WorkItem};
use reqwest::{Method, StatusCode, header};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};

use crate::api::{Answer, Api, Call, MAX_WAIT_SECONDS, finish};
use crate::body;
use crate::codec::{parse_entries, parse_signed};
use crate::error::TransportError;
use crate::limits;

/// Most log entries about one round: a sealing key, an endorsement, a report and an opening of each of at most
/// 16 stewards, the aggregator's four statements, and room for more kinds.
pub const MAX_ROUND_ENTRIES: usize = 128;

/// Opens the bytes of an upload from their beginning, once per attempt.
pub type OpenReader = Box<
    dyn Fn() -> Pin<Box<dyn Future<Output = io::Result<Pin<Box<dyn AsyncRead + Send>>>> + Send>>
        + Send
        + Sync,
>;

/// Where the bytes of a long upload come from: a submission container, or a steward's answers. They must be the same at
/// every attempt: a device that sends a second, different submission in one round is refused.
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
    /// The bytes after those of `head`, and how many they are together.
    async fn open(&self, head: &Bytes) -> Result<(reqwest::Body, u64), TransportError> {
        let (rest, length): (Pin<Box<dyn AsyncRead + Send>>, u64) = match self {
            Self::Bytes(bytes) if head.is_empty() => {
                return Ok((reqwest::Body::from(bytes.clone()), bytes.len() as u64));
            }
            Self::Bytes(bytes) => (Box::pin(io::Cursor::new(bytes.clone())), bytes.len() as u64),
            Self::File(path) => {
                let file = tokio::fs::File::open(path).await?;
                let length = file.metadata().await?.len();
                (Box::pin(file), length)
            }
            Self::Reader { length, open } => (open().await?, *length),
        };
        let length = head.len() as u64 + length;
        let whole = io::Cursor::new(head.clone()).chain(rest);
        Ok((body::stream_from(Box::pin(whole), length), length))
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
        let head = Bytes::new();
        let answer = self
            .upload(&path, &head, submission, limits::RECEIPT)
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
    /// an endorsement, a part of the beacon or an opening. Safe to repeat with the same bytes. A report goes with its
    /// answers ([`Api::put_report`]).
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

    /// `GET /v1/tasks/{task}/rounds/{round}/challenge`: the challenge of a closed round. Unverified.
    ///
    /// # Errors
    /// [`TransportError`]; a 404 problem while there is none.
    pub async fn challenge(&self, round: &RoundId) -> Result<Signed<Challenge>, TransportError> {
        let path = format!("{}/challenge", round_path(round));
        let answer = self.call(Call::get(&path, limits::CHALLENGE)).await?;
        parse_signed(&answer.body, "challenge")
    }

    /// `PUT /v1/tasks/{task}/rounds/{round}/reports/{steward}`: sends a steward's signed report, whose bytes are kept as
    /// they were signed, and after it its answers to the challenge, streamed: `"DWNR" | length u32 LE | signed report |
    /// answers`. Safe to repeat with the same bytes.
    ///
    /// # Errors
    /// [`TransportError`]; a 409 problem when another report of this steward is there already.
    pub async fn put_report(
        &self,
        round: &RoundId,
        steward: &StewardId,
        report: &[u8],
        answers: &SubmissionBody,
    ) -> Result<(), TransportError> {
        let length = u32::try_from(report.len())
            .map_err(|_| TransportError::Encode("a report of 4 GiB".to_owned()))?;
        let head: Bytes = [&b"DWNR"[..], &length.to_le_bytes(), report]
            .concat()
            .into();
        let path = format!("{}/reports/{steward}", round_path(round));
        self.upload(&path, &head, answers, limits::ACKNOWLEDGEMENT)
            .await
            .map(|_| ())
    }

    /// `PUT /v1/tasks/{task}/rounds/{round}/openings/{steward}`: publishes an opening with the sums over groups that it
    /// names, in one body: `"DWNG" | length u32 LE | signed opening | sums`. Safe to repeat with the same bytes.
    ///
    /// # Errors
    /// [`TransportError`]; a 409 problem when another opening of this steward is there already.
    pub async fn put_opening(
        &self,
        round: &RoundId,
        steward: &StewardId,
        opening: &[u8],
        sums: Vec<u8>,
    ) -> Result<(), TransportError> {
        let length = u32::try_from(opening.len())
            .map_err(|_| TransportError::Encode("an opening of 4 GiB".to_owned()))?;
        let head: Bytes = [&b"DWNG"[..], &length.to_le_bytes(), opening]
            .concat()
            .into();
        let path = format!("{}/openings/{steward}", round_path(round));
        let sums = SubmissionBody::Bytes(sums.into());
        self.upload(&path, &head, &sums, limits::ACKNOWLEDGEMENT)
            .await
            .map(|_| ())
    }

    /// `GET /v1/tasks/{task}/rounds/{round}/answers/{digest}`: writes the answers that a report names to `writer` while
    /// they arrive, at most `max_bytes`, and says how many bytes they were. The caller compares the digest. Not repeated
    /// after the first byte was written.
    ///
    /// # Errors
    /// [`TransportError`].
    pub async fn download_answers<W: AsyncWrite + Unpin>(
        &self,
        round: &RoundId,
        digest: &Digest,
        max_bytes: u64,
        writer: &mut W,
    ) -> Result<u64, TransportError> {
        let path = format!("{}/answers/{digest}", round_path(round));
        self.download(&path, max_bytes, writer).await
    }

    /// `GET /v1/tasks/{task}/rounds/{round}/scalars`: the public scalars of the `count` submissions of a judged round,
    /// raw bytes, 8 a submission. The caller compares the digest.
    ///
    /// # Errors
    /// [`TransportError`]; a 404 problem while there is no verdict.
    pub async fn scalars(&self, round: &RoundId, count: u32) -> Result<Vec<u8>, TransportError> {
        let path = format!("{}/scalars", round_path(round));
        let limit = u64::from(count) * Scalars::BYTES as u64;
        Ok(self.call(Call::get(&path, limit)).await?.body)
    }

    /// `GET /v1/tasks/{task}/rounds/{round}/payloads/{digest}`: writes the masked vector with this digest, which a
    /// header of the closed round names, to `writer` while it arrives, at most `max_bytes`, and says how many bytes it
    /// was. The caller compares the digest. Not repeated after the first byte was written.
    ///
    /// # Errors
    /// [`TransportError`].
    pub async fn download_payload<W: AsyncWrite + Unpin>(
        &self,
        round: &RoundId,
        digest: &Digest,
        max_bytes: u64,
        writer: &mut W,
    ) -> Result<u64, TransportError> {
        let path = format!("{}/payloads/{digest}", round_path(round));
        self.download(&path, max_bytes, writer).await
    }

    /// Streams `head` and then `body` as a PUT, opened anew for every attempt.
    async fn upload(
        &self,
        path: &str,
        head: &Bytes,
        body: &SubmissionBody,
        limit: u64,
    ) -> Result<Answer, TransportError> {
        self.repeated(|| async {
            let (body, length) = body.open(head).await?;
            let request = self
                .request(Method::PUT, path, &[])?
                .header(header::CONTENT_TYPE, RAW)
                .header(header::CONTENT_LENGTH, length)
                .body(body);
            finish(
                request.send().await.map_err(TransportError::from_http)?,
                limit,
            )
            .await
        })
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
        let path = format!("{}/transcript", round_path(round));
        self.download(&path, max_bytes, writer).await
    }

    /// As [`Api::download_transcript`] with `?payloads=false`: the transcript that has only the digests of payloads and
    /// answers. A service that knows none gives the whole one.
    ///
    /// # Errors
    /// [`TransportError`].
    pub async fn download_detached_transcript<W: AsyncWrite + Unpin>(
        &self,
        round: &RoundId,
        max_bytes: u64,
        writer: &mut W,
    ) -> Result<u64, TransportError> {
        let path = format!("{}/transcript?payloads=false", round_path(round));
        self.download(&path, max_bytes, writer).await
    }
}

/// Submission containers and answers are neither CBOR nor JSON.
const RAW: &str = "application/octet-stream";

fn round_path(round: &RoundId) -> String {
    format!("v1/tasks/{}/rounds/{}", round.task, round.number)
}
