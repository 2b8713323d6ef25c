//! Rounds of tasks that learn otherwise than by averaging everything.

use dawn_identity::Statement;
use dawn_learn::way::rank::{Rank, Ranks};
use dawn_learn::{Dataset, Model, ModelSpec, PublicSet, TrainSpec, Way};
use dawn_protocol::digests::model_digest;
use dawn_protocol::prepare::{PrepareError, PreparedSubmission};
use dawn_protocol::{Functional, GroupRule, Opened, Task, TaskOptions, Terminal};

use crate::world::World;

const ALL: [u8; 6] = [1, 2, 3, 4, 5, 6];

fn spec() -> ModelSpec {
    "mlp:6-5-3".parse().unwrap()
}

/// The data of a device: what a sample is follows from its place.
fn data(device: usize) -> Dataset {
    let features: Vec<i16> = (0..6 * 24)
        .map(|at: usize| i16::try_from((at * (7 + device) + device) % 61).unwrap() - 30)
        .collect();
    let labels = features.chunks(6).map(|sample| {
        u8::try_from((i32::from(sample[0]) + i32::from(sample[3]) + 60) / 41).unwrap()
    });
    Dataset::new(features.clone(), 6, 5, labels.collect()).unwrap()
}

fn learning(way: Option<&str>) -> impl FnOnce(&mut Task) {
    let way = way.and_then(|way| Way::parse(way, &spec()).unwrap());
    move |task| {
        task.model = spec();
        task.options.way = way;
        task.quantiser.clip = 1 << 16;
        task.train.learning_rate = 1 << 12;
    }
}

/// A round in which six devices train as the task says, and what it opened.
fn trained(
    world: &mut World,
    number: u32,
    end: Option<&Terminal>,
    model: &Model,
) -> (Opened, Vec<i64>) {
    let round = world.round(number, end, model_digest(&model.to_bytes()), &ALL);
    if let Some([_, _]) = round.open.wanted_models() {
        let before = world.context.initial_model().unwrap();
        let (from, to) = (before.to_bytes(), model.to_bytes());
        round.open.learn_models(&from, &to).unwrap();
    }
    let way = round.open.way();
    let dimension = world.context.dimension().coordinates();
    assert_eq!(way.dimension(), dimension);
    let (quantiser, train) = (world.task.peek().quantiser, world.task.peek().train);
    let mut true_sum = vec![0i64; dimension];
    let mut submissions = Vec::new();
    for index in 0..6 {
        let mut head = way.fresh_head(model);
        let delta = way
            .train(model, &mut head, &data(index), &train, [9; 32])
            .unwrap();
        let update = quantiser.quantise(&delta, &mut world.rng).unwrap();
        assert_eq!(update.len(), dimension);
        for (sum, &x) in true_sum.iter_mut().zip(&update) {
            *sum += i64::from(x);
        }
        let device = world.device(index);
        submissions.push(world.submit(&round, &device, &update));
    }
    let closed = world.close(&round, submissions);
    let reports = world.reports(&round, &closed, &ALL);
    let (judged, _) = world.judge(&closed, &reports);
    let openings = world.openings(&round, &closed, &judged, &ALL);
    let sum = world.masked_sum(&closed, &judged);
    (judged.open(&sum, &openings).unwrap(), true_sum)
}

#[test]
fn every_way_goes_through_two_rounds() {
    let parameters = spec().parameters();
    for (way, dimension) in [
        ("fedavg", parameters),
        ("fedprox:0.25", parameters),
        ("low-rank:2-full", 2 * 5 + 5 + 18),
        ("low-rank:0-2", 2 * 3 + 3),
        ("personal:1", 35),
    ] {
        let mut world = World::with_task(6, 1, learning(Some(way)));
        assert_eq!(world.context.dimension().coordinates(), dimension, "{way}");
        let mut model = world.context.initial_model().unwrap();
        let mut end = None;
        for number in 1..=2 {
            let (opened, exact) = trained(&mut world, number, end.as_ref(), &model);
            let noise = |(sum, exact): (&i32, &i64)| (i64::from(*sum) - exact).abs();
            assert!(opened.sum().iter().zip(&exact).map(noise).max() < Some(12 * 16));
            let next = opened.next_model(&model).unwrap();
            let shift = world.task.peek().quantiser.update_shift;
            let round = world.task.peek().round_way(number).unwrap();
            assert_eq!(next, round.apply(&model, opened.sum(), 6, shift).unwrap());
            let digest = model_digest(&next.to_bytes());
            let result = world.by_aggregator(&opened.result(digest));
            opened.verify_result(&result, digest).unwrap();
            if way.starts_with("low-rank") {
                // Another round's adapters make another model.
                let other = world.task.peek().round_way(number + 1).unwrap();
                assert_ne!(next, other.apply(&model, opened.sum(), 6, shift).unwrap());
            }
            if way.starts_with("personal") {
                assert_eq!(next.weights()[dimension..], model.weights()[dimension..]);
            }
            assert_ne!(next, model);
            (model, end) = (next, Some(Terminal::Result(result)));
        }
    }
}

#[test]
fn a_direction_is_seen_in_the_coordinates_of_its_round() {
    for way in ["fedprox:0.25", "low-rank:2-full", "personal:1"] {
        let mut world = World::with_task(6, 1, |task| {
            learning(Some(way))(task);
            task.options.functional = Some(Functional::Direction);
        });
        let first = world.context.initial_model().unwrap();
        let (opened, _) = trained(&mut world, 1, None, &first);
        let second = opened.next_model(&first).unwrap();
        let result = world.by_aggregator(&opened.result(model_digest(&second.to_bytes())));
        let end = Terminal::Result(result);
        let (opened, _) = trained(&mut world, 2, Some(&end), &second);
        let row = opened.functional_row().unwrap();
        let limit = opened.norm_params().functional().unwrap().limit();
        let expected = opened.way().direction(&first, &second, limit).unwrap();
        assert_eq!(row.values(), expected);
        assert_eq!(row.values().len(), world.context.dimension().coordinates());
        assert!(row.values().iter().any(|g| *g != 0));
        // Nobody was against it by more than noise: what is sent loses what is.
        let along = row.values().iter().zip(opened.sum());
        let along: i64 = along.map(|(g, x)| i64::from(*g) * i64::from(*x)).sum();
        let norm: f64 = row.values().iter().map(|g| f64::from(*g).powi(2)).sum();
        assert!(along as f64 > -10.0 * 16.0 * norm.sqrt(), "{way}: {along}");
    }
}

#[test]
fn a_robust_rule_is_over_what_is_sent() {
    let mut world = World::with_task(6, 1, |task| {
        learning(Some("low-rank:2-full"))(task);
        task.policy.min_accepted = 6;
        task.policy.min_honest = 6;
        task.options.groups = Some(GroupRule {
            most: 3,
            size: 2,
            least: 2,
            honest: 2,
            dishonest: 0,
            rule: dawn_learn::RobustRule {
                aggregation: dawn_learn::Aggregation::Median,
                mixing: None,
            },
        });
    });
    let model = world.context.initial_model().unwrap();
    let round = world.first_round();
    let d = round.open.way().dimension();
    assert_eq!(d, 33);
    let submissions = world.submissions(&round, &[0, 1, 2, 3, 4, 5]);
    let closed = world.close(&round, submissions);
    let reports = world.reports(&round, &closed, &ALL);
    let (judged, _) = world.judge(&closed, &reports);
    let sums = ALL.map(|point| world.group_sums(&round, &closed, &judged, point));
    let openings = ALL.map(|point| {
        let sums = &sums[usize::from(point) - 1];
        world.group_opening(&judged, point, sums)
    });
    let masked = world.masked_sums(&closed, &judged);
    let opened = judged.open_groups(&masked, &openings, &sums).unwrap();
    assert_eq!(opened.sums().len(), 3);
    assert!(opened.sums().iter().all(|sum| sum.len() == d));
    let next = opened.next_model(&model).unwrap();
    let members = opened.judged().members().unwrap();
    let groups = opened.sums().iter().zip(members);
    let groups: Vec<_> = groups
        .map(|(sum, members)| dawn_learn::GroupSum { sum, members })
        .collect();
    let rule = world.task.peek().options.groups.unwrap().rule;
    let mean = rule.estimate(&groups).unwrap();
    let shift = world.task.peek().quantiser.update_shift;
    let expected = round
        .open
        .way()
        .apply(&model, &mean.numerators, mean.denominator, shift);
    assert_eq!(next, expected.unwrap());
}

#[test]
fn an_update_of_another_length_is_refused() {
    let mut world = World::with_task(6, 1, learning(Some("personal:1")));
    let round = world.first_round();
    let device = world.device(0);
    let d = world.context.dimension().coordinates();
    for length in [0, d - 1, d + 1, spec().parameters()] {
        let refused = PreparedSubmission::new(
            &round.open,
            &device.credential,
            &device.key,
            &vec![1; length],
            &mut world.rng,
        );
        assert!(matches!(refused, Err(PrepareError::Mask(_))), "{length}");
    }
}

#[test]
fn ways_that_do_not_fit_are_refused() {
    let world = World::with_task(6, 1, learning(None));
    let refused = |way: Way, change: &dyn Fn(&mut Task)| {
        let mut task = world.task.peek().clone();
        task.options.way = Some(way);
        change(&mut task);
        task.check().err().map(|broken| broken.0)
    };
    let ranks = |ranks: &[u16]| Way::LowRank {
        ranks: Ranks::new(ranks.iter().map(|rank| Rank::of(*rank)).collect()),
    };
    let nothing = |_: &mut Task| ();
    for fits in [
        Way::Proximal { mu: 1 << 14 },
        ranks(&[5, 4]),
        ranks(&[0, 1]),
        Way::Personal { head: 1 },
    ] {
        assert_eq!(refused(fits.clone(), &nothing), None, "{fits}");
        let counts = |task: &mut Task| {
            task.options.functional = Some(Functional::Counts);
            task.quantiser.clip = 1 << 13;
        };
        assert!(refused(fits, &counts).unwrap().contains("counts"));
    }
    for (way, what) in [
        (Way::Proximal { mu: 0 }, "above 0"),
        (Way::Proximal { mu: (16 << 16) + 1 }, "at most 16"),
        (ranks(&[6, 1]), "below the inputs"),
        (ranks(&[1, 5]), "below the inputs"),
        (ranks(&[0, 0]), "trains something"),
        (ranks(&[1]), "one rank for each layer"),
        (ranks(&[1, 1, 1]), "one rank for each layer"),
        (
            Way::LowRank {
                ranks: Ranks::new(vec![Rank::Full; 2]),
            },
            "trains something",
        ),
        (Way::Personal { head: 0 }, "at least one layer"),
        (Way::Personal { head: 2 }, "at least one to be shared"),
        (Way::Personal { head: 255 }, "at least one to be shared"),
    ] {
        let broken = refused(way.clone(), &nothing).unwrap();
        assert!(broken.contains(what), "{way}: {broken}");
    }
    let fast = |task: &mut Task| task.train.learning_rate = 1 << 16;
    let broken = refused(Way::Proximal { mu: 2 << 16 }, &fast).unwrap();
    assert!(broken.contains("at most 1"), "{broken}");
}

/// `[null, null, null, way]`; and nothing where nothing is asked for.
#[test]
fn a_way_takes_a_place_of_its_own() {
    for (way, bytes) in [
        ("fedprox:0.5", &[0x82, 0, 0x19, 0x80, 0][..]),
        ("low-rank:2-full", &[0x82, 1, 0x82, 2, 0xf6]),
        ("personal:1", &[0x82, 2, 1]),
    ] {
        let options = TaskOptions {
            way: Way::parse(way, &spec()).unwrap(),
            ..TaskOptions::default()
        };
        let expected = [&[0x84, 0xf6, 0xf6, 0xf6][..], bytes].concat();
        assert_eq!(dawn_identity::to_canonical(&options), expected);
        let read: TaskOptions = dawn_identity::from_canonical_bounded(&expected, 100).unwrap();
        assert_eq!(read, options);
    }
    let plain = World::with_task(6, 1, learning(Some("fedavg")));
    let bytes = dawn_identity::to_canonical(plain.task.peek());
    assert_eq!(bytes[0], 0x92, "18 items");
}

fn student() -> TrainSpec {
    TrainSpec {
        epochs: 4,
        batch: 4,
        learning_rate: 1 << 12,
        momentum: 0,
        dropout: None,
        rounding: None,
    }
}

fn distilling() -> (PublicSet, impl FnOnce(&mut Task)) {
    let set = PublicSet::new(&data(40)).unwrap();
    let way = Way::distillation(&spec(), &set, student()).unwrap();
    let change = move |task: &mut Task| {
        learning(None)(task);
        task.options.way = Some(way);
    };
    (set, change)
}

#[test]
fn a_distillation_goes_through_two_rounds() {
    let (set, change) = distilling();
    let mut world = World::with_task(6, 1, change);
    assert_eq!(world.context.dimension().coordinates(), 24 * 3);
    let bytes = set.to_bytes();
    let digest = dawn_crypto::digest::Digest(set.digest());
    assert_eq!(
        world.context.wanted_public_set(),
        Some((digest, bytes.len()))
    );
    assert!(world.context.learn_public_set(&bytes[1..]).is_err());
    let other = PublicSet::new(&data(41)).unwrap().to_bytes();
    assert!(world.context.learn_public_set(&other).is_err());
    assert!(world.context.public_set().is_none());
    world.context.learn_public_set(&bytes).unwrap();
    let mut model = world.context.initial_model().unwrap();
    let mut end = None;
    for number in 1..=2 {
        let (opened, exact) = trained(&mut world, number, end.as_ref(), &model);
        let noise = |(sum, exact): (&i32, &i64)| (i64::from(*sum) - exact).abs();
        assert!(opened.sum().iter().zip(&exact).map(noise).max() < Some(12 * 16));
        let next = opened.next_model(&model).unwrap();
        assert_ne!(next, model);
        let digest = model_digest(&next.to_bytes());
        let result = world.by_aggregator(&opened.result(digest));
        opened.verify_result(&result, digest).unwrap();
        (model, end) = (next, Some(Terminal::Result(result)));
    }
}

#[test]
fn a_distillation_has_no_direction_and_others_have_no_public_set() {
    let (set, change) = distilling();
    let world = World::with_task(6, 1, change);
    let mut task = world.task.peek().clone();
    task.check().unwrap();
    task.options.functional = Some(Functional::Direction);
    assert!(task.check().is_err());
    let plain = World::with_task(6, 1, learning(None));
    assert_eq!(plain.context.wanted_public_set(), None);
    assert!(plain.context.learn_public_set(&set.to_bytes()).is_err());
}
