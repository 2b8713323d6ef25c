//! `dawn aggregator`: the server.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Subcommand;
use dawn_aggregator::{Aggregator, Config};

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
    /// Serves until it is told to stop.
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
        Command::Run { config } => {
            let mut settings =
                Config::from_toml(&files::read_text(&config)?).with_context(|| {
                    format!("{} is no configuration of an aggregator", config.display())
                })?;
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
