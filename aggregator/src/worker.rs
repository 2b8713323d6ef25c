//! The workers: each takes a due job under a lease, does it, gives it back.
//!
//! Workers of all replicas share the jobs. The lease is renewed while the job runs; when a worker is killed
//! it expires and another begins the step anew, which is harmless because a step ends in one transaction
//! that looks at the phase first.

use std::sync::Arc;
use std::time::Duration;

use dawn_identity::TaskId;
use dawn_protocol::RoundId;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::app::App;
use crate::cleanup;
use crate::clock::now_ms;
use crate::round::{self, Next};
use crate::store::StoreError;
use crate::store::jobs::{JobKind, Lease};

/// Jobs that one process does at a time.
const WORKERS: usize = 4;

/// When a replica without the server's keys looks at a round again.
const WITHOUT_KEYS: Duration = Duration::from_millis(500);

/// The longest pause after a failed job.
const MOST_BACKOFF_MS: u64 = 10_000;

/// What to do with a job that was looked at.
enum Afterwards {
    Finish,
    Release(Duration),
}

/// Starts the workers; dropping the set ends them wherever they are.
pub fn start(app: &Arc<App>, workers: &mut JoinSet<()>) {
    for _ in 0..WORKERS {
        workers.spawn(work(Arc::clone(app)));
    }
}

async fn work(app: Arc<App>) {
    let mut due = app.jobs();
    while !app.is_stopping() {
        match lease(&app).await {
            Ok(Some(lease)) => {
                // A task of its own, so that a panic ends the step and not the worker; dropped with it. The
                // lease expires by itself.
                let mut step = JoinSet::new();
                let app = Arc::clone(&app);
                step.spawn(async move { run(&app, lease).await });
                if let Some(Err(error)) = step.join_next().await {
                    tracing::error!(%error, "a step panicked");
                }
            }
            Ok(None) => {
                due.wait(Instant::now() + app.config.limits.poll()).await;
            }
            Err(error) => {
                tracing::warn!(%error, "cannot look for jobs");
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
        }
    }
}

async fn lease(app: &App) -> Result<Option<Lease>, StoreError> {
    let mut token = [0; 16];
    getrandom::fill(&mut token).map_err(|_| StoreError::Corrupt("the system has no randomness"))?;
    app.store.lease_job(token, app.config.limits.lease()).await
}

async fn run(app: &Arc<App>, lease: Lease) {
    let outcome = {
        let work = perform(app, &lease);
        let renewal = renew(app, &lease);
        tokio::select! {
            outcome = work => outcome,
            // Somebody else has it: whatever we would still write, the phase decides.
            () = renewal => {
                tracing::warn!(kind = lease.id.kind.as_str(), "a lease was lost");
                return;
            }
        }
    };
    let given_back = match outcome {
        Ok(Afterwards::Finish) => app.store.finish_job(&lease).await,
        Ok(Afterwards::Release(delay)) => app.store.release_job(&lease, delay, None).await,
        Err(error) => {
            let kind = lease.id.kind.as_str();
            app.metrics
                .count("dawn_jobs_failed_total", &[("kind", kind)]);
            tracing::warn!(kind, attempts = lease.attempts, %error, "a job failed");
            let backoff = (50_u64 << lease.attempts.min(12)).min(MOST_BACKOFF_MS);
            app.store
                .release_job(
                    &lease,
                    Duration::from_millis(backoff),
                    Some(&error.to_string()),
                )
                .await
        }
    };
    if let Err(error) = given_back {
        // The lease expires by itself.
        tracing::warn!(%error, "a job could not be given back");
    }
}

/// Returns when the lease is lost.
async fn renew(app: &App, lease: &Lease) {
    let duration = app.config.limits.lease();
    loop {
        tokio::time::sleep(duration / 3).await;
        match app.store.renew_lease(lease, duration).await {
            Ok(true) => {}
            Ok(false) => return,
            Err(error) => tracing::warn!(%error, "a lease could not be renewed"),
        }
    }
}

async fn perform(app: &Arc<App>, lease: &Lease) -> Result<Afterwards, round::EngineError> {
    let id = RoundId::new(TaskId(lease.id.task), lease.id.number);
    match lease.id.kind {
        // What a replica with another key would sign nobody believes: it leaves the rounds to those that have it.
        JobKind::Round if app.lacks_key().await => Ok(Afterwards::Release(WITHOUT_KEYS)),
        JobKind::Round => loop {
            match round::advance(app, &id).await? {
                Next::Again if app.is_stopping() => return Ok(Afterwards::Release(Duration::ZERO)),
                Next::Again => {}
                Next::At(at_ms) => {
                    let delay = at_ms.saturating_sub(now_ms());
                    return Ok(Afterwards::Release(Duration::from_millis(delay)));
                }
                Next::Over => return Ok(Afterwards::Finish),
            }
        },
        JobKind::Cleanup => {
            cleanup::end_of_round(app, &id).await?;
            Ok(Afterwards::Finish)
        }
        JobKind::Sweep => {
            cleanup::sweep(app).await?;
            Ok(Afterwards::Release(Duration::from_secs(
                app.config.limits.sweep_every_s,
            )))
        }
    }
}
