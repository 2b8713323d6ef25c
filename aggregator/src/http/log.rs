//! `/v1/log`: the append-only sequence of signed statements.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use dawn_identity::to_canonical;
use dawn_protocol::log::LogEntry;
use http::StatusCode;
use serde::Deserialize;

use super::cbor;
use super::extract::Asked;
use crate::app::App;
use crate::log;
use crate::problem::Problem;

/// Most entries in one answer.
const PAGE: u32 = 256;

/// Size and Merkle root of the log, signed by the log key.
#[utoipa::path(get, path = "/v1/log/head", tag = "log",
    responses(
        (status = 200, description = "Signed<LogHead>", body = Vec<u8>, content_type = "application/cbor"),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn get_head(State(app): State<Arc<App>>) -> Result<Response, Problem> {
    Ok(cbor(StatusCode::OK, log::signed_head(&app).await?))
}

/// Which entries.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Range {
    #[serde(default)]
    from: u64,
    limit: Option<u32>,
}

/// Entries in their order.
#[utoipa::path(get, path = "/v1/log/entries", tag = "log",
    params(
        ("from" = Option<u64>, Query, description = "Index of the first entry, 0 when absent"),
        ("limit" = Option<u32>, Query, description = "Entries at most; never more than 256")),
    responses(
        (status = 200, description = "CBOR array of LogEntry", body = Vec<u8>, content_type = "application/cbor"),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn get_entries(
    State(app): State<Arc<App>>,
    Asked(range): Asked<Range>,
) -> Result<Response, Problem> {
    let limit = range.limit.unwrap_or(PAGE).min(PAGE);
    let entries: Vec<LogEntry> = app
        .store
        .log_entries(range.from, limit)
        .await?
        .into_iter()
        .map(|row| LogEntry {
            index: row.index,
            envelope: row.envelope,
        })
        .collect();
    Ok(cbor(StatusCode::OK, to_canonical(&entries)))
}
