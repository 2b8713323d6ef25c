//! Cosigning over HTTP: when a connected steward fetches a checkpoint, and how it learns that statements are in it.
//!
//! A steward cosigns what it needs for the work that it has, and otherwise what waits, at most once a second. It waits for
//! no other steward: what it believes is the log that it has cosigned itself.

use std::sync::Arc;
use std::time::{Duration, Instant};

use dawn_protocol::{LogEntry, RoundId};

use crate::error::{Refusal, StewardError};
use crate::run::RunError;
use crate::session::{Session, decide, now};

/// Least time between two checkpoints that no work needs.
const IDLE: Duration = Duration::from_secs(1);

/// What is known about cosigning between two requests.
#[derive(Debug, Default)]
pub(crate) struct Witnessing {
    /// Size of the checkpoint whose cosignature has arrived at the aggregator.
    sent: Option<u64>,
    /// When there was last nothing to do.
    looked: Option<Instant>,
}

impl Session {
    /// Cosigns the checkpoint that waits, if the last look was long enough ago.
    ///
    /// # Errors
    /// [`RunError`]; with [`crate::Refusal::LogForked`] or [`crate::Refusal::LogShrank`] there are two histories.
    pub async fn witness(&self) -> Result<(), RunError> {
        let mut witnessing = self.witnessing.lock().await;
        if witnessing.looked.is_some_and(|at| at.elapsed() < IDLE) {
            return Ok(());
        }
        witnessing.looked = Some(Instant::now());
        self.cosign(&mut witnessing, 0).await
    }

    /// Cosigns a log of at least `least` entries.
    async fn cosign(&self, witnessing: &mut Witnessing, least: u64) -> Result<(), RunError> {
        let last = decide(&self.state, |state, _| state.witnessed()).await?;
        let old = last.map_or(0, |last| last.size);
        let shown = self.api.log_to_cosign(old, least).await?;
        let shown = Arc::new(shown);
        let asked = Arc::clone(&shown);
        let cosigned = decide(&self.state, move |state, rng| {
            state.cosign(&asked, now(), rng)
        })
        .await;
        let (size, line) = match cosigned {
            // The log's key was replaced, or this steward has started and not read the register again.
            Err(RunError::Steward(StewardError::Refused(
                Refusal::NotTheLog(_)
                | Refusal::RegisterShrank { .. }
                | Refusal::KeyChangeHidden { .. },
            ))) => {
                self.refresh_register().await?;
                decide(&self.state, move |state, rng| {
                    state.cosign(&shown, now(), rng)
                })
                .await?
            }
            cosigned => cosigned?,
        };
        if witnessing.sent != Some(size) {
            self.api.put_cosignature(size, &line).await?;
            witnessing.sent = Some(size);
            tracing::debug!(size, "cosigned the log");
        }
        Ok(())
    }

    /// Lets the state know which of these statements are in the log, cosigning it as far as they reach. `entries` are what
    /// the log is said to have about the round. What is not among them stays unknown: then the state refuses.
    ///
    /// # Errors
    /// [`RunError`].
    pub(crate) async fn logged(
        &self,
        round: &RoundId,
        entries: &[LogEntry],
        statements: &[&[u8]],
    ) -> Result<(), RunError> {
        let unknown = statements
            .iter()
            .filter(|bytes| !self.state.is_logged(bytes));
        let wanted: Vec<&LogEntry> = unknown
            .filter_map(|bytes| entries.iter().find(|entry| entry.envelope == **bytes))
            .collect();
        let Some(last) = wanted.iter().map(|entry| entry.index).max() else {
            return Ok(());
        };
        // Nothing else is cosigned until the proofs in this checkpoint have been verified.
        let mut witnessing = self.witnessing.lock().await;
        let reached = |size: u64| size > last;
        let mut size = self.witnessed_size().await?;
        if !size.is_some_and(reached) {
            self.cosign(&mut witnessing, last.saturating_add(1)).await?;
            size = self.witnessed_size().await?;
        }
        for entry in wanted {
            let proof = self.api.log_proof(entry.index, size).await?;
            let statement = entry.envelope.clone();
            decide(&self.state, move |state, _| {
                state.learn_logged(&statement, &proof)
            })
            .await?;
        }
        tracing::debug!(%round, ?size, "the round's statements are in the log");
        Ok(())
    }

    async fn witnessed_size(&self) -> Result<Option<u64>, RunError> {
        let last = decide(&self.state, |state, _| state.witnessed()).await?;
        Ok(last.map(|last| last.size))
    }
}
