//! `/v1/rosters`.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use dawn_identity::{RosterPosting, Signed};
use http::StatusCode;

use super::body::CborBody;
use super::extract::Params;
use super::register::same_signer;
use super::signers::Requester;
use super::{cbor, stored_status};
use crate::app::App;
use crate::problem::Problem;
use crate::registry;

/// Puts the roster of the next epoch, which the organisations signed, into the register.
#[utoipa::path(post, path = "/v1/rosters", tag = "federation",
    request_body(content = Vec<u8>, content_type = "application/cbor", description = "Signed<RosterPosting>"),
    responses(
        (status = 201, description = "In the register, and logged"),
        (status = 200, description = "It was before"),
        (status = 409, description = "The epoch has another roster", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn post_roster(
    State(app): State<Arc<App>>,
    requester: Requester,
    CborBody(bytes): CborBody<{ Signed::<RosterPosting>::MAX_BYTES }>,
) -> Result<StatusCode, Problem> {
    let signed = Signed::<RosterPosting>::from_bytes(&bytes).map_err(Problem::malformed)?;
    same_signer(&requester, signed.signer())?;
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
