//! Devices that are selected: by their own draw, provably, and by nobody's choice.

use dawn_crypto::vrf::{VrfOutput, VrfProof, VrfSecretKey, proof_to_hash, prove};
use dawn_identity::{DeviceId, DeviceRequest, SecretKey, Signed, Statement as _, Validity};
use dawn_protocol::prepare::{PrepareError, PreparedSubmission};
use dawn_protocol::selection::ENROLMENT_BACKDATING;
use dawn_protocol::{
    CLOCK_TOLERANCE, Candidate, Culprit, Digest, Draw, NotSelected, RoundResult, Rule, Selection,
    StewardNoise, SubmissionHeader, Terminal,
};

use crate::assert_violates;
use crate::reporting::noise_secret;
use crate::world::{Device, NOW, Round, World};

const HALF: Selection = Selection { rate: 1 << 31 };

fn world(selection: Selection) -> World {
    World::with_task(3, 0, |task| task.options.selection = Some(selection))
}

fn id(device: &Device) -> DeviceId {
    device.credential.claimed_device()
}

/// Devices until there are so many that are selected, and as many that are not.
fn drawn(world: &mut World, round: &Round, each: usize) -> (Vec<Device>, Vec<Device>) {
    let (mut selected, mut others) = (Vec::new(), Vec::new());
    while selected.len() < each || others.len() < each {
        let device = world.device(0);
        match round.open.select(&device.credential, &device.key) {
            Ok(Some(_)) => selected.push(device),
            Err(NotSelected::Drawn) => others.push(device),
            other => panic!("{other:?}"),
        }
    }
    (selected, others)
}

fn submit(world: &mut World, round: &Round, device: &Device) -> PreparedSubmission {
    world.submit(round, device, &[1; 10])
}

/// The header with another proof, signed by the device all the same.
fn with(
    submission: &PreparedSubmission,
    device: &Device,
    proof: Option<VrfProof>,
) -> Signed<SubmissionHeader> {
    let mut header = submission.header.peek().clone();
    header.selection = proof;
    Signed::sign(&header, &device.key).unwrap()
}

fn refused(world: &World, round: &Round, header: &Signed<SubmissionHeader>, device: &Device) {
    assert_violates!(
        round.open.verify_header(header, &world.members),
        Rule::Selection,
        Culprit::Device(id(device))
    );
}

#[test]
fn who_is_selected_submits_with_the_proof_and_who_is_not_does_not_train() {
    let mut world = world(HALF);
    let round = world.first_round();
    let (selected, others) = drawn(&mut world, &round, 3);
    for device in &selected {
        let submission = submit(&mut world, &round, device);
        assert!(submission.header.peek().selection.is_some());
        let verified = round.open.verify_header(&submission.header, &world.members);
        assert_eq!(verified.unwrap().submitter(), id(device));
    }
    for device in &others {
        let (credential, key) = (&device.credential, &device.key);
        let refused =
            PreparedSubmission::new(&round.open, credential, key, &[1; 10], &mut world.rng);
        assert_eq!(
            refused.unwrap_err(),
            PrepareError::NotSelected(NotSelected::Drawn)
        );
    }
}

#[test]
fn no_other_proof_will_do() {
    let mut world = world(HALF);
    let round = world.first_round();
    let (selected, others) = drawn(&mut world, &round, 2);
    let device = &selected[0];
    let honest = submit(&mut world, &round, device);
    let proof = honest.header.peek().selection.clone().unwrap();
    let mut wrong = vec![None];
    // Another device's, and another round's of the same device.
    wrong.push(
        submit(&mut world, &round, &selected[1])
            .header
            .peek()
            .selection
            .clone(),
    );
    let (_, draw) = round.open.selection().unwrap();
    let key = dawn_identity::device_vrf(&device.key);
    let of = |number, draw: &Draw, key: &VrfSecretKey| {
        Some(prove(
            key,
            &draw.input(&world.context.round(number), &id(device)).0,
        ))
    };
    wrong.push(of(2, &draw, &key));
    let other_beacon = Draw {
        beacon: dawn_protocol::Digest([9; 32]),
        ..draw
    };
    wrong.push(of(1, &other_beacon, &key));
    // Under a key that the credential does not name: the device could choose the output.
    wrong.push(of(1, &draw, &VrfSecretKey::from_seed(&[7; 32])));
    wrong.push(of(
        1,
        &draw,
        &VrfSecretKey::from_seed(&device.key.to_seed()),
    ));
    assert_eq!(
        of(1, &draw, &key),
        Some(proof.clone()),
        "the right one is no other"
    );
    for byte in 0..VrfProof::BYTES {
        let mut bytes = *proof.as_bytes();
        bytes[byte] ^= 1;
        wrong.push(Some(VrfProof::from_bytes(&bytes).unwrap()));
    }
    for proof in wrong {
        let header = with(&honest, device, proof);
        refused(&world, &round, &header, device);
    }
    // Who is not selected has a proof too: of an output that is too large.
    let device = &others[0];
    let input = draw.input(&world.context.round(1), &id(device));
    let proof = prove(&dawn_identity::device_vrf(&device.key), &input.0);
    let mut header = honest.header.peek().clone();
    header.credential = (&device.credential).into();
    header.selection = Some(proof);
    let header = Signed::sign(&header, &device.key).unwrap();
    refused(&world, &round, &header, device);
}

#[test]
fn a_task_that_takes_everybody_takes_no_proof() {
    let mut world = World::new(3, 0);
    let round = world.first_round();
    assert_eq!(round.open.spec().draw, None);
    let device = world.device(0);
    let honest = submit(&mut world, &round, &device);
    assert_eq!(honest.header.peek().selection, None);
    let proof = prove(&dawn_identity::device_vrf(&device.key), b"anything");
    refused(
        &world,
        &round,
        &with(&honest, &device, Some(proof)),
        &device,
    );
}

#[test]
fn a_credential_without_the_key_or_younger_than_the_beacon_has_no_part() {
    let mut world = world(Selection { rate: u32::MAX });
    let round = world.first_round();
    let key = SecretKey::generate(&mut world.rng);
    let org = &world.organisations[0];
    let validity = |from| Validity::starting(from, 500_000);
    let enrol = |request: &DeviceRequest, from| Device {
        key: SecretKey::from_seed(&key.to_seed()),
        credential: org.enrol_device(request, validity(from)).unwrap(),
    };
    let request = DeviceRequest::of(&key, "device");
    let foreign = VrfSecretKey::from_seed(&[3; 32]).public().clone();
    // A round may say that it was opened by 600 s later than it was, and a credential that it was issued by 60 s earlier.
    let before = NOW - 660;
    let honest = enrol(&request, before);
    let without = enrol(&DeviceRequest::of_key(key.public(), "device"), before);
    let with_another = enrol(
        &DeviceRequest {
            vrf: Some(foreign),
            ..request.clone()
        },
        before,
    );
    let late = enrol(&request, before + 1);
    let select = |device: &Device| round.open.select(&device.credential, &device.key);
    let proof = select(&honest).unwrap();
    assert_eq!(select(&without), Err(NotSelected::NoKey));
    assert_eq!(select(&with_another), Err(NotSelected::NoKey));
    let issued = before + 1;
    assert_eq!(select(&late), Err(NotSelected::Enrolled { issued, before }));
    // And nobody takes their word for it.
    let submission = submit(&mut world, &round, &honest);
    for device in [&without, &with_another, &late] {
        let mut header = submission.header.peek().clone();
        header.credential = (&device.credential).into();
        assert_eq!(header.selection, proof);
        let header = Signed::sign(&header, &device.key).unwrap();
        refused(&world, &round, &header, device);
    }
}

#[test]
fn stewards_are_not_selected() {
    let mut world = World::with_task(3, 0, |task| {
        task.options.selection = Some(HALF);
        task.options.noise = Some(StewardNoise {
            sigma: crate::noise::sigma(),
            candidates: 2,
        });
    });
    let round = world.first_round();
    let steward = world.steward_id(1);
    let candidate = Candidate { index: 0, steward };
    let key = &world.stewards[0];
    let noise = PreparedSubmission::noise(&round.open, key, candidate, &noise_secret(1)).unwrap();
    assert!(
        round
            .open
            .verify_header(&noise.header, &world.members)
            .is_ok()
    );
    let mut header = noise.header.peek().clone();
    header.selection = Some(prove(&world.vrfs[0], b"anything"));
    let header = Signed::sign(&header, key).unwrap();
    assert_violates!(
        round.open.verify_header(&header, &world.members),
        Rule::Selection,
        Culprit::Steward(steward)
    );
}

#[test]
fn a_specification_says_what_is_drawn_from_when_it_is_asked_for_and_no_other() {
    let mut world = world(HALF);
    let (spec, _) = world.spec(1, None, world.initial_model(), &[1, 2, 3]);
    let draw = spec.draw.unwrap();
    assert_eq!(draw, Draw::initial(world.context.task()));
    let mut none = spec.clone();
    none.draw = None;
    let none = world.by_aggregator(&none);
    assert_violates!(
        world.context.verify_spec(&none),
        Rule::SpecBinding,
        Culprit::Aggregator
    );
    let beacon = dawn_protocol::Digest([1; 32]);
    for other in [
        Draw { beacon, ..draw },
        Draw {
            before: draw.before + 1,
            ..draw
        },
    ] {
        let mut spec = spec.clone();
        spec.draw = Some(other);
        let spec = world.by_aggregator(&spec);
        let context = world.context.verify_spec(&spec).unwrap();
        assert_violates!(
            context.verify_previous(None, None),
            Rule::SpecModel,
            Culprit::Aggregator
        );
    }
}

/// What an organisation with an honest clock issues when the beacon of a round may be known, dated back as far as it may be,
/// has no part in what is drawn from that beacon, although the round says that it was opened as late as stewards let it.
#[test]
fn a_key_that_was_tried_after_the_beacon_has_no_part() {
    let mut world = world(Selection { rate: u32::MAX });
    let round = world.first_round();
    let submissions = world.submissions(&round, &[0, 1, 2]);
    let closed = world.close(&round, submissions);
    let draw = closed.challenged.next_draw();
    let end = Terminal::Result(world.by_aggregator(&RoundResult {
        round: round.open.round_id(),
        session: round.open.session(),
        verdict: Digest([1; 32]),
        openings: vec![Digest([2; 32]); 2],
        points: vec![1, 2],
        culprits: Vec::new(),
        accepted: 3,
        sum: Digest([3; 32]),
        model: Digest([4; 32]),
        direction: None,
        draw: Some(draw),
        evaluation: None,
    }));
    let next = world.round(2, Some(&end), Digest([4; 32]), &[1, 2, 3]);
    assert_eq!(next.open.selection().unwrap().1, draw);
    let opened = round.open.spec().opened_ms / 1000;
    // By the stewards' clocks the round was opened at this second at the earliest, and ended in a later one.
    let earliest = opened - CLOCK_TOLERANCE;
    let mut enrolled = |at: u64| {
        let key = SecretKey::generate(&mut world.rng);
        let request = DeviceRequest::of(&key, "device");
        let validity = Validity::starting(at - ENROLMENT_BACKDATING, 500_000);
        let credential = world.organisations[0].enrol_device(&request, validity);
        next.open.select(&credential.unwrap(), &key)
    };
    for after in [1, 10, CLOCK_TOLERANCE, CLOCK_TOLERANCE + 100] {
        let refused = enrolled(earliest + after);
        assert!(
            matches!(refused, Err(NotSelected::Enrolled { .. })),
            "{refused:?}"
        );
    }
    // Before the round was opened nobody knew anything.
    assert!(enrolled(earliest - 1).is_ok());
}

fn value(output: &VrfOutput) -> u32 {
    u32::from_le_bytes(output.as_bytes()[..4].try_into().unwrap())
}

#[test]
fn the_rate_is_the_number_of_outputs_that_are_selected() {
    let outputs = (0..20u8).map(|seed| {
        let key = VrfSecretKey::from_seed(&[seed; 32]);
        proof_to_hash(&prove(&key, b"input")).unwrap()
    });
    for output in outputs {
        let value = value(&output);
        for (rate, selected) in [
            (0, false),
            (value, false),
            (value + 1, true),
            (u32::MAX, true),
        ] {
            assert_eq!(Selection { rate }.selects(&output), selected);
        }
    }
    assert_eq!(HALF.probability(), 0.5);
    // Nobody can be asked to wait for nobody.
    let task = World::new(3, 0).task.peek().clone();
    let with = |rate| {
        let mut task = task.clone();
        task.options.selection = Some(Selection { rate });
        task.check()
    };
    assert!(with(0).is_err());
    assert!(with(1).is_ok() && with(u32::MAX).is_ok());
}

/// How often a quarter is selected, of 100 devices in 10 rounds, against the exact binomial distribution: outside of the
/// bounds are at most `2^-40` of all outcomes on either side.
#[test]
fn a_quarter_of_the_draws_is_selected() {
    const DRAWS: usize = 1000;
    let quarter = Selection { rate: 1 << 30 };
    let mut world = world(quarter);
    let devices: Vec<_> = (0..100).map(|_| world.device(0)).collect();
    let draw = Draw::initial(world.context.task());
    let mut selected = 0;
    for device in &devices {
        let key = dawn_identity::device_vrf(&device.key);
        for number in 1..=10 {
            let input = draw.input(&world.context.round(number), &id(device));
            let output = proof_to_hash(&prove(&key, &input.0)).unwrap();
            selected += usize::from(quarter.selects(&output));
        }
    }
    let (least, most) = quarter_bounds(DRAWS, 40);
    assert!(
        (least..=most).contains(&selected),
        "{least} {selected} {most}"
    );
    // As Python's integers have them.
    assert_eq!((least, most), (158, 350));
}

/// The smallest interval of numbers of successes outside of which, on either side, are at most `2^-bits` of the
/// `4^draws` outcomes of draws with probability 1/4. In exact integers: `C(draws, k) 3^(draws - k)` outcomes have k.
fn quarter_bounds(draws: usize, bits: usize) -> (usize, usize) {
    let words = (2 * draws).div_ceil(32) + 1;
    let mut counts = vec![vec![0u32; words]; draws + 1];
    counts[0][0] = 1;
    for drawn in 1..=draws {
        for k in (0..=drawn).rev() {
            let mut carry = 0u64;
            let one_less = if k == 0 {
                vec![0; words]
            } else {
                counts[k - 1].clone()
            };
            for (word, less) in counts[k].iter_mut().zip(one_less) {
                carry += 3 * u64::from(*word) + u64::from(less);
                *word = carry as u32;
                carry >>= 32;
            }
        }
    }
    let limit = 2 * draws - bits;
    let within = |outcomes: &mut dyn Iterator<Item = usize>| {
        let mut sum = vec![0u32; words];
        for (taken, k) in outcomes.enumerate() {
            let mut carry = 0u64;
            for (word, count) in sum.iter_mut().zip(&counts[k]) {
                carry += u64::from(*word) + u64::from(*count);
                *word = carry as u32;
                carry >>= 32;
            }
            let above = (limit..32 * words).any(|bit| sum[bit / 32] >> (bit % 32) & 1 == 1);
            if above {
                return taken;
            }
        }
        unreachable!("all outcomes together are more")
    };
    (
        within(&mut (0..=draws)),
        draws - within(&mut (0..=draws).rev()),
    )
}
