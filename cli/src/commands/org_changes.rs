//! `dawn org revoke|approve`: what happens to an organisation after it has registered.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use dawn_identity::{
    Change, DeviceId, Digest, KeyId, OrgId, Register, Signed, StewardId, VerifiedFederation,
};
use dawn_transport::Api;
use serde_json::json;

use crate::{files, output};

/// The federation and its register, as far as the server shows it; everything in it verifies.
pub(super) async fn state(api: &Api) -> Result<(VerifiedFederation, Register)> {
    let federation = api.federation().await?.verify()?;
    let mut register = Register::new(&federation);
    api.extend_register(&mut register, None).await?;
    Ok((federation, register))
}

/// What the next event of an organisation follows.
pub(super) fn last(register: &Register, org: &OrgId) -> Result<(u64, Digest)> {
    let member = register.members().get(org);
    let member = member.context("the organisation is not a member: register it first")?;
    let head = member
        .head()
        .context("the organisation has not registered")?;
    Ok((member.sequence(), head))
}

/// What is revoked.
pub enum Target {
    /// Devices.
    Devices(Vec<DeviceId>),
    /// An issuer key, by identifier.
    Issuer(KeyId),
    /// A steward.
    Steward(StewardId),
    /// The whole organisation.
    Organisation,
}

/// Takes trust back: says so to the server, or writes what is to be said into a file.
pub async fn revoke(
    dir: &Path,
    server: &str,
    target: Target,
    by_issuer: bool,
    out: Option<&Path>,
    json: bool,
) -> Result<ExitCode> {
    let organisation = files::load_organisation(dir)?;
    let api = Api::new(server)?;
    let (federation, register) = state(&api).await?;
    let change = match target {
        Target::Devices(mut devices) => {
            devices.sort();
            devices.dedup();
            Change::RevokeDevices { devices }
        }
        Target::Issuer(issuer) => Change::RevokeIssuer { issuer },
        Target::Steward(steward) => Change::RevokeSteward { steward },
        Target::Organisation => Change::RevokeOrganisation,
    };
    if by_issuer && !matches!(change, Change::RevokeDevices { .. }) {
        bail!("the issuer key revokes devices only; use the root key");
    }
    let (digest, now) = (federation.digest(), files::now());
    let last = last(&register, &organisation.id())?;
    let name = change.name();
    let (event, key) = if by_issuer {
        let event = organisation.event_by_issuer(&digest, last, change, now)?;
        (event, organisation.issuer())
    } else {
        let event = organisation.event(&digest, last, change, now)?;
        (event, organisation.root())
    };
    let sequence = event.peek().sequence;
    match out {
        Some(out) => files::write_new(out, event.bytes(), 0o644)?,
        None => api.revoke(&event, key).await?,
    }
    let done = json!({"org": organisation.id(), "event": name, "sequence": sequence, "file": out});
    output::report(json, &done, |_| {
        let place = out.map_or(String::new(), |out| format!(" in {}", out.display()));
        format!("{}: event {sequence}, {name}{place}", organisation.name())
    })
}

/// Approves, as a founder, an organisation that has registered.
pub async fn approve(dir: &Path, server: &str, org: OrgId, json: bool) -> Result<ExitCode> {
    let organisation = files::load_organisation(dir)?;
    let api = Api::new(server)?;
    let (_, register) = state(&api).await?;
    let registration = register
        .entries()
        .iter()
        .filter_map(|entry| {
            Signed::<dawn_identity::OrgRegistration>::from_bytes(entry.bytes()).ok()
        })
        .find(|registration| registration.peek().org() == org)
        .context("no such organisation has registered")?;
    let approval = organisation.approve(&registration, files::now())?;
    api.approve(&approval, organisation.root()).await?;
    let name = &registration.peek().name;
    let done = json!({"org": org, "name": name, "approved_by": organisation.id()});
    output::report(json, &done, |_| {
        format!("{} approves {name}", organisation.name())
    })
}
