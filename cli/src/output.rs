//! Progress goes to standard error, results to standard output; with `--json` the last line of
//! standard output is one object.

use std::io::IsTerminal as _;
use std::process::ExitCode;

use anyhow::Result;
use serde::Serialize;
use tracing_subscriber::EnvFilter;

/// Starts the log on standard error; `RUST_LOG` chooses what it shows, `DAWN_LOG_JSON=1` its form.
/// Colours only where a person looks: not in files, and not with `NO_COLOR`.
pub fn start_logging() {
    let filter =
        EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn,dawn=info"));
    let plain = std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty());
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(!plain && std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    if std::env::var_os("DAWN_LOG_JSON").is_some_and(|v| v == "1") {
        builder.json().init();
    } else {
        builder.init();
    }
}

/// Prints a result: for people, or as one line of JSON.
pub fn report<T: Serialize>(
    json: bool,
    value: &T,
    text: impl FnOnce(&T) -> String,
) -> Result<ExitCode> {
    if json {
        println!("{}", serde_json::to_string(value)?);
    } else {
        println!("{}", text(value));
    }
    Ok(ExitCode::SUCCESS)
}

/// An error with its causes, without those that an outer one has said already.
pub fn chain(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if text.is_empty() {
            text = cause;
        } else if !text.contains(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
    }
    text
}

/// Waits for SIGTERM or SIGINT.
pub async fn until_told_to_stop() -> Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}
