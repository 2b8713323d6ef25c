//! `/v1/federation` and `/v1/aggregator`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use dawn_identity::FoundingDocument;
use http::StatusCode;
use serde::Serialize;

use super::body::CborBody;
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
    Json(AggregatorInfo {
        aggregator_key: hex::encode(app.keys.aggregator.public().as_bytes()),
        log_key: hex::encode(app.keys.log.public().as_bytes()),
        protocol_version: dawn_protocol::PROTOCOL_VERSION,
        software_version: env!("CARGO_PKG_VERSION"),
    })
}
