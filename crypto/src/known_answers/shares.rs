//! `shamir.json` and `consistency.json`.

use super::arithmetic::Replay;
use super::check;
use super::forms::{Bytes, Elements, ExpectedElements, Integers, fields, hex, hex32};
use super::refusal::{Refusal, equal, unless};
use crate::field;
use crate::mask::MaskKey;
use crate::params::N;
use crate::shamir::{
    ConsistencyProof, KeyShare, Segments, ShareEncoding, ShareSum, Threshold, correct_vectors,
    interpolate_at, reconstruct, share_key,
};
use serde::Deserialize;
use serde_json::Value;
use zeroize::Zeroizing;

/// `(m, f, T, A)`.
type Parts = (u8, u8, u8, u8);

fn threshold_of((m, f, t, a): Parts) -> Result<Threshold, Refusal> {
    Ok(Threshold::from_parts(m, f, t, a)?)
}

fn sum_of(elements: &[u32; N]) -> ShareSum {
    ShareSum(Box::new(*elements))
}

fn shares_of(key: &Integers, th: &Threshold, seeds: &[String]) -> Result<Vec<KeyShare>, Refusal> {
    let key = MaskKey::from_coefficients(&key.values());
    let mut rng = Replay::bytes(seeds.iter().flat_map(|seed| hex(seed)).collect());
    let encodings = share_key(&key, th, &mut rng);
    let expanded = encodings.iter().map(|encoding| Ok(encoding.expand()?));
    expanded.collect()
}

#[test]
fn shamir_answers() {
    check(
        include_str!("../../../test_vectors/v1/shamir.json"),
        &[
            ("thresholds", thresholds),
            ("threshold-cbor", threshold_cbor),
            ("share-key", shares),
            ("share-cbor", share_cbor),
            ("share-cbor-parts", share_cbor_parts),
            ("sum-bytes", sum_bytes),
            ("lagrange", lagrange),
            ("interpolate", interpolate),
            ("sums", sums),
            ("correct", corrected),
        ],
    );
}

fn thresholds(case: Value) -> Result<(), Refusal> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Case {
        rows: Vec<Parts>,
    }
    let rows = fields::<Case>(case).rows;
    for &parts in &rows {
        let th = threshold_of(parts)?;
        equal(&(th.m(), th.f(), th.t(), th.a()), &parts)?;
        equal(&Threshold::new(parts.0, parts.1), &Ok(th))?;
    }
    // The table is complete: what is not in it is refused.
    if rows.len() > 1 {
        let pairs = (0..=u8::MAX).flat_map(|m| (0..=u8::MAX).map(move |f| (m, f)));
        let allowed = pairs.filter(|&(m, f)| Threshold::new(m, f).is_ok());
        equal(
            &allowed.collect::<Vec<_>>(),
            &rows.iter().map(|parts| (parts.0, parts.1)).collect(),
        )?;
    }
    Ok(())
}

fn threshold_cbor(case: Value) -> Result<(), Refusal> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Case {
        cbor: String,
        threshold: Parts,
    }
    let case: Case = fields(case);
    let th: Threshold = minicbor::decode(&hex(&case.cbor))?;
    equal(&th, &threshold_of(case.threshold)?)?;
    equal(&minicbor::to_vec(th).expect("encodes"), &hex(&case.cbor))
}

fn shares(case: Value) -> Result<(), Refusal> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Case {
        threshold: Parts,
        key: Integers,
        seeds: Vec<String>,
        shares: Vec<ExpectedElements>,
    }
    let case: Case = fields(case);
    let th = threshold_of(case.threshold)?;
    let shares = shares_of(&case.key, &th, &case.seeds)?;
    equal(&shares.len(), &case.shares.len())?;
    for (share, expected) in shares.iter().zip(&case.shares) {
        expected.check(&share.0[..])?;
    }
    Ok(())
}

fn share_cbor(case: Value) -> Result<(), Refusal> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Case {
        cbor: String,
        elements: ExpectedElements,
    }
    let case: Case = fields(case);
    let encoding: ShareEncoding = minicbor::decode(&hex(&case.cbor))?;
    let again = minicbor::to_vec(&encoding).expect("encodes");
    equal(&again, &hex(&case.cbor))?;
    case.elements.check(&encoding.expand()?.0[..])
}

fn share_cbor_parts(case: Value) -> Result<(), Refusal> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Case {
        head: String,
        bytes: Bytes,
    }
    let case: Case = fields(case);
    let cbor = [hex(&case.head), case.bytes.bytes()].concat();
    minicbor::decode::<ShareEncoding>(&cbor)?;
    Ok(())
}

fn sum_bytes(case: Value) -> Result<(), Refusal> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Case {
        bytes: Bytes,
    }
    let bytes = fields::<Case>(case).bytes.bytes();
    // Alone and inside a statement: the same rule.
    let alone = ShareSum::from_bytes(&bytes).map(|_| ());
    let cbor = minicbor::to_vec(minicbor::bytes::ByteVec::from(bytes)).expect("encodes");
    let inside = minicbor::decode::<ShareSum>(&cbor).map(|_| ());
    assert_eq!(
        alone.map_err(Refusal::from),
        inside.map_err(Refusal::from),
        "two rules for one thing"
    );
    Ok(alone?)
}

fn lagrange(case: Value) -> Result<(), Refusal> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Case {
        points: Vec<u8>,
        x: u8,
        weights: Vec<u32>,
    }
    let case: Case = fields(case);
    // Answer i is one in coefficient i and zero elsewhere, so that coefficient i of the value is weight i.
    let units: Vec<ShareSum> = (0..case.points.len())
        .map(|i| {
            let mut elements = [0; N];
            elements[i] = 1;
            sum_of(&elements)
        })
        .collect();
    let answers: Vec<_> = case.points.iter().copied().zip(&units).collect();
    let value = value_at(&answers, case.x)?;
    equal(&value[..case.points.len()], &case.weights[..])
}

fn value_at(answers: &[(u8, &ShareSum)], x: u8) -> Result<Vec<u32>, Refusal> {
    Ok(match x {
        0 => reconstruct(answers)?.coefficients().to_vec(),
        _ => interpolate_at(answers, x)?.elements().to_vec(),
    })
}

fn interpolate(case: Value) -> Result<(), Refusal> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Case {
        answers: Vec<(u8, Elements)>,
        x: u8,
        value: ExpectedElements,
    }
    let case: Case = fields(case);
    let sums: Vec<_> = case
        .answers
        .iter()
        .map(|(_, e)| sum_of(&e.ring()))
        .collect();
    let points = case.answers.iter().map(|(point, _)| *point);
    let answers: Vec<_> = points.zip(&sums).collect();
    case.value.check(&value_at(&answers, case.x)?)
}

fn sums(case: Value) -> Result<(), Refusal> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Case {
        threshold: Parts,
        keys: Vec<Integers>,
        seeds: Vec<Vec<String>>,
        sums: Vec<ExpectedElements>,
        key_sum: ExpectedElements,
    }
    let case: Case = fields(case);
    let th = threshold_of(case.threshold)?;
    let mut sums = vec![ShareSum::zero(); th.m().into()];
    let mut last = Vec::new();
    for (key, seeds) in case.keys.iter().zip(&case.seeds) {
        last = shares_of(key, &th, seeds)?;
        for (sum, share) in sums.iter_mut().zip(&last) {
            sum.add_assign(share);
        }
    }
    for (sum, expected) in sums.iter().zip(&case.sums) {
        expected.check(sum.elements())?;
        equal(&ShareSum::from_bytes(&sum.to_bytes())?, sum)?;
    }
    // The last T of the stewards.
    let away = usize::from(th.m() - th.t());
    let answers: Vec<_> = (1u8..).zip(&sums).skip(away).collect();
    case.key_sum.check(reconstruct(&answers)?.coefficients())?;
    // Taking a device out again and putting it back changes nothing.
    for (sum, share) in sums.iter_mut().zip(&last) {
        let before = sum.clone();
        sum.sub_assign(share);
        assert_ne!(*sum, before);
        sum.add_assign(share);
        equal(sum, &before)?;
    }
    Ok(())
}

fn corrected(case: Value) -> Result<(), Refusal> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Case {
        t: u8,
        answers: Vec<(u8, Vec<u32>)>,
        secret: Vec<u32>,
        agreeing: Vec<u8>,
        culprits: Vec<u8>,
    }
    let case: Case = fields(case);
    let answers = case.answers.iter().map(|(point, v)| (*point, &v[..]));
    let found = correct_vectors(&answers.collect::<Vec<_>>(), case.t)?;
    equal(&found.secret[..], &case.secret[..])?;
    equal(&found.agreeing, &case.agreeing)?;
    equal(&found.culprits, &case.culprits)
}

#[test]
fn consistency_answers() {
    check(
        include_str!("../../../test_vectors/v1/consistency.json"),
        &[
            ("proof", proof),
            ("accepting", accepting),
            ("share-at", share_at),
            ("proof-cbor", proof_cbor),
        ],
    );
}

/// A share with the blind of its commitment.
type Blinded = (Zeroizing<[u8; 32]>, KeyShare);

/// A device's shares with their blinds.
fn blinded(
    key: &Integers,
    th: &Threshold,
    seeds: &[String],
    blinds: &[String],
) -> Result<Vec<Blinded>, Refusal> {
    let blinds = blinds.iter().map(|blind| Zeroizing::new(hex32(blind)));
    Ok(blinds.zip(shares_of(key, th, seeds)?).collect())
}

fn proof_of(corrections: &str, values: &str) -> Result<ConsistencyProof, Refusal> {
    let parts = [corrections, values].map(|part| minicbor::bytes::ByteVec::from(hex(part)));
    Ok(minicbor::decode(
        &minicbor::to_vec(parts).expect("encodes"),
    )?)
}

fn proof(case: Value) -> Result<(), Refusal> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Case {
        threshold: Parts,
        key: Integers,
        seeds: Vec<String>,
        blinds: Vec<String>,
        context: String,
        polynomials: String,
        corrections: String,
        values: String,
        cbor: String,
    }
    let case: Case = fields(case);
    let th = threshold_of(case.threshold)?;
    let shares = blinded(&case.key, &th, &case.seeds, &case.blinds)?;
    let context = hex(&case.context);
    let mut rng = Replay::bytes(hex(&case.polynomials));
    let segments: Vec<[&[u32]; 1]> = shares.iter().map(|(_, s)| [&s.elements()[..]]).collect();
    let given: Vec<(&[u8; 32], Segments<'_>)> = (shares.iter().zip(&segments))
        .map(|((blind, _), segments)| (&**blind, &segments[..]))
        .collect();
    let proof = ConsistencyProof::new(&th, &given, &context, &mut rng);
    equal(&proof, &proof_of(&case.corrections, &case.values)?)?;
    equal(
        &minicbor::to_vec(&proof).expect("encodes"),
        &hex(&case.cbor),
    )?;
    for (point, (blind, share)) in (1u8..).zip(&shares) {
        unless(
            proof.accepts(&th, point, blind, &[&share.elements()[..]], &context),
            "inconsistent",
        )?;
    }
    Ok(())
}

fn accepting(case: Value) -> Result<(), Refusal> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Case {
        threshold: Parts,
        key: Integers,
        seeds: Vec<String>,
        blinds: Vec<String>,
        context: String,
        corrections: String,
        values: String,
        beside: Option<usize>,
        points: Vec<u8>,
    }
    let case: Case = fields(case);
    let th = threshold_of(case.threshold)?;
    let mut shares = blinded(&case.key, &th, &case.seeds, &case.blinds)?;
    if let Some(point) = case.beside {
        let element = &mut shares[point - 1].1.0[0];
        *element = field::add(*element, 1);
    }
    let proof = proof_of(&case.corrections, &case.values)?;
    let context = hex(&case.context);
    let found: Vec<u8> = (1u8..)
        .zip(&shares)
        .filter(|(point, (blind, share))| {
            proof.accepts(&th, *point, blind, &[&share.elements()[..]], &context)
        })
        .map(|(point, _)| point)
        .collect();
    equal(&found, &case.points)
}

fn share_at(case: Value) -> Result<(), Refusal> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Case {
        threshold: Parts,
        key: Integers,
        seeds: Vec<String>,
        blinds: Vec<String>,
        context: String,
        corrections: String,
        values: String,
        point: u8,
        share_of: usize,
        plus_one: Option<(usize, usize)>,
    }
    let case: Case = fields(case);
    let th = threshold_of(case.threshold)?;
    let mut shares = blinded(&case.key, &th, &case.seeds, &case.blinds)?;
    if let Some((point, element)) = case.plus_one {
        let element = &mut shares[point - 1].1.0[element];
        *element = field::add(*element, 1);
    }
    let proof = proof_of(&case.corrections, &case.values)?;
    let (blind, share) = &shares[case.share_of - 1];
    unless(
        proof.accepts(
            &th,
            case.point,
            blind,
            &[&share.elements()[..]],
            &hex(&case.context),
        ),
        "inconsistent",
    )
}

fn proof_cbor(case: Value) -> Result<(), Refusal> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Case {
        cbor: String,
    }
    minicbor::decode::<ConsistencyProof>(&hex(&fields::<Case>(case).cbor))?;
    Ok(())
}
