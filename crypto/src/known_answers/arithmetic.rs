//! `field.json`, `negacyclic.json`, `expand.json`, `gaussian.json`.

use super::check;
use super::forms::{Elements, ExpectedElements, ExpectedIntegers, fields, hex, hex32};
use super::refusal::{Refusal, equal};
use crate::digest::{Hasher, labels};
use crate::gaussian::Gaussian;
use crate::noise::NoiseStream;
use crate::params::{Dimension, N, Q, Sigma};
use crate::ring::{PSI, RingElement};
use crate::shamir::ShareEncoding;
use crate::{expand, field, mask};
use core::convert::Infallible;
use rand_core::{Rng, TryCryptoRng, TryRng};
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// A generator that gives out what it is told to.
pub(super) struct Replay(Source);

/// What fills a buffer.
type Source = Box<dyn FnMut(&mut [u8])>;

impl Replay {
    /// The stream BLAKE3-XOF(name), unkeyed.
    fn stream(name: &str) -> Replay {
        let mut output = blake3::Hasher::new().update(name.as_bytes()).finalize_xof();
        Replay(Box::new(move |out| output.fill(out)))
    }

    /// These bytes and no more. The last ones may be missing from a buffer of which they are not used.
    pub(super) fn bytes(bytes: Vec<u8>) -> Replay {
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

#[test]
fn field_answers() {
    check(
        include_str!("../../../test_vectors/v1/field.json"),
        &[
            ("numbers", numbers),
            ("arithmetic", arithmetic),
            ("unary", unary),
            ("power", power),
            ("signed", signed),
            ("vectors", vectors),
            ("words", words),
            ("long-words", long_words),
        ],
    );
}

fn numbers(case: Value) -> Result<(), Refusal> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Case {
        q: u32,
        n: usize,
        generator: u32,
        psi: u32,
    }
    let case: Case = fields(case);
    equal(&(Q, N, PSI), &(case.q, case.n, case.psi))?;
    equal(&field::pow(case.generator, 256), &PSI)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rows<T> {
    rows: Vec<T>,
}

fn arithmetic(case: Value) -> Result<(), Refusal> {
    for (a, b, sum, difference, product) in fields::<Rows<(u32, u32, u32, u32, u32)>>(case).rows {
        equal(&field::add(a, b), &sum)?;
        equal(&field::sub(a, b), &difference)?;
        equal(&field::mul(a, b), &product)?;
    }
    Ok(())
}

fn unary(case: Value) -> Result<(), Refusal> {
    for (a, negated, inverse, centred) in fields::<Rows<(u32, u32, u32, i32)>>(case).rows {
        equal(&field::neg(a), &negated)?;
        equal(&field::inv(a), &inverse)?;
        equal(&field::center(a), &centred)?;
    }
    Ok(())
}

fn power(case: Value) -> Result<(), Refusal> {
    let mut rows = fields::<Rows<(u32, u64, u32)>>(case).rows.into_iter();
    rows.try_for_each(|(base, exponent, value)| equal(&field::pow(base, exponent), &value))
}

fn signed(case: Value) -> Result<(), Refusal> {
    let mut rows = fields::<Rows<(i32, u32)>>(case).rows.into_iter();
    rows.try_for_each(|(number, element)| equal(&field::from_i32(number), &element))
}

fn vectors(case: Value) -> Result<(), Refusal> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Case {
        a: Elements,
        b: Elements,
        sum: ExpectedElements,
        difference: ExpectedElements,
    }
    let case: Case = fields(case);
    let (mut sum, mut difference) = (case.a.words(), case.a.words());
    mask::add_assign(&mut sum, &case.b.words());
    mask::sub_assign(&mut difference, &case.b.words());
    case.sum.check(&sum)?;
    case.difference.check(&difference)
}

fn words(case: Value) -> Result<(), Refusal> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Case {
        bytes: String,
    }
    mask::parse_payload(&hex(&fields::<Case>(case).bytes))?;
    Ok(())
}

fn long_words(case: Value) -> Result<(), Refusal> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Case {
        words: Elements,
    }
    let words = fields::<Case>(case).words.words();
    let read = mask::parse_payload(&mask::payload_bytes(&words))?;
    equal(&read, &words)
}

#[test]
fn negacyclic_answers() {
    check(
        include_str!("../../../test_vectors/v1/negacyclic.json"),
        &[("transform", transform), ("product", product)],
    );
}

fn transform(case: Value) -> Result<(), Refusal> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Case {
        a: Elements,
        values: ExpectedElements,
    }
    let case: Case = fields(case);
    let transformed = RingElement::from_coefficients(case.a.ring()).transform();
    case.values.check(transformed.values())?;
    equal(transformed.invert().coefficients(), &case.a.ring())
}

fn product(case: Value) -> Result<(), Refusal> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Case {
        a: Elements,
        b: Elements,
        product: ExpectedElements,
    }
    let case: Case = fields(case);
    let transformed = |of: &Elements| RingElement::from_coefficients(of.ring()).transform();
    // The three ways to multiply.
    let mut by_values = transformed(&case.a);
    by_values.mul_assign(&transformed(&case.b));
    let by_values = by_values.invert();
    let mut added = RingElement::from_coefficients([0; N]).transform();
    added.add_product(&transformed(&case.a), &transformed(&case.b));
    let mut by_multiplier = *transformed(&case.a).values();
    transformed(&case.b)
        .into_multiplier()
        .times(&mut by_multiplier);
    assert_eq!(by_values.coefficients(), &by_multiplier);
    assert_eq!(by_values.coefficients(), added.invert().coefficients());
    case.product.check(by_values.coefficients())
}

#[test]
fn expand_answers() {
    check(
        include_str!("../../../test_vectors/v1/expand.json"),
        &[
            ("matrix-block", matrix_block),
            ("key-share", key_share),
            ("rejection", rejection),
            ("labelled-stream", labelled_stream),
            ("noise", noise),
        ],
    );
}

fn matrix_block(case: Value) -> Result<(), Refusal> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Case {
        seed: String,
        block: u64,
        values: ExpectedElements,
    }
    let case: Case = fields(case);
    case.values
        .check(&expand::matrix_block(&hex32(&case.seed), case.block))
}

fn key_share(case: Value) -> Result<(), Refusal> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Case {
        seed: String,
        elements: ExpectedElements,
    }
    let case: Case = fields(case);
    let share = ShareEncoding::Seed(hex32(&case.seed)).expand()?;
    case.elements.check(&share.0[..])
}

fn rejection(case: Value) -> Result<(), Refusal> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Case {
        bytes: String,
        elements: String,
    }
    let case: Case = fields(case);
    let expected = Elements::Whole(case.elements).words();
    // Zeros behind them, for a reader that keeps fewer than it should.
    let bytes = [hex(&case.bytes), vec![0; 64]].concat();
    let mut kept = vec![0; expected.len()];
    expand::uniform(&mut Replay::bytes(bytes), &mut kept);
    equal(&kept, &expected)
}

fn labelled_stream(case: Value) -> Result<(), Refusal> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Case {
        label: String,
        fields: Vec<String>,
        elements: ExpectedElements,
    }
    let case: Case = fields(case);
    let known = labels::ALL
        .iter()
        .find(|(_, text)| *text == case.label)
        .expect("a label of the table");
    let mut hasher = Hasher::new(known.1);
    for field in &case.fields {
        hasher.field(&hex(field));
    }
    let count = match &case.elements {
        ExpectedElements::Elements(elements) => elements.words().len(),
        ExpectedElements::Summary(_) => 4 * N,
    };
    let mut elements = vec![0; count];
    expand::stream_elements(&mut hasher.xof(), &mut elements);
    case.elements.check(&elements)
}

fn noise(case: Value) -> Result<(), Refusal> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Case {
        seed: String,
        first: String,
        sha256_of_8192: String,
    }
    let case: Case = fields(case);
    let mut bytes = vec![0; 8192];
    NoiseStream::from_seed(&hex32(&case.seed)).fill_bytes(&mut bytes);
    equal(&bytes[..64], &hex(&case.first))?;
    equal(&hex::encode(Sha256::digest(&bytes)), &case.sha256_of_8192)
}

#[test]
fn gaussian_answers() {
    check(
        include_str!("../../../test_vectors/v1/gaussian.json"),
        &[
            ("samples", samples),
            ("error", error),
            ("deviation", deviation),
            ("deviation-cbor", deviation_cbor),
        ],
    );
}

fn samples(case: Value) -> Result<(), Refusal> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Case {
        bytes_of: String,
        deviation: u64,
        samples: Vec<i32>,
    }
    let case: Case = fields(case);
    let sampler = Gaussian::new(Sigma::new(case.deviation)?);
    let mut rng = Replay::stream(&case.bytes_of);
    equal(
        &sampler.sample_vec(case.samples.len(), &mut rng)[..],
        &case.samples[..],
    )
}

fn error(case: Value) -> Result<(), Refusal> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Case {
        noise_seed: String,
        deviation: u64,
        d: usize,
        drawn: ExpectedIntegers,
    }
    let case: Case = fields(case);
    let sampler = Gaussian::new(Sigma::new(case.deviation)?);
    let mut noise = NoiseStream::from_seed(&hex32(&case.noise_seed));
    let drawn = mask::sample_error(&sampler, &Dimension::new(case.d)?, &mut noise);
    case.drawn.check(&drawn)
}

fn deviation(case: Value) -> Result<(), Refusal> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Case {
        deviation: u64,
    }
    let deviation = fields::<Case>(case).deviation;
    equal(&Sigma::new(deviation)?.get(), &deviation)
}

fn deviation_cbor(case: Value) -> Result<(), Refusal> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Case {
        cbor: String,
    }
    minicbor::decode::<Sigma>(&hex(&fields::<Case>(case).cbor))?;
    Ok(())
}
