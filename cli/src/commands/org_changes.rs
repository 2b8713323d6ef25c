//! `dawn org register|approve|revoke`: how an organisation comes in, and takes trust back.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use dawn_identity::{
    Admission, Change, DeviceId, Digest, KeyId, OnlineIssuer, OrgId, OrgRegistration, Organisation,
    Register, Signed, StewardId, VerifiedFederation,
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

/// Which key of an organisation says it.
enum Signer {
    Root(Box<Organisation>),
    Issuer(Box<OnlineIssuer>),
}

impl Signer {
    fn online(&self) -> &OnlineIssuer {
        match self {
            Self::Root(organisation) => organisation.online(),
            Self::Issuer(issuer) => issuer,
        }
    }
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
    let signer = if by_issuer {
        // The issuer's machine has no root key.
        Signer::Issuer(Box::new(files::load_online(dir)?))
    } else {
        Signer::Root(Box::new(files::load_organisation(dir)?))
    };
    let organisation = signer.online();
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
    let (event, key) = match &signer {
        Signer::Issuer(issuer) => (issuer.event(&digest, last, change, now)?, issuer.key()),
        Signer::Root(org) => (org.event(&digest, last, change, now)?, org.root()),
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

/// Registers an organisation.
pub async fn register(dir: &Path, server: &str, json: bool) -> Result<ExitCode> {
    let organisation = files::load_organisation(dir)?;
    let api = Api::new(server)?;
    let federation = api.federation().await?.verify()?;
    let (org, name, digest) = (organisation.id(), organisation.name(), federation.digest());
    let registration = organisation.register(&digest, files::now())?;
    api.register_org(&registration, organisation.root()).await?;
    let mut founders = federation.founders.iter();
    let approvals = match federation.admission {
        Admission::Approval { k } if !founders.any(|other| OrgId::of(&other.root) == org) => k,
        _ => 0,
    };
    let done = json!({"org": org, "federation": digest, "approvals_needed": approvals});
    output::report(json, &done, |_| match approvals {
        0 => format!("{name} is registered with federation {digest}"),
        k => format!(
            "{name} asks to join federation {digest}: it is in when {k} of the founders have approved it (dawn org approve ... {org}); the first of them has 30 days"
        ),
    })
}

/// What a founder approves: what others have approved before, what a file has, or what the server shows.
async fn to_approve(
    api: &Api,
    register: &Register,
    org: &OrgId,
    file: Option<&Path>,
) -> Result<Signed<OrgRegistration>> {
    let registration = match (file, register.members().pending(org)) {
        (Some(file), _) => Signed::from_bytes(&files::read(file)?)
            .with_context(|| format!("{} is no registration", file.display()))?,
        (None, Some(pending)) => pending.signed().clone(),
        (None, None) => api.registration(org).await.context(
            "the server shows no registration of this organisation: let it give you the file that dawn federation registration writes, and name it with --registration",
        )?,
    };
    if registration.peek().org() != *org {
        bail!(
            "the registration is of organisation {}",
            registration.peek().org()
        );
    }
    // Nothing is signed here that the server has made up.
    register.members().verify_newcomer(&registration)?;
    Ok(registration)
}

/// Approves, as a founder, an organisation that has registered.
pub async fn approve(
    dir: &Path,
    server: &str,
    org: OrgId,
    file: Option<&Path>,
    json: bool,
) -> Result<ExitCode> {
    let organisation = files::load_organisation(dir)?;
    let api = Api::new(server)?;
    let (_, register) = state(&api).await?;
    let registration = to_approve(&api, &register, &org, file).await?;
    let approval = organisation.approve(&registration, files::now())?;
    api.approve(&approval, organisation.root()).await?;
    let name = &registration.peek().name;
    let done = json!({"org": org, "name": name, "approved_by": organisation.id()});
    output::report(json, &done, |_| {
        format!("{} approves {name}", organisation.name())
    })
}
