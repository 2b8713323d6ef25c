//! Starting and stopping.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use dawn_crypto::digest::Digest;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::app::App;
use crate::config::Config;
use crate::contexts::ContextError;
use crate::http;
use crate::keys::{Keys, KeysError};
use crate::metrics::Metrics;
use crate::payloads::{PayloadError, Payloads};
use crate::postgres::{EmbeddedConfig, EmbeddedPostgres, PostgresError};
use crate::store::jobs::{JobId, JobKind};
use crate::store::{Store, StoreError};
use crate::worker;

/// How long workers may take to end their step at shutdown; a step that is broken off is taken again.
const DRAIN: Duration = Duration::from_secs(10);

/// Why an aggregator does not start or stop.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data directory.
    #[error("cannot make the data directory {0}: {1}")]
    DataDir(PathBuf, std::io::Error),
    /// The public address.
    #[error("public_url = \"{0}\" is not of the form https://host[:port]")]
    PublicUrl(String),
    /// The keys.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// The embedded Postgres.
    #[error(transparent)]
    Postgres(#[from] PostgresError),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The federation in the database is not this replica's.
    #[error(transparent)]
    Federation(#[from] ContextError),
    /// The objects.
    #[error(transparent)]
    Payloads(#[from] PayloadError),
    /// The address.
    #[error("cannot listen on {0}: {1}")]
    Listen(SocketAddr, std::io::Error),
}

/// The service.
#[derive(Debug)]
pub struct Aggregator;

impl Aggregator {
    /// Starts everything: keys, database, objects, workers, HTTP.
    ///
    /// Logs through `tracing` and installs no global state: several may run in one process.
    ///
    /// # Errors
    /// [`StartError`], which says what to do.
    pub async fn start(config: Config) -> Result<Running, StartError> {
        if let (Some(url), None) = (&config.public_url, config.public_address()) {
            return Err(StartError::PublicUrl(url.clone()));
        }
        std::fs::create_dir_all(&config.data_dir)
            .map_err(|error| StartError::DataDir(config.data_dir.clone(), error))?;
        let keys = Keys::open_or_create(&config.keys_dir())?;
        // Taken before anything slow: a used port is known at once.
        let listener = TcpListener::bind(config.listen)
            .await
            .map_err(|error| StartError::Listen(config.listen, error))?;
        let address = listener
            .local_addr()
            .map_err(|error| StartError::Listen(config.listen, error))?;
        let (postgres, url) = database(&config).await?;
        let metrics = Arc::new(Metrics::default());
        let connections = config.limits.database_connections;
        let store = Store::connect(&url, config.durable, connections, Arc::clone(&metrics)).await?;
        let payloads = Payloads::open(config.objects_dir(), config.durable)?;
        let works = config.worker;
        let app = Arc::new(App::new(config, keys, store, payloads, metrics));
        let sweep = JobId {
            kind: JobKind::Sweep,
            task: Digest([0; 32]),
            number: 0,
        };
        app.store.ensure_job(&sweep).await?;
        // No federation yet, or other trouble: requests will meet it again and tell.
        match app.check_keys().await {
            Err(error @ ContextError::OtherKeys(_)) => return Err(error.into()),
            Err(error @ ContextError::AwaitsKeys(_)) => tracing::warn!(%error, "waiting"),
            _ => {}
        }
        let mut workers = JoinSet::new();
        workers.spawn(Arc::clone(&app).pulse());
        if works {
            worker::start(&app, &mut workers);
        }
        let mut server = JoinSet::new();
        server.spawn(http::serve::serve(
            Arc::clone(&app),
            listener,
            http::router(Arc::clone(&app)),
        ));
        tracing::info!(%address, aggregator = %app.keys.aggregator.public().id(), "listening");
        Ok(Running {
            app,
            address,
            server,
            workers,
            postgres,
        })
    }
}

async fn database(config: &Config) -> Result<(Option<EmbeddedPostgres>, String), StartError> {
    if let Some(url) = &config.database_url {
        return Ok((None, url.clone()));
    }
    let mut embedded = EmbeddedConfig::new(config.postgres_dir());
    embedded.durable = config.durable;
    let postgres = EmbeddedPostgres::start(&embedded).await?;
    let url = postgres.url().to_owned();
    Ok((Some(postgres), url))
}

/// A running aggregator. Dropping it ends it as a crash would, except that an embedded Postgres is stopped.
#[derive(Debug)]
pub struct Running {
    app: Arc<App>,
    address: SocketAddr,
    server: JoinSet<()>,
    workers: JoinSet<()>,
    postgres: Option<EmbeddedPostgres>,
}

impl Running {
    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Its base URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The URL of its database.
    pub fn database_url(&self) -> Option<String> {
        match &self.postgres {
            Some(postgres) => Some(postgres.url().to_owned()),
            None => self.app.config.database_url.clone(),
        }
    }

    /// The parts, for tests and for the command line.
    pub fn app(&self) -> &Arc<App> {
        &self.app
    }

    /// Returns when the server has ended by itself, which it does only when [`Running::shutdown`] is called
    /// or its task fails.
    pub async fn wait(&mut self) {
        while self.server.join_next().await.is_some() {}
    }

    /// Lets requests and steps in progress finish, then stops everything.
    ///
    /// # Errors
    /// The embedded Postgres does not stop.
    pub async fn shutdown(mut self) -> Result<(), StartError> {
        self.app.stop();
        let workers = &mut self.workers;
        let finish = async { while workers.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(DRAIN, finish).await;
        self.workers.abort_all();
        self.wait().await;
        self.app.store.close().await;
        if let Some(postgres) = self.postgres.take() {
            postgres.stop().await?;
        }
        Ok(())
    }
}
