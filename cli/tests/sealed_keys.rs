//! Encrypted keys of servers and stewards, with the real processes: they start with the passphrase, and say what is wrong without.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use dawn_steward::vrf_key;
use serde_json::Value;
use tempfile::TempDir;

const PASSPHRASE: &str = "correct horse battery staple";

fn private(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

/// A folder that Postgres may pass through, with a right and a wrong passphrase.
fn folder() -> TempDir {
    let scratch = tempfile::Builder::new()
        .prefix("dawn-sealed-")
        .tempdir()
        .unwrap();
    fs::set_permissions(scratch.path(), fs::Permissions::from_mode(0o755)).unwrap();
    private(&scratch.path().join("right"), PASSPHRASE);
    private(&scratch.path().join("wrong"), "incorrect horse");
    scratch
}

fn command(dir: &Path, arguments: &str, passphrase: Option<&str>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dawn"));
    command
        .args(arguments.split(' '))
        .current_dir(dir)
        .env_remove("DATABASE_URL")
        .env_remove("DAWN_PASSPHRASE_FILE");
    if let Some(file) = passphrase {
        command.env("DAWN_PASSPHRASE_FILE", file);
    }
    command
}

#[track_caller]
fn ok(dir: &Path, arguments: &str, passphrase: Option<&str>) -> Value {
    let output = command(dir, arguments, passphrase).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{arguments}: {said}");
    serde_json::from_slice(&output.stdout).unwrap_or_default()
}

/// That a process which would serve for ever ends at once with these words, and tells no secret.
#[track_caller]
fn refuses(dir: &Path, arguments: &str, passphrase: Option<&str>, words: &str) {
    let mut child = command(dir, arguments, passphrase)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let begun = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if begun.elapsed() > Duration::from_secs(60) {
            child.kill().unwrap();
            panic!("{arguments}: it runs, {words:?} expected");
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    let said = std::io::read_to_string(child.stderr.take().unwrap()).unwrap();
    assert!(
        !status.success() && said.contains(words),
        "{arguments}: {said}"
    );
    assert!(
        !said.contains("horse") && !said.contains("panicked"),
        "{said}"
    );
}

/// A process that is killed with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = Command::new("kill").arg(self.0.id().to_string()).status();
        let _ = self.0.wait();
    }
}

/// Runs the server until it listens; gives its address.
fn serve(dir: &Path, passphrase: Option<&str>) -> (Running, String) {
    let mut child = command(dir, "aggregator run --config aggregator.toml", passphrase)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let running = Running(child);
    let mut said = Vec::new();
    for line in lines {
        let line = line.unwrap();
        if let Some(url) = line.strip_prefix("listening on ") {
            return (running, url.to_owned());
        }
        said.push(line);
    }
    panic!("the server has stopped: {said:?}");
}

/// Runs a steward until it has opened its memory under its keys: only then it stops when it is asked to, and is not just ended.
fn run_until_asked_to_stop(dir: &Path, name: &str, run: &str) {
    for patience in (8..15).map(|power| Duration::from_millis(1 << power)) {
        let mut running = command(dir, run, Some("right")).spawn().unwrap();
        while !dir.join(name).join("data").exists() && running.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_millis(20));
        }
        std::thread::sleep(patience);
        let asked = Command::new("kill").arg(running.id().to_string()).status();
        assert!(asked.unwrap().success(), "it has ended by itself");
        let status = running.wait().unwrap();
        if status.success() {
            return;
        }
        assert_eq!(status.code(), None, "it has failed: {status}");
    }
    panic!("the steward never stops when it is asked to");
}

fn public(dir: &Path, file: &Path, passphrase: Option<&str>) -> Value {
    let shown = ok(
        dir,
        &format!("key show {} --json", file.display()),
        passphrase,
    );
    shown["public"].clone()
}

fn is_sealed(path: &Path) -> bool {
    let mode = fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600, "{}", path.display());
    fs::read_to_string(path)
        .unwrap()
        .starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----")
}

#[test]
fn a_server_with_encrypted_keys() {
    let scratch = folder();
    let dir = scratch.path();
    let init = |name: &str, data: &str| {
        let listen = "--listen 127.0.0.1:0";
        let words = format!("aggregator init --config {name} --data-dir {data} {listen}");
        ok(dir, &words, None);
    };
    init("aggregator.toml", "data");
    let keys: Vec<PathBuf> = ["aggregator", "log"]
        .map(|name| dir.join(format!("data/keys/{name}.pem")))
        .to_vec();
    // Made plain, encrypted afterwards.
    drop(serve(dir, None));
    let before: Vec<Value> = keys.iter().map(|key| public(dir, key, None)).collect();
    assert!(keys.iter().all(|key| !is_sealed(key)));
    let encrypt = "aggregator encrypt-keys --config aggregator.toml --json --passphrase-file right";
    let done = ok(dir, encrypt, None);
    assert_eq!(done["encrypted"].as_array().unwrap().len(), 2);
    assert!(keys.iter().all(|key| is_sealed(key)));
    // Once more there is nothing to do, whatever the passphrase.
    let again = ok(dir, &encrypt.replace("right", "wrong"), None);
    assert_eq!(again["encrypted"], serde_json::json!([]));
    let run = "aggregator run --config aggregator.toml";
    refuses(
        dir,
        run,
        None,
        "is encrypted: let DAWN_PASSPHRASE_FILE name a file",
    );
    refuses(dir, run, Some("wrong"), "does not open");
    refuses(dir, run, Some("missing"), "cannot read missing");
    fs::write(dir.join("open"), PASSPHRASE).unwrap();
    fs::set_permissions(dir.join("open"), fs::Permissions::from_mode(0o644)).unwrap();
    refuses(dir, run, Some("open"), "chmod 600");
    let after = keys.iter().map(|key| public(dir, key, Some("right")));
    assert_eq!(after.collect::<Vec<_>>(), before);
    drop(serve(dir, Some("right")));
    // A server that is given a passphrase from the start has never had a plain key; without a good one it makes none.
    init("second.toml", "other");
    fs::rename(dir.join("second.toml"), dir.join("aggregator.toml")).unwrap();
    refuses(dir, run, Some("missing"), "cannot read missing");
    assert!(!dir.join("other/keys/aggregator.pem").exists());
    drop(serve(dir, Some("right")));
    for name in ["aggregator", "log"] {
        assert!(is_sealed(&dir.join(format!("other/keys/{name}.pem"))));
    }
}

#[test]
fn a_steward_with_encrypted_keys() {
    let scratch = folder();
    let dir = scratch.path();
    ok(
        dir,
        "aggregator init --config aggregator.toml --data-dir data --listen 127.0.0.1:0",
        None,
    );
    let (_server, url) = serve(dir, None);
    let org = ok(dir, "org init --name north --dir north --json", None);
    let org = org["org"].as_str().unwrap();
    let found = format!(
        "federation found --name Lab --server {url} --org north --out federation.cbor --json"
    );
    ok(dir, &found, None);
    ok(
        dir,
        &format!("org register --dir north --server {url} --json"),
        None,
    );
    let init = |name: &str, more: &str| {
        let words = format!(
            "steward init --dir {name} --guard-dir {name}-guard --server {url} --federation federation.cbor --org {org} --json{more}"
        );
        ok(dir, &words, None)
    };
    let files = |name: &str| ["steward.pem", "vrf.key"].map(|file| dir.join(name).join(file));
    init("plain", "");
    init("sealed", " --passphrase-file right");
    assert!(files("sealed").iter().all(|file| is_sealed(file)));
    assert!(files("plain").iter().all(|file| !is_sealed(file)));
    let [key, vrf] = files("plain");
    let before = (
        public(dir, &key, None),
        vrf_key::read(&vrf).unwrap().public().clone(),
    );
    let encrypt = "steward encrypt-keys --dir plain --passphrase-file right --json";
    assert_eq!(
        ok(dir, encrypt, None)["encrypted"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    assert!(files("plain").iter().all(|file| is_sealed(file)));
    assert_eq!(public(dir, &key, Some("right")), before.0);
    // The seed of beacons is written as a key, and shows the same public half.
    assert_eq!(
        public(dir, &vrf, Some("right")),
        hex::encode(before.1.as_bytes())
    );
    for name in ["plain", "sealed"] {
        let run = format!("steward run --config {name}/steward.toml");
        refuses(
            dir,
            &run,
            None,
            "is encrypted: let DAWN_PASSPHRASE_FILE name a file",
        );
        refuses(dir, &run, Some("wrong"), "does not open");
        refuses(dir, &run, Some("missing"), "cannot read missing");
        let enrol = format!("steward enrol --dir {name} --org north --server {url} --json");
        refuses(dir, &enrol, None, "is encrypted");
        ok(dir, &enrol, Some("right"));
        run_until_asked_to_stop(dir, name, &run);
        // New keys are encrypted under the same passphrase, and those before stay so.
        let replace = format!("steward replace-keys --dir {name} --json");
        refuses(dir, &replace, None, "is encrypted");
        ok(dir, &replace, Some("right"));
        assert!(files(name).iter().all(|file| is_sealed(file)));
        assert_ne!(public(dir, &files(name)[0], Some("right")), before.0);
        for entry in fs::read_dir(dir.join(name)).unwrap() {
            let path = entry.unwrap().path();
            let kind = path.extension().unwrap_or_default();
            if kind == "pem" || kind == "key" {
                assert!(is_sealed(&path), "{}", path.display());
            }
        }
    }
}
