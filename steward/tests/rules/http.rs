//! A steward over HTTP, with its own loop, against a server that goes through one round.

use std::time::Duration;

use dawn_identity::SecretKey;
use dawn_protocol::{Endorsement, Opening, PackageReport, SealingKey, Terminal, WorkItem};
use dawn_steward::{Condition, RunError, Steward, StewardConfig};

use crate::explained::early;
use crate::server::{Script, Server};
use crate::world::{World, body};

fn config(world: &World, server: &Server) -> StewardConfig {
    StewardConfig {
        aggregator: server.url.clone(),
        data_dir: world.data_dir(),
        guard_dir: world.guard_dir(),
        federation: world.federation.digest(),
        key_file: "not read".into(),
        org: world.organisations[0].id(),
        budgets: world.budgets.clone(),
        restated_spending: Default::default(),
        poll_wait_seconds: 1,
    }
}

fn steward(world: &World, server: &Server) -> Steward {
    let key = SecretKey::from_seed(&world.stewards[0].to_seed());
    Steward::open_with_key(config(world, server), key).expect("steward")
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
    server.work(vec![WorkItem::Report {
        announcement: announcement.clone(),
        closed: closed.statement.clone(),
    }]);
    assert_eq!(steward(&world, &server).step_once().await.expect("step"), 1);
    let report = server.said("report");
    assert_eq!(body::<PackageReport>(&report).outcomes.len(), 8);

    let reports = world.reports(&round, &closed, &report, &[2, 3, 4, 5]);
    let verdict = world.verdict(&closed, &reports, 0);
    server.work(vec![WorkItem::Open {
        announcement,
        closed: closed.statement.clone(),
        reports: reports.clone(),
        verdict: verdict.clone(),
    }]);
    let last = steward(&world, &server);
    assert_eq!(last.condition(), Condition::Intact);
    assert_eq!(last.step_once().await.expect("step"), 1);
    let opening = server.said("opening");
    assert_eq!(body::<Opening>(&opening).verdict, verdict.body_digest());
    assert_eq!(last.step_once().await.expect("step"), 1);
    assert_eq!(server.said("opening"), opening, "the same again");
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
    let key = SecretKey::from_seed(&world.stewards[0].to_seed());
    let wrong = Steward::open_with_key(wrong, key).expect("opens");
    let ended = wrong.run(std::future::pending()).await;
    assert!(matches!(ended, Err(RunError::Federation(_))), "{ended:?}");
    drop(wrong);

    let mut away = config(&world, &server);
    away.aggregator = "http://127.0.0.1:1".to_owned();
    let key = SecretKey::from_seed(&world.stewards[0].to_seed());
    let away = Steward::open_with_key(away, key).expect("opens");
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
    let set = |mode| {
        let mode = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(&config.key_file, mode).expect("chmod");
    };
    for mode in [0o644, 0o640, 0o604, 0o620] {
        set(mode);
        let refused = Steward::open(config.clone()).expect_err("exposed");
        assert!(matches!(refused, RunError::KeyFile { .. }), "{refused}");
        let advice = format!("chmod 600 {}", config.key_file.display());
        assert!(refused.to_string().contains(&advice), "{refused}");
    }
    set(0o600);
    Steward::open(config.clone()).expect("private");
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
