//! What the demo learns: data set, model, split, and the task with its noise and policy.

use std::fmt;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use dawn_crypto::params::{Dimension, Sigma};
use dawn_crypto::shamir::Threshold;
use dawn_identity::{Digest, Organisation, Signed};
use dawn_learn::data::{Split, digits, fashion_mnist, watch};
use dawn_learn::way::dimension;
use dawn_learn::{Dataset, ModelSpec, Preset, PublicSet, Settings, Way};
use dawn_protocol::{
    Deadlines, EvaluationRule, PROTOCOL_VERSION, Policy, PrivacyPlan, Selection, StewardNoise,
    Task, TaskOptions, dp,
};

use super::shares::{Shares, WATCH_FOLDER};
use super::{DemoOptions, Filter};

/// The delta that the demo states epsilon at: 10^-5, well below one device in a hundred.
pub const DELTA_EXPONENT: u8 = 5;

/// A data set that the demo can learn from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DataSource {
    /// 1,797 images of 8 x 8 pixels; built in.
    Digits,
    /// 70,000 images of 28 x 28 pixels, from a Debian package.
    Fashion,
    /// Windows of exercises that ten people did with a smartwatch on either arm (`dawn data fetch watch`).
    Watch,
}

impl DataSource {
    /// Reads it, from a folder when it is not built in: where a package installs it, or the given one.
    pub fn load(self, folder: Option<&Path>) -> Result<Split> {
        match self {
            Self::Digits => Ok(digits()?),
            Self::Fashion => Ok(fashion_mnist(folder)?),
            Self::Watch => Ok(watch(folder.unwrap_or(Path::new(WATCH_FOLDER)))?.split()?),
        }
    }

    /// The model that the demo trains on it. With a privacy target the smaller model wins: noise
    /// grows with the number of parameters.
    pub fn model(self, private: bool) -> ModelSpec {
        let text = match (self, private) {
            (Self::Digits, false) => "mlp:64-32-10",
            (Self::Digits, true) => "logistic:64-10",
            (Self::Fashion, false) => "mlp:784-64-10",
            (Self::Fashion, true) => "logistic:784-10",
            (Self::Watch, false) => "mlp:63-64-7",
            (Self::Watch, true) => "logistic:63-7",
        };
        text.parse().expect("the built-in models are well formed")
    }
}

impl FromStr for DataSource {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "digits" => Ok(Self::Digits),
            "fashion" => Ok(Self::Fashion),
            "watch" => Ok(Self::Watch),
            other => Err(format!(
                "there is no data set {other:?}: use digits, fashion or watch"
            )),
        }
    }
}

impl fmt::Display for DataSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Digits => "digits",
            Self::Fashion => "fashion",
            Self::Watch => "watch",
        })
    }
}

/// Who carries the noise of a privacy target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NoiseBy {
    /// The devices, all of it.
    #[default]
    Devices,
    /// The stewards: devices carry what masking needs.
    Stewards,
    /// Devices as much as a cheating one gains little from, and stewards the rest.
    Split,
}

impl FromStr for NoiseBy {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "devices" => Ok(Self::Devices),
            "stewards" => Ok(Self::Stewards),
            "split" => Ok(Self::Split),
            other => Err(format!(
                "{other:?} carries no noise: use devices, stewards or split"
            )),
        }
    }
}

/// Candidates of a steward in the demo: one that cheats is found out in seven of eight rounds, unless the server helps.
const CANDIDATES: u8 = 8;

/// Data and split.
pub struct Setting {
    /// Who has which data.
    pub shares: Shares,
    /// The model's shape.
    pub model: ModelSpec,
    /// How devices learn together; averaging when absent.
    pub way: Option<Way>,
    /// Whether devices evaluate the model.
    pub evaluates: bool,
    /// Training and quantisation.
    pub settings: Settings,
    /// The samples that everybody has, of a distillation.
    pub public: Option<Arc<PublicSet>>,
}

impl Setting {
    /// Loads the data and splits it unevenly over organisations and devices.
    pub fn prepare(options: &DemoOptions) -> Result<Self> {
        let private = options.epsilon.is_some();
        let model = match options.model {
            Some(model) => model,
            None => options.data.model(private),
        };
        let preset = if private {
            Preset::Private
        } else {
            Preset::Plain
        };
        let distils = Way::public_samples(&options.way)?.is_some();
        let mut way = None;
        if !distils {
            way = Way::parse(&options.way, &model)?;
        }
        let personal = matches!(way, Some(Way::Personal { .. }));
        let mut shares = Shares::split(options, personal || options.evaluate)?;
        ensure!(
            model.inputs() == shares.test.inputs(),
            "the model {model} has {} inputs, the {} data has {}: choose a model that fits",
            model.inputs(),
            options.data,
            shares.test.inputs()
        );
        let public = shares.public.take().map(Arc::new);
        let mut settings = preset.settings(&model);
        if let Some(set) = &public {
            let samples = u32::try_from(set.samples().len())?;
            let student;
            (settings, student) = preset.distilling(&model, samples);
            way = Some(Way::distillation(&model, set, student)?);
        }
        Ok(Self {
            shares,
            model,
            way,
            evaluates: options.evaluate,
            settings,
            public,
        })
    }

    /// Number of coordinates that a device sends.
    pub fn dimension(&self) -> Result<usize> {
        let evaluation = if self.evaluates { 3 } else { 0 };
        Ok(dimension(&self.model, self.way.as_ref())? + evaluation)
    }

    /// What devices say of the model, when it is asked for: of all that the one with most holds out.
    fn evaluation(&self, options: &DemoOptions, clip: u32) -> Result<Option<EvaluationRule>> {
        if !options.evaluate {
            return Ok(None);
        }
        let most = self.shares.own.iter().map(Dataset::len).max().unwrap_or(0);
        let rule = EvaluationRule::for_samples(u32::try_from(most)?, clip);
        let rule = rule.context("devices hold out more samples than the clip bound can count")?;
        Ok(Some(rule))
    }

    /// The task, signed by the first organisation's issuer.
    pub fn task(
        &self,
        options: &DemoOptions,
        federation: Digest,
        roster: Digest,
        owner: &Organisation,
        threshold: &Threshold,
        now: u64,
    ) -> Result<Signed<Task>> {
        let settings = self.settings;
        let evaluation = self.evaluation(options, settings.quantiser.clip)?;
        let policy = policy(options);
        let groups = options.groups.map(|groups| groups.rule(&policy));
        let groups = groups.transpose()?;
        let (noise, budget_micro_rho) = match options.epsilon {
            None => (dp::Split::of_devices(Sigma::ERROR_MIN), None),
            Some(target) => {
                let plan = dp::Plan {
                    clip: settings.quantiser.clip,
                    rounds: options.rounds,
                    padded_dimension: Dimension::new(self.dimension()?)?.padded(),
                    min_honest: groups.map_or(policy.min_honest, |groups| groups.honest),
                    delta_exponent: DELTA_EXPONENT,
                };
                let honest = dp::honest_stewards(threshold);
                let noise = match options.noise {
                    NoiseBy::Devices => plan.calibrate(target).map(dp::Split::of_devices),
                    NoiseBy::Stewards => plan
                        .calibrate_stewards(target, Sigma::ERROR_MIN, honest)
                        .map(|sigma| dp::Split::of_stewards(Sigma::ERROR_MIN, sigma)),
                    NoiseBy::Split => plan.split(target, honest),
                };
                let noise = noise.context(
                    "that epsilon needs more noise than the largest supported deviation: allow more epsilon, fewer rounds or more devices",
                )?;
                (noise, Some(plan.total_with(&plan.counted(&noise, honest))?))
            }
        };
        let task = Task {
            version: PROTOCOL_VERSION,
            name: format!("{} demo", options.data),
            owner: owner.id(),
            issuer: owner.certificate().clone(),
            federation,
            roster,
            model: self.model,
            initial_seed: options.seed_for("initial model"),
            train: settings.train,
            quantiser: settings.quantiser,
            sigma_error: noise.sigma_error,
            rounds: options.rounds,
            policy,
            deadlines: Deadlines {
                keying_ms: 10_000,
                // Part of the time until which devices may submit: waited for in every round.
                endorsing_ms: 3_000,
                collecting_ms: collecting_ms(options, self.dimension()?),
                challenging_ms: 10_000,
                reporting_ms: reporting_ms(options),
                opening_ms: 30_000,
                // Long enough that everybody is heard when somebody lies.
                grace_ms: if options.steward_attacks.is_empty() {
                    1_000
                } else {
                    5_000
                },
            },
            privacy: PrivacyPlan {
                budget_micro_rho,
                delta_exponent: DELTA_EXPONENT,
            },
            data_source: options.data.to_string(),
            created: now,
            projections: 256,
            options: TaskOptions {
                groups,
                functional: options.filter.map(Filter::functional),
                noise: noise.stewards.map(|sigma| StewardNoise {
                    sigma,
                    candidates: CANDIDATES,
                }),
                way: self.way.clone(),
                quota: None,
                selection: options.selection.map(|probability| Selection {
                    rate: (probability * 2f64.powi(32)) as u32,
                }),
                evaluation,
            },
        };
        Signed::sign(&task, owner.issuer()).context("the demo's task breaks a rule")
    }
}

/// Nine tenths of the honest devices that are expected to stay must be accepted, and four fifths of
/// those are counted on to be honest. Of devices that draw, five deviations fewer than expected will do.
fn policy(options: &DemoOptions) -> Policy {
    let staying = f64::from(options.devices) * (1.0 - options.dropout) * (1.0 - options.byzantine);
    let drawn = options.selection.map_or(staying, |probability| {
        let expected = staying * probability;
        expected - 5.0 * (expected * (1.0 - probability)).sqrt()
    });
    let min_accepted = ((drawn * 0.9) as u32).max(2);
    Policy {
        min_accepted,
        min_honest: (min_accepted * 4 / 5).max(2),
        min_organisations: u16::from(options.organisations.min(2)),
        // Twice an even share.
        max_org_share_permille: (2000 / u16::from(options.organisations).max(1)).clamp(1, 1000),
        max_submissions: options.devices.max(2),
        target_submissions: options.devices.max(2),
    }
}

/// Devices train, mask and upload within this time; those that cannot are dropped. Two cores have
/// to play all devices here.
fn collecting_ms(options: &DemoOptions, dimension: usize) -> u32 {
    let each = 20 + dimension as u64 / 200;
    let mut total = 1_500 + u64::from(options.devices) * each;
    if options.dropout == 0.0 && options.selection.is_none() {
        // Nobody fails: the phase ends when all are there, and the slowest is waited for.
        total *= 10;
    }
    u32::try_from(total).unwrap_or(u32::MAX).min(600_000)
}

/// Stewards open their packages and answer about every submission within this time. All of them share the cores here; the phase
/// ends when they are done.
fn reporting_ms(options: &DemoOptions) -> u32 {
    let answers = options
        .devices
        .saturating_mul(u32::from(options.organisations));
    answers
        .saturating_mul(30)
        .saturating_add(30_000)
        .min(600_000)
}
