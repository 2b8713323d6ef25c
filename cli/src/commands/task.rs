//! `dawn task`: what the members compute together.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};
use clap::Subcommand;
use dawn_crypto::norm::Rows;
use dawn_crypto::params::{Dimension, Sigma};
use dawn_crypto::shamir::Threshold;
use dawn_identity::{Digest, Organisation, Signed, Statement as _, TaskId, Validity};
use dawn_learn::{ModelSpec, Preset, RobustRule, Way};
use dawn_protocol::{
    Deadlines, EvaluationRule, Functional, GroupRule, PROTOCOL_VERSION, Policy, PrivacyPlan,
    Selection, StewardNoise, Task, TaskOptions, dp,
};
use dawn_transport::Api;
use serde::Deserialize;
use serde_json::json;

use super::explain::Explanation;
use super::roster::of_epoch;
use crate::{files, output};

#[derive(Subcommand)]
pub enum Command {
    /// Signs a task described by a TOML file, and posts it; its rounds start at once.
    Create {
        /// Folder of the organisation that owns the task.
        #[arg(long)]
        org: PathBuf,
        #[arg(long)]
        server: String,
        /// Description; `docs/operations.md` explains its fields.
        #[arg(long)]
        file: PathBuf,
        #[arg(long)]
        json: bool,
    },
    /// Explains what a task's numbers mean: what is proven about every update, what it costs, what privacy it gives, and
    /// who must be honest. Refuses what everybody would refuse, and says why.
    Explain {
        /// A description, as `dawn task create` reads it, or a signed task.
        file: PathBuf,
        /// Number of stewards.
        #[arg(long, default_value_t = 6, conflicts_with = "server")]
        stewards: u8,
        /// How many of them may be malicious; when absent as many as leave room for one that is away.
        #[arg(long, conflicts_with = "server")]
        malicious: Option<u8>,
        /// The stewards of this server's roster instead; of a description, of its epoch.
        #[arg(long)]
        server: Option<String>,
        #[arg(long)]
        json: bool,
    },
    /// Shows how far a task has come.
    Show {
        #[arg(long)]
        server: String,
        task: TaskId,
        #[arg(long)]
        json: bool,
    },
}

/// A task as its maker writes it down.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Description {
    name: String,
    model: ModelSpec,
    data_source: String,
    rounds: u32,
    #[serde(default = "plain")]
    preset: String,
    /// Epoch of the roster; the newest when absent.
    epoch: Option<u64>,
    /// Standard deviation of the error that each device adds; the least that masking allows when absent.
    sigma_error: Option<f64>,
    /// Clip bound in update units; the preset's when absent.
    clip: Option<u32>,
    budget_micro_rho: Option<u64>,
    #[serde(default = "delta")]
    delta_exponent: u8,
    policy: PolicyFields,
    deadlines: DeadlineFields,
    /// Rows of the norm proof: 256, or 512 for a tighter bound; 128 only with `test_only`.
    #[serde(default = "projections")]
    projections: u16,
    /// Allows what protects nobody: 128 rows.
    #[serde(default)]
    test_only: bool,
    /// How devices learn together; `fedavg` when absent.
    way: Option<String>,
    /// What devices say of the model of each round; nothing when absent.
    evaluation: Option<EvaluationFields>,
    /// What is asked of updates beside their norm.
    functional: Option<FunctionalField>,
    /// Noise that stewards contribute; none when absent.
    noise: Option<NoiseFields>,
    /// Sums over groups and a robust rule; one sum when absent.
    groups: Option<GroupFields>,
    /// The probability with which a device takes part in a round, above 0 and below 1; everybody when absent.
    selection: Option<f64>,
}

/// Sums over groups of the accepted submissions.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GroupFields {
    most: u8,
    size: u32,
    least: u32,
    honest: u32,
    dishonest: u32,
    rule: RobustRule,
}

/// How devices evaluate the model on samples that they hold out.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EvaluationFields {
    /// Most samples that a device counts.
    samples: u32,
    /// What a sample counts.
    scale: u32,
    /// The largest mean loss of a device, in nats.
    #[serde(default = "largest_loss")]
    loss: f64,
}

impl From<EvaluationFields> for EvaluationRule {
    fn from(fields: EvaluationFields) -> Self {
        Self {
            samples: fields.samples,
            scale: fields.scale,
            // Beyond the range it saturates, and nothing is 0, which the rules refuse.
            loss: (fields.loss * 65536.0).round() as u32,
        }
    }
}

/// `"direction"`, or `"counts"`, of which the clip bound is one.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum FunctionalField {
    Direction,
    Counts,
}

impl From<FunctionalField> for Functional {
    fn from(field: FunctionalField) -> Self {
        match field {
            FunctionalField::Direction => Self::Direction,
            FunctionalField::Counts => Self::Counts,
        }
    }
}

/// How much noise stewards contribute: of a deviation, or what is missing to a privacy target over all rounds, of which
/// devices then carry as much as a cheating one gains little from.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NoiseFields {
    /// Standard deviation of a steward's noise.
    sigma: Option<f64>,
    /// Epsilon over all rounds at the task's delta, which the noise is split for.
    epsilon: Option<f64>,
    /// Candidates of a steward: 2, 4, 8, 16, 32 or 64.
    #[serde(default = "candidates")]
    candidates: u8,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PolicyFields {
    min_accepted: u32,
    min_honest: u32,
    min_organisations: u16,
    max_org_share_permille: u16,
    max_submissions: u32,
    target_submissions: u32,
    /// Most submissions of one organisation's devices in a round; as many as there is room for when absent.
    max_org_submissions: Option<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DeadlineFields {
    keying_ms: u32,
    endorsing_ms: u32,
    collecting_ms: u32,
    challenging_ms: u32,
    reporting_ms: u32,
    opening_ms: u32,
    grace_ms: u32,
}

fn plain() -> String {
    "plain".into()
}

fn projections() -> u16 {
    256
}

fn candidates() -> u8 {
    16
}

fn selection(probability: f64) -> Result<Selection> {
    ensure!(
        0.0 < probability && probability < 1.0,
        "selection is a probability above 0 and below 1; leave it out to take every device"
    );
    // Truncated to units of 2^-32, of which it is at least one.
    let rate = ((probability * 2f64.powi(32)) as u32).max(1);
    Ok(Selection { rate })
}

fn largest_loss() -> f64 {
    f64::from(EvaluationRule::LOSS) / 65536.0
}

fn delta() -> u8 {
    6
}

pub async fn run(command: Command) -> Result<ExitCode> {
    match command {
        Command::Create {
            org,
            server,
            file,
            json,
        } => {
            let owner = files::load_organisation(&org)?;
            let description = Description::read(&file)?;
            description.check_rows()?;
            let api = Api::new(&server)?;
            let federation = api.federation().await?.verify()?.digest();
            let roster = of_epoch(&api, description.epoch).await?;
            let roster = roster.peek();
            let mut seed = [0; 32];
            getrandom::fill(&mut seed)?;
            let task = description.into_task(
                &owner,
                federation,
                (roster.digest(), &roster.threshold),
                seed,
            )?;
            task.check().context("the task breaks a rule")?;
            let noise = task.counted_noise(dp::honest_stewards(&roster.threshold));
            let charge = noise.charge_micro_rho(task.quantiser.clip)?;
            let (m, t) = (roster.threshold.m(), roster.threshold.t());
            let passes = task.options.noise.map(|noise| noise.undetected(m, t));
            let signed = Signed::sign(&task, owner.issuer())?;
            api.post_task(&signed, owner.issuer()).await?;
            let made = json!({"task": task.id(), "parameters": task.model.parameters(), "dimension": task.dimension()?.coordinates(), "charge_micro_rho": charge, "cheating_steward_passes": passes});
            output::report(json, &made, |_| {
                let noise = passes.map_or_else(String::new, |passes| {
                    format!(
                        "\na steward with a wrong candidate of noise, together with the aggregator, passes with probability {passes:.3} a round"
                    )
                });
                format!(
                    "task {} ({} parameters, {charge} micro-rho a round){noise}",
                    task.id(),
                    task.model.parameters()
                )
            })
        }
        Command::Explain {
            file,
            stewards,
            malicious,
            server,
            json,
        } => {
            let given = Given::read(&file)?;
            let threshold = match server {
                Some(server) => roster_threshold(&Api::new(&server)?, given.epoch()).await?,
                None => {
                    let malicious =
                        malicious.unwrap_or_else(|| dawn_sim::demo::tolerated(stewards));
                    Threshold::new(stewards, malicious)?
                }
            };
            let task = given.into_task(&threshold)?;
            let explanation = Explanation::of(&task, &threshold)?;
            output::report(json, &explanation.to_json(), |_| explanation.to_string())
        }
        Command::Show { server, task, json } => {
            let status = Api::new(&server)?.task_status(&task).await?;
            output::report(json, &status, |v| format!("{v:#}"))
        }
    }
}

/// A signed task, or its description.
enum Given {
    Signed(Box<Task>),
    Described(Box<Description>),
}

impl Given {
    fn read(file: &Path) -> Result<Self> {
        /// How a COSE_Sign1 envelope begins, and no description does.
        const ENVELOPE: u8 = 0xd2;
        let bytes = files::read(file)?;
        if bytes.first() == Some(&ENVELOPE) {
            let signed = Signed::<Task>::from_bytes(&bytes)
                .with_context(|| format!("{} holds no valid task", file.display()))?;
            return Ok(Self::Signed(Box::new(signed.peek().clone())));
        }
        Ok(Self::Described(Box::new(Description::read(file)?)))
    }

    /// The epoch of the roster.
    fn epoch(&self) -> Option<u64> {
        match self {
            Self::Signed(_) => None,
            Self::Described(description) => description.epoch,
        }
    }

    /// The task; what only its maker has is left blank.
    fn into_task(self, threshold: &Threshold) -> Result<Task> {
        let description = match self {
            Self::Signed(task) => return Ok(*task),
            Self::Described(description) => description,
        };
        let validity = Validity::starting(files::now(), 1);
        let mut rng = rand_core::UnwrapErr(getrandom::SysRng);
        let owner = Organisation::generate("explained", validity, &mut rng)?;
        let unknown = Digest([0; 32]);
        description.into_task(&owner, unknown, (unknown, threshold), [0; 32])
    }
}

async fn roster_threshold(api: &Api, epoch: Option<u64>) -> Result<Threshold> {
    Ok(of_epoch(api, epoch).await?.peek().threshold)
}

impl Description {
    fn read(file: &Path) -> Result<Description> {
        toml::from_str(&files::read_text(file)?)
            .with_context(|| format!("{} does not describe a task", file.display()))
    }

    /// Nobody makes a task that protects nobody by mistake.
    fn check_rows(&self) -> Result<()> {
        if usize::from(self.projections) == Rows::R128.get() && !self.test_only {
            bail!(
                "128 projections are for tests: what passes is bounded by experiments, not by a proof. Use 256, or say test_only = true"
            );
        }
        Ok(())
    }

    fn into_task(
        self,
        owner: &Organisation,
        federation: Digest,
        roster: (Digest, &Threshold),
        initial_seed: [u8; 32],
    ) -> Result<Task> {
        let preset: Preset = self.preset.parse().map_err(anyhow::Error::msg)?;
        let mut settings = preset.settings(&self.model);
        if let Some(clip) = self.clip {
            settings.quantiser.clip = clip;
        }
        let way = self.way()?;
        let (roster, threshold) = roster;
        let split = self.split(settings.quantiser.clip, threshold)?;
        let selection = self.selection.map(selection).transpose()?;
        let PolicyFields {
            min_accepted,
            min_honest,
            min_organisations,
            max_org_share_permille,
            max_submissions,
            target_submissions,
            max_org_submissions,
        } = self.policy;
        let d = self.deadlines;
        Ok(Task {
            version: PROTOCOL_VERSION,
            name: self.name,
            owner: owner.id(),
            issuer: owner.certificate().clone(),
            federation,
            roster,
            model: self.model,
            initial_seed,
            train: settings.train,
            quantiser: settings.quantiser,
            sigma_error: split.sigma_error,
            rounds: self.rounds,
            policy: Policy {
                min_accepted,
                min_honest,
                min_organisations,
                max_org_share_permille,
                max_submissions,
                target_submissions,
            },
            deadlines: Deadlines {
                keying_ms: d.keying_ms,
                endorsing_ms: d.endorsing_ms,
                collecting_ms: d.collecting_ms,
                challenging_ms: d.challenging_ms,
                reporting_ms: d.reporting_ms,
                opening_ms: d.opening_ms,
                grace_ms: d.grace_ms,
            },
            privacy: PrivacyPlan {
                budget_micro_rho: self.budget_micro_rho,
                delta_exponent: self.delta_exponent,
            },
            data_source: self.data_source,
            created: files::now(),
            projections: self.projections,
            options: TaskOptions {
                functional: self.functional.map(Functional::from),
                groups: self.groups.map(|groups| GroupRule {
                    most: groups.most,
                    size: groups.size,
                    least: groups.least,
                    honest: groups.honest,
                    dishonest: groups.dishonest,
                    rule: groups.rule,
                }),
                noise: split.stewards.map(|sigma| StewardNoise {
                    sigma,
                    candidates: self.noise.map_or_else(candidates, |noise| noise.candidates),
                }),
                way,
                selection,
                quota: max_org_submissions,
                evaluation: self.evaluation.map(EvaluationRule::from),
            },
        })
    }

    /// How devices learn together, other than by averaging everything.
    fn way(&self) -> Result<Option<Way>> {
        let way = self.way.as_deref().unwrap_or("fedavg");
        Ok(Way::parse(way, &self.model)?)
    }

    /// Who carries how much noise.
    fn split(&self, clip: u32, threshold: &Threshold) -> Result<dp::Split> {
        let given = self.sigma_error.map(Sigma::from_f64_ceil).transpose()?;
        let least = given.unwrap_or(Sigma::ERROR_MIN);
        let Some(noise) = &self.noise else {
            return Ok(dp::Split::of_devices(least));
        };
        match (noise.sigma, noise.epsilon) {
            (Some(sigma), None) => Ok(dp::Split::of_stewards(least, Sigma::from_f64_ceil(sigma)?)),
            (None, Some(target)) => {
                ensure!(
                    given.is_none(),
                    "noise.epsilon says how much devices carry: leave sigma_error out"
                );
                let sent = dawn_learn::way::dimension(&self.model, self.way()?.as_ref())?;
                let sent = sent + self.evaluation.as_ref().map_or(0, |_| 3);
                let plan = dp::Plan {
                    clip,
                    rounds: self.rounds,
                    padded_dimension: Dimension::new(sent)?.padded(),
                    min_honest: self.policy.min_honest,
                    delta_exponent: self.delta_exponent,
                };
                plan.split(target, dp::honest_stewards(threshold))
                    .context("that epsilon needs more noise than the largest supported deviation")
            }
            _ => bail!("[noise] has either sigma or epsilon"),
        }
    }
}
