//! `dawn steward`: the opener that an organisation runs.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Subcommand;
use dawn_crypto::vrf::VrfSecretKey;
use dawn_identity::key_file;
use dawn_identity::{OrgId, Passphrase, SecretKey, StewardId};
use dawn_steward::{Steward, StewardConfig, Vault, vrf_key};
use dawn_transport::Api;
use rand_core::UnwrapErr;
use serde_json::json;

use crate::{files, output};

#[derive(Subcommand)]
pub enum Command {
    /// Makes the steward's keys and configuration.
    Init {
        /// Folder for the keys, the store and the configuration.
        #[arg(long)]
        dir: PathBuf,
        #[arg(long)]
        server: String,
        /// The founding document that the steward pins.
        #[arg(long)]
        federation: PathBuf,
        /// The organisation that runs it.
        #[arg(long)]
        org: OrgId,
        /// Folder that is never backed up: how the steward notices that its store was restored.
        #[arg(long)]
        guard_dir: PathBuf,
        /// File with a passphrase to encrypt the keys under; the running steward finds it by DAWN_PASSPHRASE_FILE.
        #[arg(long)]
        passphrase_file: Option<PathBuf>,
        #[arg(long)]
        json: bool,
    },
    /// Encrypts the steward's key files under a passphrase, each in its place; those that were replaced as well. What the disk
    /// has kept of the plain ones is not wiped.
    EncryptKeys {
        /// Folder of the steward.
        #[arg(long)]
        dir: PathBuf,
        #[arg(long)]
        passphrase_file: PathBuf,
        #[arg(long)]
        json: bool,
    },
    /// Enrols the steward's keys for its organisation with the aggregator.
    Enrol {
        /// Folder of the steward.
        #[arg(long)]
        dir: PathBuf,
        /// Folder of the organisation.
        #[arg(long)]
        org: PathBuf,
        #[arg(long)]
        server: String,
        #[arg(long)]
        json: bool,
    },
    /// Makes new keys and hands the steward's memory to them, while it is stopped: what it has said, and what its ledger says was
    /// spent, binds the new keys as well. They are to be enrolled and to come into the next roster; the old key files are kept. A run that
    /// broke off is finished by the next one.
    ReplaceKeys {
        /// Folder of the steward.
        #[arg(long)]
        dir: PathBuf,
        #[arg(long)]
        json: bool,
    },
    /// Answers rounds until it is told to stop.
    Run {
        #[arg(long)]
        config: PathBuf,
    },
}

pub async fn run(command: Command) -> Result<ExitCode> {
    match command {
        Command::Init {
            dir,
            server,
            federation,
            org,
            guard_dir,
            passphrase_file,
            json,
        } => {
            let passphrase = files::passphrase_in(passphrase_file.as_deref())?;
            let founding = files::load_founding(&federation)?;
            founding.verify()?;
            files::private_dir(&dir)?;
            let key = SecretKey::generate(&mut UnwrapErr(getrandom::SysRng));
            let key_file = dir.join("steward.pem");
            files::write_sealed(&key_file, &key, passphrase.as_ref())?;
            let vrf_key_file = dir.join("vrf.key");
            let vrf = VrfSecretKey::generate(&mut UnwrapErr(getrandom::SysRng));
            write_vrf(&vrf_key_file, &vrf, passphrase.as_ref())?;
            let config = StewardConfig {
                aggregator: server,
                data_dir: dir.join("data"),
                guard_dir,
                federation: founding.digest(),
                key_file,
                vrf_key_file,
                org,
                budgets: Default::default(),
                restated_spending: Default::default(),
                poll_wait_seconds: 30,
            };
            let path = dir.join("steward.toml");
            files::write_new(&path, toml::to_string(&config)?.as_bytes(), 0o600)?;
            let id = StewardId::of(&org, &key.public());
            let made = json!({"steward": id, "org": org, "config": path});
            output::report(json, &made, |_| {
                format!("steward {id}; configuration in {}", path.display())
            })
        }
        Command::Enrol {
            dir,
            org,
            server,
            json,
        } => {
            let organisation = files::load_organisation(&org)?;
            let key = files::read_key(&dir.join("steward.pem"))?;
            let vrf_key_file = dir.join("vrf.key");
            let vrf = vrf_key::read(&vrf_key_file)?;
            let api = Api::new(&server)?;
            let federation = api.federation().await?.verify()?.digest();
            let enrolment =
                organisation.enrol_steward(&federation, &key, vrf.public(), files::now())?;
            api.enrol_steward(&organisation.id(), &enrolment, organisation.root())
                .await?;
            let id = StewardId::of(&organisation.id(), &key.public());
            let done = json!({"steward": id, "org": organisation.id()});
            output::report(json, &done, |_| {
                format!("steward {id} is enrolled for {}", organisation.name())
            })
        }
        Command::EncryptKeys {
            dir,
            passphrase_file,
            json,
        } => {
            let encrypted = encrypt_keys(&dir, &key_file::read_passphrase(&passphrase_file)?)?;
            let done = json!({"encrypted": encrypted});
            output::report(json, &done, |_| match encrypted.len() {
                0 => "all key files are encrypted already".to_owned(),
                count => format!("{count} key files are encrypted"),
            })
        }
        Command::ReplaceKeys { dir, json } => {
            let (before, now) = replace_keys(&dir)?;
            let done = json!({"steward": now, "before": before});
            output::report(json, &done, |_| {
                format!(
                    "steward {now} has the memory of {before}: enrol it (dawn steward enrol), then let the members sign the next roster"
                )
            })
        }
        Command::Run { config } => {
            let settings = read_config(&config)?;
            let steward = Steward::open(settings)?;
            steward
                .run(async {
                    let _ = output::until_told_to_stop().await;
                })
                .await?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn read_config(path: &Path) -> Result<StewardConfig> {
    toml::from_str(&files::read_text(path)?)
        .with_context(|| format!("{} is no configuration of a steward", path.display()))
}

/// Writes a key of beacons, encrypted where there is a passphrase.
fn write_vrf(path: &Path, key: &VrfSecretKey, passphrase: Option<&Passphrase>) -> Result<()> {
    let text = vrf_key::to_text(key, passphrase, &mut UnwrapErr(getrandom::SysRng))?;
    files::write_new(path, text.as_bytes(), 0o600)
}

/// Encrypts all keys of a steward, those included that take over or were taken over from.
fn encrypt_keys(dir: &Path, passphrase: &Passphrase) -> Result<Vec<PathBuf>> {
    let config = read_config(&dir.join("steward.toml"))?;
    let (mut signing, mut beacons) = (vec![config.key_file], vec![config.vrf_key_file]);
    for entry in fs::read_dir(dir).with_context(|| format!("cannot read {}", dir.display()))? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let other = |before: &str, after: &str| {
            let middle = name
                .strip_prefix(before)
                .and_then(|rest| rest.strip_suffix(after));
            middle.is_some_and(|middle| middle == "next" || middle.starts_with("former-"))
        };
        if other("steward.", ".pem") {
            signing.push(path);
        } else if other("vrf.", ".key") {
            beacons.push(path);
        }
    }
    let mut encrypted = files::encrypt_in_place(&signing, passphrase, files::read_key)?;
    encrypted.extend(files::encrypt_in_place(&beacons, passphrase, |file| {
        Ok(SecretKey::from_seed(&vrf_key::read(file)?.to_seed()))
    })?);
    Ok(encrypted)
}

/// Puts new keys in the place of a steward's, and its memory under them. Every step can be repeated: the new signing key, by which
/// a run that broke off is known, takes its place last.
fn replace_keys(dir: &Path) -> Result<(StewardId, StewardId)> {
    let rng = &mut UnwrapErr(getrandom::SysRng);
    let config = read_config(&dir.join("steward.toml"))?;
    let (key_file, next_file) = (&config.key_file, dir.join("steward.next.pem"));
    let before = files::read_key(key_file)?;
    if !next_file.exists() {
        let passphrase = files::passphrase_like(key_file)?;
        files::write_sealed(&next_file, &SecretKey::generate(rng), passphrase.as_ref())?;
    }
    let next = files::read_key(&next_file)?;
    let (vrf_file, next_vrf) = (&config.vrf_key_file, dir.join("vrf.next.key"));
    if !next_vrf.exists() {
        let passphrase = files::passphrase_like(vrf_file)?;
        write_vrf(&next_vrf, &VrfSecretKey::generate(rng), passphrase.as_ref())?;
    }
    // A steward that never ran remembers nothing.
    if config.data_dir.exists() {
        let dirs = (&*config.data_dir, &*config.guard_dir);
        let (old, new) = (before.public().id(), next.public().id());
        Vault::succeed(dirs, old, new, files::now(), rng)
            .context("the steward's memory cannot be handed over; is it still running?")?;
    }
    let former = before.public().thumbprint();
    for (file, next, kept) in [
        (vrf_file, &next_vrf, format!("vrf.former-{former}.key")),
        (key_file, &next_file, format!("steward.former-{former}.pem")),
    ] {
        let kept = dir.join(kept);
        if !kept.exists() {
            fs::hard_link(file, &kept)
                .with_context(|| format!("cannot make {}", kept.display()))?;
        }
        fs::rename(next, file).with_context(|| format!("cannot replace {}", file.display()))?;
    }
    let id = |key: &SecretKey| StewardId::of(&config.org, &key.public());
    Ok((id(&before), id(&next)))
}
