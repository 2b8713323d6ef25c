//! A server that says what the test tells it to.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::routing::{get, put};
use dawn_crypto::merkle;
use dawn_identity::{Digest, SecretKey, to_canonical};
use dawn_protocol::tlog::note::parse_signatures;
use dawn_protocol::tlog::{AddCheckpoint, Checkpoint, SignedNote, TlogProof, origin};
use dawn_protocol::work::work_to_bytes;
use dawn_protocol::{LogEntry, PackagePage, RoundId, WorkItem};
use minicbor::bytes::ByteVec;

use crate::reporting::Shown;
use crate::world::{ClosedRound, World};

#[derive(Default)]
pub struct Script {
    federation: Vec<u8>,
    register: Vec<Vec<u8>>,
    task: (String, Vec<u8>),
    work: Vec<WorkItem>,
    pages: Vec<PackagePage>,
    log: Vec<Vec<u8>>,
    /// The log of statements that work is about: entries of any round, its leaves, and the key that signs it.
    logged: Logged,
    rounds: BTreeMap<u32, Vec<Vec<u8>>>,
    said: BTreeMap<String, Vec<u8>>,
    /// Scalars, payloads and answers, by the rest of their path.
    shown: BTreeMap<String, Vec<u8>>,
}

#[derive(Default)]
struct Logged {
    origin: String,
    key: Option<SecretKey>,
    entries: Vec<(RoundId, Vec<u8>)>,
    cosignatures: usize,
}

impl Logged {
    fn add(&mut self, round: RoundId, envelope: &[u8]) {
        if self.entries.iter().all(|(_, entry)| entry != envelope) {
            self.entries.push((round, envelope.to_vec()));
        }
    }

    fn leaves(&self) -> Vec<Digest> {
        let entries = self.entries.iter();
        entries.map(|(_, entry)| merkle::leaf_hash(entry)).collect()
    }

    fn checkpoint(&self) -> SignedNote {
        let checkpoint = Checkpoint {
            origin: self.origin.clone(),
            size: self.entries.len() as u64,
            root: merkle::root(&self.leaves()),
        };
        checkpoint.sign(self.key.as_ref().expect("a key"))
    }
}

impl Script {
    pub fn of(world: &World) -> Self {
        Self {
            logged: Logged {
                origin: origin(&world.federation.digest()),
                key: Some(SecretKey::from_seed(&world.log.to_seed())),
                ..Logged::default()
            },
            federation: world.federation.document().to_bytes(),
            register: world.entries.clone(),
            task: (world.context.id().to_string(), world.task.bytes().to_vec()),
            ..Self::default()
        }
    }
}

type Shared = Arc<Mutex<Script>>;

pub struct Server {
    pub url: String,
    script: Shared,
}

impl Server {
    pub async fn start(script: Script) -> Self {
        let script: Shared = Arc::new(Mutex::new(script));
        let routes = Router::new()
            .route(
                "/v1/federation",
                get(|State(s): State<Shared>| async move { lock(&s).federation.clone() }),
            )
            .route("/v1/register", get(register))
            .route("/v1/tasks/{task}", get(task))
            .route("/v1/log/entries", get(log))
            .route("/v1/log/witness", get(to_cosign).post(cosigned))
            .route("/v1/log/proof/{index}", get(proof))
            .route("/v1/stewards/{steward}/work", get(work))
            .route(
                "/v1/tasks/{task}/rounds/{round}/packages/{steward}",
                get(packages),
            )
            .route(
                "/v1/tasks/{task}/rounds/{round}/statements",
                get(statements),
            )
            .route(
                "/v1/tasks/{task}/rounds/{round}/statements/{kind}",
                put(statement),
            )
            .route(
                "/v1/tasks/{task}/rounds/{round}/reports/{steward}",
                put(report),
            )
            .route("/v1/tasks/{task}/rounds/{round}/scalars", get(scalars))
            .route(
                "/v1/tasks/{task}/rounds/{round}/{kind}/{digest}",
                get(object),
            )
            .with_state(script.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("bind");
        let url = format!("http://{}", listener.local_addr().expect("address"));
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Self { url, script }
    }

    pub fn work(&self, work: Vec<WorkItem>) {
        let mut script = lock(&self.script);
        for item in &work {
            for statement in statements_of(item) {
                script.logged.add(item.round(), statement);
            }
        }
        script.work = work;
    }

    /// What the log does not have.
    pub fn work_that_is_not_logged(&self, work: Vec<WorkItem>) {
        lock(&self.script).work = work;
    }

    /// Cosignatures that have arrived.
    pub fn cosignatures(&self) -> usize {
        lock(&self.script).logged.cosignatures
    }

    /// Pages of this size from wherever the steward may ask.
    pub fn pages(&self, closed: &ClosedRound, size: usize) {
        let all = 0..u32::try_from(closed.submissions.len()).expect("few");
        lock(&self.script).pages = all.map(|first| closed.page(first, size)).collect();
    }

    /// What a verdict is judged with.
    pub fn show(&self, shown: &Shown) {
        let mut script = lock(&self.script);
        script.shown = BTreeMap::from([("scalars".to_owned(), shown.scalars.clone())]);
        for (kind, objects) in [("payloads", &shown.payloads), ("answers", &shown.answers)] {
            let named =
                |(digest, bytes): (&Digest, &Vec<u8>)| (format!("{kind}/{digest}"), bytes.clone());
            script.shown.extend(objects.iter().map(named));
        }
    }

    pub fn log(&self, log: Vec<Vec<u8>>) {
        lock(&self.script).log = log;
    }

    /// What the log says about a round.
    pub fn round(&self, number: u32, envelopes: Vec<Vec<u8>>) {
        lock(&self.script).rounds.insert(number, envelopes);
    }

    pub fn forget(&self) {
        lock(&self.script).said.clear();
    }

    pub fn try_said(&self, kind: &str) -> Option<Vec<u8>> {
        lock(&self.script).said.get(kind).cloned()
    }

    pub fn said(&self, kind: &str) -> Vec<u8> {
        self.try_said(kind)
            .unwrap_or_else(|| panic!("no {kind} was published"))
    }
}

/// The aggregator's statements in an item of work.
fn statements_of(item: &WorkItem) -> Vec<&[u8]> {
    match item {
        WorkItem::PublishSealingKey { .. } | WorkItem::ContributeNoise { .. } => Vec::new(),
        WorkItem::Endorse { spec } => vec![spec.bytes()],
        WorkItem::ShareBeacon {
            announcement,
            closed,
        } => vec![announcement.spec.bytes(), closed.bytes()],
        WorkItem::Report {
            announcement,
            closed,
            challenge,
        } => vec![announcement.spec.bytes(), closed.bytes(), challenge.bytes()],
        WorkItem::Open {
            announcement,
            closed,
            challenge,
            verdict,
            ..
        } => vec![
            announcement.spec.bytes(),
            closed.bytes(),
            challenge.bytes(),
            verdict.bytes(),
        ],
    }
}

async fn to_cosign(
    State(script): State<Shared>,
    Query(query): Query<BTreeMap<String, String>>,
) -> Answer {
    let (old, least) = (number(&query, "old"), number(&query, "least"));
    let old = old.unwrap_or(0) as usize;
    let script = lock(&script);
    let leaves = script.logged.leaves();
    if leaves.is_empty() || leaves.len() < least.unwrap_or(0) as usize {
        return Err(StatusCode::NOT_FOUND);
    }
    let shown = AddCheckpoint {
        old: old as u64,
        proof: merkle::consistency_proof(&leaves, old).unwrap_or_default(),
        checkpoint: script.logged.checkpoint(),
    };
    Ok(shown.to_text().into_bytes())
}

async fn cosigned(State(script): State<Shared>, body: String) -> StatusCode {
    let lines = parse_signatures(&body).expect("signature lines");
    lock(&script).logged.cosignatures += lines.len();
    StatusCode::CREATED
}

async fn proof(
    State(script): State<Shared>,
    Path(index): Path<usize>,
    Query(query): Query<BTreeMap<String, String>>,
) -> Answer {
    let script = lock(&script);
    let leaves = script.logged.leaves();
    let size = number(&query, "size").map_or(leaves.len(), |size| size as usize);
    let proof = TlogProof {
        index: index as u64,
        path: merkle::inclusion_proof(&leaves[..size], index).or(Err(StatusCode::NOT_FOUND))?,
        checkpoint: script.logged.checkpoint(),
    };
    Ok(proof.to_text().into_bytes())
}

fn lock(script: &Shared) -> std::sync::MutexGuard<'_, Script> {
    script.lock().expect("lock")
}

type Answer = Result<Vec<u8>, StatusCode>;

fn number(query: &BTreeMap<String, String>, name: &str) -> Option<u32> {
    query.get(name).map(|text| text.parse().expect("a number"))
}

async fn register(
    State(script): State<Shared>,
    Query(query): Query<BTreeMap<String, String>>,
) -> Vec<u8> {
    let after = number(&query, "after").unwrap_or_default() as usize;
    let entries = lock(&script).register.iter().skip(after).cloned().collect();
    let entries: Vec<Vec<u8>> = entries;
    to_canonical(&entries.into_iter().map(ByteVec::from).collect::<Vec<_>>())
}

async fn task(State(script): State<Shared>, Path(task): Path<String>) -> Answer {
    let script = lock(&script);
    if task == script.task.0 {
        Ok(script.task.1.clone())
    } else {
        Err(StatusCode::NOT_FOUND)
    }
}

async fn log(
    State(script): State<Shared>,
    Query(query): Query<BTreeMap<String, String>>,
) -> Answer {
    let from = number(&query, "from").ok_or(StatusCode::BAD_REQUEST)?;
    let script = lock(&script);
    Ok(entries(&script.log, from as usize))
}

fn entries(log: &[Vec<u8>], from: usize) -> Vec<u8> {
    let entries = log.iter().zip(0u64..).skip(from);
    to_canonical(
        &entries
            .map(|(envelope, index)| LogEntry {
                index,
                envelope: envelope.clone(),
            })
            .collect::<Vec<_>>(),
    )
}

async fn work(
    State(script): State<Shared>,
    Query(query): Query<BTreeMap<String, String>>,
) -> Answer {
    let wait = number(&query, "wait").unwrap_or(0);
    if lock(&script).work.is_empty() {
        tokio::time::sleep(Duration::from_secs(u64::from(wait))).await;
    }
    Ok(work_to_bytes(&lock(&script).work))
}

async fn packages(
    State(script): State<Shared>,
    Query(query): Query<BTreeMap<String, String>>,
) -> Answer {
    let first = number(&query, "after").unwrap_or(0);
    let script = lock(&script);
    script
        .pages
        .get(first as usize)
        .map(PackagePage::to_bytes)
        .ok_or(StatusCode::NOT_FOUND)
}

async fn statements(State(script): State<Shared>, Path((_, round)): Path<(String, u32)>) -> Answer {
    let script = lock(&script);
    let said = script.rounds.get(&round).into_iter().flatten();
    let said = said.zip(0..).map(|(envelope, index)| LogEntry {
        index,
        envelope: envelope.clone(),
    });
    let logged = script.logged.entries.iter().zip(0..);
    let logged = logged.filter(|((id, _), _)| id.number == round);
    let logged = logged.map(|((_, envelope), index)| LogEntry {
        index,
        envelope: envelope.clone(),
    });
    Ok(to_canonical(&said.chain(logged).collect::<Vec<_>>()))
}

async fn statement(
    State(script): State<Shared>,
    Path((_, _, kind)): Path<(String, String, String)>,
    body: Bytes,
) -> StatusCode {
    lock(&script).said.insert(kind, body.to_vec());
    StatusCode::CREATED
}

/// The report goes to "report", the answers after it to "answers".
async fn report(State(script): State<Shared>, body: Bytes) -> Result<StatusCode, StatusCode> {
    let bad = StatusCode::BAD_REQUEST;
    let rest = body.strip_prefix(b"DWNR").ok_or(bad)?;
    let (length, rest) = rest.split_first_chunk::<4>().ok_or(bad)?;
    let length = u32::from_le_bytes(*length) as usize;
    let (report, answers) = rest.split_at_checked(length).ok_or(bad)?;
    let said = &mut lock(&script).said;
    said.insert("report".to_owned(), report.to_vec());
    said.insert("answers".to_owned(), answers.to_vec());
    Ok(StatusCode::CREATED)
}

async fn scalars(State(script): State<Shared>) -> Answer {
    let shown = lock(&script).shown.get("scalars").cloned();
    shown.ok_or(StatusCode::NOT_FOUND)
}

async fn object(
    State(script): State<Shared>,
    Path((_, _, kind, digest)): Path<(String, String, String, String)>,
) -> Answer {
    let shown = lock(&script)
        .shown
        .get(&format!("{kind}/{digest}"))
        .cloned();
    shown.ok_or(StatusCode::NOT_FOUND)
}
