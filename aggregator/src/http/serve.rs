//! Connections: bounded in number, with limits on how long the head of a request and the taking of an answer may
//! take.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;

use super::stall::Stalling;
use crate::app::App;

/// How long connections may take to finish at shutdown.
const DRAIN: Duration = Duration::from_secs(5);

/// Accepts connections until the aggregator stops, then lets those in progress finish. Dropping the future
/// ends all of them at once.
pub async fn serve(app: Arc<App>, listener: TcpListener, router: Router) {
    let slots = Arc::new(Semaphore::new(slots(app.config.limits.connections)));
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else {
            return;
        };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = app.stopped() => break,
        };
        match accepted {
            Ok((stream, _)) => {
                connections.spawn(connection(Arc::clone(&app), stream, router.clone(), slot));
            }
            Err(error) => {
                // Out of file descriptors, or a connection that died in the queue: neither ends the server.
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
    drop(listener);
    let finish = async { while connections.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(DRAIN, finish).await;
}

/// How many connections are taken at a time: half of the files that this process may open at most, so that
/// objects and the database can still be reached when all of them are taken.
fn slots(wanted: usize) -> usize {
    let files = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    let most = files.map_or(usize::MAX, |files| {
        usize::try_from(files / 2).unwrap_or(usize::MAX)
    });
    if wanted > most {
        tracing::warn!(
            wanted,
            most,
            "fewer connections than configured: the limit on open files is low (ulimit -n)"
        );
    }
    wanted.min(most).max(1)
}

async fn connection(app: Arc<App>, stream: TcpStream, router: Router, slot: OwnedSemaphorePermit) {
    // Small answers must not wait for acknowledgements.
    let _ = stream.set_nodelay(true);
    let limits = &app.config.limits;
    let head_timeout = Duration::from_millis(limits.head_timeout_ms);
    let stream = Stalling::new(stream, Duration::from_millis(limits.write_timeout_ms));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(head_timeout)
        .max_buf_size(64 * 1024)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = app.stopped() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended badly");
    }
    drop(slot);
}

#[cfg(test)]
mod tests {
    use super::slots;

    #[test]
    fn connections_leave_files_for_the_rest() {
        let files = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
        let most = files.map_or(usize::MAX, |files| (files / 2) as usize);
        assert_eq!(slots(usize::MAX), most);
        assert_eq!((slots(0), slots(1)), (1, 1));
    }
}
