//! `dawn device`: device keys and credentials. No server is asked: a million devices cost it nothing.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Subcommand;
use dawn_identity::{SecretKey, Validity};
use rand_core::UnwrapErr;
use serde_json::json;

use crate::{files, output};

#[derive(Subcommand)]
pub enum Command {
    /// Makes keys and credentials for devices of an organisation.
    Enrol {
        /// Folder of the organisation.
        #[arg(long)]
        org: PathBuf,
        /// The founding document that the devices pin.
        #[arg(long)]
        federation: PathBuf,
        /// Folder that gets one folder per device.
        #[arg(long)]
        out: PathBuf,
        #[arg(long, default_value_t = 1)]
        count: u32,
        /// First part of the labels.
        #[arg(long, default_value = "device")]
        label: String,
        #[arg(long, default_value_t = 90, value_parser = clap::value_parser!(u64).range(1..=36_500))]
        days: u64,
        #[arg(long)]
        json: bool,
    },
}

pub async fn run(command: Command) -> Result<ExitCode> {
    let Command::Enrol {
        org,
        federation,
        out,
        count,
        label,
        days,
        json,
    } = command;
    let organisation = files::load_organisation(&org)?;
    let founding = files::load_founding(&federation)?;
    founding.verify()?;
    let mut devices = Vec::new();
    for index in 0..count {
        let key = SecretKey::generate(&mut UnwrapErr(getrandom::SysRng));
        let validity = Validity::starting(files::now() - 60, days * 24 * 3600);
        let label = format!("{label}-{index}");
        let chain = organisation.issue_device(&key.public(), &label, validity)?;
        files::save_device(&out.join(&label), &key, &chain, &founding)?;
        devices.push(json!({"device": chain.claimed_device(), "label": label}));
    }
    let done = json!({"org": organisation.id(), "devices": devices, "dir": out});
    output::report(json, &done, |_| {
        format!(
            "{count} devices of {} in {}",
            organisation.name(),
            out.display()
        )
    })
}
