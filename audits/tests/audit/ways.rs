//! Rounds of tasks that learn otherwise than by averaging everything: the auditor needs nothing more, and finds a model that
//! another way, or another round's adapters, would give.

use dawn_audits::{AuditRule, Party};
use dawn_learn::{Model, ModelSpec, Way};
use dawn_protocol::digests::model_digest;
use dawn_protocol::{EvaluationRule, Functional, TaskOptions};

use crate::common::round::{PlayedRound, Script};
use crate::common::transcript::transcript;
use crate::common::{Plan, World};
use crate::lies::with_result;
use crate::{assert_broken, audit};

fn plan(way: &str, functional: Option<Functional>) -> Plan {
    let model: ModelSpec = "mlp:6-4-2".parse().unwrap();
    Plan {
        model,
        functional,
        options: TaskOptions {
            way: Way::parse(way, &model).unwrap(),
            ..TaskOptions::default()
        },
        ..Plan::default()
    }
}

/// The model that follows from what devices sent, by a way: noise is in the true one.
fn without_noise(world: &World, round: &PlayedRound, number: u32) -> Model {
    let way = world.task.peek().round_way(number).unwrap();
    let total = |at| -> i64 { round.updates.iter().map(|x| i64::from(x[at])).sum() };
    let sum: Vec<i64> = (0..way.dimension()).map(total).collect();
    let count = round.updates.len() as u64;
    way.apply(&round.model, &sum, count, 12).unwrap()
}

#[test]
fn rounds_of_every_way_pass_and_other_models_do_not() {
    for (seed, way, dimension) in [
        (71, "fedprox:0.5", 38),
        (72, "low-rank:2-full", 22),
        (73, "personal:1", 28),
    ] {
        let mut world = World::with(seed, &plan(way, None));
        let first = world.play(None, &Script::default());
        assert_eq!(first.updates[0].len(), dimension, "{way}");
        let report = audit(&world, &transcript(&world, &first));
        assert!(report.passed(), "{way}: {report}");
        let second = world.play(Some(&first), &Script::default());
        let report = audit(&world, &transcript(&world, &second));
        assert!(report.passed(), "{way}: {report}");
        assert_eq!(
            report.rounds[0].next_model,
            model_digest(&second.next_model.to_bytes())
        );
        if way.starts_with("personal") {
            let head = |model: &Model| model.weights()[dimension..].to_vec();
            assert_eq!(head(&first.model), head(&second.next_model));
        }
        // Of another round's adapters, or without the noise that is in the sum.
        for number in [1, 2] {
            let other = model_digest(&without_noise(&world, &second, number).to_bytes());
            let bytes = with_result(&world, &second, |result| result.model = other);
            assert_broken(&audit(&world, &bytes), AuditRule::Model, Party::Aggregator);
        }
    }
}

#[test]
fn what_devices_measured_is_recomputed() {
    let plan = plan("low-rank:2-full", None);
    let evaluation = Some(EvaluationRule {
        samples: 5,
        scale: 100,
        loss: EvaluationRule::LOSS,
    });
    let options = TaskOptions {
        evaluation,
        ..plan.options.clone()
    };
    let mut world = World::with(75, &Plan { options, ..plan });
    let round = world.play(None, &Script::default());
    assert_eq!(round.updates[0].len(), 25);
    let report = audit(&world, &transcript(&world, &round));
    assert!(report.passed(), "{report}");
    let audited = &report.rounds[0];
    let measured = audited.evaluation.unwrap();
    let total = |at: usize| round.updates.iter().map(|x| f64::from(x[at])).sum::<f64>();
    let exact = (total(22) + total(23)) / 100.0;
    assert!((measured.samples - exact).abs() < 8.0 * measured.samples_deviation);
    assert!(report.to_json().unwrap().contains("accuracy_deviation"));
    let bytes = with_result(&world, &round, |result| {
        result.evaluation.as_mut().unwrap().correct += 100;
    });
    assert_broken(&audit(&world, &bytes), AuditRule::Sum, Party::Aggregator);
    let bytes = with_result(&world, &round, |result| result.evaluation = None);
    assert_broken(&audit(&world, &bytes), AuditRule::Sum, Party::Aggregator);
}

#[test]
fn directions_of_low_rank_rounds_are_recomputed() {
    let plan = plan("low-rank:2-full", Some(Functional::Direction));
    let mut world = World::with(74, &Plan { clip: 4000, ..plan });
    let first = world.play(None, &Script::default());
    let second = world.play(Some(&first), &Script::default());
    let report = audit(&world, &transcript(&world, &second));
    assert!(report.passed(), "{report}");
}
