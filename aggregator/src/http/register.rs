//! `/v1/register` and what brings events into it: keys that change, trust that is taken back, approvals.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use dawn_identity::{OrgApproval, OrgEvent, OrgId, Signed, to_canonical};
use http::StatusCode;
use minicbor::bytes::ByteVec;
use serde::Deserialize;

use super::body::CborBody;
use super::extract::{Asked, Params};
use super::signers::Requester;
use super::{cbor, stored_status};
use crate::app::App;
use crate::problem::Problem;
use crate::registry;

/// Most entries of a page; an entry has at most 36 KiB.
const PAGE: u32 = 200;

/// Which entries.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct After {
    #[serde(default)]
    after: u64,
}

/// The register: registrations, approvals and events of organisations in their order, from which everybody follows whose keys
/// count.
#[utoipa::path(get, path = "/v1/register", tag = "organisations",
    params(("after" = Option<u64>, Query, description = "Beginning after so many entries; 200 at most, none at the end")),
    responses(
        (status = 200, description = "CBOR array of entries as byte strings", body = Vec<u8>, content_type = "application/cbor"),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn get_register(
    State(app): State<Arc<App>>,
    Asked(page): Asked<After>,
) -> Result<Response, Problem> {
    let entries = app.store.register_after(page.after, PAGE).await?;
    let entries: Vec<ByteVec> = entries.into_iter().map(ByteVec::from).collect();
    Ok(cbor(StatusCode::OK, to_canonical(&entries)))
}

/// Another root key takes over, with its consent, or an issuer is announced.
#[utoipa::path(post, path = "/v1/orgs/{org}/keys", tag = "organisations",
    params(("org" = String, Path, description = "Identifier, 64 hexadecimal digits")),
    request_body(content = Vec<u8>, content_type = "application/cbor", description = "Signed<OrgEvent> that brings a key"),
    responses(
        (status = 201, description = "In the register, and logged"),
        (status = 200, description = "It was before"),
        (status = 409, description = "It does not follow the organisation's last event", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn post_keys(
    State(app): State<Arc<App>>,
    Params(org): Params<OrgId>,
    requester: Requester,
    CborBody(bytes): CborBody<{ Signed::<OrgEvent>::MAX_BYTES }>,
) -> Result<StatusCode, Problem> {
    event(&app, &org, &requester, &bytes, true).await
}

/// An organisation takes trust back: from devices, an issuer, its steward, or itself. Devices may be revoked with the issuer
/// key.
#[utoipa::path(post, path = "/v1/orgs/{org}/revocations", tag = "organisations",
    params(("org" = String, Path, description = "Identifier, 64 hexadecimal digits")),
    request_body(content = Vec<u8>, content_type = "application/cbor", description = "Signed<OrgEvent> that revokes"),
    responses(
        (status = 201, description = "In the register, and logged"),
        (status = 200, description = "It was before"),
        (status = 409, description = "It does not follow the organisation's last event", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn post_revocations(
    State(app): State<Arc<App>>,
    Params(org): Params<OrgId>,
    requester: Requester,
    CborBody(bytes): CborBody<{ Signed::<OrgEvent>::MAX_BYTES }>,
) -> Result<StatusCode, Problem> {
    event(&app, &org, &requester, &bytes, false).await
}

async fn event(
    app: &App,
    org: &OrgId,
    requester: &Requester,
    bytes: &[u8],
    rotation: bool,
) -> Result<StatusCode, Problem> {
    let signed = Signed::<OrgEvent>::from_bytes(bytes).map_err(Problem::malformed)?;
    same_signer(requester, signed.signer())?;
    if signed.peek().org != *org {
        return Err(Problem::forbidden(
            "the event is of another organisation than the path",
        ));
    }
    if signed.peek().change.is_rotation() != rotation {
        return Err(Problem::invalid(
            "keys go to .../keys, what takes trust back to .../revocations",
        ));
    }
    registry::register_entry(app, bytes)
        .await
        .map(stored_status)
}

/// A founder approves an organisation, whose registration the approval brings into the register.
#[utoipa::path(post, path = "/v1/orgs/{org}/approvals", tag = "organisations",
    params(("org" = String, Path, description = "Identifier of the organisation that is let in, 64 hexadecimal digits")),
    request_body(content = Vec<u8>, content_type = "application/cbor", description = "Signed<OrgApproval>"),
    responses(
        (status = 201, description = "In the register, and logged"),
        (status = 200, description = "It was before"),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn post_approvals(
    State(app): State<Arc<App>>,
    Params(org): Params<OrgId>,
    requester: Requester,
    CborBody(bytes): CborBody<{ Signed::<OrgApproval>::MAX_BYTES }>,
) -> Result<StatusCode, Problem> {
    let signed = Signed::<OrgApproval>::from_bytes(&bytes).map_err(Problem::malformed)?;
    same_signer(&requester, signed.signer())?;
    if signed.peek().org() != org {
        return Err(Problem::forbidden(
            "the approval is of another organisation than the path",
        ));
    }
    registry::approve_org(&app, &bytes).await.map(stored_status)
}

/// Who signed the request signed what is in it.
pub(super) fn same_signer(
    requester: &Requester,
    signer: dawn_identity::KeyId,
) -> Result<(), Problem> {
    if requester.key.id() == signer {
        return Ok(());
    }
    Err(Problem::forbidden(
        "request and statement are signed with different keys",
    ))
}
