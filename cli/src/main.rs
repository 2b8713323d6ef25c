//! `dawn`: the one binary. It parses, calls a library, and prints.

mod arithmetic;
mod commands;
mod files;
mod output;
mod replacing;

use clap::{Parser, Subcommand};
use commands::{
    aggregator, audit, bench, client, data, demo, device, federation, key, log, org, roster,
    steward, task,
};

/// Privacy-preserving secure aggregation that a stranger can audit.
#[derive(Parser)]
#[command(name = "dawn", version, propagate_version = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Six organisations learn together on this machine, with failures, and audit every round.
    Demo(demo::Arguments),
    /// The server.
    #[command(subcommand)]
    Aggregator(aggregator::Command),
    /// The opener that an organisation runs.
    #[command(subcommand)]
    Steward(steward::Command),
    /// Key files: making, showing, converting and encrypting them.
    #[command(subcommand)]
    Key(key::Command),
    /// An organisation's keys and its registration.
    #[command(subcommand)]
    Org(org::Command),
    /// The founding document that everybody pins.
    #[command(subcommand)]
    Federation(federation::Command),
    /// The stewards of an epoch, signed by the members.
    #[command(subcommand)]
    Roster(roster::Command),
    /// Device keys and credentials.
    #[command(subcommand)]
    Device(device::Command),
    /// What the members compute together.
    #[command(subcommand)]
    Task(task::Command),
    /// A device that takes part.
    #[command(subcommand)]
    Client(client::Command),
    /// Data sets that are not built in.
    #[command(subcommand)]
    Data(data::Command),
    /// Re-executes what the service did.
    #[command(subcommand)]
    Audit(audit::Command),
    /// The public log as plain files, and proofs that an entry is in it.
    #[command(subcommand)]
    Log(log::Command),
    /// Measures the arithmetic on this machine.
    #[command(subcommand)]
    Bench(bench::Command),
}

fn main() -> std::process::ExitCode {
    let arguments = Arguments::parse();
    output::start_logging();
    if let Err(error) = arithmetic::choose() {
        eprintln!("dawn: {}", output::chain(&error));
        return std::process::ExitCode::FAILURE;
    }
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("dawn: cannot start: {error}");
            return std::process::ExitCode::FAILURE;
        }
    };
    let done = runtime.block_on(async {
        match arguments.command {
            Command::Demo(a) => demo::run(a).await,
            Command::Aggregator(c) => aggregator::run(c).await,
            Command::Steward(c) => steward::run(c).await,
            Command::Key(c) => key::run(c).await,
            Command::Org(c) => org::run(c).await,
            Command::Federation(c) => federation::run(c).await,
            Command::Roster(c) => roster::run(c).await,
            Command::Device(c) => device::run(c).await,
            Command::Task(c) => task::run(c).await,
            Command::Client(c) => client::run(c).await,
            Command::Data(c) => data::run(c).await,
            Command::Audit(c) => audit::run(c).await,
            Command::Log(c) => log::run(c).await,
            Command::Bench(c) => bench::run(c).await,
        }
    });
    match done {
        Ok(code) => code,
        Err(error) => {
            eprintln!("dawn: {}", output::chain(&error));
            std::process::ExitCode::FAILURE
        }
    }
}
