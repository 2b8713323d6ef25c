//! `dawn federation propose-key|sign-key|replace-key`: another key of the aggregator or of the log takes over, as founders decide.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Result, bail};
use dawn_aggregator::keys::Keys;
use dawn_identity::{
    Digest, SecretKey, ServerKey, ServerKeyChange, ServerRole, SignedServerKeyChange, key_file,
};
use dawn_transport::Api;
use rand_core::UnwrapErr;
use serde_json::json;

use super::org_changes::state;
use crate::{files, output};

/// Makes a key, unless one waits already, and the change that lets it in.
pub async fn propose(
    server: &str,
    role: ServerRole,
    keys: &Path,
    out: &Path,
    json: bool,
) -> Result<ExitCode> {
    let (federation, register) = state(&Api::new(server)?).await?;
    let path = Keys::next_path(keys, role);
    let key = if path.exists() {
        let key = files::read_key(&path)?;
        let members = register.members();
        if [members.aggregators(), members.logs()]
            .concat()
            .contains(&key.public())
        {
            bail!(
                "{} is the server's key already: move it to {role}.pem first (docs/operations.md), then propose another one",
                path.display()
            );
        }
        key
    } else {
        let key = SecretKey::generate(&mut UnwrapErr(getrandom::SysRng));
        // Encrypted like the one that it replaces, or like those that the server makes.
        let current = keys.join(format!("{role}.pem"));
        let mut passphrase = key_file::passphrase()?;
        if passphrase.is_none() && current.exists() {
            passphrase = files::passphrase_like(&current)?;
        }
        files::write_sealed(&path, &key, passphrase.as_ref())?;
        key
    };
    let (last, previous) = register.members().last_server_key_change();
    let change = ServerKeyChange {
        federation: federation.digest(),
        sequence: last + 1,
        previous,
        new: ServerKey::prove(&federation.digest(), role, &key),
        created: files::now(),
    };
    let change = SignedServerKeyChange::assemble(change, Vec::new())?;
    files::write_new(out, &change.to_bytes(), 0o644)?;
    let shown = describe(&change);
    let quorum = federation.roster_quorum;
    output::report(json, &shown, |_| {
        format!(
            "{}: the new key of the {role}, {}. {quorum} founders sign {} (dawn federation sign-key); restart the server, then post it (dawn federation replace-key)",
            path.display(),
            key.public().id(),
            out.display(),
        )
    })
}

/// Adds signatures.
pub fn sign(
    path: &Path,
    founding: &Path,
    pinned: &Digest,
    orgs: &[PathBuf],
    json: bool,
) -> Result<ExitCode> {
    let federation = files::load_founding(founding)?.verify_pinned(pinned)?;
    let mut signed = SignedServerKeyChange::from_bytes(&files::read(path)?)?;
    let change = *signed.peek();
    if change.federation != federation.digest() {
        bail!("the change is of federation {}", change.federation);
    }
    change.new.verify(&federation.digest())?;
    for organisation in files::load_organisations(orgs)? {
        signed = signed.with(change.sign_for(organisation.id(), organisation.root()))?;
    }
    files::overwrite(path, &signed.to_bytes(), 0o644)?;
    output::report(json, &describe(&signed), |_| {
        format!(
            "{} of {} founders have signed that key {} takes over as that of the {}",
            signed.signatures().len(),
            federation.roster_quorum,
            change.new.key().id(),
            change.new.role(),
        )
    })
}

/// Posts the change.
pub async fn replace(server: &str, path: &Path, org: &Path, json: bool) -> Result<ExitCode> {
    let signed = SignedServerKeyChange::from_bytes(&files::read(path)?)?;
    let organisation = files::load_organisation(org)?;
    let event = organisation.post_server_key(&signed)?;
    let api = Api::new(server)?;
    api.replace_server_key(&event, organisation.root()).await?;
    output::report(json, &describe(&signed), |_| {
        format!(
            "key {} is that of the {} from now on; devices, stewards and auditors learn it from the register",
            signed.peek().new.key().id(),
            signed.peek().new.role(),
        )
    })
}

fn describe(signed: &SignedServerKeyChange) -> serde_json::Value {
    let change = signed.peek();
    json!({
        "federation": change.federation,
        "change": change.sequence,
        "role": change.new.role().name(),
        "key": change.new.key(),
        "key_id": change.new.key().id(),
        "signed_by": signed.signatures().iter().map(|s| s.org).collect::<Vec<_>>(),
    })
}
