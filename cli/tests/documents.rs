//! The documents that a newcomer follows are run as they stand.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

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
    std::os::unix::fs::symlink(root().join("data"), scratch.path().join("data")).unwrap();
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let blocks = shell_blocks("docs/tutorial.md");
    assert_eq!(
        blocks.len(),
        9,
        "the tutorial has other blocks than this test knows"
    );
    // The binary is there already: building it again would wait for the lock that the test run holds.
    let script = blocks
        .concat()
        .replace("cargo build --locked -p dawn-cli --bin dawn\n", "")
        .replace(
            "$PWD/target/debug",
            env!("CARGO_BIN_EXE_dawn").trim_end_matches("/dawn"),
        )
        .replace("127.0.0.1:8080", &format!("127.0.0.1:{port}"));
    let script = format!("set -eu\ntrap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n{script}");
    let run = Command::new("timeout")
        .args(["--signal=TERM", "280", "bash", "-c", &script])
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
    assert_eq!(shown.matches("took part in 2 rounds").count(), 6, "{shown}");
    // Once from the service, once from the files.
    assert!(
        shown.matches("PASS").count() >= 2 && !shown.contains("FAIL"),
        "{shown}"
    );
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
            "target/debug/dawn audit verify dawn-demo/transcripts"
        ]
    );
    for (target, expected) in [("demo", "--bin dawn -- demo"), ("test", "tools/test.sh")] {
        let plan = Command::new("make")
            .args(["-n", target])
            .current_dir(root())
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&plan.stdout).into_owned();
        assert!(plan.status.success() && text.contains(expected), "{text}");
    }
    let setup = Command::new("make")
        .args(["-n", "demo"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(
        String::from_utf8_lossy(&setup.stdout).contains("setup"),
        "demo does not set up"
    );
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
