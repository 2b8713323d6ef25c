//! What goes wrong, said as RFC 9457 problem details.
//!
//! Every answer that is not a success has this form, including those for unknown routes, wrong methods and
//! panics. `detail` says what the caller may do; nothing about the inside of the server is in it.

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;

/// The media type of RFC 9457.
pub const PROBLEM_JSON: &str = "application/problem+json";

/// A problem document; `type` is `urn:dawn:problem:<slug>`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Problem {
    /// `urn:dawn:problem:<slug>`: stable, for programs.
    #[serde(rename = "type")]
    pub kind: String,
    /// The same for every occurrence of this type.
    pub title: String,
    /// The HTTP status code.
    pub status: u16,
    /// What happened here, and what may help.
    pub detail: String,
}

macro_rules! problems {
    ($($(#[$doc:meta])* $name:ident, $status:ident, $slug:literal, $title:literal;)*) => {
        impl Problem {
            $($(#[$doc])* pub fn $name(detail: impl std::fmt::Display) -> Self {
                Self::new(StatusCode::$status, $slug, $title, detail)
            })*
        }
    };
}

problems! {
    /// 400: the request cannot be understood.
    malformed, BAD_REQUEST, "malformed", "The request is malformed";
    /// 401: administrative, and not signed as it must be.
    unsigned, UNAUTHORIZED, "unsigned", "The request is not signed as it must be";
    /// 401: the nonce does not count, or not any more. Signed over a new one, the same request may be let in.
    stale_nonce, UNAUTHORIZED, "stale-nonce", "The nonce does not count";
    /// 403: understood, and not allowed to this party.
    forbidden, FORBIDDEN, "forbidden", "This party may not do that";
    /// 404: no such thing here.
    not_found, NOT_FOUND, "not-found", "There is no such thing here";
    /// 405: the path exists, the method does not.
    wrong_method, METHOD_NOT_ALLOWED, "wrong-method", "The path does not take this method";
    /// 408: the body arrived too slowly.
    too_slow, REQUEST_TIMEOUT, "too-slow", "The request took too long";
    /// 409: contradicts what is stored; the first stays.
    conflict, CONFLICT, "conflict", "Something else is stored already";
    /// 409: the right thing at the wrong time.
    wrong_phase, CONFLICT, "wrong-phase", "The round is in another phase";
    /// 410: over, and will not come back.
    ended, GONE, "ended", "It has ended";
    /// 413: larger than its kind may be.
    too_large, PAYLOAD_TOO_LARGE, "too-large", "The body is too large";
    /// 415: not the media type of this endpoint.
    wrong_media_type, UNSUPPORTED_MEDIA_TYPE, "wrong-media-type", "The media type is not taken here";
    /// 422: well formed, and breaks a rule of the protocol.
    invalid, UNPROCESSABLE_ENTITY, "invalid", "A rule of the protocol is broken";
    /// 429: come back later, or not at all.
    quota, TOO_MANY_REQUESTS, "quota", "A limit is reached";
    /// 503: not now.
    unavailable, SERVICE_UNAVAILABLE, "unavailable", "The server cannot do this now";
    /// 500: our fault.
    internal, INTERNAL_SERVER_ERROR, "internal", "The server failed";
}

impl Problem {
    fn new(status: StatusCode, slug: &str, title: &str, detail: impl std::fmt::Display) -> Self {
        Self {
            kind: format!("urn:dawn:problem:{slug}"),
            title: title.to_owned(),
            status: status.as_u16(),
            detail: detail.to_string(),
        }
    }

    /// The HTTP status.
    pub fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = self.status();
        // A struct of strings and a number always serialises.
        let body = serde_json::to_vec(&self).unwrap_or_default();
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if status == StatusCode::SERVICE_UNAVAILABLE || status == StatusCode::TOO_MANY_REQUESTS {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

impl From<crate::store::StoreError> for Problem {
    fn from(error: crate::store::StoreError) -> Self {
        tracing::error!(%error, "the store failed");
        if error.is_temporary() {
            Self::unavailable("the database is busy or away; try again")
        } else {
            Self::internal("the store failed; the operator's log says why")
        }
    }
}

impl From<crate::payloads::PayloadError> for Problem {
    fn from(error: crate::payloads::PayloadError) -> Self {
        tracing::error!(%error, "the object store failed");
        Self::unavailable("the object store failed; try again")
    }
}
