//! `dawn key` with the files of other tools.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

fn dawn(dir: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_dawn"))
        .args(arguments)
        .current_dir(dir)
        .env("DAWN_PASSPHRASE_FILE", "passphrase")
        .output()
        .unwrap()
}

fn json(output: &Output) -> Value {
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).unwrap()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn private(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

#[test]
fn keys_go_through_every_form_and_stay_the_same() {
    let scratch = tempfile::tempdir().unwrap();
    let dir = scratch.path();
    private(&dir.join("passphrase"), "battery staple\n");
    let made = json(&dawn(dir, &["key", "new", "--out", "a.pem", "--json"]));
    let steps: [&[&str]; 7] = [
        &[
            "key",
            "encrypt",
            "a.pem",
            "--out",
            "sealed.pem",
            "--passphrase-file",
            "passphrase",
        ],
        &[
            "key",
            "export",
            "sealed.pem",
            "--secret",
            "--format",
            "jwk",
            "--out",
            "a.jwk",
        ],
        &[
            "key",
            "import",
            "a.jwk",
            "--out",
            "b.pem",
            "--passphrase-file",
            "passphrase",
        ],
        &["key", "export", "b.pem", "--secret", "--out", "c.pem"],
        &["key", "export", "c.pem", "--out", "public.pem"],
        &[
            "key",
            "export",
            "c.pem",
            "--format",
            "jwk",
            "--out",
            "public.jwk",
        ],
        &[
            "key",
            "new",
            "--out",
            "other.pem",
            "--passphrase-file",
            "passphrase",
        ],
    ];
    for step in steps {
        let shown = json(&dawn(dir, &[step, &["--json"]].concat()));
        let same = shown["thumbprint"] == made["thumbprint"];
        assert_eq!(same, step[1] != "new", "{step:?}");
    }
    for file in [
        "a.pem",
        "sealed.pem",
        "a.jwk",
        "b.pem",
        "c.pem",
        "public.pem",
        "public.jwk",
    ] {
        let shown = json(&dawn(dir, &["key", "show", file, "--json"]));
        assert_eq!(shown["public"], made["public"], "{file}");
        let expected = if file.starts_with("public") {
            0o644
        } else {
            0o600
        };
        assert_eq!(mode(&dir.join(file)), expected, "{file}");
    }
    let text = |name: &str| fs::read_to_string(dir.join(name)).unwrap();
    assert!(text("sealed.pem").contains("ENCRYPTED") && text("b.pem").contains("ENCRYPTED"));
    assert_eq!(text("c.pem"), text("a.pem"));
    assert!(!text("public.jwk").contains("\"d\""));
}

#[test]
fn refusals_say_what_to_do() {
    let scratch = tempfile::tempdir().unwrap();
    let dir = scratch.path();
    private(&dir.join("passphrase"), "right");
    private(&dir.join("wrong"), "wrong");
    let refused = |command: &mut Command, what: &str| {
        let output = command.current_dir(dir).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && said.contains(what), "{said}");
        assert!(!said.contains("right"), "{said}");
    };
    let bare = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dawn"));
        command.args(arguments).env_remove("DAWN_PASSPHRASE_FILE");
        command
    };
    json(&dawn(
        dir,
        &[
            "key",
            "new",
            "--out",
            "k.pem",
            "--passphrase-file",
            "passphrase",
            "--json",
        ],
    ));
    refused(
        &mut bare(&["key", "show", "k.pem"]),
        "let DAWN_PASSPHRASE_FILE name a file",
    );
    refused(
        bare(&["key", "show", "k.pem"]).env("DAWN_PASSPHRASE_FILE", "wrong"),
        "does not open",
    );
    refused(
        &mut bare(&["key", "new", "--out", "k.pem"]),
        "never overwritten",
    );
    for (file, text) in [("open", "right"), ("key.jwk", "{}")] {
        fs::write(dir.join(file), text).unwrap();
        fs::set_permissions(dir.join(file), fs::Permissions::from_mode(0o644)).unwrap();
    }
    refused(
        bare(&["key", "show", "k.pem"]).env("DAWN_PASSPHRASE_FILE", "open"),
        "chmod 600",
    );
    refused(
        &mut bare(&["key", "import", "key.jwk", "--out", "x.pem"]),
        "chmod 600",
    );
    private(&dir.join("empty"), "\n");
    refused(
        &mut bare(&["key", "new", "--out", "x.pem", "--passphrase-file", "empty"]),
        "no passphrase",
    );
    assert!(!dir.join("x.pem").exists());
}

/// Both ways with OpenSSL, where it is installed: an organisation's keys may be made by it.
#[test]
fn an_organisation_uses_keys_of_openssl() {
    if Command::new("openssl").arg("version").output().is_err() {
        eprintln!("openssl is not installed: nothing compared");
        return;
    }
    let scratch = tempfile::tempdir().unwrap();
    let dir = scratch.path();
    private(&dir.join("passphrase"), "battery staple");
    let openssl = |arguments: &[&str]| {
        let output = Command::new("openssl")
            .args(arguments)
            .current_dir(dir)
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    };
    let pass = [
        "-aes-256-cbc",
        "-pass",
        "file:passphrase",
        "-out",
        "theirs.pem",
    ];
    openssl(&[&["genpkey", "-algorithm", "ed25519"][..], &pass].concat());
    fs::set_permissions(dir.join("theirs.pem"), fs::Permissions::from_mode(0o600)).unwrap();
    json(&dawn(
        dir,
        &[
            "key",
            "export",
            "theirs.pem",
            "--out",
            "theirs.pub",
            "--json",
        ],
    ));
    let expected = openssl(&[
        "pkey",
        "-in",
        "theirs.pem",
        "-passin",
        "file:passphrase",
        "-pubout",
    ]);
    assert_eq!(
        fs::read_to_string(dir.join("theirs.pub")).unwrap(),
        expected
    );
    json(&dawn(
        dir,
        &[
            "key",
            "new",
            "--out",
            "ours.pem",
            "--passphrase-file",
            "passphrase",
            "--json",
        ],
    ));
    json(&dawn(
        dir,
        &["key", "export", "ours.pem", "--out", "ours.pub", "--json"],
    ));
    let expected = openssl(&[
        "pkey",
        "-in",
        "ours.pem",
        "-passin",
        "file:passphrase",
        "-pubout",
    ]);
    assert_eq!(fs::read_to_string(dir.join("ours.pub")).unwrap(), expected);
    // In the place of a key that we made.
    let organisation = dawn(
        dir,
        &[
            "org",
            "init",
            "--name",
            "Org",
            "--dir",
            "org",
            "--root-key",
            "theirs.pem",
            "--json",
        ],
    );
    let made = json(&organisation);
    let shown = json(&dawn(dir, &["org", "show", "--dir", "org", "--json"]));
    assert_eq!(shown["org"], made["org"]);
    assert_eq!(
        shown["root"],
        json(&dawn(dir, &["key", "show", "theirs.pem", "--json"]))["public"]
    );
    // It is kept as it came: encrypted.
    assert!(
        fs::read_to_string(dir.join("org/root.pem"))
            .unwrap()
            .contains("ENCRYPTED")
    );
}
