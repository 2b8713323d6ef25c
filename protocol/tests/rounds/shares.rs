//! Devices whose shares do not belong together.

use dawn_crypto::commit::{digit_commitment, key_commitment, proof_commitment};
use dawn_crypto::params::Q;
use dawn_crypto::seal;
use dawn_crypto::shamir::{ConsistencyProof, Segments, ShareEncoding};
use dawn_identity::Signed;
use dawn_protocol::prepare::PreparedSubmission;
use dawn_protocol::submission::{PackagePlaintext, package_aad, package_digest, seal_info};
use dawn_protocol::{Decision, Digest, OpenedPackage, Outcome, SubmissionHeader};

use crate::world::{Device, Round, World};

/// What a device may move by one at one steward.
#[derive(Clone, Copy, Debug)]
enum Moved {
    Key,
    Digit,
    Proof,
}

/// A submission whose device adds one to the first element of a share at `point`, and does
/// everything else as well as it can: commitments, proof, packages and signature are of what it sends.
fn with_a_moved_share(
    world: &mut World,
    round: &Round,
    device: &Device,
    point: u8,
    moved: Moved,
) -> PreparedSubmission {
    let d = world.context.dimension().coordinates();
    let made = world.submit(round, device, &vec![1; d]);
    remade(world, round, device, made, |opened| {
        let opened = &mut opened[usize::from(point) - 1];
        match moved {
            Moved::Key => {
                let mut key = opened.key.elements().to_vec();
                key[0] = (key[0] + 1) % Q;
                opened.key = ShareEncoding::Explicit(key).expand().unwrap();
            }
            Moved::Digit => opened.proof.digits[0] = (opened.proof.digits[0] + 1) % Q,
            Moved::Proof => opened.proof.proofs[0] = (opened.proof.proofs[0] + 1) % Q,
        }
    })
}

/// The same submission with other shares, all of them given explicitly, which also a steward that could
/// be given a seed takes: commitments, proof of consistency, packages and signature are of what it sends.
pub fn remade(
    world: &mut World,
    round: &Round,
    device: &Device,
    mut made: PreparedSubmission,
    change: impl FnOnce(&mut [OpenedPackage]),
) -> PreparedSubmission {
    let (open, params) = (&round.open, *world.context.norm_params());
    let (info, roster) = (seal_info(&open.session()), open.roster().digest());
    let mut header = made.header.peek().clone();
    let aad = |header: &SubmissionHeader, seat: usize| {
        package_aad(&header.pre_header(), &open.seats()[seat].steward, &roster)
    };
    let (mut blinds, mut opened) = (Vec::new(), Vec::new());
    for (seat, secret) in round.sealing.iter().enumerate() {
        let sealed = &made.packages[seat];
        let plain = seal::open(secret, &info.0, &aad(&header, seat).0, sealed).unwrap();
        let plain = PackagePlaintext::from_bytes(&params, &plain).unwrap();
        blinds.push(plain.blind);
        opened.push(plain.expand(&params).unwrap());
    }
    change(&mut opened);

    let commit = |with: &dyn Fn(u8, &[u8; 32], &OpenedPackage) -> Digest| {
        let shares = blinds.iter().zip(&opened);
        (1u8..)
            .zip(shares)
            .map(|(point, (blind, share))| with(point, blind, share))
            .collect()
    };
    header.commitments = commit(&|p, b, o| key_commitment(p, b, &o.key));
    header.digit_commitments = commit(&|p, b, o| digit_commitment(p, b, &o.proof.digits));
    header.proof_commitments = commit(&|p, b, o| proof_commitment(p, b, &o.proof.proofs));
    let segments: Vec<[&[u32]; 3]> = opened
        .iter()
        .map(|o| [&o.key.elements()[..], &o.proof.digits, &o.proof.proofs])
        .collect();
    let given: Vec<(&[u8; 32], Segments<'_>)> = blinds
        .iter()
        .zip(&segments)
        .map(|(b, s)| (b, &s[..]))
        .collect();
    let context = header.consistency_context();
    header.consistency = ConsistencyProof::new(open.threshold(), &given, &context, &mut world.rng);
    for (seat, (blind, opened)) in blinds.iter().zip(&opened).enumerate() {
        let key = ShareEncoding::Explicit(opened.key.elements().to_vec());
        let plain = PackagePlaintext::new(blind, key, &opened.proof).to_bytes();
        let aad = aad(&header, seat);
        let seat_key = &open.seats()[seat].key;
        made.packages[seat] =
            seal::seal(seat_key, &info.0, &aad.0, &plain, &mut world.rng).unwrap();
    }
    header.packages = made.packages.iter().map(|p| package_digest(p)).collect();
    made.header = Signed::sign(&header, &device.key).unwrap();
    made
}

/// Without the proof everybody reports `Ok`, the answers of the others decide, and the steward that
/// answers honestly with the moved share is named as a liar.
#[test]
fn a_device_cannot_make_an_honest_steward_look_like_a_liar() {
    for (point, moved) in [
        (1, Moved::Key),
        (4, Moved::Digit),
        (2, Moved::Proof),
        (5, Moved::Proof),
        (6, Moved::Digit),
        (5, Moved::Key),
    ] {
        let mut world = World::new(6, 1);
        let round = world.first_round();
        let mut submissions = world.submissions(&round, &[0, 1, 2]);
        let device = world.device(3);
        submissions.push(with_a_moved_share(
            &mut world, &round, &device, point, moved,
        ));
        let closed = world.close(&round, submissions);
        let cheat = closed
            .submissions
            .iter()
            .position(|s| s.header.peek().credential == device.credential.clone().into())
            .unwrap();
        let all = [1, 2, 3, 4, 5, 6];
        let reports = world.reports(&round, &closed, &all);
        let complaints: Vec<u8> = reports
            .iter()
            .filter(|r| r.signed.peek().outcomes[cheat] == Outcome::CommitmentMismatch)
            .map(|r| r.point)
            .collect();
        // The values of the proof are those of stewards 1 to T: the others find that they differ.
        let expected: &[u8] = if point <= 4 { &[5, 6] } else { &[point] };
        assert_eq!(complaints, expected, "{moved:?}");

        let (judged, _) = world.judge(&closed, &reports);
        assert!(judged.verdict().liars.is_empty());
        let decision = judged.verdict().decisions[cheat];
        // One complaint costs nothing. But who moves the key after the projection follows from it, or the
        // digits after the proof, proves something else: that is its own fault.
        let expected = if complaints.len() > 1 {
            Decision::TooFewStewards
        } else {
            decision_of_the_rest(moved)
        };
        assert_eq!(decision, expected, "{moved:?} at {point}");
        let openers = judged.verdict().openers.clone();
        let openings = world.openings(&round, &closed, &judged, &openers);
        let opened = judged
            .open(&world.masked_sum(&closed, &judged), &openings)
            .unwrap();
        assert!(opened.culprits().is_empty());
    }
}

/// The commitments have changed after the proof was made for them, so that the challenge is another one;
/// only those to the proof itself are in nothing that the proof follows from.
fn decision_of_the_rest(moved: Moved) -> Decision {
    match moved {
        Moved::Key => Decision::Projection,
        Moved::Digit => Decision::Norm,
        Moved::Proof => Decision::Accepted,
    }
}
