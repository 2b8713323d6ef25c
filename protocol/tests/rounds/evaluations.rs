//! Devices evaluate the round's model, and what they find goes through the sum.

use dawn_identity::Statement;
use dawn_learn::{Delta, Evaluation, Quantiser};
use dawn_protocol::digests::model_digest;
use dawn_protocol::{
    Culprit, EvaluationRule, EvaluationSum, Functional, Rule, Task, TaskOptions, Terminal,
};
use proptest::prelude::*;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

use crate::assert_violates;
use crate::world::World;

const ALL: [u8; 6] = [1, 2, 3, 4, 5, 6];

const RULE: EvaluationRule = EvaluationRule {
    samples: 20,
    scale: 50,
    loss: 8 << 16,
};

fn evaluating(task: &mut Task) {
    task.options.evaluation = Some(RULE);
}

fn evaluation(correct: u64, total: u64, loss: u64) -> Evaluation {
    Evaluation {
        correct,
        total,
        loss: loss << 16,
    }
}

/// What six devices say: 90 of 110 samples that count are right.
fn said() -> [Evaluation; 6] {
    [
        evaluation(20, 20, 10),
        evaluation(10, 20, 40),
        evaluation(15, 15, 0),
        evaluation(9, 15, 30),
        evaluation(36, 40, 40),
        evaluation(18, 20, 20),
    ]
}

#[test]
fn what_devices_find_is_opened_beside_the_updates() {
    let mut world = World::with_task(6, 1, evaluating);
    let plain = World::new(6, 1);
    assert_eq!(world.context.dimension().coordinates(), 13);
    assert_eq!(
        world.context.charge_micro_rho(),
        plain.context.charge_micro_rho()
    );
    assert_eq!(world.context.norm_bound(), plain.context.norm_bound());
    let round = world.first_round();
    let delta = Delta::new(vec![1 << 20; 10]);
    let mut submissions = Vec::new();
    for (organisation, found) in said().iter().enumerate() {
        let x = world
            .task
            .peek()
            .vector(&delta, found, &mut world.rng)
            .unwrap();
        let device = world.device(organisation);
        submissions.push(world.submit(&round, &device, &x));
    }
    let closed = world.close(&round, submissions);
    let reports = world.reports(&round, &closed, &ALL);
    let (judged, _) = world.judge(&closed, &reports);
    let openings = world.openings(&round, &closed, &judged, &ALL);
    let sum = world.masked_sum(&closed, &judged);
    let opened = judged.open(&sum, &openings).unwrap();

    // Of the fifth only half counts: 18 of 20.
    let sum = opened.evaluation().unwrap();
    let exact = [90 * 50, 20 * 50, (10 + 40 + 30 + 20 + 20) * 50 / 8];
    for (sum, exact) in [sum.correct, sum.wrong, sum.loss].iter().zip(exact) {
        assert!((sum - exact).abs() < 12 * 16, "{sum} {exact}");
    }
    let shown = sum.shown(world.task.peek(), 6, 0).unwrap();
    let sigma = world.task.peek().sigma_error.to_f64() * 6f64.sqrt();
    assert!((shown.samples_deviation - sigma * 2f64.sqrt() / 50.0).abs() < 1e-9);
    let (accuracy, deviation) = (shown.accuracy.unwrap(), shown.accuracy_deviation.unwrap());
    assert!(deviation < 0.005 && (accuracy - 90.0 / 110.0).abs() < 8.0 * deviation);
    let (loss, deviation) = (shown.loss.unwrap(), shown.loss_deviation.unwrap());
    assert!(deviation < 0.05 && (loss - 120.0 / 110.0).abs() < 8.0 * deviation);
    assert!((shown.samples - 110.0).abs() < 8.0 * shown.samples_deviation);
    // Noise that drowns it is not shown as an accuracy.
    let nothing = EvaluationSum {
        correct: 20,
        wrong: 10,
        loss: 5,
    };
    let shown = nothing.shown(world.task.peek(), 6, 0).unwrap();
    assert_eq!((shown.accuracy, shown.loss), (None, None));

    // The model follows from the updates alone.
    let model = world.context.initial_model().unwrap();
    let next = opened.next_model(&model).unwrap();
    let shift = world.task.peek().quantiser.update_shift;
    let updates = &opened.sum()[..10];
    assert_eq!(next, opened.way().apply(&model, updates, 6, shift).unwrap());

    // The result says it, and nothing else.
    let digest = model_digest(&next.to_bytes());
    let result = opened.result(digest);
    assert_eq!(result.evaluation, Some(sum));
    opened
        .verify_result(&world.by_aggregator(&result), digest)
        .unwrap();
    for other in [
        None,
        Some(EvaluationSum {
            wrong: sum.wrong - 1,
            ..sum
        }),
    ] {
        let mut lie = result.clone();
        lie.evaluation = other;
        assert_violates!(
            opened.verify_result(&world.by_aggregator(&lie), digest),
            Rule::ResultSum,
            Culprit::Aggregator
        );
    }
    // And in the round after it there is a way on.
    let end = Terminal::Result(world.by_aggregator(&result));
    let second = world.round(2, Some(&end), digest, &ALL);
    second.open.verify_previous(Some(&end), None).unwrap();
}

#[test]
fn a_direction_takes_nothing_from_an_evaluation() {
    let mut world = World::with_task(6, 1, |task| {
        evaluating(task);
        task.options.functional = Some(Functional::Direction);
    });
    let first = world.first_round();
    let up = Delta::new(vec![1 << 20; 10]);
    let down = Delta::new(vec![-(1 << 20); 10]);
    let send = |world: &mut World, round: &crate::world::Round, delta: &Delta| {
        let mut submissions = Vec::new();
        for organisation in 0..2 {
            let found = evaluation(12, 20, 16);
            let x = world
                .task
                .peek()
                .vector(delta, &found, &mut world.rng)
                .unwrap();
            let device = world.device(organisation);
            submissions.push(world.submit(round, &device, &x));
        }
        let closed = world.close(round, submissions);
        let reports = world.reports(round, &closed, &ALL);
        let (judged, _) = world.judge(&closed, &reports);
        assert_eq!(judged.verdict().accepted_count(), 2);
        let openings = world.openings(round, &closed, &judged, &ALL);
        let sum = world.masked_sum(&closed, &judged);
        judged.open(&sum, &openings).unwrap()
    };
    let from = world.context.initial_model().unwrap();
    let opened = send(&mut world, &first, &up);
    let to = opened.next_model(&from).unwrap();
    let digest = model_digest(&to.to_bytes());
    let end = Terminal::Result(world.by_aggregator(&opened.result(digest)));
    let second = world.round(2, Some(&end), digest, &ALL);
    second
        .open
        .learn_models(&from.to_bytes(), &to.to_bytes())
        .unwrap();
    let row = second.open.functional_row().unwrap();
    assert_eq!((row.values().len(), &row.values()[10..]), (13, &[0; 3][..]));
    // Of the updates, which are against the direction, nothing is left; of the evaluations all.
    let opened = send(&mut world, &second, &down);
    let noise = |(sum, exact): (&i32, i32)| (sum - exact).abs() < 12 * 16;
    let exact = [2 * 12 * 50, 2 * 8 * 50, 2 * 16 * 50 / 8];
    assert!(
        opened.sum()[10..].iter().zip(exact).all(noise),
        "{:?}",
        opened.sum()
    );
    assert!(
        opened.sum()[..10].iter().all(|x| x.abs() < 12 * 16),
        "{:?}",
        opened.sum()
    );
}

#[test]
fn tasks_whose_evaluations_say_nothing_or_too_much_are_refused() {
    let world = World::with_task(6, 1, evaluating);
    let refused = |change: &dyn Fn(&mut Task)| {
        let mut task = world.task.peek().clone();
        change(&mut task);
        task.check().err().map(|broken| broken.0)
    };
    assert_eq!(refused(&|_| ()), None);
    type Change<'a> = &'a dyn Fn(&mut EvaluationRule);
    let rules: [Change<'_>; 4] = [
        &|rule| rule.samples = 0,
        &|rule| rule.scale = 0,
        &|rule| rule.loss = 0,
        &|rule| rule.samples = (1 << 20) + 1,
    ];
    for change in rules {
        let broken = refused(&|task| change(task.options.evaluation.as_mut().unwrap()));
        assert!(broken.unwrap().contains("counts 1 to 2^20 samples"));
    }
    // C = 8192: half of its square is left from sqrt(2) samples scale = 5792 on.
    let long = |scale| refused(&|task| task.options.evaluation.as_mut().unwrap().scale = scale);
    assert_eq!(long(204), None);
    assert!(long(205).unwrap().contains("two thirds"));
    let counts = refused(&|task| task.options.functional = Some(Functional::Counts));
    assert!(counts.unwrap().contains("counts"));
    // [null, null, null, null, [20, 50, 2^19]]
    let options = TaskOptions {
        evaluation: Some(RULE),
        ..TaskOptions::default()
    };
    let bytes = dawn_identity::to_canonical(&options);
    let expected = [
        0x85, 0xf6, 0xf6, 0xf6, 0xf6, 0x83, 20, 0x18, 50, 0x1a, 0, 8, 0, 0,
    ];
    assert_eq!(bytes, expected);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn the_whole_vector_is_within_the_clip_bound(
        delta in prop::collection::vec(any::<i32>(), 10),
        correct in 0u64..1000, wrong in 0u64..1000, loss: u64,
        seed: u64,
    ) {
        let mut task = World::new(6, 1).task.peek().clone();
        evaluating(&mut task);
        let found = Evaluation { correct, total: correct + wrong, loss };
        let x = task.vector(&Delta::new(delta), &found, &mut ChaCha20Rng::seed_from_u64(seed)).unwrap();
        let Quantiser { clip, .. } = task.quantiser;
        let squares: u128 = x.iter().map(|x| u128::from(x.unsigned_abs()).pow(2)).sum();
        prop_assert!(squares <= u128::from(clip).pow(2));
        prop_assert_eq!(&x[10..], RULE.coordinates(&found));
    }
}
