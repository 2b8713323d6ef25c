//! `session.json`, `noise.json` and `groups.json` of `test_vectors/v1/`, which `test_vectors/generate.py` computes from the documents alone. Every case is
//! read by one reader; a corrupted one must be refused with the error that it names
//! (`test_vectors/README.md`). The other files of that directory are read by `dawn-crypto`.

use std::collections::BTreeSet;

use dawn_crypto::digest::Digest;
use dawn_crypto::params::{Dimension, N, Sigma};
use dawn_identity::envelope::EnvelopeError;
use dawn_identity::{
    DecodeError, DeviceId, OrgId, SessionId, Signed, Statement, StewardId, TaskId,
    from_canonical_bounded, to_canonical,
};
use dawn_protocol::dp::{CountedNoise, CountedStewards};
use dawn_protocol::noise::{self, NoiseSeed};
use dawn_protocol::submission::{package_aad, seal_info};
use dawn_protocol::{
    Author, Candidate, Culprit, GroupRule, GroupSums, Groups, RoundId, RoundSpec, Rule, SealingKey,
    SubmissionHeader, Task, digests,
};
use serde::Deserialize;
use serde_json::{Map, Value};

/// An error by its stable name, and the number that it carries.
#[derive(Debug, PartialEq, Eq)]
struct Refusal(&'static str, Option<u64>);

impl From<DecodeError> for Refusal {
    fn from(error: DecodeError) -> Self {
        match error {
            DecodeError::TooLarge { actual, .. } => Self("too-large", Some(actual as u64)),
            DecodeError::Malformed(_) => Self("malformed", None),
            DecodeError::NotCanonical => Self("not-canonical", None),
            DecodeError::Rule(_) => Self("rule", None),
        }
    }
}

impl From<EnvelopeError> for Refusal {
    fn from(error: EnvelopeError) -> Self {
        match error {
            EnvelopeError::TooLarge { actual, .. } => Self("too-large", Some(actual as u64)),
            EnvelopeError::Malformed(_) => Self("malformed-envelope", None),
            EnvelopeError::NotCanonical => Self("not-canonical-envelope", None),
            EnvelopeError::WrongKind { .. } => Self("wrong-kind", None),
            EnvelopeError::Payload { source, .. } => source.into(),
            EnvelopeError::WrongSigner { .. } => Self("wrong-signer", None),
            EnvelopeError::BadSignature { .. } => Self("bad-signature", None),
        }
    }
}

fn equal<T: PartialEq>(computed: T, stated: T) -> Result<(), Refusal> {
    if computed == stated {
        Ok(())
    } else {
        Err(Refusal("differs", None))
    }
}

type Reader = fn(Value) -> Result<(), Refusal>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    protocol: String,
    #[serde(rename = "generated_by")]
    _generated_by: String,
    #[serde(rename = "about")]
    _about: String,
    cases: Vec<Map<String, Value>>,
    corrupted: Vec<Map<String, Value>>,
}

fn take_text(case: &mut Map<String, Value>, key: &str) -> String {
    case.remove(key).unwrap().as_str().unwrap().to_owned()
}

#[test]
fn session_answers() {
    check(
        include_str!("../../../test_vectors/v1/session.json"),
        &[
            ("task", task),
            ("sealing-key", sealing_key),
            ("round-spec", round_spec),
            ("header", header),
        ],
    );
}

#[test]
fn noise_answers() {
    check(
        include_str!("../../../test_vectors/v1/noise.json"),
        &[
            ("candidate", candidate),
            ("choice", choice),
            ("author", author),
            ("charge", charge),
        ],
    );
}

#[test]
fn groups_answers() {
    check(
        include_str!("../../../test_vectors/v1/groups.json"),
        &[
            ("partition", partition),
            ("group-sums", group_sums),
            ("task", task),
        ],
    );
}

fn check(text: &str, readers: &[(&'static str, Reader)]) {
    let file: File = serde_json::from_str(text).unwrap();
    assert_eq!(file.protocol, "dawn v1");
    let corrupted = file.corrupted.into_iter().map(|case| (case, true));
    let cases = file.cases.into_iter().map(|case| (case, false));
    let mut used = BTreeSet::new();
    for (mut case, is_corrupted) in cases.chain(corrupted) {
        let (name, kind) = (take_text(&mut case, "name"), take_text(&mut case, "kind"));
        let expected = is_corrupted.then(|| {
            let at = case.remove("at").map(|at| at.as_u64().unwrap());
            (take_text(&mut case, "error"), at)
        });
        let (kind, reader) = readers
            .iter()
            .find(|(known, _)| *known == kind)
            .unwrap_or_else(|| panic!("{name}: nothing reads the kind {kind}"));
        used.insert((*kind, is_corrupted));
        let found = reader(Value::Object(case)).err();
        let found = found.map(|Refusal(error, at)| (error.to_owned(), at));
        assert_eq!(found, expected, "{kind}: {name}");
    }
    // Every kind has right and corrupted cases.
    assert_eq!(used.len(), 2 * readers.len());
}

fn fields<T: serde::de::DeserializeOwned>(case: Value) -> T {
    serde_json::from_value(case).unwrap()
}

fn bytes(hex: &str) -> Vec<u8> {
    let digit = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
    (0..hex.len()).step_by(2).map(digit).collect()
}

/// A statement as it is taken out of its envelope.
fn statement<T: Statement + for<'b> minicbor::Decode<'b, ()>>(hex: &str) -> Result<T, Refusal> {
    let statement: T = from_canonical_bounded(&bytes(hex), T::MAX_BYTES)?;
    statement.check().map_err(DecodeError::from)?;
    Ok(statement)
}

fn task(case: Value) -> Result<(), Refusal> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Case {
        body: String,
        id: TaskId,
        owner: OrgId,
        dimension: usize,
        charge_micro_rho: u64,
        norm_bound: u64,
    }
    let case: Case = fields(case);
    let task: Task = statement(&case.body)?;
    equal(task.id(), case.id)?;
    equal(task.owner, case.owner)?;
    equal(task.dimension().unwrap().coordinates(), case.dimension)?;
    equal(task.charge_micro_rho().unwrap(), case.charge_micro_rho)?;
    equal(task.norm_params().unwrap().max_norm(), case.norm_bound)
}

fn sealing_key(case: Value) -> Result<(), Refusal> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Case {
        envelope: String,
        round: (TaskId, u32),
        steward: StewardId,
        body_digest: Digest,
        envelope_digest: Digest,
    }
    let case: Case = fields(case);
    let signed = Signed::<SealingKey>::from_bytes(&bytes(&case.envelope))?;
    equal(
        signed.peek().round,
        RoundId::new(case.round.0, case.round.1),
    )?;
    equal(signed.peek().steward, case.steward)?;
    equal(signed.body_digest(), case.body_digest)?;
    equal(signed.envelope_digest(), case.envelope_digest)
}

fn round_spec(case: Value) -> Result<(), Refusal> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Case {
        body: String,
        session: SessionId,
        seated: Vec<u8>,
    }
    let case: Case = fields(case);
    let spec: RoundSpec = statement(&case.body)?;
    if spec.matrix_seed != digests::matrix_seed(&spec.round, &spec.sealing_keys) {
        return Err(Refusal(Rule::MatrixSeed.name(), None));
    }
    equal(spec.session(), case.session)?;
    equal(spec.seated().collect(), case.seated)
}

fn header(case: Value) -> Result<(), Refusal> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Case {
        body: String,
        norm_context: String,
        consistency_context: String,
        pre_header: String,
        steward: StewardId,
        roster: Digest,
        package_aad: Digest,
        seal_info: Digest,
    }
    let case: Case = fields(case);
    let header: SubmissionHeader = statement(&case.body)?;
    equal(to_canonical(&header), bytes(&case.body))?;
    equal(header.norm_context(), bytes(&case.norm_context))?;
    equal(
        header.consistency_context(),
        bytes(&case.consistency_context),
    )?;
    equal(header.pre_header(), bytes(&case.pre_header))?;
    let aad = package_aad(&header.pre_header(), &case.steward, &case.roster);
    equal(aad, case.package_aad)?;
    equal(seal_info(&header.session), case.seal_info)
}

fn candidate(case: Value) -> Result<(), Refusal> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Case {
        matrix_seed: Digest,
        d: usize,
        deviation: u64,
        seed: Digest,
        payload: Digest,
    }
    let case: Case = fields(case);
    let dimension = Dimension::new(case.d).unwrap();
    let sigma = Sigma::new(case.deviation).unwrap();
    let seed = NoiseSeed::from_bytes(case.seed.0);
    let found = noise::masked_noise(&case.matrix_seed.0, &dimension, sigma, &seed);
    equal(found, case.payload)
}

fn choice(case: Value) -> Result<(), Refusal> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Case {
        beacon: Digest,
        steward: StewardId,
        candidates: u8,
        index: u8,
    }
    let case: Case = fields(case);
    let found = noise::choice(&case.beacon, &case.steward, case.candidates);
    equal(found, case.index)
}

fn author(case: Value) -> Result<(), Refusal> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Case {
        body: String,
        index: u8,
        steward: StewardId,
        submitter: DeviceId,
    }
    let case: Case = fields(case);
    let author: Author = from_canonical_bounded(&bytes(&case.body), 100)?;
    let candidate = Candidate {
        index: case.index,
        steward: case.steward,
    };
    equal(&author, &Author::Steward(candidate))?;
    equal(to_canonical(&author), bytes(&case.body))?;
    equal(author.claimed_device(), case.submitter)
}

fn charge(case: Value) -> Result<(), Refusal> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Case {
        clip: u32,
        min_honest: u32,
        error_deviation: u64,
        stewards: u32,
        noise_deviation: u64,
        micro_rho: u64,
    }
    let case: Case = fields(case);
    let sigma = |units| Sigma::new(units).unwrap();
    let noise = CountedNoise {
        stewards: Some(CountedStewards {
            honest: case.stewards,
            sigma: sigma(case.noise_deviation),
        }),
        ..CountedNoise::of_devices(sigma(case.error_deviation), case.min_honest)
    };
    equal(noise.charge_micro_rho(case.clip), Ok(case.micro_rho))
}

fn partition(case: Value) -> Result<(), Refusal> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Case {
        beacon: Digest,
        devices: Vec<Option<DeviceId>>,
        most: u8,
        size: u32,
        count: usize,
        groups: Vec<Option<usize>>,
    }
    let case: Case = fields(case);
    let rule = GroupRule {
        most: case.most,
        size: case.size,
        ..crate::groups::RULE
    };
    let length = case.devices.len();
    let drawn = Groups::draw(&rule, &case.beacon, case.devices);
    equal(drawn.count(), case.count)?;
    equal(
        (0..length).map(|index| drawn.of(index)).collect(),
        case.groups,
    )
}

fn group_sums(case: Value) -> Result<(), Refusal> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Case {
        groups: usize,
        constants: Vec<u32>,
        digest: Digest,
    }
    let case: Case = fields(case);
    let word = |constant: &u32| constant.to_le_bytes().repeat(N);
    let bytes: Vec<u8> = case.constants.iter().flat_map(word).collect();
    let sums = GroupSums::from_bytes(&bytes, case.groups, Culprit::Aggregator)
        .map_err(|violation| Refusal(violation.rule.name(), None))?;
    equal(sums.to_bytes(), bytes)?;
    equal(sums.digest(), case.digest)
}
