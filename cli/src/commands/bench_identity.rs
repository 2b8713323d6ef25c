//! `dawn bench identity`: enrolling devices, and what the identity of a submission costs.

use std::io::BufWriter;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;
use dawn_benches::identity::measure;
use rand_core::UnwrapErr;

#[derive(Args)]
pub struct Options {
    /// Devices to enrol.
    #[arg(long, default_value_t = 100_000)]
    devices: u64,
    /// One line of JSON.
    #[arg(long)]
    json: bool,
}

/// Enrols into a file that is gone afterwards, and verifies.
pub async fn run(options: Options) -> Result<ExitCode> {
    let measured = tokio::task::spawn_blocking(move || {
        let file = tempfile::tempfile().context("cannot make a temporary file")?;
        let out = BufWriter::with_capacity(1 << 20, file);
        measure(options.devices, out, || UnwrapErr(getrandom::SysRng))
            .map_err(anyhow::Error::from_boxed)
    })
    .await
    .context("the measurement was interrupted")??;
    if options.json {
        println!("{}", serde_json::to_string(&measured)?);
        return Ok(ExitCode::SUCCESS);
    }
    let (devices, cores) = (measured.devices, measured.cores);
    println!("{devices} devices enrolled on {cores} cores");
    let seconds = measured.enrol_seconds;
    println!("  seconds                        {seconds:>12.2}");
    let each = measured.enrol_us_per_device;
    println!("  microseconds a device          {each:>12.2}");
    println!(
        "  bytes of the file              {:>12}",
        measured.batch_bytes
    );
    println!("The identity of one submission, microseconds in one thread");
    for (name, us) in [
        ("one bare Ed25519 verification", measured.ed25519_us),
        ("certificate and credential", measured.chain_us),
        ("all, from bytes", measured.submission_us),
        ("the draw, where a task selects", measured.selection_us),
    ] {
        println!("  {name:<30} {us:>12.2}");
    }
    Ok(ExitCode::SUCCESS)
}
