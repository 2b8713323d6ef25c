//! `mask.json`, `unmask.json`, `projection.json`.

use super::check;
use super::forms::{Elements, ExpectedElements, ExpectedIntegers, Integers, fields, hex32};
use super::refusal::{Refusal, equal};
use crate::mask::{self, KeySum, MaskKey, PublicMatrix};
use crate::norm::projection::{PreparedLambdas, Projection};
use crate::params::{Dimension, N, Parameters, Sigma};
use serde::Deserialize;
use serde_json::Value;

#[test]
fn mask_answers() {
    check(
        include_str!("../../../test_vectors/v1/mask.json"),
        &[
            ("dimensions", dimensions),
            ("parameters", parameters),
            ("mask", masked),
            ("mask-length", mask_length),
        ],
    );
}

fn dimensions(case: Value) -> Result<(), Refusal> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Case {
        rows: Vec<(usize, usize, usize, usize)>,
    }
    for (d, blocks, padded, bytes) in fields::<Case>(case).rows {
        let dim = Dimension::new(d)?;
        equal(&dim.coordinates(), &d)?;
        equal(&dim.blocks(), &blocks)?;
        equal(&dim.padded(), &padded)?;
        equal(&dim.payload_bytes(), &bytes)?;
        equal(&dim.check_range(), &(d..padded))?;
    }
    Ok(())
}

fn parameters(case: Value) -> Result<(), Refusal> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Case {
        n: usize,
        q: u64,
        key_deviation: u64,
        error_deviation: u64,
    }
    let case: Case = fields(case);
    let parameters = Parameters {
        n: case.n,
        q: case.q,
        sigma_key: Sigma::new(case.key_deviation)?,
        sigma_error: Sigma::new(case.error_deviation)?,
    };
    Ok(parameters.check()?)
}

fn masked(case: Value) -> Result<(), Refusal> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Case {
        seed: String,
        key: Integers,
        x: Integers,
        e: Integers,
        c: ExpectedElements,
        digest: String,
    }
    let case: Case = fields(case);
    let matrix = PublicMatrix::from_seed(&hex32(&case.seed));
    let key = MaskKey::from_coefficients(&case.key.values());
    let x = case.x.values();
    let dim = Dimension::new(x.len())?;
    let c = mask::mask(&matrix, &key, &dim, &x, &case.e.values())?;
    case.c.check(&c)?;
    equal(&mask::payload_digest(&c).to_string(), &case.digest)
}

fn mask_length(case: Value) -> Result<(), Refusal> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Case {
        d: usize,
        x: Vec<i32>,
        e_count: usize,
    }
    let case: Case = fields(case);
    let (matrix, key) = (
        PublicMatrix::from_seed(&[0; 32]),
        MaskKey::from_coefficients(&[0; N]),
    );
    let dim = Dimension::new(case.d)?;
    mask::mask(&matrix, &key, &dim, &case.x, &vec![0; case.e_count])?;
    Ok(())
}

#[test]
fn unmask_answers() {
    check(
        include_str!("../../../test_vectors/v1/unmask.json"),
        &[
            ("unmask", unmask),
            ("unmask-block", unmask_block),
            ("add", add),
        ],
    );
}

fn unmask(case: Value) -> Result<(), Refusal> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Case {
        seed: String,
        d: usize,
        sum_c: Elements,
        key_sum: Elements,
        sum: ExpectedIntegers,
    }
    let case: Case = fields(case);
    let matrix = PublicMatrix::from_seed(&hex32(&case.seed));
    let key = KeySum::from_coefficients(case.key_sum.ring());
    let dim = Dimension::new(case.d)?;
    case.sum
        .check(&mask::unmask(&matrix, &dim, &case.sum_c.words(), &key)?)
}

fn unmask_block(case: Value) -> Result<(), Refusal> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Case {
        seed: String,
        block: usize,
        sum_c: Elements,
        key_sum: Elements,
        sum: ExpectedIntegers,
    }
    let case: Case = fields(case);
    let matrix = PublicMatrix::from_seed(&hex32(&case.seed));
    let key = KeySum::from_coefficients(case.key_sum.ring());
    case.sum.check(&mask::unmask_block(
        &matrix,
        case.block,
        &case.sum_c.words(),
        &key,
    )?)
}

fn add(case: Value) -> Result<(), Refusal> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Case {
        payloads: Vec<Elements>,
        sum: ExpectedElements,
        without_last: ExpectedElements,
    }
    let case: Case = fields(case);
    let payloads: Vec<Vec<u32>> = case.payloads.iter().map(Elements::words).collect();
    let mut sum = vec![0; payloads[0].len()];
    for payload in &payloads {
        mask::add_assign(&mut sum, payload);
    }
    case.sum.check(&sum)?;
    mask::sub_assign(&mut sum, payloads.last().expect("some payloads"));
    case.without_last.check(&sum)
}

#[test]
fn projection_answers() {
    check(
        include_str!("../../../test_vectors/v1/projection.json"),
        &[("project", project), ("combine", combine)],
    );
}

fn project(case: Value) -> Result<(), Refusal> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Case {
        seed: String,
        rows: usize,
        v: Integers,
        z: Vec<i32>,
    }
    let case: Case = fields(case);
    let projection = Projection::new(hex32(&case.seed), case.rows)?;
    equal(&projection.project(&case.v.values())?[..], &case.z[..])
}

fn combine(case: Value) -> Result<(), Refusal> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Case {
        seed: String,
        rows: usize,
        block: u64,
        lambdas: [Elements; 2],
        w: Vec<ExpectedElements>,
    }
    let case: Case = fields(case);
    let projection = Projection::new(hex32(&case.seed), case.rows)?;
    let lambdas = PreparedLambdas::new(&case.lambdas.each_ref().map(Elements::words))?;
    let mut w = [[0; N]; 2];
    projection.combine_block(case.block, &lambdas, &mut w)?;
    equal(&case.w.len(), &w.len())?;
    for (found, expected) in w.iter().zip(&case.w) {
        expected.check(found)?;
    }
    Ok(())
}
