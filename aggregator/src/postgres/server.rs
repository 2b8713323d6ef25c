//! Starting, adopting and stopping the server process.

use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};
use sqlx::{Connection, PgConnection};

use super::account::Account;
use super::binaries;
use super::cluster::{self, DataDir};
use super::config::EmbeddedConfig;
use super::error::{PostgresError, io};
use super::pid_file::{self, Holder, PidFile};
use super::socket::{self, SocketDir};
use super::spawn::spawn;

const POLL: Duration = Duration::from_millis(20);
/// A fast shutdown disconnects everybody and writes a checkpoint.
const FAST_STOP: Duration = Duration::from_secs(30);
/// An immediate shutdown leaves recovery to the next start.
const IMMEDIATE_STOP: Duration = Duration::from_secs(10);

/// A running private Postgres. Dropping it stops the server (a fast shutdown, waited for).
#[derive(Debug)]
pub struct EmbeddedPostgres {
    process: Process,
    socket: SocketDir,
    url: String,
    /// Stops happen once: `stop` and `leave_running` clear it.
    running: bool,
    /// A whole directory to remove after the stop.
    temporary: Option<PathBuf>,
    /// Where this start's part of the log begins.
    log_from: u64,
    /// Last: the lock is released only after everything above has ended.
    dir: DataDir,
}

#[derive(Debug)]
enum Process {
    Child(Child),
    Adopted(i32),
}

impl EmbeddedPostgres {
    /// Starts the Postgres of `config.data_dir`, or adopts it when it still runs, and makes sure that the
    /// database `dawn` exists.
    ///
    /// # Errors
    /// See [`PostgresError`]: Postgres missing, directories unsuitable, already supervised, not ready in time.
    pub async fn start(config: &EmbeddedConfig) -> Result<Self, PostgresError> {
        let deadline = Instant::now() + config.start_timeout;
        loop {
            let config = config.clone();
            let mut server = blocking(move || Self::launch(&config, deadline)).await?;
            match server.wait_until_ready(deadline).await {
                // Backends that outlived a killed postmaster hold its shared memory for a moment.
                Err(PostgresError::EndedEarly { tail, .. })
                    if tail.contains("pre-existing shared memory block")
                        && Instant::now() < deadline =>
                {
                    tokio::time::sleep(10 * POLL).await;
                }
                Err(error) => return Err(error),
                Ok(()) => {
                    server.create_database().await?;
                    return Ok(server);
                }
            }
        }
    }

    /// A throw-away Postgres for tests: not durable, in a fresh directory under the temporary directory,
    /// everything removed when the handle is dropped (so do not keep it in a `static`, which is never dropped).
    ///
    /// # Errors
    /// As [`EmbeddedPostgres::start`].
    pub async fn ephemeral() -> Result<Self, PostgresError> {
        let path = blocking(|| {
            let account = Account::choose(Path::new("/nonexistent"))?;
            socket::fresh_path("dawn-data-", &account)
        })
        .await?;
        let mut config = EmbeddedConfig::new(&path);
        config.durable = false;
        match Self::start(&config).await {
            Ok(mut server) => {
                server.temporary = Some(path);
                Ok(server)
            }
            Err(error) => {
                let _ = std::fs::remove_dir_all(&path);
                Err(error)
            }
        }
    }

    /// The connection URL of the database `dawn`, through the Unix socket, for sqlx.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The connection URL of another database of this server.
    #[must_use]
    pub fn url_of(&self, database: &str) -> String {
        socket::url(&self.socket.path, database)
    }

    /// The process id of the postmaster.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.process.pid()
    }

    /// Whether the server process still exists. A supervisor that finds it gone should exit (and be
    /// restarted by its own supervisor): the next start recovers.
    pub fn is_running(&mut self) -> bool {
        self.running && !self.process.has_ended(&self.dir.cluster())
    }

    /// Stops the server and waits for it; everything committed is on disk.
    ///
    /// # Errors
    /// [`PostgresError::StopTimeout`] when it ignores a fast and an immediate shutdown.
    pub async fn stop(mut self) -> Result<(), PostgresError> {
        blocking(move || self.stop_now()).await
    }

    /// The directory that will be removed at the stop, of an ephemeral server.
    #[cfg(test)]
    pub(super) fn temporary_dir(&self) -> Option<&Path> {
        self.temporary.as_deref()
    }

    /// Lets the server run on after this handle is gone, for the next [`EmbeddedPostgres::start`] on the
    /// same directory to adopt: what a killed supervisor does, on purpose.
    pub fn leave_running(mut self) {
        self.running = false;
        self.temporary = None;
    }

    /// Everything that blocks: directories, `initdb`, the process.
    fn launch(config: &EmbeddedConfig, deadline: Instant) -> Result<Self, PostgresError> {
        let dir = DataDir::open(&config.data_dir)?;
        let cluster_dir = dir.cluster();
        let account = Account::choose(&cluster_dir)?;
        account.reach(dir.path())?;
        let log_from = dir.log_length();
        while let Some(file) = PidFile::read(&cluster_dir)? {
            match pid_file::holder(file.pid, &cluster_dir) {
                Holder::Ours => {
                    if let Some(adopted) = Self::adopt(&file) {
                        return Ok(adopted.with_dir(dir, log_from));
                    }
                    // Still starting, or on its way out after its supervisor told it to stop.
                    if Instant::now() >= deadline {
                        return Err(PostgresError::StartTimeout {
                            waited: config.start_timeout,
                            log: dir.log_path(),
                            tail: dir.log_tail(log_from),
                        });
                    }
                    std::thread::sleep(POLL);
                }
                Holder::OtherPostgres => {
                    return Err(PostgresError::StartedElsewhere {
                        cluster: cluster_dir,
                        pid: file.pid,
                    });
                }
                gone => {
                    if let Some(left) = file.socket_dir {
                        SocketDir::adopted(left).remove();
                    }
                    if gone == Holder::Unrelated {
                        pid_file::disown(&cluster_dir, &account)?;
                    }
                    break;
                }
            }
        }
        let existing = cluster::version(&cluster_dir)?;
        let binaries = binaries::find(
            config.bin_dirs.as_deref(),
            existing.map(|major| (major, cluster_dir.as_path())),
        )?;
        let socket = SocketDir::prepare(config.socket_dir.as_deref(), &account)?;
        let spawned = (|| {
            if existing.is_none() {
                cluster::initialise(&dir, &account, &binaries, config.durable)?;
            }
            cluster::settle_owner(&cluster_dir, &account)?;
            spawn(config, &dir, &account, &binaries, &socket.path)
        })();
        match spawned {
            Ok(child) => Ok(Unplaced {
                process: Process::Child(child),
                socket,
            }
            .with_dir(dir, log_from)),
            Err(error) => {
                socket.remove();
                Err(error)
            }
        }
    }

    /// Takes over a running server that is ready for connections.
    fn adopt(file: &PidFile) -> Option<Unplaced> {
        let socket_dir = file.socket_dir.clone().filter(|_| file.ready)?;
        tracing::info!(
            pid = file.pid,
            "adopting the Postgres that an earlier supervisor left running"
        );
        Some(Unplaced {
            process: Process::Adopted(file.pid),
            socket: SocketDir::adopted(socket_dir),
        })
    }

    async fn wait_until_ready(&mut self, deadline: Instant) -> Result<(), PostgresError> {
        let began = Instant::now();
        let cluster_dir = self.dir.cluster();
        loop {
            let ended = match &mut self.process {
                Process::Child(child) => match child.try_wait() {
                    Ok(status) => status.map(|status| status.to_string()),
                    Err(e) => Some(e.to_string()),
                },
                adopted @ Process::Adopted(_) => adopted
                    .has_ended(&cluster_dir)
                    .then(|| "an adopted process".to_owned()),
            };
            if let Some(status) = ended {
                return Err(PostgresError::EndedEarly {
                    status,
                    log: self.dir.log_path(),
                    tail: self.dir.log_tail(self.log_from),
                });
            }
            let pid = self.pid();
            if PidFile::read(&cluster_dir)?.is_some_and(|file| file.pid == pid && file.ready) {
                return Ok(());
            }
            if Instant::now() >= deadline {
                return Err(PostgresError::StartTimeout {
                    waited: began.elapsed(),
                    log: self.dir.log_path(),
                    tail: self.dir.log_tail(self.log_from),
                });
            }
            tokio::time::sleep(POLL).await;
        }
    }

    async fn create_database(&self) -> Result<(), PostgresError> {
        let sql = |doing| move |source| PostgresError::Sql { doing, source };
        let mut connection = PgConnection::connect(&self.url_of("postgres"))
            .await
            .map_err(sql("connecting"))?;
        let exists: bool =
            sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM pg_database WHERE datname = 'dawn')")
                .fetch_one(&mut connection)
                .await
                .map_err(sql("looking for the database"))?;
        if !exists {
            sqlx::query("CREATE DATABASE dawn")
                .execute(&mut connection)
                .await
                .map_err(sql("creating the database"))?;
        }
        connection.close().await.map_err(sql("disconnecting"))
    }

    fn stop_now(&mut self) -> Result<(), PostgresError> {
        if !std::mem::replace(&mut self.running, false) {
            return Ok(());
        }
        let cluster_dir = self.dir.cluster();
        let stopped = [(Signal::INT, FAST_STOP), (Signal::QUIT, IMMEDIATE_STOP)]
            .into_iter()
            .any(|(signal, patience)| self.process.end(signal, patience, &cluster_dir));
        if !stopped {
            return Err(PostgresError::StopTimeout {
                pid: self.pid(),
                log: self.dir.log_path(),
            });
        }
        self.socket.remove();
        if let Some(path) = self.temporary.take() {
            std::fs::remove_dir_all(&path).map_err(io("remove", &path))?;
        }
        Ok(())
    }
}

impl Drop for EmbeddedPostgres {
    fn drop(&mut self) {
        if let Err(error) = self.stop_now() {
            tracing::error!(%error, "the embedded Postgres was not stopped cleanly");
        }
    }
}

/// A process with its socket, before it is tied to the locked directory.
struct Unplaced {
    process: Process,
    socket: SocketDir,
}

impl Unplaced {
    fn with_dir(self, dir: DataDir, log_from: u64) -> EmbeddedPostgres {
        EmbeddedPostgres {
            url: socket::url(&self.socket.path, "dawn"),
            process: self.process,
            socket: self.socket,
            running: true,
            temporary: None,
            log_from,
            dir,
        }
    }
}

impl Process {
    fn pid(&self) -> i32 {
        match self {
            Self::Child(child) => i32::try_from(child.id()).unwrap_or(i32::MAX),
            Self::Adopted(pid) => *pid,
        }
    }

    fn has_ended(&mut self, cluster: &Path) -> bool {
        match self {
            Self::Child(child) => !matches!(child.try_wait(), Ok(None)),
            // Asked anew each time: the number may have been given to another process.
            Self::Adopted(pid) => pid_file::holder(*pid, cluster) != Holder::Ours,
        }
    }

    /// Sends `signal` and waits; `true` when the process has ended.
    fn end(&mut self, signal: Signal, patience: Duration, cluster: &Path) -> bool {
        let deadline = Instant::now() + patience;
        if self.has_ended(cluster) {
            return true;
        }
        if let Some(pid) = Pid::from_raw(self.pid()) {
            // A failure means that it has just ended, or the wait below runs out.
            let _ = rustix::process::kill_process(pid, signal);
        }
        while Instant::now() < deadline {
            if self.has_ended(cluster) {
                return true;
            }
            std::thread::sleep(POLL / 4);
        }
        false
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, PostgresError> + Send + 'static,
) -> Result<T, PostgresError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(e) if e.is_panic() => std::panic::resume_unwind(e.into_panic()),
        Err(_) => Err(PostgresError::Cancelled),
    }
}
