//! A log that lies, over HTTP: `dawn audit watch`, `dawn log export`, `prove` and `verify` find it out. The test holds the log's
//! key, so that everything is signed as it should be.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Path as Part, Query, State};
use axum::http::StatusCode;
use axum::routing::get;
use dawn_crypto::merkle::{inclusion_proof, leaf_hash, root};
use dawn_identity::{
    Admission, Federation, FoundingDocument, Organisation, SecretKey, Signed, Validity,
    to_canonical,
};
use dawn_protocol::tlog::tile::push_entry;
use dawn_protocol::tlog::{Bundle, Checkpoint, SignedNote, TlogProof, origin};
use dawn_protocol::{Digest, LogEntry, LogHead};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;
use serde_json::Value;

/// What the log shows; the test changes it while the service runs.
struct Log {
    founding: FoundingDocument,
    federation: Digest,
    key: SecretKey,
    entries: Vec<Vec<u8>>,
    /// The size that is signed, when it is not that of the entries.
    promised: Option<u64>,
    time_ms: u64,
    /// A bit that is flipped in every bundle that is served.
    flipped: bool,
    /// The origin that is signed.
    origin: String,
    /// What stewards are said to have cosigned.
    witnessed: Option<SignedNote>,
}

type Served = Arc<Mutex<Log>>;

impl Log {
    fn new() -> Self {
        let rng = &mut ChaCha20Rng::from_seed([31; 32]);
        let founder =
            Organisation::generate("alpha", Validity::starting(1_800_000_000, 1000), rng).unwrap();
        let key = SecretKey::generate(rng);
        let federation = Federation {
            name: "Test".into(),
            founders: vec![founder.founder_entry()],
            aggregator: SecretKey::generate(rng).public(),
            log: key.public(),
            admission: Admission::Open,
            roster_quorum: 1,
            created: 1_800_000_000,
        };
        let founding = FoundingDocument::found(federation, &[&founder]).unwrap();
        let federation = founding.verify().unwrap().digest();
        let mut log = Self {
            entries: vec![founding.to_bytes()],
            founding,
            federation,
            key,
            promised: None,
            time_ms: 1_000,
            flipped: false,
            origin: origin(&federation),
            witnessed: None,
        };
        log.grow_to(300);
        log
    }

    fn grow_to(&mut self, size: usize) {
        self.time_ms += 1_000;
        for index in self.entries.len()..size {
            self.entries.push(format!("entry {index}").into_bytes());
        }
    }

    fn leaves(&self) -> Vec<Digest> {
        self.entries.iter().map(|entry| leaf_hash(entry)).collect()
    }

    fn size(&self) -> u64 {
        self.promised.unwrap_or(self.entries.len() as u64)
    }

    fn head(&self) -> Vec<u8> {
        let head = LogHead {
            size: self.size(),
            root: root(&self.leaves()),
            time_ms: self.time_ms,
        };
        Signed::sign(&head, &self.key).unwrap().bytes().to_vec()
    }

    fn checkpoint(&self) -> SignedNote {
        let checkpoint = Checkpoint {
            origin: self.origin.clone(),
            size: self.size(),
            root: root(&self.leaves()),
        };
        checkpoint.sign(&self.key)
    }

    fn bundle(&self, path: &str) -> Option<Vec<u8>> {
        let bundle = Bundle::parse(path).ok()?;
        let first = bundle.index as usize * 256;
        let entries = self.entries.get(first..first + usize::from(bundle.width))?;
        let mut bytes = Vec::new();
        for entry in entries {
            push_entry(&mut bytes, entry).unwrap();
        }
        if self.flipped {
            *bytes.last_mut()? ^= 1;
        }
        Some(bytes)
    }

    fn proof(&self, index: u64) -> Option<String> {
        let proof = TlogProof {
            index,
            path: inclusion_proof(&self.leaves(), index as usize).ok()?,
            checkpoint: self.checkpoint(),
        };
        Some(proof.to_text())
    }
}

#[derive(serde::Deserialize)]
struct Page {
    from: usize,
    limit: usize,
}

async fn serve(log: &Served) -> String {
    type Log = State<Served>;
    let router = Router::new()
        .route(
            "/v1/federation",
            get(|State(log): Log| async move { log.lock().unwrap().founding.to_bytes() }),
        )
        // The register is empty.
        .route("/v1/register", get(|| async { vec![0x80_u8] }))
        .route(
            "/v1/log/head",
            get(|State(log): Log| async move { log.lock().unwrap().head() }),
        )
        .route(
            "/v1/log/entries",
            get(|State(log): Log, Query(page): Query<Page>| async move {
                let log = log.lock().unwrap();
                let entries = log.entries.iter().skip(page.from).take(page.limit);
                let listed = (page.from as u64..).zip(entries);
                let listed = listed.map(|(index, entry)| LogEntry {
                    index,
                    envelope: entry.clone(),
                });
                to_canonical(&listed.collect::<Vec<_>>())
            }),
        )
        .route(
            "/v1/log/checkpoint",
            get(|State(log): Log| async move { log.lock().unwrap().checkpoint().to_text() }),
        )
        .route(
            "/v1/log/checkpoint/witnessed",
            get(|State(log): Log| async move {
                let log = log.lock().unwrap();
                let note = log.witnessed.as_ref().map(SignedNote::to_text);
                note.ok_or(StatusCode::NOT_FOUND)
            }),
        )
        .route(
            "/v1/log/tile/entries/{*path}",
            get(|State(log): Log, Part(path): Part<String>| async move {
                let bytes = log.lock().unwrap().bundle(&path);
                bytes.ok_or(StatusCode::NOT_FOUND)
            }),
        )
        .route(
            "/v1/log/proof/{index}",
            get(|State(log): Log, Part(index): Part<u64>| async move {
                log.lock()
                    .unwrap()
                    .proof(index)
                    .ok_or(StatusCode::NOT_FOUND)
            }),
        )
        .with_state(log.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    url
}

fn dawn(dir: &Path, arguments: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_dawn"))
        .args(arguments.split(' '))
        .current_dir(dir)
        .output()
        .unwrap()
}

/// The last line, and the exit code.
#[track_caller]
fn json(dir: &Path, arguments: &str) -> (Value, i32) {
    let output = dawn(dir, &format!("{arguments} --json"));
    let text = String::from_utf8(output.stdout).unwrap();
    let value = serde_json::from_str(text.lines().last().unwrap_or_default());
    let error = String::from_utf8_lossy(&output.stderr);
    let value = value.unwrap_or_else(|why| panic!("{why}: {text}{error}"));
    (value, output.status.code().unwrap())
}

#[track_caller]
fn refused(dir: &Path, arguments: &str, words: &str) {
    let output = dawn(dir, arguments);
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{arguments}: {text}");
    assert!(text.contains(words), "{arguments}: {text}");
    assert!(!text.contains("panicked"), "{text}");
}

/// A monitor that looks at a log which says another thing than before ends with 1, says which, and keeps what was signed.
#[tokio::test(flavor = "multi_thread")]
async fn a_monitor_finds_forks_gaps_and_rewritten_heads() {
    // What is done to a log of 300 entries, what is said of it, and whether the monitor can go on.
    type Lie = fn(&mut Log);
    let lies: [(&str, Lie, &str, bool); 5] = [
        (
            "another entry in the past",
            |log| {
                log.entries[7] = b"another".to_vec();
                log.grow_to(310);
            },
            "do not lead to its root",
            true,
        ),
        (
            "two heads of one size",
            |log| {
                log.entries[299] = b"another".to_vec();
                log.time_ms += 1;
            },
            "two signed heads over 300 entries",
            true,
        ),
        (
            "a smaller log later",
            |log| {
                log.entries.truncate(290);
                log.time_ms += 1;
            },
            "over 290 entries after one over 300",
            true,
        ),
        (
            "another log for the stewards",
            |log| {
                log.entries.swap(3, 4);
                log.witnessed = Some(log.checkpoint());
                log.entries.swap(3, 4);
            },
            "is of another log than the signed head",
            true,
        ),
        (
            "a head over more than there is",
            |log| {
                log.promised = Some(305);
                log.time_ms += 1;
            },
            "is over 305 entries, the service gives 300",
            false,
        ),
    ];
    for (name, lie, words, forked) in lies {
        let scratch = tempfile::tempdir().unwrap();
        let dir = scratch.path();
        let log = Arc::new(Mutex::new(Log::new()));
        let url = serve(&log).await;
        let pin = log.lock().unwrap().federation;
        let watch = format!("audit watch {url} --state state --federation {pin} --every 1");
        let (seen, code) = json(dir, &format!("{watch} --once"));
        assert_eq!((code, &seen["size"]), (0, &300.into()), "{name}");
        assert_eq!(seen["new"].as_array().unwrap().len(), 300);
        lie(&mut log.lock().unwrap());
        // One that is found out for good ends a monitor that was to go on.
        let once = if forked { "" } else { " --once" };
        let (seen, code) = json(dir, &format!("{watch}{once}"));
        assert_eq!((code, &seen["forked"]), (1, &forked.into()), "{name}");
        assert_eq!(seen["size"], 300, "{name}: nothing of it is taken");
        let finding = &seen["findings"][0];
        assert_eq!(finding["rule"], "A18", "{finding}");
        let detail = finding["detail"].as_str().unwrap();
        assert!(detail.contains(words), "{name}: {detail}");
        let kept = std::fs::read_dir(dir.join("state/evidence")).map_or(0, Iterator::count);
        assert_eq!(kept, if forked { 2 } else { 0 }, "{name}");
        if forked {
            // The first history again does not make it forgotten.
            let first = Log::new();
            *log.lock().unwrap() = first;
            let (seen, code) = json(dir, &format!("{watch} --once"));
            assert_eq!(
                (code, &seen["findings"]),
                (1, &Value::Array(vec![])),
                "{name}"
            );
            assert_eq!(seen["standing"][0]["rule"], "A18");
        }
        refused(
            dir,
            &format!(
                "audit watch {url} --state state --federation {} --once",
                "1".repeat(64)
            ),
            "is not of federation",
        );
    }
}

/// A tampered bundle, from the service or in the folder, another origin and another key: nothing is believed.
#[tokio::test(flavor = "multi_thread")]
async fn tampered_tiles_other_origins_and_other_keys_are_refused() {
    let scratch = tempfile::tempdir().unwrap();
    let dir = scratch.path();
    let log = Arc::new(Mutex::new(Log::new()));
    let url = serve(&log).await;
    let pin = log.lock().unwrap().federation;
    let export = format!("log export --server {url} --federation {pin}");
    let prove = format!("log prove --server {url} --federation {pin} 299 --out proof");

    // Nothing of a bundle that is not the log's takes its place, and the next copy is not spoiled by it.
    log.lock().unwrap().flipped = true;
    refused(dir, &format!("{export} kept"), "do not lead to the root");
    assert!(!dir.join("kept/checkpoint").exists() && !dir.join("kept/tile").exists());
    log.lock().unwrap().flipped = false;
    refused(
        dir,
        &format!("{export} kept --max-bytes 1000"),
        "--max-bytes",
    );
    let (exported, code) = json(dir, &format!("{export} kept"));
    assert_eq!((code, &exported["size"]), (0, &300.into()));

    // A file that was damaged here is fetched again.
    let full = dir.join("kept/tile/entries/000");
    let bytes = std::fs::read(&full).unwrap();
    let mut damaged = bytes.clone();
    *damaged.last_mut().unwrap() ^= 1;
    std::fs::write(&full, &damaged).unwrap();
    assert_eq!(json(dir, &format!("{export} kept")).1, 0);
    assert_eq!(std::fs::read(&full).unwrap(), bytes);

    // Another history in the last bundle, in the first, and a smaller log: what was copied stays, and both checkpoints are kept.
    let first = std::fs::read(dir.join("kept/checkpoint")).unwrap();
    let honest = log.lock().unwrap().entries.clone();
    for lie in 0..3 {
        let mut entries = honest.clone();
        match lie {
            0 => entries[280] = b"another".to_vec(),
            1 => entries[7] = b"another".to_vec(),
            _ => entries.truncate(290),
        }
        log.lock().unwrap().entries = entries;
        refused(
            dir,
            &format!("{export} kept"),
            "not the one that was copied before",
        );
        assert_eq!(std::fs::read(dir.join("kept/checkpoint")).unwrap(), first);
        assert_eq!(std::fs::read(&full).unwrap(), bytes);
        let kept = std::fs::read_dir(dir.join("kept/evidence")).unwrap();
        let kept = kept.map(|entry| std::fs::read(entry.unwrap().path()).unwrap());
        let kept: Vec<_> = kept.collect();
        let other = log.lock().unwrap().checkpoint().to_text().into_bytes();
        assert!(kept.contains(&first) && kept.contains(&other), "{lie}");
    }
    log.lock().unwrap().entries = honest;
    log.lock().unwrap().grow_to(310);
    let (exported, code) = json(dir, &format!("{export} kept"));
    assert_eq!((code, &exported["size"]), (0, &310.into()));
    log.lock().unwrap().entries.truncate(300);

    let (_, code) = json(dir, &prove);
    assert_eq!(code, 0);
    let document = log.lock().unwrap().founding.to_bytes();
    std::fs::write(dir.join("founding"), document).unwrap();
    let verify = format!("log verify proof proof.entry --founding founding --federation {pin}");
    assert_eq!(json(dir, &verify).1, 0);

    // The log's key signs another name; another key signs the log's name.
    let honest = origin(&pin);
    let other = honest.replace("dawn/log/", "dawn/gol/");
    log.lock().unwrap().origin = other.clone();
    for command in [format!("{export} other"), prove.clone()] {
        refused(dir, &command, "is of the log dawn/gol/");
    }
    let text = log.lock().unwrap().proof(299).unwrap();
    std::fs::write(dir.join("proof"), text).unwrap();
    refused(dir, &verify, "is of the log dawn/gol/");
    log.lock().unwrap().origin = honest;
    log.lock().unwrap().key = SecretKey::from_seed(&[9; 32]);
    for command in [format!("{export} other"), prove] {
        refused(dir, &command, "is signed with none of the log's keys");
    }
    let text = log.lock().unwrap().proof(299).unwrap();
    std::fs::write(dir.join("proof"), text).unwrap();
    refused(dir, &verify, "is signed with none of the log's keys");
}
