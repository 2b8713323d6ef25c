//! All SQL of the aggregator, one file per aggregate; every function is one named transaction.
//!
//! Transactions run at READ COMMITTED. They take an advisory lock first, if one at all (`locks`), then explicit
//! row locks, always in this order: the organisation, the task, the round, its submissions or statements, the head of the log,
//! jobs. A serialisation failure or a deadlock
//! repeats the transaction. Whoever can change the database can lie about liveness and statistics; every
//! statement in it is signed and every number that matters is recomputed by stewards and auditors.

use std::ops::ControlFlow;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use dawn_crypto::digest::Digest;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{PgPool, Postgres, Transaction};

use crate::metrics::Metrics;

pub mod budget;
mod count;
pub mod federation;
pub mod jobs;
mod locks;
pub mod log;
pub mod nonces;
pub mod objects;
pub mod orgs;
pub mod register;
pub mod rosters;
pub mod rounds;
mod schema;
pub mod statements;
pub mod submissions;
pub mod tasks;
pub mod tlog;
pub mod transitions;
pub mod waiting;

/// Times that a transaction is repeated before the caller hears about it.
const MAX_ATTEMPTS: u32 = 12;

/// Why the store failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Postgres or the connection to it.
    #[error("database: {0}")]
    Database(#[from] sqlx::Error),
    /// The migrations cannot be applied.
    #[error("{0}")]
    Schema(String),
    /// The server's key was replaced while something was signed with it.
    #[error("a key of the server was replaced meanwhile")]
    KeyReplaced,
    /// A row does not have the form that this program writes.
    #[error("the database holds an impossible value: {0}")]
    Corrupt(&'static str),
}

impl StoreError {
    fn code(&self) -> Option<String> {
        match self {
            Self::Database(sqlx::Error::Database(error)) => {
                error.code().map(|code| code.into_owned())
            }
            _ => None,
        }
    }

    /// Postgres asks to repeat the transaction: serialisation failure or deadlock.
    fn asks_to_repeat(&self) -> bool {
        matches!(self.code().as_deref(), Some("40001" | "40P01"))
    }

    /// Whether trying again later may help.
    pub fn is_temporary(&self) -> bool {
        match self {
            // Serialisation, resources, lock and statement timeouts, shutdown.
            Self::Database(sqlx::Error::Database(_)) => self.code().is_some_and(|code| {
                code.starts_with("40")
                    || code.starts_with("53")
                    || code.starts_with("55")
                    || code.starts_with("57")
            }),
            Self::Database(
                sqlx::Error::Io(_)
                | sqlx::Error::PoolTimedOut
                | sqlx::Error::PoolClosed
                | sqlx::Error::WorkerCrashed,
            ) => true,
            Self::KeyReplaced => true,
            Self::Database(_) | Self::Schema(_) | Self::Corrupt(_) => false,
        }
    }
}

/// The database.
#[derive(Debug, Clone)]
pub struct Store {
    pool: PgPool,
    metrics: Arc<Metrics>,
}

impl Store {
    /// Connects, applies the migrations, refuses a schema that this program does not know.
    ///
    /// # Errors
    /// No connection within 30 seconds, or a schema of a newer program.
    pub async fn connect(
        url: &str,
        durable: bool,
        connections: u32,
        metrics: Arc<Metrics>,
    ) -> Result<Self, StoreError> {
        let options = PgConnectOptions::from_str(url)?
            .application_name("dawn-aggregator")
            .options([
                ("statement_timeout", "60s"),
                ("lock_timeout", "20s"),
                ("idle_in_transaction_session_timeout", "60s"),
                ("synchronous_commit", if durable { "on" } else { "off" }),
            ]);
        let pool = PgPoolOptions::new()
            .max_connections(connections.max(2))
            .acquire_timeout(Duration::from_secs(30))
            .connect_with(options)
            .await?;
        schema::migrate(&pool).await?;
        Ok(Self { pool, metrics })
    }

    /// Closes the connections.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    async fn begin(&self) -> Result<Transaction<'static, Postgres>, StoreError> {
        Ok(self.pool.begin().await?)
    }

    /// Whether a transaction that ended so is repeated; waits before it says yes.
    async fn settle<T>(
        &self,
        name: &'static str,
        attempt: &mut u32,
        outcome: Result<T, StoreError>,
    ) -> ControlFlow<Result<T, StoreError>> {
        *attempt += 1;
        match outcome {
            Err(error) if error.asks_to_repeat() && *attempt < MAX_ATTEMPTS => {
                self.metrics
                    .count("dawn_transaction_retries_total", &[("name", name)]);
                tracing::debug!(name, attempt, %error, "repeating a transaction");
                // Whoever lost a race waits a little longer each time, and not all the same.
                let jitter = u64::from(std::process::id() ^ *attempt) % 5;
                tokio::time::sleep(Duration::from_millis(u64::from(*attempt) * 3 + jitter)).await;
                ControlFlow::Continue(())
            }
            outcome => {
                self.metrics
                    .count("dawn_transactions_total", &[("name", name)]);
                ControlFlow::Break(outcome)
            }
        }
    }
}

/// Runs the block as one transaction with this name, repeating it when Postgres asks for that. `$conn` is a
/// `&mut PgConnection` inside the block; the block's value is a `Result<_, StoreError>`, and `?` rolls back.
macro_rules! transaction {
    ($store:expr, $name:literal, |$conn:ident| $body:block) => {{
        let mut attempt = 0_u32;
        loop {
            let outcome = async {
                let mut transaction = $store.begin().await?;
                let value = {
                    let $conn: &mut sqlx::PgConnection = &mut transaction;
                    let inner: Result<_, $crate::store::StoreError> = async { $body }.await;
                    inner?
                };
                transaction.commit().await?;
                Ok::<_, $crate::store::StoreError>(value)
            }
            .await;
            match $store.settle($name, &mut attempt, outcome).await {
                std::ops::ControlFlow::Break(outcome) => break outcome,
                std::ops::ControlFlow::Continue(()) => {}
            }
        }
    }};
}
use transaction;

/// A digest from a column of 32 bytes.
fn digest(bytes: &[u8]) -> Result<Digest, StoreError> {
    bytes
        .try_into()
        .map(Digest)
        .map_err(|_| StoreError::Corrupt("a digest is not 32 bytes"))
}

/// A count or time that was written from an unsigned number.
fn unsigned(value: i64) -> Result<u64, StoreError> {
    u64::try_from(value).map_err(|_| StoreError::Corrupt("a number is negative"))
}

fn unsigned32(value: i32) -> Result<u32, StoreError> {
    u32::try_from(value).map_err(|_| StoreError::Corrupt("a number is negative"))
}

/// For a column of signed numbers; times and counts are far below the limit.
fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn signed32(value: u32) -> i32 {
    i32::try_from(value).unwrap_or(i32::MAX)
}

impl Store {
    /// Whether the database answers.
    ///
    /// # Errors
    /// It does not.
    pub async fn ping(&self) -> Result<(), StoreError> {
        sqlx::query("select 1").execute(&self.pool).await?;
        Ok(())
    }
}
