//! `/v1/tasks` and `/v1/models`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use dawn_crypto::digest::Digest;
use dawn_identity::TaskId;
use http::{HeaderValue, StatusCode, header};
use serde::{Deserialize, Serialize};

use super::body::CborBody;
use super::extract::{Asked, Params};
use super::signers::Requester;
use super::{cbor, object, stored_status};
use crate::app::App;
use crate::desk::{Announced, wait_for_round};
use crate::payloads::ObjectKey;
use crate::problem::Problem;
use crate::registry;
use crate::status::{TaskStatus, task_status};
use crate::store::tasks::TaskRow;

/// Most tasks in one list.
const LISTED: u32 = 1000;

/// A task, for people.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct TaskSummary {
    /// Identifier, hexadecimal.
    task: String,
    /// Its name.
    name: String,
    /// The organisation that owns it, hexadecimal.
    owner: String,
    /// Digest of its roster, hexadecimal.
    roster: String,
    /// How many rounds it has.
    rounds: u32,
    /// When it was accepted, unix milliseconds.
    created_ms: u64,
    /// When its last round ended, unix milliseconds.
    ended_ms: Option<u64>,
}

fn summary(row: TaskRow) -> TaskSummary {
    TaskSummary {
        task: row.task.to_string(),
        name: row.name,
        owner: row.owner.to_string(),
        roster: row.roster.to_string(),
        rounds: row.rounds,
        created_ms: row.created_ms,
        ended_ms: row.ended_ms,
    }
}

/// Posts a task that its owner's issuer signed; its first round begins at once.
#[utoipa::path(post, path = "/v1/tasks", tag = "tasks",
    request_body(content = Vec<u8>, content_type = "application/cbor", description = "Signed<Task>; of a task that distils \"DWND\", its length as u32 LE, Signed<Task>, the public set"),
    responses(
        (status = 201, description = "Accepted", body = TaskSummary),
        (status = 200, description = "The same was accepted before", body = TaskSummary),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn post_task(
    State(app): State<Arc<App>>,
    _: Requester,
    CborBody(bytes): CborBody<{ registry::MOST_TASK_BYTES }>,
) -> Result<Response, Problem> {
    let (task, stored) = registry::add_task(&app, &bytes).await?;
    let row = app
        .store
        .task(&task)
        .await?
        .ok_or_else(|| Problem::internal("what was stored is gone"))?;
    Ok((stored_status(stored), Json(summary(row))).into_response())
}

/// The newest tasks.
#[utoipa::path(get, path = "/v1/tasks", tag = "tasks",
    responses(
        (status = 200, body = Vec<TaskSummary>),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn list_tasks(State(app): State<Arc<App>>) -> Result<Json<Vec<TaskSummary>>, Problem> {
    Ok(Json(
        app.store
            .tasks(LISTED)
            .await?
            .into_iter()
            .map(summary)
            .collect(),
    ))
}

/// One task, as posted.
#[utoipa::path(get, path = "/v1/tasks/{task}", tag = "tasks",
    params(("task" = String, Path, description = "Identifier, 64 hexadecimal digits")),
    responses(
        (status = 200, description = "Signed<Task>", body = Vec<u8>, content_type = "application/cbor"),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn get_task(
    State(app): State<Arc<App>>,
    Params(task): Params<TaskId>,
) -> Result<Response, Problem> {
    let row = app.store.task(&task).await?.ok_or_else(no_task)?;
    Ok(cbor(StatusCode::OK, row.signed_task))
}

/// The public set of a task that distils.
#[utoipa::path(get, path = "/v1/tasks/{task}/public-set", tag = "tasks",
    params(("task" = String, Path, description = "Identifier, 64 hexadecimal digits")),
    responses(
        (status = 200, description = "The set: \"DWNP\", inputs and samples as u32 LE, the exponent, features as i16 LE", body = Vec<u8>, content_type = "application/octet-stream"),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn get_public_set(
    State(app): State<Arc<App>>,
    Params(task): Params<TaskId>,
) -> Result<Response, Problem> {
    let context = app.task_context(&task).await?;
    let (digest, _) = context
        .wanted_public_set()
        .ok_or_else(|| Problem::not_found("the task has no public set: it does not distil"))?;
    object(&app, &ObjectKey::public_set(&digest))
        .await?
        .ok_or_else(|| Problem::internal("the public set is gone"))
}

/// Which rounds.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Page {
    #[serde(default)]
    after: u32,
}

/// The rounds of a task so far, for people.
#[utoipa::path(get, path = "/v1/tasks/{task}/status", tag = "tasks",
    params(
        ("task" = String, Path, description = "Identifier, 64 hexadecimal digits"),
        ("after" = Option<u32>, Query, description = "Rounds with larger numbers, a thousand at most")),
    responses(
        (status = 200, body = TaskStatus),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn get_status(
    State(app): State<Arc<App>>,
    Params(task): Params<TaskId>,
    Asked(page): Asked<Page>,
) -> Result<Json<TaskStatus>, Problem> {
    Ok(Json(task_status(&app, &task, page.after).await?))
}

/// Which round, and how long to wait for it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Waiting {
    #[serde(default)]
    after: u32,
    wait: Option<u64>,
}

/// The newest round that takes submissions.
#[utoipa::path(get, path = "/v1/tasks/{task}/round", tag = "tasks",
    params(
        ("task" = String, Path, description = "Identifier, 64 hexadecimal digits"),
        ("after" = Option<u32>, Query, description = "Only a round with a larger number"),
        ("wait" = Option<u64>, Query, description = "Seconds to wait for it, 60 at most")),
    responses(
        (status = 200, description = "RoundAnnouncement", body = Vec<u8>, content_type = "application/cbor"),
        (status = 204, description = "None now"),
        (status = 410, description = "The task has ended", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn get_round(
    State(app): State<Arc<App>>,
    Params(task): Params<TaskId>,
    Asked(waiting): Asked<Waiting>,
) -> Result<Response, Problem> {
    match wait_for_round(&app, &task, waiting.after, waiting.wait).await? {
        Announced::Round(announcement) => Ok(cbor(StatusCode::OK, announcement.to_bytes())),
        Announced::None => Ok(StatusCode::NO_CONTENT.into_response()),
        Announced::Ended => Err(Problem::ended("the task has had its last round")),
    }
}

/// Weights by their digest.
#[utoipa::path(get, path = "/v1/models/{digest}", tag = "tasks",
    params(("digest" = String, Path, description = "64 hexadecimal digits")),
    responses(
        (status = 200, description = "Canonical bytes of the model", body = Vec<u8>, content_type = "application/octet-stream"),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn get_model(
    State(app): State<Arc<App>>,
    Params(digest): Params<Digest>,
) -> Result<Response, Problem> {
    let mut response = object(&app, &ObjectKey::model(&digest))
        .await?
        .ok_or_else(|| Problem::not_found("no model with this digest is stored"))?;
    // The digest is the name: the bytes never change.
    response.headers_mut().insert(
        header::CACHE_CONTROL,
        HeaderValue::from_static("public, max-age=31536000, immutable"),
    );
    Ok(response)
}

fn no_task() -> Problem {
    Problem::not_found("there is no such task")
}
