//! What every part of one running aggregator shares.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;

use crate::config::Config;
use crate::contexts::Known;
use crate::keys::Keys;
use crate::metrics::Metrics;
use crate::payloads::Payloads;
use crate::store::Store;

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
    pub uploads: Semaphore,
    pub(crate) known: Known,
    changes: watch::Sender<u64>,
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
        let uploads = Semaphore::new(config.limits.uploads);
        Self {
            config,
            keys,
            store,
            payloads,
            metrics,
            uploads,
            known: Known::default(),
            changes: watch::Sender::new(0),
            stopping: watch::Sender::new(false),
            heads: tokio::sync::Mutex::new(HashMap::new()),
        }
    }

    /// Says that something in the database changed: workers and long polls of this process look again.
    pub fn changed(&self) {
        self.changes
            .send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Tells changes of this process apart from now on.
    pub fn changes(&self) -> Watcher {
        Watcher {
            changes: self.changes.subscribe(),
            stopping: self.stopping.subscribe(),
            poll: self.config.limits.poll(),
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

/// Waits for changes, those of other replicas by looking again after a while.
#[derive(Debug)]
pub struct Watcher {
    changes: watch::Receiver<u64>,
    stopping: watch::Receiver<bool>,
    poll: Duration,
}

impl Watcher {
    /// Returns when something may have changed; `false` when it is time to give up.
    pub async fn wait(&mut self, until: Instant) -> bool {
        if Instant::now() >= until || *self.stopping.borrow() {
            return false;
        }
        let poll = Instant::now() + self.poll;
        tokio::select! {
            _ = self.changes.changed() => true,
            _ = self.stopping.changed() => false,
            () = tokio::time::sleep_until(poll.min(until)) => true,
        }
    }
}
