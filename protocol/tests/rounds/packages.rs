//! What a steward finds in packages: its share and nothing else, and only where it belongs.

use dawn_crypto::norm::params::REPETITIONS;
use dawn_crypto::seal::{SealingSecretKey, seal};
use dawn_crypto::shamir::ShareEncoding;
use dawn_identity::Signed;
use dawn_protocol::package::open_package;
use dawn_protocol::prepare::PreparedSubmission;
use dawn_protocol::submission::{PackagePlaintext, package_aad, package_digest, seal_info};
use dawn_protocol::{Outcome, SubmissionHeader};

use crate::world::{Device, Round, World};

/// What the steward at a point says about a submission.
fn outcome(world: &World, round: &Round, s: &PreparedSubmission, point: u8) -> Outcome {
    let key = &round.sealing[usize::from(point) - 1];
    outcome_with(world, round, s, point, key)
}

fn outcome_with(
    world: &World,
    round: &Round,
    s: &PreparedSubmission,
    point: u8,
    key: &SealingSecretKey,
) -> Outcome {
    let header = round.open.verify_header(&s.header, &world.members).unwrap();
    let package = &s.packages[round.open.seat_index(point).unwrap()];
    match open_package(&round.open, &header, package, key, point) {
        Ok(_) => Outcome::Ok,
        Err(outcome) => outcome,
    }
}

/// Puts another package in the place of a point and signs the header again.
fn with_package(
    s: &PreparedSubmission,
    device: &Device,
    point: u8,
    package: Vec<u8>,
) -> PreparedSubmission {
    let mut changed = s.clone();
    let place = usize::from(point) - 1;
    let mut header: SubmissionHeader = s.header.peek().clone();
    header.packages[place] = package_digest(&package);
    changed.packages[place] = package;
    changed.header = Signed::sign(&header, &device.key).unwrap();
    changed
}

/// Seals a plaintext as the submission's device would to a point.
fn seal_to(
    world: &mut World,
    round: &Round,
    s: &PreparedSubmission,
    point: u8,
    plaintext: &[u8],
) -> Vec<u8> {
    let steward = world.steward_id(point);
    let roster = world.context.roster().digest();
    let aad = package_aad(&s.header.peek().pre_header(), &steward, &roster);
    let info = seal_info(&round.open.session());
    let key = round.open.seats()[usize::from(point) - 1].key.clone();
    seal(&key, &info.0, &aad.0, plaintext, &mut world.rng).unwrap()
}

#[test]
fn every_steward_opens_its_own_package_and_no_other() {
    let mut world = World::new(6, 1);
    let round = world.first_round();
    let submission = world.submissions(&round, &[0]).remove(0);
    for point in 1..=6 {
        assert_eq!(outcome(&world, &round, &submission, point), Outcome::Ok);
        let other = &round.sealing[usize::from(point) % 6];
        let found = outcome_with(&world, &round, &submission, point, other);
        assert_eq!(found, Outcome::Unsealable);
    }
}

#[test]
fn copied_and_replayed_packages_do_not_open() {
    let mut world = World::new(6, 1);
    let round = world.first_round();
    let (victim, thief) = (world.device(0), world.device(1));
    let stolen = world.submit(&round, &victim, &[5; 10]);
    let own = world.submit(&round, &thief, &[0; 10]);
    for point in 1..=6 {
        let package = stolen.packages[usize::from(point) - 1].clone();
        // In the thief's own header, also with the victim's payload and commitments.
        let copy = with_package(&own, &thief, point, package);
        assert_eq!(outcome(&world, &round, &copy, point), Outcome::Unsealable);
    }
    let mut header = stolen.header.peek().clone();
    header.credential = thief.credential.clone().into();
    let whole = PreparedSubmission {
        header: Signed::sign(&header, &thief.key).unwrap(),
        ..stolen.clone()
    };
    for point in 1..=6 {
        assert_eq!(outcome(&world, &round, &whole, point), Outcome::Unsealable);
    }
    // One steward's package at another's place.
    let first = stolen.packages[0].clone();
    let moved = with_package(&stolen, &victim, 2, first);
    assert_eq!(outcome(&world, &round, &moved, 2), Outcome::Unsealable);
    // The same sealing keys in another session: the info differs.
    let later = world.first_round();
    let mut header = stolen.header.peek().clone();
    header.session = later.open.session();
    let replayed = PreparedSubmission {
        header: Signed::sign(&header, &victim.key).unwrap(),
        ..stolen
    };
    let found = outcome_with(&world, &later, &replayed, 1, &round.sealing[0]);
    assert_eq!(found, Outcome::Unsealable);
}

#[test]
fn packages_that_the_header_does_not_name_are_not_opened() {
    let mut world = World::new(6, 1);
    let round = world.first_round();
    let mut submission = world.submissions(&round, &[0]).remove(0);
    for package in [Vec::new(), vec![0; 1], vec![0; 70_000]] {
        submission.packages[3] = package;
        assert_eq!(outcome(&world, &round, &submission, 4), Outcome::Unsealable);
    }
}

#[test]
fn what_opens_must_be_the_committed_share() {
    let mut world = World::new(6, 1);
    let round = world.first_round();
    let device = world.device(0);
    let submission = world.submit(&round, &device, &[1; 10]);
    let params = *world.context.norm_params();
    let seed = |byte: u8| PackagePlaintext {
        blind: [byte; 32],
        share: ShareEncoding::Seed([byte; 32]),
        digits: Vec::new(),
        proofs: Vec::new(),
    };
    let explicit = |digits: usize, proofs: usize| PackagePlaintext {
        blind: [1; 32],
        share: ShareEncoding::Explicit(vec![0; 2048]),
        digits: vec![0; digits],
        proofs: vec![0; proofs],
    };
    let (digits, proofs) = (4 * params.digits(), 4 * REPETITIONS * params.proof_len());
    let honest = seed(1).to_bytes();
    let longer = [honest.as_slice(), &[0]].concat();
    let indefinite = [&[0x9f], &honest[1..], &[0xff]].concat();
    // A word of the key's share, of the digits and of the proofs that is not canonical.
    let too_large = [
        4 + 32 + 3,
        4 + 32 + 3 + 8192 + 3,
        4 + 32 + 3 + 8192 + 3 + digits + 3,
    ];
    let too_large = too_large.map(|at| {
        let mut bytes = explicit(digits, proofs).to_bytes().to_vec();
        bytes[at - 1..at + 3].copy_from_slice(&u32::MAX.to_le_bytes());
        (bytes, Outcome::Malformed)
    });
    let beside_a_seed = PackagePlaintext {
        blind: [1; 32],
        share: ShareEncoding::Seed([1; 32]),
        digits: vec![0; digits],
        proofs: vec![0; proofs],
    };
    let wrong = |plaintext: PackagePlaintext| (plaintext.to_bytes().to_vec(), Outcome::Malformed);
    let more = [
        wrong(beside_a_seed),
        wrong(explicit(0, 0)),
        wrong(explicit(digits - 4, proofs)),
        wrong(explicit(digits, proofs + 4)),
        // As long as the right one.
        wrong(explicit(digits + 4, proofs - 4)),
    ];
    for (plaintext, expected) in [
        (honest.to_vec(), Outcome::CommitmentMismatch),
        (
            explicit(digits, proofs).to_bytes().to_vec(),
            Outcome::CommitmentMismatch,
        ),
        (seed(2).to_bytes().to_vec(), Outcome::CommitmentMismatch),
        (longer, Outcome::Malformed),
        (indefinite, Outcome::Malformed),
        (Vec::new(), Outcome::Malformed),
        (vec![0xff; 100], Outcome::Malformed),
    ]
    .into_iter()
    .chain(too_large)
    .chain(more)
    {
        let package = seal_to(&mut world, &round, &submission, 5, &plaintext);
        let changed = with_package(&submission, &device, 5, package);
        assert_eq!(outcome(&world, &round, &changed, 5), expected);
    }
}

/// Both forms are read back as they were written, and no other byte around their parts is read as one.
#[test]
fn plaintexts_have_one_encoding() {
    let params = *World::new(3, 0).context.norm_params();
    let (digits, proofs) = (4 * params.digits(), 4 * REPETITIONS * params.proof_len());
    let explicit = PackagePlaintext {
        blind: [7; 32],
        share: ShareEncoding::Explicit((0..2048).map(|i| i * 2_000_000).collect()),
        digits: vec![1; digits],
        proofs: vec![2; proofs],
    };
    let seed = PackagePlaintext {
        blind: [7; 32],
        share: ShareEncoding::Seed([9; 32]),
        digits: Vec::new(),
        proofs: Vec::new(),
    };
    for (plaintext, lengths) in [(seed, [32, 0, 0]), (explicit, [8192, digits, proofs])] {
        let bytes = plaintext.to_bytes();
        let read = PackagePlaintext::from_bytes(&params, &bytes).unwrap();
        assert_eq!((read.blind, read.to_bytes()), ([7; 32], bytes.clone()));
        // What is not in a part: the array, and what comes before every part.
        let mut framing: Vec<usize> = (0..3).collect();
        let mut at = 3 + 32;
        for length in lengths {
            let head = [1, 2, 3][usize::from(length > 23) + usize::from(length > 255)];
            framing.extend(at..at + head);
            at += head + length;
        }
        assert_eq!(at, bytes.len());
        for at in framing {
            for other in (0..=255).filter(|other| *other != bytes[at]) {
                let mut changed = bytes.to_vec();
                changed[at] = other;
                let refused = PackagePlaintext::from_bytes(&params, &changed).err();
                assert_eq!(refused, Some(Outcome::Malformed), "byte {at}: {other}");
            }
        }
        for length in (0..200).chain(bytes.len().max(40) - 40..bytes.len() + 40) {
            let mut changed = bytes.to_vec();
            changed.resize(length, 0);
            let is_one = PackagePlaintext::from_bytes(&params, &changed).is_ok();
            assert_eq!(is_one, length == bytes.len(), "{length} bytes");
        }
    }
}
