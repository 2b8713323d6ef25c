//! A signed HTTP request to take apart.

use dawn_identity::http_signature::{
    ClaimedRequest, HttpSignatureError as Error, Parameters, RequestParts, sign,
};
use dawn_identity::{PublicKey, SecretKey};
use serde_json::Value;

use crate::fixture::NOW;

pub const TAG: &str = "dawn-org-register";
pub const BODY: &[u8] = b"hello";

/// A request that owns its parts.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    pub scheme: String,
    pub authority: String,
    pub path: String,
    pub query: Option<String>,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Request {
    pub fn with<T>(&self, f: impl FnOnce(&RequestParts<'_>) -> T) -> T {
        let headers: Vec<_> = self
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        f(&RequestParts {
            method: &self.method,
            scheme: &self.scheme,
            authority: &self.authority,
            path: &self.path,
            query: self.query.as_deref(),
            headers: &headers,
        })
    }

    pub fn check(&self, key: &PublicKey, at: u64) -> Result<ClaimedRequest, Error> {
        let claimed = self.with(|parts| ClaimedRequest::read(parts, TAG, at))?;
        claimed.verify_body(&self.body)?;
        claimed.verify(key)?;
        Ok(claimed)
    }

    pub fn header(&mut self, name: &str) -> &mut String {
        let found = self.headers.iter_mut().find(|(header, _)| header == name);
        &mut found.unwrap().1
    }

    pub fn header_of(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(header, _)| header == name);
        &found.unwrap().1
    }

    pub fn replaced(&self, name: &str, from: &str, to: &str) -> Self {
        let mut changed = self.clone();
        let value = changed.header(name);
        assert!(value.contains(from), "{value} has no {from}");
        *value = value.replacen(from, to, 1);
        changed
    }

    pub fn json(&self, key: &PublicKey) -> Value {
        let headers: serde_json::Map<_, _> = self
            .headers
            .iter()
            .map(|(name, value)| (name.clone(), Value::from(value.as_str())))
            .collect();
        let query = self
            .query
            .as_ref()
            .map(|query| format!("?{query}"))
            .unwrap_or_default();
        serde_json::json!({
            "method": self.method,
            "url": format!("{}://{}{}{query}", self.scheme, self.authority, self.path),
            "headers": headers,
            "body": hex::encode(&self.body),
            "key": key,
        })
    }

    pub fn from_json(value: &Value) -> Self {
        let text = |name: &str| value[name].as_str().unwrap().to_owned();
        let url = text("url");
        let (scheme, rest) = url.split_once("://").unwrap();
        let (rest, query) = match rest.split_once('?') {
            Some((rest, query)) => (rest, Some(query.to_owned())),
            None => (rest, None),
        };
        let at = rest.find('/').unwrap_or(rest.len());
        let headers = value["headers"].as_object().unwrap();
        Self {
            method: text("method"),
            scheme: scheme.to_owned(),
            authority: rest[..at].to_owned(),
            path: rest[at..].to_owned(),
            query,
            headers: headers
                .iter()
                .map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned()))
                .collect(),
            body: hex::decode(text("body")).unwrap(),
        }
    }
}

pub fn key() -> SecretKey {
    SecretKey::from_seed(&[7; 32])
}

pub fn unsigned() -> Request {
    Request {
        method: "POST".into(),
        scheme: "https".into(),
        authority: "example.com".into(),
        path: "/v1/orgs".into(),
        query: Some("a=b".into()),
        headers: Vec::new(),
        body: BODY.to_vec(),
    }
}

pub fn signed_by(request: &Request, parameters: &Parameters<'_>, key: &SecretKey) -> Request {
    let made = request
        .with(|parts| sign(parts, "application/cbor", &request.body, parameters, key))
        .unwrap();
    let mut request = request.clone();
    request.headers = vec![
        ("content-type".into(), "application/cbor".into()),
        ("content-digest".into(), made.content_digest),
        ("signature-input".into(), made.signature_input),
        ("signature".into(), made.signature),
    ];
    request
}

pub const PARAMETERS: Parameters<'static> = Parameters {
    tag: TAG,
    nonce: "abc-123",
    created: NOW,
    expires: NOW + 240,
};

pub fn signed() -> Request {
    signed_by(&unsigned(), &PARAMETERS, &key())
}
