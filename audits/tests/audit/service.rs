//! Auditing a service over HTTP: the same rules, and the aggregator answers for what it serves.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use dawn_audits::{
    Answer, AuditError, AuditRule, AuditStatement, Mode, Options, Party, verify_service,
};
use dawn_identity::to_canonical;
use dawn_protocol::LogEntry;

use crate::common::World;
use crate::common::round::Script;
use crate::common::transcript::{detached, transcript};
use crate::logs::{entries, head};
use crate::{assert_broken, rounds};

struct Served {
    founding: Vec<u8>,
    task: Vec<u8>,
    id: String,
    transcripts: Vec<Vec<u8>>,
    knows_detached: bool,
    /// A round whose transcript is always being written.
    failing: Option<usize>,
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

#[derive(serde::Deserialize)]
struct Contents {
    payloads: Option<bool>,
}

async fn round(
    State(served): State<Arc<Served>>,
    Path((_, number)): Path<(String, usize)>,
    Query(contents): Query<Contents>,
) -> Response {
    if served.failing == Some(number) {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    match served.transcripts.get(number - 1) {
        Some(bytes) if served.knows_detached && contents.payloads == Some(false) => {
            detached(bytes).0.into_response()
        }
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
        knows_detached: true,
        failing: None,
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
        ..Options::default()
    };
    let report = verify_service(&url, &[], dir.path(), &options)
        .await
        .unwrap();
    assert!(report.passed(), "{report}");
    assert_eq!(report.rounds.len(), 2);
    assert!(report.log.is_some());
    assert_eq!(
        report.unchecked.len(),
        2,
        "the third round is not over, and no steward has cosigned the log: {report}"
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

/// A light audit downloads no payloads, from a service that knows how to leave them out.
#[tokio::test]
async fn a_light_audit_downloads_no_payloads() {
    let options = Options {
        mode: Mode::Light,
        ..Options::default()
    };
    let mut sizes = vec![];
    for knows_detached in [true, false] {
        let mut world = World::new(67);
        let mut served = served(&mut world);
        served.knows_detached = knows_detached;
        let url = serve(served).await;
        let dir = tempfile::tempdir().unwrap();
        let report = verify_service(&url, &[], dir.path(), &options)
            .await
            .unwrap();
        assert!(report.passed(), "{report}");
        assert_eq!(report.rounds.len(), 2);
        let detached = report.rounds.iter().map(|round| round.details.detached);
        assert_eq!(detached.collect::<Vec<_>>(), [knows_detached; 2]);
        sizes.push(kept(dir.path()));
    }
    // Two rounds of four payloads of 16 KiB.
    assert!(sizes[0] + 2 * 4 * (16 << 10) < sizes[1], "{sizes:?}");
}

/// Whoever is asked for everything and leaves the payloads out does not get away with it.
#[tokio::test]
async fn a_service_that_leaves_payloads_out_fails_a_full_audit() {
    let mut world = World::new(68);
    let mut served = served(&mut world);
    served.transcripts[1] = detached(&served.transcripts[1]).0;
    let url = serve(served).await;
    let dir = tempfile::tempdir().unwrap();
    let report = verify_service(&url, &[], dir.path(), &Options::default())
        .await
        .unwrap();
    assert_broken(&report, AuditRule::Payloads, Party::Aggregator);
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

/// It may be that a transcript is still being written, or that it never will be: neither is a broken rule, and neither passes.
#[tokio::test]
async fn a_round_that_is_never_given_is_no_pass() {
    for (failing, audited) in [(1, 0), (2, 1)] {
        let mut world = World::new(69);
        let mut served = served(&mut world);
        served.failing = Some(failing);
        served.founding = world.federation.document().to_bytes();
        let url = serve(served).await;
        let dir = tempfile::tempdir().unwrap();
        let report = verify_service(&url, &[], dir.path(), &Options::default())
            .await
            .unwrap();
        assert_eq!(report.answer, Answer::Incomplete);
        assert!(report.finding.is_none() && !report.passed(), "{report}");
        assert_eq!(report.rounds.len(), audited);
        let said = report.to_string();
        assert!(
            said.contains("not checked: round") && said.contains("503"),
            "{said}"
        );
        assert!(!said.contains("PASS") && !dawn_audits::page::page(&report).contains("PASS"));
        assert!(AuditStatement::of(&report, 9).is_none(), "nothing to sign");
    }
}

/// Bytes of all files in a folder.
fn kept(dir: &std::path::Path) -> u64 {
    let files = std::fs::read_dir(dir).unwrap();
    files
        .map(|file| file.unwrap().metadata().unwrap().len())
        .sum()
}

#[tokio::test]
async fn a_transcript_that_does_not_end_is_cut_off() {
    let mut world = World::new(64);
    let mut served = served(&mut world);
    let most = dawn_protocol::transcript::max_bytes(world.task.peek());
    served.transcripts[1].resize(usize::try_from(most).unwrap() + 1, 0);
    let log: usize = served.entries.iter().map(|entry| entry.len() + 4).sum();
    let good = (served.transcripts[0].len() + log) as u64;
    let url = serve(served).await;
    let dir = tempfile::tempdir().unwrap();
    let report = verify_service(&url, &[], dir.path(), &Options::default())
        .await
        .unwrap();
    assert_broken(&report, AuditRule::Container, Party::Aggregator);
    assert_eq!(report.rounds.len(), 1);
    assert!(kept(dir.path()) < good + 4096);
}

#[tokio::test]
async fn a_service_cannot_fill_the_disk() {
    let mut world = World::new(65);
    let whole = {
        let served = served(&mut world);
        let transcripts: usize = served.transcripts.iter().map(Vec::len).sum();
        let log: usize = served.entries.iter().map(|entry| entry.len() + 4).sum();
        (transcripts as u64, transcripts as u64 + log as u64)
    };
    // In the middle of a transcript, at the log's first byte, at its last.
    for allowed in [100, whole.0 / 2, whole.0 - 1, whole.0 + 10, whole.1 + 4095] {
        let mut world = World::new(65);
        let url = serve(served(&mut world)).await;
        let dir = tempfile::tempdir().unwrap();
        let options = Options {
            max_bytes: Some(allowed),
            ..Options::default()
        };
        let audited = verify_service(&url, &[], dir.path(), &options).await;
        assert!(matches!(audited, Err(AuditError::TooMuch(most)) if most == allowed));
        assert!(kept(dir.path()) <= allowed, "{allowed}");
    }
    let mut world = World::new(65);
    let url = serve(served(&mut world)).await;
    let dir = tempfile::tempdir().unwrap();
    let options = Options {
        max_bytes: Some(whole.1 + 4096),
        ..Options::default()
    };
    let report = verify_service(&url, &[], dir.path(), &options).await;
    assert!(report.unwrap().passed());
}
