//! `/healthz` and `/metrics`.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header;

use crate::app::App;
use crate::problem::Problem;

/// How long the database may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// Whether this replica can reach its database.
#[utoipa::path(get, path = "/healthz", tag = "operation",
    responses(
        (status = 200, description = "It can", body = String, content_type = "text/plain"),
        (status = "default", description = "It cannot", body = Problem, content_type = "application/problem+json")))]
pub async fn healthz(State(app): State<Arc<App>>) -> Result<&'static str, Problem> {
    match tokio::time::timeout(PATIENCE, app.store.ping()).await {
        Ok(Ok(())) => Ok("ok\n"),
        _ => Err(Problem::unavailable("the database is away")),
    }
}

/// Counters for Prometheus.
#[utoipa::path(get, path = "/metrics", tag = "operation",
    responses((status = 200, description = "Prometheus text", body = String, content_type = "text/plain")))]
pub async fn metrics(State(app): State<Arc<App>>) -> Response {
    (
        [(header::CONTENT_TYPE, "text/plain; version=0.0.4")],
        app.metrics.render(),
    )
        .into_response()
}
