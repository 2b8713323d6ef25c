//! `dawn org rotate` with encrypted keys, and after runs that broke off, against a real server.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use dawn_sim::demo::server::Stage;
use serde_json::Value;

/// A server, and an organisation `north` that has registered with it.
struct Bed {
    scratch: tempfile::TempDir,
    stage: Stage,
    org: String,
}

const BINARY: &str = env!("CARGO_BIN_EXE_dawn");

impl Bed {
    /// The keys of `north` are encrypted, or not.
    async fn open(sealed: bool) -> Self {
        let scratch = tempfile::tempdir().unwrap();
        let stage = Stage::open(Path::new(BINARY), scratch.path())
            .await
            .unwrap();
        let mut bed = Self {
            scratch,
            stage,
            org: String::new(),
        };
        let passphrase = bed.path("passphrase");
        fs::write(&passphrase, "battery staple\n").unwrap();
        fs::set_permissions(&passphrase, fs::Permissions::from_mode(0o600)).unwrap();
        let made = bed.ok("org init --name north --dir north");
        bed.org = made["org"].as_str().unwrap().to_owned();
        if sealed {
            for name in ["root", "issuer"] {
                bed.ok(&format!(
                    "key encrypt north/{name}.pem --out sealed.pem --passphrase-file passphrase"
                ));
                fs::rename(
                    bed.path("sealed.pem"),
                    bed.path(&format!("north/{name}.pem")),
                )
                .unwrap();
            }
        }
        bed.ok("federation found --name Lab --server SERVER --org north --out federation.cbor");
        bed.ok("org register --dir north --server SERVER");
        bed
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.scratch.path().join(name)
    }

    fn ok(&self, command: &str) -> Value {
        let line = command.replace("SERVER", self.stage.url());
        let output = Command::new(BINARY)
            .args(line.split(' '))
            .arg("--json")
            .current_dir(self.scratch.path())
            .env("DAWN_PASSPHRASE_FILE", "passphrase")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{command}: {said}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    fn public(&self, file: &str) -> Value {
        self.ok(&format!("key show {file}"))["public"].clone()
    }

    async fn shown(&self) -> Value {
        let org = self.org.parse().unwrap();
        self.stage.api().org(&org).await.unwrap()
    }

    /// A copy of a folder, as it was when a run broke off.
    fn copy(&self, from: &str, to: &str) {
        fs::create_dir(self.path(to)).unwrap();
        for entry in fs::read_dir(self.path(from)).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), self.path(to).join(entry.file_name())).unwrap();
        }
    }

    /// Files of a folder with a secret key that is not encrypted.
    fn in_clear(&self, folder: &str) -> Vec<std::path::PathBuf> {
        let files = fs::read_dir(self.path(folder)).unwrap();
        let paths = files.map(|entry| entry.unwrap().path());
        paths
            .filter(|path| {
                let text = fs::read(path).unwrap();
                String::from_utf8_lossy(&text).contains("-----BEGIN PRIVATE KEY-----")
            })
            .collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_takes_the_place_of_an_encrypted_key_is_encrypted() {
    let bed = Bed::open(true).await;
    for (option, name) in [("--root", "root"), ("--issuer", "issuer")] {
        let file = format!("north/{name}.pem");
        let before = bed.public(&file);
        bed.ok(&format!("org rotate {option} --dir north --server SERVER"));
        assert_ne!(bed.public(&file), before);
        assert_eq!(bed.in_clear("north"), [] as [std::path::PathBuf; 0]);
    }
    assert_eq!(bed.shown().await["root_key"], bed.public("north/root.pem"));
    // A run of an older version broke off, and has left its next key in clear.
    let left = bed.ok("key new --out north/root.next.pem")["public"].clone();
    bed.ok("org rotate --root --dir north --server SERVER");
    assert_eq!(bed.public("north/root.pem"), left);
    assert_eq!(bed.in_clear("north"), [] as [std::path::PathBuf; 0]);
    assert_eq!(bed.ok("org show --dir north")["org"], bed.org.as_str());
    bed.stage.close().unwrap();
}

/// The next key is on disk, the register has it, and the run broke off before the files were moved: the same command ends it,
/// and nothing is in the register twice.
#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_that_broke_off_is_finished_by_the_same_command() {
    let bed = Bed::open(false).await;
    let first = bed.public("north/issuer.pem");
    // After the revocation.
    let next = bed.ok("key new --out north/issuer.next.pem")["public"].clone();
    bed.copy("north", "broken");
    bed.ok("org rotate --issuer --revoke --dir north --server SERVER");
    let register = bed.shown().await;
    assert_eq!(register["issuers"], Value::from([next.clone()].to_vec()));
    bed.ok("org rotate --issuer --revoke --dir broken --server SERVER");
    assert_eq!(bed.shown().await, register);
    assert_eq!(bed.public("broken/issuer.pem"), next);
    assert!(!bed.path("broken/issuer.next.pem").exists());
    let former = fs::read_dir(bed.path("broken"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .find(|name| name.starts_with("issuer.former-"))
        .unwrap();
    assert_eq!(bed.public(&format!("broken/{former}")), first);
    // After the announcement: the revocation is all that is missing.
    let next = bed.ok("key new --out north/issuer.next.pem")["public"].clone();
    bed.copy("north", "announced");
    bed.ok("org rotate --issuer --dir north --server SERVER");
    let sequence = bed.shown().await["sequence"].as_u64().unwrap();
    bed.ok("org rotate --issuer --revoke --dir announced --server SERVER");
    let shown = bed.shown().await;
    assert_eq!(shown["sequence"], sequence + 1);
    assert_eq!(shown["issuers"], Value::from([next].to_vec()));
    // The root key, after its issuer was announced.
    bed.ok("key new --out north/root.next.pem");
    bed.copy("north", "root");
    bed.ok("org rotate --root --dir north --server SERVER");
    let register = bed.shown().await;
    bed.ok("org rotate --root --dir root --server SERVER");
    assert_eq!(bed.shown().await, register);
    assert_eq!(register["root_key"], bed.public("root/root.pem"));
    // Between the two files: the key is new, the certificate is not.
    bed.copy("north", "between");
    bed.ok("org rotate --issuer --dir north --server SERVER");
    let register = bed.shown().await;
    for (from, to) in [
        ("issuer.pem", "issuer.pem"),
        ("issuer.cose", "issuer.next.cose"),
    ] {
        let (from, to) = (format!("north/{from}"), format!("between/{to}"));
        fs::copy(bed.path(&from), bed.path(&to)).unwrap();
    }
    let done = bed.ok("org rotate --issuer --dir between --server SERVER");
    assert_eq!(done["finished"], true);
    assert_eq!(bed.shown().await, register, "and does nothing else");
    assert_eq!(bed.ok("org show --dir between")["org"], bed.org.as_str());
    assert_eq!(
        bed.public("between/issuer.pem"),
        bed.public("north/issuer.pem")
    );
    bed.stage.close().unwrap();
}
