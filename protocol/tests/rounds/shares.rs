//! Devices whose shares do not belong together.

use dawn_crypto::commit::key_commitment;
use dawn_crypto::seal;
use dawn_crypto::shamir::{ConsistencyProof, ShareEncoding};
use dawn_identity::Signed;
use dawn_protocol::prepare::PreparedSubmission;
use dawn_protocol::submission::{PackagePlaintext, package_aad, package_digest, seal_info};
use dawn_protocol::{Decision, Outcome};
use zeroize::Zeroizing;

use crate::world::{Device, Round, World};

/// A submission whose device adds one to the first element of the share at `point`, and does
/// everything else as well as it can: commitments, proof, packages and signature are of what it sends.
fn with_a_moved_share(
    world: &mut World,
    round: &Round,
    device: &Device,
    point: u8,
) -> PreparedSubmission {
    let d = world.context.dimension().coordinates();
    let mut made = world.submit(round, device, &vec![1; d]);
    let open = &round.open;
    let (info, roster) = (seal_info(&open.session()), open.roster().digest());
    let mut header = made.header.peek().clone();
    let aad = |header: &dawn_protocol::SubmissionHeader, seat: usize| {
        package_aad(&header.pre_header(), &open.seats()[seat].steward, &roster)
    };
    let mut plaintexts = Vec::new();
    for (seat, secret) in round.sealing.iter().enumerate() {
        let sealed = &made.packages[seat];
        let plain = seal::open(secret, &info.0, &aad(&header, seat).0, sealed).unwrap();
        plaintexts.push(PackagePlaintext::from_bytes(&plain).unwrap());
    }
    // Both forms of a share can be given explicitly.
    let moved = &mut plaintexts[usize::from(point) - 1];
    let bytes = {
        let mut sum = dawn_crypto::shamir::ShareSum::zero();
        sum.add_assign(&moved.share.expand().unwrap());
        sum
    };
    let mut elements = bytes.elements().to_vec();
    elements[0] = (elements[0] + 1) % dawn_crypto::params::Q;
    moved.share = ShareEncoding::Explicit(elements);

    let shares: Vec<_> = plaintexts
        .iter()
        .map(|p| (Zeroizing::new(p.blind), p.share.expand().unwrap()))
        .collect();
    header.commitments = (1u8..)
        .zip(&shares)
        .map(|(point, (blind, share))| key_commitment(point, blind, share))
        .collect();
    let context = header.consistency_context();
    header.consistency = ConsistencyProof::new(open.threshold(), &shares, &context, &mut world.rng);
    for (seat, plain) in plaintexts.iter().enumerate() {
        let key = &open.seats()[seat].key;
        let aad = aad(&header, seat);
        made.packages[seat] =
            seal::seal(key, &info.0, &aad.0, &plain.to_bytes(), &mut world.rng).unwrap();
    }
    header.packages = made.packages.iter().map(|p| package_digest(p)).collect();
    made.header = Signed::sign(&header, &device.key).unwrap();
    made
}

/// Without the proof everybody reports `Ok`, the answers of the others open the sum, and the steward
/// that answers honestly with the moved share is named as a liar.
#[test]
fn a_device_cannot_make_an_honest_steward_look_like_a_liar() {
    for point in 1..=6u8 {
        let mut world = World::new(6, 1);
        let round = world.first_round();
        let mut submissions = world.submissions(&round, &[0, 1, 2]);
        let device = world.device(3);
        submissions.push(with_a_moved_share(&mut world, &round, &device, point));
        let closed = world.close(&round, submissions);
        let cheat = closed
            .submissions
            .iter()
            .position(|s| s.header.peek().credential == device.credential)
            .unwrap();
        let all = [1, 2, 3, 4, 5, 6];
        let complaints: Vec<u8> = all
            .into_iter()
            .filter(|p| world.outcomes(&round, &closed, *p)[cheat] == Outcome::CommitmentMismatch)
            .collect();
        // The values of the proof are those of stewards 1 to T: the others find that they differ.
        let expected: &[u8] = if point <= 4 { &[5, 6] } else { &[point] };
        assert_eq!(complaints, expected);

        let reports = world.reports(&round, &closed, &all);
        let (judged, _) = world.judge(&closed, &reports);
        let accepted = judged.verdict().decisions[cheat] == Decision::Accepted;
        assert_eq!(accepted, complaints.len() == 1);
        let openers = judged.verdict().openers.clone();
        let openings = world.openings(&round, &closed, &judged, &openers);
        let opened = judged
            .open(&world.masked_sum(&closed, &judged), &openings)
            .unwrap();
        assert!(opened.culprits().is_empty());
    }
}
