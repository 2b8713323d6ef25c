//! `/v1/orgs`: organisations and their stewards.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use dawn_identity::{Member, Members, OrgId, OrgRegistration, Signed, StewardEnrolment};
use http::StatusCode;
use serde::Serialize;

use super::body::CborBody;
use super::extract::Params;
use super::signers::Requester;
use super::stored_status;
use crate::app::App;
use crate::problem::Problem;
use crate::registry;
use crate::store::orgs::OrgRow;

/// An organisation, for people.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Org {
    /// Identifier, hexadecimal.
    org: String,
    /// Its name.
    name: String,
    /// The root key that counts now, hexadecimal.
    root_key: String,
    /// The thumbprint of that key (RFC 7638).
    thumbprint: Option<String>,
    /// Whether it founded the federation.
    founder: bool,
    /// `member`; `pending`: too few founders have approved it; `revoked`: it has left.
    status: &'static str,
    /// How many founders have approved it, while it is pending.
    approvals: usize,
    /// Number of its last event; the next one has the next number.
    sequence: u64,
    /// What its next event names as the one before, hexadecimal: body digest of its last event or of its registration.
    head: Option<String>,
    /// Issuer keys that it announced and did not revoke, hexadecimal.
    issuers: Vec<String>,
    /// When it registered, unix milliseconds.
    registered_ms: u64,
    /// The newest 64 stewards that it enrolled, oldest first; absent in lists.
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

fn org(row: OrgRow, members: &Members) -> Org {
    let member = members.get(&row.org);
    let status = match member {
        None => "pending",
        Some(member) if member.is_revoked() => "revoked",
        Some(_) => "member",
    };
    let root = member.map(Member::root);
    Org {
        org: row.org.to_string(),
        name: row.name,
        root_key: root.map_or_else(|| hex::encode(&row.root_key), ToString::to_string),
        thumbprint: root.map(|root| root.thumbprint().to_string()),
        founder: row.founder,
        status,
        approvals: members.approvals(&row.org),
        sequence: member.map_or(0, Member::sequence),
        head: member.and_then(Member::head).map(|head| head.to_string()),
        issuers: member.map_or_else(Vec::new, |member| {
            member.issuers().map(ToString::to_string).collect()
        }),
        registered_ms: row.created_ms,
        stewards: None,
    }
}

async fn shown(app: &App, id: &OrgId) -> Result<Org, Problem> {
    let row = app
        .store
        .org(id)
        .await?
        .ok_or_else(|| Problem::not_found("no such organisation is registered"))?;
    Ok(org(row, app.members().await?.as_ref()))
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
    Ok((stored_status(stored), Json(shown(&app, &id).await?)).into_response())
}

/// All organisations.
#[utoipa::path(get, path = "/v1/orgs", tag = "organisations",
    responses(
        (status = 200, body = Vec<Org>),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn list_orgs(State(app): State<Arc<App>>) -> Result<Json<Vec<Org>>, Problem> {
    if app.store.founding_document().await?.is_none() {
        return Ok(Json(Vec::new()));
    }
    let members = app.members().await?;
    let rows = app.store.orgs().await?.into_iter();
    Ok(Json(rows.map(|row| org(row, &members)).collect()))
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
    let mut org = shown(&app, &id).await?;
    let stewards = app.store.stewards_of(&id).await?;
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
