//! `dawn audit`: re-executes what the service did.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Result;
use clap::Subcommand;
use dawn_audits::{DEFAULT_MAX_BYTES, Options, verify_path, verify_service};
use dawn_identity::{Digest, TaskId};

use crate::output;

#[derive(Subcommand)]
pub enum Command {
    /// Verifies one transcript, a folder of them with their log, or a running service.
    Verify {
        /// File, folder or http(s) address.
        source: String,
        /// Digest of the founding document that you trust; without it the one inside is trusted.
        #[arg(long)]
        federation: Option<Digest>,
        /// With an address: only this task; may be given several times. All tasks when absent.
        #[arg(long = "task")]
        tasks: Vec<TaskId>,
        /// With an address: the folder that keeps what was downloaded. A temporary one when absent.
        #[arg(long)]
        keep: Option<PathBuf>,
        /// With an address: most bytes that are downloaded; a service that has more is not audited.
        #[arg(long, default_value_t = DEFAULT_MAX_BYTES)]
        max_bytes: u64,
        #[arg(long)]
        json: bool,
    },
}

pub async fn run(command: Command) -> Result<ExitCode> {
    let Command::Verify {
        source,
        federation,
        tasks,
        keep,
        max_bytes,
        json,
    } = command;
    let options = Options {
        federation,
        max_bytes: Some(max_bytes),
    };
    let report = if source.starts_with("http://") || source.starts_with("https://") {
        let scratch = tempfile::tempdir()?;
        let dir = keep.as_deref().unwrap_or(scratch.path());
        verify_service(&source, &tasks, dir, &options).await?
    } else {
        verify_path(Path::new(&source), &options)?
    };
    output::report(json, &report, |r| r.to_string())?;
    Ok(if report.passed() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
