//! A valid example of everything, from which the fuzzer starts: made of the rounds of [`crate::world`].

use std::fs;
use std::path::Path;
use std::sync::OnceLock;

use dawn_crypto::norm::params::REPETITIONS;
use dawn_crypto::params::Sigma;
use dawn_crypto::shamir::{ShareSum, Threshold};
use dawn_crypto::vrf::prove;
use dawn_identity::{
    Change, DeviceId, Digest, Envelope, OrgApproval, OrgEvent, Statement, to_canonical,
};
use dawn_learn::{Aggregation, RobustRule};
use dawn_protocol::container::ContainerHead;
use dawn_protocol::terminal::Terminal;
use dawn_protocol::work::work_to_bytes;
use dawn_protocol::{
    Aborted, BeaconShare, Candidate, Challenge, Closed, Endorsement, Functional, GroupRule,
    LogEntry, LogHead, NoiseSecret, Opening, PackageItem, PackagePage, PackageReport, Receipt,
    RoundId, RoundResult, RoundSpec, SealingKey, StewardNoise, SubmissionHeader, Task, Verdict,
    WorkItem,
};
use dawn_transport::AggregatorInfo;
use minicbor::Encode;
use minicbor::bytes::ByteVec;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::targets::{self, DOCUMENTS, KINDS, PACKAGES, TEXTS};
use crate::world::{self, NOW, honest};

/// The target, a name, and an input that the target accepts.
pub type Seed = (&'static str, String, Vec<u8>);

/// All of them.
pub fn all() -> &'static [Seed] {
    static ALL: OnceLock<Vec<Seed>> = OnceLock::new();
    ALL.get_or_init(|| {
        let mut seeds = Vec::new();
        statements(&mut seeds);
        documents(&mut seeds);
        packages(&mut seeds);
        containers(&mut seeds);
        models(&mut seeds);
        texts(&mut seeds);
        let honest = honest();
        for (number, round) in honest.rounds.iter().enumerate() {
            let bytes = world::transcript(&honest.world, round);
            seeds.push(("transcript", format!("round {number}"), bytes));
            seeds.push(("audit", format!("round {number}"), vec![number as u8]));
        }
        for (target, len) in [
            ("audit", 60),
            ("shamir", 60),
            ("mask", 400),
            ("merkle", 120),
            ("gaussian", 500),
            ("judging", 300),
        ] {
            searched(target, len, &mut seeds);
        }
        seeds
    })
}

/// Writes a target's seeds to `corpus/<target>/`, beside what the fuzzer has found there. Called when a fuzzer starts,
/// before it looks there.
///
/// # Panics
/// When the folder cannot be written; when the target refuses a seed, because then it might never get beyond its
/// first check.
pub fn write(target: &str) {
    let run = targets::by_name(target);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("corpus")
        .join(target);
    fs::create_dir_all(&folder).expect("fuzz/corpus can be written");
    for (_, name, bytes) in all().iter().filter(|(of, ..)| *of == target) {
        assert!(run(bytes), "{target} refuses its seed {name}");
        let file = folder.join(format!("seed {name}").replace(' ', "-"));
        fs::write(file, bytes).expect("fuzz/corpus can be written");
    }
}

/// Inputs that are read as numbers and choices: random ones that are accepted.
fn searched(target: &'static str, len: usize, seeds: &mut Vec<Seed>) {
    let run = targets::by_name(target);
    let accepted = (0..).map(|seed| {
        let mut bytes = vec![0; len];
        ChaCha20Rng::seed_from_u64(seed).fill_bytes(&mut bytes);
        bytes
    });
    for (number, bytes) in accepted.filter(|bytes| run(bytes)).take(8).enumerate() {
        seeds.push((target, format!("random {number}"), bytes));
    }
}

/// The name's place in a table, then the bytes.
fn chosen<T>(table: &[T], name: &str, name_of: fn(&T) -> &'static str, bytes: &[u8]) -> Vec<u8> {
    let place = table.iter().position(|entry| name_of(entry) == name);
    let place = place.expect("a name of the table");
    [&[u8::try_from(place).expect("a short table")], bytes].concat()
}

fn statements(seeds: &mut Vec<Seed>) {
    let honest = honest();
    let (world, round, aborted) = (&honest.world, &honest.rounds[1], &honest.rounds[2]);
    let spec = round.spec.peek();
    let Terminal::Result(result) = &round.terminal else {
        panic!("the second round has a result");
    };
    let Terminal::Aborted(aborted) = &aborted.terminal else {
        panic!("the third round is aborted");
    };
    let receipt = Receipt {
        round: spec.round,
        session: spec.session(),
        device: DeviceId(Digest([4; 32])),
        header: Digest([5; 32]),
        received_ms: NOW * 1000,
    };
    let head = LogHead {
        size: 300,
        root: Digest([6; 32]),
        time_ms: NOW * 1000,
    };
    let org = &world.organisations[0];
    let enrolment = org
        .enrol_steward(
            &world.federation.digest(),
            &world.stewards[0],
            world.vrfs[0].public(),
            NOW,
        )
        .expect("consistent");
    let chain = &world.devices[0].chain;
    let key = spec.sealing_keys[0].as_ref().expect("everybody is seated");
    let mut add = |kind: &'static str, body: &[u8]| {
        let name_of = |entry: &targets::Kind| entry.0;
        let input = chosen(KINDS, kind, name_of, body);
        let label = format!("{kind} {}", seeds.len() / 2);
        seeds.push(("statements", label.clone(), input));
        let envelope = Envelope::seal(kind, body.to_vec(), world::key()).expect("a kind");
        let input = chosen(KINDS, kind, name_of, envelope.bytes());
        seeds.push(("envelopes", label, input));
    };
    add(Task::KIND, world.task.body());
    let mut grouped = world.task.peek().clone();
    grouped.policy.min_accepted = 6;
    grouped.policy.min_honest = 6;
    grouped.options.groups = Some(GroupRule {
        most: 3,
        size: 2,
        least: 2,
        honest: 2,
        dishonest: 0,
        rule: RobustRule {
            aggregation: Aggregation::TrimmedMean { cut: 1 },
            mixing: Some(2),
        },
    });
    add(Task::KIND, &to_canonical(&grouped));
    add(SealingKey::KIND, key.body());
    add(RoundSpec::KIND, round.spec.body());
    let mut absent = spec.clone();
    absent.sealing_keys[1] = None;
    add("round-spec", &to_canonical(&absent));
    let mut directed = spec.clone();
    directed.direction = Some(Digest([7; 32]));
    add("round-spec", &to_canonical(&directed));
    let mut filtered = world.task.peek().clone();
    filtered.options.functional = Some(Functional::Direction);
    add("task", &to_canonical(&filtered));
    add(Endorsement::KIND, round.endorsements[0].body());
    add(SubmissionHeader::KIND, round.submissions[0].header.body());
    // As of a task whose stewards contribute noise.
    let candidate = Candidate {
        index: 1,
        steward: round.endorsements[0].peek().steward,
    };
    let secret = NoiseSecret::from_bytes([8; 32]);
    let mut noisy = world.task.peek().clone();
    noisy.options.noise = Some(StewardNoise {
        sigma: Sigma::ERROR_MIN,
        candidates: 4,
    });
    add(Task::KIND, &to_canonical(&noisy));
    let mut noise = round.submissions[0].header.peek().clone();
    noise.credential = candidate.into();
    add(SubmissionHeader::KIND, &to_canonical(&noise));
    let mut revealing = round.reports[0].peek().clone();
    revealing.reveals = Some(secret.reveal(4, 2));
    add(PackageReport::KIND, &to_canonical(&revealing));
    add(Receipt::KIND, &to_canonical(&receipt));
    add(Closed::KIND, round.closed.as_ref().expect("closed").body());
    let challenge = round.challenge.as_ref().expect("challenged");
    add(BeaconShare::KIND, challenge.peek().shares[0].body());
    add(Challenge::KIND, challenge.body());
    add(PackageReport::KIND, round.reports[0].body());
    add(
        Verdict::KIND,
        round.verdict.as_ref().expect("judged").body(),
    );
    add(Opening::KIND, round.openings[0].body());
    let mut opening = round.openings[0].peek().clone();
    opening.groups = Some(Digest([8; 32]));
    add(Opening::KIND, &to_canonical(&opening));
    add(RoundResult::KIND, result.body());
    add(Aborted::KIND, aborted.body());
    add(LogHead::KIND, &to_canonical(&head));
    add("issuer-certificate", org.certificate().body());
    add("device-credential", chain.credential.body());
    add("org-registration", world.registrations[0].body());
    add("steward-enrolment", enrolment.body());
    let devices = vec![DeviceId(Digest([7; 32])), DeviceId(Digest([8; 32]))];
    let (federation, last) = (world.federation.digest(), (3, Digest([9; 32])));
    for change in [
        Change::RevokeDevices { devices },
        Change::RevokeOrganisation,
    ] {
        let event = org
            .event(&federation, last, change, NOW)
            .expect("consistent");
        add(OrgEvent::KIND, event.body());
    }
    let approval = org
        .approve(&world.registrations[0], NOW)
        .expect("consistent");
    add(OrgApproval::KIND, approval.body());
}

fn documents(seeds: &mut Vec<Seed>) {
    let honest = honest();
    let (world, round) = (&honest.world, &honest.rounds[1]);
    let task = world.task.peek();
    let (announcement, closed) = (round.announcement(), round.closed.clone().expect("closed"));
    let challenge = round.challenge.clone().expect("challenged");
    let work = vec![
        WorkItem::PublishSealingKey {
            round: RoundId::new(task.id(), 7),
        },
        WorkItem::Endorse {
            spec: round.spec.clone(),
        },
        WorkItem::ContributeNoise {
            announcement: announcement.clone(),
        },
        WorkItem::ShareBeacon {
            announcement: announcement.clone(),
            closed: closed.clone(),
        },
        WorkItem::Report {
            announcement: announcement.clone(),
            closed: closed.clone(),
            challenge: challenge.clone(),
        },
        WorkItem::Open {
            announcement: announcement.clone(),
            closed: closed.clone(),
            challenge,
            reports: round.reports.clone(),
            verdict: round.verdict.clone().expect("judged"),
        },
    ];
    let page = PackagePage {
        first: 2,
        items: vec![
            PackageItem {
                header: round.submissions[0].header.bytes().to_vec(),
                package: vec![9; 40],
            };
            2
        ],
        next: Some(4),
    };
    let entries: Vec<LogEntry> = (7..)
        .zip([closed.bytes(), round.reports[0].bytes()])
        .map(|(index, envelope)| LogEntry {
            index,
            envelope: envelope.to_vec(),
        })
        .collect();
    let mut add = |name: &str, bytes: &[u8]| {
        let input = chosen(DOCUMENTS, name, |entry| entry.0, bytes);
        seeds.push(("documents", name.to_owned(), input));
    };
    add("founding document", &world.document().to_bytes());
    add("roster", &world.roster.to_bytes());
    add("credential chain", &to_canonical(&world.devices[0].chain));
    add("announcement", &announcement.to_bytes());
    add("work", &work_to_bytes(&work));
    add("package page", &page.to_bytes());
    add("log entries", &to_canonical(&entries));
    let founder = &world.organisations[0];
    let registration = founder.register(&world.federation.digest(), NOW);
    add("register", registration.expect("consistent").bytes());
    add(
        "threshold",
        &to_canonical(&Threshold::new(6, 1).expect("allowed")),
    );
    add("deviation", &to_canonical(&Sigma::ERROR_MIN));
    add("model", &to_canonical(&task.model));
    add("training", &to_canonical(&task.train));
    add("quantiser", &to_canonical(&task.quantiser));
    add("policy", &to_canonical(&task.policy));
    add("deadlines", &to_canonical(&task.deadlines));
    add("privacy", &to_canonical(&task.privacy));
    add("functional", &to_canonical(&Functional::Direction));
    add("functional", &to_canonical(&Functional::Counts));
    add("round", &to_canonical(&RoundId::new(task.id(), 7)));
}

fn packages(seeds: &mut Vec<Seed>) {
    let round = &honest().rounds[1];
    let header = round.submissions[0].header.peek();
    let plaintext = |share: Vec<u8>, beside: [usize; 2]| {
        let [digits, proofs] = beside.map(|length| ByteVec::from(vec![3; length]));
        let parts = (
            ByteVec::from(vec![8; 32]),
            ByteVec::from(share),
            digits,
            proofs,
        );
        encoded(&parts)
    };
    let params = targets::params();
    let beside = [4 * params.digits(), 4 * REPETITIONS * params.proof_len()];
    let elements = ShareSum::zero().to_bytes();
    let key = round.spec.peek().sealing_keys[0].as_ref().expect("seated");
    let mut add = |name: &str, label: &str, bytes: &[u8]| {
        let input = chosen(PACKAGES, name, |entry| entry.0, bytes);
        seeds.push(("packages", format!("{name} {label}"), input));
    };
    add("plaintext", "of a seed", &plaintext(vec![7; 32], [0, 0]));
    add(
        "plaintext",
        "explicit",
        &plaintext(elements.clone(), beside),
    );
    add("consistency proof", "", &to_canonical(&header.consistency));
    add("sealing key", "", key.peek().key.as_bytes());
    add("sealed", "", targets::sealed());
    add("payload", "", &round.submissions[0].payload[..64]);
    add("share sum", "", &elements);
    add("vrf key", "", targets::prover().public().as_bytes());
    let proof = prove(targets::prover(), b"input");
    add("vrf proof", "", &[&proof.as_bytes()[..], b"input"].concat());
}

fn encoded<T: Encode<()>>(value: &T) -> Vec<u8> {
    minicbor::to_vec(value).expect("encoding into memory does not fail")
}

fn containers(seeds: &mut Vec<Seed>) {
    let submission = &honest().rounds[1].submissions[0];
    let heads = [
        (
            "honest",
            submission.header.bytes().to_vec(),
            submission.packages.clone(),
        ),
        ("small", vec![1; 9], vec![vec![2; 5], vec![], vec![3; 300]]),
        ("nothing", vec![], vec![]),
    ];
    for (name, header, packages) in heads {
        for cut in 0..4 {
            let count = u8::try_from(packages.len()).expect("few packages");
            let head = ContainerHead {
                header: header.clone(),
                packages: packages.clone(),
            };
            let mut bytes = vec![count, cut];
            head.write_to(&mut bytes).expect("writing into memory");
            bytes.extend_from_slice(&[0; 64]);
            seeds.push(("container", format!("{name} {cut}"), bytes));
        }
    }
}

fn models(seeds: &mut Vec<Seed>) {
    let model = honest().rounds[1].model.to_bytes();
    let le = |numbers: &[i32]| {
        numbers
            .iter()
            .flat_map(|n| n.to_le_bytes())
            .collect::<Vec<u8>>()
    };
    let mut add = |name: &str, parts: &[&[u8]]| {
        seeds.push(("models", name.to_owned(), parts.concat()));
    };
    add("model", &[&[0], &model]);
    add(
        "update",
        &[
            &[1, 12, 4, 0, 0, 0],
            &le(&[1, -1, 1 << 24, i32::MAX, 5, -6, 7, 1 << 30]),
        ],
    );
    add(
        "quantise",
        &[
            &[2, 12, 0xe8, 3, 0, 0, 1],
            &le(&[1 << 20, -1, i32::MIN, 4000, 0]),
        ],
    );
    add(
        "csv",
        &[&[3, 2, 3, 4, 0x23], b"label,a,b\n0.5,-1,2\n1e-1,+3.25,0\n"],
    );
    add(
        "csv",
        &[&[3, 2, 2, 0x34, 0x25], b"0.5,-1,2,0.125\n1e-1,+3.25,0,-7\n"],
    );
    let file = |descr: &str, shape: &str, elements: &[u8]| {
        let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}");
        let length = (header.len() as u16).to_le_bytes();
        [b"\x93NUMPY\x01\0", &length[..], header.as_bytes(), elements].concat()
    };
    let floats: Vec<u8> = [0.5f32, -1.0, 2.5, 0.0]
        .iter()
        .flat_map(|f| f.to_le_bytes())
        .collect();
    let (features, wide) = (
        file("<f4", "(2, 2)", &floats),
        [0.25f64.to_le_bytes(); 2].concat(),
    );
    for (name, classes, answers) in [
        ("npy labels", 3, file("|u1", "(2,)", &[2, 0])),
        ("npy targets", 0, file("<f8", "(2, 1)", &wide)),
    ] {
        let length = answers.len() as u8;
        add(name, &[&[4, classes, 0x23, 2, length], &features, &answers]);
    }
}

fn texts(seeds: &mut Vec<Seed>) {
    let key = world::key();
    let info = AggregatorInfo {
        aggregator_key: key.public(),
        log_key: key.public(),
        protocol_version: 1,
        software_version: "0.1.0".to_owned(),
    };
    let problem =
        br#"{"type":"urn:dawn:problem:conflict","title":"T","status":409,"detail":"d\u001b"}"#;
    let mut add = |name: &str, bytes: &[u8]| {
        let input = chosen(TEXTS, name, |entry| entry.0, bytes);
        let label = format!("{name} {}", seeds.len());
        seeds.push(("texts", label, input));
    };
    add("digest", "0af9".repeat(16).as_bytes());
    add("identifier", "b7".repeat(32).as_bytes());
    add("public key", key.public().to_string().as_bytes());
    add("public key file", key.public().to_pem().as_bytes());
    add("secret key file", key.to_pkcs8_pem().as_bytes());
    add("model", b"logistic:64-10");
    add("model", b"mlp:64-32-10");
    add("model", b"mlp:64-48-32-10");
    add("model", b"cnn:28x28x1-8k3-16k3-64-10");
    add("model", b"linear:6-2");
    add("model", b"regressor:6-16-2");
    add("preset", b"private");
    add("backend", b"portable");
    add("problem", problem);
    add(
        "description",
        &serde_json::to_vec(&info).expect("plain data"),
    );
    add("deviation", b"1234.5678");
}

#[cfg(test)]
mod tests {
    use super::*;
    use dawn_identity::Signed;

    #[test]
    fn envelopes_are_signed_by_the_key_of_the_targets() {
        let envelopes: Vec<_> = all().iter().filter(|(of, ..)| *of == "envelopes").collect();
        assert!(envelopes.len() >= KINDS.len());
        let endorsement = envelopes
            .iter()
            .find(|(_, label, _)| label.starts_with(Endorsement::KIND));
        let (_, _, bytes) = endorsement.expect("there is one of every kind");
        let signed = Signed::<Endorsement>::from_bytes(&bytes[1..]).expect("an envelope");
        assert!(signed.verify(&world::key().public()).is_ok());
    }
}
