//! Tasks that ask for more than a short update: that it points the right way, or that its counts sum to one. What a device
//! that lies can reach, and that an honest one never fails.

use dawn_crypto::mask::PublicMatrix;
use dawn_crypto::norm::NormError;
use dawn_crypto::norm::projection::{MatrixBlocks, ProjectionError};
use dawn_crypto::params::Sigma;
use dawn_identity::Statement;
use dawn_learn::{Model, direction};
use dawn_protocol::digests::model_digest;
use dawn_protocol::prepare::{PrepareError, PreparedSubmission};
use dawn_protocol::{
    AbortReason, Aborted, Culprit, Decision, Digest, Functional, Opened, Rule, Terminal,
};

use crate::assert_violates;
use crate::forging::{Digits, forged};
use crate::world::{ClosedRound, Device, Round, World};

const ALL: [u8; 6] = [1, 2, 3, 4, 5, 6];

fn world(functional: Functional) -> World {
    World::with_task(6, 1, |task| task.options.functional = Some(functional))
}

/// Judges and opens a round.
fn opened(world: &World, round: &Round, closed: &ClosedRound) -> Opened {
    let reports = world.reports(round, closed, &ALL);
    let (judged, _) = world.judge(closed, &reports);
    let openings = world.openings(round, closed, &judged, &ALL);
    let sum = world.masked_sum(closed, &judged);
    judged.open(&sum, &openings).unwrap()
}

fn decision(opened: &Opened, closed: &ClosedRound, device: &Device) -> Decision {
    let own =
        |s: &PreparedSubmission| s.header.peek().credential == device.credential.clone().into();
    let place = closed.submissions.iter().position(own).unwrap();
    opened.judged().verdict().decisions[place]
}

/// A first round in which everybody went the same way, and what it left.
struct First {
    world: World,
    from: Model,
    to: Model,
    end: Terminal,
}

impl First {
    fn new() -> Self {
        let mut world = world(Functional::Direction);
        let round = world.first_round();
        assert_eq!(round.open.spec().direction, None);
        let d = world.context.dimension().coordinates();
        let submissions = [0, 1].map(|organisation| {
            let device = world.device(organisation);
            world.submit(&round, &device, &vec![1000; d])
        });
        let closed = world.close(&round, submissions.to_vec());
        let opened = opened(&world, &round, &closed);
        let from = world.context.initial_model().unwrap();
        let to = opened.next_model(&from).unwrap();
        let result = opened.result(model_digest(&to.to_bytes()));
        assert_eq!(result.direction, Some(world.initial_model()));
        let end = Terminal::Result(world.by_aggregator(&result));
        First {
            world,
            from,
            to,
            end,
        }
    }

    /// A round after it, whose models are known.
    fn next(&mut self) -> Round {
        let model = model_digest(&self.to.to_bytes());
        let round = self.world.round(2, Some(&self.end), model, &ALL);
        let open = &round.open;
        let names = [self.world.initial_model(), model];
        assert_eq!(open.wanted_models(), Some(names));
        assert!(open.functional_row().is_none());
        open.learn_models(&self.from.to_bytes(), &self.to.to_bytes())
            .unwrap();
        assert_eq!(open.wanted_models(), None);
        let limit = open.norm_params().functional().unwrap().limit();
        let row = open.functional_row().unwrap();
        assert_eq!(
            row.values(),
            direction(&self.from, &self.to, limit).unwrap()
        );
        round
    }
}

#[test]
fn what_points_against_the_last_update_is_rejected_whatever_is_proven() {
    let mut first = First::new();
    let round = first.next();
    let world = &mut first.world;
    let (d, padded) = {
        let dimension = world.context.dimension();
        (dimension.coordinates(), dimension.padded())
    };
    let mut submissions = Vec::new();
    let along = world.device(0);
    submissions.push(world.submit(&round, &along, &vec![700; d]));
    // An honest device whose data points the other way: of this nothing is left.
    let against = world.device(1);
    submissions.push(world.submit(&round, &against, &vec![-700; d]));
    let vector = |value: i32| {
        let mut v = vec![0; padded];
        v[..d].fill(value);
        v
    };
    let mut cheats = Vec::new();
    for (value, how, expected) in [
        // As long as an update may be, against the direction.
        (-2500, Digits::OfZeros, Decision::Projection),
        (-2500, Digits::AsTrueAsPossible, Decision::Norm),
        // A little more than the slack of ten deviations, and all of it.
        (-25, Digits::OfZeros, Decision::Projection),
        (-25, Digits::AsTrueAsPossible, Decision::Norm),
        (-20, Digits::AsTrueAsPossible, Decision::Accepted),
        // Along it, no further than an honest device may go.
        (2_500, Digits::AsTrueAsPossible, Decision::Accepted),
        (2_620, Digits::AsTrueAsPossible, Decision::Norm),
    ] {
        let device = world.device(cheats.len() % 6);
        submissions.push(forged(world, &round, &device, &vector(value), how));
        cheats.push((device, value, expected));
    }
    let closed = world.close(&round, submissions);
    let opened = opened(world, &round, &closed);
    for (device, value, expected) in &cheats {
        assert_eq!(decision(&opened, &closed, device), *expected, "{value}");
    }
    for honest in [&along, &against] {
        assert_eq!(decision(&opened, &closed, honest), Decision::Accepted);
    }
    // 700, nothing for -700, and what passed.
    for sum in opened.sum() {
        assert!((sum - 700 + 20 - 2500).abs() < 200, "{sum}");
    }
}

/// The row is zero, and everything that is short passes; the proof has the same shape.
#[test]
fn before_there_is_an_accepted_update_every_direction_passes() {
    let mut world = world(Functional::Direction);
    let round = world.first_round();
    assert_eq!(round.open.wanted_models(), None);
    assert!(
        round
            .open
            .functional_row()
            .unwrap()
            .values()
            .iter()
            .all(|g| *g == 0)
    );
    let d = world.context.dimension().coordinates();
    let devices = [world.device(0), world.device(1)];
    let submissions = (devices.iter().zip([2000, -2000]))
        .map(|(device, value)| world.submit(&round, device, &vec![value; d]));
    let submissions = submissions.collect();
    let closed = world.close(&round, submissions);
    let opened = opened(&world, &round, &closed);
    assert_eq!(opened.judged().verdict().accepted_count(), 2);
    assert!(opened.sum().iter().all(|sum| sum.abs() < 200));
}

/// A verdict about one device would be a bit about its data: there is none, whatever its data is.
#[test]
fn an_honest_device_passes_whatever_its_data_is() {
    let mut first = First::new();
    let round = first.next();
    let world = &mut first.world;
    let d = world.context.dimension().coordinates();
    let mut spike = vec![0; d];
    spike[3] = -8192;
    let updates = [
        vec![2590; d],
        vec![-2590; d],
        vec![-1; d],
        vec![0; d],
        spike,
    ];
    let mut submissions = Vec::new();
    for (organisation, x) in updates.iter().enumerate() {
        let device = world.device(organisation);
        submissions.push(world.submit(&round, &device, x));
    }
    let closed = world.close(&round, submissions);
    let opened = opened(world, &round, &closed);
    assert_eq!(opened.judged().verdict().accepted_count(), 5);
    // Of the spike only its tenth along the direction is gone: whose data says something else still counts.
    for (coordinate, sum) in opened.sum().iter().enumerate() {
        let rest = if coordinate == 3 { -7373 } else { 819 };
        assert!((sum - 2590 - rest).abs() < 300, "{coordinate}: {sum}");
    }
}

#[test]
fn counts_sum_to_one_at_most() {
    // The clip bound is one.
    const UNIT: i32 = 1 << 13;
    let mut world = world(Functional::Counts);
    let round = world.first_round();
    let dimension = world.context.dimension();
    let (d, padded) = (dimension.coordinates(), dimension.padded());
    let mut one = vec![0; d];
    one[2] = UNIT;
    let mut half_each = vec![0; d];
    (half_each[2], half_each[7]) = (UNIT / 2, UNIT / 2);
    let mut too_many = half_each.clone();
    too_many[5] = UNIT / 2;
    let negative = vec![-1; d];
    let mut honest = Vec::new();
    let mut submissions = Vec::new();
    for x in [&one, &half_each, &too_many, &negative] {
        let device = world.device(honest.len());
        submissions.push(world.submit(&round, &device, x));
        honest.push(device);
    }
    // Ten deviations of noise, with a root of 10 that is rounded up to 4.
    let mut cheats = Vec::new();
    for (count, expected) in [
        (UNIT + 250, Decision::Accepted),
        (UNIT + 260, Decision::Norm),
        (-250, Decision::Accepted),
        (-260, Decision::Norm),
    ] {
        let mut v = vec![0; padded];
        v[9] = count;
        // Check coordinates are no counts.
        v[d] = 100;
        let device = world.device(cheats.len());
        let how = Digits::AsTrueAsPossible;
        submissions.push(forged(&mut world, &round, &device, &v, how));
        cheats.push((device, count, expected));
    }
    let closed = world.close(&round, submissions);
    let opened = opened(&world, &round, &closed);
    for device in &honest {
        assert_eq!(decision(&opened, &closed, device), Decision::Accepted);
    }
    for (device, count, expected) in &cheats {
        assert_eq!(decision(&opened, &closed, device), *expected, "{count}");
    }
    // Two honest counts were none.
    let total: i32 = opened.sum().iter().sum();
    assert!((total - 3 * UNIT).abs() < 1000, "{total}");
}

#[test]
fn nothing_is_prepared_or_verified_before_the_models_are_known() {
    let mut first = First::new();
    let model = model_digest(&first.to.to_bytes());
    let world = &mut first.world;
    let round = world.round(2, Some(&first.end), model, &ALL);
    let d = world.context.dimension().coordinates();
    let device = world.device(0);
    let unprepared = PreparedSubmission::new(
        &round.open,
        &device.credential,
        &device.key,
        &vec![0; d],
        &mut world.rng,
    );
    assert_eq!(unprepared.unwrap_err(), PrepareError::Norm(NormError::Row));
    let (from, to) = (first.from.to_bytes(), first.to.to_bytes());
    for (wrong_from, wrong_to) in [(&to, &from), (&from, &from), (&to, &to), (&vec![], &to)] {
        assert_violates!(
            round.open.learn_models(wrong_from, wrong_to),
            Rule::SpecModel,
            Culprit::Aggregator
        );
        assert!(round.open.wanted_models().is_some());
    }
    round.open.learn_models(&from, &to).unwrap();
    let submissions = world.submissions(&round, &[0, 1]);
    let closed = world.close(&round, submissions);
    // Another party's context of the same round, which has not seen the models.
    let context = world.context.verify_spec(&round.spec).unwrap();
    let open = dawn_protocol::RoundOpen::new(context, &round.endorsements).unwrap();
    let roll = closed.closed.roll().clone();
    let apart = open.close(&closed.statement, roll).unwrap();
    let apart = apart.challenged(&closed.challenge).unwrap();
    let verifier = apart.verifier(0).unwrap();
    let matrix = PublicMatrix::from_seed(&round.open.spec().matrix_seed);
    let blind = verifier.public_check(MatrixBlocks::Expanded(&matrix), None);
    assert_eq!(blind.unwrap_err(), ProjectionError::Row);
    apart.learn_models(&from, &to).unwrap();
    let seeing = apart.verifier(0).unwrap();
    let check = seeing.public_check(MatrixBlocks::Expanded(&matrix), None);
    let expected = closed.checks[0].as_ref().unwrap();
    assert_eq!(check.unwrap().u, expected.u);
}

/// Where the last accepted update began is no choice of the aggregator's.
#[test]
fn a_direction_that_does_not_follow_is_refused() {
    let mut first = First::new();
    let model = model_digest(&first.to.to_bytes());
    let world = &mut first.world;
    let initial = world.context.initial_start().unwrap();
    let honest = world.round(2, Some(&first.end), model, &ALL);
    honest
        .open
        .verify_previous(Some(&first.end), Some(initial))
        .unwrap();
    honest.open.verify_previous(Some(&first.end), None).unwrap();
    for direction in [None, Some(model), Some(Digest([0x66; 32]))] {
        let mut spec = honest.spec.peek().clone();
        spec.direction = direction;
        let spec = world.by_aggregator(&spec);
        let context = world.context.verify_spec(&spec).unwrap();
        assert_violates!(
            context.verify_previous(Some(&first.end), Some(initial)),
            Rule::SpecModel,
            Culprit::Aggregator
        );
    }
    // In the first round there is none.
    let (mut spec, _) = world.spec(1, None, world.initial_model(), &ALL);
    spec.direction = Some(world.initial_model());
    let spec = world.by_aggregator(&spec);
    let context = world.context.verify_spec(&spec).unwrap();
    assert_violates!(
        context.verify_previous(None, None),
        Rule::SpecModel,
        Culprit::Aggregator
    );
    // A result says where its round started, and an abort changes nothing.
    let Terminal::Result(result) = &first.end else {
        panic!("a result");
    };
    for direction in [None, Some(model)] {
        let mut other = result.peek().clone();
        other.direction = direction;
        let other = Terminal::Result(world.by_aggregator(&other));
        assert_violates!(
            world.context.verify_leaves(&other, Some(initial)),
            Rule::SpecModel,
            Culprit::Aggregator
        );
    }
    world
        .context
        .verify_leaves(&first.end, Some(initial))
        .unwrap();
    let abort = |direction| {
        Terminal::Aborted(world.by_aggregator(&Aborted {
            round: world.context.round(2),
            session: None,
            reason: AbortReason::TooFewSealingKeys,
            detail: String::new(),
            model,
            previous: Some(first.end.digest()),
            direction,
            draw: None,
        }))
    };
    let before = honest.open.spec().start();
    for (direction, stays) in [
        (before.direction, true),
        (None, false),
        (Some(model), false),
    ] {
        let end = abort(direction);
        assert_eq!(
            world.context.verify_leaves(&end, Some(before)).is_ok(),
            stays
        );
    }
}

/// A task without directions names none anywhere.
#[test]
fn nobody_names_a_direction_that_is_not_asked_for() {
    let mut world = World::new(4, 1);
    let seated = [1, 2, 3, 4];
    let (mut spec, _) = world.spec(1, None, world.initial_model(), &seated);
    spec.direction = Some(world.initial_model());
    let spec = world.by_aggregator(&spec);
    assert_violates!(
        world.context.verify_spec(&spec),
        Rule::SpecBinding,
        Culprit::Aggregator
    );
}

/// A task is refused when it is made, not in its rounds.
#[test]
fn tasks_whose_functional_says_nothing_or_could_wrap_are_refused() {
    let world = World::new(6, 1);
    let refused = |clip: u32, functional: Option<Functional>| {
        let mut task = world.task.peek().clone();
        task.quantiser.clip = clip;
        // Else the charge would be too large first.
        task.sigma_error = Sigma::from_f64_ceil(100.0).unwrap();
        task.policy.target_submissions = 2;
        task.policy.max_submissions = 2;
        task.options.functional = functional;
        task.check().err().map(|rule| rule.0)
    };
    let counts = Some(Functional::Counts);
    // So large a clip that a direction has entries of 0 and 1 only.
    let clip = 1 << 26;
    assert_eq!(refused(clip, None), None);
    let rule = "the row of a functional fits the field of the proofs and is not too short to say something";
    assert_eq!(refused(clip, Some(Functional::Direction)), Some(rule));
    assert_eq!(refused(1 << 13, Some(Functional::Direction)), None);
    // Noise of 100, ten times, on ten coordinates.
    let rule = "the clip bound leaves room for the noise and the rounding of a functional";
    assert_eq!(refused(3000, counts), Some(rule));
    assert_eq!(refused(5000, counts), None);
    // Rounding: eight times the root of the dimension.
    assert_eq!(refused(20, Some(Functional::Direction)), Some(rule));
}
