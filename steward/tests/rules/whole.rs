//! Honest rounds: what the real steward says fits what the others say, and the sum is right.

use dawn_crypto::commit::{digit_commitment, key_commitment, proof_commitment};
use dawn_crypto::seal::{SealingPublicKey, seal};
use dawn_crypto::shamir::ShareEncoding;
use dawn_identity::{SecretKey, Signed, Validity};
use dawn_protocol::prepare::PreparedSubmission;
use dawn_protocol::submission::{PackagePlaintext, package_aad, package_digest, seal_info};
use dawn_protocol::{Decision, Opening, Outcome, PackageReport, RoundOpen, SealingKey};

use crate::now;
use crate::world::{World, body};

/// Five devices of one organisation and one each of three others: two or more are cut from the sum by the policy, so the
/// steward has to take them out of what it added up when it reported.
#[test]
fn a_round_opens_to_the_true_sum_also_without_the_submissions_that_are_cut() {
    let mut world = World::new();
    let state = world.start();
    let (round, closed) = world.closed_round(&state, &[0, 0, 0, 0, 0, 1, 2, 3]);
    let own = world.report(&state, &closed).expect("report");
    assert_eq!(body::<PackageReport>(&own).outcomes, vec![Outcome::Ok; 8]);
    let reports = world.reports(&round, &closed, &own, &[2, 3, 4, 5, 6]);
    let verdict = world.verdict(&closed, &reports, 0);
    let cut = verdict
        .peek()
        .decisions
        .iter()
        .filter(|d| **d == Decision::OrganisationShare)
        .count();
    assert!(cut >= 2, "the test has to take something out");
    let judged = world.adopt(&closed, &reports, &verdict);
    let answer = world
        .open(&state, &closed, &reports, &verdict)
        .expect("open");

    let mut openings = vec![Signed::<Opening>::from_bytes(&answer).expect("opening")];
    openings.extend((2..=4).map(|point| world.opening_of(&round, &closed, &judged, point)));
    let opened = judged
        .open(&world.masked_sum(&closed, &judged), &openings)
        .expect("opens");
    assert!(opened.culprits().is_empty());
    assert_eq!(opened.points(), [1, 2, 3, 4]);
    // The real steward's answer is used: without it three answers are too few.
    assert!(
        judged
            .open(&world.masked_sum(&closed, &judged), &openings[1..])
            .is_err()
    );
}

#[test]
fn any_size_of_page_gives_the_same_report() {
    let mut answers = Vec::new();
    for size in [1, 2, 7, 100] {
        let mut world = World::new();
        let state = world.start();
        let (_, closed) = world.closed_round(&state, &[0, 1, 2, 3, 4]);
        answers.push(world.report_paged(&state, &closed, size).expect("report"));
    }
    assert!(answers.windows(2).all(|pair| pair[0] == pair[1]));
}

/// A device that harms the package of the real steward, and only that.
fn harmful(world: &mut World, open: &RoundOpen, harm: Harm) -> PreparedSubmission {
    let device = SecretKey::generate(&mut world.rng);
    let credential = world.organisations[1]
        .issue_device(
            &device.public(),
            "harmful",
            Validity::starting(now() - 10, 500_000),
        )
        .expect("credential");
    let x = vec![1; world.context.dimension().coordinates()];
    let mut made = PreparedSubmission::new(open, &credential, &device, &x, &mut world.rng)
        .expect("submission");
    let mut header = made.header.peek().clone();
    let key: SealingPublicKey = open.seats()[0].key.clone();
    let steward = open.seats()[0].steward;
    let share = ShareEncoding::Seed([3; 32]);
    let honest = PackagePlaintext {
        blind: [4; 32],
        share,
        digits: Vec::new(),
        proofs: Vec::new(),
    };
    if harm == Harm::Inconsistent || harm == Harm::Replaced {
        let shares = honest.expand(world.context.norm_params()).expect("shares");
        header.commitments[0] = key_commitment(1, &[4; 32], &shares.key);
        header.digit_commitments[0] = digit_commitment(1, &[4; 32], &shares.proof.digits);
        header.proof_commitments[0] = proof_commitment(1, &[4; 32], &shares.proof.proofs);
    }
    let plaintext = match harm {
        Harm::Malformed => b"not a share".to_vec(),
        Harm::OtherShare | Harm::Inconsistent | Harm::Replaced | Harm::Garbage => {
            honest.to_bytes().to_vec()
        }
    };
    let aad = package_aad(&header.pre_header(), &steward, &open.roster().digest());
    let sealed = seal(
        &key,
        &seal_info(&open.session()).0,
        &aad.0,
        &plaintext,
        &mut world.rng,
    );
    made.packages[0] = match harm {
        Harm::Garbage => vec![7; 2000],
        _ => sealed.expect("seal"),
    };
    header.packages[0] = package_digest(&made.packages[0]);
    if harm == Harm::Replaced {
        // The header names the honest package; another one is delivered.
        made.packages[0][1150] ^= 1;
    }
    made.header = Signed::sign(&header, &device).expect("sign");
    made
}

#[derive(Clone, Copy, PartialEq)]
enum Harm {
    /// Committed and sealed as it should be, but not on one polynomial with the others.
    Inconsistent,
    Garbage,
    Replaced,
    Malformed,
    OtherShare,
}

#[test]
fn every_harm_to_a_package_gets_its_own_complaint_and_no_other() {
    for (harm, expected) in [
        (Harm::Inconsistent, Outcome::CommitmentMismatch),
        (Harm::Garbage, Outcome::Unsealable),
        (Harm::Replaced, Outcome::Unsealable),
        (Harm::Malformed, Outcome::Malformed),
        (Harm::OtherShare, Outcome::CommitmentMismatch),
    ] {
        let mut world = World::new();
        let state = world.start();
        let round = world.first_round(&state);
        world.endorse(&state, &round).expect("endorse");
        let announcement = world.announce(&round, &[2, 3, 4, 5]);
        let open = RoundOpen::from_announcement(&world.context, &announcement).expect("open");
        let mut submissions = world.submissions(&announcement, &[0, 1, 2]);
        let harmful = harmful(&mut world, &open, harm);
        let device = harmful.header.peek().credential.claimed_device();
        submissions.push(harmful);
        let closed = world.close(&announcement, submissions);
        let report: PackageReport = body(&world.report(&state, &closed).expect("report"));
        let place = closed
            .submissions
            .iter()
            .position(|s| s.header.peek().credential.claimed_device() == device);
        for (index, outcome) in report.outcomes.iter().enumerate() {
            let expected = if Some(index) == place {
                expected
            } else {
                Outcome::Ok
            };
            assert_eq!(*outcome, expected, "submission {index}");
        }
    }
}

#[test]
fn a_header_that_does_not_verify_is_reported_and_not_opened() {
    let mut world = World::new();
    let state = world.start();
    let round = world.first_round(&state);
    world.endorse(&state, &round).expect("endorse");
    let announcement = world.announce(&round, &[2, 3, 4, 5]);
    let mut submissions = world.submissions(&announcement, &[0, 1, 2]);
    let stranger = SecretKey::generate(&mut world.rng);
    let header = submissions[1].header.peek().clone();
    submissions[1].header = Signed::sign(&header, &stranger).expect("sign");
    let closed = world.close(&announcement, submissions);
    let report: PackageReport = body(&world.report(&state, &closed).expect("report"));
    let bad: Vec<_> = report
        .outcomes
        .iter()
        .filter(|o| **o != Outcome::Ok)
        .collect();
    assert_eq!(bad, [&Outcome::BadHeader]);
}

/// The secrets of a round are there while it needs them, and gone when it has been answered or a later one begins.
#[test]
fn secrets_are_erased_when_the_round_is_over() {
    let mut world = World::new();
    let state = world.start();
    assert_eq!(secrets(&world), 0);
    let (round, closed) = world.closed_round(&state, &[0, 1, 2, 3]);
    assert_eq!(secrets(&world), 1);
    let own = world.report(&state, &closed).expect("report");
    assert_eq!(secrets(&world), 2);
    let reports = world.reports(&round, &closed, &own, &[2, 3, 4, 5]);
    let verdict = world.verdict(&closed, &reports, 0);
    world
        .open(&state, &closed, &reports, &verdict)
        .expect("open");
    assert_eq!(secrets(&world), 0);

    let second: SealingKey = body(&world.sealing_key(&state, 2).expect("second"));
    assert_eq!(secrets(&world), 1);
    let third: SealingKey = body(&world.sealing_key(&state, 3).expect("third"));
    assert_ne!(second.key, third.key);
    assert_eq!(secrets(&world), 1, "the second is over");
}

fn secrets(world: &World) -> usize {
    std::fs::read_dir(world.guard_dir().join("secrets"))
        .expect("secrets")
        .count()
}
