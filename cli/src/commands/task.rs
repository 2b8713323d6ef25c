//! `dawn task`: what the members compute together.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Subcommand;
use dawn_crypto::params::Sigma;
use dawn_identity::{Signed, Statement as _, TaskId};
use dawn_learn::{ModelSpec, Preset};
use dawn_protocol::{
    Deadlines, Functional, PROTOCOL_VERSION, Policy, PrivacyPlan, Task, TaskOptions,
};
use dawn_transport::Api;
use serde::Deserialize;
use serde_json::json;

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
    /// Epoch of the roster.
    #[serde(default = "one")]
    epoch: u64,
    /// Standard deviation of the error that each device adds; the least that masking allows when absent.
    sigma_error: Option<f64>,
    /// Clip bound in update units; the preset's when absent.
    clip: Option<u32>,
    budget_micro_rho: Option<u64>,
    #[serde(default = "delta")]
    delta_exponent: u8,
    policy: PolicyFields,
    deadlines: DeadlineFields,
    /// Rows of the norm proof: 256, or 512 for a tighter bound.
    #[serde(default = "projections")]
    projections: u16,
    /// What is asked of updates beside their norm.
    functional: Option<FunctionalField>,
}

/// `"direction"`, or `{ counts = 4096 }`: what one is in the update's integers.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum FunctionalField {
    Direction,
    Counts(u32),
}

impl From<FunctionalField> for Functional {
    fn from(field: FunctionalField) -> Self {
        match field {
            FunctionalField::Direction => Self::Direction,
            FunctionalField::Counts(unit) => Self::Counts { unit },
        }
    }
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

fn one() -> u64 {
    1
}

fn projections() -> u16 {
    256
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
            let description: Description = toml::from_str(&files::read_text(&file)?)
                .with_context(|| format!("{} does not describe a task", file.display()))?;
            let api = Api::new(&server)?;
            let federation = api.federation().await?.verify()?.digest();
            let roster = api.roster(description.epoch).await?.peek().digest();
            let mut seed = [0; 32];
            getrandom::fill(&mut seed)?;
            let task = description.into_task(&owner, federation, roster, seed)?;
            task.check().context("the task breaks a rule")?;
            let charge = task.charge_micro_rho()?;
            let signed = Signed::sign(&task, owner.issuer())?;
            api.post_task(&signed).await?;
            let made = json!({"task": task.id(), "parameters": task.model.parameters(), "charge_micro_rho": charge});
            output::report(json, &made, |_| {
                format!(
                    "task {} ({} parameters, {charge} micro-rho a round)",
                    task.id(),
                    task.model.parameters()
                )
            })
        }
        Command::Show { server, task, json } => {
            let status = Api::new(&server)?.task_status(&task).await?;
            output::report(json, &status, |v| format!("{v:#}"))
        }
    }
}

impl Description {
    fn into_task(
        self,
        owner: &dawn_identity::Organisation,
        federation: dawn_identity::Digest,
        roster: dawn_identity::Digest,
        initial_seed: [u8; 32],
    ) -> Result<Task> {
        let preset: Preset = self.preset.parse().map_err(anyhow::Error::msg)?;
        let mut settings = preset.settings(&self.model);
        if let Some(clip) = self.clip {
            settings.quantiser.clip = clip;
        }
        let sigma_error = match self.sigma_error {
            Some(sigma) => Sigma::from_f64_ceil(sigma)?,
            None => Sigma::ERROR_MIN,
        };
        let PolicyFields {
            min_accepted,
            min_honest,
            min_organisations,
            max_org_share_permille,
            max_submissions,
            target_submissions,
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
            sigma_error,
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
            },
        })
    }
}
