//! Running a steward: pull work, do it, try again when the server is away, stop when asked.
//!
//! A steward may be stopped at any instruction. An answer that was not yet on disk was never given; one that is on disk
//! is sent again, the same bytes, when the aggregator asks again.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use dawn_crypto::vrf::VrfSecretKey;
use dawn_identity::key_file::{self, KeyFileError};
use dawn_identity::{Digest, FederationError, PublicKey, SecretKey, StewardId, TaskId};
use dawn_protocol::RoundId;
use dawn_transport::{Api, Backoff, RetryPolicy, TransportError};
use getrandom::SysRng;
use rand_core::UnwrapErr;
use tokio::sync::{Mutex, OnceCell};
use tokio::task::JoinSet;

use crate::config::StewardConfig;
use crate::error::StewardError;
use crate::session::{Session, item_name};
use crate::state::StewardState;
use crate::vault::{Condition, Vault, VaultError};
use crate::vrf_key;

/// Under which what is about no round is told once.
const NO_ROUND: RoundId = RoundId {
    task: TaskId(Digest([0; 32])),
    number: 0,
};

/// What stops a steward, or one piece of its work.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The steward does not answer.
    #[error(transparent)]
    Steward(#[from] StewardError),
    /// The server does not.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// The server does not show what a verdict was judged with.
    #[error("the server does not deliver the {what} of a verdict: {error}")]
    NotShown {
        /// Scalars, answers or a payload.
        what: &'static str,
        /// What the server says.
        error: TransportError,
    },
    /// The founding document that the server has is not the pinned one, or not signed.
    #[error(transparent)]
    Federation(#[from] FederationError),
    /// The key in the VRF key file is made of the signing key.
    #[error("the VRF key file {0} has the seed of the steward's signing key")]
    OneSeed(PathBuf),
    /// A key file cannot be read or opened.
    #[error("the steward's keys: {0}")]
    KeyFile(#[from] KeyFileError),
    /// A worker thread ended in a panic: a defect of this program.
    #[error("internal error: {0}")]
    Internal(String),
}

impl From<VaultError> for RunError {
    fn from(error: VaultError) -> Self {
        Self::Steward(StewardError::Vault(error))
    }
}

/// A steward with its files open and its server known.
#[derive(Debug)]
pub struct Steward {
    api: Api,
    config: StewardConfig,
    id: StewardId,
    condition: Condition,
    key: PublicKey,
    /// Moved into the session when the founding document has arrived.
    parts: Mutex<Option<(Vault, SecretKey, VrfSecretKey)>>,
    session: OnceCell<Session>,
    /// Refusals that have been logged already.
    logged: std::sync::Mutex<BTreeSet<(RoundId, &'static str)>>,
}

impl Steward {
    /// Opens the steward's files: key, store and guard. Does not talk to the server yet.
    ///
    /// # Errors
    /// [`RunError`].
    pub fn open(config: StewardConfig) -> Result<Self, RunError> {
        let key = key_file::read(&config.key_file)?;
        let vrf = vrf_key::read(&config.vrf_key_file)?;
        Self::open_with_keys(config, key, vrf)
    }

    /// As [`Steward::open`], with keys that do not come from files.
    ///
    /// # Errors
    /// [`RunError`].
    pub fn open_with_keys(
        config: StewardConfig,
        key: SecretKey,
        vrf: VrfSecretKey,
    ) -> Result<Self, RunError> {
        // Under one seed the proofs would show what signatures hide.
        if vrf.public().as_bytes() == key.public().as_bytes() {
            return Err(RunError::OneSeed(config.vrf_key_file));
        }
        let api = Api::new(&config.aggregator)?;
        let public = key.public();
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_secs());
        let vault = Vault::open(
            &config.data_dir,
            &config.guard_dir,
            public.id(),
            now,
            &mut UnwrapErr(SysRng),
        )?;
        let condition = vault.condition();
        match condition {
            Condition::Fresh => tracing::info!("a new steward's memory"),
            Condition::Intact => {}
            Condition::Restored => tracing::warn!(
                "the store was restored from a backup: unfinished rounds are given up, and rounds up to the highest known are refused"
            ),
            Condition::GuardLost => tracing::warn!(
                "the guard is lost: only tasks signed from now on count, and data sources with a limit need their spending restated"
            ),
        }
        Ok(Self {
            id: StewardId::of(&config.org, &public),
            key: public,
            parts: Mutex::new(Some((vault, key, vrf))),
            session: OnceCell::new(),
            logged: std::sync::Mutex::default(),
            api,
            condition,
            config,
        })
    }

    /// This steward.
    pub fn id(&self) -> StewardId {
        self.id
    }

    /// This steward's public key.
    pub fn public_key(&self) -> PublicKey {
        self.key
    }

    /// What was found when the store was opened.
    pub fn condition(&self) -> Condition {
        self.condition
    }

    /// The connected steward: fetches and verifies the founding document the first time, and looks through the log when
    /// the memory may have lost answers.
    ///
    /// # Errors
    /// [`RunError`].
    pub async fn connect(&self) -> Result<&Session, RunError> {
        self.session
            .get_or_try_init(|| async {
                let document = self.api.federation().await?;
                let federation = document.verify_pinned(&self.config.federation)?;
                let mut parts = self.parts.lock().await;
                let (vault, key, vrf) = parts.take().ok_or_else(|| {
                    RunError::Internal("the steward is connected twice".to_owned())
                })?;
                let state = StewardState::new(
                    vault,
                    key,
                    vrf,
                    &self.config.org,
                    federation,
                    self.config.budgets.clone(),
                );
                Ok::<_, RunError>(Session::new(self.api.clone(), Arc::new(state)))
            })
            .await
    }

    /// One poll without waiting: does everything that waits, and says how many answers were published. For tests and for
    /// callers with their own loop; [`Steward::run`] does the same for ever.
    ///
    /// # Errors
    /// [`RunError`] when nothing could be asked for; what went wrong with single items is logged.
    pub async fn step_once(&self) -> Result<usize, RunError> {
        self.ready().await?;
        self.step(0).await
    }

    /// Pulls work and does it until `shutdown` resolves.
    ///
    /// # Errors
    /// Only what no patience repairs: a founding document that is not the pinned one, or a store that does not work.
    pub async fn run(&self, shutdown: impl Future<Output = ()>) -> Result<(), RunError> {
        tokio::pin!(shutdown);
        tokio::select! {
            () = &mut shutdown => {
                tracing::info!("asked to stop");
                Ok(())
            }
            result = self.work_for_ever() => result,
        }
    }

    async fn work_for_ever(&self) -> Result<(), RunError> {
        let mut backoff = Backoff::new(&RetryPolicy::default());
        let mut ready = false;
        loop {
            let progress = if ready {
                self.step(self.config.poll_wait_seconds).await
            } else {
                self.ready().await.map(|()| {
                    ready = true;
                    1
                })
            };
            match progress {
                Ok(0) => {}
                Ok(_) => {
                    backoff.reset();
                    continue;
                }
                Err(error) if fatal(&error) => return Err(error),
                Err(error) => tracing::warn!(%error, "no work could be pulled"),
            }
            // Nothing was achieved: either the poll ran out, or everything that waits was refused and waits still.
            tokio::time::sleep(backoff.next_pause_os()).await;
        }
    }

    /// Connects, and does what has to be done once before any answer.
    async fn ready(&self) -> Result<(), RunError> {
        let first = self.session.get().is_none();
        let session = self.connect().await?;
        if first {
            let spending = self.config.restated_spending.clone();
            session
                .state()
                .restate_spending(&spending, &mut UnwrapErr(SysRng))?;
        }
        Ok(())
    }

    async fn step(&self, wait_seconds: u32) -> Result<usize, RunError> {
        let session = self.connect().await?;
        session.catch_up().await?;
        match session.witness().await {
            Ok(()) => {}
            Err(error @ RunError::Steward(StewardError::Vault(_))) => return Err(error),
            // Work that needs no more of the log than was cosigned goes on, and all other work is refused.
            Err(error @ RunError::Steward(_)) => self.log_once(NO_ROUND, "log", &error),
            Err(error) => self.log_once(NO_ROUND, "cosignature", &error),
        }
        let items = session.work(wait_seconds).await?;
        let mut running = JoinSet::new();
        for item in items {
            let session = session.clone();
            running.spawn(async move {
                let about = (item.round(), item_name(&item));
                let done = session.answer(item).await;
                (about, done)
            });
        }
        let mut answered = 0;
        while let Some(joined) = running.join_next().await {
            let ((round, kind), done) =
                joined.map_err(|error| RunError::Internal(error.to_string()))?;
            match done {
                Ok(()) => answered += 1,
                Err(error @ RunError::Steward(StewardError::Vault(_))) => return Err(error),
                Err(error) if too_late(&error) => tracing::debug!(%round, kind, %error, "too late"),
                // Told apart from refusals of the same round: it may come first and hide none.
                Err(error @ RunError::NotShown { what, .. }) => self.log_once(round, what, &error),
                Err(error) => self.log_once(round, kind, &error),
            }
        }
        Ok(answered)
    }

    /// A refusal is logged once, not at every poll.
    fn log_once(&self, round: RoundId, kind: &'static str, error: &RunError) {
        let mut logged = self
            .logged
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if logged.len() > 10_000 {
            logged.clear();
        }
        if logged.insert((round, kind)) {
            tracing::warn!(%round, kind, %error, "not answered");
        }
    }
}

/// Resolves when the process is asked to stop: SIGTERM or SIGINT.
///
/// # Errors
/// When the signal handlers cannot be installed.
pub fn stop_signal() -> std::io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// What no patience repairs.
fn fatal(error: &RunError) -> bool {
    match error {
        RunError::Federation(_)
        | RunError::KeyFile(_)
        | RunError::OneSeed(_)
        | RunError::Internal(_) => true,
        RunError::Steward(StewardError::Vault(_)) => true,
        RunError::Steward(_) | RunError::Transport(_) | RunError::NotShown { .. } => false,
    }
}

/// Whether the server refused an answer because the round has moved on, which is nobody's fault.
fn too_late(error: &RunError) -> bool {
    matches!(error, RunError::Transport(TransportError::Problem(problem)) if matches!(problem.status, 404 | 409 | 410))
}
