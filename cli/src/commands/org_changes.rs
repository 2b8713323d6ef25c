//! `dawn org rotate|revoke|approve`: what happens to an organisation after it has registered.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use dawn_identity::{
    Change, DeviceId, Digest, KeyId, OrgId, Organisation, Register, SecretKey, Signed, StewardId,
    Validity, VerifiedFederation,
};
use dawn_transport::Api;
use rand_core::UnwrapErr;
use serde_json::json;

use crate::{files, output};

/// The federation and its register, as far as the server shows it; everything in it verifies.
async fn state(api: &Api) -> Result<(VerifiedFederation, Register)> {
    let federation = api.federation().await?.verify()?;
    let mut register = Register::new(&federation);
    api.extend_register(&mut register, None).await?;
    Ok((federation, register))
}

/// What the next event of an organisation follows.
fn last(register: &Register, org: &OrgId) -> Result<(u64, Digest)> {
    let member = register.members().get(org);
    let member = member.context("the organisation is not a member: register it first")?;
    let head = member
        .head()
        .context("the organisation has not registered")?;
    Ok((member.sequence(), head))
}

fn copy(key: &SecretKey) -> SecretKey {
    SecretKey::from_seed(&key.to_seed())
}

/// Replaces the root key: the new one is on disk before anybody hears of it, and takes its place when the register has it.
pub async fn rotate_root(dir: &Path, server: &str, days: u64, json: bool) -> Result<ExitCode> {
    let old = files::load_organisation(dir)?;
    let api = Api::new(server)?;
    let (federation, mut register) = state(&api).await?;
    let next = dir.join("root.next.pem");
    let key = match next.exists() {
        // A run before this one broke off.
        true => files::read_key(&next)?,
        false => {
            let key = SecretKey::generate(&mut UnwrapErr(getrandom::SysRng));
            files::write_key(&next, &key)?;
            key
        }
    };
    let digest = federation.digest();
    if register.members().root(&old.id()) != Some(&key.public()) {
        let change = old.rotation(&digest, &key);
        let event = old.event(&digest, last(&register, &old.id())?, change, files::now())?;
        api.rotate(&event, old.root()).await?;
        api.extend_register(&mut register, None).await?;
    }
    let serial = old.certificate().peek().serial + 1;
    let validity = Validity::starting(files::now() - 60, days * 24 * 3600);
    let issuer = copy(old.issuer());
    let certificate = Organisation::certify(&old.id(), &key, &issuer.public(), validity, serial)?;
    let new = Organisation::from_parts(old.name(), key, issuer, certificate.clone())?;
    let change = Change::Issuer { certificate };
    let event = new.event(&digest, last(&register, &new.id())?, change, files::now())?;
    api.rotate(&event, new.root()).await?;
    let former = dir.join(format!(
        "root.former-{}.pem",
        old.root().public().thumbprint()
    ));
    files::replace(&dir.join("root.pem"), &former, &next)?;
    files::overwrite(&dir.join("issuer.cose"), new.certificate().bytes(), 0o644)?;
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
    let old = files::load_organisation(dir)?;
    let api = Api::new(server)?;
    let (federation, mut register) = state(&api).await?;
    let digest = federation.digest();
    let next = dir.join("issuer.next.pem");
    let issuer = match next.exists() {
        true => files::read_key(&next)?,
        false => {
            let key = SecretKey::generate(&mut UnwrapErr(getrandom::SysRng));
            files::write_key(&next, &key)?;
            key
        }
    };
    let serial = old.certificate().peek().serial + 1;
    let validity = Validity::starting(files::now() - 60, days * 24 * 3600);
    let certificate =
        Organisation::certify(&old.id(), old.root(), &issuer.public(), validity, serial)?;
    let new = Organisation::from_parts(old.name(), copy(old.root()), issuer, certificate.clone())?;
    let change = Change::Issuer { certificate };
    let event = new.event(&digest, last(&register, &new.id())?, change, files::now())?;
    api.rotate(&event, new.root()).await?;
    let before = old.issuer().public();
    if revoke {
        api.extend_register(&mut register, None).await?;
        let change = Change::RevokeIssuer {
            issuer: before.id(),
        };
        let event = new.event(&digest, last(&register, &new.id())?, change, files::now())?;
        api.revoke(&event, new.root()).await?;
    }
    let former = dir.join(format!("issuer.former-{}.pem", before.thumbprint()));
    files::replace(&dir.join("issuer.pem"), &former, &next)?;
    files::overwrite(&dir.join("issuer.cose"), new.certificate().bytes(), 0o644)?;
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

/// Takes trust back.
pub async fn revoke(
    dir: &Path,
    server: &str,
    target: Target,
    by_issuer: bool,
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
    api.revoke(&event, key).await?;
    let sequence = event.peek().sequence;
    let done = json!({"org": organisation.id(), "event": name, "sequence": sequence});
    output::report(json, &done, |_| {
        format!("{}: event {sequence}, {name}", organisation.name())
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
