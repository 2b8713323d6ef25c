//! `dawn device`: device keys and credentials. No server is asked: a million devices cost it nothing.

use std::fs::{self, File};
use std::io::{BufReader, BufWriter};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use clap::{Args, Subcommand};
use dawn_crypto::vrf::VrfPublicKey;
use dawn_identity::device_batch::MAX_ATTESTATION_BYTES;
use dawn_identity::{
    BatchReader, BatchWriter, DeviceRequest, EnrolmentPlan, OnlineIssuer, PublicKey, Validity,
    attestation_digest, device_vrf, to_canonical,
};
use dawn_protocol::selection::ENROLMENT_BACKDATING;
use rand_core::UnwrapErr;
use serde_json::json;

use crate::{files, output};

#[derive(Subcommand)]
pub enum Command {
    /// Makes credentials for devices of an organisation, and their keys.
    Enrol(Enrolment),
    /// Takes one device out of a file that `enrol --batch` made.
    Extract {
        /// The file.
        #[arg(long)]
        batch: PathBuf,
        /// Which device, counted from 0.
        #[arg(long)]
        index: u64,
        /// The founding document that the device pins.
        #[arg(long)]
        federation: PathBuf,
        /// Folder that becomes the device's.
        #[arg(long)]
        out: PathBuf,
        #[arg(long)]
        json: bool,
    },
    /// What a device asks its organisation for: its public key, and the VRF key that follows from its secret.
    Request {
        /// The device's secret key, as `dawn key new` or `openssl genpkey -algorithm ed25519` makes it.
        #[arg(long)]
        key: PathBuf,
        #[arg(long)]
        json: bool,
    },
}

#[derive(Args)]
pub struct Enrolment {
    /// Folder of the organisation.
    #[arg(long)]
    org: PathBuf,
    /// The founding document that the devices pin; not for --batch.
    #[arg(long, required_unless_present = "batch")]
    federation: Option<PathBuf>,
    /// Folder that gets one folder per device.
    #[arg(long, required_unless_present = "batch")]
    out: Option<PathBuf>,
    /// File that gets all devices, secrets and credentials; only its owner may read it.
    #[arg(long, conflicts_with_all = ["out", "public_key"])]
    batch: Option<PathBuf>,
    #[arg(long, default_value_t = 1)]
    count: u64,
    /// First part of the labels.
    #[arg(long, default_value = "device")]
    label: String,
    #[arg(long, default_value_t = 90, value_parser = clap::value_parser!(u64).range(1..=36_500))]
    days: u64,
    /// What the maker says about the devices. It stays with them; their credentials name its digest.
    #[arg(long)]
    attestation: Option<PathBuf>,
    /// Public key of a device that keeps its secret to itself.
    #[arg(long)]
    public_key: Option<PathBuf>,
    /// Its VRF key, as `dawn device request` says it; without it the device has no part in tasks that select devices.
    #[arg(long, requires = "public_key")]
    vrf_key: Option<String>,
    #[arg(long)]
    json: bool,
}

pub async fn run(command: Command) -> Result<ExitCode> {
    match command {
        Command::Enrol(enrolment) => enrol(enrolment),
        Command::Extract {
            batch,
            index,
            federation,
            out,
            json,
        } => {
            files::check_private(&batch)?;
            let founding = files::load_founding(&federation)?;
            founding.verify()?;
            let mut reader = BatchReader::new(BufReader::new(open(&batch)?))?;
            let there = reader.skip(index)?;
            let device = if there == index {
                reader.next_device()?
            } else {
                None
            };
            let (key, chain) =
                device.with_context(|| format!("{} has only {there} devices", batch.display()))?;
            files::save_device(&out, &key, &chain, &founding)?;
            save_attestation(&out, reader.attestation())?;
            let label = &chain.credential.peek().label;
            let done = json!({"device": chain.claimed_device(), "label": label, "dir": out});
            output::report(json, &done, |_| format!("{label} in {}", out.display()))
        }
        Command::Request { key, json } => {
            let key = files::read_key(&key)?;
            let vrf = hex::encode(device_vrf(&key).public().as_bytes());
            let done = json!({"public": key.public(), "vrf": vrf});
            output::report(json, &done, |_| format!("{} {vrf}", key.public()))
        }
    }
}

fn enrol(enrolment: Enrolment) -> Result<ExitCode> {
    let organisation = files::load_online(&enrolment.org)?;
    let attestation = enrolment.read_attestation()?;
    let plan = EnrolmentPlan {
        count: enrolment.count,
        label: enrolment.label.clone(),
        validity: Validity::starting(
            files::now() - ENROLMENT_BACKDATING,
            enrolment.days * 24 * 3600,
        ),
        attestation: (!attestation.is_empty()).then(|| attestation_digest(&attestation)),
    };
    match (&enrolment.batch, &enrolment.public_key) {
        (Some(batch), _) => into_file(&enrolment, &organisation, &plan, &attestation, batch),
        (None, Some(key)) => one(&enrolment, &organisation, &plan, &attestation, key),
        (None, None) => into_folders(&enrolment, &organisation, &plan, &attestation),
    }
}

impl Enrolment {
    fn read_attestation(&self) -> Result<Vec<u8>> {
        let Some(path) = &self.attestation else {
            return Ok(Vec::new());
        };
        let bytes = files::read(path)?;
        ensure!(
            (1..=MAX_ATTESTATION_BYTES).contains(&bytes.len()),
            "{} has {} bytes; an attestation has 1 to {MAX_ATTESTATION_BYTES}",
            path.display(),
            bytes.len()
        );
        Ok(bytes)
    }

    fn out(&self) -> Result<&Path> {
        self.out.as_deref().context("--out names the folder")
    }

    fn founding(&self) -> Result<dawn_identity::FoundingDocument> {
        let path = self.federation.as_deref();
        let founding = files::load_founding(path.context("--federation names the document")?)?;
        founding.verify()?;
        Ok(founding)
    }
}

/// All devices into one file.
fn into_file(
    enrolment: &Enrolment,
    organisation: &OnlineIssuer,
    plan: &EnrolmentPlan,
    attestation: &[u8],
    path: &Path,
) -> Result<ExitCode> {
    let began = Instant::now();
    let file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .with_context(|| format!("cannot create {} (it is never overwritten)", path.display()))?;
    let mut writer = BatchWriter::new(
        BufWriter::with_capacity(1 << 20, file),
        organisation.certificate(),
        attestation,
    )?;
    let rng = || UnwrapErr(getrandom::SysRng);
    organisation.enrol_many(plan, rng, |device| {
        writer.push(&device).map_err(anyhow::Error::from)
    })?;
    let file = writer.finish()?.into_inner().map_err(|e| e.into_error())?;
    file.sync_all()?;
    let (seconds, bytes) = (began.elapsed().as_secs_f64(), file.metadata()?.len());
    let (count, org) = (plan.count, organisation.id());
    let done =
        json!({"org": org, "count": count, "batch": path, "seconds": seconds, "bytes": bytes});
    output::report(enrolment.json, &done, |_| {
        format!(
            "{count} devices of {} in {} ({bytes} bytes, {seconds:.1} s)",
            organisation.name(),
            path.display()
        )
    })
}

/// One folder per device.
fn into_folders(
    enrolment: &Enrolment,
    organisation: &OnlineIssuer,
    plan: &EnrolmentPlan,
    attestation: &[u8],
) -> Result<ExitCode> {
    let (out, founding) = (enrolment.out()?, enrolment.founding()?);
    let mut devices = Vec::new();
    let rng = || UnwrapErr(getrandom::SysRng);
    organisation.enrol_many(plan, rng, |device| {
        let chain = dawn_identity::CredentialChain {
            issuer: organisation.certificate().clone(),
            credential: device.credential,
        };
        let label = chain.credential.peek().label.clone();
        let dir = out.join(&label);
        files::save_device(&dir, &device.key, &chain, &founding)?;
        save_attestation(&dir, attestation)?;
        devices.push(json!({"device": chain.claimed_device(), "label": label}));
        Ok::<(), anyhow::Error>(())
    })?;
    let done = json!({"org": organisation.id(), "devices": devices, "dir": out});
    output::report(enrolment.json, &done, |_| {
        format!(
            "{} devices of {} in {}",
            plan.count,
            organisation.name(),
            out.display()
        )
    })
}

/// A device whose secret key stays where it is: its folder gets everything but `device.pem`.
fn one(
    enrolment: &Enrolment,
    organisation: &OnlineIssuer,
    plan: &EnrolmentPlan,
    attestation: &[u8],
    key: &Path,
) -> Result<ExitCode> {
    ensure!(
        plan.count == 1,
        "--public-key is one device: leave --count out"
    );
    let (out, founding) = (enrolment.out()?, enrolment.founding()?);
    let key = PublicKey::from_pem(&files::read_text(key)?)
        .with_context(|| format!("{} holds no public Ed25519 key", key.display()))?;
    let request = DeviceRequest {
        vrf: enrolment.vrf_key.as_deref().map(read_vrf).transpose()?,
        attestation: plan.attestation,
        ..DeviceRequest::of_key(key, &plan.label)
    };
    let chain = organisation.enrol_device(&request, plan.validity)?;
    files::private_dir(out)?;
    files::write_new(&out.join("credential.cbor"), &to_canonical(&chain), 0o644)?;
    files::write_new(&out.join("federation.cbor"), &founding.to_bytes(), 0o644)?;
    save_attestation(out, attestation)?;
    let device = chain.claimed_device();
    let done = json!({"org": organisation.id(), "device": device, "dir": out});
    output::report(enrolment.json, &done, |_| {
        format!(
            "device {device}: put its key into {}/device.pem",
            out.display()
        )
    })
}

fn read_vrf(text: &str) -> Result<VrfPublicKey> {
    let bytes = hex::decode(text).context("--vrf-key is 64 hexadecimal digits")?;
    Ok(VrfPublicKey::from_bytes(&bytes)?)
}

fn save_attestation(dir: &Path, attestation: &[u8]) -> Result<()> {
    if attestation.is_empty() {
        return Ok(());
    }
    files::write_new(&dir.join("attestation"), attestation, 0o644)
}

fn open(path: &Path) -> Result<File> {
    File::open(path).with_context(|| format!("cannot read {}", path.display()))
}
