//! Auditing a service over HTTP: the same rules, and the aggregator answers for what it serves.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use dawn_audits::{AuditRule, Options, Party, verify_service};
use dawn_identity::to_canonical;
use dawn_protocol::LogEntry;

use crate::common::World;
use crate::common::round::Script;
use crate::common::transcript::transcript;
use crate::logs::{entries, head};
use crate::{assert_broken, rounds};

struct Served {
    founding: Vec<u8>,
    task: Vec<u8>,
    id: String,
    transcripts: Vec<Vec<u8>>,
    head: Vec<u8>,
    entries: Vec<Vec<u8>>,
}

#[derive(serde::Deserialize)]
struct Page {
    from: usize,
    limit: usize,
}

async fn serve(served: Served) -> String {
    let router = Router::new()
        .route(
            "/v1/federation",
            get(|State(s): State<Arc<Served>>| async move { s.founding.clone() }),
        )
        .route(
            "/v1/tasks",
            get(
                |State(s): State<Arc<Served>>| async move { format!(r#"[{{"task":"{}"}}]"#, s.id) },
            ),
        )
        .route(
            "/v1/tasks/{task}",
            get(|State(s): State<Arc<Served>>| async move { s.task.clone() }),
        )
        .route("/v1/tasks/{task}/rounds/{round}/transcript", get(round))
        .route(
            "/v1/log/head",
            get(|State(s): State<Arc<Served>>| async move { s.head.clone() }),
        )
        .route("/v1/log/entries", get(page))
        .with_state(Arc::new(served));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    url
}

async fn round(
    State(served): State<Arc<Served>>,
    Path((_, number)): Path<(String, usize)>,
) -> Response {
    match served.transcripts.get(number - 1) {
        Some(bytes) => bytes.clone().into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn page(State(served): State<Arc<Served>>, Query(page): Query<Page>) -> Vec<u8> {
    // Fewer than asked for: the caller must go on asking.
    let limit = page.limit.min(7);
    let listed: Vec<LogEntry> = served.entries[page.from..]
        .iter()
        .take(limit)
        .zip(page.from as u64..)
        .map(|(envelope, index)| LogEntry {
            index,
            envelope: envelope.clone(),
        })
        .collect();
    to_canonical(&listed)
}

fn served(world: &mut World) -> Served {
    let played = rounds(world, &[Script::default(), Script::default()]);
    let mut log = entries(world, &played[0]);
    log.extend(entries(world, &played[1]).split_off(3));
    Served {
        founding: Vec::new(),
        task: world.task.bytes().to_vec(),
        id: world.context.id().to_string(),
        transcripts: played
            .iter()
            .map(|round| transcript(world, round))
            .collect(),
        head: head(&log, &world.log).bytes().to_vec(),
        entries: log,
    }
}

#[tokio::test]
async fn a_running_service_passes_and_its_files_stay() {
    let mut world = World::new(61);
    let url = serve(served(&mut world)).await;
    let dir = tempfile::tempdir().unwrap();
    let options = Options {
        federation: Some(world.federation.digest()),
    };
    let report = verify_service(&url, &[], dir.path(), &options)
        .await
        .unwrap();
    assert!(report.passed(), "{report}");
    assert_eq!(report.rounds.len(), 2);
    assert!(report.log.is_some());
    assert_eq!(
        report.unchecked.len(),
        1,
        "the third round is not over: {report}"
    );
    let again = dawn_audits::verify_path(dir.path(), &options).unwrap();
    assert_eq!(again.rounds, report.rounds);
}

#[tokio::test]
async fn an_aggregator_answers_for_what_it_serves() {
    let mut world = World::new(62);
    let mut served = served(&mut world);
    let middle = served.transcripts[1].len() / 2;
    served.transcripts[1][middle] ^= 1;
    let url = serve(served).await;
    let dir = tempfile::tempdir().unwrap();
    let options = Options::default();
    let tasks = [world.context.id()];
    let report = verify_service(&url, &tasks, dir.path(), &options)
        .await
        .unwrap();
    assert_broken(&report, AuditRule::Container, Party::Aggregator);
    assert_eq!(report.rounds.len(), 1);
}

/// The log says that a round is over; the service does not show it.
#[tokio::test]
async fn a_round_that_is_over_cannot_be_withheld() {
    for shown in [0, 1] {
        let mut world = World::new(63);
        let mut served = served(&mut world);
        served.transcripts.truncate(shown);
        served.founding = world.federation.document().to_bytes();
        let url = serve(served).await;
        let dir = tempfile::tempdir().unwrap();
        let options = Options::default();
        let report = verify_service(&url, &[], dir.path(), &options)
            .await
            .unwrap();
        assert_broken(&report, AuditRule::Log, Party::Aggregator);
        assert_eq!(report.rounds.len(), shown);
    }
}
