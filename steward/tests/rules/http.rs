//! A steward over HTTP, with its own loop, against a server that goes through one round.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use dawn_crypto::vrf::VrfSecretKey;
use dawn_identity::SecretKey;
use dawn_protocol::answers::answers_digest;
use dawn_protocol::{
    BeaconShare, Endorsement, Opening, PackageReport, SealingKey, Terminal, WorkItem,
};
use dawn_steward::{Condition, RunError, Steward, StewardConfig, vrf_key};
use tracing::field::Field;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use crate::explained::early;
use crate::reporting::signed;
use crate::server::{Script, Server};
use crate::world::{World, body};

fn config(world: &World, server: &Server) -> StewardConfig {
    StewardConfig {
        aggregator: server.url.clone(),
        data_dir: world.data_dir(),
        guard_dir: world.guard_dir(),
        federation: world.federation.digest(),
        key_file: "not read".into(),
        vrf_key_file: "not read".into(),
        org: world.organisations[0].id(),
        budgets: world.budgets.clone(),
        restated_spending: Default::default(),
        poll_wait_seconds: 1,
    }
}

pub fn steward(world: &World, server: &Server) -> Steward {
    open(world, config(world, server)).expect("steward")
}

fn open(world: &World, config: StewardConfig) -> Result<Steward, RunError> {
    let key = SecretKey::from_seed(&world.stewards[0].to_seed());
    let vrf = VrfSecretKey::from_seed(&world.vrfs[0].to_seed());
    Steward::open_with_keys(config, key, vrf)
}

/// Everything that the server can have asked, asked twice with a restart in between: one answer each, the same bytes.
#[tokio::test]
async fn a_round_over_http_with_a_restart_before_every_answer() {
    let mut world = World::new();
    let server = Server::start(Script::of(&world)).await;

    let round = world.id(1);
    server.work(vec![WorkItem::PublishSealingKey { round }]);
    assert_eq!(steward(&world, &server).step_once().await.expect("step"), 1);
    let key = server.said("sealing-key");
    assert_eq!(body::<SealingKey>(&key).round, round);
    assert_eq!(steward(&world, &server).step_once().await.expect("step"), 1);
    assert_eq!(server.said("sealing-key"), key, "the same after a restart");

    let model = world.initial_model();
    let round = world.round_with(&key, 1, None, model);
    server.work(vec![WorkItem::Endorse {
        spec: round.spec.clone(),
    }]);
    assert_eq!(steward(&world, &server).step_once().await.expect("step"), 1);
    assert_eq!(
        body::<Endorsement>(&server.said("endorsement")).session,
        round.spec.peek().session()
    );

    let announcement = world.announce(&round, &[2, 3, 4, 5]);
    let submissions = world.submissions(&announcement, &[0, 0, 0, 0, 0, 1, 2, 3]);
    let closed = world.close(&announcement, submissions);
    server.pages(&closed, 3);
    server.work(vec![WorkItem::ShareBeacon {
        announcement: announcement.clone(),
        closed: closed.statement.clone(),
    }]);
    assert_eq!(steward(&world, &server).step_once().await.expect("step"), 1);
    let share = server.said("beacon-share");
    assert_eq!(
        body::<BeaconShare>(&share).root,
        closed.closed.closed().root
    );
    assert_eq!(steward(&world, &server).step_once().await.expect("step"), 1);
    assert_eq!(
        server.said("beacon-share"),
        share,
        "the same after a restart"
    );

    server.work(vec![WorkItem::Report {
        announcement: announcement.clone(),
        closed: closed.statement.clone(),
        challenge: closed.challenge.clone(),
    }]);
    assert_eq!(steward(&world, &server).step_once().await.expect("step"), 1);
    let (report, answers) = (server.said("report"), server.said("answers"));
    assert_eq!(body::<PackageReport>(&report).outcomes.len(), 8);
    let digest = answers_digest(&answers);
    assert_eq!(body::<PackageReport>(&report).answers, digest);
    server.forget();
    assert_eq!(steward(&world, &server).step_once().await.expect("step"), 1);
    assert_eq!(server.said("report"), report, "the same after a restart");
    assert_eq!(server.said("answers"), answers, "the same after a restart");

    world.own_answers.insert(digest, answers);
    let reports = world.reports(&round, &closed, &report, &[2, 3, 4, 5]);
    let verdict = world.verdict(&closed, &reports, 0);
    server.work(vec![WorkItem::Open {
        announcement,
        closed: closed.statement.clone(),
        challenge: closed.challenge.clone(),
        reports: signed(&reports),
        verdict: verdict.clone(),
    }]);
    let shown = world.shown(&closed, &reports);
    // Nothing is opened before everything is shown, as it should be.
    let mut lie = shown.clone();
    lie.answers.remove(&reports[2].peek().answers);
    server.show(&lie);
    assert_not_shown(&steward(&world, &server), "answers").await;
    let mut lie = shown.clone();
    lie.payloads.clear();
    server.show(&lie);
    assert_not_shown(&steward(&world, &server), "payload").await;
    let mut lie = shown.clone();
    let payload = &closed.submissions[0].header.peek().payload;
    lie.payloads.get_mut(payload).expect("payload")[0] ^= 1;
    server.show(&lie);
    assert_eq!(steward(&world, &server).step_once().await.expect("step"), 0);
    assert_eq!(server.try_said("opening"), None);
    server.show(&shown);
    let last = steward(&world, &server);
    assert_eq!(last.condition(), Condition::Intact);
    assert_eq!(last.step_once().await.expect("step"), 1);
    let opening = server.said("opening");
    assert_eq!(body::<Opening>(&opening).verdict, verdict.body_digest());
    assert_eq!(last.step_once().await.expect("step"), 1);
    assert_eq!(server.said("opening"), opening, "the same again");
}

/// That the steward says, once, that the server does not deliver this.
async fn assert_not_shown(steward: &Steward, missing: &str) {
    let warnings = Warnings::default();
    let counting = tracing::subscriber::set_default(warnings.clone());
    for _ in 0..2 {
        assert_eq!(steward.step_once().await.expect("step"), 0);
    }
    drop(counting);
    assert_eq!(warnings.0.lock().expect("lock").len(), 1, "once a round");
    assert!(warnings.0.lock().expect("lock")[0].contains(missing));
}

/// What is logged as a warning.
#[derive(Clone, Default)]
struct Warnings(Arc<Mutex<Vec<String>>>);

impl Subscriber for Warnings {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= Level::WARN && metadata.target().starts_with("dawn_steward")
    }
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, event: &Event<'_>) {
        let mut text = String::new();
        event.record(&mut |field: &Field, value: &dyn std::fmt::Debug| {
            text.push_str(&format!("{field}={value:?} "));
        });
        self.0.lock().expect("lock").push(text);
    }
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

/// A steward that was away follows the aborts in the log back to the first round, and endorses no model that they do
/// not explain.
#[tokio::test]
async fn the_log_explains_the_model_after_aborts_or_there_is_no_endorsement() {
    let mut world = World::new();
    let server = Server::start(Script::of(&world)).await;
    server.work(vec![WorkItem::PublishSealingKey { round: world.id(3) }]);
    assert_eq!(steward(&world, &server).step_once().await.expect("step"), 1);
    let key = server.said("sealing-key");

    let chosen = dawn_protocol::Digest([0x66; 32]);
    let initial = world.initial_model();
    for (first, second, complete) in [
        (chosen, chosen, true),
        (initial, chosen, true),
        (initial, initial, false),
        (initial, initial, true),
    ] {
        let first = early(&world, 1, None, first);
        let end = Terminal::Aborted(first.clone());
        let model = second;
        let second = early(&world, 2, Some(&end), model);
        let end = Terminal::Aborted(second.clone());
        let log = if complete {
            vec![first.bytes().to_vec()]
        } else {
            Vec::new()
        };
        server.round(1, log);
        server.round(2, vec![second.bytes().to_vec()]);
        let round = world.round_with(&key, 3, Some(&end), model);
        server.work(vec![WorkItem::Endorse {
            spec: round.spec.clone(),
        }]);
        let honest = complete && first.peek().model == initial && model == initial;
        let answered = steward(&world, &server).step_once().await.expect("step");
        assert_eq!(answered, usize::from(honest));
        assert_eq!(server.try_said("endorsement").is_some(), honest);
    }
}

/// What is refused is not published, and other work of the same poll still is done.
#[tokio::test]
async fn a_refusal_does_not_stop_other_work() {
    let world = World::new();
    let server = Server::start(Script::of(&world)).await;
    let refused = WorkItem::PublishSealingKey {
        round: world.id(41),
    };
    let unknown = WorkItem::PublishSealingKey {
        round: dawn_protocol::RoundId {
            task: dawn_protocol::TaskId(dawn_protocol::Digest([1; 32])),
            number: 1,
        },
    };
    let good = WorkItem::PublishSealingKey { round: world.id(1) };
    server.work(vec![refused, unknown, good]);
    let steward = steward(&world, &server);
    assert_eq!(steward.step_once().await.expect("step"), 1);
    assert_eq!(
        body::<SealingKey>(&server.said("sealing-key")).round,
        world.id(1)
    );
}

/// A statement of its own key that it does not remember is in the server's log: the round is refused.
#[tokio::test]
async fn a_new_memory_reads_the_log_first() {
    let world = World::new();
    let server = Server::start(Script::of(&world)).await;
    server.work(vec![WorkItem::PublishSealingKey { round: world.id(1) }]);
    assert_eq!(steward(&world, &server).step_once().await.expect("step"), 1);
    let key = server.said("sealing-key");
    std::fs::remove_dir_all(world.data_dir()).expect("lost");
    std::fs::remove_dir_all(world.guard_dir()).expect("lost");
    server.log(vec![key]);
    server.forget();
    let steward = steward(&world, &server);
    assert_eq!(steward.condition(), Condition::Fresh);
    assert_eq!(steward.step_once().await.expect("step"), 0);
    assert!(server.try_said("sealing-key").is_none());
    let other = world.id(2);
    server.work(vec![WorkItem::PublishSealingKey { round: other }]);
    assert_eq!(steward.step_once().await.expect("step"), 1);
}

#[tokio::test]
async fn another_federation_is_fatal_and_a_missing_server_is_not() {
    let world = World::new();
    let server = Server::start(Script::of(&world)).await;
    let mut wrong = config(&world, &server);
    wrong.federation = dawn_protocol::Digest([9; 32]);
    let wrong = open(&world, wrong).expect("opens");
    let ended = wrong.run(std::future::pending()).await;
    assert!(matches!(ended, Err(RunError::Federation(_))), "{ended:?}");
    drop(wrong);

    let mut away = config(&world, &server);
    away.aggregator = "http://127.0.0.1:1".to_owned();
    let away = open(&world, away).expect("opens");
    away.run(tokio::time::sleep(Duration::from_millis(300)))
        .await
        .expect("waits until asked to stop");
}

#[cfg(unix)]
#[tokio::test]
async fn a_key_file_that_others_may_read_is_refused() {
    use std::os::unix::fs::PermissionsExt as _;
    let world = World::new();
    let server = Server::start(Script::of(&world)).await;
    let dir = tempfile::tempdir().expect("a directory");
    let mut config = config(&world, &server);
    config.key_file = dir.path().join("steward.pem");
    let pem = world.stewards[0].to_pkcs8_pem();
    std::fs::write(&config.key_file, pem.as_bytes()).expect("written");
    config.vrf_key_file = dir.path().join("vrf.key");
    vrf_key::create(&config.vrf_key_file, &world.vrfs[0]).expect("written");
    let set = |file: &std::path::Path, mode| {
        let mode = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(file, mode).expect("chmod");
    };
    set(&config.key_file, 0o600);
    for file in [&config.key_file, &config.vrf_key_file] {
        for mode in [0o644, 0o640, 0o604, 0o620] {
            set(file, mode);
            let refused = Steward::open(config.clone()).expect_err("exposed");
            assert!(matches!(refused, RunError::KeyFile(_)), "{refused}");
            let advice = format!("chmod 600 {}", file.display());
            assert!(refused.to_string().contains(&advice), "{refused}");
        }
        set(file, 0o600);
    }
    Steward::open(config.clone()).expect("private");
    // One seed for both keys.
    let same = VrfSecretKey::from_seed(&world.stewards[0].to_seed());
    std::fs::remove_file(&config.vrf_key_file).expect("removed");
    vrf_key::create(&config.vrf_key_file, &same).expect("written");
    let refused = Steward::open(config.clone()).expect_err("one seed");
    assert!(matches!(refused, RunError::OneSeed(_)), "{refused}");
}

/// The loop does work as it comes, and stops in the middle of a long-poll.
#[tokio::test]
async fn the_loop_works_until_it_is_asked_to_stop() {
    let world = World::new();
    let server = Server::start(Script::of(&world)).await;
    let steward = steward(&world, &server);
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let running = async {
        steward
            .run(async {
                let _ = stopped.await;
            })
            .await
    };
    let script = async {
        server.work(vec![WorkItem::PublishSealingKey { round: world.id(1) }]);
        while server.try_said("sealing-key").is_none() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        server.work(Vec::new());
        stop.send(()).expect("running");
    };
    let (ended, ()) = tokio::join!(running, script);
    ended.expect("stopped in peace");
}
