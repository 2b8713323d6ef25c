//! The REST surface: one file per resource; each parses, calls and answers, nothing else.

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::payloads::ObjectKey;
use crate::problem::Problem;
use crate::registry::Stored;

pub mod body;
mod description;
mod examples;
mod extract;
mod federation;
mod health;
mod log;
mod orgs;
mod panics;
mod proofs;
mod register;
mod rosters;
mod rounds;
pub mod serve;
mod signed;
mod signers;
mod stall;
mod tasks;
mod tlog;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Dawn aggregator",
        description = "Secure aggregation for federated learning. Bodies of the protocol are CBOR and signed by \
            the party that they speak for; administrative requests are signed as well (RFC 9421); lists for people are JSON; every refusal is a problem document \
            (RFC 9457). The bytes are described in docs/protocol.md."
    ),
    components(schemas(Problem))
)]
struct Description;

/// All routes, and what their handlers say about them.
fn routes() -> (Router<Arc<App>>, utoipa::openapi::OpenApi) {
    OpenApiRouter::with_openapi(Description::openapi())
        .routes(routes!(
            federation::get_federation,
            federation::post_federation
        ))
        .routes(routes!(federation::post_federation_key))
        .routes(routes!(federation::get_aggregator))
        .routes(routes!(signed::get_nonce))
        .routes(routes!(orgs::list_orgs, orgs::post_org))
        .routes(routes!(orgs::get_org))
        .routes(routes!(orgs::get_registration))
        .routes(routes!(register::get_register))
        .routes(routes!(register::post_keys))
        .routes(routes!(register::post_revocations))
        .routes(routes!(register::post_approvals))
        .routes(routes!(orgs::put_steward))
        .routes(routes!(rosters::post_roster))
        .routes(routes!(rosters::get_roster))
        .routes(routes!(tasks::list_tasks, tasks::post_task))
        .routes(routes!(tasks::get_task))
        .routes(routes!(tasks::get_public_set))
        .routes(routes!(tasks::get_status))
        .routes(routes!(tasks::get_round))
        .routes(routes!(tasks::get_model))
        .routes(routes!(rounds::put_submission))
        .routes(routes!(rounds::get_work))
        .routes(routes!(rounds::get_packages))
        .routes(routes!(rounds::put_statement))
        .routes(routes!(rounds::get_statements))
        .routes(routes!(rounds::get_transcript))
        .routes(routes!(proofs::put_report))
        .routes(routes!(proofs::put_opening))
        .routes(routes!(proofs::get_challenge))
        .routes(routes!(proofs::get_answers))
        .routes(routes!(proofs::get_scalars))
        .routes(routes!(proofs::get_payload))
        .routes(routes!(log::get_head))
        .routes(routes!(log::get_entries))
        .routes(routes!(tlog::get_checkpoint))
        .routes(routes!(tlog::get_witnessed))
        .routes(routes!(tlog::get_proof))
        .routes(routes!(tlog::get_witness, tlog::post_witness))
        .routes(routes!(health::healthz))
        .routes(routes!(health::metrics))
        .split_for_parts()
}

/// The service.
pub fn router(app: Arc<App>) -> Router {
    let (router, description) = routes();
    let description = Bytes::from(description::describe(&description).to_string());
    router
        .route(
            "/openapi.json",
            axum::routing::get(move || async move { json_bytes(description) }),
        )
        // Paths of several elements (C2SP tlog-tiles), which no template names: description.rs describes them.
        .route("/v1/log/tile/{*path}", axum::routing::get(tlog::get_tile))
        .fallback(unknown)
        .method_not_allowed_fallback(wrong_method)
        .layer(middleware::from_fn_with_state(
            Arc::clone(&app),
            signed::layer,
        ))
        .layer(panics::layer(Arc::clone(&app.metrics)))
        .layer(middleware::from_fn_with_state(Arc::clone(&app), observe))
        .with_state(app)
}

async fn unknown() -> Problem {
    Problem::not_found("unknown path; all of them are in /openapi.json")
}

async fn wrong_method() -> Problem {
    Problem::wrong_method("all paths with their methods are in /openapi.json")
}

/// Counts requests by the pattern of their path, never by the path itself, which anyone may choose.
async fn observe(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let method = request.method().clone();
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or("unknown", MatchedPath::as_str)
        .to_owned();
    let response = next.run(request).await;
    let status = response.status();
    let method = match method.as_str() {
        known @ ("GET" | "HEAD" | "POST" | "PUT" | "DELETE") => known,
        _ => "other",
    };
    app.metrics.count(
        "dawn_http_requests_total",
        &[
            ("route", &route),
            ("method", method),
            ("status", status.as_str()),
        ],
    );
    app.metrics.observe(
        "dawn_http_request_seconds",
        &[("route", &route)],
        begun.elapsed().as_secs_f64(),
    );
    response
}

/// A body of CBOR.
fn cbor(status: StatusCode, bytes: impl Into<Bytes>) -> Response {
    let mut response = (status, bytes.into()).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(body::CBOR));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// An object as a streamed body; `None` when it is not there.
async fn object(app: &App, key: &ObjectKey) -> Result<Option<Response>, Problem> {
    let (size, stream) = match app.payloads.stream(key).await {
        Ok(found) => found,
        Err(error) if error.is_missing() => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let mut response = Body::from_stream(stream).into_response();
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/octet-stream"),
    );
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(size));
    Ok(Some(response))
}

fn json_bytes(bytes: Bytes) -> Response {
    let mut response = bytes.into_response();
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    response
}

/// 201 when something is new, 200 when it was there.
fn stored_status(stored: Stored) -> StatusCode {
    match stored {
        Stored::Now => StatusCode::CREATED,
        Stored::Already => StatusCode::OK,
    }
}
