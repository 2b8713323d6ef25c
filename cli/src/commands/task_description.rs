//! A task as its maker writes it down: a TOML file (`docs/operations.md`).

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use dawn_crypto::norm::Rows;
use dawn_crypto::params::{Dimension, Sigma};
use dawn_crypto::shamir::Threshold;
use dawn_identity::{Digest, OnlineIssuer};
use dawn_learn::data::{CsvAnswers, CsvFormat, LabelColumn, MAX_FEATURES, MAX_SAMPLES, read_csv};
use dawn_learn::{ModelSpec, Preset, PublicSet, RobustRule, Settings, Way};
use dawn_protocol::{
    Deadlines, EvaluationRule, Functional, GroupRule, PROTOCOL_VERSION, Policy, PrivacyPlan,
    Selection, StewardNoise, Task, TaskOptions, dp,
};
use serde::Deserialize;

use crate::files;

/// A task as its maker writes it down.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Description {
    name: String,
    model: ModelSpec,
    data_source: String,
    rounds: u32,
    #[serde(default = "plain")]
    preset: String,
    /// Epoch of the roster; the newest when absent.
    pub epoch: Option<u64>,
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
    /// What a way of `distillation` learns over.
    distillation: Option<DistillationFields>,
    /// What that names, once it was read.
    #[serde(skip)]
    public: Option<PublicSet>,
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

/// The public samples of a distillation.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DistillationFields {
    /// A CSV file beside the description: the features of one sample a line, without labels.
    public_set: PathBuf,
    /// Features are divided by 2 to this power, as devices divide theirs.
    #[serde(default)]
    scale_bits: u8,
    /// The student's passes over the public samples in a round; the preset's when absent.
    epochs: Option<u16>,
}

impl DistillationFields {
    fn read(&self, model: &ModelSpec, folder: &Path) -> Result<PublicSet> {
        let path = folder.join(&self.public_set);
        let format = CsvFormat {
            inputs: model.inputs(),
            answers: CsvAnswers::None,
            fraction_bits: 0,
            scale_bits: self.scale_bits,
            label: LabelColumn::Last,
            header: false,
            max_samples: MAX_SAMPLES.min(MAX_FEATURES / model.inputs().max(1)),
        };
        let name = || format!("the public set {}", path.display());
        let file = File::open(&path).with_context(name)?;
        let data = read_csv(BufReader::new(file), &format).with_context(name)?;
        PublicSet::new(&data).with_context(name)
    }
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

impl Description {
    /// Reads a description, and the public set that it names.
    ///
    /// # Errors
    /// Names the file and what is wrong with it.
    pub fn read(file: &Path) -> Result<Description> {
        let mut description: Self = toml::from_str(&files::read_text(file)?)
            .with_context(|| format!("{} does not describe a task", file.display()))?;
        ensure!(
            description.distils() == description.distillation.is_some(),
            "way = \"distillation\" and [distillation] with a public_set belong together: give both, or neither"
        );
        if let Some(fields) = &description.distillation {
            let folder = file.parent().unwrap_or(Path::new(""));
            description.public = Some(fields.read(&description.model, folder)?);
        }
        Ok(description)
    }

    fn distils(&self) -> bool {
        self.way.as_deref() == Some("distillation")
    }

    /// Nobody makes a task that protects nobody by mistake.
    pub fn check_rows(&self) -> Result<()> {
        if usize::from(self.projections) == Rows::R128.get() && !self.test_only {
            bail!(
                "128 projections are for tests: what passes is bounded by experiments, not by a proof. Use 256, or say test_only = true"
            );
        }
        Ok(())
    }

    /// The task, and the public set of a distillation.
    ///
    /// # Errors
    /// Fields that do not fit each other.
    pub fn into_task(
        self,
        owner: &OnlineIssuer,
        federation: Digest,
        roster: (Digest, &Threshold),
        initial_seed: [u8; 32],
    ) -> Result<(Task, Option<PublicSet>)> {
        let preset: Preset = self.preset.parse().map_err(anyhow::Error::msg)?;
        let (mut settings, way) = self.learning(preset)?;
        if let Some(clip) = self.clip {
            settings.quantiser.clip = clip;
        }
        let (roster, threshold) = roster;
        let sent = dawn_learn::way::dimension(&self.model, way.as_ref())?;
        let split = self.split(settings.quantiser.clip, sent, threshold)?;
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
        let task = Task {
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
        };
        Ok((task, self.public))
    }

    /// How devices train, and how they learn together, other than by averaging everything.
    fn learning(&self, preset: Preset) -> Result<(Settings, Option<Way>)> {
        let Some(set) = &self.public else {
            let way = Way::parse(self.way.as_deref().unwrap_or("fedavg"), &self.model)?;
            return Ok((preset.settings(&self.model), way));
        };
        let samples = u32::try_from(set.samples().len())?;
        let (settings, mut student) = preset.distilling(&self.model, samples);
        if let Some(epochs) = self.distillation.as_ref().and_then(|fields| fields.epochs) {
            student.epochs = epochs;
        }
        let way = Way::distillation(&self.model, set, student)?;
        Ok((settings, Some(way)))
    }

    /// Who carries how much noise, when devices send so many coordinates beside an evaluation.
    fn split(&self, clip: u32, sent: usize, threshold: &Threshold) -> Result<dp::Split> {
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
