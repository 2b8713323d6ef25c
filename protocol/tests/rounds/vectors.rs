//! The known answers of `test_vectors/protocol.py`, which shares no code with us: digests and charges.

use dawn_crypto::norm::NormSeeds;
use dawn_crypto::params::Sigma;
use dawn_crypto::vrf::{VrfProof, proof_to_hash};
use dawn_identity::{SessionId, StewardId, TaskId};
use dawn_protocol::answers::{Scalars, answers_digest};
use dawn_protocol::beacon::{beacon, beacon_input};
use dawn_protocol::digests::{matrix_seed, model_digest, sum_digest};
use dawn_protocol::dp::charge_micro_rho;
use dawn_protocol::submission::{package_aad, package_digest, seal_info};
use dawn_protocol::{Digest, RoundId};

fn digest(byte: u8) -> Digest {
    Digest([byte; 32])
}

fn round() -> RoundId {
    RoundId::new(TaskId(digest(0x11)), 3)
}

fn session() -> SessionId {
    SessionId(digest(0x22))
}

fn steward() -> StewardId {
    StewardId(digest(0x33))
}

#[derive(serde::Deserialize)]
pub struct Vectors {
    pub statements: Vec<StatementVector>,
    digests: Digests,
    charges: Vec<Charge>,
}

#[derive(serde::Deserialize)]
pub struct StatementVector {
    pub kind: String,
    pub body: String,
    pub digest: Digest,
}

#[derive(serde::Deserialize)]
struct Digests {
    model: ModelVector,
    sum: SumVector,
    package_aad: Digest,
    seal_info: Digest,
    package: Digest,
    matrix_seed_of_nobody: Digest,
    beacon_input: Digest,
    beacon: Digest,
    answers: Digest,
    scalars: Digest,
    projection_seed: Digest,
    joint_seed: Digest,
}

#[derive(serde::Deserialize)]
struct ModelVector {
    bytes: String,
    digest: Digest,
}

#[derive(serde::Deserialize)]
struct SumVector {
    values: Vec<i32>,
    digest: Digest,
}

#[derive(serde::Deserialize)]
struct Charge {
    clip: u32,
    sigma_units: u64,
    min_honest: u32,
    micro_rho: u64,
}

/// The known answers of `test_vectors/protocol.py`, which shares no code with us.
pub fn vectors() -> Vectors {
    serde_json::from_str(include_str!("../../../test_vectors/protocol.json")).unwrap()
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    let digits = text.as_bytes().chunks_exact(2);
    digits
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

/// RFC 9381, appendix B.3, examples 16 and 17.
const VRF_PROOFS: [&str; 2] = [
    "8657106690b5526245a92b003bb079ccd1a92130477671f6fc01ad16f26f723f26f8a57ccaed74ee\
     1b190bed1f479d9727d2d0f9b005a6e456a35d4fb0daab1268a1b0db10836d9826a528ca76567805",
    "f3141cd382dc42909d19ec5110469e4feae18300e94f304590abdced48aed5933bf0864a62558b3e\
     d7f2fea45c92a465301b3bbf5e3e54ddf2d935be3b67926da3ef39226bbc355bdc9850112c8f4b02",
];

#[test]
fn digests_are_those_of_another_program() {
    let vectors = vectors().digests;
    assert_eq!(hex(b"model"), vectors.model.bytes);
    assert_eq!(model_digest(b"model"), vectors.model.digest);
    assert_eq!(sum_digest(&vectors.sum.values), vectors.sum.digest);
    assert_eq!(
        package_aad(b"pre-header", &steward(), &digest(2)),
        vectors.package_aad
    );
    assert_eq!(seal_info(&session()), vectors.seal_info);
    assert_eq!(package_digest(b"sealed"), vectors.package);
    let root = digest(0x66);
    assert_eq!(beacon_input(&session(), &root), vectors.beacon_input);
    // The outputs are only hashed: RFC 9381, appendix B.3, examples 16 and 17.
    let outputs = VRF_PROOFS
        .map(|proof| proof_to_hash(&VrfProof::from_bytes(&unhex(proof)).unwrap()).unwrap());
    assert_eq!(beacon(&session(), &root, &outputs), vectors.beacon);
    assert_eq!(answers_digest(b"answers"), vectors.answers);
    let scalars = Scalars::new(vec![[1, 2], [3, 4_293_918_720]]);
    assert_eq!(scalars.digest(), vectors.scalars);
    let read = Scalars::from_bytes(&scalars.to_bytes(), 2).unwrap();
    assert_eq!(read, scalars);
    let seeds = NormSeeds::new(b"context", &[digest(0x58), digest(0x59)]);
    assert_eq!(seeds.projection, vectors.projection_seed);
    assert_eq!(seeds.joint, vectors.joint_seed);
    let nobody = [None, None, None];
    assert_eq!(
        Digest(matrix_seed(&round(), &nobody)),
        vectors.matrix_seed_of_nobody
    );
}

#[test]
fn charges_are_those_of_another_program() {
    for vector in vectors().charges {
        let sigma = Sigma::new(vector.sigma_units).unwrap();
        let charge = charge_micro_rho(vector.clip, sigma, vector.min_honest);
        assert_eq!(charge, Ok(vector.micro_rho));
    }
}
