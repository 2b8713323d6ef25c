//! Noise that stewards contribute: honest rounds, and stewards, devices and aggregators that do not play by the rules.

use dawn_crypto::params::Sigma;
use dawn_identity::{SecretKey, Signed};
use dawn_protocol::noise::{RevealedSeeds, choice};
use dawn_protocol::phase::JudgeError;
use dawn_protocol::prepare::{PrepareError, PreparedSubmission};
use dawn_protocol::{
    AbortReason, Author, Candidate, Culprit, Decision, NoiseSecret, Outcome, PackageReport, Rule,
    StewardNoise,
};

use crate::assert_violates;
use crate::forging::{Digits, digits};
use crate::reporting::{Reported, noise_secret};
use crate::world::{ClosedRound, Round, World};

const ALL: [u8; 6] = [1, 2, 3, 4, 5, 6];
pub const CANDIDATES: u8 = 4;

pub fn sigma() -> Sigma {
    Sigma::from_f64_ceil(50.0).unwrap()
}

fn world() -> World {
    World::with_task(6, 1, |task| {
        task.options.noise = Some(StewardNoise {
            sigma: sigma(),
            candidates: CANDIDATES,
        });
    })
}

fn candidate(world: &World, point: u8, index: u8) -> Candidate {
    Candidate {
        index,
        steward: world.steward_id(point),
    }
}

pub fn noise(world: &World, round: &Round, points: &[u8]) -> Vec<PreparedSubmission> {
    let of = |point: &u8| {
        let (point, key) = (*point, &world.stewards[usize::from(*point) - 1]);
        (0..CANDIDATES).map(move |index| {
            let secret = noise_secret(point);
            PreparedSubmission::noise(&round.open, key, candidate(world, point, index), &secret)
                .unwrap()
        })
    };
    points.iter().flat_map(of).collect()
}

/// A candidate whose author masks any vector and proves as truly as it can.
fn weapon(
    world: &mut World,
    round: &Round,
    author: impl Into<Author>,
    key: &SecretKey,
    v: &[i32],
) -> PreparedSubmission {
    PreparedSubmission::forged(
        &round.open,
        author,
        key,
        v,
        |params, context| digits(Digits::AsTrueAsPossible, params, context, v, None),
        &mut world.rng,
    )
    .unwrap()
}

fn place(closed: &ClosedRound, candidate: Candidate) -> usize {
    let device = candidate.submitter();
    let author = |s: &PreparedSubmission| s.header.peek().credential.claimed_device() == device;
    closed.submissions.iter().position(author).unwrap()
}

fn chosen(world: &World, closed: &ClosedRound, point: u8) -> usize {
    let index = closed.challenged.chosen_candidate(point).unwrap();
    place(closed, candidate(world, point, index))
}

/// The report with other reveals.
fn revealing(world: &World, report: &Reported, reveals: Option<RevealedSeeds>) -> Reported {
    let mut statement: PackageReport = report.signed.peek().clone();
    statement.reveals = reveals;
    Reported {
        signed: world.by_steward(&statement, report.point),
        ..report.clone()
    }
}

#[test]
fn the_noise_of_every_steward_is_in_the_sum_and_counted() {
    let mut world = world();
    let round = world.first_round();
    let mut submissions = world.submissions(&round, &[0, 1, 2]);
    submissions.extend(noise(&world, &round, &ALL));
    let closed = world.close(&round, submissions);
    let reports = world.reports(&round, &closed, &ALL);
    let (judged, _) = world.judge(&closed, &reports);
    let verdict = judged.verdict();
    let count = |of| verdict.decisions.iter().filter(|d| **d == of).count();
    assert_eq!(count(Decision::Accepted), 3);
    assert_eq!(count(Decision::Noise), 6);
    assert_eq!(count(Decision::NotChosen), 6 * usize::from(CANDIDATES - 1));
    assert_eq!((verdict.accepted_count(), verdict.noise_count()), (3, 6));
    assert!(verdict.liars.is_empty());
    assert_eq!(verdict.openers, ALL);
    for point in ALL {
        assert_eq!(
            verdict.decisions[chosen(&world, &closed, point)],
            Decision::Noise
        );
    }
    // rho = C^2 / (2 (min_honest sigma_e^2 + (T - f) sigma_s^2)), T - f = 3.
    let (clip, error, own) = (8192f64, Sigma::ERROR_MIN.to_f64(), sigma().to_f64());
    let rho = clip.powi(2) / (2.0 * (2.0 * error.powi(2) + 3.0 * own.powi(2)));
    let charge = world.context.charge_micro_rho() as f64;
    assert!((charge - 1e6 * rho).abs() < 2.0, "{charge} {rho}");
    assert_eq!(verdict.charge_micro_rho, world.context.charge_micro_rho());
    let norms = world.context.proof_params();
    let bound = 3 * norms.device.max_norm() + 6 * norms.noise.unwrap().max_norm();
    assert_eq!(judged.bound(), bound);

    let openings = world.openings(&round, &closed, &judged, &ALL);
    let opened = judged
        .open(&world.masked_sum(&closed, &judged), &openings)
        .unwrap();
    // 1 + 2 + 3 by the devices; noise of deviation 50 sqrt 6 + ... around it: none is twelve deviations away, not all near.
    let off: Vec<f64> = opened.sum().iter().map(|x| f64::from(x - 6)).collect();
    assert!(
        off.iter().all(|off| off.abs() < 12.0 * 50.0 * 2.5),
        "{off:?}"
    );
    assert!(
        off.iter().any(|off| off.abs() > 12.0 * 6.4 * 1.8),
        "{off:?}"
    );
    // What the update rule divides by are devices.
    assert_eq!(opened.result(dawn_protocol::Digest([1; 32])).accepted, 3);
}

#[test]
fn the_same_secret_makes_the_same_bytes_and_seeds_do_not_give_each_other_away() {
    let mut world = world();
    let round = world.first_round();
    let bytes = |world: &World, round: &Round| {
        let made = noise(world, round, &[2]);
        made.iter()
            .map(PreparedSubmission::to_bytes)
            .collect::<Vec<_>>()
    };
    let first = bytes(&world, &round);
    assert_eq!(first, bytes(&world, &round));
    for (place, other) in first.iter().enumerate().skip(1) {
        assert_ne!(
            other[other.len() - 1000..],
            first[place - 1][other.len() - 1000..]
        );
    }
    assert_eq!(noise_secret(2).reveal(CANDIDATES, 1).len(), 3);
    let all = |chosen| format!("{:?}", noise_secret(2).reveal(CANDIDATES, chosen));
    assert_eq!(all(1), "RevealedSeeds(3)");
    assert_eq!(
        format!("{:?} {:?}", noise_secret(2), noise_secret(2).seed(0)),
        "NoiseSecret(redacted) NoiseSeed(redacted)"
    );
    // A task that asks for none gets none.
    let mut plain = World::new(6, 1);
    let round = plain.first_round();
    let made = PreparedSubmission::noise(
        &round.open,
        &plain.stewards[0],
        candidate(&plain, 1, 0),
        &noise_secret(1),
    );
    assert_eq!(made.unwrap_err(), PrepareError::NoNoise);
}

/// Neither role can be played with the key of the other.
#[test]
fn a_device_is_no_steward_and_a_steward_no_device() {
    let mut world = world();
    let round = world.first_round();
    let device = world.device(0);
    let v = vec![1; world.context.dimension().padded()];
    let steward_key = SecretKey::from_seed(&world.stewards[0].to_seed());
    let own = candidate(&world, 1, 0);
    let forged = weapon(&mut world, &round, own, &device.key, &v);
    let verify = |made: &PreparedSubmission| round.open.verify_header(&made.header, &world.members);
    assert_violates!(
        verify(&forged),
        Rule::Signature,
        Culprit::Steward(own.steward)
    );
    let other = weapon(
        &mut World::new(6, 1),
        &round,
        &device.credential,
        &steward_key,
        &v,
    );
    let id = device.credential.claimed_device();
    assert_violates!(verify(&other), Rule::Signature, Culprit::Device(id));
    // Another steward's name, a candidate too many, a steward without a seat.
    let stranger = candidate(&world, 2, 0);
    let made = weapon(&mut World::new(6, 1), &round, stranger, &steward_key, &v);
    assert_violates!(
        verify(&made),
        Rule::Signature,
        Culprit::Steward(stranger.steward)
    );
    let beyond = candidate(&world, 1, CANDIDATES);
    let made = weapon(&mut World::new(6, 1), &round, beyond, &steward_key, &v);
    assert_violates!(verify(&made), Rule::Noise, Culprit::Steward(own.steward));
    let model = world.initial_model();
    let seated = world.round(1, None, model, &[2, 3, 4, 5, 6]);
    let made = PreparedSubmission::noise(&seated.open, &world.stewards[0], own, &noise_secret(1));
    let unseated = seated
        .open
        .verify_header(&made.unwrap().header, &world.members);
    assert_violates!(unseated, Rule::RosterMember, Culprit::Steward(own.steward));
    // A task that asks for none takes none.
    let mut plain = World::new(6, 1);
    let plain_round = plain.first_round();
    let own = candidate(&plain, 1, 0);
    let key = SecretKey::from_seed(&plain.stewards[0].to_seed());
    let made = weapon(&mut plain, &plain_round, own, &key, &v);
    let verified = plain_round.open.verify_header(&made.header, &plain.members);
    assert_violates!(verified, Rule::Noise, Culprit::Steward(own.steward));
}

/// A steward that puts a vector of its choice into one candidate: found out unless the beacon picks just that one; then the
/// bound holds, and what is longer is rejected.
#[test]
fn a_steward_with_a_weapon_is_found_out_or_bounded() {
    let (mut caught, mut passed, mut rejected) = (0, 0, 0);
    for attempt in 0..64u8 {
        if caught > 0 && passed > 0 && rejected > 0 {
            return;
        }
        let mut world = world();
        let round = world.first_round();
        let most = world.context.proof_params().noise.unwrap();
        let honest = (most.honest_squared() as f64).sqrt() as i32;
        let length = if attempt % 2 == 0 {
            honest
        } else {
            3 * i32::try_from(most.max_norm()).unwrap()
        };
        // Another vector at every attempt, so that the beacon is another one; always in a coordinate that is opened.
        let place_of_it = usize::from(attempt / 2) % world.context.dimension().coordinates();
        let length = length - i32::from(attempt);
        let mut v = vec![0; world.context.dimension().padded()];
        v[place_of_it] = length;
        let cheat = candidate(&world, 3, 2);
        let key = SecretKey::from_seed(&world.stewards[2].to_seed());
        let weapon = weapon(&mut world, &round, cheat, &key, &v);
        let mut submissions = world.submissions(&round, &[0, 1, 2]);
        submissions.extend(noise(&world, &round, &ALL));
        let same = |s: &PreparedSubmission| s.header.peek().credential == Author::from(cheat);
        submissions.retain(|s| !same(s));
        submissions.push(weapon);
        let closed = world.close(&round, submissions);
        let reports = world.reports(&round, &closed, &ALL);
        let (judged, _) = world.judge(&closed, &reports);
        let found = |index: usize| judged.verdict().decisions[index];
        assert_eq!(judged.verdict().accepted_count(), 3);
        if closed.challenged.chosen_candidate(3) != Some(2) {
            caught += 1;
            assert_eq!(judged.verdict().liars, [3]);
            assert_eq!(found(chosen(&world, &closed, 3)), Decision::UnprovenNoise);
            assert_eq!(judged.verdict().noise_count(), 5);
        } else if attempt % 2 == 0 {
            passed += 1;
            assert_eq!(judged.verdict().noise_count(), 6);
            let openings = world.openings(&round, &closed, &judged, &ALL);
            let masked = world.masked_sum(&closed, &judged);
            let opened = judged.open(&masked, &openings).unwrap();
            // The damage: no more than the bound, and it is there.
            let seen = opened.sum()[place_of_it];
            assert!((seen - length).abs() < 2000, "{seen} {length}");
            assert!(u64::from(seen.unsigned_abs()) < most.max_norm() + 2000);
        } else {
            rejected += 1;
            assert_eq!(found(place(&closed, cheat)), Decision::Norm);
            assert_eq!(judged.verdict().noise_count(), 5);
        }
    }
    panic!("{caught} {passed} {rejected}");
}

#[test]
fn a_steward_that_does_not_reveal_is_named_and_its_noise_does_not_count() {
    let mut world = world();
    let round = world.first_round();
    let mut submissions = world.submissions(&round, &[0, 1, 2]);
    submissions.extend(noise(&world, &round, &ALL));
    let closed = world.close(&round, submissions);
    let honest = world.reports(&round, &closed, &ALL);
    let pick = closed.challenged.chosen_candidate(2).unwrap();
    let right = noise_secret(2).reveal(CANDIDATES, pick);
    let seeds: Vec<_> = right.seeds().collect();
    let swapped = RevealedSeeds::new(&[seeds[1].clone(), seeds[0].clone(), seeds[2].clone()]);
    let other = NoiseSecret::from_bytes([77; 32]).reveal(CANDIDATES, pick);
    // Also the seed of the chosen one, in place of one of the others.
    let mut with_chosen = seeds.clone();
    with_chosen[0] = noise_secret(2).seed(pick);
    let cases = [
        None,
        Some(RevealedSeeds::new(&seeds[..2])),
        Some(RevealedSeeds::new(
            &[seeds.clone(), vec![seeds[0].clone()]].concat(),
        )),
        Some(swapped),
        Some(other),
        Some(RevealedSeeds::new(&with_chosen)),
    ];
    for (number, case) in cases.into_iter().enumerate() {
        let mut reports = honest.clone();
        reports[1] = revealing(&world, &honest[1], case);
        let (judged, _) = world.judge(&closed, &reports);
        let verdict = judged.verdict();
        assert_eq!(verdict.liars, [2], "{number}");
        assert_eq!(verdict.noise_count(), 5, "{number}");
        let unproven = verdict.decisions[chosen(&world, &closed, 2)];
        assert_eq!(unproven, Decision::UnprovenNoise, "{number}");
        // It answered about everything rightly, and may open.
        assert!(verdict.openers.contains(&2), "{number}");
    }
}

/// An aggregator that leaves a candidate out takes the steward's noise away, and blames nobody.
#[test]
fn a_steward_of_which_a_candidate_is_left_out_is_not_to_blame() {
    let mut world = world();
    let round = world.first_round();
    let mut submissions = world.submissions(&round, &[0, 1, 2]);
    let mut all = noise(&world, &round, &ALL);
    all.remove(5);
    submissions.extend(all);
    let closed = world.close(&round, submissions);
    let reports = world.reports(&round, &closed, &ALL);
    let (judged, _) = world.judge(&closed, &reports);
    assert!(judged.verdict().liars.is_empty());
    assert_eq!(judged.verdict().noise_count(), 5);
    // Nor is one that does not report: its noise does not count.
    let five = world.reports(&round, &closed, &[1, 2, 3, 4, 5]);
    let (judged, _) = world.judge(&closed, &five);
    assert_eq!(judged.verdict().noise_count(), 4);
    assert_eq!(
        judged.verdict().decisions[chosen(&world, &closed, 6)],
        Decision::UnprovenNoise
    );
    assert!(judged.verdict().liars.is_empty());
}

#[test]
fn with_the_noise_of_fewer_than_t_stewards_nothing_is_opened() {
    for (points, enough) in [(&ALL[..4], true), (&ALL[..3], false)] {
        let mut world = world();
        let round = world.first_round();
        let mut submissions = world.submissions(&round, &[0, 1, 2]);
        submissions.extend(noise(&world, &round, points));
        let closed = world.close(&round, submissions);
        let reports = world.reports(&round, &closed, &ALL);
        match world.verdict(&closed, &reports, 0) {
            Ok(verdict) => assert!(enough && verdict.noise_count() == 4),
            Err(error) => {
                assert!(!enough);
                assert_eq!(error, JudgeError::Abort(AbortReason::TooLittleNoise));
            }
        }
    }
}

/// Noise is no submission of a device: it does not help a policy to be met.
#[test]
fn noise_counts_for_no_minimum_of_the_policy() {
    let mut world = world();
    let round = world.first_round();
    let mut submissions = world.submissions(&round, &[0]);
    submissions.extend(noise(&world, &round, &ALL));
    let closed = world.close(&round, submissions);
    let reports = world.reports(&round, &closed, &ALL);
    let verdict = world.verdict(&closed, &reports, 0);
    assert_eq!(verdict, Err(JudgeError::Abort(AbortReason::Policy)));
}

#[test]
fn a_report_says_about_noise_what_the_beacon_asks() {
    let mut world = world();
    let round = world.first_round();
    let mut submissions = world.submissions(&round, &[0, 1, 2]);
    submissions.extend(noise(&world, &round, &ALL));
    let closed = world.close(&round, submissions);
    let honest = world.honest(&round, &closed, 4);
    let picked = chosen(&world, &closed, 1);
    let is = |outcome| {
        let outcomes = &honest.signed.peek().outcomes;
        outcomes.iter().position(|found| *found == outcome).unwrap()
    };
    let (device, passed_over) = (is(Outcome::Ok), is(Outcome::NotChosen));
    let steward = Culprit::Steward(world.steward_id(4));
    for (index, outcome, fine) in [
        (device, Outcome::NotChosen, false),
        (device, Outcome::OkNoise, false),
        (device, Outcome::Malformed, true),
        (passed_over, Outcome::Ok, false),
        (passed_over, Outcome::OkNoise, false),
        (passed_over, Outcome::Malformed, false),
        (picked, Outcome::Ok, false),
        (picked, Outcome::NotChosen, false),
        (picked, Outcome::Unsealable, true),
    ] {
        let mut statement = honest.signed.peek().clone();
        statement.outcomes[index] = outcome;
        let signed: Signed<PackageReport> = world.by_steward(&statement, 4);
        let verified = closed.challenged.verify_report(&signed);
        if fine {
            assert_eq!(verified, Ok(4));
        } else {
            assert_violates!(verified, Rule::Noise, steward);
        }
    }
}

/// The beacon picks every candidate sometimes, and each steward's by itself.
#[test]
fn choices_are_uniform_and_independent() {
    let world = world();
    let mut counts = [[0u32; 4]; 2];
    let mut same = 0;
    for number in 0..4000u32 {
        let mut beacon = [0; 32];
        beacon[..4].copy_from_slice(&number.to_le_bytes());
        let of = |point| choice(&dawn_protocol::Digest(beacon), &world.steward_id(point), 4);
        let picked = [of(1), of(2)];
        for (counts, picked) in counts.iter_mut().zip(picked) {
            counts[usize::from(picked)] += 1;
        }
        same += u32::from(picked[0] == picked[1]);
    }
    // Each is expected 1000 times, with a deviation of 27.
    let near = |count: &u32| (850..1150).contains(count);
    assert!(counts.iter().flatten().all(near), "{counts:?}");
    assert!(near(&same), "{same}");
    // C(6, 4) = 15 beacons of an aggregator that works with the steward, and 16 candidates.
    let noise = StewardNoise {
        sigma: sigma(),
        candidates: 16,
    };
    assert!((noise.undetected(6, 4) - 15.0 / 16.0).abs() < 1e-12);
    assert!((noise.undetected(3, 2) - 3.0 / 16.0).abs() < 1e-12);
}

#[test]
fn a_revealed_seed_gives_exactly_the_payload_that_was_submitted() {
    let mut world = world();
    let round = world.first_round();
    let made = noise(&world, &round, &[5]);
    let seed = |index| noise_secret(5).seed(index);
    for (index, made) in (0..).zip(&made) {
        let digest =
            |index| dawn_protocol::noise::candidate_payload(&round.open, sigma(), &seed(index));
        assert_eq!(digest(index), made.header.peek().payload);
        assert_ne!(digest((index + 1) % CANDIDATES), made.header.peek().payload);
    }
}
