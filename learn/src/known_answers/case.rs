//! A case and the forms in which its numbers are written.

use super::Refusal;
use crate::backend::Backend;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};
use std::fmt::Debug;

/// The fields that nobody has read yet.
#[derive(Debug)]
pub(super) struct Case(Map<String, Value>);

/// The error of an answer that is another.
pub(super) fn same<T: PartialEq + Debug>(
    what: &str,
    found: &T,
    expected: &T,
) -> Result<(), Refusal> {
    if found == expected {
        return Ok(());
    }
    Err(Refusal::Differs(format!(
        "{what} is {found:?}, expected {expected:?}"
    )))
}

pub(super) fn backends() -> Vec<Backend> {
    Backend::available()
}

impl Case {
    pub(super) fn new(fields: Map<String, Value>) -> Self {
        Self(fields)
    }

    pub(super) fn is_read(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }

    pub(super) fn take(&mut self, key: &str) -> Value {
        self.0
            .remove(key)
            .unwrap_or_else(|| panic!("{key} is missing in {self:?}"))
    }

    pub(super) fn text(&mut self, key: &str) -> String {
        match self.take(key) {
            Value::String(text) => text,
            other => panic!("{key} is {other}"),
        }
    }

    pub(super) fn hex(&mut self, key: &str) -> Vec<u8> {
        let text = self.text(key);
        let digit = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).expect("hexadecimal");
        (0..text.len()).step_by(2).map(digit).collect()
    }

    pub(super) fn seed(&mut self, key: &str) -> [u8; 32] {
        self.hex(key).try_into().expect("32 bytes")
    }

    /// A number of a type that it fits.
    pub(super) fn number<T: TryFrom<i128>>(&mut self, key: &str) -> T {
        self.option(key).unwrap_or_else(|| panic!("{key} is null"))
    }

    /// The same, or null.
    pub(super) fn option<T: TryFrom<i128>>(&mut self, key: &str) -> Option<T> {
        match self.take(key) {
            Value::Null => None,
            value => Some(integer(&value)),
        }
    }

    /// Integers: listed, or made from a name.
    pub(super) fn integers<T: TryFrom<i128>>(&mut self, key: &str) -> Vec<T> {
        let value = self.take(key);
        if let Value::Array(all) = &value {
            return all.iter().map(integer).collect();
        }
        let part = |part: &str| &value[part];
        let name = part("stream").as_str().expect("a name");
        let bound: i128 = integer(part("bound"));
        let mut bytes = vec![0; 4 * integer::<usize>(part("count"))];
        let mut hasher = blake3::Hasher::new();
        hasher.update(format!("dawn vectors {name}").as_bytes());
        hasher.finalize_xof().fill(&mut bytes);
        let words = bytes
            .as_chunks::<4>()
            .0
            .iter()
            .map(|word| u32::from_le_bytes(*word));
        words
            .map(|word| fit(i128::from(word) % (2 * bound + 1) - bound))
            .collect()
    }

    /// Compares with an answer: a list, or a digest.
    pub(super) fn answer(&mut self, key: &str, found: &[i32]) -> Result<(), Refusal> {
        let value = self.take(key);
        if let Value::Array(all) = &value {
            return same(key, &found.to_vec(), &all.iter().map(integer).collect());
        }
        let bytes: Vec<u8> = found
            .iter()
            .flat_map(|number| number.to_le_bytes())
            .collect();
        let digest: String = Sha256::digest(&bytes)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let found = serde_json::json!({
            "count": found.len(),
            "first": &found[..4],
            "last": &found[found.len() - 2..],
            "sha256": digest,
        });
        same(key, &found, &value)
    }

    /// Compares with a number, a list or a text.
    pub(super) fn is<T: serde::Serialize>(&mut self, key: &str, found: &T) -> Result<(), Refusal> {
        let expected = self.take(key);
        same(key, &serde_json::to_value(found).expect("JSON"), &expected)
    }

    pub(super) fn is_digest(&mut self, key: &str, bytes: &[u8]) -> Result<(), Refusal> {
        self.is(key, &blake3::hash(bytes).to_hex().to_string())
    }
}

fn integer<T: TryFrom<i128>>(value: &Value) -> T {
    let number = value
        .as_i64()
        .map(i128::from)
        .or(value.as_u64().map(i128::from));
    fit(number.unwrap_or_else(|| panic!("{value} is no integer")))
}

fn fit<T: TryFrom<i128>>(number: i128) -> T {
    T::try_from(number).unwrap_or_else(|_| panic!("{number} does not fit"))
}
