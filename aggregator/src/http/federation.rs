//! `/v1/federation` and `/v1/aggregator`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use dawn_identity::{FederationEvent, FoundingDocument, PublicKey, ServerRole, Signed};
use http::StatusCode;
use serde::Serialize;

use super::body::CborBody;
use super::register::same_signer;
use super::signers::Requester;
use super::{cbor, stored_status};
use crate::app::App;
use crate::problem::Problem;
use crate::registry;

/// Posts the founding document, once.
#[utoipa::path(post, path = "/v1/federation", tag = "federation",
    request_body(content = Vec<u8>, content_type = "application/cbor", description = "FoundingDocument"),
    responses(
        (status = 201, description = "It is the federation of this aggregator from now on"),
        (status = 200, description = "It was already"),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn post_federation(
    State(app): State<Arc<App>>,
    _: Requester,
    CborBody(bytes): CborBody<{ FoundingDocument::MAX_BYTES }>,
) -> Result<StatusCode, Problem> {
    registry::found(&app, &bytes).await.map(stored_status)
}

/// Another key of the aggregator or of the log takes over, as founders decided. Rounds that were specified under the old key of the
/// aggregator are aborted.
#[utoipa::path(post, path = "/v1/federation/keys", tag = "federation",
    request_body(content = Vec<u8>, content_type = "application/cbor", description = "Signed<FederationEvent>"),
    responses(
        (status = 201, description = "In the register, and logged"),
        (status = 200, description = "It was before"),
        (status = 409, description = "It does not follow the last change of the server's keys, or the key is somebody's", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn post_federation_key(
    State(app): State<Arc<App>>,
    requester: Requester,
    CborBody(bytes): CborBody<{ Signed::<FederationEvent>::MAX_BYTES }>,
) -> Result<StatusCode, Problem> {
    let signed = Signed::<FederationEvent>::from_bytes(&bytes).map_err(Problem::malformed)?;
    same_signer(&requester, signed.signer())?;
    registry::replace_server_key(&app, &bytes)
        .await
        .map(stored_status)
}

/// The founding document, as posted.
#[utoipa::path(get, path = "/v1/federation", tag = "federation",
    responses(
        (status = 200, description = "FoundingDocument", body = Vec<u8>, content_type = "application/cbor"),
        (status = "default", description = "None yet", body = Problem, content_type = "application/problem+json")))]
pub async fn get_federation(State(app): State<Arc<App>>) -> Result<Response, Problem> {
    let document = app
        .store
        .founding_document()
        .await?
        .ok_or_else(|| Problem::not_found("this aggregator has no federation yet"))?;
    Ok(cbor(StatusCode::OK, document))
}

/// What a founding document must say about this aggregator.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct AggregatorInfo {
    /// The key that signs in rounds, hexadecimal.
    aggregator_key: String,
    /// The key that signs heads of the log, hexadecimal.
    log_key: String,
    /// Version of the protocol.
    protocol_version: u16,
    /// Version of this program.
    software_version: &'static str,
}

/// The keys of this aggregator.
#[utoipa::path(get, path = "/v1/aggregator", tag = "federation",
    responses((status = 200, body = AggregatorInfo)))]
pub async fn get_aggregator(State(app): State<Arc<App>>) -> Json<AggregatorInfo> {
    // Those that are the server's, when this process has them.
    let members = app.members().await.ok();
    let key = |role, current: Option<&PublicKey>, other: PublicKey| {
        let current = current.filter(|key| app.keys.of(role, key).is_some());
        hex::encode(current.unwrap_or(&other).as_bytes())
    };
    let (aggregator, log) = (app.keys.aggregator.public(), app.keys.log.public());
    let current = members.as_ref();
    let aggregator_key = key(
        ServerRole::Aggregator,
        current.map(|members| members.aggregator()),
        aggregator,
    );
    let log_key = key(ServerRole::Log, current.map(|members| members.log()), log);
    Json(AggregatorInfo {
        aggregator_key,
        log_key,
        protocol_version: dawn_protocol::PROTOCOL_VERSION,
        software_version: env!("CARGO_PKG_VERSION"),
    })
}
