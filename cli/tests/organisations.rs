//! The life of an organisation with the command line, against a real server.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;
use std::process::Command;

use dawn_sim::demo::server::Stage;
use serde_json::Value;

#[tokio::test(flavor = "multi_thread")]
async fn an_organisation_comes_changes_and_leaves() {
    let scratch = tempfile::tempdir().unwrap();
    let binary = Path::new(env!("CARGO_BIN_EXE_dawn"));
    let stage = Stage::open(binary, scratch.path()).await.unwrap();
    let dir = scratch.path();
    let run = |command: &str| {
        let command = command.replace("SERVER", stage.url());
        let output = Command::new(binary)
            .args(command.split(' '))
            .arg("--json")
            .current_dir(dir)
            .output()
            .unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        match output.status.success() {
            true => Ok::<Value, String>(serde_json::from_slice(&output.stdout).unwrap()),
            false => Err(said),
        }
    };
    let ok = |command: &str| run(command).unwrap_or_else(|error| panic!("{command}: {error}"));
    for name in ["north", "south", "east"] {
        ok(&format!("org init --name {name} --dir {name}"));
    }
    ok(
        "federation found --name Lab --server SERVER --org north --org south --approvals 2 --out federation.cbor",
    );
    assert_eq!(
        ok("federation show federation.cbor")["admission"]["approvals"],
        2
    );
    ok("org register --dir north --server SERVER");
    ok("org register --dir south --server SERVER");
    let east = ok("org register --dir east --server SERVER")["org"]
        .as_str()
        .unwrap()
        .to_owned();
    let shown = async || stage.api().org(&east.parse().unwrap()).await.unwrap();
    assert_eq!(shown().await["status"], "pending");
    assert!(
        run("org rotate --root --dir east --server SERVER").is_err(),
        "it is no member yet"
    );
    ok(&format!("org approve --dir north --server SERVER {east}"));
    // Once more: the same bytes are the same approval, others are refused; either way it counts once.
    let _ = run(&format!("org approve --dir north --server SERVER {east}"));
    assert_eq!(
        (&shown().await["status"], &shown().await["approvals"]),
        (&"pending".into(), &1.into())
    );
    ok(&format!("org approve --dir south --server SERVER {east}"));
    assert_eq!(shown().await["status"], "member");

    // Another one gives its registration to a founder, and the server is told nothing.
    let west = ok("org init --name west --dir west")["org"]
        .as_str()
        .unwrap()
        .to_owned();
    let unknown = run(&format!("org approve --dir north --server SERVER {west}"));
    assert!(unknown.unwrap_err().contains("--registration"));
    ok("federation registration --org west --federation federation.cbor --out west.cose");
    let other = run(&format!(
        "org approve --dir north --server SERVER --registration west.cose {east}"
    ));
    assert!(
        other
            .unwrap_err()
            .contains(&format!("is of organisation {west}"))
    );
    let mut forged = std::fs::read(dir.join("west.cose")).unwrap();
    *forged.last_mut().unwrap() ^= 1;
    std::fs::write(dir.join("forged.cose"), forged).unwrap();
    let by_hand = format!("org approve --dir north --server SERVER --registration FILE {west}");
    assert!(run(&by_hand.replace("FILE", "forged.cose")).is_err());
    let approved = ok(&by_hand.replace("FILE", "west.cose"));
    assert_eq!(approved["name"], "west");
    // The next founder finds it in the register.
    ok(&format!("org approve --dir south --server SERVER {west}"));
    let shown_west = stage.api().org(&west.parse().unwrap()).await.unwrap();
    assert_eq!(shown_west["status"], "member");

    // The root key is replaced; the organisation stays what it is, with its issuer.
    let before = ok("key show east/root.pem");
    let rotated = ok("org rotate --root --dir east --server SERVER");
    assert_eq!(rotated["org"], east.as_str());
    let now = ok("key show east/root.pem");
    assert_ne!(now["public"], before["public"]);
    let former = format!(
        "east/root.former-{}.pem",
        before["thumbprint"].as_str().unwrap()
    );
    assert_eq!(
        ok(&format!("key show {former}"))["public"],
        before["public"]
    );
    assert_eq!(ok("org show --dir east")["org"], east.as_str());
    let state = shown().await;
    assert_eq!(
        (&state["root_key"], &state["sequence"]),
        (&now["public"], &2.into())
    );

    let first = ok("key show east/issuer.pem");
    ok("org rotate --issuer --dir east --server SERVER");
    assert_eq!(shown().await["issuers"].as_array().unwrap().len(), 2);
    ok("org rotate --issuer --revoke --dir east --server SERVER");
    let state = shown().await;
    assert_eq!(state["issuers"].as_array().unwrap().len(), 2);
    let id = first["key_id"].as_str().unwrap();
    ok(&format!(
        "org revoke --dir east --server SERVER --issuer {id}"
    ));
    let issuers = shown().await["issuers"].as_array().unwrap().clone();
    assert_eq!(issuers, [ok("key show east/issuer.pem")["public"].clone()]);

    // The issuer's machine has no root key.
    let root = |from: &str, to: &str| {
        fs::rename(scratch.path().join(from), scratch.path().join(to)).unwrap()
    };
    root("east/root.pem", "root.pem");
    let enrolled =
        ok("device enrol --org east --federation federation.cbor --out devices --count 3");
    let device = |i: usize| {
        enrolled["devices"][i]["device"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    ok(&format!(
        "org revoke --dir east --server SERVER --by-issuer --device {}",
        device(2)
    ));
    let without = run(&format!(
        "org revoke --dir east --server SERVER --device {}",
        device(1)
    ));
    assert!(without.unwrap_err().contains("root.pem"));
    root("root.pem", "east/root.pem");
    ok(&format!(
        "org revoke --dir east --server SERVER --device {} --device {}",
        device(1),
        device(0)
    ));
    let again = run(&format!(
        "org revoke --dir east --server SERVER --by-issuer --device {}",
        device(0)
    ));
    assert!(again.unwrap_err().contains("changes nothing"));
    let refused = run("org revoke --dir east --server SERVER --by-issuer --organisation");
    assert!(refused.unwrap_err().contains("revokes devices only"));
    ok("org revoke --dir east --server SERVER --organisation");
    assert_eq!(shown().await["status"], "revoked");
    assert!(run("org rotate --issuer --dir east --server SERVER").is_err());
    stage.close().unwrap();
}
