//! What every part of one running aggregator shares.

use std::collections::HashMap;
use std::sync::Arc;

use dawn_crypto::digest::Digest;
use dawn_identity::Thumbprint;
use dawn_protocol::RoundId;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::config::Config;
use crate::contexts::{ContextError, Known};
use crate::intake::Places;
use crate::keys::Keys;
use crate::metrics::Metrics;
use crate::payloads::Payloads;
use crate::store::Store;

/// How long observations of histograms may pile up.
const TIDY: std::time::Duration = std::time::Duration::from_secs(5);

/// One running aggregator.
#[derive(Debug)]
pub struct App {
    /// What the operator chose.
    pub config: Config,
    /// Its keys.
    pub keys: Keys,
    /// The database.
    pub store: Store,
    /// The objects.
    pub payloads: Payloads,
    /// The counters.
    pub metrics: Arc<Metrics>,
    /// Uploads that may run at a time.
    pub uploads: Places<(RoundId, Digest)>,
    /// Long signed requests that may be read at a time, by key: each is in memory as a whole.
    pub long_requests: Places<Thumbprint>,
    pub(crate) known: Known,
    changes: watch::Sender<u64>,
    jobs: watch::Sender<u64>,
    stopping: watch::Sender<bool>,
    pub(crate) heads: tokio::sync::Mutex<HashMap<u64, Vec<u8>>>,
}

impl App {
    /// Puts the parts together.
    pub fn new(
        config: Config,
        keys: Keys,
        store: Store,
        payloads: Payloads,
        metrics: Arc<Metrics>,
    ) -> Self {
        let uploads = Places::new(&config.limits);
        let long_requests = Places::new(&config.limits);
        Self {
            config,
            keys,
            store,
            payloads,
            metrics,
            uploads,
            long_requests,
            known: Known::default(),
            changes: watch::Sender::new(0),
            jobs: watch::Sender::new(0),
            stopping: watch::Sender::new(false),
            heads: tokio::sync::Mutex::new(HashMap::new()),
        }
    }

    /// Says that a phase or a statement changed: requests that wait, and workers, look again.
    pub fn changed(&self) {
        self.changes
            .send_modify(|count| *count = count.wrapping_add(1));
        self.job_due();
    }

    /// Says that a job is due: workers of this process look at once.
    pub fn job_due(&self) {
        self.jobs
            .send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Waits for changes, for requests. Those of other replicas arrive through [`App::pulse`].
    pub fn changes(&self) -> Watcher {
        Watcher {
            signal: self.changes.subscribe(),
            stopping: self.stopping.subscribe(),
        }
    }

    /// Waits for jobs, for workers.
    pub fn jobs(&self) -> Watcher {
        Watcher {
            signal: self.jobs.subscribe(),
            stopping: self.stopping.subscribe(),
        }
    }

    /// Looks whether other replicas changed something, on behalf of everybody who waits in this process:
    /// a thousand waiting devices cost one small query each time.
    pub async fn pulse(self: Arc<Self>) {
        let mut known = None;
        let mut tidied = Instant::now();
        while !self.is_stopping() {
            if tidied.elapsed() >= TIDY {
                self.metrics.upkeep();
                tidied = Instant::now();
            }
            match self.store.revision().await {
                Ok(revision) => {
                    if known.is_some_and(|known| known != revision) {
                        // A replica that nobody asks anything would not know which key counts.
                        match self.members().await {
                            Ok(_) => {}
                            Err(ContextError::NoFederation) => tracing::debug!("no register yet"),
                            Err(error) => tracing::warn!(%error, "cannot read the register"),
                        }
                        self.changed();
                    }
                    known = Some(revision);
                }
                Err(error) => tracing::warn!(%error, "cannot look for changes"),
            }
            tokio::time::sleep(self.config.limits.poll()).await;
        }
    }

    /// Asks everything that waits to end.
    pub fn stop(&self) {
        self.stopping.send_replace(true);
    }

    /// Ends when [`App::stop`] was called.
    pub async fn stopped(&self) {
        let mut stopping = self.stopping.subscribe();
        // The sender lives as long as `self`.
        let _ = stopping.wait_for(|stop| *stop).await;
    }

    /// Whether [`App::stop`] was called.
    pub fn is_stopping(&self) -> bool {
        *self.stopping.borrow()
    }
}

/// Waits for a signal.
#[derive(Debug)]
pub struct Watcher {
    signal: watch::Receiver<u64>,
    stopping: watch::Receiver<bool>,
}

impl Watcher {
    /// Returns when something may have changed since the last call; `false` when it is time to give up.
    pub async fn wait(&mut self, until: Instant) -> bool {
        if Instant::now() >= until || *self.stopping.borrow() {
            return false;
        }
        tokio::select! {
            _ = self.signal.changed() => true,
            _ = self.stopping.changed() => false,
            () = tokio::time::sleep_until(until) => false,
        }
    }
}
