//! The known answers of `test_vectors/crypto.json`, which another program computed by other methods.

use crate::digest::{Digest, Hasher};
use crate::gaussian::Gaussian;
use crate::mask::{self, MaskKey, PublicMatrix};
use crate::params::{Dimension, N, Q, Sigma};
use crate::ring::{PSI, RingElement};
use crate::shamir::{ShareEncoding, ShareSum, Threshold, share_key};
use crate::{commit, digest, expand};
use core::convert::Infallible;
use rand_core::{TryCryptoRng, TryRng};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// A generator that gives out what it is told to.
struct Replay(Source);

/// What fills a buffer.
type Source = Box<dyn FnMut(&mut [u8])>;

impl Replay {
    /// The stream BLAKE3-XOF(name), unkeyed.
    fn stream(name: &str) -> Replay {
        let mut output = blake3::Hasher::new().update(name.as_bytes()).finalize_xof();
        Replay(Box::new(move |out| output.fill(out)))
    }

    fn bytes(bytes: Vec<u8>) -> Replay {
        let mut left = bytes.into_iter();
        Replay(Box::new(move |out| {
            for byte in out {
                *byte = left.next().expect("no more is drawn than was recorded");
            }
        }))
    }
}

impl TryRng for Replay {
    type Error = Infallible;
    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut le = [0; 4];
        (self.0)(&mut le);
        Ok(u32::from_le_bytes(le))
    }
    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut le = [0; 8];
        (self.0)(&mut le);
        Ok(u64::from_le_bytes(le))
    }
    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        (self.0)(out);
        Ok(())
    }
}

impl TryCryptoRng for Replay {}

fn vectors() -> Value {
    serde_json::from_str(include_str!("../../test_vectors/crypto.json")).expect("JSON")
}

fn list(value: &Value) -> &Vec<Value> {
    value.as_array().expect("a list")
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a text")
}

fn bytes(value: &Value) -> Vec<u8> {
    hex::decode(text(value)).expect("hexadecimal")
}

fn seed(value: &Value) -> [u8; 32] {
    bytes(value).try_into().expect("32 bytes")
}

fn number(value: &Value) -> u64 {
    value.as_u64().expect("a number")
}

fn signed(value: &Value) -> Vec<i32> {
    list(value)
        .iter()
        .map(|v| v.as_i64().and_then(|v| v.try_into().ok()).expect("an i32"))
        .collect()
}

/// Checks elements against `{first, last, sha256}`.
fn assert_summary(elements: &[u32], summary: &Value) {
    let expect = |key: &str| -> Vec<u64> { list(&summary[key]).iter().map(number).collect() };
    let wide: Vec<u64> = elements.iter().map(|&e| u64::from(e)).collect();
    assert_eq!(wide[..4], expect("first"));
    assert_eq!(wide[wide.len() - 2..], expect("last"));
    let hash = Sha256::digest(mask::payload_bytes(elements));
    assert_eq!(hex::encode(hash), text(&summary["sha256"]));
}

#[test]
fn numbers_and_labelled_hashes() {
    let v = vectors();
    assert_eq!(number(&v["q"]), u64::from(Q));
    assert_eq!(number(&v["n"]), N as u64);
    assert_eq!(number(&v["psi"]), u64::from(PSI));
    for case in list(&v["labelled"]) {
        let known = digest::labels::ALL;
        let (_, label) = known
            .iter()
            .find(|(_, label)| *label == text(&case["label"]))
            .expect("a label of the table");
        let mut hasher = Hasher::new(label);
        for field in list(&case["fields"]) {
            hasher.field(&bytes(field));
        }
        assert_eq!(hasher.finalize().to_string(), text(&case["digest"]));
    }
}

#[test]
fn expansions() {
    let v = vectors();
    for case in list(&v["matrix_blocks"]) {
        let block = expand::matrix_block(&seed(&case["seed"]), number(&case["block"]));
        assert_summary(&block, &case["values"]);
    }
    for case in list(&v["share_expansions"]) {
        let share = ShareEncoding::Seed(seed(&case["seed"])).expand();
        assert_summary(&share.expect("a seed expands").0[..], &case["elements"]);
    }
}

#[test]
fn transform_by_its_definition() {
    let v = vectors();
    let mut element = [0; N];
    expand::share_elements(&seed(&v["transform"]["of_share_seed"]), &mut element);
    let transformed = RingElement::from_coefficients(element).transform();
    assert_summary(transformed.values(), &v["transform"]["values"]);
}

#[test]
fn masks_shares_and_commitments() {
    let v = &vectors()["mask"];
    let key = MaskKey::from_coefficients(&signed(&v["key"]));
    let matrix = PublicMatrix::from_seed(&seed(&v["matrix_seed"]));
    let x = signed(&v["x"]);
    let dim = Dimension::new(x.len()).expect("in range");
    let c = mask::mask(&matrix, &key, &dim, &x, &signed(&v["e"])).expect("fits");
    assert_summary(&c, &v["c"]);
    assert_eq!(
        mask::payload_digest(&c).to_string(),
        text(&v["payload_digest"])
    );

    let parts: Vec<u8> = list(&v["threshold"])
        .iter()
        .map(|p| number(p) as u8)
        .collect();
    let th = Threshold::from_parts(parts[0], parts[1], parts[2], parts[3]).expect("follows");
    let seeds = list(&v["share_seeds"]).iter().flat_map(bytes).collect();
    let encodings = share_key(&key, &th, &mut Replay::bytes(seeds));
    for (i, encoding) in encodings.iter().enumerate() {
        let share = encoding.expand().expect("our own");
        assert_summary(&share.0[..], &v["shares"][i]);
        let commitment = commit::key_commitment(i as u8 + 1, &seed(&v["blinds"][i]), &share);
        assert_eq!(commitment.to_string(), text(&v["commitments"][i]));
    }
}

#[test]
fn samplers_by_exact_decimals() {
    for case in list(&vectors()["samples"]) {
        let sampler = Gaussian::new(Sigma::new(number(&case["units"])).expect("in range"));
        let expected = signed(&case["samples"]);
        let mut rng = Replay::stream(text(&case["stream"]));
        let drawn = sampler.sample_vec(expected.len(), &mut rng);
        assert_eq!(drawn[..], expected, "{}", case["stream"]);
    }
}

#[test]
fn what_must_be_refused() {
    let v = vectors();
    let accepted = bytes(&v["accepted_threshold"]);
    assert!(minicbor::decode::<Threshold>(&accepted).is_ok());
    let refused = &v["refused"];
    let each = |name: &str| list(&refused[name]).iter().map(bytes).collect::<Vec<_>>();
    for payload in each("payloads") {
        assert!(mask::parse_payload(&payload).is_err());
    }
    for cbor in each("digests") {
        assert!(minicbor::decode::<Digest>(&cbor).is_err());
    }
    for cbor in each("thresholds") {
        assert!(minicbor::decode::<Threshold>(&cbor).is_err(), "{cbor:02x?}");
    }
    for cbor in each("share_sums") {
        assert!(minicbor::decode::<ShareSum>(&cbor).is_err());
    }
    for cbor in each("shares") {
        assert!(minicbor::decode::<ShareEncoding>(&cbor).is_err());
    }
    for cbor in each("sigmas") {
        assert!(minicbor::decode::<Sigma>(&cbor).is_err());
    }
}

/// The table that people read has every label, its text, and no label that does not exist.
#[test]
fn documented_labels_are_the_ones_in_use() {
    let table = include_str!("../../docs/crypto-table.md");
    for (name, label) in digest::labels::ALL {
        let row = format!("| `{name}` | `{label}` |");
        assert!(
            table.contains(&row),
            "docs/crypto-table.md has no row {row}"
        );
    }
    let documented = table.matches("` | `dawn v1 ").count();
    assert_eq!(documented, digest::labels::ALL.len());
}
