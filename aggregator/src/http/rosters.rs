//! `/v1/rosters`.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use dawn_identity::SignedRoster;
use http::StatusCode;

use super::body::CborBody;
use super::extract::Params;
use super::signers::Requester;
use super::{cbor, stored_status};
use crate::app::App;
use crate::problem::Problem;
use crate::registry;

/// Posts a roster that the organisations signed.
#[utoipa::path(post, path = "/v1/rosters", tag = "federation",
    request_body(content = Vec<u8>, content_type = "application/cbor", description = "SignedRoster"),
    responses(
        (status = 201, description = "Stored"),
        (status = 200, description = "The same was stored before"),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn post_roster(
    State(app): State<Arc<App>>,
    _: Requester,
    CborBody(bytes): CborBody<{ SignedRoster::MAX_BYTES }>,
) -> Result<StatusCode, Problem> {
    registry::add_roster(&app, &bytes).await.map(stored_status)
}

/// The roster of an epoch.
#[utoipa::path(get, path = "/v1/rosters/{epoch}", tag = "federation",
    params(("epoch" = u64, Path, description = "Number of the epoch")),
    responses(
        (status = 200, description = "SignedRoster", body = Vec<u8>, content_type = "application/cbor"),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn get_roster(
    State(app): State<Arc<App>>,
    Params(epoch): Params<u64>,
) -> Result<Response, Problem> {
    let roster = app
        .store
        .roster_of_epoch(epoch)
        .await?
        .ok_or_else(|| Problem::not_found("no roster of this epoch is stored"))?;
    Ok(cbor(StatusCode::OK, roster))
}
