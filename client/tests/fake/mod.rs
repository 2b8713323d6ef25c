//! A server under a test's control: it shows what the test put there, and records what it is sent.
#![allow(dead_code, clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::path::Path as FsPath;
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, put};
use dawn_client::{Client, ClientBuilder};
use dawn_identity::{SecretKey, Signed, to_canonical};
use dawn_learn::Model;
use dawn_protocol::container::{ContainerHead, ContainerLimits};
use dawn_protocol::digests::model_digest;
use dawn_protocol::{Receipt, RoundAnnouncement, RoundOpen, SubmissionHeader, Task};
use minicbor::bytes::ByteVec;

use crate::common::{Plan, World};

/// What the server shows and what it was sent.
pub struct Stage {
    pub task: Signed<Task>,
    pub register: Vec<Vec<u8>>,
    pub announcement: Option<RoundAnnouncement>,
    pub models: BTreeMap<String, Vec<u8>>,
    pub open: Option<RoundOpen>,
    /// Signs receipts.
    pub receipt_key: SecretKey,
    /// Changes receipts before they are signed.
    pub tamper: fn(&mut Receipt),
    /// So many submissions are answered with 503.
    pub failures: u32,
    /// Whether submissions are refused because the round has ended.
    pub over: bool,
    /// Every submission body that arrived.
    pub bodies: Vec<Bytes>,
}

pub type Shared = Arc<Mutex<Stage>>;

/// Seconds of the real clock: devices look at it.
pub fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs()
}

pub fn plan() -> Plan {
    Plan {
        created: now(),
        ..Plan::default()
    }
}

/// A world, its first round announced, and a server that shows it.
pub struct Scene {
    pub world: World,
    pub stage: Shared,
    pub url: String,
}

impl Scene {
    pub async fn open(plan: &Plan) -> Self {
        let mut world = World::with(1, plan);
        let model = world.context.initial_model().unwrap();
        let announced = world.announce(1, None, &model, &[], now() * 1000);
        let stage = Arc::new(Mutex::new(Stage {
            task: world.task.clone(),
            register: world.register.clone(),
            announcement: Some(announced.announcement),
            models: shelf(&model),
            open: Some(announced.open),
            receipt_key: SecretKey::from_seed(&world.aggregator.to_seed()),
            tamper: |_| {},
            failures: 0,
            over: false,
            bodies: vec![],
        }));
        let router = Router::new()
            .route("/v1/register", get(register))
            .route("/v1/tasks/{task}", get(task))
            .route("/v1/tasks/{task}/round", get(round))
            .route("/v1/models/{digest}", get(self::model))
            .route(
                "/v1/tasks/{task}/rounds/{round}/submissions/{device}",
                put(submit),
            )
            .layer(axum::extract::DefaultBodyLimit::disable())
            .with_state(Arc::clone(&stage));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { world, stage, url }
    }

    /// Announces round 1 once more, with other sealing keys: another session of the same round.
    pub fn announce_again(&mut self) {
        let model = self.world.context.initial_model().unwrap();
        let announced = self.world.announce(1, None, &model, &[], now() * 1000);
        let mut stage = self.stage.lock().unwrap();
        stage.announcement = Some(announced.announcement);
        stage.open = Some(announced.open);
    }

    pub fn builder(&self, place: usize, state_dir: &FsPath) -> ClientBuilder {
        let device = &self.world.devices[place];
        Client::builder()
            .server(&self.url)
            .federation(
                self.world.document().clone(),
                self.world.federation.digest(),
            )
            .device(
                device.chain.clone(),
                SecretKey::from_seed(&device.key.to_seed()),
            )
            .state_dir(state_dir)
    }

    pub fn client(&self, state_dir: &FsPath) -> Client {
        self.builder(0, state_dir).build().unwrap()
    }

    pub fn bodies(&self) -> Vec<Bytes> {
        self.stage.lock().unwrap().bodies.clone()
    }
}

pub fn shelf(model: &Model) -> BTreeMap<String, Vec<u8>> {
    let bytes = model.to_bytes();
    BTreeMap::from([(model_digest(&bytes).to_string(), bytes)])
}

async fn register(
    State(stage): State<Shared>,
    Query(query): Query<BTreeMap<String, usize>>,
) -> Response {
    let stage = stage.lock().unwrap();
    let after = query.get("after").copied().unwrap_or_default();
    let entries = stage.register.iter().skip(after).cloned();
    let entries: Vec<ByteVec> = entries.map(ByteVec::from).collect();
    to_canonical(&entries).into_response()
}

async fn task(State(stage): State<Shared>) -> Response {
    stage.lock().unwrap().task.bytes().to_vec().into_response()
}

async fn round(
    State(stage): State<Shared>,
    Query(query): Query<BTreeMap<String, u32>>,
) -> Response {
    let stage = stage.lock().unwrap();
    match &stage.announcement {
        None => StatusCode::GONE.into_response(),
        Some(shown) if shown.spec.peek().round.number > query["after"] => {
            shown.to_bytes().into_response()
        }
        Some(_) => StatusCode::NO_CONTENT.into_response(),
    }
}

async fn model(State(stage): State<Shared>, Path(digest): Path<String>) -> Response {
    let stage = stage.lock().unwrap();
    let found = stage.models.get(&digest).cloned();
    found.map_or_else(
        || StatusCode::NOT_FOUND.into_response(),
        IntoResponse::into_response,
    )
}

async fn submit(State(stage): State<Shared>, body: Bytes) -> Response {
    let mut stage = stage.lock().unwrap();
    stage.bodies.push(body.clone());
    if stage.failures > 0 {
        stage.failures -= 1;
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    if stage.over {
        let problem =
            r#"{"type":"urn:dawn:problem:wrong-phase","title":"The round is in another phase"}"#;
        return (StatusCode::CONFLICT, problem).into_response();
    }
    let open = stage.open.as_ref().unwrap();
    let limits = ContainerLimits::of(open.context());
    let head = ContainerHead::read_from(&mut &body[..], limits).unwrap();
    let header = Signed::<SubmissionHeader>::from_bytes(&head.header).unwrap();
    let verified = open.verify_header(&header, open.verified_with()).unwrap();
    let mut receipt = Receipt {
        round: open.round_id(),
        session: open.session(),
        device: verified.submitter(),
        header: header.envelope_digest(),
        received_ms: now() * 1000,
    };
    (stage.tamper)(&mut receipt);
    Signed::sign(&receipt, &stage.receipt_key)
        .unwrap()
        .bytes()
        .to_vec()
        .into_response()
}
