//! `dawn bench`: what the arithmetic costs on this machine, beside its limits; and what it buys.

use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use dawn_benches::core::{Measured, Operation, measure};
use dawn_benches::{honest, prepare, prove, soundness};
use dawn_crypto::backend::BackendKind;

use super::bench_train as train;

#[derive(Subcommand)]
pub enum Command {
    /// Sample a key and an error, mask one update, digest it.
    Mask(Options),
    /// Add one masked vector to the running sum.
    Aggregate(Options),
    /// Unmask the sum of a round.
    Unmask(Options),
    /// Prepare a device's whole submission for six stewards.
    Prepare(Options),
    /// Make, answer and judge a proven submission; beside Prio3SumVec.
    Prove(ProveOptions),
    /// Train a model in fixed point; beside f32 and candle when built with the feature `bench`.
    Train(train::Options),
    /// Train in fixed point and in f32, and compare the accuracies: the mean of paired differences with its interval.
    Accuracy(super::bench_accuracy::Options),
    /// Enrol devices, and verify the identity of a submission; beside one bare Ed25519 verification.
    Identity(super::bench_identity::Options),
    /// Send a million registrations of strangers to a server: what it takes, writes and needs.
    Registrations(super::bench_registrations::Options),
    /// Append to the log from two processes, kill one, prove entries.
    Log(super::bench_log::Options),
    /// Try vectors that are too long, and compare how many pass the norm proof with what is predicted.
    Soundness(SoundnessOptions),
    /// Make honest submissions at the bound, and count those that the norm proof refuses.
    Honest(HonestOptions),
    /// Train under attack with every defence: the accuracy that each leaves.
    Attacks(super::bench_attacks::Arguments),
}

#[derive(Args)]
pub struct SoundnessOptions {
    /// Attackers a point.
    #[arg(long, default_value_t = 10_000)]
    trials: u64,
    /// Rows of the norm proof: 128, 256 or 512.
    #[arg(long, default_value_t = 256)]
    rows: u16,
    /// Coordinates of the vector.
    #[arg(long, default_value_t = 1000)]
    dim: usize,
    /// Longest update of an honest device.
    #[arg(long, default_value_t = 8192)]
    clip: u64,
    /// One line of JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub struct HonestOptions {
    /// Submissions up to their digits.
    #[arg(long, default_value_t = 10_000)]
    submissions: u64,
    /// Whole submissions of each shape, answered by all stewards and decided.
    #[arg(long, default_value_t = 100)]
    whole: u64,
    /// Rows of the norm proof: 128, 256 or 512.
    #[arg(long, default_value_t = 256)]
    rows: u16,
    /// Coordinates of the vector.
    #[arg(long, default_value_t = 1000)]
    dim: usize,
    /// One line of JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub struct ProveOptions {
    /// Coordinates of the vector.
    #[arg(long, default_value_t = 100_000)]
    dim: usize,
    #[arg(long, default_value_t = 6)]
    stewards: u8,
    /// Rows of the norm proof: 128, 256 or 512.
    #[arg(long, default_value_t = 256)]
    rows: u16,
    /// One line of JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub struct Options {
    /// Coordinates of the vector.
    #[arg(long, default_value_t = 1 << 20)]
    dim: usize,
    /// portable, avx2, avx512 or neon; the fastest that this processor has when left out.
    #[arg(long)]
    backend: Option<BackendKind>,
    /// One line of JSON.
    #[arg(long)]
    json: bool,
}

/// Measures in one thread and prints medians.
pub async fn run(command: Command) -> Result<ExitCode> {
    let (operation, options) = match command {
        Command::Mask(options) => (Operation::Mask, options),
        Command::Aggregate(options) => (Operation::Aggregate, options),
        Command::Unmask(options) => (Operation::Unmask, options),
        Command::Prepare(options) => return prepare(options).await,
        Command::Prove(options) => return prove(options).await,
        Command::Train(options) => return train::run(options).await,
        Command::Accuracy(options) => return super::bench_accuracy::run(options).await,
        Command::Identity(options) => return super::bench_identity::run(options).await,
        Command::Registrations(options) => return super::bench_registrations::run(options).await,
        Command::Log(options) => return super::bench_log::run(options).await,
        Command::Soundness(options) => return soundness(options).await,
        Command::Honest(options) => return honest(options).await,
        Command::Attacks(arguments) => return super::bench_attacks::run(arguments).await,
    };
    let json = options.json;
    // Seconds of computation: not on the threads that serve.
    let measured =
        tokio::task::spawn_blocking(move || measure(operation, options.dim, options.backend))
            .await
            .context("the measurement was interrupted")??;
    if json {
        println!("{}", serde_json::to_string(&measured)?);
    } else {
        print_table(operation, &measured);
    }
    Ok(ExitCode::SUCCESS)
}

async fn prepare(options: Options) -> Result<ExitCode> {
    let measured =
        tokio::task::spawn_blocking(move || prepare::measure(options.dim, options.backend))
            .await
            .context("the measurement was interrupted")??;
    if options.json {
        println!("{}", serde_json::to_string(&measured)?);
    } else {
        let (d, backend, m) = (measured.dim, measured.backend, measured.stewards);
        println!("A submission, d = {d}, {m} stewards, backend {backend}");
        println!("  preparing it             {:>10.3} ms", measured.ms);
        println!("  masking alone            {:>10.3} ms", measured.mask_ms);
        println!("  bytes                    {:>10}", measured.bytes);
    }
    Ok(ExitCode::SUCCESS)
}

async fn prove(options: ProveOptions) -> Result<ExitCode> {
    let ProveOptions {
        dim,
        stewards,
        rows,
        json,
    } = options;
    let measured = tokio::task::spawn_blocking(move || prove::measure(dim, stewards, rows))
        .await
        .context("the measurement was interrupted")?
        .map_err(anyhow::Error::from_boxed)?;
    if json {
        println!("{}", serde_json::to_string(&measured)?);
        return Ok(ExitCode::SUCCESS);
    }
    let (d, m, rows, backend) = (
        measured.dim,
        measured.stewards,
        measured.rows,
        measured.backend,
    );
    let f = measured.malicious;
    println!(
        "A proven submission, d = {d}, {m} stewards, {f} of them malicious, {rows} rows, backend {backend}"
    );
    println!("{:<22} {:>12} {:>12}", "", "here", "Prio3SumVec");
    for (name, here, prio) in [
        ("device, ms", measured.device_ms, measured.prio_device_ms),
        (
            "steward, ms",
            measured.steward_ms,
            measured.prio_verifier_ms,
        ),
        ("aggregator, ms", measured.aggregator_ms, None),
    ] {
        let prio = prio.map_or_else(|| "-".to_owned(), |ms| format!("{ms:.2}"));
        println!("  {name:<20} {here:>12.2} {prio:>12}");
    }
    let prio = measured.prio_upload_bytes;
    let prio = prio.map_or_else(|| "-".to_owned(), |bytes| bytes.to_string());
    println!(
        "  {:<20} {:>12} {prio:>12}",
        "upload, bytes", measured.upload_bytes
    );
    println!("  {:<20} {:>12}", "the vector alone", measured.plain_bytes);
    Ok(ExitCode::SUCCESS)
}

async fn soundness(options: SoundnessOptions) -> Result<ExitCode> {
    let SoundnessOptions {
        trials,
        rows,
        dim,
        clip,
        json,
    } = options;
    let found = tokio::task::spawn_blocking(move || soundness::run(dim, clip, rows, trials))
        .await
        .context("the experiment was interrupted")??;
    if json {
        println!("{}", serde_json::to_string(&found)?);
        return Ok(ExitCode::SUCCESS);
    }
    println!(
        "Vectors that are too long, d = {} ({} with padding), C = {}, {} rows: B = {:.1}, gamma = {:.3}",
        found.dim, found.padded, found.clip, found.rows, found.honest_norm, found.gamma
    );
    println!(
        "| family | norm / B | tries | accepted of {trials} | measured | 95 % interval | predicted | inside |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for p in &found.points {
        let predicted = if p.predicted < 1e-4 {
            format!("2^{:.1}", p.predicted_log2)
        } else {
            format!("{:.5}", p.predicted)
        };
        println!(
            "| {} | {} | {} | {} | {:.5} | {:.5} - {:.5} | {predicted} | {} |",
            p.family,
            p.factor,
            p.tries,
            p.accepted,
            p.measured,
            p.interval.0,
            p.interval.1,
            if p.inside { "yes" } else { "no" }
        );
    }
    let (decisive, inside) = found.decisive;
    println!("Inside: {inside} of {decisive} points that are neither certain nor negligible.");
    println!("Predicted for the norm gamma B = {}:", found.max_norm);
    for at in &found.at_gamma {
        println!("  {:<12} 2^{:.1}", at.family, at.predicted_log2);
    }
    Ok(ExitCode::SUCCESS)
}

async fn honest(options: HonestOptions) -> Result<ExitCode> {
    let HonestOptions {
        submissions,
        whole,
        rows,
        dim,
        json,
    } = options;
    let found = tokio::task::spawn_blocking(move || honest::run(dim, rows, submissions, whole))
        .await
        .context("the run was interrupted")?
        .map_err(anyhow::Error::from_boxed)?;
    if json {
        println!("{}", serde_json::to_string(&found)?);
        return Ok(ExitCode::SUCCESS);
    }
    println!(
        "Honest submissions at the bound, d = {}, C = {}, {} rows, gamma = {:.3}",
        found.dim, found.clip, found.rows, found.gamma
    );
    println!(
        "| updates | submissions | refused | whole | refused | least norm / C | largest norm^2 / B^2 | sum / bound | projection / range |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    for s in &found.shapes {
        println!(
            "| {:?} | {} | {} | {} | {} | {:.4} | {:.4} | {:.4} | {:.4} |",
            s.shape,
            s.submissions,
            s.refused,
            s.whole,
            s.whole_refused,
            s.least_update,
            s.largest_squared,
            s.largest_sum,
            s.largest_projection
        );
    }
    let (all, refused) = found.total;
    println!("Refused: {refused} of {all}.");
    Ok(ExitCode::SUCCESS)
}

fn print_table(operation: Operation, m: &Measured) {
    println!("{operation:?}, d = {}, backend {}", m.dim, m.backend);
    for (name, ms) in [
        ("this operation", m.ms),
        ("AES-128-CTR, 4d bytes", m.aes_ms),
        ("BLAKE3, 4d bytes", m.blake3_ms),
        ("plain u32 addition", m.add_ms),
    ] {
        println!("  {name:<24} {ms:>10.3} ms");
    }
    let limit = match operation {
        Operation::Mask => "AES + BLAKE3 + addition",
        Operation::Aggregate => "the addition",
        Operation::Unmask => "masking one update",
    };
    println!("  {:.2} times {limit}", m.ratio);
}
