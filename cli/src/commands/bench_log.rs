//! `dawn bench log`: appending to the log from two processes at once, one of which is killed in the middle; how soon an
//! entry is under a signed checkpoint, and what proofs cost. Ends with an error when there is a gap or a fork.

use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use dawn_aggregator::metrics::Metrics;
use dawn_aggregator::postgres::{EmbeddedConfig, EmbeddedPostgres};
use dawn_aggregator::store::Store;
use dawn_crypto::merkle::{self, Frontier, leaf_hash};
use dawn_identity::{Digest, SecretKey};
use dawn_protocol::tlog::{Checkpoint, subtree};
use serde::Serialize;

#[derive(Args)]
pub struct Options {
    /// Entries in all.
    #[arg(long, default_value_t = 1_000_000)]
    entries: u64,
    /// Bytes of an entry; a signed statement of a steward has some 300.
    #[arg(long, default_value_t = 300)]
    bytes: usize,
    /// Entries of a transaction in the long part.
    #[arg(long, default_value_t = 256)]
    batch: usize,
    /// Entries that are appended in a transaction each, as the service does, before the long part.
    #[arg(long, default_value_t = 4000)]
    singles: u64,
    /// Proofs of each kind.
    #[arg(long, default_value_t = 1000)]
    proofs: u64,
    /// One line of JSON.
    #[arg(long)]
    json: bool,
    /// Appends to this database until the log is long enough: the other half of the measurement.
    #[arg(long, hide = true)]
    writer: Option<String>,
}

/// What was measured; times in milliseconds, rates in entries a second.
#[derive(Serialize)]
struct Measured {
    entries: u64,
    bytes: usize,
    singles: u64,
    /// One entry a transaction, four connections in each of two processes.
    single_rate: f64,
    batch: usize,
    batch_rate: f64,
    killed_at: u64,
    /// From an append that is acknowledged to a signed checkpoint that has it, while two processes append.
    checkpoint_ms: Quantiles,
    inclusion_ms: Quantiles,
    consistency_ms: Quantiles,
    tiles_a_proof: f64,
    /// Reading every entry again and hashing all of them.
    verify_seconds: f64,
    root: Digest,
}

#[derive(Serialize)]
struct Quantiles {
    median: f64,
    p99: f64,
    most: f64,
}

fn quantiles(mut times: Vec<Duration>) -> Result<Quantiles> {
    times.sort_unstable();
    let at = |per_mille: usize| {
        let place = (times.len().saturating_sub(1)) * per_mille / 1000;
        let time = times.get(place).context("nothing was measured")?;
        Ok::<_, anyhow::Error>(time.as_secs_f64() * 1000.0)
    };
    Ok(Quantiles {
        median: at(500)?,
        p99: at(990)?,
        most: at(1000)?,
    })
}

async fn store(url: &str) -> Result<Store> {
    Ok(Store::connect(url, true, 8, Arc::new(Metrics::default())).await?)
}

/// Entries that nothing else in this log is: by this process, this task, this number.
fn entry(bytes: usize, task: usize, number: u64) -> Vec<u8> {
    let mut entry = format!("{} {task} {number} ", std::process::id()).into_bytes();
    entry.resize(bytes.max(entry.len()), b'.');
    entry
}

/// Appends from four tasks until the log has so many entries.
async fn write(url: &str, options: &Options) -> Result<ExitCode> {
    let store = store(url).await?;
    let (target, batch, bytes) = (options.entries, options.batch, options.bytes);
    let tasks = (0..4).map(|task| {
        let store = store.clone();
        tokio::spawn(async move {
            for count in 0_u64.. {
                let first = count * batch as u64;
                let entries: Vec<_> = (first..first + batch as u64)
                    .map(|number| entry(bytes, task, number))
                    .collect();
                let at = store.append_entries("bench", &entries).await?;
                if at + batch as u64 >= target {
                    break;
                }
            }
            Ok::<_, anyhow::Error>(())
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await??;
    }
    Ok(ExitCode::SUCCESS)
}

fn writer(url: &str, options: &Options, entries: u64, batch: usize) -> Result<Child> {
    let mut command = Command::new(std::env::current_exe()?);
    command
        .args(["bench", "log", "--writer", url])
        .args(["--entries", &entries.to_string()])
        .args(["--batch", &batch.to_string()])
        .args(["--bytes", &options.bytes.to_string()])
        .stdout(Stdio::null());
    Ok(command.spawn()?)
}

async fn size(store: &Store) -> Result<u64> {
    Ok(store.log_size().await?)
}

async fn finished(writers: &mut [Child]) -> Result<()> {
    for writer in writers {
        loop {
            match writer.try_wait()? {
                Some(status) if status.success() => break,
                Some(status) => bail!("a writer ended with {status}"),
                None => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        }
    }
    Ok(())
}

pub async fn run(options: Options) -> Result<ExitCode> {
    if let Some(url) = &options.writer {
        return write(url, &options).await;
    }
    // As root, Postgres runs as somebody else, who passes through this folder.
    let dir = tempfile::Builder::new().prefix("dawn-bench-").tempdir()?;
    open_to_postgres(dir.path())?;
    let config = EmbeddedConfig::new(dir.path().join("postgres"));
    let postgres = EmbeddedPostgres::start(&config).await?;
    let url = postgres.url().to_owned();
    let store = store(&url).await?;

    // One entry a transaction, as the service appends.
    let spawn = || writer(&url, &options, options.singles, 1);
    let mut running = vec![spawn()?, spawn()?];
    let begun = wait_for(&store, 1).await?;
    finished(&mut running).await?;
    let singles = size(&store).await?;
    let single_rate = singles as f64 / begun.elapsed().as_secs_f64();

    // The long part: two processes, one of them killed half-way and started again.
    let key = SecretKey::from_seed(&[7; 32]);
    let spawn = || writer(&url, &options, options.entries, options.batch);
    let mut running = vec![spawn()?, spawn()?];
    let begun = wait_for(&store, singles + 1).await?;
    let (mut killed_at, mut latencies, mut heads) = (0, Vec::new(), Vec::new());
    while size(&store).await? < options.entries {
        let asked = Instant::now();
        let mine = [entry(options.bytes, 99, latencies.len() as u64)];
        let at = store.append_entries("bench", &mine).await?;
        let acknowledged = Instant::now();
        let (reached, root) = store.log_head().await?;
        let checkpoint = Checkpoint {
            origin: "bench".to_owned(),
            size: reached,
            root,
        };
        let note = checkpoint.sign(&key);
        latencies.push(acknowledged.elapsed());
        ensure!(reached > at, "an acknowledged entry is not in the log");
        Checkpoint::verify(&note, "bench", &key.public())?;
        heads.push((reached, root));
        if killed_at == 0 && reached > options.entries / 2 {
            if let Some(writer) = running.first_mut() {
                writer.kill()?; // SIGKILL
                writer.wait()?;
                *writer = spawn()?;
            }
            killed_at = reached;
        }
        // Ten a second are enough, and leave the log to the others.
        tokio::time::sleep(Duration::from_millis(100).saturating_sub(asked.elapsed())).await;
    }
    let batch_rate = (size(&store).await? - singles) as f64 / begun.elapsed().as_secs_f64();
    finished(&mut running).await?;

    let begun = Instant::now();
    let (entries, root) = verify(&store, &heads).await?;
    let verify_seconds = begun.elapsed().as_secs_f64();
    let (mut inclusion, mut consistency, mut tiles) = (Vec::new(), Vec::new(), 0);
    for number in 0..options.proofs {
        // Spread over the log without order.
        let index = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) % entries;
        let begun = Instant::now();
        let wanted = subtree::inclusion_tiles(index, entries)?;
        tiles += wanted.len();
        let read = store.tiles(wanted).await?;
        let proof = subtree::inclusion_proof(index, entries, &read)?;
        inclusion.push(begun.elapsed());
        let row = store.log_entries(index, 1).await?;
        let leaf = leaf_hash(&row.first().context("an entry is missing")?.envelope);
        merkle::verify_inclusion(&leaf, index, entries, &proof, &root)?;
    }
    for (old, old_root) in heads.iter().cycle().take(usize::try_from(options.proofs)?) {
        let begun = Instant::now();
        let read = store
            .tiles(subtree::consistency_tiles(*old, entries)?)
            .await?;
        let proof = subtree::consistency_proof(*old, entries, &read)?;
        consistency.push(begun.elapsed());
        merkle::verify_consistency(*old, old_root, entries, &root, &proof)?;
    }
    let measured = Measured {
        entries,
        bytes: options.bytes,
        singles,
        single_rate,
        batch: options.batch,
        batch_rate,
        killed_at,
        checkpoint_ms: quantiles(latencies)?,
        inclusion_ms: quantiles(inclusion)?,
        consistency_ms: quantiles(consistency)?,
        tiles_a_proof: tiles as f64 / options.proofs.max(1) as f64,
        verify_seconds,
        root,
    };
    store.close().await;
    if options.json {
        println!("{}", serde_json::to_string(&measured)?);
    } else {
        print(&measured);
    }
    Ok(ExitCode::SUCCESS)
}

async fn wait_for(store: &Store, least: u64) -> Result<Instant> {
    let until = Instant::now() + Duration::from_secs(60);
    while size(store).await? < least {
        ensure!(Instant::now() < until, "no writer appends anything");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    Ok(Instant::now())
}

/// Reads the whole log: no index is missing, no entry is there twice, and every head that was seen is a prefix.
async fn verify(store: &Store, heads: &[(u64, Digest)]) -> Result<(u64, Digest)> {
    let (size, root) = store.log_head().await?;
    let mut frontier = Frontier::new();
    let mut seen = std::collections::HashSet::new();
    let mut heads = heads.iter().peekable();
    while frontier.size() < size {
        let page = store.log_entries(frontier.size(), 2000).await?;
        ensure!(!page.is_empty(), "a gap at {}", frontier.size());
        for row in page {
            ensure!(row.index == frontier.size(), "a gap at {}", frontier.size());
            let leaf = leaf_hash(&row.envelope);
            ensure!(seen.insert(leaf), "entry {} is there twice", row.index);
            frontier.push(leaf);
            while let Some((_, root)) = heads.next_if(|head| head.0 == frontier.size()) {
                ensure!(
                    *root == frontier.root(),
                    "a fork before {}",
                    frontier.size()
                );
            }
        }
    }
    ensure!(heads.next().is_none(), "a head is not in the log");
    ensure!(frontier.root() == root, "another root than the head's");
    Ok((size, root))
}

/// The folder may be passed through, and not be read.
fn open_to_postgres(dir: &std::path::Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o711))?;
    Ok(())
}

fn print(measured: &Measured) {
    println!(
        "{} entries of {} bytes, no gap and no fork",
        measured.entries, measured.bytes
    );
    println!(
        "  one a transaction, entries a second     {:>12.0}",
        measured.single_rate
    );
    let batch = measured.batch;
    println!(
        "  {batch:>4} a transaction, entries a second    {:>12.0}",
        measured.batch_rate
    );
    println!(
        "  one of two writers was killed at        {:>12}",
        measured.killed_at
    );
    println!("  milliseconds: median, 99 %, most");
    for (name, times) in [
        ("to a signed checkpoint", &measured.checkpoint_ms),
        ("inclusion proof", &measured.inclusion_ms),
        ("consistency proof", &measured.consistency_ms),
    ] {
        println!(
            "  {name:<30} {:>8.2} {:>8.2} {:>8.2}",
            times.median, times.p99, times.most
        );
    }
    println!(
        "  reading and hashing all, seconds        {:>12.1}",
        measured.verify_seconds
    );
}
