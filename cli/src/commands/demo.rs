//! `dawn demo`: the main job.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use dawn_learn::ModelSpec;
use dawn_sim::demo::{self, Attack, DataSource, DemoOptions, Filter, NoiseBy};

use crate::output;

#[derive(clap::Args)]
pub struct Arguments {
    /// What is learnt from: digits (built in) or fashion (Debian package dataset-fashion-mnist).
    #[arg(long, default_value = "digits")]
    data: DataSource,
    /// The model. When absent: for digits mlp:64-32-10, with --epsilon logistic:64-10; for fashion
    /// mlp:784-64-10, with --epsilon logistic:784-10. Noise grows with the number of parameters.
    #[arg(long)]
    model: Option<ModelSpec>,
    /// Organisations, each with one steward.
    #[arg(long, default_value_t = 6)]
    orgs: u8,
    /// Devices of all organisations together.
    #[arg(long, default_value_t = 100)]
    devices: u32,
    /// Rounds.
    #[arg(long, default_value_t = 10)]
    rounds: u32,
    /// Share of the devices that fail in each round, at a random point.
    #[arg(long, default_value_t = 0.2)]
    dropout: f64,
    /// What malicious devices do: scale, sign-flip, within-bound, label-flip, gaussian, half-modulus, random, wrap,
    /// forged-digits or foreign-proof; none is malicious when absent.
    #[arg(long)]
    attack: Option<Attack>,
    /// Share of the devices that are malicious; 0.2 when an attack is given.
    #[arg(long)]
    byzantine: Option<f64>,
    /// What is asked of updates beside their norm: direction (none points against the last accepted update); nothing
    /// when absent.
    #[arg(long)]
    filter: Option<Filter>,
    /// Privacy target per device over all rounds, at delta 1e-5; chooses a smaller model (see --model).
    /// When absent: only the noise that masking needs, and no privacy guarantee for the outputs.
    #[arg(long)]
    epsilon: Option<f64>,
    /// Who carries the noise of --epsilon: devices; stewards, each of which contributes as much as all honest devices
    /// would, so that devices carry only what masking needs; or split, where devices carry what a cheating one gains
    /// little from.
    #[arg(long, default_value = "devices")]
    noise: NoiseBy,
    /// Round in which one steward is killed for good; 0 for none.
    #[arg(long, default_value_t = 3)]
    kill_steward_in: u32,
    /// Folder for transcripts, logs and the report. What an earlier demo left in it is deleted first;
    /// a folder that no demo made is refused.
    #[arg(long, default_value = "dawn-demo")]
    out: PathBuf,
    /// Seed of the split, the failures and the training.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// One JSON object on the last line of standard output.
    #[arg(long)]
    json: bool,
}

pub async fn run(arguments: Arguments) -> Result<ExitCode> {
    let options = DemoOptions {
        data: arguments.data,
        model: arguments.model,
        organisations: arguments.orgs,
        devices: arguments.devices,
        rounds: arguments.rounds,
        dropout: arguments.dropout,
        byzantine: arguments
            .byzantine
            .unwrap_or(if arguments.attack.is_some() { 0.2 } else { 0.0 }),
        attack: arguments.attack,
        filter: arguments.filter,
        epsilon: arguments.epsilon,
        noise: arguments.noise,
        kill_steward_in: arguments.kill_steward_in,
        out: arguments.out,
        seed: arguments.seed,
        binary: std::env::current_exe().context("cannot find the dawn binary itself")?,
        progress: true,
    };
    let summary = demo::run(options).await?;
    let passed = summary.audit == "PASS" && summary.sum_errors == 0;
    output::report(arguments.json, &summary, |s| {
        let attacked = match (&s.attack, s.accuracy_undefended) {
            (Some(attack), Some(undefended)) => format!(
                "\nattack: {attack} by {:.0} % of the devices; {:.1} % if everything that they send were added",
                100.0 * s.byzantine,
                100.0 * undefended
            ),
            _ => String::new(),
        };
        format!(
            "\naudit: {}\naccuracy: {:.1} % ({:.1} % without masks, noise and attackers){attacked}\nepsilon: {} at delta {:.0e}\ncoordinates opened wrongly: {}\nstewards: {} of {} alive at the end\nreport: {}\ntranscripts: {}\nlogs: {}\nfederation: {} (a stranger gets this digest from the organisations)\ncheck again: {}",
            s.audit,
            100.0 * s.accuracy,
            100.0 * s.accuracy_plain,
            demo::summary::epsilon_text(s.epsilon),
            s.delta,
            s.sum_errors,
            s.stewards - s.stewards_offline,
            s.stewards,
            s.report,
            s.transcript,
            s.logs,
            s.federation,
            s.check,
        )
    })?;
    Ok(if passed {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
