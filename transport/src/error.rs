//! What can go wrong between a caller and the aggregator.

use crate::problem::Problem;

/// The type of the refusal of a nonce: of a replica that does not know the key that made it yet, for example.
const STALE_NONCE: &str = "urn:dawn:problem:stale-nonce";

/// Why a call did not give an answer.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// The base address is not an `http://` or `https://` URL without query or fragment.
    #[error("the server address {0:?} is not an http(s) URL")]
    BaseUrl(String),
    /// The TLS or HTTP client could not be set up on this machine.
    #[error("the HTTP client could not be set up: {0}")]
    Setup(String),
    /// No connection, or it broke before the answer was complete.
    #[error("no connection to the server: {0}")]
    Connection(String),
    /// The server did not answer in time.
    #[error("the server did not answer in time")]
    Timeout,
    /// The answer is larger than this kind of answer may be.
    #[error("the server's answer is larger than {limit} bytes")]
    TooLarge {
        /// The cap, in bytes.
        limit: u64,
    },
    /// The server refused the request and said why (RFC 9457).
    #[error("the server answered {}: {} ({})", .0.status, .0.title, .0.detail)]
    Problem(Problem),
    /// The server answered with a status that this call does not know (a redirect, for example).
    #[error("the server answered with an unexpected status {status}")]
    UnexpectedStatus {
        /// The HTTP status code.
        status: u16,
    },
    /// The answer is not the one canonical encoding of what was asked for.
    #[error("the server's answer is not a valid {what}: {why}")]
    Malformed {
        /// What was asked for.
        what: &'static str,
        /// What is wrong with the answer.
        why: String,
    },
    /// What the caller wanted to send cannot be encoded.
    #[error("the request cannot be encoded: {0}")]
    Encode(String),
    /// The caller's own file, reader or writer failed.
    #[error("local input or output failed: {0}")]
    Io(#[from] std::io::Error),
}

impl TransportError {
    /// The HTTP status that the server refused with, if it answered at all.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Problem(problem) => Some(problem.status),
            Self::UnexpectedStatus { status } => Some(*status),
            _ => None,
        }
    }

    /// Whether the same request may succeed later without anybody changing it: broken connections, timeouts,
    /// 429 and 5xx. Refusals, malformed and oversized answers are final.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Connection(_) | Self::Timeout => true,
            Self::Problem(problem) => transient_status(problem.status),
            Self::UnexpectedStatus { status } => transient_status(*status),
            Self::BaseUrl(_)
            | Self::Setup(_)
            | Self::TooLarge { .. }
            | Self::Malformed { .. }
            | Self::Encode(_)
            | Self::Io(_) => false,
        }
    }

    /// Whether a signed request was refused because of its nonce alone: signed over a new one it may succeed.
    pub(crate) fn is_stale_nonce(&self) -> bool {
        matches!(self, Self::Problem(problem) if problem.status == 401 && problem.kind == STALE_NONCE)
    }

    /// How a failed exchange of the HTTP library is told to the caller. The URL is left out: the caller knows it.
    pub(crate) fn from_http(error: reqwest::Error) -> Self {
        if error.is_timeout() {
            return Self::Timeout;
        }
        let error = error.without_url();
        let mut text = error.to_string();
        let mut source = std::error::Error::source(&error);
        while let Some(inner) = source {
            text.push_str(": ");
            text.push_str(&inner.to_string());
            source = inner.source();
        }
        Self::Connection(text)
    }
}

fn transient_status(status: u16) -> bool {
    status == 429 || (500..600).contains(&status) && status != 501 && status != 505
}
