//! `dawn org`: an organisation's keys and its registration.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Subcommand;
use dawn_identity::{DeviceId, KeyId, OrgId, Organisation, SecretKey, StewardId, Validity};
use rand_core::UnwrapErr;
use serde_json::json;

use super::org_changes::{self, Target};
use super::org_rotation::{self, Which};
use crate::{files, output};

#[derive(Subcommand)]
pub enum Command {
    /// Makes the organisation's root and issuer keys.
    Init {
        /// Name for people.
        #[arg(long)]
        name: String,
        /// Folder for the keys; the root key belongs offline.
        #[arg(long)]
        dir: PathBuf,
        /// File of a root key that another tool made (`openssl genpkey -algorithm ed25519`), in the place of a new one. It is
        /// kept as it is, encrypted or not.
        #[arg(long)]
        root_key: Option<PathBuf>,
        /// How long the issuer key may issue credentials.
        #[arg(long, default_value_t = 365, value_parser = clap::value_parser!(u64).range(1..=36_500))]
        days: u64,
        #[arg(long)]
        json: bool,
    },
    /// Prints the organisation's identifier.
    Show {
        #[arg(long)]
        dir: PathBuf,
        #[arg(long)]
        json: bool,
    },
    /// Replaces the root key, or the issuer key.
    Rotate {
        #[arg(long)]
        dir: PathBuf,
        #[arg(long)]
        server: String,
        /// The root key: signed by the old and the new one.
        #[arg(long, required_unless_present = "issuer", conflicts_with = "issuer")]
        root: bool,
        /// The issuer key.
        #[arg(long)]
        issuer: bool,
        /// With --issuer: the one before, and the devices that it vouches for, do not count any more.
        #[arg(long, requires = "issuer")]
        revoke: bool,
        /// How long the issuer key may issue credentials.
        #[arg(long, default_value_t = 365, value_parser = clap::value_parser!(u64).range(1..=36_500))]
        days: u64,
        #[arg(long)]
        json: bool,
    },
    /// Takes trust back: from devices, an issuer key, a steward, or by leaving.
    #[command(group = clap::ArgGroup::new("target").required(true))]
    Revoke {
        #[arg(long)]
        dir: PathBuf,
        #[arg(long)]
        server: String,
        /// A device; once per device, 1000 at most.
        #[arg(long = "device", group = "target")]
        devices: Vec<DeviceId>,
        /// Identifier of an issuer key, as `dawn key show` prints it.
        #[arg(long = "issuer", group = "target")]
        issuer: Option<KeyId>,
        #[arg(long, group = "target")]
        steward: Option<StewardId>,
        /// The organisation leaves the federation, for good.
        #[arg(long, group = "target")]
        organisation: bool,
        /// With the issuer key, which may revoke devices; the root key can stay where it is.
        #[arg(long)]
        by_issuer: bool,
        /// Writes the signed event here instead of posting it, for whoever signs requests with a tool of his own.
        #[arg(long)]
        out: Option<PathBuf>,
        #[arg(long)]
        json: bool,
    },
    /// Approves, as a founder, an organisation that has registered, and brings its registration into the register.
    Approve {
        /// Folder of the founder.
        #[arg(long)]
        dir: PathBuf,
        #[arg(long)]
        server: String,
        /// The organisation that is to be let in.
        org: OrgId,
        /// File of its registration, as `dawn federation registration` wrote it; else the server is asked for it.
        #[arg(long)]
        registration: Option<PathBuf>,
        #[arg(long)]
        json: bool,
    },
    /// Registers the organisation with a federation's aggregator.
    Register {
        #[arg(long)]
        dir: PathBuf,
        /// The aggregator, as http(s)://host:port
        #[arg(long)]
        server: String,
        #[arg(long)]
        json: bool,
    },
}

pub async fn run(command: Command) -> Result<ExitCode> {
    match command {
        Command::Init {
            name,
            dir,
            root_key,
            days,
            json,
        } => {
            let validity = Validity::starting(files::now() - 60, days * 24 * 3600);
            let rng = &mut UnwrapErr(getrandom::SysRng);
            let (root, text) = match root_key {
                Some(file) => (files::read_key(&file)?, files::read_text(&file)?.into()),
                None => {
                    let root = SecretKey::generate(rng);
                    let text = root.to_pkcs8_pem();
                    (root, text)
                }
            };
            let issuer = SecretKey::generate(rng);
            let id = OrgId::of(&root.public());
            let certificate = Organisation::certify(&id, &root, &issuer.public(), validity, 1)?;
            let organisation = Organisation::from_parts(&name, root, issuer, certificate)?;
            files::save_organisation(&dir, &organisation, &text)?;
            let made = json!({"org": organisation.id(), "name": name, "dir": dir});
            output::report(json, &made, |_| {
                format!(
                    "{} is organisation {}",
                    organisation.name(),
                    organisation.id()
                )
            })
        }
        Command::Show { dir, json } => {
            let organisation = files::load_organisation(&dir)?;
            let shown = json!({"org": organisation.id(), "name": organisation.name(), "root": organisation.root().public()});
            output::report(json, &shown, |_| organisation.id().to_string())
        }
        Command::Rotate {
            dir,
            server,
            root,
            issuer: _,
            revoke,
            days,
            json,
        } => {
            let which = if root {
                Which::Root
            } else {
                Which::Issuer { revoke }
            };
            org_rotation::rotate(&dir, &server, which, days, json).await
        }
        Command::Revoke {
            dir,
            server,
            devices,
            issuer,
            steward,
            organisation: _,
            by_issuer,
            out,
            json,
        } => {
            let target = match (issuer, steward) {
                (Some(issuer), _) => Target::Issuer(issuer),
                (None, Some(steward)) => Target::Steward(steward),
                (None, None) if devices.is_empty() => Target::Organisation,
                (None, None) => Target::Devices(devices),
            };
            let out = out.as_deref();
            org_changes::revoke(&dir, &server, target, by_issuer, out, json).await
        }
        Command::Approve {
            dir,
            server,
            org,
            registration,
            json,
        } => org_changes::approve(&dir, &server, org, registration.as_deref(), json).await,
        Command::Register { dir, server, json } => org_changes::register(&dir, &server, json).await,
    }
}
