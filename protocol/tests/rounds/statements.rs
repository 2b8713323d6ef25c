//! Every kind of statement: one encoding, pinned; damaged bytes never verify and never panic.

use std::fmt::Debug;
use std::sync::OnceLock;

use dawn_crypto::seal::SealingSecretKey;
use dawn_crypto::shamir::{ConsistencyProof, ShareSum};
use dawn_crypto::vrf::VrfProof;
use dawn_identity::signed::statement_digest;
use dawn_identity::{
    DeviceId, Organisation, SecretKey, SessionId, Signed, Statement, StewardId, TaskId, Validity,
    from_canonical, to_canonical,
};
use dawn_protocol::digests::{matrix_seed, model_digest, sum_digest};
use dawn_protocol::submission::{package_aad, seal_info};
use dawn_protocol::{
    AbortReason, Aborted, BeaconShare, Challenge, Closed, Decision, Digest, Endorsement, LogHead,
    MAX_STATEMENT_BYTES, Opening, Outcome, PackageReport, Receipt, RoundId, RoundResult, RoundSpec,
    SealingKey, SubmissionHeader, Task, Verdict,
};
use proptest::prelude::*;

use crate::vectors::{StatementVector, hex, vectors};
use crate::world::World;

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

fn endorsement() -> Endorsement {
    Endorsement {
        round: round(),
        session: session(),
        steward: steward(),
    }
}

fn receipt() -> Receipt {
    Receipt {
        round: round(),
        session: session(),
        device: DeviceId(digest(0x44)),
        header: digest(0x55),
        received_ms: 1_800_000_000_123,
    }
}

fn register() -> dawn_identity::RegisterHead {
    dawn_identity::RegisterHead {
        entries: 3,
        digest: digest(0x57),
    }
}

fn closed() -> Closed {
    Closed {
        round: round(),
        session: session(),
        root: digest(0x66),
        count: 4,
        closed_ms: 1_800_000_000_456,
        register: register(),
    }
}

fn report() -> PackageReport {
    PackageReport {
        round: round(),
        session: session(),
        root: digest(0x66),
        steward: steward(),
        outcomes: Outcome::ALL[..5].to_vec(),
        challenge: digest(0x67),
        answers: digest(0x68),
        reveals: None,
    }
}

/// A part of the beacon whose proof is no proof of anything.
fn beacon_share() -> BeaconShare {
    BeaconShare {
        round: round(),
        session: session(),
        root: digest(0x66),
        steward: steward(),
        proof: VrfProof::from_bytes(&[0x69; 80]).unwrap(),
    }
}

fn challenge() -> Challenge {
    let sign = |seed| Signed::sign(&beacon_share(), &SecretKey::from_seed(&[seed; 32])).unwrap();
    Challenge {
        round: round(),
        session: session(),
        root: digest(0x66),
        shares: vec![sign(6), sign(7)],
    }
}

fn verdict() -> Verdict {
    Verdict {
        round: round(),
        session: session(),
        root: digest(0x66),
        decisions: Decision::ALL[..8].to_vec(),
        openers: vec![1, 2, 4, 5, 6],
        reports: vec![digest(0x77), digest(0x78)],
        charge_micro_rho: 1000,
        spent_micro_rho: 3000,
        challenge: digest(0x67),
        scalars: digest(0x79),
        liars: vec![3],
    }
}

fn opening() -> Opening {
    Opening {
        round: round(),
        session: session(),
        root: digest(0x66),
        verdict: digest(0x88),
        steward: steward(),
        share_sum: ShareSum::zero(),
        groups: None,
    }
}

fn result() -> RoundResult {
    RoundResult {
        round: round(),
        session: session(),
        verdict: digest(0x88),
        openings: vec![digest(0x99); 5],
        points: vec![1, 2, 4, 5],
        culprits: vec![steward()],
        accepted: 4,
        sum: digest(0xaa),
        model: digest(0xbb),
        direction: None,
        draw: None,
        evaluation: None,
    }
}

fn aborted() -> Aborted {
    Aborted {
        round: round(),
        session: Some(session()),
        reason: AbortReason::Policy,
        detail: "2 of 3 organisations".to_owned(),
        model: digest(0xdd),
        previous: Some(digest(0xee)),
        direction: None,
        draw: None,
    }
}

fn log_head() -> LogHead {
    LogHead {
        size: 300,
        root: digest(0xcc),
        time_ms: 1_800_000_000_789,
    }
}

/// Statements that other statements and keys are inside of, all from fixed seeds.
struct Large {
    task: Task,
    sealing_key: SealingKey,
    spec: RoundSpec,
    header: SubmissionHeader,
}

/// A proof with the numbers 1 to 20, for three stewards of whom two open.
fn proof() -> ConsistencyProof {
    let words = |numbers: std::ops::RangeInclusive<u32>| {
        minicbor::bytes::ByteVec::from(numbers.flat_map(u32::to_le_bytes).collect::<Vec<u8>>())
    };
    let bytes = minicbor::to_vec([words(1..=12), words(13..=20)]).unwrap();
    minicbor::decode(&bytes).unwrap()
}

fn large() -> &'static Large {
    static LARGE: OnceLock<Large> = OnceLock::new();
    LARGE.get_or_init(|| {
        let key = |byte: u8| SecretKey::from_seed(&[byte; 32]);
        let validity = Validity::starting(1_700_000_000, 1_000_000_000);
        let certificate = Organisation::certify(
            &dawn_identity::OrgId::of(&key(1).public()),
            &key(1),
            &key(2).public(),
            validity,
            1,
        )
        .unwrap();
        let owner = Organisation::from_parts("Owner", key(1), key(2), certificate).unwrap();
        let sealing_key = |byte: u8| SealingKey {
            round: round(),
            steward: StewardId(digest(byte)),
            key: SealingSecretKey::from_bytes(&[byte; 32]).public(),
        };
        let sealing_keys = vec![
            Some(Signed::sign(&sealing_key(0x34), &key(3)).unwrap()),
            None,
            Some(Signed::sign(&sealing_key(0x35), &key(4)).unwrap()),
        ];
        let task = Task {
            owner: owner.id(),
            issuer: owner.certificate().clone(),
            federation: digest(0x01),
            roster: digest(0x02),
            ..World::new(3, 0).task.peek().clone()
        };
        Large {
            sealing_key: sealing_key(0x33),
            spec: RoundSpec {
                version: 1,
                round: round(),
                federation: digest(0x01),
                roster: digest(0x02),
                previous: Some(digest(0x03)),
                model: digest(0x04),
                dimension: 10,
                matrix_seed: matrix_seed(&round(), &sealing_keys),
                sealing_keys,
                charge_micro_rho: 5,
                opened_ms: 1_800_000_000_000,
                register: register(),
                direction: None,
                draw: None,
            },
            header: SubmissionHeader {
                round: round(),
                session: session(),
                credential: owner
                    .issue_device(&key(5).public(), "watch 7", validity)
                    .unwrap()
                    .into(),
                payload: digest(0x55),
                commitments: vec![digest(0x56); 3],
                digit_commitments: vec![digest(0x58); 3],
                proof_commitments: vec![digest(0x59); 3],
                consistency: proof(),
                packages: vec![digest(0x57); 2],
                selection: None,
            },
            task,
        }
    })
}

#[test]
fn encodings_are_pinned() {
    fn pinned<T: Statement + PartialEq + Debug>(statement: &T, vectors: &[StatementVector]) {
        let vector = vectors.iter().find(|v| v.kind == T::KIND).unwrap();
        let bytes = to_canonical(statement);
        assert_eq!(hex(&bytes), vector.body, "{}", T::KIND);
        assert_eq!(statement_digest(statement), vector.digest, "{}", T::KIND);
        assert_eq!(&from_canonical::<T>(&bytes).unwrap(), statement);
    }
    let vectors = vectors().statements;
    assert_eq!(vectors.len(), 11);
    pinned(&beacon_share(), &vectors);
    pinned(&challenge(), &vectors);
    pinned(&endorsement(), &vectors);
    pinned(&receipt(), &vectors);
    pinned(&closed(), &vectors);
    pinned(&report(), &vectors);
    pinned(&verdict(), &vectors);
    pinned(&opening(), &vectors);
    pinned(&result(), &vectors);
    pinned(&aborted(), &vectors);
    pinned(&log_head(), &vectors);
    let mut without_session = Aborted {
        session: None,
        detail: String::new(),
        ..aborted()
    };
    let expected = format!(
        "86825820{}03f604605820{}5820{}",
        "11".repeat(32),
        "dd".repeat(32),
        "ee".repeat(32)
    );
    assert_eq!(hex(&to_canonical(&without_session)), expected);
    // Only round 1 continues nothing.
    without_session.check().unwrap();
    without_session.round.number = 1;
    without_session.check().unwrap_err();
    without_session.previous = None;
    without_session.check().unwrap();
    without_session.round.number = 2;
    without_session.check().unwrap_err();
}

/// The large statements by digest: body digests, session id, and what a package is bound to.
#[test]
fn large_encodings_are_pinned() {
    let large = large();
    let digests = [
        statement_digest(&large.task).to_string(),
        statement_digest(&large.sealing_key).to_string(),
        statement_digest(&large.spec).to_string(),
        statement_digest(&large.header).to_string(),
        large.spec.session().to_string(),
        package_aad(&large.header.pre_header(), &steward(), &digest(0x02)).to_string(),
        seal_info(&session()).to_string(),
        model_digest(b"model").to_string(),
        sum_digest(&[1, -1, i32::MAX]).to_string(),
    ];
    assert_eq!(digests, GOLDEN);
}

const GOLDEN: [&str; 9] = [
    "5d9693a71f147030302a25c709c626b026f4fe1dbe8e501e69546b9a0c1e652f",
    "19e6325f9f389e7beadcd773fdb2567c36a93e84668e1fc45a2b8c56aa2fce0a",
    "b4db492bcafbd55ac2f2055ab4e85dd6d7a0dfb903e9f41bfaf280ebb7ff0384",
    "c550f96e863a1f8392bbfa9de7d21a9c9001b599873ed01f8ac7f9df1f764503",
    "ab40e232f646ae9925e78284584dba84b76377c7d279c34d1131a85a456a59bf",
    "a95d0e07f9ca4285937dfc7ee1d07738b077b88f21941361d370f4ce2adc4064",
    "1d6cfddc811fdc5a0b9efa5f93f501bdbb199218c73efa9e88e936776daadb13",
    "4cad260a85a9293a399667dee2592f3a41618d31e2f6e31b7ebd04b6864965c3",
    "f61fe786fd5131524c98af82d6eb4739178eeea88bc87887d5e5650ba2ecaea1",
];

fn every_damage_is_noticed<T: Statement + Clone + Debug + PartialEq>(statement: &T) {
    const { assert!(T::MAX_BYTES + 256 <= MAX_STATEMENT_BYTES) };
    let key = SecretKey::from_seed(&[1; 32]);
    let signed = Signed::sign(statement, &key).unwrap();
    assert_eq!(&Signed::<T>::from_bytes(signed.bytes()).unwrap(), &signed);
    let step = signed.bytes().len().div_ceil(400);
    for at in (0..signed.bytes().len()).step_by(step) {
        let mut bytes = signed.bytes().to_vec();
        bytes[at] ^= 1 << (at % 8);
        let verified = Signed::<T>::from_bytes(&bytes).and_then(|s| s.verify(&key.public()));
        assert!(verified.is_err(), "{} byte {at}", T::KIND);
        assert!(Signed::<T>::from_bytes(&signed.bytes()[..at]).is_err());
    }
    let longer = [signed.bytes(), &[0]].concat();
    assert!(Signed::<T>::from_bytes(&longer).is_err());
    let other = SecretKey::from_seed(&[2; 32]);
    assert!(signed.verify(&other.public()).is_err());
}

#[test]
fn a_flipped_bit_or_a_cut_never_verifies() {
    let large = large();
    every_damage_is_noticed(&large.task);
    every_damage_is_noticed(&large.sealing_key);
    every_damage_is_noticed(&large.spec);
    every_damage_is_noticed(&large.header);
    every_damage_is_noticed(&endorsement());
    every_damage_is_noticed(&receipt());
    every_damage_is_noticed(&closed());
    every_damage_is_noticed(&beacon_share());
    every_damage_is_noticed(&challenge());
    every_damage_is_noticed(&report());
    every_damage_is_noticed(&verdict());
    every_damage_is_noticed(&opening());
    every_damage_is_noticed(&result());
    every_damage_is_noticed(&aborted());
    every_damage_is_noticed(&log_head());
}

#[test]
fn a_statement_of_one_kind_is_none_of_another() {
    let key = SecretKey::from_seed(&[1; 32]);
    // A receipt and a closed statement have the same shape up to the types of their fields.
    let signed = Signed::sign(&endorsement(), &key).unwrap();
    assert!(Signed::<Closed>::from_bytes(signed.bytes()).is_err());
    assert!(Signed::<SealingKey>::from_bytes(signed.bytes()).is_err());
}

#[test]
fn the_largest_statements_fit_a_log_entry_and_one_more_does_not_sign() {
    let key = SecretKey::from_seed(&[1; 32]);
    let mut largest = verdict();
    largest.decisions = vec![Decision::Accepted; 50_000];
    largest.reports = vec![digest(1); 16];
    largest.openers = (1..=16).collect();
    largest.liars = (1..=16).collect();
    largest.charge_micro_rho = u64::MAX;
    largest.spent_micro_rho = u64::MAX;
    let signed = Signed::sign(&largest, &key).unwrap();
    assert!(signed.bytes().len() <= MAX_STATEMENT_BYTES);
    largest.decisions.push(Decision::Accepted);
    assert!(Signed::sign(&largest, &key).is_err());
    let mut challenge = challenge();
    challenge.shares = vec![challenge.shares[0].clone(); 16];
    Signed::sign(&challenge, &key).unwrap();
    challenge.shares.push(challenge.shares[0].clone());
    assert!(Signed::sign(&challenge, &key).is_err());
    challenge.shares.clear();
    assert!(Signed::sign(&challenge, &key).is_err());
    let mut report = report();
    report.outcomes = vec![Outcome::Ok; 50_000];
    Signed::sign(&report, &key).unwrap();
    report.outcomes = vec![Outcome::Ok; 50_001];
    assert!(Signed::sign(&report, &key).is_err());
}

#[test]
fn inconsistent_statements_are_refused() {
    let bad_verdict = |change: &dyn Fn(&mut Verdict)| {
        let mut verdict = verdict();
        change(&mut verdict);
        verdict.check().is_err()
    };
    assert!(bad_verdict(&|v| v.openers = vec![2, 1]));
    assert!(bad_verdict(&|v| v.openers = vec![1, 1]));
    assert!(bad_verdict(&|v| v.openers = vec![0, 1]));
    assert!(bad_verdict(&|v| v.openers = vec![17]));
    assert!(bad_verdict(&|v| v.liars = vec![2, 2]));
    assert!(bad_verdict(&|v| v.liars = vec![0]));
    assert!(bad_verdict(&|v| v.spent_micro_rho = 999));
    assert!(bad_verdict(&|v| v.decisions.clear()));
    assert!(bad_verdict(&|v| v.reports = vec![digest(1); 17]));
    assert!(bad_verdict(&|v| v.round.number = 0));
    let bad_result = |change: &dyn Fn(&mut RoundResult)| {
        let mut result = result();
        change(&mut result);
        result.check().is_err()
    };
    assert!(bad_result(&|r| r.points = vec![5, 4]));
    assert!(bad_result(&|r| r.openings.clear()));
    assert!(bad_result(&|r| r.accepted = 0));
    assert!(bad_result(&|r| r.culprits = vec![steward(); 17]));
    let mut long = aborted();
    long.detail = "x".repeat(257);
    assert!(long.check().is_err());
    long.detail = "line\nbreak".to_owned();
    assert!(long.check().is_err());
    let mut empty = closed();
    empty.count = 0;
    assert!(empty.check().is_err());
}

proptest! {
    #[test]
    fn garbage_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        fn try_all<T: Statement>(bytes: &[u8]) {
            let _ = Signed::<T>::from_bytes(bytes);
            if let Ok(statement) = from_canonical::<T>(bytes) {
                let _ = statement.check();
            }
        }
        try_all::<Task>(&bytes);
        try_all::<RoundSpec>(&bytes);
        try_all::<SealingKey>(&bytes);
        try_all::<SubmissionHeader>(&bytes);
        try_all::<BeaconShare>(&bytes);
        try_all::<Challenge>(&bytes);
        try_all::<PackageReport>(&bytes);
        try_all::<Verdict>(&bytes);
        try_all::<Opening>(&bytes);
        try_all::<RoundResult>(&bytes);
        try_all::<Aborted>(&bytes);
        let _ = dawn_protocol::work::work_from_bytes(&bytes);
        let _ = dawn_protocol::PackagePage::from_bytes(&bytes);
        let _ = dawn_protocol::RoundAnnouncement::from_bytes(&bytes);
    }

    /// Codes without a meaning are refused, not mapped.
    #[test]
    fn only_known_codes_are_read(codes in prop::collection::vec(any::<u8>(), 1..40)) {
        let known = codes.iter().all(|code| usize::from(*code) < Outcome::ALL.len());
        let honest = to_canonical(&report());
        // The outcomes are a byte string of 5, before two digests of 34 bytes each.
        let (before, digests) = honest.split_at(honest.len() - 68);
        let mut bytes = before[..before.len() - 6].to_vec();
        minicbor::encode(minicbor::bytes::ByteVec::from(codes), &mut bytes).unwrap();
        bytes.extend_from_slice(digests);
        prop_assert_eq!(from_canonical::<PackageReport>(&bytes).is_ok(), known);
    }
}
