//! `/v1/orgs` and `/v1/registrations`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use dawn_identity::{OrgId, OrgRegistration, Signed, StewardEnrolment, to_canonical};
use http::StatusCode;
use serde::Serialize;

use super::body::CborBody;
use super::extract::Params;
use super::signers::Requester;
use super::{cbor, stored_status};
use crate::app::App;
use crate::problem::Problem;
use crate::registry;
use crate::store::StoreError;
use crate::store::orgs::OrgRow;

/// An organisation, for people.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Org {
    /// Identifier, hexadecimal.
    org: String,
    /// Its name.
    name: String,
    /// Root key, hexadecimal.
    root_key: String,
    /// Whether it founded the federation.
    founder: bool,
    /// When it registered, unix milliseconds.
    registered_ms: u64,
    /// Stewards that it enrolled, oldest first; absent in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    stewards: Option<Vec<Steward>>,
}

/// A steward, for people.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Steward {
    /// Identifier, hexadecimal.
    steward: String,
    /// Key, hexadecimal.
    steward_key: String,
    /// Key of its parts of beacons, hexadecimal.
    vrf_key: Option<String>,
    /// When it was enrolled, unix milliseconds.
    enrolled_ms: u64,
}

fn org(row: OrgRow) -> Org {
    Org {
        org: row.org.to_string(),
        name: row.name,
        root_key: hex::encode(row.root_key),
        founder: row.founder,
        registered_ms: row.created_ms,
        stewards: None,
    }
}

/// Registers an organisation with proof of possession of its root key.
#[utoipa::path(post, path = "/v1/orgs", tag = "organisations",
    request_body(content = Vec<u8>, content_type = "application/cbor", description = "Signed<OrgRegistration>"),
    responses(
        (status = 201, description = "Registered", body = Org),
        (status = 200, description = "The same was registered before", body = Org),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn post_org(
    State(app): State<Arc<App>>,
    _: Requester,
    CborBody(bytes): CborBody<{ Signed::<OrgRegistration>::MAX_BYTES }>,
) -> Result<Response, Problem> {
    let (id, stored) = registry::register_org(&app, &bytes).await?;
    let row = app
        .store
        .org(&id)
        .await?
        .ok_or_else(|| Problem::internal("what was stored is gone"))?;
    Ok((stored_status(stored), Json(org(row))).into_response())
}

/// All organisations.
#[utoipa::path(get, path = "/v1/orgs", tag = "organisations",
    responses(
        (status = 200, body = Vec<Org>),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn list_orgs(State(app): State<Arc<App>>) -> Result<Json<Vec<Org>>, Problem> {
    Ok(Json(app.store.orgs().await?.into_iter().map(org).collect()))
}

/// One organisation with its stewards.
#[utoipa::path(get, path = "/v1/orgs/{org}", tag = "organisations",
    params(("org" = String, Path, description = "Identifier, 64 hexadecimal digits")),
    responses(
        (status = 200, body = Org),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn get_org(
    State(app): State<Arc<App>>,
    Params(id): Params<OrgId>,
) -> Result<Json<Org>, Problem> {
    let row = app
        .store
        .org(&id)
        .await?
        .ok_or_else(|| Problem::not_found("no such organisation is registered"))?;
    let stewards = app.store.stewards_of(&id).await?;
    let mut org = org(row);
    org.stewards = Some(
        stewards
            .into_iter()
            .map(|row| Steward {
                steward: row.steward.to_string(),
                steward_key: hex::encode(row.steward_key),
                vrf_key: row.vrf_key.map(hex::encode),
                enrolled_ms: row.created_ms,
            })
            .collect(),
    );
    Ok(Json(org))
}

/// All signed registrations, so that everybody can verify the root keys of members that are not founders.
#[utoipa::path(get, path = "/v1/registrations", tag = "organisations",
    responses(
        (status = 200, description = "CBOR array of Signed<OrgRegistration>", body = Vec<u8>, content_type = "application/cbor"),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn list_registrations(State(app): State<Arc<App>>) -> Result<Response, Problem> {
    let registrations = app
        .store
        .orgs()
        .await?
        .iter()
        .map(|row| Signed::<OrgRegistration>::from_bytes(&row.registration))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|_| StoreError::Corrupt("a stored registration does not decode"))?;
    Ok(cbor(StatusCode::OK, to_canonical(&registrations)))
}

/// Enrols a steward of an organisation.
#[utoipa::path(put, path = "/v1/orgs/{org}/steward", tag = "organisations",
    params(("org" = String, Path, description = "Identifier, 64 hexadecimal digits")),
    request_body(content = Vec<u8>, content_type = "application/cbor", description = "Signed<StewardEnrolment>"),
    responses(
        (status = 201, description = "Enrolled"),
        (status = 200, description = "The same was enrolled before"),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn put_steward(
    State(app): State<Arc<App>>,
    Params(id): Params<OrgId>,
    _: Requester,
    CborBody(bytes): CborBody<{ Signed::<StewardEnrolment>::MAX_BYTES }>,
) -> Result<StatusCode, Problem> {
    registry::enrol_steward(&app, &id, &bytes)
        .await
        .map(stored_status)
}
