//! `commitments.json` and `merkle.json`.

use super::check;
use super::forms::{Elements, fields, hex, hex32};
use super::refusal::{Refusal, equal, unless};
use crate::commit::key_commitment;
use crate::digest::{Digest, Hasher, labels};
use crate::mask;
use crate::merkle;
use crate::shamir::{KeyShare, ShareEncoding};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeSet;

const COMMITMENTS: &str = include_str!("../../../test_vectors/v1/commitments.json");

#[test]
fn commitment_answers() {
    check(
        COMMITMENTS,
        &[
            ("labelled", labelled),
            ("raw", raw),
            ("key-commitment", commitment),
            ("seed-commitment", seed_commitment),
            ("payload", payload),
            ("digest", digest),
            ("digest-text", digest_text),
            ("digest-cbor", digest_cbor),
        ],
    );
}

/// A label that is added needs an answer; `ENVELOPE_AAD` is not hashed.
#[test]
fn every_label_has_an_answer() {
    let file: Value = serde_json::from_str(COMMITMENTS).expect("JSON");
    let answered: BTreeSet<&str> = file["cases"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|case| case["label"].as_str())
        .collect();
    let hashed = labels::ALL.iter().map(|(_, text)| *text);
    let hashed = hashed.filter(|text| *text != labels::ENVELOPE_AAD);
    let hashed: BTreeSet<&str> = hashed.collect();
    let missing: Vec<_> = hashed.symmetric_difference(&answered).collect();
    assert!(
        missing.is_empty(),
        "labels without an answer, or answers without a label: {missing:?}; they are listed in \
         test_vectors/files/commitments.py (test_vectors/README.md says how to regenerate)"
    );
}

fn hasher(label: &str) -> Hasher {
    let mut all = labels::ALL.iter();
    let known = all.find(|(_, text)| *text == label);
    Hasher::new(known.expect("a label of the table").1)
}

fn labelled(case: Value) -> Result<(), Refusal> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Case {
        label: String,
        fields: Vec<String>,
        digest: Digest,
    }
    let case: Case = fields(case);
    let mut hasher = hasher(&case.label);
    for field in &case.fields {
        hasher.field(&hex(field));
    }
    equal(&hasher.finalize(), &case.digest)
}

fn raw(case: Value) -> Result<(), Refusal> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Case {
        label: String,
        input: String,
        digest: Digest,
    }
    let case: Case = fields(case);
    let mut hasher = hasher(&case.label);
    // However it is cut.
    for piece in hex(&case.input).chunks(100) {
        hasher.update(piece);
    }
    equal(&hasher.finalize(), &case.digest)
}

fn committed(point: u8, blind: &str, share: &KeyShare, digest: &Digest) -> Result<(), Refusal> {
    unless(
        key_commitment(point, &hex32(blind), share) == *digest,
        "commitment-mismatch",
    )
}

fn commitment(case: Value) -> Result<(), Refusal> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Case {
        point: u8,
        blind: String,
        share: Elements,
        digest: Digest,
    }
    let case: Case = fields(case);
    let share = ShareEncoding::Explicit(case.share.words()).expand()?;
    committed(case.point, &case.blind, &share, &case.digest)
}

fn seed_commitment(case: Value) -> Result<(), Refusal> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Case {
        point: u8,
        blind: String,
        seed: String,
        digest: Digest,
    }
    let case: Case = fields(case);
    let share = ShareEncoding::Seed(hex32(&case.seed)).expand()?;
    committed(case.point, &case.blind, &share, &case.digest)
}

fn payload(case: Value) -> Result<(), Refusal> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Case {
        words: Elements,
        digest: Digest,
    }
    let case: Case = fields(case);
    let words = case.words.words();
    let mut pieces = mask::PayloadHasher::new();
    let bytes = mask::payload_bytes(&words);
    bytes.chunks(1001).for_each(|piece| pieces.update(piece));
    assert_eq!(pieces.finalize(), mask::payload_digest(&words));
    equal(&mask::payload_digest(&words), &case.digest)
}

fn digest(case: Value) -> Result<(), Refusal> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Case {
        text: String,
        cbor: String,
    }
    let case: Case = fields(case);
    let digest: Digest = case.text.parse()?;
    equal(&minicbor::decode(&hex(&case.cbor))?, &digest)?;
    equal(&digest.to_string(), &case.text)?;
    equal(
        &minicbor::to_vec(digest).expect("encodes"),
        &hex(&case.cbor),
    )
}

fn digest_text(case: Value) -> Result<(), Refusal> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Case {
        text: String,
    }
    fields::<Case>(case).text.parse::<Digest>()?;
    Ok(())
}

fn digest_cbor(case: Value) -> Result<(), Refusal> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Case {
        cbor: String,
    }
    minicbor::decode::<Digest>(&hex(&fields::<Case>(case).cbor))?;
    Ok(())
}

#[test]
fn merkle_answers() {
    check(
        include_str!("../../../test_vectors/v1/merkle.json"),
        &[
            ("root", root),
            ("numbers", numbers),
            ("inclusion", inclusion),
            ("consistency", consistency),
        ],
    );
}

fn root(case: Value) -> Result<(), Refusal> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Case {
        leaves: Vec<String>,
        root: Digest,
    }
    let case: Case = fields(case);
    let leaves = case.leaves.iter().map(|leaf| merkle::leaf_hash(&hex(leaf)));
    equal(&merkle::root(&leaves.collect::<Vec<_>>()), &case.root)
}

/// Leaves 0, 1, ... as LE32.
fn numbered(count: u32) -> Vec<Digest> {
    let leaf = |i: u32| merkle::leaf_hash(&i.to_le_bytes());
    (0..count).map(leaf).collect()
}

fn numbers(case: Value) -> Result<(), Refusal> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Case {
        count: u32,
        root: Digest,
    }
    let case: Case = fields(case);
    let leaves = numbered(case.count);
    equal(&merkle::root(&leaves), &case.root)?;
    // Leaf by leaf, stored and read in between.
    let mut frontier = merkle::Frontier::new();
    for leaf in leaves {
        frontier = merkle::Frontier::from_parts(frontier.size(), frontier.subtrees().to_vec())?;
        frontier.push(leaf);
    }
    equal(&frontier.root(), &case.root)
}

fn inclusion(case: Value) -> Result<(), Refusal> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Case {
        leaf: Digest,
        index: u64,
        size: u64,
        path: Vec<Digest>,
        root: Digest,
    }
    let case: Case = fields(case);
    merkle::verify_inclusion(&case.leaf, case.index, case.size, &case.path, &case.root)?;
    let leaves = numbered(case.size.try_into().expect("a small tree"));
    let index = case.index.try_into().expect("a small tree");
    equal(&merkle::inclusion_proof(&leaves, index)?, &case.path)
}

fn consistency(case: Value) -> Result<(), Refusal> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Case {
        old_size: u64,
        old_root: Digest,
        new_size: u64,
        new_root: Digest,
        proof: Vec<Digest>,
    }
    let case: Case = fields(case);
    merkle::verify_consistency(
        case.old_size,
        &case.old_root,
        case.new_size,
        &case.new_root,
        &case.proof,
    )?;
    let leaves = numbered(case.new_size.try_into().expect("a small tree"));
    let old = case.old_size.try_into().expect("a small tree");
    equal(&merkle::consistency_proof(&leaves, old)?, &case.proof)
}
