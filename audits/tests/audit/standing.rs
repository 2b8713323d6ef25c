//! What a device's own check rests on, over HTTP: in a checkpoint that T stewards have cosigned, or why not.

use std::io::Cursor;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use dawn_audits::Options;
use dawn_audits::inclusion::{Outcome, Proof, Submitted, prove};
use dawn_audits::standing::Standing;
use dawn_crypto::merkle::{inclusion_proof, leaf_hash, root};
use dawn_identity::{SecretKey, Statement, to_canonical};
use dawn_protocol::tlog::{Checkpoint, SignedNote, TlogProof, cosignature, cosigner, origin};
use dawn_protocol::{Closed, Digest, LogEntry, RoundResult, RoundSpec, Verdict};
use dawn_transport::Api;
use minicbor::bytes::ByteVec;

use crate::common::World;
use crate::common::round::PlayedRound;
use crate::common::transcript::transcript;
use crate::logs::scene;

/// A service that shows one log, or pieces of two.
struct Log {
    world: World,
    round: PlayedRound,
    /// What it says that it has, and what its proofs are of.
    entries: Vec<Vec<u8>>,
    proven: Vec<Vec<u8>>,
    /// What the checkpoint that is shown is of.
    witnessed: Vec<Vec<u8>>,
    /// How many stewards have cosigned; none: there is no checkpoint.
    cosigned: Option<usize>,
    key: SecretKey,
    /// A bit of the first hash of every proof.
    flipped: bool,
    /// Many notes instead of a checkpoint.
    garbles: bool,
}

impl Log {
    fn new(seed: u64) -> Self {
        let (world, round, entries) = scene(seed);
        let key = SecretKey::from_seed(&world.log.to_seed());
        Self {
            proven: entries.clone(),
            witnessed: entries.clone(),
            cosigned: Some(usize::from(world.roster.peek().threshold.t())),
            key,
            world,
            round,
            entries,
            flipped: false,
            garbles: false,
        }
    }

    fn place(&self, statement: &[u8]) -> usize {
        let mut entries = self.entries.iter();
        entries.position(|entry| entry == statement).unwrap()
    }

    fn checkpoint(&self, entries: &[Vec<u8>]) -> SignedNote {
        let checkpoint = Checkpoint {
            origin: origin(&self.world.federation.digest()),
            size: entries.len() as u64,
            root: root(&leaves(entries)),
        };
        checkpoint.sign(&self.key)
    }

    fn cosigned(&self) -> Option<SignedNote> {
        let mut note = self.checkpoint(&self.witnessed);
        let stewards = self.world.roster.peek().stewards.iter();
        let keys = stewards.zip(&self.world.stewards).take(self.cosigned?);
        note.signatures.extend(
            keys.map(|(entry, key)| {
                cosignature::cosign(&note.text, &cosigner(&entry.id()), key, 9)
            }),
        );
        Some(note)
    }

    /// Serves it and asks about the first submission.
    async fn ask(self) -> (Outcome, Standing) {
        let (world, round) = (&self.world, &self.round);
        let submission = &round.submissions[0].header;
        let submitted = Submitted {
            round: round.spec.peek().round,
            session: submission.peek().session,
            header: submission.envelope_digest(),
            receipt: None,
        };
        let options = Options {
            federation: Some(world.federation.digest()),
            ..Options::default()
        };
        let bytes = transcript(world, round);
        let Proof { outcome, rests, .. } =
            prove(&mut Cursor::new(bytes), &options, &submitted).unwrap();
        let url = serve(self).await;
        let api = Api::new(&url).unwrap();
        let standing = rests.unwrap().standing(&api, &submitted.round).await;
        (outcome, standing.unwrap())
    }
}

fn leaves(entries: &[Vec<u8>]) -> Vec<Digest> {
    entries.iter().map(|entry| leaf_hash(entry)).collect()
}

async fn serve(log: Log) -> String {
    let router = Router::new()
        .route("/v1/log/checkpoint/witnessed", get(witnessed))
        .route("/v1/log/proof/{index}", get(proof))
        .route("/v1/register", get(register))
        .route(
            "/v1/tasks/{task}/rounds/{round}/statements",
            get(statements),
        )
        .with_state(Arc::new(log));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    url
}

async fn witnessed(State(log): State<Arc<Log>>) -> Response {
    if log.garbles {
        let name = origin(&log.world.federation.digest());
        let note = SignedNote::sign("just a note\n".to_owned(), &name, &log.key);
        return note.to_text().repeat(60).into_response();
    }
    match log.cosigned() {
        Some(note) => note.to_text().into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

#[derive(serde::Deserialize)]
struct At {
    size: Option<usize>,
}

async fn proof(
    State(log): State<Arc<Log>>,
    Path(index): Path<usize>,
    Query(at): Query<At>,
) -> String {
    let tree = &log.proven[..at.size.unwrap_or(log.proven.len())];
    let mut path = inclusion_proof(&leaves(tree), index).unwrap_or_else(|_| vec![Digest([7; 32])]);
    if log.flipped {
        path[0].0[0] ^= 1;
    }
    let proof = TlogProof {
        index: index as u64,
        path,
        checkpoint: log.checkpoint(tree),
    };
    proof.to_text()
}

#[derive(serde::Deserialize)]
struct After {
    after: usize,
}

async fn register(State(log): State<Arc<Log>>, Query(from): Query<After>) -> Vec<u8> {
    let rest = log.world.register[from.after..].iter();
    to_canonical(&rest.cloned().map(ByteVec::from).collect::<Vec<_>>())
}

async fn statements(State(log): State<Arc<Log>>) -> Vec<u8> {
    let listed: Vec<LogEntry> = (0..)
        .zip(&log.entries)
        .map(|(index, envelope)| LogEntry {
            index,
            envelope: envelope.clone(),
        })
        .collect();
    to_canonical(&listed)
}

/// In the checkpoint of everything, and in one of no more than is needed.
#[tokio::test]
async fn what_t_stewards_have_cosigned_is_said_with_its_size() {
    for missing in [0, 1] {
        let mut log = Log::new(701);
        // One entry after the round.
        log.entries.push(b"later".to_vec());
        log.proven.clone_from(&log.entries);
        let size = log.entries.len() - missing;
        log.witnessed = log.entries[..size].to_vec();
        let (cosigned, needed) = (log.cosigned.unwrap(), log.world.roster.peek().threshold.t());
        let (outcome, standing) = log.ask().await;
        assert!(outcome.is_counted());
        let expected = Standing::Cosigned {
            size: size as u64,
            cosigned,
            needed,
        };
        assert_eq!(standing, expected);
        assert!(standing.is_cosigned() && !standing.is_broken());
        let said = standing.to_string();
        assert!(
            said.contains(&format!("checkpoint of {size} entries")),
            "{said}"
        );
        assert!(
            said.contains(&format!("cosigned by {cosigned} stewards")),
            "{said}"
        );
    }
}

/// Nobody has lied; it is not vouched for all the same.
#[tokio::test]
async fn what_is_not_cosigned_yet_is_told_apart_from_lies() {
    let mut log = Log::new(702);
    log.cosigned = None;
    let (outcome, standing) = log.ask().await;
    assert!(outcome.is_counted());
    assert_eq!(standing, Standing::NoCheckpoint);
    for cosigned in [0, 1] {
        let mut log = Log::new(702);
        log.cosigned = Some(cosigned);
        let (_, standing) = log.ask().await;
        assert!(matches!(standing, Standing::TooFew { cosigned: found, .. } if found == cosigned));
        assert!(!standing.is_cosigned() && !standing.is_broken());
    }
    // A checkpoint from before each of the statements.
    let log = Log::new(702);
    let round = &log.round;
    let statements = [
        (RoundSpec::KIND, round.spec.bytes().to_vec()),
        (
            Closed::KIND,
            round.closed.as_ref().unwrap().bytes().to_vec(),
        ),
        (
            Verdict::KIND,
            round.verdict.as_ref().unwrap().bytes().to_vec(),
        ),
        (RoundResult::KIND, round.terminal.bytes().to_vec()),
    ];
    for (kind, statement) in statements {
        let mut log = Log::new(702);
        let size = log.place(&statement);
        log.witnessed = log.entries[..size].to_vec();
        let (_, standing) = log.ask().await;
        let expected = Standing::NotYet {
            kind: kind.to_owned(),
            size: size as u64,
        };
        assert_eq!(standing, expected);
        assert!(standing.to_string().contains("not vouched for yet"));
    }
}

/// A service that says that a statement is in the log, after what was cosigned, and has logged something else or nothing there.
#[tokio::test]
async fn what_is_said_to_be_cosigned_later_is_proven() {
    for other in [true, false] {
        let mut log = Log::new(702);
        let place = log.place(log.round.terminal.bytes());
        log.witnessed = log.entries[..place].to_vec();
        log.proven.truncate(place);
        if other {
            log.proven.push(b"another end".to_vec());
        }
        let (outcome, standing) = log.ask().await;
        assert!(outcome.is_counted());
        assert!(matches!(&standing, Standing::Forged { why } if why.contains(RoundResult::KIND)));
    }
}

#[tokio::test]
async fn a_forged_proof_is_no_proof() {
    let mut log = Log::new(703);
    log.flipped = true;
    let (outcome, standing) = log.ask().await;
    assert!(outcome.is_counted(), "the transcript passes");
    assert!(matches!(&standing, Standing::Forged { why } if why.contains(RoundSpec::KIND)));
    assert!(standing.is_broken());
    let mut log = Log::new(703);
    log.garbles = true;
    let (_, standing) = log.ask().await;
    assert!(matches!(&standing, Standing::Forged { why } if why.contains("three lines")));
    // By another key than the log's.
    let mut log = Log::new(703);
    log.key = SecretKey::from_seed(&log.world.aggregator.to_seed());
    let (_, standing) = log.ask().await;
    assert!(matches!(standing, Standing::Forged { .. }), "{standing}");
    // Whoever cosigns in a steward's name.
    let mut log = Log::new(703);
    log.world.stewards.swap(0, 1);
    let (_, standing) = log.ask().await;
    assert!(!standing.is_cosigned(), "{standing}");
}

/// The history of the transcript is shown to the device, and another one to the stewards.
#[tokio::test]
async fn a_forked_log_is_evidence() {
    let fork = |log: &mut Log| {
        let place = log.place(log.round.verdict.as_ref().unwrap().bytes());
        log.witnessed[place] = b"another verdict".to_vec();
    };
    // The proofs are of the device's history.
    let mut log = Log::new(704);
    fork(&mut log);
    let size = log.entries.len() as u64;
    let (name, key) = (
        origin(&log.world.federation.digest()),
        log.world.log.public(),
    );
    let (outcome, standing) = log.ask().await;
    assert!(outcome.is_counted());
    let Standing::TwoLogs { size: found, notes } = &standing else {
        panic!("{standing}");
    };
    assert_eq!(*found, size);
    let roots = notes.each_ref().map(|note| {
        let note = SignedNote::parse(note.as_bytes()).unwrap();
        Checkpoint::verify(&note, &name, &key).unwrap().root
    });
    assert_ne!(roots[0], roots[1]);
    assert!(standing.is_broken());
    // The proofs are of the stewards' history, in which the verdict is another one.
    let mut log = Log::new(704);
    fork(&mut log);
    log.proven.clone_from(&log.witnessed);
    let (_, standing) = log.ask().await;
    assert!(matches!(&standing, Standing::Forged { why } if why.contains(Verdict::KIND)));
    // Nor does the service say that it has it.
    let mut log = Log::new(704);
    fork(&mut log);
    log.entries.clone_from(&log.witnessed);
    log.proven.clone_from(&log.witnessed);
    let (_, standing) = log.ask().await;
    let expected = Standing::NotLogged {
        kind: Verdict::KIND.to_owned(),
    };
    assert_eq!(standing, expected);
    assert!(standing.is_broken());
}
