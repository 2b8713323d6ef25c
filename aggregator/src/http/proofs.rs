//! What goes with the norm proof of a round: the challenge, the stewards' answers, the public scalars, and the
//! payloads that they are recomputed from.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use dawn_crypto::digest::Digest;
use dawn_identity::{StewardId, TaskId};
use dawn_protocol::{Challenge, RoundId};
use http::{HeaderMap, StatusCode};

use super::body::{check_length, check_media_type};
use super::extract::Params;
use super::{cbor, object, stored_status};
use crate::app::App;
use crate::contexts::ContextError;
use crate::intake;
use crate::payloads::ObjectKey;
use crate::problem::Problem;
use crate::store::rounds::{Phase, RoundRow};

/// The media type of bytes that are neither CBOR nor JSON.
const OCTETS: &str = "application/octet-stream";

/// Puts the report of a steward with its answers to the challenge (docs/protocol.md, section 4.6).
#[utoipa::path(put, path = "/v1/tasks/{task}/rounds/{round}/reports/{steward}", tag = "rounds",
    params(
        ("task" = String, Path, description = "Identifier, 64 hexadecimal digits"),
        ("round" = u32, Path, description = "Number of the round"),
        ("steward" = String, Path, description = "Identifier, 64 hexadecimal digits")),
    request_body(content = Vec<u8>, content_type = "application/octet-stream",
        description = "\"DWNR\", length of the report as u32 LE, Signed<PackageReport>, its answers"),
    responses(
        (status = 201, description = "Stored and logged"),
        (status = 200, description = "The same was stored before"),
        (status = "default", description = "Refused; nothing is stored", body = Problem, content_type = "application/problem+json")))]
pub async fn put_report(
    State(app): State<Arc<App>>,
    Params((task, round, steward)): Params<(TaskId, u32, StewardId)>,
    headers: HeaderMap,
    body: Body,
) -> Result<StatusCode, Problem> {
    check_media_type(&headers, OCTETS)?;
    check_length(&headers, intake::MOST_REPORT_BYTES)?;
    intake::report(&app, &RoundId::new(task, round), &steward, body)
        .await
        .map(stored_status)
}

/// Puts the opening of a steward with its sums over groups (docs/protocol.md, section 4.7).
#[utoipa::path(put, path = "/v1/tasks/{task}/rounds/{round}/openings/{steward}", tag = "rounds",
    params(
        ("task" = String, Path, description = "Identifier, 64 hexadecimal digits"),
        ("round" = u32, Path, description = "Number of the round"),
        ("steward" = String, Path, description = "Identifier, 64 hexadecimal digits")),
    request_body(content = Vec<u8>, content_type = "application/octet-stream",
        description = "\"DWNG\", length of the opening as u32 LE, Signed<Opening>, its sums"),
    responses(
        (status = 201, description = "Stored and logged"),
        (status = 200, description = "The same was stored before"),
        (status = "default", description = "Refused; nothing is stored", body = Problem, content_type = "application/problem+json")))]
pub async fn put_opening(
    State(app): State<Arc<App>>,
    Params((task, round, steward)): Params<(TaskId, u32, StewardId)>,
    headers: HeaderMap,
    body: Body,
) -> Result<StatusCode, Problem> {
    check_media_type(&headers, OCTETS)?;
    check_length(&headers, intake::MOST_OPENING_BYTES)?;
    intake::opening(&app, &RoundId::new(task, round), &steward, body)
        .await
        .map(stored_status)
}

/// The challenge of a closed round.
#[utoipa::path(get, path = "/v1/tasks/{task}/rounds/{round}/challenge", tag = "rounds",
    params(
        ("task" = String, Path, description = "Identifier, 64 hexadecimal digits"),
        ("round" = u32, Path, description = "Number of the round")),
    responses(
        (status = 200, description = "Signed<Challenge>", body = Vec<u8>, content_type = "application/cbor"),
        (status = "default", description = "Refused, or none yet", body = Problem, content_type = "application/problem+json")))]
pub async fn get_challenge(
    State(app): State<Arc<App>>,
    Params((task, round)): Params<(TaskId, u32)>,
) -> Result<Response, Problem> {
    let id = RoundId::new(task, round);
    known_round(&app, &id).await?;
    let challenge = app
        .own_statement::<Challenge>(&id)
        .await?
        .ok_or_else(|| Problem::not_found("the round has no challenge"))?;
    Ok(cbor(StatusCode::OK, challenge.bytes().to_vec()))
}

/// The answers of a steward, by the digest that its report gives; once the verdict is out.
#[utoipa::path(get, path = "/v1/tasks/{task}/rounds/{round}/answers/{digest}", tag = "rounds",
    params(
        ("task" = String, Path, description = "Identifier, 64 hexadecimal digits"),
        ("round" = u32, Path, description = "Number of the round"),
        ("digest" = String, Path, description = "64 hexadecimal digits")),
    responses(
        (status = 200, description = "The answers, little-endian words", body = Vec<u8>, content_type = "application/octet-stream"),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn get_answers(
    State(app): State<Arc<App>>,
    Params((task, round, digest)): Params<(TaskId, u32, Digest)>,
) -> Result<Response, Problem> {
    let id = RoundId::new(task, round);
    judged_round(&app, &id).await?;
    let none = || Problem::not_found("no report of this round has such answers");
    if !app.store.has_answers(&id, &digest).await? {
        return Err(none());
    }
    object(&app, &ObjectKey::answers(&task.0, round, &digest))
        .await?
        .ok_or_else(none)
}

/// The public scalars of all submissions of a round; once the verdict is out.
#[utoipa::path(get, path = "/v1/tasks/{task}/rounds/{round}/scalars", tag = "rounds",
    params(
        ("task" = String, Path, description = "Identifier, 64 hexadecimal digits"),
        ("round" = u32, Path, description = "Number of the round")),
    responses(
        (status = 200, description = "8 bytes a submission in root order", body = Vec<u8>, content_type = "application/octet-stream"),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn get_scalars(
    State(app): State<Arc<App>>,
    Params((task, round)): Params<(TaskId, u32)>,
) -> Result<Response, Problem> {
    let id = RoundId::new(task, round);
    let phase = judged_round(&app, &id).await?;
    if let Some(scalars) = object(&app, &ObjectKey::scalars(&task.0, round)).await? {
        return Ok(scalars);
    }
    if phase != Phase::Opening {
        return Err(Problem::not_found("the round has no scalars"));
    }
    // Storage has lost what stewards need to open the round: its next step computes it again.
    app.store.wake_round(&id).await?;
    app.job_due();
    Err(Problem::unavailable(
        "the scalars are being computed again; ask again in a moment",
    ))
}

/// The masked vector of a submission of a closed round, by its digest; once the verdict is out.
#[utoipa::path(get, path = "/v1/tasks/{task}/rounds/{round}/payloads/{digest}", tag = "rounds",
    params(
        ("task" = String, Path, description = "Identifier, 64 hexadecimal digits"),
        ("round" = u32, Path, description = "Number of the round"),
        ("digest" = String, Path, description = "64 hexadecimal digits")),
    responses(
        (status = 200, description = "The payload, little-endian words", body = Vec<u8>, content_type = "application/octet-stream"),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn get_payload(
    State(app): State<Arc<App>>,
    Params((task, round, digest)): Params<(TaskId, u32, Digest)>,
) -> Result<Response, Problem> {
    let id = RoundId::new(task, round);
    judged_round(&app, &id).await?;
    let none = || Problem::not_found("no submission of this round has such a payload");
    if !app.store.has_payload(&id, &digest).await? {
        return Err(none());
    }
    object(&app, &ObjectKey::payload(&digest))
        .await?
        .ok_or_else(none)
}

async fn known_round(app: &App, id: &RoundId) -> Result<RoundRow, Problem> {
    let row = app.store.round(id).await?;
    Ok(row.ok_or(ContextError::NoRound)?)
}

/// Refuses what is there only from the verdict on.
async fn judged_round(app: &App, id: &RoundId) -> Result<Phase, Problem> {
    let row = known_round(app, id).await?;
    if row.phase == Phase::Opening || row.phase.is_over() {
        Ok(row.phase)
    } else {
        Err(Problem::wrong_phase("this is there from the verdict on"))
    }
}
