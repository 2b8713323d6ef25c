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

/// Which key another takes over from.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// The root key.
    Root,
    /// The issuer key.
    Issuer {
        /// Whether the one before, and the devices that it vouches for, do not count any more.
        revoke: bool,
    },
}

impl Which {
    /// The name of its file.
    fn name(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::Issuer { .. } => "issuer",
        }
    }

    fn of(self, organisation: &Organisation) -> PublicKey {
        match self {
            Self::Root => organisation.root().public(),
            Self::Issuer { .. } => organisation.issuer().public(),
        }
    }
}

/// The register that the events go to.
struct Rotation {
    api: Api,
    federation: Digest,
    register: Register,
}

impl Rotation {
    async fn begin(server: &str) -> Result<Self> {
        let api = Api::new(server)?;
        let (federation, register) = state(&api).await?;
        Ok(Self {
            api,
            federation: federation.digest(),
            register,
        })
    }

    /// Brings a change into the register, signed by `by`.
    async fn tell(&mut self, by: &Organisation, change: Change) -> Result<()> {
        let last = last(&self.register, &by.id())?;
        let rotation = change.is_rotation();
        let event = by.event(&self.federation, last, change, files::now())?;
        if rotation {
            self.api.rotate(&event, by.root()).await?;
        } else {
            self.api.revoke(&event, by.root()).await?;
        }
        self.api.extend_register(&mut self.register, None).await?;
        Ok(())
    }

    /// Lets a root key take over, unless the register has it.
    async fn take_over(&mut self, old: &Organisation, key: &SecretKey) -> Result<()> {
        if self.register.members().root(&old.id()) == Some(&key.public()) {
            return Ok(());
        }
        let change = old.rotation(&self.federation, key);
        self.tell(old, change).await
    }

    /// The organisation with these keys, whose issuer the register has then.
    async fn announce(
        &mut self,
        old: &Organisation,
        (root, issuer): (SecretKey, SecretKey),
        days: u64,
    ) -> Result<Organisation> {
        let org = old.id();
        let known = announced(&self.register, &org, &root.public(), &issuer.public());
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
            self.tell(&new, Change::Issuer { certificate }).await?;
        }
        Ok(new)
    }

    /// Takes trust back from an issuer key, unless that was done.
    async fn take_back(&mut self, by: &Organisation, issuer: &PublicKey) -> Result<()> {
        let member = self.register.members().get(&by.id());
        if !member.is_some_and(|member| member.issuers().any(|known| known == issuer)) {
            return Ok(());
        }
        let issuer = issuer.id();
        self.tell(by, Change::RevokeIssuer { issuer }).await
    }
}

/// Replaces a key. The new one is on disk before anybody hears of it, and takes its place when the register has it; the issuer
/// before goes on, unless it is revoked.
pub async fn rotate(
    dir: &Path,
    server: &str,
    which: Which,
    days: u64,
    json: bool,
) -> Result<ExitCode> {
    if let Some(done) = finish(dir, json)? {
        return Ok(done);
    }
    let old = files::load_organisation(dir)?;
    let mut rotation = Rotation::begin(server).await?;
    let key = replacing::next_key(dir, which.name())?;
    let keys = match which {
        Which::Root => {
            rotation.take_over(&old, &key).await?;
            (key, copy(old.issuer()))
        }
        Which::Issuer { .. } => (copy(old.root()), key),
    };
    let new = rotation.announce(&old, keys, days).await?;
    let before = which.of(&old);
    if which == (Which::Issuer { revoke: true }) {
        rotation.take_back(&new, &before).await?;
    }
    let former = replacing::replace_key(dir, which.name(), &before, new.certificate())?;
    let (org, name) = (new.id(), new.name());
    match which {
        Which::Root => {
            let done = json!({"org": org, "root": new.root().public(), "former": former});
            output::report(json, &done, |_| {
                format!(
                    "{name} has a new root key; the one before counts for nothing any more, and is in {}",
                    former.display()
                )
            })
        }
        Which::Issuer { revoke } => {
            let revoked = revoke.then(|| before.id());
            let done = json!({"org": org, "issuer": new.issuer().public(), "revoked": revoked});
            let others = if revoke {
                "do not count any more"
            } else {
                "go on"
            };
            output::report(json, &done, |_| {
                format!("{name} has a new issuer key; devices of the one before {others}")
            })
        }
    }
}
