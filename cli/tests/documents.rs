//! The documents that a newcomer follows are run as they stand.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use dawn_crypto::params;
use dawn_crypto::shamir::Threshold;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_path_buf()
}

/// The shell blocks of a document.
fn shell_blocks(document: &str) -> Vec<String> {
    let text = fs::read_to_string(root().join(document)).unwrap();
    text.split("```sh\n")
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap().to_owned())
        .collect()
}

/// The tutorial, in a folder of its own, with the binary that was just built and a free port.
#[test]
fn the_tutorial_works_as_printed() {
    let scratch = tempfile::tempdir().unwrap();
    // As root, Postgres runs as another user, who must be able to pass through this folder. Whatever happens, it goes.
    let server = tempfile::Builder::new()
        .prefix("dawn-lab-")
        .tempdir()
        .unwrap();
    fs::set_permissions(server.path(), fs::Permissions::from_mode(0o711)).unwrap();
    let server_dir = server.path().join("aggregator");
    std::os::unix::fs::symlink(root().join("data"), scratch.path().join("data")).unwrap();
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let mut blocks = shell_blocks("docs/tutorial.md");
    assert_eq!(
        blocks.len(),
        15,
        "the tutorial has other blocks than this test knows"
    );
    // Python makes virtual environments only where the system has what that takes; CI has, and may not leave it out.
    let python = ["-c", "import ensurepip, venv"];
    let python = Command::new("python3").args(python).status().unwrap();
    if !python.success() && std::env::var_os("DAWN_CI").is_none() {
        eprintln!("skipped: the steps of the tutorial that need python3-venv");
        blocks.retain(|block| !block.contains("lab/python/bin/pip") && !block.contains("$EAST | "));
    }
    // The binary is there already: building it again would wait for the lock that the test run holds.
    let script = blocks
        .concat()
        .replace(
            "cargo build --locked --workspace --bin dawn --example edge_app\n",
            "",
        )
        .replace("/tmp/dawn-lab-$$", &server_dir.display().to_string())
        .replace(
            "$PWD/target/debug",
            env!("CARGO_BIN_EXE_dawn").trim_end_matches("/dawn"),
        )
        .replace("127.0.0.1:8080", &format!("127.0.0.1:{port}"));
    let script =
        format!("set -eu\ntrap 'kill $(jobs -p) 2>/dev/null || true; wait' EXIT\n{script}");
    let run = Command::new("timeout")
        .args(["--signal=TERM", "400", "bash", "-c", &script])
        .current_dir(scratch.path())
        .env_remove("DATABASE_URL")
        .output()
        .unwrap();
    let shown = format!(
        "{}\n{}\n{}",
        String::from_utf8_lossy(&run.stdout),
        String::from_utf8_lossy(&run.stderr),
        fs::read_to_string(scratch.path().join("lab/aggregator.log")).unwrap_or_default()
    );
    assert!(run.status.success(), "{shown}");
    assert_eq!(shown.matches("took part in 2 rounds").count(), 7, "{shown}");
    // Both rounds accepted everybody, the device of the new organisation among them.
    assert_eq!(shown.matches("\"accepted\":7").count(), 2, "{shown}");
    assert!(shown.contains("the nonce was used before"), "{shown}");
    // From the service and from the files, and once more after a device was revoked.
    assert!(
        shown.matches("PASS").count() >= 3 - usize::from(!python.success())
            && !shown.contains("FAIL"),
        "{shown}"
    );
    // Its last step leaves no keys behind.
    assert!(!server_dir.exists() && !scratch.path().join("lab").exists());
}

/// The two commands of the README are targets of the Makefile that do what the README says: the demo
/// is the command that `tests/demo.rs` runs, the tests are what runs this.
#[test]
fn the_readme_promises_what_the_makefile_does() {
    let commands: Vec<String> = shell_blocks("README.md")
        .concat()
        .lines()
        .map(|line| line.split('#').next().unwrap().trim().to_owned())
        .filter(|line| !line.is_empty())
        .collect();
    assert_eq!(
        commands,
        [
            "make demo",
            "make test",
            "make demo ARGS=\"--epsilon 8\"",
            "make demo ARGS=\"--attack scale\"",
            "make demo ARGS=\"--attack alie --steward-attack wrong-answers\"",
            "make demo ARGS=\"--attack within-bound --filter direction\"",
            "target/debug/dawn audit verify dawn-demo/transcripts",
            // These are run by `tests/strangers.rs`.
            "dawn client prove URL --device DIR --task TASK --round 1",
            "dawn audit watch URL --state watched --federation DIGEST --once",
            "dawn log export --server URL --federation DIGEST log",
            "dawn log prove --server URL --federation DIGEST 3 --out fourth.tlog-proof",
            "dawn log verify fourth.tlog-proof fourth.entry --founding federation.cbor --federation DIGEST"
        ]
    );
    for (target, expected) in [
        ("demo", "/debug/dawn\" demo"),
        ("demo", "cargo build --locked --workspace --bin dawn"),
        ("demo", "tools/setup.sh"),
        ("test", "tools/setup.sh"),
        ("test", "tools/test.sh"),
    ] {
        let plan = Command::new("make")
            .args(["-n", target])
            .current_dir(root())
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&plan.stdout).into_owned();
        assert!(plan.status.success() && text.contains(expected), "{text}");
    }
}

/// Without line breaks, so that a sentence is found wherever its lines end.
fn prose(document: &str) -> String {
    let text = fs::read_to_string(root().join(document)).unwrap();
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ")
}

/// What the README says about installing is what tools/setup.sh does on a machine where nothing is
/// there: as root, with a sudo that asks for no password, and with one that does.
#[test]
fn the_readme_says_how_missing_programs_are_installed() {
    let says = prose("README.md");
    for sentence in [
        "Both need PostgreSQL, a C compiler and Python 3.",
        "`make test` also installs Go with `golang-golang-x-mod-dev` and `python3-venv` where it can",
        "If they are missing they are installed with `apt-get` (as root or with passwordless `sudo`); otherwise you get the one command to run first.",
    ] {
        assert!(says.contains(sentence), "{sentence}");
    }
    for (user, sudo, installs) in [
        ("0", "exit 1", true),
        ("1000", "shift; exec \"$@\"", true),
        ("1000", "exit 1", false),
    ] {
        let bin = tempfile::tempdir().unwrap();
        let log = bin.path().join("installed");
        let stub = |name: &str, script: &str| {
            let path = bin.path().join(name);
            fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        };
        for there in ["cargo", "initdb", "postgres", "true"] {
            stub(there, "exit 0");
        }
        stub("id", &format!("echo {user}"));
        stub("sudo", sudo);
        stub("env", "shift; exec \"$@\"");
        stub("apt-get", &format!("echo \"$@\" >> {}", log.display()));
        let run = Command::new("/bin/bash")
            .arg(root().join("tools/setup.sh"))
            .env("PATH", bin.path())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&run.stderr).into_owned();
        let installed = fs::read_to_string(&log).unwrap_or_default();
        let packages = "install -y --no-install-recommends gcc libc6-dev python3";
        assert_eq!(run.status.success(), installs, "{said}");
        if installs {
            assert_eq!(installed.trim(), packages, "{said}");
        } else {
            assert_eq!(installed, "");
            assert!(
                said.contains(&format!("Run:  sudo apt-get {packages}")),
                "{said}"
            );
        }
    }
    let setup = fs::read_to_string(root().join("tools/setup.sh")).unwrap();
    for line in [
        "has_postgres || missing+=(postgresql)",
        "has_tlog_verifier || wanted+=(golang-go golang-golang-x-mod-dev)",
        "wanted+=(python3-venv)",
    ] {
        assert!(setup.contains(line), "{line}");
    }
}

/// The README's numbers about the demo's stewards, its sizes and its models follow from the code.
#[test]
fn the_readme_says_what_the_demo_is() {
    let says = prose("README.md");
    let faulty = dawn_sim::demo::tolerated(6);
    let t = Threshold::new(6, faulty).unwrap();
    let model = |private| dawn_sim::demo::DataSource::Digits.model(private);
    for sentence in [
        format!(
            "Of the demo's six (m = 6) at most {} (f = {faulty}) may be malicious; {} (T) open a sum and {} (A) must agree on what is in it, so that a round survives {} that is offline or lying",
            in_words(faulty),
            in_words(t.t()),
            in_words(t.a()),
            in_words(t.m() - t.a())
        ),
        format!("it trains `{}`", model(false)),
        format!("with `--epsilon` `{}`", model(true)),
        format!(
            "(rounded up to blocks of {} parameters, and one block more)",
            params::N
        ),
        "do not protect real people with it yet".into(),
    ] {
        assert!(says.contains(&sentence), "{sentence}");
    }
}

fn in_words(number: u8) -> &'static str {
    ["none", "one", "two", "three", "four", "five", "six"][usize::from(number)]
}

/// Every term that the README and the demo use without saying what it means is in the glossary.
#[test]
fn the_glossary_has_the_terms_of_the_readme() {
    let glossary = fs::read_to_string(root().join("docs/glossary.md")).unwrap();
    for term in [
        "Ring-LWE",
        "clip",
        "noise",
        "steward",
        "sealing key",
        "endorsement",
        "package report",
        "key share",
        "RoundSpec",
        "Closed{root}",
        "Verdict",
        "T of m",
        "roster",
        "transcript",
        "log",
        "witness",
        "plain",
        "epsilon, delta",
        "beacon",
        "norm proof",
        "receipt",
        "Challenge",
        "founding document",
        "checkpoint",
        "auditor",
    ] {
        assert!(glossary.contains(&format!("| **{term}**")), "{term}");
    }
}

/// Every file that a document of the project points to is there.
#[test]
fn documents_point_to_files_that_exist() {
    let mut checked = 0;
    let documents = fs::read_dir(root().join("docs"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .chain(
            [
                "README.md",
                "CONTRIBUTING.md",
                "SECURITY.md",
                "CHANGELOG.md",
            ]
            .map(|name| root().join(name)),
        )
        .filter(|path| path.extension().is_some_and(|e| e == "md"));
    for document in documents {
        let text = fs::read_to_string(&document).unwrap();
        for word in text.split(['`', '(', ')', ' ', '\n']) {
            let path = word.trim_end_matches(['.', ',', ':']);
            let known = [
                "docs/",
                "data/",
                "tools/",
                "test_vectors/",
                "client/",
                "aggregator/src/",
                "steward/src/",
                "migrations/",
            ];
            if known.iter().any(|prefix| path.starts_with(prefix))
                && path.contains('.')
                && !path.contains(['*', '{', '<'])
            {
                let path = path
                    .split(['#', '?'])
                    .next()
                    .unwrap()
                    .split("::")
                    .next()
                    .unwrap();
                assert!(
                    root().join(path).exists(),
                    "{} points to {path}",
                    document.display()
                );
                checked += 1;
            }
        }
    }
    assert!(
        checked > 10,
        "only {checked} references found: is the search still right?"
    );
}
