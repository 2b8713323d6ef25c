//! The client, and how one exchange is done and repeated.

use std::net::IpAddr;
use std::time::Duration;

use bytes::Bytes;
use reqwest::{Method, StatusCode, Url, header};

use crate::backoff::{Backoff, RetryPolicy};
use crate::body;
use crate::error::TransportError;
use crate::problem::{MAX_PROBLEM_BYTES, Problem};

/// The media type of every protocol message.
pub const CBOR: &str = "application/cbor";
/// Longest that a long-poll may ask to wait, in seconds.
pub const MAX_WAIT_SECONDS: u32 = 120;

/// Deadlines and patience of a client.
#[derive(Clone, Debug)]
pub struct Settings {
    /// For a connection to be made.
    pub connect_timeout: Duration,
    /// For a whole exchange whose answer is small. A long-poll adds what it asked to wait.
    pub exchange_timeout: Duration,
    /// For the next piece of a long upload or download; such an exchange has no other deadline.
    pub idle_timeout: Duration,
    /// How calls are repeated.
    pub retry: RetryPolicy,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            exchange_timeout: Duration::from_secs(60),
            idle_timeout: Duration::from_secs(60),
            retry: RetryPolicy::default(),
        }
    }
}

/// A client of one aggregator. Cheap to clone; clones share connections.
#[derive(Clone, Debug)]
pub struct Api {
    http: reqwest::Client,
    base: Url,
    settings: Settings,
}

/// One request, built anew for every attempt.
pub(crate) struct Call<'a> {
    pub(crate) method: Method,
    pub(crate) path: &'a str,
    pub(crate) query: &'a [(&'static str, u64)],
    pub(crate) body: Option<Bytes>,
    pub(crate) limit: u64,
    /// What a long-poll asks the server to wait.
    pub(crate) wait: Duration,
}

impl<'a> Call<'a> {
    pub(crate) fn get(path: &'a str, limit: u64) -> Self {
        Self {
            method: Method::GET,
            path,
            query: &[],
            body: None,
            limit,
            wait: Duration::ZERO,
        }
    }

    pub(crate) fn send(method: Method, path: &'a str, body: Vec<u8>, limit: u64) -> Self {
        Self {
            method,
            path,
            query: &[],
            body: Some(Bytes::from(body)),
            limit,
            wait: Duration::ZERO,
        }
    }

    pub(crate) fn query(mut self, query: &'a [(&'static str, u64)]) -> Self {
        self.query = query;
        self
    }

    pub(crate) fn wait(mut self, seconds: u32) -> Self {
        self.wait = Duration::from_secs(u64::from(seconds));
        self
    }
}

/// A successful answer.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: Vec<u8>,
}

impl Api {
    /// A client of the aggregator at `base_url` (`https://host[:port][/prefix]`, or `http://` on a trusted path),
    /// with the default [`Settings`].
    ///
    /// # Errors
    /// [`TransportError::BaseUrl`] or [`TransportError::Setup`].
    pub fn new(base_url: &str) -> Result<Self, TransportError> {
        Self::with_settings(base_url, Settings::default())
    }

    /// As [`Api::new`], with other deadlines or patience.
    ///
    /// # Errors
    /// [`TransportError::BaseUrl`] or [`TransportError::Setup`].
    pub fn with_settings(base_url: &str, settings: Settings) -> Result<Self, TransportError> {
        let invalid = || TransportError::BaseUrl(base_url.chars().take(200).collect());
        let mut base = Url::parse(base_url).map_err(|_| invalid())?;
        let host = base.host_str().ok_or_else(invalid)?.to_owned();
        if !matches!(base.scheme(), "http" | "https")
            || base.query().is_some()
            || base.fragment().is_some()
        {
            return Err(invalid());
        }
        // A base without a final slash would lose its last segment when a path is joined to it.
        if !base.path().ends_with('/') {
            let path = format!("{}/", base.path());
            base.set_path(&path);
        }
        // The TLS library wants one provider per process. Somebody else may have chosen one already: theirs stays.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("dawn/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(settings.connect_timeout)
            .read_timeout(settings.idle_timeout + Duration::from_secs(u64::from(MAX_WAIT_SECONDS)))
            .redirect(reqwest::redirect::Policy::none());
        if base.scheme() == "https" {
            builder = builder.https_only(true);
        } else {
            // No certificate is ever checked on this path, so a machine without any need not have them.
            builder = builder.tls_certs_only(std::iter::empty());
        }
        if is_loopback(&host) {
            builder = builder.no_proxy();
        }
        let http = builder
            .build()
            .map_err(|error| TransportError::Setup(error.to_string()))?;
        Ok(Self {
            http,
            base,
            settings,
        })
    }

    /// The address that this client talks to.
    pub fn base_url(&self) -> &str {
        self.base.as_str()
    }

    /// How this client repeats calls.
    pub fn retry_policy(&self) -> &RetryPolicy {
        &self.settings.retry
    }

    /// A request for `path` (relative, already escaped) without a body.
    pub(crate) fn request(
        &self,
        method: Method,
        path: &str,
        query: &[(&'static str, u64)],
    ) -> Result<reqwest::RequestBuilder, TransportError> {
        let mut url = self
            .base
            .join(path)
            .map_err(|_| TransportError::BaseUrl(path.to_owned()))?;
        if !query.is_empty() {
            let mut pairs = url.query_pairs_mut();
            for (name, value) in query {
                pairs.append_pair(name, &value.to_string());
            }
        }
        Ok(self.http.request(method, url))
    }

    /// One exchange, repeated as the policy says.
    pub(crate) async fn call(&self, call: Call<'_>) -> Result<Answer, TransportError> {
        self.repeated(|| self.attempt(&call)).await
    }

    /// Repeats `attempt` while it fails for a passing reason and the policy allows.
    pub(crate) async fn repeated<T, F>(
        &self,
        attempt: impl FnMut() -> F,
    ) -> Result<T, TransportError>
    where
        F: Future<Output = Result<T, TransportError>>,
    {
        self.repeated_while(TransportError::is_transient, attempt)
            .await
    }

    /// Repeats `attempt` while it fails with an error that `passing` accepts and the policy allows.
    pub(crate) async fn repeated_while<T, F>(
        &self,
        passing: impl Fn(&TransportError) -> bool,
        mut attempt: impl FnMut() -> F,
    ) -> Result<T, TransportError>
    where
        F: Future<Output = Result<T, TransportError>>,
    {
        let mut backoff = Backoff::new(&self.settings.retry);
        loop {
            let error = match attempt().await {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            let mut pause = backoff.next_pause_os();
            if !passing(&error) || backoff.failures() >= self.settings.retry.attempts {
                return Err(error);
            }
            if let TransportError::Problem(Problem {
                retry_after: Some(seconds),
                ..
            }) = &error
            {
                pause = pause.max(Duration::from_secs(*seconds).min(self.settings.retry.longest));
            }
            tracing::debug!(%error, ?pause, "trying again");
            tokio::time::sleep(pause).await;
        }
    }

    /// The deadline of an exchange whose answer is small.
    pub(crate) fn exchange_timeout(&self) -> Duration {
        self.settings.exchange_timeout
    }

    /// Sends one request that is ready.
    pub(crate) async fn execute(
        &self,
        request: reqwest::Request,
    ) -> Result<reqwest::Response, TransportError> {
        self.http
            .execute(request)
            .await
            .map_err(TransportError::from_http)
    }

    /// One exchange, once.
    pub(crate) async fn attempt(&self, call: &Call<'_>) -> Result<Answer, TransportError> {
        let mut request = self.request(call.method.clone(), call.path, call.query)?;
        request = request.timeout(self.settings.exchange_timeout + call.wait);
        if let Some(body) = &call.body {
            request = request
                .header(header::CONTENT_TYPE, CBOR)
                .body(body.clone());
        }
        let response = request.send().await.map_err(TransportError::from_http)?;
        finish(response, call.limit).await
    }
}

/// The body of a success, or the problem of a refusal; both bounded.
pub(crate) async fn finish(
    response: reqwest::Response,
    limit: u64,
) -> Result<Answer, TransportError> {
    let mut response = accepted(response).await?;
    let status = response.status();
    let body = body::read(&mut response, limit).await?;
    Ok(Answer { status, body })
}

/// The response itself when it is a success, with its body not read yet.
pub(crate) async fn accepted(
    mut response: reqwest::Response,
) -> Result<reqwest::Response, TransportError> {
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    if !status.is_client_error() && !status.is_server_error() {
        return Err(TransportError::UnexpectedStatus {
            status: status.as_u16(),
        });
    }
    let retry_after = response
        .headers()
        .get(header::RETRY_AFTER)
        .and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    // A refusal whose body is too long or breaks off is still that refusal.
    let text = body::read(&mut response, MAX_PROBLEM_BYTES as u64)
        .await
        .unwrap_or_default();
    Err(TransportError::Problem(Problem::parse(
        status.as_u16(),
        retry_after,
        &text,
    )))
}

fn is_loopback(host: &str) -> bool {
    host == "localhost"
        || host
            .trim_matches(|c| c == '[' || c == ']')
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}
