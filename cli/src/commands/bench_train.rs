//! `dawn bench train`: samples a second in fixed point.

use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;
use dawn_benches::train::measure;
use dawn_learn::Backend;

#[derive(Args)]
pub struct Options {
    /// logistic:INPUTS-CLASSES, mlp:INPUTS-HIDDEN-CLASSES or cnn:HEIGHTxWIDTHxCHANNELS-CHANNELSkKERNEL-HIDDEN-CLASSES, with any
    /// number of hidden layers.
    #[arg(long, default_value = "mlp:784-128-10")]
    model: String,
    /// Samples of a batch.
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..=1024))]
    batch: u16,
    /// portable, sse2, neon, avx2, avx-vnni or avx512; the fastest that this processor has when left out.
    #[arg(long)]
    backend: Option<Backend>,
    /// One line of JSON.
    #[arg(long)]
    json: bool,
}

/// Measures in one thread and prints medians.
pub async fn run(options: Options) -> Result<ExitCode> {
    let Options {
        model,
        batch,
        backend,
        json,
    } = options;
    let m = tokio::task::spawn_blocking(move || measure(&model, batch, backend))
        .await
        .context("the measurement was interrupted")?
        .map_err(anyhow::Error::from_boxed)?;
    if json {
        println!("{}", serde_json::to_string(&m)?);
        return Ok(ExitCode::SUCCESS);
    }
    println!(
        "Training {}, batch {}, backend {}",
        m.model, m.batch, m.backend
    );
    let by = m.f32_by.map_or_else(String::new, |by| format!(" ({by})"));
    let held = m
        .f32_avx2_by
        .map_or_else(|| "f32 held to AVX2".to_owned(), |by| format!("f32 ({by})"));
    for (name, rate) in [
        ("here".to_owned(), Some(m.samples_per_s)),
        (format!("f32{by}"), m.f32_samples_per_s),
        (held, m.f32_avx2_samples_per_s),
        ("candle".to_owned(), m.candle_samples_per_s),
    ] {
        let rate = rate.map_or_else(|| "-".to_owned(), |rate| format!("{rate:.0}"));
        println!("  {name:<34} {rate:>10} samples/s");
    }
    println!(
        "  {:.1} of {:.1} 10^9 multiplications a second: {:.2} of the peak",
        m.gmac_per_s, m.peak_gmac_per_s, m.peak_fraction
    );
    Ok(ExitCode::SUCCESS)
}
