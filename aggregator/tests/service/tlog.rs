//! The log as strangers see it: tiles, checkpoints, proofs, cosignatures, and a verifier that nobody here wrote.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use dawn_aggregator::metrics::Metrics;
use dawn_aggregator::store::Store;
use dawn_crypto::merkle::{self, leaf_hash};
use dawn_identity::StewardId;
use dawn_protocol::tlog::note::{Algorithm, verifier_key};
use dawn_protocol::tlog::tile::{TileId, WIDTH};
use dawn_protocol::tlog::{Checkpoint, cosignature, cosigner, origin};
use dawn_transport::Api;

use crate::raw::{get, request};
use crate::world::{World, now_s};

/// Entries of several lengths.
pub fn entry(index: u64) -> Vec<u8> {
    vec![index as u8; 1 + (index % 300) as usize]
}

pub async fn store(world: &World) -> Store {
    let metrics = Arc::new(Metrics::default());
    Store::connect(world.postgres.url(), false, 4, metrics)
        .await
        .unwrap()
}

impl World {
    fn origin(&self) -> String {
        origin(&self.federation.digest())
    }

    fn steward_id(&self, steward: usize) -> StewardId {
        StewardId::of(
            &self.orgs[steward].id(),
            &self.steward_keys[steward].public(),
        )
    }

    /// A steward cosigns what it is shown, whatever it has cosigned before; the checkpoint's size.
    async fn cosign(&self, api: &Api, steward: usize, least: u64) -> u64 {
        let shown = api.log_to_cosign(0, least).await.unwrap();
        let checkpoint =
            Checkpoint::verify(&shown.checkpoint, &self.origin(), &self.federation.log).unwrap();
        let name = cosigner(&self.steward_id(steward));
        let key = &self.steward_keys[steward];
        let line = cosignature::cosign(&shown.checkpoint.text, &name, key, now_s());
        api.put_cosignature(checkpoint.size, &line).await.unwrap();
        checkpoint.size
    }
}

/// Whether there is a Go with `golang.org/x/mod`, as Debian ships it. Where it must be, its absence is a failure.
fn go() -> Option<Command> {
    let found = Path::new("/usr/share/gocode/src/golang.org/x/mod/sumdb/tlog").is_dir()
        && Command::new("go").arg("version").output().is_ok();
    if !found {
        let why = "go and golang.org/x/mod are missing; install them with: apt-get install golang-go golang-golang-x-mod-dev";
        assert!(std::env::var_os("DAWN_CI").is_none(), "{why}");
        eprintln!("SKIPPED go_verifies_the_log_and_finds_what_was_tampered_with: {why}");
        return None;
    }
    let mut go = Command::new("go");
    go.env("GO111MODULE", "off")
        .env("GOPATH", "/usr/share/gocode");
    Some(go)
}

/// What the verifier says, and whether it is content.
fn verify(program: &Path, dir: &Path, key: &str) -> (bool, String) {
    let output = Command::new(program).arg(dir).arg(key).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    (output.status.success(), said)
}

#[tokio::test(flavor = "multi_thread")]
async fn go_verifies_the_log_and_finds_what_was_tampered_with() {
    let Some(mut go) = go() else { return };
    let world = World::new().await;
    let (running, api) = world.start_enrolled().await;
    let store = store(&world).await;
    let entries: Vec<_> = (0..800).map(entry).collect();
    store.append_entries("test", &entries[..300]).await.unwrap();
    assert_eq!(world.cosign(&api, 0, 1).await, 308);
    // What stewards must answer moves the checkpoint on that they are offered.
    store
        .append_entries("verdict", &entries[300..])
        .await
        .unwrap();
    let dir = world.dir.path().join("export");
    let (checkpoint, _) = api
        .export_log(&dir, &world.federation, 1 << 30)
        .await
        .unwrap();
    assert_eq!(checkpoint.size, 808);
    let proofs = dir.join("proofs");
    std::fs::create_dir(&proofs).unwrap();
    for (index, size) in [
        (0, None),
        (255, None),
        (307, Some(308)),
        (256, Some(308)),
        (807, None),
    ] {
        let proof = api.log_proof(index, size).await.unwrap();
        let file = proofs.join(format!("{index}.tlog-proof"));
        std::fs::write(file, proof.to_text()).unwrap();
    }
    let shown = api.log_to_cosign(308, 808).await.unwrap();
    std::fs::write(dir.join("add-checkpoint"), shown.to_text()).unwrap();

    let program = world.dir.path().join("verify");
    let built = go
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../test_vectors/go"))
        .env("GOCACHE", world.dir.path().join("gocache"))
        .args(["build", "-o"])
        .arg(&program)
        .arg("verify.go")
        .stdin(Stdio::null())
        .status()
        .unwrap();
    assert!(built.success());
    let key = verifier_key(&world.origin(), Algorithm::Ed25519, &world.federation.log);
    assert_eq!(
        verify(&program, &dir, &key),
        (true, "ok 808 entries, 5 proofs\n".to_owned())
    );
    let other = verifier_key(
        &world.origin(),
        Algorithm::Ed25519,
        &world.federation.aggregator,
    );
    assert!(!verify(&program, &dir, &other).0, "another log's key");
    // One byte of anything: a tile of every level, an entry, the checkpoint, a proof.
    for name in [
        "tile/0/000",
        "tile/0/003.p/40",
        "tile/1/000.p/3",
        "tile/entries/001",
        "checkpoint",
        "proofs/256.tlog-proof",
        "add-checkpoint",
    ] {
        let file = dir.join(name);
        let right = std::fs::read(&file).unwrap();
        let mut wrong = right.clone();
        // In what is long enough for it, a byte that is neither structure nor signature of somebody else.
        let at = wrong.len().min(150) - 1;
        wrong[at] ^= 1;
        std::fs::write(&file, wrong).unwrap();
        let (content, said) = verify(&program, &dir, &key);
        assert!(!content, "{name}: {said}");
        std::fs::write(&file, right).unwrap();
    }
    assert!(verify(&program, &dir, &key).0);
    running.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn tiles_are_files_and_what_is_not_there_is_not_found() {
    let world = World::new().await;
    let (running, api) = world.start_enrolled().await;
    let store = store(&world).await;
    let mut entries: Vec<_> = (0..592).map(entry).collect();
    entries[500] = vec![5; 65_535];
    store.append_entries("test", &entries).await.unwrap();
    let addr = running.local_addr();
    let answers = |path: &'static str| async move { get(addr, path).await };
    let full = answers("/v1/log/tile/0/001").await;
    assert_eq!((full.status, full.body.len()), (200, 8192));
    assert!(full.head.contains("application/octet-stream"));
    assert!(full.head.contains("max-age=31536000, immutable"));
    let leaves: Vec<_> = entries[248..504]
        .iter()
        .map(|entry| leaf_hash(entry))
        .collect();
    assert_eq!(full.body, dawn_protocol::tlog::tile::tile_bytes(&leaves));
    let partial = answers("/v1/log/tile/0/002.p/88").await;
    assert_eq!((partial.status, partial.body.len()), (200, 88 * 32));
    assert!(!partial.head.contains("31536000"));
    let node = api
        .log_tile(&TileId {
            level: 1,
            index: 0,
            width: 2,
        })
        .await
        .unwrap();
    assert_eq!(node[1], merkle::root(&leaves));
    // A smaller width than there is now was a tile of a smaller log.
    assert_eq!(answers("/v1/log/tile/0/002.p/1").await.body.len(), 32);
    let bundle = get(addr, "/v1/log/tile/entries/001").await;
    assert_eq!(bundle.status, 200);
    for missing in [
        "0/002.p/89",
        "0/002",
        "0/003.p/1",
        "1/000",
        "1/000.p/3",
        "2/000.p/1",
        "8/000",
        "0/1",
        "0/x000/001",
        "entries/002",
        "entries/002.p/89",
        "entries/x001/000",
        "0/..%2f..",
        "0/x999/x999/x999/x999/x999/x999/999",
    ] {
        let answer = get(addr, &format!("/v1/log/tile/{missing}")).await;
        assert_eq!(answer.status, 404, "{missing}");
        answer.problem();
    }
    for (path, status) in [
        ("/v1/log/proof/600", 404),
        ("/v1/log/proof/599", 200),
        ("/v1/log/proof/-1", 400),
        ("/v1/log/proof/1?size=7", 404),
        ("/v1/log/proof/18446744073709551615", 404),
        ("/v1/log/witness?least=601", 404),
        ("/v1/log/witness?old=18446744073709551615", 200),
        ("/v1/log/witness?old=x", 400),
        ("/v1/log/checkpoint", 200),
        ("/v1/log/checkpoint/witnessed", 404),
    ] {
        assert_eq!(get(addr, path).await.status, status, "{path}");
    }
    assert_eq!(WIDTH, 256);
    running.shutdown().await.unwrap();
}

/// One checkpoint for everybody until T have cosigned it, however the log grows; then the next.
#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_stays_until_it_is_complete() {
    let world = World::with(4, 1).await;
    let (running, api) = world.start_enrolled().await;
    let store = store(&world).await;
    // Founding document, 4 registrations, 4 enrolments, a roster; T = 3.
    assert_eq!(world.cosign(&api, 0, 0).await, 10);
    store.append_entries("test", &[entry(1)]).await.unwrap();
    assert_eq!(world.cosign(&api, 1, 0).await, 10);
    assert_eq!(world.cosign(&api, 1, 10).await, 10);
    assert!(api.witnessed_checkpoint().await.is_err(), "two are too few");
    assert_eq!(world.cosign(&api, 2, 0).await, 10);
    let note = api.witnessed_checkpoint().await.unwrap();
    let checkpoint = Checkpoint::verify(&note, &world.origin(), &world.federation.log).unwrap();
    assert_eq!(checkpoint.size, 10);
    let stewards = &world.roster.peek().stewards;
    assert_eq!(cosignature::cosigners(&note, stewards).unwrap().len(), 3);
    // Complete: the next one is offered, and proofs are in the one that T stand behind as long as it has the entry.
    assert_eq!(world.cosign(&api, 3, 0).await, 11);
    let proof = api.log_proof(3, None).await.unwrap();
    assert_eq!(proof.checkpoint, note);
    let proof = api.log_proof(10, None).await.unwrap();
    let found = proof
        .verify(
            &leaf_hash(&entry(1)),
            &world.origin(),
            &world.federation.log,
        )
        .unwrap();
    assert_eq!(found.size, 11);
    // What nobody has to answer does not move on what waits, whatever is asked for, by whomever.
    store.append_entries("test", &[entry(2)]).await.unwrap();
    assert_eq!(world.cosign(&api, 0, 0).await, 11);
    for (old, least) in [
        (0, 12),
        (12, 12),
        (u64::MAX, 12),
        (12, 0),
        (u64::MAX, 0),
        (0, u64::MAX),
    ] {
        let asked = api.log_to_cosign(old, least).await;
        assert_eq!(asked.is_ok(), least == 0, "{old} {least}");
        assert_eq!(
            world.number("select max(size) from log_checkpoints").await,
            11
        );
    }
    assert_eq!(world.cosign(&api, 1, 11).await, 11);
    // What stewards must answer does, for everybody.
    store.append_entries("closed", &[entry(3)]).await.unwrap();
    assert_eq!(world.cosign(&api, 1, 13).await, 13);
    assert_eq!(world.cosign(&api, 0, 0).await, 13);
    // The checkpoint of the log as it is carries what was said about its size.
    let now = api.log_checkpoint().await.unwrap();
    assert_eq!(cosignature::cosigners(&now, stewards).unwrap().len(), 2);
    running.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn only_cosignatures_of_stewards_are_taken() {
    let world = World::new().await;
    let (running, api) = world.start_enrolled().await;
    let addr = running.local_addr();
    let shown = api.log_to_cosign(0, 0).await.unwrap();
    let text = &shown.checkpoint.text;
    let size = Checkpoint::parse(text).unwrap().size;
    let key = &world.steward_keys[0];
    let name = cosigner(&world.steward_id(0));
    let line = |text: &str, name: &str, key| {
        cosignature::cosign(text, name, key, now_s())
            .to_line()
            .into_bytes()
    };
    let right = line(text, &name, key);
    let post = |size: u64, body: Vec<u8>, kind: &'static str| async move {
        let path = format!("/v1/log/witness?size={size}");
        request(addr, "POST", &path, kind, &body).await.status
    };
    let kind = "text/plain";
    let other = text.replace(&format!("\n{size}\n"), &format!("\n{}\n", size - 1));
    assert_ne!(&other, text);
    assert_eq!(post(size, line(&other, &name, key), kind).await, 422);
    let others_key = line(text, &name, &world.steward_keys[1]);
    assert_eq!(post(size, others_key, kind).await, 422);
    let nobody = cosigner(&StewardId(dawn_crypto::digest::Digest([1; 32])));
    assert_eq!(post(size, line(text, &nobody, key), kind).await, 422);
    assert_eq!(post(size - 1, right.clone(), kind).await, 404);
    assert_eq!(post(size, right.clone(), "application/cbor").await, 415);
    assert_eq!(post(size, vec![b'x'; 20_000], kind).await, 413);
    assert_eq!(post(size, b"no line\n".to_vec(), kind).await, 400);
    assert_eq!(
        world.number("select count(*) from log_cosignatures").await,
        0
    );
    assert_eq!(post(size, right.clone(), kind).await, 201);
    assert_eq!(post(size, right, kind).await, 200);
    assert_eq!(
        world.number("select count(*) from log_cosignatures").await,
        1
    );
    running.shutdown().await.unwrap();
}

/// What the migration computes for a log that was there before is what appends keep.
#[tokio::test(flavor = "multi_thread")]
async fn the_migration_computes_what_appends_keep() {
    let world = World::new().await;
    let store = store(&world).await;
    let entries: Vec<_> = (0..66_000_u64)
        .map(|index| index.to_le_bytes().to_vec())
        .collect();
    for part in entries.chunks(5000) {
        store.append_entries("test", part).await.unwrap();
    }
    let kept = "select count(*) from log_nodes";
    assert_eq!(world.number(kept).await, 66_000 / 256 + 1);
    world
        .run_sql("alter table log_nodes rename to kept_nodes")
        .await;
    world
        .run_sql("create table log_nodes (like kept_nodes)")
        .await;
    let migration = include_str!("../../../migrations/0008_log_tiles.sql");
    let (_, from) = migration.split_once("do $$").unwrap();
    let (block, _) = from.split_once("end $$;").unwrap();
    let block: &'static str = format!("do $${block}end $$;").leak();
    world.run_sql(block).await;
    let differ = "select count(*) from (table log_nodes except table kept_nodes union all (table kept_nodes except table log_nodes)) d";
    assert_eq!(world.number(kept).await, 66_000 / 256 + 1);
    assert_eq!(world.number(differ).await, 0);
}

/// A statement that stewards must answer may come into the log between two looks of one request for a checkpoint to cosign: the
/// size that was read first has been offered already.
#[tokio::test(flavor = "multi_thread")]
async fn what_comes_in_meanwhile_is_for_the_next_checkpoint() {
    let world = World::new().await;
    let (running, api) = world.start_enrolled().await;
    let store = store(&world).await;
    let offered = api.log_to_cosign(0, 1).await.unwrap();
    assert_eq!(store.log_size().await.unwrap(), 8);
    // In the log, as the second look sees it, and not yet in the head, as the first has seen it.
    world
        .run_sql(
            "insert into log (index, leaf, kind, envelope)
             values (8, decode(repeat('00', 32), 'hex'), 'verdict', '')",
        )
        .await;
    let again = api.log_to_cosign(0, 1).await.unwrap();
    assert_eq!(again.to_text(), offered.to_text());
    world.run_sql("delete from log where index = 8").await;
    store.append_entries("verdict", &[entry(0)]).await.unwrap();
    let next = api.log_to_cosign(0, 9).await.unwrap();
    assert_ne!(next.to_text(), offered.to_text());
    running.shutdown().await.unwrap();
}
