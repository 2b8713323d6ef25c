//! Plans of tasks that ask for more than a sum.

use dawn_crypto::params::Sigma;
use dawn_learn::{Aggregation, Dataset, ModelSpec, PublicSet, RobustRule, TrainSpec, Way};
use dawn_protocol::{
    EvaluationRule, Functional, GroupRule, Policy, Selection, StewardNoise, TaskOptions,
};

use super::Plan;

/// Noise, directions, selection and evaluation.
pub fn options() -> Plan {
    Plan {
        devices: 4,
        clip: 1000,
        functional: Some(Functional::Direction),
        noise: Some(StewardNoise {
            sigma: Sigma::from_f64_ceil(20.0).unwrap(),
            candidates: 2,
        }),
        options: TaskOptions {
            selection: Some(Selection { rate: u32::MAX }),
            evaluation: Some(EvaluationRule {
                samples: 5,
                scale: 100,
                loss: EvaluationRule::LOSS,
            }),
            quota: Some(9),
            ..TaskOptions::default()
        },
        ..Plan::default()
    }
}

/// The rule of three groups of two devices.
pub fn group_rule() -> GroupRule {
    GroupRule {
        most: 3,
        size: 2,
        least: 2,
        honest: 2,
        dishonest: 0,
        rule: RobustRule {
            aggregation: Aggregation::TrimmedMean { cut: 1 },
            mixing: Some(2),
        },
    }
}

/// Sums over groups.
pub fn grouped() -> Plan {
    let plan = Plan::default();
    Plan {
        devices: 7,
        policy: Policy {
            min_accepted: 6,
            min_honest: 6,
            max_org_share_permille: 1000,
            ..plan.policy
        },
        options: TaskOptions {
            groups: Some(group_rule()),
            ..TaskOptions::default()
        },
        ..plan
    }
}

/// The model of [`distilled`].
pub const STUDENT: ModelSpec = ModelSpec::Logistic {
    inputs: 2,
    classes: 2,
};

/// A public set of five inputs.
pub fn public_set(shift: i16) -> PublicSet {
    let features = (0..10).map(|f| 20 * f - 90 + shift).collect();
    PublicSet::new(&Dataset::new(features, 2, 6, vec![0; 5]).unwrap()).unwrap()
}

/// A student that learns from a public set.
pub fn distilled() -> Plan {
    let student = TrainSpec {
        epochs: 3,
        batch: 2,
        learning_rate: 1 << 13,
        momentum: 0,
        dropout: None,
        rounding: None,
    };
    let set = public_set(0);
    Plan {
        model: STUDENT,
        options: TaskOptions {
            way: Some(Way::distillation(&STUDENT, &set, student).unwrap()),
            ..TaskOptions::default()
        },
        public_set: Some(set),
        ..Plan::default()
    }
}

/// Groups, and a student that learns from a public set.
pub fn groups() -> Plan {
    let (plan, distilled) = (grouped(), distilled());
    Plan {
        devices: 6,
        model: distilled.model,
        options: TaskOptions {
            way: distilled.options.way,
            ..plan.options
        },
        public_set: distilled.public_set,
        ..plan
    }
}
