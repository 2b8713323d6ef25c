//! The structured fields of a signature (RFC 8941, as RFC 9421 and RFC 9530 use it), in the one spelling that is accepted.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::HttpSignatureError;
use crate::keys::Signature;

/// Most bytes of a `signature-input` header.
const MAX_INPUT_BYTES: usize = 2048;
/// Most bytes of a `signature` or `content-digest` header.
const MAX_VALUE_BYTES: usize = 256;
/// Most components that a signature may cover.
const MAX_COMPONENTS: usize = 16;
/// Most bytes of a label or of the name of a component.
const MAX_NAME_BYTES: usize = 64;
/// The largest integer of a structured field (RFC 8941, section 3.3.1).
const MAX_INTEGER: u64 = 999_999_999_999_999;

const INPUT: &str = "signature-input";

fn malformed(header: &'static str, why: &'static str) -> HttpSignatureError {
    HttpSignatureError::Malformed { header, why }
}

/// The one member of a `signature-input` header: which components are covered, and the parameters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SignatureInput {
    /// The label that the `signature` header repeats.
    pub label: String,
    /// The covered components in their order: derived ones (`@method`) and header names in lower case.
    pub components: Vec<String>,
    /// Unix seconds.
    pub created: Option<u64>,
    /// Unix seconds.
    pub expires: Option<u64>,
    /// The server's nonce.
    pub nonce: Option<String>,
    /// Which key.
    pub keyid: Option<String>,
    /// Which algorithm.
    pub alg: Option<String>,
    /// For which purpose.
    pub tag: Option<String>,
    /// The parameters' names in the order in which they were written; empty for the usual one.
    pub order: Vec<&'static str>,
}

/// The parameters, in the order in which they are written here.
const PARAMETERS: [&str; 6] = ["created", "expires", "nonce", "keyid", "alg", "tag"];

impl SignatureInput {
    /// Reads a header with one member.
    ///
    /// # Errors
    /// [`HttpSignatureError::TooLong`], [`HttpSignatureError::Malformed`].
    pub fn parse(text: &str) -> Result<Self, HttpSignatureError> {
        if text.len() > MAX_INPUT_BYTES {
            return Err(HttpSignatureError::TooLong(INPUT));
        }
        let (label, rest) = split_label(INPUT, text)?;
        let mut input = Self {
            label: label.to_owned(),
            ..Self::default()
        };
        let rest = rest
            .strip_prefix('(')
            .ok_or(malformed(INPUT, "no list of components"))?;
        let (list, mut rest) = rest
            .split_once(')')
            .ok_or(malformed(INPUT, "the list of components has no end"))?;
        for item in list.split(' ').filter(|_| !list.is_empty()) {
            input.components.push(component(item)?);
        }
        let mut sorted = input.components.clone();
        sorted.sort();
        if input.components.len() > MAX_COMPONENTS
            || sorted.windows(2).any(|pair| pair[0] == pair[1])
        {
            return Err(malformed(INPUT, "a component twice, or too many of them"));
        }
        while !rest.is_empty() {
            rest = input.parameter(rest)?;
        }
        Ok(input)
    }

    /// Reads one parameter; gives what follows it.
    fn parameter<'a>(&mut self, text: &'a str) -> Result<&'a str, HttpSignatureError> {
        let text = text.strip_prefix(';').ok_or(malformed(
            INPUT,
            "something after the parameters; one signature a request",
        ))?;
        let (name, text) = text
            .split_once('=')
            .ok_or(malformed(INPUT, "a parameter without a value"))?;
        let known = PARAMETERS
            .iter()
            .find(|known| **known == name)
            .ok_or(malformed(INPUT, "an unknown parameter"))?;
        if self.order.contains(known) {
            return Err(malformed(INPUT, "a parameter twice"));
        }
        self.order.push(known);
        if let "created" | "expires" = name {
            let end = text
                .find(|c: char| !c.is_ascii_digit())
                .unwrap_or(text.len());
            let (digits, rest) = text.split_at(end);
            let value = digits.parse().ok().filter(|value| *value <= MAX_INTEGER);
            let value: u64 = value.ok_or(malformed(INPUT, "a time is not an integer"))?;
            if value.to_string() != digits {
                return Err(malformed(INPUT, "an integer with leading zeros"));
            }
            *(if name == "created" {
                &mut self.created
            } else {
                &mut self.expires
            }) = Some(value);
            return Ok(rest);
        }
        let text = text
            .strip_prefix('"')
            .ok_or(malformed(INPUT, "a parameter is not a string"))?;
        let (value, rest) = text
            .split_once('"')
            .ok_or(malformed(INPUT, "a string without an end"))?;
        if !value.bytes().all(plain) {
            return Err(malformed(
                INPUT,
                "a string with an escape or a control character",
            ));
        }
        let slot = match name {
            "nonce" => &mut self.nonce,
            "keyid" => &mut self.keyid,
            "alg" => &mut self.alg,
            _ => &mut self.tag,
        };
        *slot = Some(value.to_owned());
        Ok(rest)
    }

    /// The components and parameters as the signature base and the header have them.
    pub fn parameters(&self) -> String {
        let names: Vec<String> = self
            .components
            .iter()
            .map(|name| format!("\"{name}\""))
            .collect();
        let mut text = format!("({})", names.join(" "));
        let order: &[&str] = if self.order.is_empty() {
            &PARAMETERS
        } else {
            &self.order
        };
        for name in order {
            let value = match *name {
                "created" => self.created.map(|value| value.to_string()),
                "expires" => self.expires.map(|value| value.to_string()),
                "nonce" => quoted(&self.nonce),
                "keyid" => quoted(&self.keyid),
                "alg" => quoted(&self.alg),
                _ => quoted(&self.tag),
            };
            if let Some(value) = value {
                text.push_str(&format!(";{name}={value}"));
            }
        }
        text
    }

    /// The header.
    pub fn serialise(&self) -> String {
        format!("{}={}", self.label, self.parameters())
    }
}

fn quoted(value: &Option<String>) -> Option<String> {
    value.as_ref().map(|value| format!("\"{value}\""))
}

/// Visible ASCII and the space, but for the two characters that a string would escape.
fn plain(byte: u8) -> bool {
    matches!(byte, 0x20..=0x7e) && byte != b'"' && byte != b'\\'
}

/// A component's name: a quoted lower-case name without parameters.
fn component(item: &str) -> Result<String, HttpSignatureError> {
    let name = item
        .strip_prefix('"')
        .and_then(|item| item.strip_suffix('"'))
        .ok_or(malformed(INPUT, "a component is not a plain string"))?;
    let letters = name.strip_prefix('@').unwrap_or(name);
    let fine = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_');
    if letters.is_empty() || name.len() > MAX_NAME_BYTES || !letters.bytes().all(fine) {
        return Err(malformed(INPUT, "a component's name is not one"));
    }
    // They cannot be covered: the signature is made over their own values.
    if matches!(name, "signature" | "signature-input") {
        return Err(malformed(INPUT, "a signature that covers itself"));
    }
    Ok(name.to_owned())
}

/// The label of a dictionary's one member, and its value.
fn split_label<'a>(
    header: &'static str,
    text: &'a str,
) -> Result<(&'a str, &'a str), HttpSignatureError> {
    let (label, rest) = text
        .split_once('=')
        .ok_or(malformed(header, "no label with a value"))?;
    let first = |byte: u8| matches!(byte, b'a'..=b'z' | b'*');
    let other = |byte: u8| first(byte) || matches!(byte, b'0'..=b'9' | b'_' | b'-' | b'.');
    let named = label.bytes().next().is_some_and(first) && label.bytes().all(other);
    if named && label.len() <= MAX_NAME_BYTES {
        Ok((label, rest))
    } else {
        Err(malformed(header, "the label is not one"))
    }
}

/// The bytes of a dictionary's one member, `label=:base64:`.
fn parse_bytes<const N: usize>(
    header: &'static str,
    text: &str,
    label: &str,
) -> Result<[u8; N], HttpSignatureError> {
    if text.len() > MAX_VALUE_BYTES {
        return Err(HttpSignatureError::TooLong(header));
    }
    let (found, rest) = split_label(header, text)?;
    if found != label {
        return Err(malformed(
            header,
            "the label is another one, or the algorithm is not sha-256",
        ));
    }
    let bytes = rest
        .strip_prefix(':')
        .and_then(|rest| rest.strip_suffix(':'))
        .and_then(|rest| STANDARD.decode(rest).ok())
        .and_then(|bytes| <[u8; N]>::try_from(bytes).ok());
    bytes.ok_or(malformed(
        header,
        "not one byte sequence of the right length in base64",
    ))
}

/// Reads the `signature` header for the signature with this label.
///
/// # Errors
/// [`HttpSignatureError::TooLong`], [`HttpSignatureError::Malformed`].
pub fn parse_signature(text: &str, label: &str) -> Result<Signature, HttpSignatureError> {
    let bytes: [u8; Signature::BYTES] = parse_bytes("signature", text, label)?;
    Signature::from_bytes(&bytes).map_err(|_| malformed("signature", "not 64 bytes"))
}

/// Writes a `signature` header.
pub fn serialise_signature(label: &str, signature: &Signature) -> String {
    format!("{label}=:{}:", STANDARD.encode(signature.as_bytes()))
}

pub(super) fn parse_digest(text: &str) -> Result<[u8; 32], HttpSignatureError> {
    parse_bytes("content-digest", text, "sha-256")
}

pub(super) fn serialise_digest(digest: &[u8; 32]) -> String {
    format!("sha-256=:{}:", STANDARD.encode(digest))
}
