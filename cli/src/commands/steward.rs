//! `dawn steward`: the opener that an organisation runs.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Subcommand;
use dawn_crypto::vrf::VrfSecretKey;
use dawn_identity::{OrgId, SecretKey, StewardId};
use dawn_steward::{Steward, StewardConfig, vrf_key};
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
        Command::Run { config } => {
            let settings: StewardConfig = toml::from_str(&files::read_text(&config)?)
                .with_context(|| {
                    format!("{} is no configuration of a steward", config.display())
                })?;
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
