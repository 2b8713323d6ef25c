//! `norm.json`: parameters, digits, circuit, streams, whole submissions and what is decided of them.

use super::arithmetic::Replay;
use super::check;
use super::forms::{Elements, ExpectedElements, Integers, fields, hex, hex32};
use super::refusal::{Refusal, equal};
use crate::digest::Digest;
use crate::field;
use crate::mask::{MaskKey, PublicMatrix, mask};
use crate::norm::projection::{MatrixBlocks, PreparedLambdas, Projection, PublicCheck};
use crate::norm::{
    Answer, Challenge, Hidden, NormCircuit, NormParams, NormProof, NormSeeds, NormVerifier, Rows,
    digits_of_projections, joint_randomness,
};
use crate::params::{Dimension, N, Sigma};
use crate::shamir::{ConsistencyProof, KeyShare, Segments, ShareEncoding, Threshold, share_key};
use prio::field::FieldPrio2 as F;
use prio::flp::Flp;
use serde::Deserialize;
use serde_json::Value;
use zeroize::Zeroizing;

#[test]
fn norm_answers() {
    check(
        include_str!("../../../test_vectors/v1/norm.json"),
        &[
            ("parameters", parameters),
            ("digits", digits),
            ("circuit", circuit),
            ("seeds", seeds),
            ("joint", joint),
            ("challenge", challenge),
            ("submission", submission),
            ("segments", segments),
            ("decide", decide),
        ],
    );
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Task {
    dimension: usize,
    clip: u64,
    sigma: u64,
    rows: usize,
}

impl Task {
    fn params(&self) -> Result<NormParams, Refusal> {
        let (dim, sigma) = (Dimension::new(self.dimension)?, Sigma::new(self.sigma)?);
        let rows = Rows::from_number(self.rows)?;
        Ok(NormParams::derive(&dim, self.clip, sigma, rows)?)
    }
}

fn digests(list: &[String]) -> Vec<Digest> {
    list.iter().map(|text| Digest(hex32(text))).collect()
}

fn elements(of: &[F]) -> Vec<u32> {
    of.iter().map(|x| u32::from(*x)).collect()
}

fn field_elements(of: &Elements) -> Vec<F> {
    of.words().into_iter().map(F::from).collect()
}

fn parameters(case: Value) -> Result<(), Refusal> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Case {
        task: Task,
        honest_squared: u128,
        range_bits: u32,
        bound: u32,
        slack_digits: usize,
        max_norm: u64,
        digits: usize,
        gadgets: [[usize; 3]; 2],
    }
    let case: Case = fields(case);
    let p = case.task.params()?;
    equal(&p.honest_squared(), &case.honest_squared)?;
    equal(&p.range_bits(), &case.range_bits)?;
    equal(&p.bound(), &case.bound)?;
    equal(&p.slack_digits(), &case.slack_digits)?;
    equal(&p.max_norm(), &case.max_norm)?;
    equal(&p.digits(), &case.digits)?;
    let [digit, square] = case.gadgets;
    let chunks = [p.digit_chunks(), p.square_chunks()].map(|c| [c.arity, c.calls]);
    equal(&chunks, &[[digit[0], digit[1]], [square[0], square[1]]])?;
    equal(&p.proof_len(), &(digit[2] + square[2]))
}

fn digits(case: Value) -> Result<(), Refusal> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Case {
        task: Task,
        z: Vec<i32>,
        digits: Elements,
    }
    let case: Case = fields(case);
    let found = digits_of_projections(&case.task.params()?, &case.z, None)?;
    equal(&found[..], &case.digits.words()[..])
}

fn circuit(case: Value) -> Result<(), Refusal> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Case {
        task: Task,
        within: Elements,
        calls: Elements,
        digits: Elements,
        outputs: [u32; 2],
    }
    let case: Case = fields(case);
    let circuit = NormCircuit::new(&case.task.params()?, field_elements(&case.within));
    let (input, calls) = (field_elements(&case.digits), field_elements(&case.calls));
    let found = circuit
        .valid(&mut circuit.gadget(), &input, &calls, 1)
        .expect("lengths are the circuit's own");
    equal(&elements(&found)[..], &case.outputs[..])
}

fn seeds(case: Value) -> Result<(), Refusal> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Case {
        context: String,
        commitments: Vec<String>,
        projection: String,
        joint: String,
    }
    let case: Case = fields(case);
    let found = NormSeeds::new(&hex(&case.context), &digests(&case.commitments));
    equal(&found.projection.0, &hex32(&case.projection))?;
    equal(&found.joint.0, &hex32(&case.joint))
}

fn joint(case: Value) -> Result<(), Refusal> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Case {
        task: Task,
        joint: String,
        repetition: usize,
        within: Elements,
        calls: Elements,
    }
    let case: Case = fields(case);
    let seed = Digest(hex32(&case.joint));
    let (within, calls) = joint_randomness(&case.task.params()?, &seed, case.repetition);
    equal(&elements(&within), &case.within.words())?;
    equal(&elements(&calls), &case.calls.words())
}

fn challenge(case: Value) -> Result<(), Refusal> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Case {
        task: Task,
        beacon: String,
        submission: String,
        lambdas: [Elements; 2],
        queries: Vec<[u32; 4]>,
    }
    let case: Case = fields(case);
    let [beacon, submission] = [&case.beacon, &case.submission].map(|text| Digest(hex32(text)));
    let found = Challenge::derive(&case.task.params()?, &beacon, &submission);
    equal(
        &found.lambdas,
        &case.lambdas.each_ref().map(Elements::words),
    )?;
    equal(&found.queries, &case.queries)
}

/// What a device has, all that is random in it included.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Given {
    task: Task,
    threshold: (u8, u8, u8, u8),
    matrix: String,
    beacon: String,
    submission: String,
    key: Integers,
    v: Integers,
    seeds: Vec<String>,
    blinds: Vec<String>,
    context: String,
    wire_blinds: Elements,
}

/// What follows.
struct Made {
    params: NormParams,
    th: Threshold,
    blinds: Vec<Zeroizing<[u8; 32]>>,
    keys: Vec<KeyShare>,
    proof: NormProof,
    digits: Vec<u32>,
}

impl Given {
    fn make(&self) -> Result<Made, Refusal> {
        let params = self.task.params()?;
        let (m, f, t, a) = self.threshold;
        let th = Threshold::from_parts(m, f, t, a)?;
        let key = MaskKey::from_coefficients(&self.key.values());
        let replay = |parts: &[String]| Replay::bytes(parts.iter().flat_map(|p| hex(p)).collect());
        let encodings = share_key(&key, &th, &mut replay(&self.seeds));
        let expanded = encodings.iter().map(ShareEncoding::expand);
        let keys = expanded.collect::<Result<Vec<_>, _>>()?;
        let blinds: Vec<_> = (self.blinds.iter())
            .map(|blind| Zeroizing::new(hex32(blind)))
            .collect();
        let words = self.wire_blinds.words().into_iter();
        let mut rng = Replay::bytes(words.flat_map(u32::to_le_bytes).collect());
        let (context, v) = (hex(&self.context), self.v.values());
        let seeds = NormSeeds::new(&context, &[]);
        let z = Projection::new(seeds.projection.0, params.rows())?.project(&v)?;
        let digits = digits_of_projections(&params, &z, None)?.to_vec();
        let proof = NormProof::new(
            &params,
            &th,
            &context,
            Hidden::vector(&v),
            &encodings,
            &blinds,
            &mut rng,
        )?;
        Ok(Made {
            params,
            th,
            blinds,
            keys,
            proof,
            digits,
        })
    }
}

/// From the integers of a device to what the stewards decide.
fn submission(mut case: Value) -> Result<(), Refusal> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Case {
        digits: Elements,
        digit_shares: Vec<ExpectedElements>,
        digit_commitments: Vec<String>,
        proof_shares: Vec<ExpectedElements>,
        proof_commitments: Vec<String>,
        u: Vec<ExpectedElements>,
        masked: [u32; 2],
        answers: Vec<Elements>,
        opened: Elements,
    }
    let given = take_given(&mut case);
    let case: Case = fields(case);
    let made = given.make()?;
    let Made { params, proof, .. } = &made;
    equal(&made.digits, &case.digits.words())?;
    equal(&proof.shares.len(), &case.digit_shares.len())?;
    for (share, expected) in proof.shares.iter().zip(&case.digit_shares) {
        expected.check(&share.digits)?;
    }
    for (share, expected) in proof.shares.iter().zip(&case.proof_shares) {
        expected.check(&share.proofs)?;
    }
    equal(&proof.digit_commitments, &digests(&case.digit_commitments))?;
    equal(&proof.proof_commitments, &digests(&case.proof_commitments))?;

    // The payload, and the public side.
    let matrix = PublicMatrix::from_seed(&hex32(&given.matrix));
    let key = MaskKey::from_coefficients(&given.key.values());
    let dim = Dimension::new(given.task.dimension)?;
    let c = mask(&matrix, &key, &dim, &[0; 10], &given.v.values())?;
    let verifier = NormVerifier::new(params, &hex(&given.context), &proof.digit_commitments);
    let [beacon, submission] = [&given.beacon, &given.submission].map(|s| Digest(hex32(s)));
    let challenge = Challenge::derive(params, &beacon, &submission);
    let public = PublicCheck::compute(
        &verifier.projection()?,
        &PreparedLambdas::new(&challenge.lambdas)?,
        MatrixBlocks::Expanded(&matrix),
        c.len() / N,
        Some(&c),
    )?;
    for (u, expected) in public.u.iter().zip(&case.u) {
        expected.check(&u[..])?;
    }
    let masked = public.masked.expect("with the payload");
    equal(&masked, &case.masked)?;

    // The stewards' answers, what the last T of them open to, and the decision.
    let mut answers = Vec::new();
    for (point, (key, share)) in (1u8..).zip(made.keys.iter().zip(&proof.shares)) {
        let answer = verifier.answer(&challenge, key, share, &public.u)?;
        answers.push((point, answer));
    }
    equal(&answers.len(), &case.answers.len())?;
    for ((_, answer), expected) in answers.iter().zip(&case.answers) {
        equal(answer.elements(), &expected.words()[..])?;
    }
    let last = answers
        .iter()
        .skip(answers.len() - usize::from(made.th.t()));
    let opened = Answer::open(&last.map(|(point, a)| (*point, a)).collect::<Vec<_>>())?;
    equal(opened.elements(), &case.opened.words()[..])?;
    Ok(verifier.decide(&opened, masked)?)
}

/// The fields of [`Given`], taken out of the case.
fn take_given(case: &mut Value) -> Given {
    let names = [
        "task",
        "threshold",
        "matrix",
        "beacon",
        "submission",
        "key",
        "v",
        "seeds",
        "blinds",
        "context",
        "wire_blinds",
    ];
    let object = case.as_object_mut().expect("a case is an object");
    let taken = names.map(|name| (name.to_owned(), object.remove(name).expect(name)));
    fields(Value::Object(taken.into_iter().collect()))
}

/// The proof of consistency over key, digits and proofs.
fn segments(case: Value) -> Result<(), Refusal> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Case {
        threshold: (u8, u8, u8, u8),
        context: String,
        polynomials: Elements,
        submission: Given,
        corrections: String,
        values: String,
    }
    let case: Case = fields(case);
    let made = case.submission.make()?;
    equal(&case.threshold, &case.submission.threshold)?;
    let parts: Vec<[&[u32]; 3]> = (made.keys.iter().zip(&made.proof.shares))
        .map(|(key, share)| [&key.elements()[..], &share.digits, &share.proofs])
        .collect();
    let given: Vec<(&[u8; 32], Segments<'_>)> = (made.blinds.iter().zip(&parts))
        .map(|(blind, parts)| (&**blind, &parts[..]))
        .collect();
    let words = case.polynomials.words().into_iter();
    let mut rng = Replay::bytes(words.flat_map(u32::to_le_bytes).collect());
    let context = hex(&case.context);
    let proof = ConsistencyProof::new(&made.th, &given, &context, &mut rng);
    let stated = [&case.corrections, &case.values].map(|part| hex(part).into());
    let stated: [minicbor::bytes::ByteVec; 2] = stated;
    let cbor = |value: &ConsistencyProof| minicbor::to_vec(value).expect("encodes");
    equal(&cbor(&proof), &minicbor::to_vec(stated).expect("encodes"))?;
    for (point, (blind, parts)) in (1u8..).zip(&given) {
        assert!(proof.accepts(&made.th, point, blind, parts, &context));
    }
    Ok(())
}

fn decide(case: Value) -> Result<(), Refusal> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Case {
        task: Task,
        context: String,
        digit_commitments: Vec<String>,
        opened: Elements,
        masked: [u32; 2],
    }
    let case: Case = fields(case);
    let params = case.task.params()?;
    let commitments = digests(&case.digit_commitments);
    let verifier = NormVerifier::new(&params, &hex(&case.context), &commitments);
    let opened = Answer::new(&params, case.opened.words())?;
    Ok(verifier.decide(&opened, case.masked)?)
}

/// Digits that are none are elements too: what the vectors write modulo q is what the field has.
#[test]
fn elements_of_the_proof_system_are_those_of_the_field() {
    for x in [0, 1, 4, crate::params::Q - 1] {
        assert_eq!(u32::from(F::from(x)), x);
        assert_eq!(elements(&[F::from(x) + F::from(3)]), [field::add(x, 3)]);
    }
}
