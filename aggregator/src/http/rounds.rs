//! `/v1/tasks/{task}/rounds/{round}` and `/v1/stewards`.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use dawn_identity::{DeviceId, Signed, StewardId, TaskId, to_canonical};
use dawn_protocol::work::work_to_bytes;
use dawn_protocol::{LogEntry, Opening, RoundId};
use http::{HeaderMap, StatusCode};
use serde::Deserialize;

use super::body::{CborBody, check_length, check_media_type};
use super::extract::{Asked, Params};
use super::{cbor, object, stored_status};
use crate::app::App;
use crate::contexts::ContextError;
use crate::desk::{self, StewardKind};
use crate::intake;
use crate::payloads::ObjectKey;
use crate::problem::Problem;

/// The media type of a submission container, which is neither CBOR nor JSON.
const CONTAINER: &str = "application/octet-stream";

/// Bytes of the largest container: 2^24 coordinates, padding and the head.
const MOST_CONTAINER_BYTES: u64 = (4 << 24) + (2 << 20);

/// Bytes of the largest statement of a steward; a report comes with its answers.
const MOST_STATEMENT_BYTES: usize = Signed::<Opening>::MAX_BYTES;

/// Puts the submission of a device: header, packages, payload (docs/protocol.md, section 4.4).
#[utoipa::path(put, path = "/v1/tasks/{task}/rounds/{round}/submissions/{device}", tag = "rounds",
    params(
        ("task" = String, Path, description = "Identifier, 64 hexadecimal digits"),
        ("round" = u32, Path, description = "Number of the round"),
        ("device" = String, Path, description = "Identifier, 64 hexadecimal digits")),
    request_body(content = Vec<u8>, content_type = "application/octet-stream", description = "Submission container"),
    responses(
        (status = 201, description = "Stored: Signed<Receipt>", body = Vec<u8>, content_type = "application/cbor"),
        (status = 200, description = "Stored before: the same receipt", body = Vec<u8>, content_type = "application/cbor"),
        (status = "default", description = "Refused; nothing is stored", body = Problem, content_type = "application/problem+json")))]
pub async fn put_submission(
    State(app): State<Arc<App>>,
    Params((task, round, device)): Params<(TaskId, u32, DeviceId)>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    check_media_type(&headers, CONTAINER)?;
    check_length(&headers, MOST_CONTAINER_BYTES)?;
    let receipted = intake::submit(&app, &RoundId::new(task, round), &device, body).await?;
    let status = if receipted.new {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    Ok(cbor(status, receipted.receipt))
}

/// How long to wait.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Waiting {
    wait: Option<u64>,
}

/// What a steward should look at.
#[utoipa::path(get, path = "/v1/stewards/{steward}/work", tag = "rounds",
    params(
        ("steward" = String, Path, description = "Identifier, 64 hexadecimal digits"),
        ("wait" = Option<u64>, Query, description = "Seconds to wait for something, 60 at most")),
    responses(
        (status = 200, description = "CBOR array of WorkItem", body = Vec<u8>, content_type = "application/cbor"),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn get_work(
    State(app): State<Arc<App>>,
    Params(steward): Params<StewardId>,
    Asked(waiting): Asked<Waiting>,
) -> Result<Response, Problem> {
    let items = desk::wait_for_work(&app, &steward, waiting.wait).await?;
    Ok(cbor(StatusCode::OK, work_to_bytes(&items)))
}

/// Which page.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Page {
    #[serde(default)]
    after: u32,
}

/// The sealed packages of a steward in a closed round.
#[utoipa::path(get, path = "/v1/tasks/{task}/rounds/{round}/packages/{steward}", tag = "rounds",
    params(
        ("task" = String, Path, description = "Identifier, 64 hexadecimal digits"),
        ("round" = u32, Path, description = "Number of the round"),
        ("steward" = String, Path, description = "Identifier, 64 hexadecimal digits"),
        ("after" = Option<u32>, Query, description = "Place of the first item: 0, then `next` of the page before")),
    responses(
        (status = 200, description = "PackagePage", body = Vec<u8>, content_type = "application/cbor"),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn get_packages(
    State(app): State<Arc<App>>,
    Params((task, round, steward)): Params<(TaskId, u32, StewardId)>,
    Asked(page): Asked<Page>,
) -> Result<Response, Problem> {
    let page = desk::package_page(&app, &RoundId::new(task, round), &steward, page.after).await?;
    Ok(cbor(StatusCode::OK, page.to_bytes()))
}

/// Puts a steward's signed statement. The same again is success; another one is refused and kept as evidence.
#[utoipa::path(put, path = "/v1/tasks/{task}/rounds/{round}/statements/{kind}", tag = "rounds",
    params(
        ("task" = String, Path, description = "Identifier, 64 hexadecimal digits"),
        ("round" = u32, Path, description = "Number of the round"),
        ("kind" = String, Path, description = "sealing-key, endorsement, report or opening")),
    request_body(content = Vec<u8>, content_type = "application/cbor", description = "Signed statement"),
    responses(
        (status = 201, description = "Stored and logged"),
        (status = 200, description = "The same was stored before"),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn put_statement(
    State(app): State<Arc<App>>,
    Params((task, round, kind)): Params<(TaskId, u32, String)>,
    CborBody(bytes): CborBody<MOST_STATEMENT_BYTES>,
) -> Result<StatusCode, Problem> {
    let kind = StewardKind::parse(&kind).ok_or_else(|| {
        Problem::not_found(
            "stewards make these statements: sealing-key, endorsement, beacon-share, opening; a report goes with \
             its answers to /reports/{steward}, an opening with sums over groups to /openings/{steward}",
        )
    })?;
    desk::put_statement(&app, &RoundId::new(task, round), kind, &bytes)
        .await
        .map(stored_status)
}

/// The entries of the log about one round.
#[utoipa::path(get, path = "/v1/tasks/{task}/rounds/{round}/statements", tag = "rounds",
    params(
        ("task" = String, Path, description = "Identifier, 64 hexadecimal digits"),
        ("round" = u32, Path, description = "Number of the round")),
    responses(
        (status = 200, description = "CBOR array of LogEntry", body = Vec<u8>, content_type = "application/cbor"),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn get_statements(
    State(app): State<Arc<App>>,
    Params((task, round)): Params<(TaskId, u32)>,
) -> Result<Response, Problem> {
    let id = RoundId::new(task, round);
    if app.store.round(&id).await?.is_none() {
        return Err(ContextError::NoRound.into());
    }
    let entries: Vec<LogEntry> = app
        .store
        .round_entries(&id)
        .await?
        .into_iter()
        .map(|row| LogEntry {
            index: row.index,
            envelope: row.envelope,
        })
        .collect();
    Ok(cbor(StatusCode::OK, to_canonical(&entries)))
}

/// Which transcript.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contents {
    payloads: Option<bool>,
}

/// Everything that an auditor needs, once the round is over.
#[utoipa::path(get, path = "/v1/tasks/{task}/rounds/{round}/transcript", tag = "rounds",
    params(
        ("task" = String, Path, description = "Identifier, 64 hexadecimal digits"),
        ("round" = u32, Path, description = "Number of the round"),
        ("payloads" = Option<bool>, Query, description = "false: with the digests of payloads and answers instead of them, where it was written so")),
    responses(
        (status = 200, description = "Transcript", body = Vec<u8>, content_type = "application/octet-stream"),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn get_transcript(
    State(app): State<Arc<App>>,
    Params((task, round)): Params<(TaskId, u32)>,
    Asked(contents): Asked<Contents>,
) -> Result<Response, Problem> {
    let id = RoundId::new(task, round);
    let row = app.store.round(&id).await?.ok_or(ContextError::NoRound)?;
    if !row.phase.is_over() {
        return Err(Problem::wrong_phase(
            "the transcript is there when the round is over",
        ));
    }
    let whole = ObjectKey::transcript(&id.task.0, id.number);
    // A crash between the two may have left one without payloads that names another whole one than is written now.
    if contents.payloads == Some(false) && app.payloads.exists(&whole).await? {
        let detached = ObjectKey::detached_transcript(&id.task.0, id.number);
        if let Some(response) = object(&app, &detached).await? {
            return Ok(response);
        }
    }
    // Where an earlier version wrote it, there is only the whole one.
    object(&app, &whole)
        .await?
        .ok_or_else(|| Problem::unavailable("the transcript is being written; try again"))
}
