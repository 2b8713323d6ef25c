//! A device that was shown how far the register goes is shown no less of it afterwards, also when it was restarted.
#![allow(clippy::unwrap_used, missing_docs)]

#[path = "../../audits/tests/common/mod.rs"]
mod common;
mod fake;

use std::path::Path;
use std::time::Duration;

use dawn_client::{ClientError, ServerError};
use dawn_identity::{
    Organisation, Register, RegisterHead, SecretKey, ServerRole, Signed, Validity,
};
use dawn_protocol::{AbortReason, Aborted, Endorsement, RoundAnnouncement, Rule, Terminal};
use fake::{Scene, now, plan};

const WAIT: Duration = Duration::from_secs(1);

/// The registration of another organisation, and the register's head after it.
fn registered(scene: &mut Scene, name: &str) -> (Vec<u8>, RegisterHead) {
    let validity = Validity::starting(now() - 100, 10_000);
    let stranger = Organisation::generate(name, validity, &mut scene.world.rng).unwrap();
    let registration = stranger.register(&scene.world.federation.digest(), now());
    let entry = registration.unwrap().bytes().to_vec();
    let mut register = Register::new(&scene.world.federation);
    for known in &scene.world.register {
        register.push(known).unwrap();
    }
    register.push(&entry).unwrap();
    (entry, register.head())
}

/// Round 2, after one that was aborted, as of this place, with everybody's endorsement.
fn as_of(scene: &mut Scene, register: RegisterHead) -> RoundAnnouncement {
    let world = &mut scene.world;
    let model = world.context.initial_model().unwrap();
    let aborted = Aborted {
        round: world.context.round(1),
        session: None,
        reason: AbortReason::TooFewSealingKeys,
        detail: String::new(),
        model: world.context.initial_model_digest().unwrap(),
        previous: None,
        direction: None,
        draw: None,
    };
    let aborted = Terminal::Aborted(Signed::sign(&aborted, &world.aggregator).unwrap());
    let announced = world.announce(2, Some(&aborted), &model, &[], now() * 1000);
    let mut spec = announced.announcement.spec.peek().clone();
    spec.register = register;
    let endorsements = announced.secrets.iter().map(|(point, _)| {
        let statement = Endorsement {
            round: spec.round,
            session: spec.session(),
            steward: world.steward_id(*point),
        };
        Signed::sign(&statement, world.steward_key(*point)).unwrap()
    });
    RoundAnnouncement {
        endorsements: endorsements.collect(),
        spec: Signed::sign(&spec, &world.aggregator).unwrap(),
    }
}

/// What a device with this state is shown when it begins anew.
async fn shown(scene: &Scene, state: &Path) -> Result<bool, ClientError> {
    let client = scene.client(state);
    let mut participation = client.join(scene.world.context.id()).await.unwrap();
    let round = participation.next_round(WAIT).await?;
    Ok(round.is_some())
}

#[tokio::test]
async fn a_round_that_names_less_of_the_register_than_one_before() {
    let mut scene = Scene::open(&plan()).await;
    let short = scene.world.context.verified_with().head();
    let (entry, long) = registered(&mut scene, "Stranger");
    let (other_entry, other) = registered(&mut scene, "Another");
    scene.stage.lock().unwrap().register.push(entry.clone());
    let later = as_of(&mut scene, long);
    let earlier = as_of(&mut scene, short);
    let state = tempfile::tempdir().unwrap();

    scene.stage.lock().unwrap().announcement = Some(later.clone());
    assert!(shown(&scene, state.path()).await.unwrap());
    scene.stage.lock().unwrap().announcement = Some(earlier.clone());
    match shown(&scene, state.path()).await {
        Err(ClientError::Server(ServerError::OldRegister {
            round,
            named,
            known,
        })) => assert_eq!(
            (round.number, named, known),
            (2, short.entries, long.entries)
        ),
        other => panic!("{other:?}"),
    }
    // A device that has not seen more has no reason to.
    let fresh = tempfile::tempdir().unwrap();
    assert!(shown(&scene, fresh.path()).await.unwrap());
    // As much of another register.
    let another = as_of(&mut scene, other);
    {
        let mut stage = scene.stage.lock().unwrap();
        *stage.register.last_mut().unwrap() = other_entry;
        stage.announcement = Some(another);
    }
    match shown(&scene, state.path()).await {
        Err(ClientError::Server(ServerError::OtherRegister(head))) => assert_eq!(head, long),
        other => panic!("{other:?}"),
    }
    {
        let mut stage = scene.stage.lock().unwrap();
        *stage.register.last_mut().unwrap() = entry;
        stage.announcement = Some(later);
    }
    assert!(shown(&scene, state.path()).await.unwrap());
}

/// The aggregator's key is replaced: a device that has read the change takes part in no round under the old key.
#[tokio::test]
async fn a_round_whose_key_was_replaced() {
    let mut scene = Scene::open(&plan()).await;
    let short = scene.world.context.verified_with().head();
    let old = SecretKey::from_seed(&scene.world.aggregator.to_seed());
    let by_old_before = as_of(&mut scene, short);
    let new = SecretKey::from_seed(&[70; 32]);
    let event = scene.world.replace_server_key(ServerRole::Aggregator, &new);
    let long = scene.world.members().head();
    let by_new = as_of(&mut scene, long);
    let by_new_before = as_of(&mut scene, short);
    scene.world.aggregator = old;
    let by_old = as_of(&mut scene, long);
    let show = |announcement: &RoundAnnouncement| {
        scene.stage.lock().unwrap().announcement = Some(announcement.clone());
    };
    // Who was not shown the change cannot know.
    let hidden = tempfile::tempdir().unwrap();
    show(&by_old_before);
    assert!(shown(&scene, hidden.path()).await.unwrap());
    scene.stage.lock().unwrap().register.push(event);
    let state = tempfile::tempdir().unwrap();
    match shown(&scene, state.path()).await {
        Err(ClientError::Server(ServerError::KeyReplaced(round))) => assert_eq!(round.number, 2),
        other => panic!("{other:?}"),
    }
    // Before the change the new key is nobody's.
    for (wrong, rule) in [(&by_old, Rule::Register), (&by_new_before, Rule::Signature)] {
        show(wrong);
        match shown(&scene, state.path()).await {
            Err(ClientError::Violation(violation)) => {
                assert_eq!(violation.rule, rule, "{violation}");
            }
            other => panic!("{other:?}"),
        }
    }
    show(&by_new);
    assert!(shown(&scene, state.path()).await.unwrap());
    assert!(shown(&scene, hidden.path()).await.unwrap());
    // It has taken part under the new key: it does not go back, whatever it is shown.
    scene.stage.lock().unwrap().register.pop();
    show(&by_old_before);
    assert!(shown(&scene, state.path()).await.is_err());
    assert!(shown(&scene, hidden.path()).await.is_err());
}
