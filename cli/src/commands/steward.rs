//! `dawn steward`: the opener that an organisation runs.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Subcommand;
use dawn_crypto::vrf::VrfSecretKey;
use dawn_identity::{OrgId, SecretKey, StewardId};
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
            json,
        } => {
            let founding = files::load_founding(&federation)?;
            founding.verify()?;
            files::private_dir(&dir)?;
            let key = SecretKey::generate(&mut UnwrapErr(getrandom::SysRng));
            let key_file = dir.join("steward.pem");
            files::write_key(&key_file, &key)?;
            let vrf_key_file = dir.join("vrf.key");
            let vrf = VrfSecretKey::generate(&mut UnwrapErr(getrandom::SysRng));
            vrf_key::create(&vrf_key_file, &vrf)
                .with_context(|| format!("cannot write {}", vrf_key_file.display()))?;
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
            let vrf = vrf_key::read(&vrf_key_file)
                .with_context(|| format!("cannot read {}", vrf_key_file.display()))?;
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

/// Puts new keys in the place of a steward's, and its memory under them. Every step can be repeated: the new signing key, by which
/// a run that broke off is known, takes its place last.
fn replace_keys(dir: &Path) -> Result<(StewardId, StewardId)> {
    let rng = &mut UnwrapErr(getrandom::SysRng);
    let config = read_config(&dir.join("steward.toml"))?;
    let (key_file, next_file) = (&config.key_file, dir.join("steward.next.pem"));
    let before = files::read_key(key_file)?;
    if !next_file.exists() {
        files::write_key(&next_file, &SecretKey::generate(rng))?;
    }
    let next = files::read_key(&next_file)?;
    let (vrf_file, next_vrf) = (&config.vrf_key_file, dir.join("vrf.next.key"));
    if !next_vrf.exists() {
        vrf_key::create(&next_vrf, &VrfSecretKey::generate(rng))
            .with_context(|| format!("cannot write {}", next_vrf.display()))?;
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
