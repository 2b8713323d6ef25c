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
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, header};
use serde::Serialize;

use super::body::{BodyReader, CBOR, check_length, check_media_type, too_large};
use super::signers::{Requester, candidates};
use crate::app::App;
use crate::clock::{now_ms, now_s};
use crate::nonces::{self, Nonce};
use crate::problem::Problem;
use crate::store::nonces::{Quota, Taken};

/// Headers of a request that are looked at; a request with more is refused.
const MOST_HEADERS: usize = 64;

/// Bytes of a refused request that are still read, so that its sender gets to read the answer.
const DRAIN_BYTES: u64 = 64 << 10;

/// What a request to this path is for, when it is administrative.
pub fn purpose(method: &Method, path: &str) -> Option<Purpose> {
    Some(match (method.as_str(), path) {
        ("POST", "/v1/federation") => Purpose::Found,
        ("POST", "/v1/orgs") => Purpose::Register,
        ("POST", "/v1/orgs/{org}/keys") => Purpose::Rotate,
        ("POST", "/v1/orgs/{org}/revocations") => Purpose::Revoke,
        ("POST", "/v1/orgs/{org}/approvals") => Purpose::Approve,
        ("PUT", "/v1/orgs/{org}/steward") => Purpose::EnrolSteward,
        ("POST", "/v1/federation/keys") => Purpose::ReplaceServerKey,
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

/// What the head of a request shows before any of the body is read.
struct Head {
    claimed: ClaimedRequest,
    nonce: Nonce,
    /// Whether a key of the register has signed it.
    known: bool,
}

async fn admit(app: &App, purpose: Purpose, request: Request) -> Result<Request, Problem> {
    let (mut parts, body) = request.into_parts();
    check_media_type(&parts.headers, CBOR)?;
    let most = super::signers::body_limit(purpose);
    check_length(&parts.headers, most as u64)?;
    let mut reader = BodyReader::new(body, &app.config.limits);
    match read(app, purpose, &parts, &mut reader).await {
        Ok((requester, body)) => {
            tracing::debug!(org = %requester.org, %purpose, "a signed request");
            parts.extensions.insert(requester);
            Ok(Request::from_parts(parts, Body::from(body)))
        }
        Err(problem) => {
            // Who sends little gets to read the answer; who announces much is cut off.
            let announced = parts.headers.get(header::CONTENT_LENGTH);
            let announced = announced.and_then(|value| value.to_str().ok()?.parse().ok());
            if announced.is_some_and(|length: u64| length <= DRAIN_BYTES) {
                reader.drain(DRAIN_BYTES).await;
            }
            Err(problem)
        }
    }
}

/// Everything that costs little comes first: of a request whose head does not pass no byte of the body is taken, and a
/// long one only after a key that is known here has signed its digest.
async fn read(
    app: &App,
    purpose: Purpose,
    parts: &Parts,
    reader: &mut BodyReader,
) -> Result<(Requester, Bytes), Problem> {
    let head = head(app, purpose, parts).await?;
    let most = super::signers::body_limit(purpose);
    let limit = if head.known {
        most
    } else {
        super::signers::unknown_body_limit(purpose)
    };
    // Whoever shows the same head again and again gets no more than this for it.
    let _place = match limit > DRAIN_BYTES as usize {
        true => Some(app.long_requests.take(*head.claimed.keyid()).await?),
        false => None,
    };
    let body = whole(reader, limit).await.map_err(|problem| {
        if problem.status == 413 && limit < most {
            Problem::too_large(format!(
                "of a key that is not announced here at most {limit} bytes are taken; announce the issuer, or sign the request with the owner's root key"
            ))
        } else {
            problem
        }
    })?;
    head.claimed.verify_body(&body).map_err(unsigned)?;
    let candidates = candidates(app, purpose, parts.uri.path(), &body).await?;
    let requester = candidates
        .into_iter()
        .find(|candidate| candidate.key.thumbprint() == *head.claimed.keyid())
        .ok_or_else(|| {
            Problem::unsigned(format!(
                "no key with thumbprint {} may ask for this ({purpose}): it is not a key of the organisation that the request speaks for, or was replaced or revoked, or is an issuer key without a certificate that counts now",
                head.claimed.keyid()
            ))
        })?;
    head.claimed.verify(&requester.key).map_err(unsigned)?;
    take_nonce(app, purpose, &head, &requester).await?;
    Ok((requester, body))
}

/// Looks at the head alone.
async fn head(app: &App, purpose: Purpose, parts: &Parts) -> Result<Head, Problem> {
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
    let claimed = ClaimedRequest::read(&seen, purpose.tag(), now_s()).map_err(unsigned)?;
    let nonce =
        nonces::read(&app.nonce_keys(), claimed.nonce(), now_ms()).ok_or_else(not_ours_or_old)?;
    let key = match purpose {
        // Whoever founds or registers is not known before.
        Purpose::Found | Purpose::Register => None,
        _ => app.known_key(claimed.keyid()).await?,
    };
    if let Some(key) = &key {
        claimed.verify(key).map_err(unsigned)?;
        // Looked at, not taken: it is taken when the body is there, and is the one that was signed.
        if app.store.nonce_was_taken(&nonce).await? {
            return Err(used());
        }
    }
    Ok(Head {
        claimed,
        nonce,
        known: key.is_some(),
    })
}

/// The last step, when all the rest holds: so nobody uses up another's nonce, and none counts twice.
async fn take_nonce(
    app: &App,
    purpose: Purpose,
    head: &Head,
    requester: &Requester,
) -> Result<(), Problem> {
    let limits = &app.config.limits;
    let quota = if requester.stranger {
        Quota::Strangers(limits.strangers_per_minute)
    } else {
        Quota::Key(limits.requests_per_key_per_minute)
    };
    let taken = app
        .store
        .take_nonce(&head.nonce, head.claimed.keyid(), purpose, quota)
        .await?;
    match taken {
        Taken::Now => Ok(()),
        Taken::Before => Err(used()),
        Taken::Expired => Err(not_ours_or_old()),
        Taken::TooMany if requester.stranger => Err(Problem::quota(
            "more requests come with keys that are nobody's yet than this server takes in a minute; try again in a minute",
        )),
        Taken::TooMany => Err(Problem::quota(
            "this key sends more requests than this server takes in a minute; try again in a minute",
        )),
    }
}

fn used() -> Problem {
    Problem::stale_nonce("the nonce was used before: get a new one and sign again")
}

fn not_ours_or_old() -> Problem {
    Problem::stale_nonce(
        "the nonce is not one of GET /v1/nonce, or too old: get a new one and sign again",
    )
}

fn unsigned(error: HttpSignatureError) -> Problem {
    match error {
        HttpSignatureError::Missing(_) => Problem::unsigned(format!(
            "{error}: this request must be signed as docs/identity-formats.md, section 8, says (RFC 9421); `dawn` does so"
        )),
        error => Problem::unsigned(error),
    }
}

/// All of a body of at most `limit` bytes.
async fn whole(reader: &mut BodyReader, limit: usize) -> Result<Bytes, Problem> {
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
    let keys = app.nonce_keys();
    let key = keys.first().copied().unwrap_or(&app.keys.aggregator);
    let (text, nonce) =
        nonces::issue(key, now).map_err(|_| Problem::internal("the system has no randomness"))?;
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
