//! What a caller may choose about an embedded Postgres.

use std::path::PathBuf;
use std::time::Duration;

/// Where an embedded Postgres keeps its data and how carefully.
#[derive(Clone, Debug)]
pub struct EmbeddedConfig {
    /// A directory for this Postgres alone; made when missing (its parents too). It receives `cluster/`, `postgres.log`
    /// and `supervisor.lock`. When running as root, the unprivileged account needs search permission on
    /// every parent; on the directory itself it is granted.
    pub data_dir: PathBuf,
    /// The directory of the Unix socket, made with mode 0700 when missing and then removed at stop.
    /// `None`: a fresh short one under the system's temporary directory. The path of the socket inside
    /// it must not exceed 107 bytes.
    pub socket_dir: Option<PathBuf>,
    /// Where to look for `initdb` and `postgres`. `None`: `PATH` and the usual places of distributions.
    pub bin_dirs: Option<Vec<PathBuf>>,
    /// `false` turns `fsync` off: a crash of the machine then destroys the cluster. For tests only.
    pub durable: bool,
    /// How long a start may take, crash recovery included.
    pub start_timeout: Duration,
    /// `max_connections` of the server.
    pub max_connections: u16,
}

impl EmbeddedConfig {
    /// The defaults for a cluster under `data_dir`: durable, 100 connections, two minutes to start.
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            socket_dir: None,
            bin_dirs: None,
            durable: true,
            start_timeout: Duration::from_secs(120),
            max_connections: 100,
        }
    }
}
