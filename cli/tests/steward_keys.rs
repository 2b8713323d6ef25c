//! `dawn steward replace-keys`: the memory goes on under the new keys, and a run that broke off is finished by the next one.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use dawn_crypto::vrf::VrfSecretKey;
use dawn_identity::{Digest, OrgId, SecretKey};
use dawn_steward::{StewardConfig, Vault, vrf_key};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;
use serde_json::Value;

/// The answer of the command, and whether it succeeded.
fn replace_keys(dir: &Path) -> (bool, Value) {
    let run = Command::new(env!("CARGO_BIN_EXE_dawn"))
        .args(["steward", "replace-keys", "--json", "--dir"])
        .arg(dir)
        .output()
        .unwrap();
    let answer = serde_json::from_slice(&run.stdout).unwrap_or_default();
    (run.status.success(), answer)
}

fn key(path: &Path) -> SecretKey {
    SecretKey::from_pkcs8_pem(&fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn the_memory_is_handed_over_once_whatever_breaks_off() {
    let scratch = tempfile::tempdir().unwrap();
    let dir = scratch.path();
    let mut rng = ChaCha20Rng::from_seed([1; 32]);
    let old = SecretKey::generate(&mut rng);
    let file = dir.join("steward.pem");
    fs::write(&file, old.to_pkcs8_pem().as_bytes()).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    vrf_key::create(&dir.join("vrf.key"), &VrfSecretKey::generate(&mut rng)).unwrap();
    let config = StewardConfig {
        aggregator: "http://127.0.0.1:1".into(),
        data_dir: dir.join("data"),
        guard_dir: dir.join("guard"),
        federation: Digest([1; 32]),
        key_file: file.clone(),
        vrf_key_file: dir.join("vrf.key"),
        org: OrgId::of(&old.public()),
        budgets: Default::default(),
        restated_spending: Default::default(),
        poll_wait_seconds: 1,
    };
    fs::write(dir.join("steward.toml"), toml::to_string(&config).unwrap()).unwrap();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let open = |key: &SecretKey, rng: &mut ChaCha20Rng| {
        let (data, guard) = (&config.data_dir, &config.guard_dir);
        Vault::open(data, guard, key.public().id(), now.as_secs(), rng)
    };
    let running = open(&old, &mut rng).unwrap();
    // While the steward runs its memory is its own, and the old keys stay.
    assert!(!replace_keys(dir).0);
    assert_eq!(key(&file).public(), old.public());
    drop(running);
    let vrf = fs::read(dir.join("vrf.key")).unwrap();
    let planned = key(&dir.join("steward.next.pem"));

    let (done, answer) = replace_keys(dir);
    assert!(done);
    assert_ne!(answer["steward"], answer["before"]);
    // The key of the run that failed is the one.
    assert_eq!(key(&file).public(), planned.public());
    assert_ne!(fs::read(dir.join("vrf.key")).unwrap(), vrf);
    let former = old.public().thumbprint();
    let kept = |name: String| fs::read(dir.join(name)).unwrap();
    assert_eq!(kept(format!("vrf.former-{former}.key")), vrf);
    assert_eq!(
        key(&dir.join(format!("steward.former-{former}.pem"))).public(),
        old.public()
    );
    let mode = fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let vault = open(&planned, &mut rng).unwrap();
    assert_eq!(vault.former_keys().unwrap(), [old.public().id()]);
    drop(vault);
    assert!(open(&old, &mut rng).is_err());

    // As if it had broken off before the signing key took its place.
    fs::rename(&file, dir.join("steward.next.pem")).unwrap();
    fs::copy(dir.join(format!("steward.former-{former}.pem")), &file).unwrap();
    assert!(replace_keys(dir).0);
    assert_eq!(key(&file).public(), planned.public());
    let vault = open(&planned, &mut rng).unwrap();
    assert_eq!(vault.former_keys().unwrap(), [old.public().id()]);
}
