//! `dawn aggregator`: the server.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Subcommand;
use dawn_aggregator::{Aggregator, Config};
use dawn_identity::key_file;
use serde_json::json;

use crate::{files, output};

#[derive(Subcommand)]
pub enum Command {
    /// Writes a configuration file with the defaults.
    Init {
        /// Where to write it.
        #[arg(long)]
        config: PathBuf,
        /// Folder for keys, objects and the private Postgres.
        #[arg(long)]
        data_dir: PathBuf,
        /// Address to listen on.
        #[arg(long, default_value = "127.0.0.1:8080")]
        listen: std::net::SocketAddr,
    },
    /// Encrypts the key files of the aggregator and of its log under a passphrase, each in its place. What the disk has kept of the
    /// plain ones is not wiped. A server that starts for the first time with DAWN_PASSPHRASE_FILE makes them encrypted.
    EncryptKeys {
        #[arg(long)]
        config: PathBuf,
        #[arg(long)]
        passphrase_file: PathBuf,
        #[arg(long)]
        json: bool,
    },
    /// Serves until it is told to stop. Encrypted keys are opened with the passphrase in the file that DAWN_PASSPHRASE_FILE names.
    Run {
        #[arg(long)]
        config: PathBuf,
    },
}

pub async fn run(command: Command) -> Result<ExitCode> {
    match command {
        Command::Init {
            config,
            data_dir,
            listen,
        } => {
            let settings = Config {
                listen,
                ..Config::new(data_dir)
            };
            files::write_new(&config, toml::to_string(&settings)?.as_bytes(), 0o600)?;
            eprintln!("wrote {}", config.display());
        }
        Command::EncryptKeys {
            config,
            passphrase_file,
            json,
        } => {
            let passphrase = key_file::read_passphrase(&passphrase_file)?;
            let dir = read_config(&config)?.keys_dir();
            let mut keys = Vec::new();
            for entry in
                fs::read_dir(&dir).with_context(|| format!("cannot read {}", dir.display()))?
            {
                let path = entry?.path();
                if path.extension().is_some_and(|end| end == "pem") {
                    keys.push(path);
                }
            }
            let encrypted = files::encrypt_in_place(&keys, &passphrase, files::read_key)?;
            let done = json!({"encrypted": encrypted});
            return output::report(json, &done, |_| match encrypted.len() {
                0 => "all key files are encrypted already".to_owned(),
                count => format!("{count} key files are encrypted"),
            });
        }
        Command::Run { config } => {
            let mut settings = read_config(&config)?;
            if let Some(url) = std::env::var("DATABASE_URL")
                .ok()
                .filter(|url| !url.is_empty())
            {
                settings.database_url = Some(url);
            }
            let running = Aggregator::start(settings).await?;
            eprintln!("listening on {}", running.url());
            output::until_told_to_stop().await?;
            eprintln!("stopping");
            running.shutdown().await?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn read_config(path: &Path) -> Result<Config> {
    Config::from_toml(&files::read_text(path)?)
        .with_context(|| format!("{} is no configuration of an aggregator", path.display()))
}
