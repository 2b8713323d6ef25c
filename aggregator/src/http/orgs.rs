//! `/v1/orgs`: organisations and their stewards.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use dawn_identity::{Member, Members, OrgId, OrgRegistration, Signed, StewardEnrolment, Verified};
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
use crate::store::waiting::WaitingOrg;

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
    /// `member`; `pending`: too few founders have approved it yet, and it is forgotten when 30 days later none has; `revoked`: it has left.
    status: &'static str,
    /// How many founders have approved it, while it is pending.
    approvals: usize,
    /// Number of its last event; the next one has the next number.
    sequence: u64,
    /// What its next event names as the one before, hexadecimal: body digest of its last event or of its registration.
    head: Option<String>,
    /// Issuer keys that it announced and did not revoke, hexadecimal.
    issuers: Vec<String>,
    /// When it came in or, while it waits, registered; unix milliseconds.
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

/// One that is not in yet, as its registration has it.
fn waiting(registration: &Signed<OrgRegistration>, created_ms: u64) -> OrgRow {
    let body = registration.peek();
    OrgRow {
        org: body.org(),
        name: body.name.clone(),
        root_key: body.root.as_bytes().to_vec(),
        founder: false,
        registration: registration.bytes().to_vec(),
        created_ms,
    }
}

/// Those that some founders have approved, and when they say that they registered.
fn pending(registration: &Verified<OrgRegistration>) -> OrgRow {
    waiting(
        registration.signed(),
        registration.created.saturating_mul(1000),
    )
}

fn waiting_row(row: &WaitingOrg) -> Result<OrgRow, Problem> {
    let registration = Signed::from_bytes(&row.registration)
        .map_err(|_| StoreError::Corrupt("a stored registration does not decode"))?;
    Ok(waiting(&registration, row.created_ms))
}

async fn shown(app: &App, id: &OrgId) -> Result<Org, Problem> {
    // In the order in which one moves on, so that none is missed that moves meanwhile.
    let waiting = app.store.waiting(id).await?;
    let approved = app.members().await?;
    let row = app.store.org(id).await?;
    let row = match (row, waiting) {
        (Some(row), _) => Some(row),
        (None, Some(row)) => Some(waiting_row(&row)?),
        (None, None) => approved.pending(id).map(pending),
    };
    let row = row.ok_or_else(|| Problem::not_found("no such organisation is registered"))?;
    // Whom the database has is in the register by now.
    Ok(org(row, &*app.members().await?))
}

/// What an organisation has registered with, whether it is a member or waits: what a founder approves.
#[utoipa::path(get, path = "/v1/orgs/{org}/registration", tag = "organisations",
    params(("org" = String, Path, description = "Identifier, 64 hexadecimal digits")),
    responses(
        (status = 200, description = "Signed<OrgRegistration>", body = Vec<u8>, content_type = "application/cbor"),
        (status = 404, description = "It has not registered, or has waited for more than 30 days", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn get_registration(
    State(app): State<Arc<App>>,
    Params(id): Params<OrgId>,
) -> Result<Response, Problem> {
    let registration = registry::known_registration(&app, &id).await?;
    let registration =
        registration.ok_or_else(|| Problem::not_found("no such organisation is registered"))?;
    Ok(cbor(StatusCode::OK, registration))
}

/// Registers an organisation with proof of possession of its root key.
#[utoipa::path(post, path = "/v1/orgs", tag = "organisations",
    request_body(content = Vec<u8>, content_type = "application/cbor", description = "Signed<OrgRegistration>"),
    responses(
        (status = 201, description = "Registered; where founders let in it waits for them, 30 days at most", body = Org),
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

/// All organisations: members in the order in which they came in, then those that wait for founders.
#[utoipa::path(get, path = "/v1/orgs", tag = "organisations",
    responses(
        (status = 200, body = Vec<Org>),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn list_orgs(State(app): State<Arc<App>>) -> Result<Json<Vec<Org>>, Problem> {
    if app.store.founding_document().await?.is_none() {
        return Ok(Json(Vec::new()));
    }
    // In the order of `shown`, for its reason.
    let waiting = app.store.all_waiting().await?;
    let approved = app.members().await?;
    let mut rows = app.store.orgs().await?;
    let members = app.members().await?;
    let mut known: BTreeSet<OrgId> = rows.iter().map(|row| row.org).collect();
    for row in waiting {
        if known.insert(row.org) {
            rows.push(waiting_row(&row)?);
        }
    }
    let others = approved.all_pending();
    rows.extend(others.filter(|org| known.insert(org.org())).map(pending));
    Ok(Json(
        rows.into_iter().map(|row| org(row, &members)).collect(),
    ))
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
