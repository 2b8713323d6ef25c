//! `dawn device`: many devices in one file, and devices that keep their keys to themselves.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

use dawn_identity::{
    Admission, CredentialChain, Federation, FoundingDocument, OrgId, Organisation, SecretKey,
    Validity, attestation_digest, from_canonical,
};
use rand_core::UnwrapErr;
use serde_json::Value;

fn dawn(dir: &Path, arguments: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_dawn"))
        .args(arguments.split(' '))
        .current_dir(dir)
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

/// A folder with the organisation `org` and a founding document of its own.
fn scratch() -> (tempfile::TempDir, SecretKey) {
    let scratch = tempfile::tempdir().unwrap();
    let dir = scratch.path();
    json(&dawn(dir, "org init --name alpha --dir org --json"));
    let root = fs::read_to_string(dir.join("org/root.pem")).unwrap();
    let root = SecretKey::from_pkcs8_pem(&root).unwrap();
    let rng = &mut UnwrapErr(getrandom::SysRng);
    let validity = Validity::starting(1_800_000_000, 1000);
    let issuer = SecretKey::generate(rng);
    let id = OrgId::of(&root.public());
    let certificate = Organisation::certify(&id, &root, &issuer.public(), validity, 1).unwrap();
    let founder = Organisation::from_parts(
        "alpha",
        SecretKey::from_seed(&root.to_seed()),
        issuer,
        certificate,
    )
    .unwrap();
    let federation = Federation {
        name: "Test".into(),
        founders: vec![founder.founder_entry()],
        aggregator: SecretKey::generate(rng).public(),
        log: SecretKey::generate(rng).public(),
        admission: Admission::Open,
        roster_quorum: 1,
        created: 1_800_000_000,
    };
    let document = FoundingDocument::found(federation, &[&founder]).unwrap();
    fs::write(dir.join("federation.cbor"), document.to_bytes()).unwrap();
    (scratch, root)
}

fn chain(dir: &Path) -> CredentialChain {
    from_canonical(&fs::read(dir.join("credential.cbor")).unwrap()).unwrap()
}

fn now() -> u64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_secs()
}

#[test]
fn many_devices_are_one_private_file_and_each_can_be_taken_out() {
    let (scratch, root) = scratch();
    let dir = scratch.path();
    fs::write(dir.join("blob"), b"made by us").unwrap();
    let made = json(&dawn(
        dir,
        "device enrol --org org --batch devices --count 500 --label sensor --days 7 --attestation blob --json",
    ));
    assert_eq!(made["count"], 500);
    let path = dir.join("devices");
    let meta = fs::metadata(&path).unwrap();
    assert_eq!(made["bytes"], meta.len());
    assert_eq!(meta.permissions().mode() & 0o777, 0o600);
    // It is never overwritten.
    let again = dawn(dir, "device enrol --org org --batch devices");
    assert!(!again.status.success());
    let extract = "device extract --batch devices --federation federation.cbor --json";
    for index in [0, 499] {
        let out = format!("device-{index}");
        let taken = json(&dawn(
            dir,
            &format!("{extract} --index {index} --out {out}"),
        ));
        assert_eq!(taken["label"], format!("sensor-{index}"));
        let chain = chain(&dir.join(&out));
        let verified = chain.verify(&root.public(), now()).unwrap();
        assert!(verified.vrf().is_some());
        assert!(verified.expires() <= now() + 7 * 86_400);
        let named = chain.credential.peek().attestation;
        assert_eq!(named, Some(attestation_digest(b"made by us")));
        let key = dir.join(&out).join("device.pem");
        assert_eq!(
            fs::metadata(&key).unwrap().permissions().mode() & 0o777,
            0o600
        );
        let key = SecretKey::from_pkcs8_pem(&fs::read_to_string(key).unwrap()).unwrap();
        assert_eq!(verified.key(), &key.public());
        assert_eq!(
            fs::read(dir.join(&out).join("attestation")).unwrap(),
            b"made by us"
        );
    }
    let beyond = dawn(dir, &format!("{extract} --index 500 --out none"));
    let error = String::from_utf8_lossy(&beyond.stderr).into_owned();
    assert!(error.contains("only 500 devices"), "{error}");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let readable = dawn(dir, &format!("{extract} --index 0 --out none"));
    let error = String::from_utf8_lossy(&readable.stderr).into_owned();
    assert!(error.contains("chmod 600"), "{error}");
}

#[test]
fn a_device_keeps_its_key_and_asks_with_its_public_ones() {
    let (scratch, root) = scratch();
    let dir = scratch.path();
    json(&dawn(dir, "key new --out device.pem --json"));
    let asked = json(&dawn(dir, "device request --key device.pem --json"));
    let public = dawn(dir, "key export device.pem --out public.pem --json");
    assert!(
        public.status.success(),
        "{}",
        String::from_utf8_lossy(&public.stderr)
    );
    let vrf = asked["vrf"].as_str().unwrap();
    let enrol =
        "device enrol --org org --federation federation.cbor --public-key public.pem --label watch";
    json(&dawn(
        dir,
        &format!("{enrol} --vrf-key {vrf} --out device --json"),
    ));
    let chain = chain(&dir.join("device"));
    let verified = chain.verify(&root.public(), now()).unwrap();
    assert_eq!(
        verified.key().to_string(),
        asked["public"].as_str().unwrap()
    );
    let named = verified.vrf().unwrap().as_bytes();
    assert_eq!(hex::encode(named), vrf);
    assert!(
        !dir.join("device/device.pem").exists(),
        "nobody here has it"
    );
    for wrong in [&vrf[2..], &"0".repeat(64), "zz"] {
        let refused = dawn(
            dir,
            &format!("{enrol} --vrf-key {wrong} --out other --json"),
        );
        assert!(!refused.status.success(), "{wrong}");
    }
}
