//! `dawn demo`: the main job.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use dawn_learn::{Aggregation, ModelSpec, RobustRule};
use dawn_sim::attack::{Attack, StewardAttack};
use dawn_sim::demo::{self, DataSource, DemoGroups, DemoOptions, Filter, NoiseBy};

use crate::output;

#[derive(clap::Args)]
pub struct Arguments {
    /// What is learnt from: digits (built in), fashion (`dawn data fetch fashion`, or Debian's package
    /// dataset-fashion-mnist) or watch (`dawn data fetch watch`; a device for each arm of each person).
    #[arg(long, default_value = "digits")]
    data: DataSource,
    /// The folder of the data (see `dawn data fetch`); when absent where a package installs it, and for watch `watch`.
    #[arg(long)]
    data_dir: Option<PathBuf>,
    /// The model. When absent: for digits mlp:64-32-10, with --epsilon logistic:64-10; for fashion
    /// mlp:784-64-10, with --epsilon logistic:784-10; for watch mlp:63-64-7, with --epsilon logistic:63-7. Noise grows
    /// with the number of parameters.
    #[arg(long)]
    model: Option<ModelSpec>,
    /// How devices learn together: fedavg; fedprox:MU; low-rank:RANK, or a rank, 0 (not trained) or full for each layer,
    /// as in low-rank:8-full; personal:LAYERS, the last layers being every device's own; distillation:SAMPLES, so many
    /// samples without labels being public.
    #[arg(long, default_value = "fedavg")]
    way: String,
    /// Devices judge the model of each round on samples that they hold out, and what they find goes through the secure sum.
    #[arg(long)]
    evaluate: bool,
    /// People of the watch data that take no part: the test set. 9 and 10 when absent.
    #[arg(long, value_delimiter = ',')]
    unseen: Option<Vec<u8>>,
    /// Organisations, each with one steward.
    #[arg(long, default_value_t = 6)]
    orgs: u8,
    /// Devices of all organisations together; 100 when absent, or both arms of everybody whom the watch data has and who is
    /// not --unseen.
    #[arg(long)]
    devices: Option<u32>,
    /// Rounds.
    #[arg(long, default_value_t = 10)]
    rounds: u32,
    /// Share of the devices that fail in each round, at a random point.
    #[arg(long, default_value_t = 0.2)]
    dropout: f64,
    /// What malicious devices do, several with commas go round among them: scale, sign-flip, within-bound, label-flip,
    /// alie, ipm, gaussian, half-modulus, random, wrap, forged-digits, wrong-slack, foreign-proof, late-key,
    /// off-polynomial-1, off-polynomial-2, off-polynomial-3, swapped-packages, bad-package or replay; none is malicious
    /// when absent.
    #[arg(long, value_name = "KIND", value_delimiter = ',')]
    attack: Vec<Attack>,
    /// What the last steward does, several with commas in one round each: wrong-answers, complain-about-all, silent or
    /// wrong-opening; it is honest when absent.
    #[arg(long, value_name = "KIND", value_delimiter = ',')]
    steward_attack: Vec<StewardAttack>,
    /// Share of the devices that are malicious; 0.2 when an attack is given.
    #[arg(long)]
    byzantine: Option<f64>,
    /// What is asked of updates beside their norm: direction (none points against the last accepted update); nothing
    /// when absent.
    #[arg(long)]
    filter: Option<Filter>,
    /// The probability with which a device takes part in a round, by a draw that nobody chooses; every device does when
    /// absent.
    #[arg(long)]
    selection: Option<f64>,
    /// Privacy target per device over all rounds, at delta 1e-5; chooses a smaller model (see --model).
    /// When absent: only the noise that masking needs, and no privacy guarantee for the outputs.
    #[arg(long)]
    epsilon: Option<f64>,
    /// Round in which one steward is killed for good; 0 for none. 3 when absent, or none when a steward is malicious.
    #[arg(long)]
    kill_steward_in: Option<u32>,
    /// Who carries the noise of --epsilon: devices; stewards, each of which contributes as much as all honest devices
    /// would, so that devices carry only what masking needs; or split, where devices carry what a cheating one gains
    /// little from.
    #[arg(long, default_value = "devices")]
    noise: NoiseBy,
    /// Sums over so many groups of devices instead of one sum, and a robust rule over their means.
    #[arg(long)]
    groups: Option<u8>,
    /// The robust rule: median, trimmed or geometric.
    #[arg(long, default_value = "median", requires = "groups")]
    rule: Rule,
    /// Each group's mean is first replaced by that of so many nearest to it.
    #[arg(long, requires = "groups")]
    mixing: Option<u8>,
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

/// How the means of groups become one.
#[derive(Clone, Copy, clap::ValueEnum)]
enum Rule {
    /// Coordinate by coordinate, the one in the middle.
    Median,
    /// Coordinate by coordinate, the mean without the smallest fifth and the largest fifth, at least one each.
    Trimmed,
    /// The point with the smallest sum of distances.
    Geometric,
}

impl Rule {
    fn aggregation(self, groups: u8) -> Aggregation {
        match self {
            Self::Median => Aggregation::Median,
            Self::Trimmed => Aggregation::TrimmedMean {
                cut: (groups / 5).max(1),
            },
            Self::Geometric => Aggregation::GeometricMedian { iterations: 8 },
        }
    }
}

pub async fn run(arguments: Arguments) -> Result<ExitCode> {
    let unseen = match (arguments.data, arguments.unseen) {
        (DataSource::Watch, unseen) => unseen.unwrap_or_else(|| vec![9, 10]),
        (_, None) => Vec::new(),
        (_, Some(_)) => bail!("--unseen names people, and only --data watch has people"),
    };
    let devices = arguments.devices.unwrap_or(match arguments.data {
        DataSource::Watch => 20u32.saturating_sub(2 * unseen.len() as u32),
        _ => 100,
    });
    let options = DemoOptions {
        data: arguments.data,
        data_dir: arguments.data_dir,
        model: arguments.model,
        organisations: arguments.orgs,
        way: arguments.way,
        evaluate: arguments.evaluate,
        unseen,
        devices,
        rounds: arguments.rounds,
        dropout: arguments.dropout,
        byzantine: arguments
            .byzantine
            .unwrap_or(if arguments.attack.is_empty() {
                0.0
            } else {
                0.2
            }),
        kill_steward_in: arguments.kill_steward_in.unwrap_or(
            if arguments.steward_attack.is_empty() {
                3
            } else {
                0
            },
        ),
        attacks: arguments.attack,
        steward_attacks: arguments.steward_attack,
        filter: arguments.filter,
        selection: arguments.selection,
        epsilon: arguments.epsilon,
        noise: arguments.noise,
        groups: arguments.groups.map(|number| DemoGroups {
            number,
            rule: RobustRule {
                aggregation: arguments.rule.aggregation(number),
                mixing: arguments.mixing,
            },
        }),
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
        let own = match (s.accuracy_own, s.accuracy_unseen_adapted) {
            (None, _) => String::new(),
            (Some(own), adapted) => {
                let adapted = adapted.map_or_else(String::new, |adapted| {
                    format!(
                        "; {:.1} % on people who took no part, once their devices have trained",
                        100.0 * adapted
                    )
                });
                format!(
                    "\nof devices' own models: {:.1} % on samples that they held out{adapted}",
                    100.0 * own
                )
            }
        };
        format!(
            "\naudit: {}\naccuracy: {:.1} % ({:.1} % without masks, noise and attackers){own}{attacked}\nepsilon: {} at delta {:.0e}\ncoordinates opened wrongly: {}\nstewards: {} of {} alive at the end\nreport: {}\ntranscripts: {}\nlogs: {}\nfederation: {} (a stranger gets this digest from the organisations)\ncheck again: {}",
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
