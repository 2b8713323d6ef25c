//! Tasks that everybody refuses to read.

use dawn_crypto::params::Sigma;
use dawn_identity::{BrokenRule, Signed, Statement};
use dawn_learn::ModelSpec;
use dawn_protocol::{Digest, StewardNoise, Task};

use crate::world::World;

#[test]
fn every_rule_on_tasks_is_enforced() {
    let world = World::new(6, 1);
    let task = world.task.peek();
    let refused = |change: &dyn Fn(&mut Task)| -> Option<BrokenRule> {
        let mut changed = task.clone();
        change(&mut changed);
        let signed = Signed::sign(&changed, world.organisations[0].issuer());
        assert_eq!(signed.is_ok(), changed.check().is_ok());
        changed.check().err()
    };
    assert_eq!(refused(&|_| {}), None);
    type Change<'a> = &'a dyn Fn(&mut Task);
    let broken: [(&str, Change<'_>); 31] = [
        ("version", &|t| t.version = 2),
        ("no name", &|t| t.name.clear()),
        ("control characters", &|t| t.name = "a\u{1b}[2J".to_owned()),
        ("no source", &|t| t.data_source.clear()),
        ("long source", &|t| t.data_source = "x".repeat(65)),
        ("another owner", &|t| t.owner.0 = Digest([1; 32])),
        ("no inputs", &|t| {
            t.model = ModelSpec::Logistic {
                inputs: 0,
                classes: 2,
            };
        }),
        ("model too large", &|t| {
            t.model = ModelSpec::Mlp {
                inputs: 65_536,
                hidden: [65_536].into(),
                classes: 10,
            };
        }),
        ("no epochs", &|t| t.train.epochs = 0),
        ("no clip", &|t| t.quantiser.clip = 0),
        ("error below the minimum", &|t| {
            t.sigma_error = Sigma::new(Sigma::ERROR_MIN.get() - 1).unwrap();
        }),
        ("no rounds", &|t| t.rounds = 0),
        ("too many rounds", &|t| t.rounds = 100_001),
        ("one honest", &|t| t.policy.min_honest = 1),
        ("honest beyond accepted", &|t| t.policy.min_honest = 3),
        ("accepted beyond target", &|t| t.policy.min_accepted = 101),
        ("target beyond most", &|t| t.policy.target_submissions = 101),
        ("too many submissions", &|t| {
            t.policy.max_submissions = 50_001
        }),
        ("no organisations", &|t| t.policy.min_organisations = 0),
        ("more organisations than devices", &|t| {
            t.policy.min_organisations = 3
        }),
        ("no share", &|t| t.policy.max_org_share_permille = 0),
        ("more than all", &|t| t.policy.max_org_share_permille = 1001),
        ("no time", &|t| t.deadlines.collecting_ms = 0),
        ("too much time", &|t| t.deadlines.grace_ms = u32::MAX),
        ("no delta", &|t| t.privacy.delta_exponent = 0),
        ("no time for the beacon", &|t| {
            t.deadlines.challenging_ms = 0
        }),
        ("no projections", &|t| t.projections = 0),
        ("another number of projections", &|t| t.projections = 192),
        // No projection of it would fit the field of the proofs.
        ("clip beyond the proofs", &|t| {
            t.quantiser.clip = 1 << 29;
            t.policy.max_submissions = 2;
            t.policy.target_submissions = 2;
        }),
        // 100 * 3.5 * 11 * 10^6 > q / 4.
        ("sums wrap by the clip", &|t| t.quantiser.clip = 11_000_000),
        // 100 * 3.5 * sqrt(4096) * 10^6 > q / 4.
        ("sums wrap by the noise", &|t| {
            t.sigma_error = Sigma::from_f64_ceil(1e6).unwrap();
        }),
    ];
    for (name, change) in broken {
        assert!(refused(change).is_some(), "{name}");
    }
}

#[test]
fn the_largest_sum_that_cannot_wrap_is_allowed() {
    let world = World::new(6, 1);
    let mut task = world.task.peek().clone();
    // What is proven of every device, times the devices, stays below q / 4.
    let fits = |task: &mut Task, clip: u32| {
        task.quantiser.clip = clip;
        100 * task.norm_params().unwrap().max_norm() < 4_293_918_721 / 4
    };
    let (mut largest, mut wraps) = (1, 11_000_000);
    while wraps - largest > 1 {
        let middle = (largest + wraps) / 2;
        if fits(&mut task, middle) {
            largest = middle;
        } else {
            wraps = middle;
        }
    }
    assert!((2_500_000..3_500_000).contains(&largest), "{largest}");
    task.quantiser.clip = largest;
    task.check().unwrap();
    task.quantiser.clip = wraps;
    assert!(task.check().is_err());
}

#[test]
fn a_ledger_that_could_overflow_is_refused() {
    let world = World::new(6, 1);
    let mut task = world.task.peek().clone();
    task.policy.max_submissions = 2;
    task.policy.target_submissions = 2;
    task.quantiser.clip = 1 << 24;
    task.rounds = 1;
    task.check().unwrap();
    task.rounds = 100_000;
    assert!(task.check().is_err());
}

#[test]
fn tasks_that_ask_for_the_wrong_noise_are_refused() {
    let world = World::with_task(6, 1, |task| {
        task.options.noise = Some(StewardNoise {
            sigma: Sigma::ERROR_MIN,
            candidates: 4,
        });
    });
    let broken = |change: &dyn Fn(&mut StewardNoise)| {
        let mut task = world.task.peek().clone();
        change(task.options.noise.as_mut().unwrap());
        task.check().is_err()
    };
    assert!(!broken(&|_| ()));
    for candidates in [0, 1, 3, 6, 65, 128] {
        assert!(
            broken(&|noise| noise.candidates = candidates),
            "{candidates}"
        );
    }
    for candidates in [2, 4, 8, 16, 32, 64] {
        assert!(
            !broken(&|noise| noise.candidates = candidates),
            "{candidates}"
        );
    }
    assert!(broken(
        &|noise| noise.sigma = Sigma::new(Sigma::ERROR_MIN.get() - 1).unwrap()
    ));
    assert!(broken(&|noise| noise.sigma = Sigma::MAX));
    // The noise of 16 stewards has its place in the sum.
    let wide = world.task.peek().clone();
    let fits = |deviation: f64| {
        let mut task = wide.clone();
        let noise = task.options.noise.as_mut().unwrap();
        noise.sigma = Sigma::from_f64_ceil(deviation).unwrap();
        task.check().is_ok()
    };
    assert!(fits(200_000.0) && !fits(400_000.0));
    let mut crowded = world.task.peek().clone();
    crowded.policy.max_submissions = 49_990;
    assert!(crowded.check().is_err());
}
