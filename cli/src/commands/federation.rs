//! `dawn federation`: the founding document that everybody pins.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Subcommand, ValueEnum};
use dawn_identity::{Admission, Digest, Federation, FoundingDocument, ServerRole};
use dawn_transport::Api;
use serde_json::json;

use super::server_keys;
use crate::{files, output};

#[derive(Subcommand)]
pub enum Command {
    /// Founds a federation of organisations whose keys are on this machine, and posts the document.
    Found {
        #[arg(long)]
        name: String,
        #[arg(long)]
        server: String,
        /// Folder of a founding organisation; once per founder.
        #[arg(long = "org", required = true)]
        orgs: Vec<PathBuf>,
        /// How many founders must sign a roster; more than half of them.
        #[arg(long)]
        roster_quorum: Option<u16>,
        /// How many founders must approve an organisation before it is a member; without this everybody may register.
        #[arg(long)]
        approvals: Option<u16>,
        /// Where to write the document that devices and stewards pin.
        #[arg(long)]
        out: PathBuf,
        #[arg(long)]
        json: bool,
    },
    /// Writes an organisation's registration into a file, offline: any tool can post it (docs/tutorial.md).
    Registration {
        /// Folder of the organisation.
        #[arg(long)]
        org: PathBuf,
        /// The founding document.
        #[arg(long)]
        federation: PathBuf,
        #[arg(long)]
        out: PathBuf,
        #[arg(long)]
        json: bool,
    },
    /// On the server: makes another key of the aggregator or of the log, and a file in which founders let it in.
    ProposeKey {
        #[arg(long)]
        server: String,
        /// Which key is replaced.
        #[arg(long, value_enum)]
        role: Role,
        /// The folder of the server's keys (keys/ in its data directory). The new key goes there, to ROLE.next.pem, unless it is there.
        #[arg(long)]
        keys: PathBuf,
        /// Where the file for the founders goes.
        #[arg(long)]
        out: PathBuf,
        #[arg(long)]
        json: bool,
    },
    /// Adds founders' signatures to such a file, offline. The old key has no say: a thief of it replaces nothing.
    SignKey {
        /// The file; it is overwritten.
        #[arg(long)]
        change: PathBuf,
        /// The founding document, or a copy of it.
        #[arg(long)]
        founding: PathBuf,
        /// Digest of the founding document that you trust.
        #[arg(long)]
        federation: Digest,
        /// Folder of a founder that signs; once per founder.
        #[arg(long = "org", required = true)]
        orgs: Vec<PathBuf>,
        #[arg(long)]
        json: bool,
    },
    /// Posts the file when enough founders have signed it: the new key takes over, and the old one signs nothing any more.
    ReplaceKey {
        #[arg(long)]
        server: String,
        /// The file.
        #[arg(long)]
        change: PathBuf,
        /// Folder of a founder that has signed it.
        #[arg(long)]
        org: PathBuf,
        #[arg(long)]
        json: bool,
    },
    /// Shows a founding document, from a file or a server.
    Show {
        /// File or http(s) address.
        source: String,
        #[arg(long)]
        json: bool,
    },
}

/// Which of the server's keys.
#[derive(Clone, Copy, ValueEnum)]
pub enum Role {
    /// It signs what is said in rounds.
    Aggregator,
    /// It signs heads and checkpoints of the log.
    Log,
}

pub async fn run(command: Command) -> Result<ExitCode> {
    match command {
        Command::ProposeKey {
            server,
            role,
            keys,
            out,
            json,
        } => {
            let role = match role {
                Role::Aggregator => ServerRole::Aggregator,
                Role::Log => ServerRole::Log,
            };
            server_keys::propose(&server, role, &keys, &out, json).await
        }
        Command::SignKey {
            change,
            founding,
            federation,
            orgs,
            json,
        } => server_keys::sign(&change, &founding, &federation, &orgs, json),
        Command::ReplaceKey {
            server,
            change,
            org,
            json,
        } => server_keys::replace(&server, &change, &org, json).await,
        Command::Found {
            name,
            server,
            orgs,
            roster_quorum,
            approvals,
            out,
            json,
        } => {
            let organisations = files::load_organisations(&orgs)?;
            let founders: Vec<_> = organisations.iter().collect();
            let api = Api::new(&server)?;
            let info = api.aggregator().await?;
            let federation = Federation {
                name,
                founders: founders.iter().map(|o| o.founder_entry()).collect(),
                aggregator: info.aggregator_key,
                log: info.log_key,
                admission: approvals.map_or(Admission::Open, |k| Admission::Approval { k }),
                roster_quorum: roster_quorum.unwrap_or(founders.len() as u16 / 2 + 1),
                created: files::now(),
            };
            let document = FoundingDocument::found(federation, &founders)?;
            files::write_new(&out, &document.to_bytes(), 0o644)?;
            api.post_federation(&document, organisations[0].root())
                .await?;
            let done =
                json!({"federation": document.digest(), "founders": founders.len(), "file": out});
            output::report(json, &done, |_| {
                format!(
                    "founded {}: pin this digest, or {}",
                    document.digest(),
                    out.display()
                )
            })
        }
        Command::Registration {
            org,
            federation,
            out,
            json,
        } => {
            let organisation = files::load_organisation(&org)?;
            let federation = files::load_founding(&federation)?.verify()?.digest();
            let registration = organisation.register(&federation, files::now())?;
            files::write_new(&out, registration.bytes(), 0o644)?;
            let done = json!({"org": organisation.id(), "federation": federation, "file": out});
            output::report(json, &done, |_| {
                format!(
                    "registration of {} in {}",
                    organisation.name(),
                    out.display()
                )
            })
        }
        Command::Show { source, json } => {
            let document = if source.starts_with("http") {
                Api::new(&source)?.federation().await?
            } else {
                files::load_founding(source.as_ref())?
            };
            let verified = document.verify()?;
            let federation = &verified.document().federation;
            let shown = json!({
                "federation": verified.digest(),
                "name": federation.name,
                "founders": federation.founders.iter().map(|f| json!({"name": f.name, "root": f.root})).collect::<Vec<_>>(),
                "aggregator": federation.aggregator,
                "log": federation.log,
                "admission": match federation.admission {
                    Admission::Open => json!("open"),
                    Admission::Approval { k } => json!({"approvals": k}),
                },
                "roster_quorum": federation.roster_quorum,
                "created": federation.created,
            });
            output::report(json, &shown, |v| format!("{v:#}"))
        }
    }
}
