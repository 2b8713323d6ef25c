//! The embedded default: a private Postgres that this process supervises.
//!
//! With `DATABASE_URL` set nobody needs this module. Without it, [`EmbeddedPostgres::start`] finds the
//! installed Postgres, makes a cluster in a data directory, listens on a Unix socket only, and stops the
//! server again when the handle is dropped (`docs/architecture.md`, "Embedded Postgres").
//!
//! What is trusted: authentication is `trust`, because the one way in is a socket inside a directory of
//! mode 0700. Whoever may enter that directory - the account that runs Postgres, and root - may also read
//! the data files directly, so a password would protect nothing that the directory does not.
//!
//! What happens when somebody is killed:
//!
//! - `kill -9` of the supervisor: Postgres goes on, and the next [`EmbeddedPostgres::start`] on the same
//!   directory adopts it through its `postmaster.pid`. Stopping it from a watchdog would gain nothing: the
//!   data survive either way, and a replacement is ready sooner.
//! - `kill -9` of Postgres: the next start recovers from the write-ahead log, as always.
//! - two supervisors on one directory: the second is refused by a lock that the kernel releases on any exit.

mod account;
mod binaries;
mod cluster;
mod config;
mod error;
mod pid_file;
mod server;
mod socket;
mod spawn;

#[cfg(test)]
mod tests;

pub use config::EmbeddedConfig;
pub use error::PostgresError;
pub use server::EmbeddedPostgres;
