//! Signed requests (RFC 9421): what administration asks of the aggregator.

use std::time::{SystemTime, UNIX_EPOCH};

use dawn_identity::SecretKey;
use dawn_identity::http_signature::{Parameters, Purpose, RequestParts, sign};
use reqwest::{Method, Request, Url, header};
use serde::{Deserialize, Serialize};

use crate::api::{Answer, Api, CBOR, Call, finish};
use crate::error::TransportError;
use crate::limits;

/// Seconds that a signature is good for.
const LIFETIME: u64 = 240;

/// The server's nonce for one signed request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nonce {
    /// The nonce.
    pub nonce: String,
    /// Until when it counts, unix seconds.
    pub expires: u64,
    /// The server's clock, unix seconds.
    pub now: u64,
}

/// Who signs a request, and what for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Signer<'a> {
    pub(crate) key: &'a SecretKey,
    pub(crate) purpose: Purpose,
}

impl Api {
    /// `GET /v1/nonce`: a nonce for one signed request.
    ///
    /// # Errors
    /// [`TransportError`].
    pub async fn nonce(&self) -> Result<Nonce, TransportError> {
        self.get_json("v1/nonce", "nonce", limits::ACKNOWLEDGEMENT)
            .await
    }

    /// Sends a body of CBOR, signed. Every attempt has a nonce and a signature of its own, so that one more is made also when the
    /// nonce did not count.
    pub(crate) async fn send_signed(
        &self,
        method: Method,
        path: &str,
        body: &[u8],
        signer: Signer<'_>,
    ) -> Result<Answer, TransportError> {
        let passing = |error: &TransportError| error.is_transient() || error.is_stale_nonce();
        self.repeated_while(passing, || self.attempt_signed(&method, path, body, signer))
            .await
    }

    async fn attempt_signed(
        &self,
        method: &Method,
        path: &str,
        body: &[u8],
        signer: Signer<'_>,
    ) -> Result<Answer, TransportError> {
        let call = Call::get("v1/nonce", limits::ACKNOWLEDGEMENT);
        let answer = self.attempt(&call).await?;
        let nonce: Nonce =
            serde_json::from_slice(&answer.body).map_err(|error| TransportError::Malformed {
                what: "nonce",
                why: error.to_string(),
            })?;
        let mut request = self
            .request(method.clone(), path, &[])?
            .timeout(self.exchange_timeout())
            .build()
            .map_err(TransportError::from_http)?;
        *request.body_mut() = Some(body.to_vec().into());
        let created = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_secs());
        let parameters = Parameters {
            tag: signer.purpose.tag(),
            nonce: &nonce.nonce,
            created,
            expires: created.saturating_add(LIFETIME),
        };
        add_signature(&mut request, body, &parameters, signer.key)?;
        let response = self.execute(request).await?;
        finish(response, limits::ACKNOWLEDGEMENT).await
    }
}

/// Host and port, as the host header will have them.
fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

fn add_signature(
    request: &mut Request,
    body: &[u8],
    parameters: &Parameters<'_>,
    key: &SecretKey,
) -> Result<(), TransportError> {
    let malformed = |why: String| TransportError::Malformed { what: "nonce", why };
    let url = request.url();
    let parts = RequestParts {
        method: request.method().as_str(),
        scheme: url.scheme(),
        authority: &authority(url),
        path: url.path(),
        query: url.query(),
        headers: &[],
    };
    // Of all that is signed only the nonce is somebody else's.
    let signed =
        sign(&parts, CBOR, body, parameters, key).map_err(|error| malformed(error.to_string()))?;
    let headers = [
        ("content-type", CBOR.to_owned()),
        ("content-digest", signed.content_digest),
        ("signature-input", signed.signature_input),
        ("signature", signed.signature),
    ];
    for (name, value) in headers {
        let value =
            header::HeaderValue::from_str(&value).map_err(|error| malformed(error.to_string()))?;
        request.headers_mut().insert(name, value);
    }
    Ok(())
}
