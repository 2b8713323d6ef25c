//! `/healthz` and `/metrics`.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header;

use crate::app::App;
use crate::problem::Problem;

/// Whether this replica can reach its database.
#[utoipa::path(get, path = "/healthz", tag = "operation",
    responses(
        (status = 200, description = "It can", body = String, content_type = "text/plain"),
        (status = "default", description = "It cannot", body = Problem, content_type = "application/problem+json")))]
pub async fn healthz(State(app): State<Arc<App>>) -> Result<&'static str, Problem> {
    app.store
        .ping()
        .await
        .map_err(|_| Problem::unavailable("the database is away"))?;
    Ok("ok\n")
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
