//! Devices that mask what is too long, stewards that answer wrongly, and both together; an aggregator
//! that lies about what is public.

use dawn_crypto::field;
use dawn_crypto::norm::{Answer, ProofShare};
use dawn_crypto::params::Q;
use dawn_crypto::secret::SecretVec;
use dawn_protocol::answers::{AnswerCursor, AnswersError, Scalars, answers_digest, check_answers};
use dawn_protocol::phase::JudgeError;
use dawn_protocol::prepare::PreparedSubmission;
use dawn_protocol::{AbortReason, Culprit, Decision, Examined, Outcome, Rule};
use rand_chacha::rand_core::Rng;

use crate::assert_violates;
use crate::forging::{Digits, forged};
use crate::reporting::{Reported, signed};
use crate::shares::remade;
use crate::world::{ClosedRound, Device, Round, World};

const ALL: [u8; 6] = [1, 2, 3, 4, 5, 6];
const HALF: u32 = Q / 2;

fn place(closed: &ClosedRound, device: &Device) -> usize {
    let credential =
        |s: &PreparedSubmission| s.header.peek().credential == device.credential.clone().into();
    closed.submissions.iter().position(credential).unwrap()
}

/// Two honest devices and one that lies.
struct Attack {
    world: World,
    round: Round,
    closed: ClosedRound,
    cheat: usize,
}

impl Attack {
    fn new(how: Digits) -> Self {
        let mut world = World::new(6, 1);
        let round = world.first_round();
        let mut submissions = world.submissions(&round, &[0, 1]);
        let device = world.device(2);
        let long = vec![100_000; world.context.dimension().padded()];
        submissions.push(forged(&mut world, &round, &device, &long, how));
        let closed = world.close(&round, submissions);
        let cheat = place(&closed, &device);
        Self {
            world,
            round,
            closed,
            cheat,
        }
    }

    fn reports(&self, points: &[u8]) -> Vec<Reported> {
        self.world.reports(&self.round, &self.closed, points)
    }
}

/// The report of a steward that changes its answers.
fn lying(
    world: &World,
    closed: &ClosedRound,
    honest: &Reported,
    change: impl Fn(usize, &mut Vec<u32>),
) -> Reported {
    let params = world.context.norm_params();
    let change = |(index, answer): (usize, &Option<Answer>)| {
        let mut elements = answer.as_ref()?.elements().to_vec();
        change(index, &mut elements);
        Some(Answer::new(params, elements).unwrap())
    };
    let answers = honest.answers.iter().enumerate().map(change).collect();
    let outcomes = honest.signed.peek().outcomes.clone();
    world.reported(closed, honest.point, outcomes, answers)
}

#[test]
fn what_is_too_long_wrapped_random_or_spiky_is_rejected_whatever_is_proven() {
    let mut world = World::new(6, 1);
    let round = world.first_round();
    let mut submissions = world.submissions(&round, &[0, 1, 2]);
    let padded = world.context.dimension().padded();
    let bound = i32::try_from(world.context.norm_bound()).unwrap();
    let mut random = vec![0; padded];
    random.fill_with(|| field::center((world.rng.next_u64() % u64::from(Q)) as u32));
    let mut spike = vec![0; padded];
    spike[3] = 3 * bound;
    let mut hidden_spike = vec![0; padded];
    hidden_spike[padded - 1] = 3 * bound;
    let vectors: Vec<(&str, Vec<i32>)> = vec![
        ("spread", vec![3 * bound / 64; padded]),
        ("wrapped", vec![1 << 30; padded]),
        ("half of the modulus everywhere", vec![HALF as i32; padded]),
        (
            "half of the modulus once",
            [vec![HALF as i32], vec![0; padded - 1]].concat(),
        ),
        // Also what a device has that masks with another key than it shares.
        ("random", random),
        ("one coordinate", spike),
        ("a check coordinate", hidden_spike),
    ];
    let mut cheats = Vec::new();
    for (name, v) in &vectors {
        for (how, expected) in [
            (Digits::OfZeros, Decision::Projection),
            (Digits::AsTrueAsPossible, Decision::Norm),
        ] {
            let device = world.device(3);
            submissions.push(forged(&mut world, &round, &device, v, how));
            cheats.push((device, expected, *name));
        }
    }
    // The same tools make an honest vector pass, so that it is not they that fail.
    let device = world.device(4);
    submissions.push(forged(
        &mut world,
        &round,
        &device,
        &vec![5; padded],
        Digits::AsTrueAsPossible,
    ));
    let closed = world.close(&round, submissions);
    let reports = world.reports(&round, &closed, &ALL);
    let (judged, _) = world.judge(&closed, &reports);
    for (device, expected, name) in &cheats {
        let found = judged.verdict().decisions[place(&closed, device)];
        assert_eq!(found, *expected, "{name}");
    }
    assert_eq!(
        judged.verdict().decisions[place(&closed, &device)],
        Decision::Accepted
    );
    assert_eq!(judged.verdict().accepted_count(), 4);
    assert_eq!(judged.verdict().openers, ALL);
    assert!(judged.verdict().liars.is_empty());
    let openings = world.openings(&round, &closed, &judged, &ALL);
    judged
        .open(&world.masked_sum(&closed, &judged), &openings)
        .unwrap();
}

/// A valid proof, moved to another submission: of another device, or of the same one with another payload.
#[test]
fn a_proof_of_another_submission_is_rejected() {
    let mut world = World::new(6, 1);
    let round = world.first_round();
    let mut submissions = world.submissions(&round, &[0, 1]);
    let device = world.device(2);
    let [first, second] = [(); 2].map(|()| world.submit(&round, &device, &[5; 10]));
    let mut stolen = Vec::new();
    remade(&mut world, &round, &device, first, |opened| {
        stolen.extend(opened.iter().map(|o| ProofShare {
            digits: SecretVec::new(o.proof.digits.to_vec()),
            proofs: SecretVec::new(o.proof.proofs.to_vec()),
        }));
    });
    submissions.push(remade(&mut world, &round, &device, second, |opened| {
        for (opened, proof) in opened.iter_mut().zip(stolen) {
            opened.proof = proof;
        }
    }));
    // The payload of another, under the same proof: its digest is in the context.
    let other = world.device(3);
    let mut swapped = world.submit(&round, &other, &[5; 10]);
    let mut header = swapped.header.peek().clone();
    header.payload = submissions[0].header.peek().payload;
    swapped.payload = submissions[0].payload.clone();
    swapped.header = dawn_identity::Signed::sign(&header, &other.key).unwrap();
    submissions.push(swapped);
    let closed = world.close(&round, submissions);
    let reports = world.reports(&round, &closed, &ALL);
    let (judged, _) = world.judge(&closed, &reports);
    let decisions = &judged.verdict().decisions;
    assert_eq!(decisions[place(&closed, &device)], Decision::Projection);
    // The packages do not even open under the changed header.
    assert_eq!(decisions[place(&closed, &other)], Decision::TooFewStewards);
    assert_eq!(judged.verdict().accepted_count(), 2);
}

/// The answer with which the steward at point 1 makes T answers, its own and those of `honest`, open to
/// a submission that is valid.
fn answer_that_validates(honest: &[(u8, &Answer)], scalars: [u32; 2]) -> Vec<u32> {
    // Weights at 0 of points 1 and the honest ones.
    let points: Vec<u32> = std::iter::once(1)
        .chain(honest.iter().map(|(p, _)| u32::from(*p)))
        .collect();
    let weight = |i: u32| {
        points.iter().filter(|j| **j != i).fold(1, |product, j| {
            let factor = field::mul(field::sub(0, *j), field::inv(field::sub(i, *j)));
            field::mul(product, factor)
        })
    };
    let len = honest[0].1.elements().len();
    (0..len)
        .map(|at| {
            // Right scalars, and verifier messages of all zeros, which decide true.
            let wanted = scalars.get(at).copied().unwrap_or(0);
            let told = honest.iter().fold(0, |sum, (p, answer)| {
                field::add(
                    sum,
                    field::mul(weight(u32::from(*p)), answer.elements()[at]),
                )
            });
            field::mul(field::sub(wanted, told), field::inv(weight(1)))
        })
        .collect()
}

#[test]
fn a_device_and_a_lying_steward_cannot_make_a_bad_vector_valid() {
    for how in [Digits::OfZeros, Digits::AsTrueAsPossible] {
        let attack = Attack::new(how);
        let (world, closed, cheat) = (&attack.world, &attack.closed, attack.cheat);
        let mut reports = attack.reports(&ALL);
        let scalars = world.scalars(closed);
        let told: Vec<(u8, Answer)> = (reports[1..4].iter())
            .map(|r| (r.point, r.answers[cheat].clone().unwrap()))
            .collect();
        let honest: Vec<(u8, &Answer)> = told.iter().map(|(p, a)| (*p, a)).collect();
        let lie = answer_that_validates(&honest, scalars.get(cheat).unwrap());
        reports[0] = lying(world, closed, &reports[0], |index, answer| {
            if index == cheat {
                answer.clone_from(&lie);
            }
        });
        // It would be believed, were T answers enough.
        let verifier = closed.challenged.verifier(cheat).unwrap();
        let answers = |points: std::ops::Range<usize>| -> Vec<(u8, Answer)> {
            (reports[points].iter())
                .map(|r| (r.point, r.answers[cheat].clone().unwrap()))
                .collect()
        };
        assert_eq!(
            verifier
                .examine(&answers(0..4), scalars.get(cheat).unwrap())
                .result,
            Examined::TooFew
        );
        let mine = Answer::new(world.context.norm_params(), lie.clone()).unwrap();
        let four = [vec![(1, &mine)], honest.clone()].concat();
        let opened = Answer::open(&four).unwrap();
        assert_eq!(opened.elements()[..2], scalars.get(cheat).unwrap());
        assert!(opened.elements()[2..].iter().all(|e| *e == 0));

        let (judged, _) = world.judge(closed, &reports);
        let expected = match how {
            Digits::OfZeros => Decision::Projection,
            Digits::AsTrueAsPossible => Decision::Norm,
        };
        assert_eq!(judged.verdict().decisions[cheat], expected);
        assert_eq!(judged.verdict().liars, [1]);
        // With one steward away nobody can tell who lies, and it is not accepted either.
        let (judged, _) = world.judge(closed, &reports[..5]);
        assert_eq!(judged.verdict().decisions[cheat], Decision::AnswersDisagree);
        assert!(judged.verdict().liars.is_empty());
        assert_eq!(judged.verdict().accepted_count(), 2);
    }
}

#[test]
fn a_steward_that_answers_wrongly_is_named_and_costs_nobody_anything() {
    let mut world = World::new(6, 1);
    let round = world.first_round();
    let submissions = world.submissions(&round, &[0, 1, 2]);
    let closed = world.close(&round, submissions);
    let honest = world.reports(&round, &closed, &ALL);
    let elements = world.context.norm_params().answer_len();
    for liar in ALL {
        for about in [0..3, 2..3] {
            for element in [0, 1, 2, elements - 1] {
                let mut reports = honest.clone();
                let place = usize::from(liar) - 1;
                reports[place] = lying(&world, &closed, &reports[place], |index, answer| {
                    if about.contains(&index) {
                        answer[element] = field::add(answer[element], 1);
                    }
                });
                let (judged, _) = world.judge(&closed, &reports);
                assert_eq!(judged.verdict().decisions, [Decision::Accepted; 3]);
                assert_eq!(judged.verdict().liars, [liar]);
                let others: Vec<u8> = ALL.into_iter().filter(|p| *p != liar).collect();
                assert_eq!(judged.verdict().openers, others);
            }
        }
    }
    // With only A there, the submissions that it lies about are not decided.
    let mut five = honest[..5].to_vec();
    five[1] = lying(&world, &closed, &five[1], |index, answer| {
        answer[0] ^= u32::from(index == 0)
    });
    let (judged, _) = world.judge(&closed, &five);
    let expected = [
        Decision::AnswersDisagree,
        Decision::Accepted,
        Decision::Accepted,
    ];
    assert_eq!(judged.verdict().decisions, expected);
    five[1] = lying(&world, &closed, &five[1], |_, answer| answer[0] ^= 1);
    let none = world.verdict(&closed, &five, 0);
    assert_eq!(none, Err(JudgeError::Abort(AbortReason::Policy)));
}

/// Two liars of eleven, with the same lie or each with its own; and more than there may be.
#[test]
fn liars_are_named_as_long_as_a_others_agree() {
    let mut world = World::new(11, 2);
    let round = world.first_round();
    let submissions = world.submissions(&round, &[0, 1]);
    let closed = world.close(&round, submissions);
    let all: Vec<u8> = (1..=11).collect();
    let honest = world.reports(&round, &closed, &all);
    let with_liars = |liars: &[u8]| {
        let lie = |r: &Reported| {
            if liars.contains(&r.point) {
                lying(&world, &closed, r, |_, answer| {
                    answer[5] = u32::from(r.point)
                })
            } else {
                r.clone()
            }
        };
        let reports: Vec<Reported> = honest.iter().map(lie).collect();
        world.findings(&closed, &reports, &world.scalars(&closed))
    };
    for liars in [[1, 2], [1, 11], [6, 7], [10, 11]] {
        for finding in with_liars(&liars) {
            assert_eq!(finding.result, Examined::Valid);
            assert!((1..=11).all(|p| finding.lies(p) == liars.contains(&p)));
            assert!((1..=11).all(|p| finding.agrees(p) != liars.contains(&p)));
        }
    }
    for finding in with_liars(&[2, 5, 9]) {
        assert_eq!(
            (finding.result, finding.agreeing, finding.lied),
            (Examined::Disagree, 0, 0)
        );
    }
}

/// The aggregator gives the scalars that the bad device's proof is about.
#[test]
fn false_scalars_pass_a_bad_device_and_are_found_by_whoever_recomputes_them() {
    let attack = Attack::new(Digits::OfZeros);
    let (world, closed, cheat) = (&attack.world, &attack.closed, attack.cheat);
    let reports = attack.reports(&ALL);
    let truth = world.scalars(closed);
    let answers: Vec<(u8, &Answer)> = (reports[..4].iter())
        .map(|r| (r.point, r.answers[cheat].as_ref().unwrap()))
        .collect();
    let opened = Answer::open(&answers).unwrap();
    let mut pairs: Vec<[u32; 2]> = (0..3).map(|index| truth.get(index).unwrap()).collect();
    pairs[cheat] = [opened.elements()[0], opened.elements()[1]];
    let lie = Scalars::new(pairs);
    assert_ne!(lie, truth);

    let with = |scalars: &Scalars| world.findings(closed, &reports, scalars);
    let statements = signed(&reports);
    let round = || closed.challenged.clone();
    let verdict = round()
        .verdict(&statements, &with(&lie), lie.digest(), 0)
        .unwrap();
    assert_eq!(verdict.decisions, [Decision::Accepted; 3]);
    let verdict = world.by_aggregator(&verdict);
    // Who takes its word for the scalars, takes the device.
    round()
        .adopt(&statements, &with(&lie), lie.digest(), &verdict)
        .unwrap();
    // Who recomputes them does not, whether it compares them or judges with them.
    assert_violates!(
        round()
            .adopt(&statements, &with(&truth), truth.digest(), &verdict)
            .map(|_| ()),
        Rule::Scalars,
        Culprit::Aggregator
    );
    assert_violates!(
        round()
            .adopt(&statements, &with(&truth), lie.digest(), &verdict)
            .map(|_| ()),
        Rule::Verdict,
        Culprit::Aggregator
    );
}

#[test]
fn answers_and_scalars_are_read_whole_and_canonical() {
    let mut world = World::new(6, 1);
    let round = world.first_round();
    let mut submissions = world.submissions(&round, &[0, 1, 2]);
    submissions[1].packages[2] = Vec::new();
    let closed = world.close(&round, submissions);
    let report = world.honest(&round, &closed, 3);
    let statement = report.signed.peek();
    let outcomes = &statement.outcomes;
    assert_eq!(
        outcomes
            .iter()
            .filter(|o| **o == Outcome::Unsealable)
            .count(),
        1
    );
    let bytes: Vec<u8> = report
        .answers
        .iter()
        .flatten()
        .flat_map(Answer::to_bytes)
        .collect();
    let params = world.context.proof_params();
    assert_eq!(bytes.len(), closed.challenged.answers_len(outcomes));
    assert_eq!(bytes.len(), 2 * 4 * params.device.answer_len());
    let check = |bytes: &[u8]| check_answers(params, outcomes, bytes, &statement.answers);
    check(&bytes).unwrap();
    let mut cursor = AnswerCursor::new(params, outcomes, &bytes[..]);
    for (index, expected) in report.answers.iter().enumerate() {
        assert_eq!(cursor.index(), index);
        assert_eq!(&cursor.next_answer().unwrap(), expected);
    }
    assert_eq!(cursor.next_answer().unwrap(), None);
    cursor.finish(&statement.answers).unwrap();

    assert!(matches!(
        check(&bytes[..bytes.len() - 1]),
        Err(AnswersError::Truncated { .. })
    ));
    assert!(matches!(check(&[]), Err(AnswersError::Truncated { .. })));
    assert!(matches!(
        check(&[&bytes[..], &[0]].concat()),
        Err(AnswersError::Trailing)
    ));
    let mut changed = bytes.clone();
    changed[0] ^= 1;
    assert!(matches!(check(&changed), Err(AnswersError::Digest)));
    changed[bytes.len() - 4..].copy_from_slice(&Q.to_le_bytes());
    let refused =
        check_answers(params, outcomes, &changed[..], &answers_digest(&changed)).unwrap_err();
    assert!(
        matches!(refused, AnswersError::Malformed { .. }),
        "{refused}"
    );
    let steward = Culprit::Steward(world.steward_id(3));
    let violation = refused.by(steward);
    assert_eq!(
        (violation.culprit, violation.rule),
        (steward, Rule::Answers)
    );

    let scalars = world.scalars(&closed).to_bytes();
    assert_eq!(scalars.len(), 3 * Scalars::BYTES);
    let read = |bytes: &[u8]| closed.challenged.scalars(bytes);
    assert_eq!(read(&scalars).unwrap(), world.scalars(&closed));
    assert!(matches!(
        read(&scalars[..23]),
        Err(AnswersError::Truncated { index: 2 })
    ));
    assert!(matches!(
        read(&[&scalars[..], &[0]].concat()),
        Err(AnswersError::Trailing)
    ));
    let mut changed = scalars.clone();
    changed[12..16].copy_from_slice(&u32::MAX.to_le_bytes());
    assert!(matches!(
        read(&changed),
        Err(AnswersError::Malformed { index: 1, .. })
    ));
}
