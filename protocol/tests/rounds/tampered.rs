//! Devices whose shares, commitments or packages are wrong (`docs/attacks.md`): what is decided about each, and that it
//! costs nobody else anything.

use dawn_crypto::norm::{Hidden, NormParams, NormProof};
use dawn_protocol::prepare::{PreparedSubmission, Tampering};
use dawn_protocol::{Decision, Outcome};

use crate::world::{ClosedRound, Device, Round, World};

const ALL: [u8; 6] = [1, 2, 3, 4, 5, 6];

/// A submission about a vector of fives with its true digits, tampered with.
fn tampered(
    world: &mut World,
    round: &Round,
    device: &Device,
    tampering: Tampering,
) -> PreparedSubmission {
    let v = vec![5; world.context.dimension().padded()];
    let digits = |params: &NormParams, context: &[u8]| {
        let hidden = Hidden::vector(&v);
        NormProof::digits(params, context, hidden).unwrap().to_vec()
    };
    PreparedSubmission::tampered(
        &round.open,
        &device.credential,
        &device.key,
        &v,
        digits,
        tampering,
        &mut world.rng,
    )
    .unwrap()
}

fn place(closed: &ClosedRound, device: &Device) -> usize {
    let credential =
        |s: &PreparedSubmission| s.header.peek().credential == device.credential.clone().into();
    closed.submissions.iter().position(credential).unwrap()
}

/// Three honest devices and one that cheats: what each steward says of it, and what is decided. The sum opens, nobody is named.
fn decided(tampering: Tampering) -> (Vec<Outcome>, Decision) {
    let mut world = World::new(6, 1);
    let round = world.first_round();
    let mut submissions = world.submissions(&round, &[0, 1, 2]);
    let device = world.device(3);
    submissions.push(tampered(&mut world, &round, &device, tampering));
    let closed = world.close(&round, submissions);
    let cheat = place(&closed, &device);
    let reports = world.reports(&round, &closed, &ALL);
    let (judged, _) = world.judge(&closed, &reports);
    let verdict = judged.verdict();
    for (index, decision) in verdict.decisions.iter().enumerate() {
        assert!(
            index == cheat || *decision == Decision::Accepted,
            "{tampering:?}"
        );
    }
    assert!(verdict.liars.is_empty(), "{tampering:?}");
    let decision = verdict.decisions[cheat];
    let openers = verdict.openers.clone();
    let openings = world.openings(&round, &closed, &judged, &openers);
    let opened = judged
        .open(&world.masked_sum(&closed, &judged), &openings)
        .unwrap();
    assert!(opened.culprits().is_empty());
    // Noise of deviation 6.36 each about 1 + 2 + 3, and exactly 5 of the cheat.
    let expected = 6 + if decision == Decision::Accepted { 5 } else { 0 };
    assert!(opened.sum().iter().all(|x| (x - expected).abs() < 100));
    let outcomes = reports.iter().map(|r| r.signed.peek().outcomes[cheat]);
    (outcomes.collect(), decision)
}

#[test]
fn shares_beside_the_polynomial_are_noticed_by_those_who_can_and_bound_nobody_else() {
    use Outcome::{CommitmentMismatch as Bad, Ok as Good};
    // Stewards 1 to 4 determine the polynomial: who is off it complains, and when one of them is, both others do.
    for (count, outcomes, decision) in [
        (0, [Good, Good, Good, Good, Good, Good], Decision::Accepted),
        (1, [Good, Good, Good, Good, Bad, Good], Decision::Accepted),
        (
            2,
            [Good, Good, Good, Good, Bad, Bad],
            Decision::TooFewStewards,
        ),
        (
            3,
            [Good, Good, Good, Good, Bad, Bad],
            Decision::TooFewStewards,
        ),
    ] {
        let found = decided(Tampering::MovedShares(count));
        assert_eq!(found, (outcomes.to_vec(), decision), "{count}");
    }
}

#[test]
fn a_key_that_is_chosen_after_the_projection_is_not_the_committed_one() {
    let (outcomes, decision) = decided(Tampering::LateKey);
    assert_eq!(outcomes, [Outcome::CommitmentMismatch; 6]);
    assert_eq!(decision, Decision::TooFewStewards);
}

#[test]
fn swapped_packages_open_for_nobody_and_a_bad_one_is_one_stewards_loss() {
    let (outcomes, decision) = decided(Tampering::SwappedPackages);
    assert_eq!(outcomes[..2], [Outcome::Unsealable; 2]);
    assert_eq!(outcomes[2..], [Outcome::Ok; 4]);
    assert_eq!(decision, Decision::TooFewStewards);
    let (outcomes, decision) = decided(Tampering::SpoiltPackage);
    assert_eq!(outcomes[0], Outcome::Unsealable);
    assert_eq!(outcomes[1..], [Outcome::Ok; 5]);
    assert_eq!(decision, Decision::Accepted);
}

#[test]
fn what_was_sent_in_an_earlier_round_opens_for_nobody() {
    let mut world = World::new(6, 1);
    let first = world.first_round();
    let device = world.device(3);
    let sent = world.submit(&first, &device, &[7; 10]);
    // Another session of the same round; the number is in the session, so that another one is no different.
    let round = world.first_round();
    // As it was sent, the server does not even take it: it is of another session.
    assert!(
        round
            .open
            .verify_header(&sent.header, &world.members)
            .is_err()
    );
    let mut submissions = world.submissions(&round, &[0, 1, 2]);
    submissions.push(sent.replayed(&round.open, &device.key).unwrap());
    let closed = world.close(&round, submissions);
    let cheat = place(&closed, &device);
    let reports = world.reports(&round, &closed, &ALL);
    for report in &reports {
        assert_eq!(report.signed.peek().outcomes[cheat], Outcome::Unsealable);
    }
    let (judged, _) = world.judge(&closed, &reports);
    assert_eq!(judged.verdict().decisions[cheat], Decision::TooFewStewards);
    assert_eq!(judged.verdict().accepted_count(), 3);
}
