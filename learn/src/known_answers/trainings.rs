//! Whole trainings.

use super::Refusal;
use super::case::{Case, backends, same};
use super::models::{data, is_evaluation, spec, start};
use crate::fixed::{shift_right_rounded, to_master};
use crate::train::{Rounding, TrainSpec};
use crate::way::part::Part;
use crate::way::rank::{Rank, Ranks};
use crate::{Model, ModelSpec, RoundWay, Way, WayError};
use core::num::NonZeroU16;

fn rule(case: &mut Case) -> Result<TrainSpec, Refusal> {
    let dropout: Option<u16> = case.option("dropout");
    let rounding = match case.take("rounding") {
        serde_json::Value::Null => None,
        value => {
            assert_eq!(value, "stochastic");
            Some(Rounding::Stochastic)
        }
    };
    let spec = TrainSpec {
        epochs: case.number("epochs"),
        batch: case.number("batch"),
        learning_rate: case.number("learning_rate"),
        momentum: case.number("momentum"),
        dropout: dropout.map(|rate| NonZeroU16::new(rate).expect("a rate of zero is none")),
        rounding,
    };
    spec.check()
        .map_err(|error| Refusal::Training(error.to_string()))?;
    Ok(spec)
}

pub(super) fn settings(case: &mut Case) -> Result<(), Refusal> {
    rule(case).map(|_| ())
}

/// Everything is trained.
pub(super) fn train(case: &mut Case) -> Result<(), Refusal> {
    trained(case, |_, spec| RoundWay::new(spec, None, &[0; 32], 1))
}

/// Everything is trained, and drawn back.
pub(super) fn proximal(case: &mut Case) -> Result<(), Refusal> {
    trained(case, |case, spec| {
        let way = Way::Proximal {
            mu: case.number("mu"),
        };
        RoundWay::new(spec, Some(&way), &[0; 32], 1)
    })
}

/// Some layers by adapters, some not at all.
pub(super) fn low_rank(case: &mut Case) -> Result<(), Refusal> {
    trained(case, |case, spec| {
        let serde_json::Value::Array(ranks) = case.take("ranks") else {
            panic!("ranks are no list")
        };
        let rank = |rank: serde_json::Value| match rank.as_u64() {
            None => Rank::Full,
            Some(rank) => Rank::of(u16::try_from(rank).expect("a rank")),
        };
        let ranks = Ranks::new(ranks.into_iter().map(rank).collect());
        let way = Way::LowRank { ranks };
        RoundWay::new(
            spec,
            Some(&way),
            &case.seed("task_seed"),
            case.number("round"),
        )
    })
}

fn trained(
    case: &mut Case,
    way: fn(&mut Case, &ModelSpec) -> Result<RoundWay, WayError>,
) -> Result<(), Refusal> {
    let spec = spec(case)?;
    let (start, data, rule) = (start(case, spec), data(case, &spec), rule(case)?);
    let (seed, way) = (case.seed("seed"), way(case, &spec).expect("fits"));
    case.is_digest("initial", &start.to_bytes())?;
    let train = |backend| {
        let mut head = way.fresh_head(&start);
        let sent = way.train_with(backend, &start, &mut head, &data, &rule, seed);
        sent.expect("trains").values().to_vec()
    };
    let mut all = backends().into_iter().map(train);
    let sent = all.next().expect("the portable one");
    for other in all {
        same("what another backend trains", &other, &sent)?;
    }
    let after = effective(&start, &way, &sent);
    let pairs = after.weights().iter().zip(start.weights());
    let difference = pairs.map(|(&after, &before)| to_master(i64::from(after) - i64::from(before)));
    case.answer("difference", &difference.collect::<Vec<_>>())?;
    if case.has("sent") {
        case.answer("sent", &sent)?;
    }
    case.is_digest("trained", &after.to_bytes())?;
    is_evaluation(case, &after, &data)
}

/// The model that a device has at the end: with adapters `W + (B A)`, rounded as after every step.
fn effective(start: &Model, way: &RoundWay, mut sent: &[i32]) -> Model {
    let mut weights = start.weights().to_vec();
    let mut take = |count: usize| {
        let (these, others) = sent.split_at(count);
        sent = others;
        these
    };
    for (shape, part) in start.spec().layers().iter().zip(way.parts()) {
        let places = &mut weights[shape.weights()];
        match part {
            Part::Frozen => continue,
            Part::Adapter(adapter) => {
                let mut sums = vec![0; shape.inputs];
                for row in places.chunks_exact_mut(shape.inputs) {
                    adapter.expand(take(adapter.rank).iter().map(|&b| b.into()), &mut sums);
                    let moved = sums.iter().map(|&sum| {
                        let sum = i64::try_from(sum).expect("of a small rank");
                        shift_right_rounded(sum, adapter.shift)
                    });
                    add(row, moved);
                }
            }
            _ => {
                let changes = take(places.len());
                add(places, changes.iter().map(|&change| change.into()));
            }
        }
        let biases = &mut weights[shape.biases()];
        let changes = take(biases.len());
        add(biases, changes.iter().map(|&change| change.into()));
    }
    Model::from_weights(start.spec(), weights).expect("of the same shape")
}

fn add(weights: &mut [i32], changes: impl Iterator<Item = i64>) {
    for (weight, change) in weights.iter_mut().zip(changes) {
        *weight = to_master(i64::from(*weight) + change);
    }
}
