//! The text that is signed (RFC 9421, section 2.5) and where its parts come from.

use super::HttpSignatureError;
use super::fields::SignatureInput;

/// A request as the signature sees it.
#[derive(Clone, Copy, Debug)]
pub struct RequestParts<'a> {
    /// `GET`, `POST`, ...; case matters.
    pub method: &'a str,
    /// `http` or `https`.
    pub scheme: &'a str,
    /// Host and port as in the `host` header. In `@target-uri` it stands as it is; `@authority` has it in lower case and
    /// without a port that the scheme has anyway.
    pub authority: &'a str,
    /// The path as it is on the wire, still escaped.
    pub path: &'a str,
    /// What follows the question mark, as it is on the wire.
    pub query: Option<&'a str>,
    /// The headers: names in lower case, values without outer spaces. Repeated names are repeated.
    pub headers: &'a [(&'a str, &'a str)],
}

impl<'a> RequestParts<'a> {
    /// The value of a header that must be there once.
    ///
    /// # Errors
    /// [`HttpSignatureError::Missing`], [`HttpSignatureError::Repeated`].
    pub fn header(&self, name: &'static str) -> Result<&'a str, HttpSignatureError> {
        self.find(name)?.ok_or(HttpSignatureError::Missing(name))
    }

    fn find(&self, name: &str) -> Result<Option<&'a str>, HttpSignatureError> {
        let mut found = self.headers.iter().filter(|(header, _)| *header == name);
        let first = found.next();
        if found.next().is_some() {
            return Err(HttpSignatureError::Repeated(name.to_owned()));
        }
        Ok(first.map(|(_, value)| *value))
    }

    /// Lower case, and without the port that the scheme has anyway (RFC 9421, section 2.2.3).
    fn authority(&self) -> String {
        let authority = self.authority.to_ascii_lowercase();
        let port = match self.scheme {
            "https" => ":443",
            _ => ":80",
        };
        match authority.strip_suffix(port) {
            // `[::1:80]` would be an address, not a port.
            Some(host) if !host.starts_with('[') || host.ends_with(']') => host.to_owned(),
            _ => authority,
        }
    }

    fn path(&self) -> &'a str {
        if self.path.is_empty() { "/" } else { self.path }
    }

    fn component(&self, name: &str) -> Result<String, HttpSignatureError> {
        let query = || self.query.map(|query| format!("?{query}"));
        Ok(match name {
            "@method" => self.method.to_owned(),
            "@authority" => self.authority(),
            "@path" => self.path().to_owned(),
            "@query" => query().unwrap_or_else(|| "?".to_owned()),
            "@target-uri" => format!(
                "{}://{}{}{}",
                self.scheme,
                self.authority,
                self.path(),
                query().unwrap_or_default()
            ),
            header if !header.starts_with('@') => self
                .find(header)?
                .ok_or_else(|| HttpSignatureError::Component(name.to_owned()))?
                .trim_matches([' ', '\t'])
                .to_owned(),
            _ => return Err(HttpSignatureError::Component(name.to_owned())),
        })
    }
}

/// The signature base: a line for every covered component, then one for the parameters.
pub(super) fn signature_base(
    request: &RequestParts<'_>,
    input: &SignatureInput,
) -> Result<String, HttpSignatureError> {
    let mut base = String::new();
    for name in &input.components {
        let value = request.component(name)?;
        // A line break in a value would be another line of the base.
        if !value
            .bytes()
            .all(|byte| matches!(byte, b'\t' | 0x20..=0x7e))
        {
            return Err(HttpSignatureError::Component(name.clone()));
        }
        base.push_str(&format!("\"{name}\": {value}\n"));
    }
    base.push_str(&format!("\"@signature-params\": {}", input.parameters()));
    Ok(base)
}
