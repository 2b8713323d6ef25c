//! `dawn audit watch`: a monitor of a running service's log.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use clap::Args;
use dawn_audits::{DEFAULT_MAX_BYTES, Look, WatchError};
use dawn_identity::Digest;
use dawn_transport::Api;
use serde_json::json;

use crate::output;

#[derive(Args)]
pub struct Watch {
    /// The service's http(s) address.
    url: String,
    /// The folder that keeps what was seen: a restart with the same folder remembers it.
    #[arg(long)]
    state: PathBuf,
    /// Digest of the founding document that you trust; without it the service's is taken at the first look, and kept.
    #[arg(long)]
    federation: Option<Digest>,
    /// Most bytes of entries that are kept; a log that has more is not watched any further.
    #[arg(long, default_value_t = DEFAULT_MAX_BYTES)]
    max_bytes: u64,
    /// Looks once and ends.
    #[arg(long)]
    once: bool,
    /// Seconds between two looks.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    every: u64,
    /// One JSON object a line for each look.
    #[arg(long)]
    json: bool,
}

impl Watch {
    pub async fn run(self) -> Result<ExitCode> {
        let api = Api::new(&self.url)?;
        let pin = self.federation.as_ref();
        let mut watch = dawn_audits::Watch::open(&self.state, &api, pin).await?;
        watch.limit(self.max_bytes);
        if self.federation.is_none() {
            eprintln!(
                "federation {} is the service's own word: compare it, or give --federation",
                watch.federation()
            );
        }
        for finding in watch.standing() {
            eprintln!("found before: {finding}");
        }
        loop {
            match watch.look(&api).await {
                Ok(look) => {
                    self.tell(&watch, &look)?;
                    if look.forked {
                        return Ok(ExitCode::FAILURE);
                    }
                    let broken = !look.findings.is_empty() || !watch.standing().is_empty();
                    if self.once {
                        return Ok(if broken {
                            ExitCode::FAILURE
                        } else {
                            ExitCode::SUCCESS
                        });
                    }
                }
                // A service that is away for a while is no violation, and no reason to stop watching.
                Err(WatchError::Source(error)) if !self.once && error.is_transient() => {
                    eprintln!("{error}; asking again");
                }
                Err(error) => return Err(error.into()),
            }
            tokio::select! {
                () = tokio::time::sleep(Duration::from_secs(self.every)) => {}
                _ = tokio::signal::ctrl_c() => {
                    return Ok(if watch.standing().is_empty() {
                        ExitCode::SUCCESS
                    } else {
                        ExitCode::FAILURE
                    });
                }
            }
        }
    }

    /// Tells what is new; once it says what is known already, too.
    fn tell(&self, watch: &dawn_audits::Watch, look: &Look) -> Result<()> {
        if !self.once && look.told.is_empty() && look.findings.is_empty() {
            return Ok(());
        }
        let shown = json!({
            "size": watch.size(),
            "new": look.told,
            "untold": look.untold,
            "witnessed": watch.witnesses(),
            "findings": look.findings,
            "standing": watch.standing(),
            "forked": look.forked,
        });
        output::report(self.json, &shown, |_| {
            let mut lines: Vec<String> = look.told.iter().map(ToString::to_string).collect();
            lines.extend(
                look.findings
                    .iter()
                    .map(|finding| format!("VIOLATION {finding}")),
            );
            if look.untold > 0 {
                lines.push(format!("and {} more entries", look.untold));
            }
            lines.push(match watch.witnesses() {
                None => format!(
                    "{} entries, of which stewards have cosigned none",
                    watch.size()
                ),
                Some(seen) => format!(
                    "{} entries, of which {} stewards (T is {}) have cosigned {}",
                    watch.size(),
                    seen.cosigned,
                    seen.needed
                        .map_or("not known".to_owned(), |needed| needed.to_string()),
                    seen.size
                ),
            });
            lines.join("\n")
        })?;
        Ok(())
    }
}
