//! The server's keys are replaced by the commands of the runbook (docs/operations.md), with real processes: stewards, devices,
//! auditors and copies of the log go on without being told.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::process::Command;

use common::Testbed;
use dawn_identity::{FoundingDocument, Register};
use dawn_protocol::{RoundId, RoundSpec};
use dawn_sim::demo::federation::write_key;
use serde_json::Value;

const BINARY: &str = env!("CARGO_BIN_EXE_dawn");

fn run(bed: &Testbed, command: &str) -> (bool, String, String) {
    let line = command
        .replace("SERVER", bed.stage.url())
        .replace("PIN", &bed.founded.founding.digest().to_string())
        .replace("KEYS", bed.stage.keys().to_str().unwrap());
    let output = Command::new(BINARY)
        .args(line.split(' '))
        .arg("--json")
        .current_dir(bed.scratch.path())
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (
        output.status.success(),
        text(&output.stdout),
        text(&output.stderr),
    )
}

fn ok(bed: &Testbed, command: &str) -> Value {
    let (succeeded, said, error) = run(bed, command);
    assert!(succeeded, "{command}: {error}");
    serde_json::from_str(said.lines().last().unwrap()).unwrap()
}

fn refused(bed: &Testbed, command: &str) -> String {
    let (succeeded, said, error) = run(bed, command);
    assert!(!succeeded, "{command}: {said}");
    error
}

/// The founders' folders, as `dawn org init` leaves them.
fn save_founders(bed: &Testbed) {
    fs::write(
        bed.scratch.path().join("federation.cbor"),
        bed.founded.founding.to_bytes(),
    )
    .unwrap();
    for (index, member) in bed.founded.members.iter().enumerate() {
        let folder = bed.scratch.path().join(format!("founder-{index}"));
        fs::create_dir(&folder).unwrap();
        let organisation = &member.organisation;
        write_key(&folder.join("root.pem"), organisation.root()).unwrap();
        write_key(&folder.join("issuer.pem"), organisation.issuer()).unwrap();
        fs::write(
            folder.join("issuer.cose"),
            organisation.certificate().bytes(),
        )
        .unwrap();
        fs::write(folder.join("name"), organisation.name()).unwrap();
    }
}

/// Proposes, signs with a quorum, restarts the server, posts.
async fn replace(bed: &mut Testbed, role: &str) -> Value {
    let change = format!("{role}.change");
    let _ = fs::remove_file(bed.scratch.path().join(&change));
    let made = ok(
        bed,
        &format!("federation propose-key --server SERVER --role {role} --keys KEYS --out {change}"),
    );
    let early = refused(
        bed,
        &format!("federation replace-key --server SERVER --change {change} --org founder-0"),
    );
    assert!(early.contains("signed"), "{early}");
    for founders in ["--org founder-0 --org founder-1", "--org founder-2"] {
        ok(
            bed,
            &format!(
                "federation sign-key --change {change} --founding federation.cbor --federation PIN {founders}"
            ),
        );
    }
    bed.stage.kill_aggregator().unwrap();
    bed.stage.start_aggregator().await.unwrap();
    ok(
        bed,
        &format!("federation replace-key --server SERVER --change {change} --org founder-2"),
    );
    made["key"].clone()
}

async fn signer(bed: &Testbed, number: u32) -> String {
    let round = RoundId::new(bed.task, number);
    let entries = bed.stage.api().statements(&round).await.unwrap();
    let spec = entries
        .iter()
        .find_map(|entry| dawn_identity::Signed::<RoundSpec>::from_bytes(&entry.envelope).ok());
    spec.unwrap().signer().to_string()
}

/// The head of a CBOR array or byte string.
fn head(major: u8, len: usize) -> Vec<u8> {
    match len {
        0..24 => vec![major + len as u8],
        24..256 => vec![major + 24, len as u8],
        _ => [vec![major + 25], (len as u16).to_be_bytes().to_vec()].concat(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_runbook_replaces_each_key_between_rounds_and_in_the_middle_of_one() {
    let mut bed = Testbed::with_rounds(4, 8, 120_000, 4).await;
    save_founders(&bed);
    bed.submit().await;
    bed.round(1, &["done"]).await;
    assert_eq!(bed.audit().await, "PASS");
    ok(&bed, "log export --server SERVER --federation PIN copy");
    ok(
        &bed,
        "log prove --server SERVER --federation PIN 3 --out old.tlog-proof",
    );
    let verify = "--founding federation.cbor --federation PIN";
    ok(
        &bed,
        &format!("log verify old.tlog-proof old.entry {verify}"),
    );
    // The log's key, while round 2 is on its way: it does not disturb it.
    bed.round(2, &["collecting"]).await;
    let log_key = replace(&mut bed, "log").await;
    bed.submit().await;
    bed.round(2, &["done"]).await;
    // The aggregator's key, in the middle of round 3.
    bed.round(3, &["collecting"]).await;
    let before = signer(&bed, 3).await;
    replace(&mut bed, "aggregator").await;
    let ended = bed.round(3, &["aborted"]).await;
    assert_eq!(ended["abort_reason"], "key-replaced");
    bed.round(4, &["collecting"]).await;
    assert_ne!(signer(&bed, 4).await, before);
    bed.submit().await;
    bed.round(4, &["done"]).await;
    // Everybody agrees: the auditor from the service and from the files, the copy that goes on, new proofs.
    assert_eq!(bed.audit().await, "PASS");
    ok(&bed, "audit verify audit --federation PIN");
    ok(&bed, "log export --server SERVER --federation PIN copy");
    let proven = ok(
        &bed,
        "log prove --server SERVER --federation PIN 3 --out new.tlog-proof",
    );
    assert!(
        proven["verifier_key"].as_str().unwrap().len() > 40,
        "{log_key}"
    );
    let unknown = refused(
        &bed,
        &format!("log verify new.tlog-proof new.entry {verify}"),
    );
    assert!(unknown.contains("--register"), "{unknown}");
    let document: FoundingDocument = bed.founded.founding.clone();
    let mut register = Register::new(&document.verify().unwrap());
    bed.stage
        .api()
        .extend_register(&mut register, None)
        .await
        .unwrap();
    let mut page = head(0x80, register.entries().len());
    for entry in register.entries() {
        page.extend(head(0x40, entry.bytes().len()));
        page.extend(entry.bytes());
    }
    fs::write(bed.scratch.path().join("register.cbor"), page).unwrap();
    ok(
        &bed,
        &format!("log verify new.tlog-proof new.entry {verify} --register register.cbor"),
    );
    // A proof under the key that was replaced could be a thief's.
    let old = refused(
        &bed,
        &format!("log verify old.tlog-proof old.entry {verify} --register register.cbor"),
    );
    assert!(old.contains("replaced"), "{old}");
    lost(&mut bed).await;
    bed.stage.close().unwrap();
}

/// Every file of the aggregator's key is lost: the server does not start with another one, but with one that waits.
async fn lost(bed: &mut Testbed) {
    bed.stage.kill_aggregator().unwrap();
    for name in ["aggregator.pem", "aggregator.next.pem"] {
        fs::remove_file(bed.stage.keys().join(name)).unwrap();
    }
    ok(bed, "key new --out KEYS/aggregator.next.pem");
    bed.stage.start_aggregator().await.unwrap();
    let waiting = ok(bed, "key show KEYS/aggregator.next.pem");
    let new = replace(bed, "aggregator").await;
    assert_eq!(new, waiting["public"]);
    assert_eq!(bed.audit().await, "PASS");
    // That key is the server's now: it is not proposed again.
    let again = refused(
        bed,
        "federation propose-key --server SERVER --role aggregator --keys KEYS --out again.change",
    );
    assert!(again.contains("move it to aggregator.pem"), "{again}");
}
