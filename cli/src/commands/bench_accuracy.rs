//! `dawn bench accuracy`: what fixed point costs in accuracy, beside the same training in f32.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;
use dawn_benches::accuracy::{Case, HEAD, Row, Source, cases, compare};
use dawn_learn::ModelSpec;

#[derive(Args)]
pub struct Options {
    /// The data sets: digits (built in), mnist, fashion, watch; may be given several times. All when left out.
    #[arg(long)]
    data: Vec<Source>,
    /// The folder below which `dawn data fetch` has put mnist, fashion-mnist and watch.
    #[arg(long, default_value = ".")]
    folder: PathBuf,
    /// This model instead of those of the table, with the settings of its first one on the data.
    #[arg(long)]
    model: Option<ModelSpec>,
    /// Seeds, 2 to 31; as in the table when left out (20 on digits and watch, 5 on the others).
    #[arg(long, value_parser = clap::value_parser!(u8).range(2..=31))]
    seeds: Option<u8>,
    /// Epochs; as in the table when left out.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=1000))]
    epochs: Option<u16>,
    /// One line of JSON.
    #[arg(long)]
    json: bool,
}

impl Options {
    fn cases(&self, source: Source) -> Result<Vec<Case>> {
        let all = cases().map_err(anyhow::Error::from_boxed)?;
        let mut cases: Vec<Case> = all.into_iter().filter(|c| c.source == source).collect();
        if let Some(model) = self.model {
            cases.truncate(1);
            cases.iter_mut().for_each(|case| case.model = model);
        }
        for case in &mut cases {
            case.seeds = self.seeds.unwrap_or(case.seeds);
            case.rule.epochs = self.epochs.unwrap_or(case.rule.epochs);
        }
        Ok(cases)
    }
}

/// Trains in one thread; a row as soon as it is there.
pub async fn run(options: Options) -> Result<ExitCode> {
    let json = options.json;
    let comparing = move || -> Result<Vec<Row>> {
        let wanted = match options.data.as_slice() {
            [] => Source::ALL.to_vec(),
            wanted => wanted.to_vec(),
        };
        let mut rows = Vec::new();
        if !json {
            println!("{HEAD}");
        }
        for source in wanted {
            let split = source.load(&options.folder)?;
            for case in options.cases(source)? {
                let row = compare(&case, &split).map_err(anyhow::Error::from_boxed)?;
                if !json {
                    println!("{row}");
                }
                rows.push(row);
            }
        }
        Ok(rows)
    };
    let rows = tokio::task::spawn_blocking(comparing)
        .await
        .context("the comparison was interrupted")??;
    if json {
        println!("{}", serde_json::to_string(&rows)?);
    }
    Ok(ExitCode::SUCCESS)
}
