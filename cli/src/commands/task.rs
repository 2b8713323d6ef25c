//! `dawn task`: what the members compute together.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Subcommand;
use dawn_crypto::shamir::Threshold;
use dawn_identity::{Digest, Organisation, Signed, Statement as _, TaskId, Validity};
use dawn_protocol::{Task, dp};
use dawn_transport::Api;
use serde_json::json;

use super::explain::Explanation;
use super::roster::of_epoch;
use super::task_description::Description;
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

pub async fn run(command: Command) -> Result<ExitCode> {
    match command {
        Command::Create {
            org,
            server,
            file,
            json,
        } => {
            let owner = files::load_online(&org)?;
            let description = Description::read(&file)?;
            description.check_rows()?;
            let api = Api::new(&server)?;
            let federation = api.federation().await?.verify()?.digest();
            let roster = of_epoch(&api, description.epoch).await?;
            let roster = roster.peek();
            let mut seed = [0; 32];
            getrandom::fill(&mut seed)?;
            let (task, public) = description.into_task(
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
            let signed = Signed::sign(&task, owner.key())?;
            match public {
                None => api.post_task(&signed, owner.key()).await?,
                Some(set) => {
                    let set = set.to_bytes();
                    api.post_task_with(&signed, &set, owner.key()).await?;
                }
            }
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
        let made = description.into_task(owner.online(), unknown, (unknown, threshold), [0; 32]);
        made.map(|(task, _)| task)
    }
}

async fn roster_threshold(api: &Api, epoch: Option<u64>) -> Result<Threshold> {
    Ok(of_epoch(api, epoch).await?.peek().threshold)
}
