//! `dawn org rotate`: another root or issuer key takes over. Each step is on disk or in the register before the next one, and a run
//! that follows one that broke off takes what is there: nothing is announced or revoked twice.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;
use dawn_identity::{
    Change, Digest, Entry, IssuerCertificate, OrgId, Organisation, PublicKey, Register, SecretKey,
    Signed, Validity,
};
use dawn_transport::Api;
use serde_json::json;

use super::org_changes::{last, state};
use crate::{files, output, replacing};

fn copy(key: &SecretKey) -> SecretKey {
    SecretKey::from_seed(&key.to_seed())
}

/// The certificate of this issuer key by this root key, when the register has one: a run before this one brought it there.
fn announced(
    register: &Register,
    org: &OrgId,
    root: &PublicKey,
    issuer: &PublicKey,
) -> Option<Signed<IssuerCertificate>> {
    let root = root.id();
    register
        .entries()
        .iter()
        .rev()
        .find_map(|entry| match entry {
            Entry::Event(event) if event.org == *org => match &event.change {
                Change::Issuer { certificate }
                    if certificate.signer() == root && certificate.peek().key == *issuer =>
                {
                    Some(certificate.clone())
                }
                _ => None,
            },
            _ => None,
        })
}

/// The organisation with these keys, whose issuer the register has then.
async fn announce(
    api: &Api,
    federation: &Digest,
    register: &mut Register,
    old: &Organisation,
    (root, issuer): (SecretKey, SecretKey),
    days: u64,
) -> Result<Organisation> {
    let org = old.id();
    let known = announced(register, &org, &root.public(), &issuer.public());
    let is_known = known.is_some();
    let certificate = match known {
        Some(certificate) => certificate,
        None => {
            let serial = old.certificate().peek().serial + 1;
            let validity = Validity::starting(files::now() - 60, days * 24 * 3600);
            Organisation::certify(&org, &root, &issuer.public(), validity, serial)?
        }
    };
    let new = Organisation::from_parts(old.name(), root, issuer, certificate.clone())?;
    if !is_known {
        let change = Change::Issuer { certificate };
        let event = new.event(federation, last(register, &org)?, change, files::now())?;
        api.rotate(&event, new.root()).await?;
        api.extend_register(register, None).await?;
    }
    Ok(new)
}

/// Ends a run that broke off when all but the last file was in place; `None` when there was none.
fn finish(dir: &Path, json: bool) -> Result<Option<ExitCode>> {
    if !replacing::finish(dir)? {
        return Ok(None);
    }
    let org = files::load_organisation(dir)?;
    let done = json!({"org": org.id(), "root": org.root().public(), "issuer": org.issuer().public(), "finished": true});
    output::report(json, &done, |_| {
        format!(
            "the rotation of {} that broke off before is finished; nothing else was changed",
            org.name()
        )
    })
    .map(Some)
}

/// Replaces the root key: the new one is on disk before anybody hears of it, and takes its place when the register has it.
pub async fn rotate_root(dir: &Path, server: &str, days: u64, json: bool) -> Result<ExitCode> {
    if let Some(done) = finish(dir, json)? {
        return Ok(done);
    }
    let old = files::load_organisation(dir)?;
    let api = Api::new(server)?;
    let (federation, mut register) = state(&api).await?;
    let digest = federation.digest();
    let key = replacing::next_key(dir, "root")?;
    if register.members().root(&old.id()) != Some(&key.public()) {
        let change = old.rotation(&digest, &key);
        let event = old.event(&digest, last(&register, &old.id())?, change, files::now())?;
        api.rotate(&event, old.root()).await?;
        api.extend_register(&mut register, None).await?;
    }
    let keys = (key, copy(old.issuer()));
    let new = announce(&api, &digest, &mut register, &old, keys, days).await?;
    let former = replacing::replace_key(dir, "root", &old.root().public(), new.certificate())?;
    let done = json!({"org": new.id(), "root": new.root().public(), "former": former});
    output::report(json, &done, |_| {
        format!(
            "{} has a new root key; the one before counts for nothing any more, and is in {}",
            new.name(),
            former.display()
        )
    })
}

/// Makes another issuer key and announces it; the one before goes on, unless it is revoked.
pub async fn rotate_issuer(
    dir: &Path,
    server: &str,
    days: u64,
    revoke: bool,
    json: bool,
) -> Result<ExitCode> {
    if let Some(done) = finish(dir, json)? {
        return Ok(done);
    }
    let old = files::load_organisation(dir)?;
    let api = Api::new(server)?;
    let (federation, mut register) = state(&api).await?;
    let digest = federation.digest();
    let issuer = replacing::next_key(dir, "issuer")?;
    let keys = (copy(old.root()), issuer);
    let new = announce(&api, &digest, &mut register, &old, keys, days).await?;
    let before = old.issuer().public();
    let counts = register
        .members()
        .get(&old.id())
        .is_some_and(|member| member.issuers().any(|issuer| *issuer == before));
    if revoke && counts {
        let change = Change::RevokeIssuer {
            issuer: before.id(),
        };
        let event = new.event(&digest, last(&register, &new.id())?, change, files::now())?;
        api.revoke(&event, new.root()).await?;
    }
    replacing::replace_key(dir, "issuer", &before, new.certificate())?;
    let done = json!({"org": new.id(), "issuer": new.issuer().public(), "revoked": revoke.then(|| before.id())});
    output::report(json, &done, |_| {
        format!(
            "{} has a new issuer key; devices of the one before {}",
            new.name(),
            if revoke {
                "do not count any more"
            } else {
                "go on"
            }
        )
    })
}
