//! `dawn roster`: the stewards of an epoch, signed by the member organisations.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Subcommand;
use dawn_crypto::shamir::Threshold;
use dawn_identity::{OrgId, PublicKey, Roster, RosterEntry, SignedRoster};
use dawn_sim::demo::tolerated;
use dawn_transport::Api;
use serde_json::json;

use crate::{files, output};

#[derive(Subcommand)]
pub enum Command {
    /// Signs a roster of the newest enrolled stewards of these organisations, and posts it.
    Sign {
        #[arg(long)]
        server: String,
        /// Folder of an organisation whose steward is listed and which signs; once per organisation.
        #[arg(long = "org", required = true)]
        orgs: Vec<PathBuf>,
        #[arg(long, default_value_t = 1)]
        epoch: u64,
        /// How many stewards may be malicious. Default: the most that still lets one be away.
        #[arg(long)]
        malicious: Option<u8>,
        #[arg(long)]
        json: bool,
    },
    /// Shows the roster of an epoch.
    Show {
        #[arg(long)]
        server: String,
        #[arg(long, default_value_t = 1)]
        epoch: u64,
        #[arg(long)]
        json: bool,
    },
}

pub async fn run(command: Command) -> Result<ExitCode> {
    match command {
        Command::Sign {
            server,
            orgs,
            epoch,
            malicious,
            json,
        } => {
            let organisations = files::load_organisations(&orgs)?;
            let api = Api::new(&server)?;
            let federation = api.federation().await?.verify()?;
            let mut stewards = Vec::new();
            for organisation in &organisations {
                let org = organisation.id();
                let steward = newest_steward(&api, &org).await.with_context(|| {
                    format!("looking for the steward of {}", organisation.name())
                })?;
                stewards.push(RosterEntry { org, steward });
            }
            let count =
                u8::try_from(stewards.len()).context("more stewards than a roster holds")?;
            let roster = Roster {
                federation: federation.digest(),
                epoch,
                threshold: Threshold::new(count, malicious.unwrap_or_else(|| tolerated(count)))?,
                stewards,
                created: files::now(),
            };
            let signatures = organisations
                .iter()
                .map(|o| roster.sign(o.root()))
                .collect();
            let signed = SignedRoster::assemble(roster, signatures)?;
            api.post_roster(&signed).await?;
            output::report(json, &describe(&signed), |v| format!("{v:#}"))
        }
        Command::Show {
            server,
            epoch,
            json,
        } => {
            let roster = Api::new(&server)?.roster(epoch).await?;
            output::report(json, &describe(&roster), |v| format!("{v:#}"))
        }
    }
}

fn describe(signed: &SignedRoster) -> serde_json::Value {
    let roster = signed.peek();
    let threshold = &roster.threshold;
    json!({
        "roster": roster.digest(),
        "epoch": roster.epoch,
        "m": threshold.m(), "f": threshold.f(), "T": threshold.t(), "A": threshold.a(),
        "stewards": roster.stewards.iter().map(|s| json!({"org": s.org, "steward": s.id()})).collect::<Vec<_>>(),
        "signed_by": signed.signatures().iter().map(|s| s.org).collect::<Vec<_>>(),
    })
}

/// The key of the steward that an organisation enrolled last, as the aggregator tells it. Signing a
/// roster is the organisation's consent, so a wrong answer shows in what is signed.
async fn newest_steward(api: &Api, org: &OrgId) -> Result<PublicKey> {
    let description = api.org(org).await?;
    let key = description["stewards"]
        .as_array()
        .and_then(|stewards| stewards.last())
        .and_then(|steward| steward["steward_key"].as_str())
        .context("no steward is enrolled: run `dawn steward enrol` first")?;
    Ok(serde_json::from_value(serde_json::Value::String(
        key.into(),
    ))?)
}
