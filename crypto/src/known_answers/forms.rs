//! How vectors write what is long (`test_vectors/README.md`).

use super::refusal::{Refusal, equal};
use crate::mask::payload_bytes;
use crate::params::{N, Q};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// A case's fields: all of them, and no others.
pub(super) fn fields<T: DeserializeOwned>(case: Value) -> T {
    let text = case.to_string();
    serde_json::from_value(case)
        .unwrap_or_else(|error| panic!("{error}: {}", &text[..text.len().min(200)]))
}

pub(super) fn hex(text: &str) -> Vec<u8> {
    hex::decode(text).expect("hexadecimal")
}

pub(super) fn hex32(text: &str) -> [u8; 32] {
    hex(text).try_into().expect("32 bytes")
}

/// The bytes that a name stands for.
fn stream_of(name: &str) -> blake3::OutputReader {
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"dawn vectors ").update(name.as_bytes());
    hasher.finalize_xof()
}

fn words_of(mut stream: blake3::OutputReader) -> impl Iterator<Item = u32> {
    core::iter::repeat_with(move || {
        let mut le = [0; 4];
        stream.fill(&mut le);
        u32::from_le_bytes(le)
    })
}

/// Elements, or words that should be.
#[derive(Deserialize)]
#[serde(untagged, deny_unknown_fields)]
pub(super) enum Elements {
    Whole(String),
    Stream {
        stream: String,
        count: usize,
        #[serde(default)]
        patch: Vec<(usize, u32)>,
        block: Option<usize>,
    },
    Sparse {
        sparse: Vec<(usize, u32)>,
        count: usize,
    },
    Constant {
        constant: u32,
        count: usize,
    },
}

impl Elements {
    pub(super) fn words(&self) -> Vec<u32> {
        let put = |mut words: Vec<u32>, entries: &[(usize, u32)]| {
            for &(index, word) in entries {
                words[index] = word;
            }
            words
        };
        match self {
            Elements::Whole(text) => {
                let bytes = hex(text);
                let (words, rest) = bytes.as_chunks::<4>();
                assert!(rest.is_empty(), "whole words");
                words.iter().map(|le| u32::from_le_bytes(*le)).collect()
            }
            Elements::Stream {
                stream,
                count,
                patch,
                block,
            } => {
                let kept = words_of(stream_of(stream)).filter(|word| *word < Q);
                let words = put(kept.take(*count).collect(), patch);
                match block {
                    None => words,
                    Some(block) => words[block * N..(block + 1) * N].to_vec(),
                }
            }
            Elements::Sparse { sparse, count } => put(vec![0; *count], sparse),
            Elements::Constant { constant, count } => vec![*constant; *count],
        }
    }

    /// Of a ring element.
    pub(super) fn ring(&self) -> [u32; N] {
        self.words().try_into().expect("2048 words")
    }
}

/// Signed integers.
#[derive(Deserialize)]
#[serde(untagged, deny_unknown_fields)]
pub(super) enum Integers {
    List(Vec<i32>),
    Stream {
        stream: String,
        bound: u32,
        count: usize,
    },
}

impl Integers {
    pub(super) fn values(&self) -> Vec<i32> {
        match self {
            Integers::List(values) => values.clone(),
            Integers::Stream {
                stream,
                bound,
                count,
            } => {
                let bound = i64::from(*bound);
                words_of(stream_of(stream))
                    .map(|word| i64::from(word) % (2 * bound + 1) - bound)
                    .map(|value| value.try_into().expect("32 bits"))
                    .take(*count)
                    .collect()
            }
        }
    }
}

/// Bytes: in hexadecimal, or those of words with something cut off or appended.
#[derive(Deserialize)]
#[serde(untagged, deny_unknown_fields)]
pub(super) enum Bytes {
    Hex(String),
    Words {
        words: Elements,
        cut: Option<usize>,
        append: Option<String>,
    },
}

impl Bytes {
    pub(super) fn bytes(&self) -> Vec<u8> {
        match self {
            Bytes::Hex(text) => hex(text),
            Bytes::Words { words, cut, append } => {
                let mut bytes = payload_bytes(&words.words());
                bytes.truncate(cut.unwrap_or(bytes.len()));
                bytes.extend(append.as_deref().map(hex).unwrap_or_default());
                bytes
            }
        }
    }
}

/// The digest of something long; its ends are there for people.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Summary<T> {
    count: usize,
    first: Vec<T>,
    last: Vec<T>,
    sha256: String,
}

impl<T: PartialEq> Summary<T> {
    fn check(&self, values: &[T], bytes: &[u8]) -> Result<(), Refusal> {
        equal(&values.len(), &self.count)?;
        equal(&hex::encode(Sha256::digest(bytes)), &self.sha256)?;
        assert!(values.starts_with(&self.first) && values.ends_with(&self.last));
        Ok(())
    }
}

/// Elements that must come out.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum ExpectedElements {
    Summary(Summary<u32>),
    Elements(Elements),
}

impl ExpectedElements {
    pub(super) fn check(&self, words: &[u32]) -> Result<(), Refusal> {
        match self {
            ExpectedElements::Summary(summary) => summary.check(words, &payload_bytes(words)),
            ExpectedElements::Elements(elements) => equal(words, &elements.words()[..]),
        }
    }
}

/// Signed integers that must come out.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum ExpectedIntegers {
    Summary(Summary<i32>),
    List(Vec<i32>),
}

impl ExpectedIntegers {
    pub(super) fn check(&self, values: &[i32]) -> Result<(), Refusal> {
        match self {
            ExpectedIntegers::Summary(summary) => {
                let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
                summary.check(values, &bytes)
            }
            ExpectedIntegers::List(expected) => equal(values, &expected[..]),
        }
    }
}
