//! What a device believes: only what follows from the founding document that it pins.
#![allow(clippy::unwrap_used, missing_docs)]

#[path = "../../audits/tests/common/mod.rs"]
mod common;
mod fake;

use std::time::Duration;

use dawn_client::{BuildError, Client, ClientError, ServerError, Terms, TermsError};
use dawn_crypto::params::Sigma;
use dawn_identity::{
    Digest, FederationError, Organisation, SecretKey, Signed, SignedRoster, Validity,
};
use dawn_learn::{Aggregation, Model, RobustRule};
use dawn_protocol::digests::model_digest;
use dawn_protocol::{Endorsement, GroupRule, Rule};
use fake::{Scene, now, plan, shelf};

const WAIT: Duration = Duration::from_secs(1);

async fn join(scene: &Scene) -> ClientError {
    let dir = tempfile::tempdir().unwrap();
    let client = scene.client(dir.path());
    match client.join(scene.world.context.id()).await {
        Err(error) => error,
        Ok(_) => panic!("joined"),
    }
}

async fn next_round(scene: &Scene) -> ClientError {
    let dir = tempfile::tempdir().unwrap();
    let client = scene.client(dir.path());
    let mut participation = client.join(scene.world.context.id()).await.unwrap();
    match participation.next_round(WAIT).await {
        Err(error) => error,
        Ok(_) => panic!("the round was believed"),
    }
}

fn rule(error: &ClientError) -> Rule {
    match error {
        ClientError::Violation(violation) => violation.rule,
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn another_federation_than_the_pinned_one() {
    let scene = Scene::open(&plan()).await;
    let device = &scene.world.devices[0];
    let dir = tempfile::tempdir().unwrap();
    let build = |pin: Digest, key: SecretKey| {
        Client::builder()
            .server(&scene.url)
            .federation(scene.world.document().clone(), pin)
            .device(device.chain.clone(), key)
            .state_dir(dir.path())
            .build()
    };
    let key = || SecretKey::from_seed(&device.key.to_seed());
    assert!(matches!(
        build(Digest([1; 32]), key()),
        Err(ClientError::Federation(FederationError::NotPinned { .. }))
    ));
    let pin = scene.world.federation.digest();
    assert!(matches!(
        build(pin, SecretKey::from_seed(&[3; 32])),
        Err(ClientError::Build(BuildError::OtherKey(_)))
    ));
    assert!(build(pin, key()).is_ok());
    assert!(matches!(
        Client::builder().build(),
        Err(ClientError::Build(BuildError::Missing("server")))
    ));
}

#[tokio::test]
async fn another_task_than_asked_for_or_one_that_the_owner_did_not_sign() {
    let scene = Scene::open(&plan()).await;
    let mut body = scene.world.task.peek().clone();
    body.rounds += 1;
    let other = Signed::sign(&body, scene.world.organisations[0].issuer()).unwrap();
    scene.stage.lock().unwrap().task = other;
    assert!(matches!(
        join(&scene).await,
        ClientError::Server(ServerError::OtherTask { .. })
    ));

    let forged = Signed::sign(scene.world.task.peek(), &SecretKey::from_seed(&[1; 32])).unwrap();
    scene.stage.lock().unwrap().task = forged;
    assert_eq!(rule(&join(&scene).await), Rule::Signature);
}

#[tokio::test]
async fn a_roster_of_the_aggregators_own_stewards() {
    let scene = Scene::open(&plan()).await;
    let mut roster = scene.world.roster.peek().clone();
    roster.stewards[0].steward = SecretKey::from_seed(&[1; 32]).public();
    let orgs = &scene.world.organisations;
    // Signed by one organisation of four, where two founders and every steward's owner are needed.
    let signatures = vec![roster.sign(orgs[0].root())];
    let forged = SignedRoster::assemble(roster, signatures).unwrap();
    let posting = orgs[0].post_roster(&forged, now()).unwrap();
    scene.stage.lock().unwrap().register = vec![posting.bytes().to_vec()];
    let refused = join(&scene).await.to_string();
    assert!(refused.contains("has not signed it"), "{refused}");

    // Even when the task's owner is in league and names that roster: it is in no register.
    scene.stage.lock().unwrap().register = scene.world.register.clone();
    let mut task = scene.world.task.peek().clone();
    task.roster = forged.peek().digest();
    let task = Signed::sign(&task, orgs[0].issuer()).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let client = scene.client(dir.path());
    let id = task.peek().id();
    scene.stage.lock().unwrap().task = task;
    let refused = client.join(id).await.err().unwrap();
    assert_eq!(rule(&refused), Rule::TaskBinding);
}

#[tokio::test]
async fn a_roster_with_lowered_thresholds() {
    let scene = Scene::open(&plan()).await;
    let mut roster = scene.world.roster.peek().clone();
    roster.threshold = dawn_crypto::shamir::Threshold::new(4, 0).unwrap();
    let signatures = scene.world.roster.signatures().to_vec();
    let lowered = SignedRoster::assemble(roster, signatures).unwrap();
    let posting = scene.world.organisations[0].post_roster(&lowered, now());
    let mut task = scene.world.task.peek().clone();
    task.roster = lowered.peek().digest();
    let task = Signed::sign(&task, scene.world.organisations[0].issuer()).unwrap();
    let id = task.peek().id();
    {
        let mut stage = scene.stage.lock().unwrap();
        stage.register = vec![posting.unwrap().bytes().to_vec()];
        stage.task = task;
    }
    let dir = tempfile::tempdir().unwrap();
    let refused = scene.client(dir.path()).join(id).await.err().unwrap();
    assert!(
        refused.to_string().contains("has not signed the roster"),
        "{refused}"
    );
}

#[tokio::test]
async fn a_round_with_too_few_or_false_endorsements() {
    let scene = Scene::open(&plan()).await;
    let honest = scene.stage.lock().unwrap().announcement.clone().unwrap();
    let t = usize::from(scene.world.context.threshold().t());

    let mut few = honest.clone();
    few.endorsements.truncate(t - 1);
    scene.stage.lock().unwrap().announcement = Some(few.clone());
    assert_eq!(rule(&next_round(&scene).await), Rule::Endorsements);

    let mut twice = few.clone();
    twice.endorsements.push(few.endorsements[0].clone());
    scene.stage.lock().unwrap().announcement = Some(twice);
    assert_eq!(rule(&next_round(&scene).await), Rule::Endorsements);

    let mut forged = few;
    let statement: Endorsement = honest.endorsements[t - 1].peek().clone();
    forged
        .endorsements
        .push(Signed::sign(&statement, &scene.world.aggregator).unwrap());
    scene.stage.lock().unwrap().announcement = Some(forged);
    assert_eq!(rule(&next_round(&scene).await), Rule::Endorsements);
}

#[tokio::test]
async fn a_specification_that_the_aggregator_did_not_sign() {
    let scene = Scene::open(&plan()).await;
    {
        let mut stage = scene.stage.lock().unwrap();
        let shown = stage.announcement.as_mut().unwrap();
        shown.spec = Signed::sign(shown.spec.peek(), &SecretKey::from_seed(&[1; 32])).unwrap();
    }
    assert_eq!(rule(&next_round(&scene).await), Rule::Signature);
}

#[tokio::test]
async fn another_model() {
    let mut scene = Scene::open(&plan()).await;
    let honest = scene.world.context.initial_model().unwrap();
    let digest = model_digest(&honest.to_bytes()).to_string();
    let spec = honest.spec();
    let other = Model::from_weights(spec, vec![1, 2, 3, 4]).unwrap();

    // Other bytes under the right name.
    scene.stage.lock().unwrap().models = [(digest, other.to_bytes())].into();
    assert!(matches!(
        next_round(&scene).await,
        ClientError::Server(ServerError::OtherModel { .. })
    ));

    // Another first model in the specification itself, endorsed by everybody.
    let announced = scene.world.announce(1, None, &other, &[], now() * 1000);
    {
        let mut stage = scene.stage.lock().unwrap();
        stage.announcement = Some(announced.announcement);
        stage.models = shelf(&other);
    }
    assert_eq!(rule(&next_round(&scene).await), Rule::SpecModel);
}

#[tokio::test]
async fn tasks_beyond_the_terms_of_the_app() {
    let scene = Scene::open(&plan()).await;
    let task = scene.world.task.peek();
    let strict = [
        Terms {
            max_rounds: Some(task.rounds - 1),
            ..Terms::default()
        },
        Terms {
            max_clip: Some(task.quantiser.clip - 1),
            ..Terms::default()
        },
        Terms {
            max_clip_to_noise: Some(10),
            ..Terms::default()
        },
        Terms {
            min_sigma_error: Some(Sigma::new(Sigma::ERROR_MIN.get() + 1).unwrap()),
            ..Terms::default()
        },
        Terms {
            min_honest: Some(3),
            ..Terms::default()
        },
        Terms {
            min_organisations: Some(3),
            ..Terms::default()
        },
        Terms {
            max_budget_micro_rho: Some(u64::MAX),
            ..Terms::default()
        },
        Terms {
            data_source: Some("letters".into()),
            ..Terms::default()
        },
        Terms {
            owners: Some(vec![scene.world.organisations[1].id()]),
            ..Terms::default()
        },
    ];
    for terms in strict {
        let dir = tempfile::tempdir().unwrap();
        let client = scene
            .builder(0, dir.path())
            .terms(terms.clone())
            .build()
            .unwrap();
        let refused = client.join(scene.world.context.id()).await.err().unwrap();
        assert!(
            matches!(refused, ClientError::Terms(_)),
            "{terms:?}: {refused}"
        );
    }
    let generous = Terms {
        owners: Some(vec![task.owner]),
        data_source: Some(task.data_source.clone()),
        max_rounds: Some(task.rounds),
        max_clip: Some(task.quantiser.clip),
        max_clip_to_noise: Some(158),
        min_sigma_error: Some(Sigma::ERROR_MIN),
        min_honest: Some(2),
        min_organisations: Some(2),
        max_budget_micro_rho: None,
    };
    assert_eq!(generous.check(task), Ok(()));
    // What is opened of a task with groups is a group's sum, whatever its policy says of all accepted.
    let mut grouped = task.clone();
    grouped.policy.min_honest = 9;
    grouped.options.groups = Some(GroupRule {
        most: 3,
        size: 3,
        least: 3,
        honest: 2,
        dishonest: 0,
        rule: RobustRule {
            aggregation: Aggregation::Median,
            mixing: None,
        },
    });
    let limit = |terms: Terms| match terms.check(&grouped) {
        Err(TermsError::Limit { what, asked, .. }) => (what, asked),
        other => panic!("{other:?}"),
    };
    let honest = Terms {
        min_honest: Some(3),
        ..Terms::default()
    };
    assert_eq!(limit(honest), ("number of honest devices", 2));
    let organisations = Terms {
        min_organisations: Some(2),
        ..Terms::default()
    };
    assert_eq!(limit(organisations), ("number of organisations", 1));
    let mut noisier = generous;
    noisier.max_clip_to_noise = Some(157);
    assert!(matches!(
        noisier.check(task),
        Err(TermsError::Limit {
            limit: 157,
            asked: 158,
            ..
        })
    ));
}

#[tokio::test]
async fn a_device_of_an_organisation_that_is_not_a_member() {
    let mut scene = Scene::open(&plan()).await;
    let validity = Validity {
        from: now() - 10,
        until: now() + 1000,
    };
    let stranger = Organisation::generate("Stranger", validity, &mut scene.world.rng).unwrap();
    let key = SecretKey::generate(&mut scene.world.rng);
    let chain = stranger.issue_device(&key.public(), "d", validity).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let client = scene
        .builder(0, dir.path())
        .device(chain, key)
        .build()
        .unwrap();
    let refused = client.join(scene.world.context.id()).await.err().unwrap();
    assert!(matches!(refused, ClientError::NotAMember(org) if org == stranger.id()));
}

#[tokio::test]
async fn the_end_of_a_task_is_told_apart_from_waiting() {
    let scene = Scene::open(&plan()).await;
    scene.stage.lock().unwrap().announcement = None;
    assert!(matches!(next_round(&scene).await, ClientError::Ended(_)));
}
