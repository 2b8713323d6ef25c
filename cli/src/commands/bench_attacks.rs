//! `dawn bench attacks`: what the bounds buy.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use dawn_learn::ModelSpec;
use dawn_sim::attack::Attack;
use dawn_sim::demo::DataSource;
use dawn_sim::robustness::{Defence, Plan};

#[derive(clap::Args)]
pub struct Arguments {
    /// What is learnt from: digits (built in) or fashion.
    #[arg(long, default_value = "digits")]
    data: DataSource,
    /// The folder of the data (see `dawn data fetch`); where a package installs it when absent.
    #[arg(long)]
    data_dir: Option<PathBuf>,
    /// The model; mlp:64-32-10 or logistic:784-10 when absent.
    #[arg(long)]
    model: Option<ModelSpec>,
    /// The most training samples; all when absent.
    #[arg(long)]
    samples: Option<usize>,
    /// The most test samples; all when absent.
    #[arg(long)]
    test_samples: Option<usize>,
    /// Epochs of local training; the preset's when absent.
    #[arg(long)]
    epochs: Option<u16>,
    /// The clip bound in per cent of the preset's.
    #[arg(long, default_value_t = 100)]
    clip_percent: u32,
    #[arg(long, default_value_t = 50)]
    devices: usize,
    #[arg(long, default_value_t = 10)]
    rounds: u32,
    /// Groups of the robust rules.
    #[arg(long, default_value_t = 10)]
    groups: usize,
    /// The first seed.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many seeds; accuracies are their means.
    #[arg(long, default_value_t = 1)]
    seeds: u64,
    /// Only these attacks, with commas; all that differ in what is added when absent.
    #[arg(long, value_name = "KIND", value_delimiter = ',')]
    attack: Vec<Attack>,
    /// Only these defences, with commas: undefended, norm, norm+direction, median, trimmed-mean, geometric-median and
    /// the last three with +mixing.
    #[arg(long, value_name = "DEFENCE", value_delimiter = ',')]
    defence: Vec<Defence>,
    /// Shares of malicious devices, with commas; without any is always there.
    #[arg(long, value_delimiter = ',', default_values_t = [0.1, 0.2, 0.3])]
    shares: Vec<f64>,
    /// The folder for the report with plots, the table and the numbers.
    #[arg(long)]
    out: Option<PathBuf>,
    /// One line of JSON.
    #[arg(long)]
    json: bool,
}

pub async fn run(arguments: Arguments) -> Result<ExitCode> {
    let full = Plan::full(arguments.data);
    let or = |chosen: Vec<Attack>, all| if chosen.is_empty() { all } else { chosen };
    let plan = Plan {
        data_dir: arguments.data_dir,
        model: arguments.model.unwrap_or(full.model),
        samples: arguments.samples,
        test_samples: arguments.test_samples,
        epochs: arguments.epochs,
        clip_percent: arguments.clip_percent,
        devices: arguments.devices,
        rounds: arguments.rounds,
        groups: arguments.groups,
        seeds: (arguments.seed, arguments.seeds),
        attacks: or(arguments.attack, full.attacks),
        shares: arguments.shares,
        defences: if arguments.defence.is_empty() {
            full.defences
        } else {
            arguments.defence
        },
        data: full.data,
    };
    let training = move || plan.run(|cell| eprintln!("{}", cell.line()));
    let results = tokio::task::spawn_blocking(training)
        .await
        .context("the measurement was interrupted")??;
    if let Some(out) = arguments.out {
        std::fs::create_dir_all(&out).with_context(|| format!("cannot make {}", out.display()))?;
        let table = format!("{}\n\n{}", results.describe(), results.markdown());
        let numbers = serde_json::to_string_pretty(&results)?;
        for (name, text) in [
            ("robustness.md", table),
            ("robustness.html", results.html()),
            ("robustness.json", numbers),
        ] {
            let path = out.join(name);
            std::fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
        }
    }
    if arguments.json {
        println!("{}", serde_json::to_string(&results)?);
    } else {
        println!("{}\n\n{}", results.describe(), results.markdown());
    }
    Ok(ExitCode::SUCCESS)
}
