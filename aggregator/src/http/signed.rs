//! The layer that every administrative request passes: it is signed (RFC 9421) by a key that may ask for that, for this
//! purpose, now, and for the first time (docs/identity-formats.md, section 8).

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use bytes::{Bytes, BytesMut};
use dawn_identity::http_signature::{
    CLOCK_SKEW, ClaimedRequest, HttpSignatureError, MAX_LIFETIME, Purpose, RequestParts,
};
use http::{HeaderMap, HeaderValue, Method, header};
use serde::Serialize;

use super::body::{BodyReader, CBOR, check_length, check_media_type, too_large};
use super::signers::candidates;
use crate::app::App;
use crate::clock::{now_ms, now_s};
use crate::nonces;
use crate::problem::Problem;
use crate::store::nonces::{Quota, Taken};

/// Headers of a request that are looked at; a request with more is refused.
const MOST_HEADERS: usize = 64;

/// What a request to this path is for, when it is administrative.
pub fn purpose(method: &Method, path: &str) -> Option<Purpose> {
    Some(match (method.as_str(), path) {
        ("POST", "/v1/federation") => Purpose::Found,
        ("POST", "/v1/orgs") => Purpose::Register,
        ("POST", "/v1/orgs/{org}/keys") => Purpose::Rotate,
        ("POST", "/v1/orgs/{org}/revocations") => Purpose::Revoke,
        ("POST", "/v1/orgs/{org}/approvals") => Purpose::Approve,
        ("PUT", "/v1/orgs/{org}/steward") => Purpose::EnrolSteward,
        ("POST", "/v1/rosters") => Purpose::PostRoster,
        ("POST", "/v1/tasks") => Purpose::CreateTask,
        _ => return None,
    })
}

/// Lets administrative requests pass only when they are signed; says to the handler by whom.
pub async fn layer(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let path = request.extensions().get::<MatchedPath>();
    let purpose = path.and_then(|path| purpose(request.method(), path.as_str()));
    let Some(purpose) = purpose else {
        return next.run(request).await;
    };
    match admit(&app, purpose, request).await {
        Ok(request) => next.run(request).await,
        Err(problem) => {
            let unsigned = problem.status == 401;
            let mut response = problem.into_response();
            if unsigned && let Ok(asked) = HeaderValue::from_str(&accept_signature(purpose)) {
                response.headers_mut().insert("accept-signature", asked);
            }
            response
        }
    }
}

/// What a signature must have (RFC 9421, section 5.1).
fn accept_signature(purpose: Purpose) -> String {
    format!(
        "dawn=(\"@method\" \"@target-uri\" \"content-digest\" \"content-type\");created;expires;nonce;keyid;alg=\"ed25519\";tag=\"{purpose}\""
    )
}

async fn admit(app: &App, purpose: Purpose, request: Request) -> Result<Request, Problem> {
    let (mut parts, body) = request.into_parts();
    let limit = super::signers::body_limit(purpose);
    check_media_type(&parts.headers, CBOR)?;
    check_length(&parts.headers, limit as u64)?;
    let body = read(app, body, limit).await?;

    let headers = headers(&parts.headers)?;
    let (scheme, authority) = address(app, &parts.headers)?;
    let seen = RequestParts {
        method: parts.method.as_str(),
        scheme,
        authority,
        path: parts.uri.path(),
        query: parts.uri.query(),
        headers: &headers,
    };
    let now = now_s();
    let claimed = ClaimedRequest::read(&seen, &body, purpose.tag(), now).map_err(unsigned)?;
    let nonce = nonces::read(&app.keys.aggregator, claimed.nonce(), now_ms()).ok_or_else(|| {
        Problem::unsigned(
            "the nonce is not one of GET /v1/nonce, or too old: get a new one and sign again",
        )
    })?;
    let candidates = candidates(app, purpose, parts.uri.path(), &body).await?;
    let requester = candidates
        .into_iter()
        .find(|candidate| candidate.key.thumbprint() == *claimed.keyid())
        .ok_or_else(|| {
            Problem::unsigned(format!(
                "no key with thumbprint {} may ask for this ({purpose}): it is not a key of the organisation that the request speaks for, or was replaced or revoked",
                claimed.keyid()
            ))
        })?;
    claimed.verify(&requester.key).map_err(unsigned)?;
    let limits = &app.config.limits;
    let quota = if requester.stranger {
        Quota::Strangers(limits.strangers_per_minute)
    } else {
        Quota::Key(limits.requests_per_key_per_minute)
    };
    let taken = app
        .store
        .take_nonce(&nonce, claimed.keyid(), purpose, quota, now_ms())
        .await?;
    match taken {
        Taken::Now => {}
        Taken::Before => {
            return Err(Problem::unsigned(
                "the nonce was used before: get a new one and sign again",
            ));
        }
        Taken::TooMany if requester.stranger => {
            return Err(Problem::quota(
                "more organisations ask to be registered than this server takes in a minute; try again in a minute",
            ));
        }
        Taken::TooMany => {
            return Err(Problem::quota(
                "this key sends more requests than this server takes in a minute; try again in a minute",
            ));
        }
    }
    tracing::debug!(org = %requester.org, %purpose, "a signed request");
    parts.extensions.insert(requester);
    Ok(Request::from_parts(parts, Body::from(body)))
}

fn unsigned(error: HttpSignatureError) -> Problem {
    match error {
        HttpSignatureError::Missing(_) => Problem::unsigned(format!(
            "{error}: this request must be signed as docs/identity-formats.md, section 8, says (RFC 9421); `dawn` does so"
        )),
        error => Problem::unsigned(error),
    }
}

async fn read(app: &App, body: Body, limit: usize) -> Result<Bytes, Problem> {
    let mut reader = BodyReader::new(body, &app.config.limits);
    let mut bytes = BytesMut::new();
    while let Some(piece) = reader.next().await? {
        if bytes.len() + piece.len() > limit {
            return Err(too_large(limit as u64));
        }
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes.freeze())
}

/// The headers as the signature sees them.
fn headers(headers: &HeaderMap) -> Result<Vec<(&str, &str)>, Problem> {
    if headers.len() > MOST_HEADERS {
        return Err(Problem::malformed("too many headers"));
    }
    // A value that is not ASCII cannot be covered: where it is, it is missing here.
    Ok(headers
        .iter()
        .filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)))
        .collect())
}

/// Scheme and authority of the address that the client called.
fn address<'a>(app: &'a App, headers: &'a HeaderMap) -> Result<(&'a str, &'a str), Problem> {
    if let Some(address) = app.config.public_address() {
        return Ok(address);
    }
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    Ok((
        "http",
        host.ok_or_else(|| Problem::malformed("the request has no host header"))?,
    ))
}

/// A nonce for one signed request.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct NonceInfo {
    /// The nonce, for the parameter of the same name.
    nonce: String,
    /// Until when it counts, unix seconds.
    expires: u64,
    /// The time of this server, unix seconds: `created` may be at most `clock_skew` seconds later.
    now: u64,
    /// How far a signer's clock may be ahead, in seconds.
    clock_skew: u64,
    /// Longest time from `created` to `expires` of a signature, in seconds.
    max_lifetime: u64,
}

/// A nonce for one signed request. Nothing is stored until it is used.
#[utoipa::path(get, path = "/v1/nonce", tag = "organisations",
    responses(
        (status = 200, body = NonceInfo),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn get_nonce(State(app): State<Arc<App>>) -> Result<Response, Problem> {
    let now = now_ms();
    let (text, nonce) = nonces::issue(&app.keys.aggregator, now)
        .map_err(|_| Problem::internal("the system has no randomness"))?;
    let info = NonceInfo {
        nonce: text,
        expires: nonce.expires_ms / 1000,
        now: now / 1000,
        clock_skew: CLOCK_SKEW,
        max_lifetime: MAX_LIFETIME,
    };
    let mut response = Json(info).into_response();
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}
