//! Everything that an operator may choose, with defaults that run on one machine.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use dawn_crypto::digest::Digest;
use serde::{Deserialize, Serialize};

/// The configuration file of `dawn aggregator run`, in TOML. Unknown keys are refused.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where to listen; port 0 takes a free one.
    #[serde(default = "default_listen")]
    pub listen: SocketAddr,
    /// Keys, objects and the embedded Postgres live below this directory.
    pub data_dir: PathBuf,
    /// The database; absent means the embedded Postgres in `data_dir`.
    #[serde(default)]
    pub database_url: Option<String>,
    /// The one founding document that this aggregator accepts, by digest. Absent: the first one that names
    /// this aggregator's keys.
    #[serde(default)]
    pub federation: Option<Digest>,
    /// The address that clients call, `https://host[:port]`: what signatures of requests cover. Absent: `http://` and the host
    /// header, which is right without a proxy that ends TLS.
    #[serde(default)]
    pub public_url: Option<String>,
    /// Whether an acknowledged write survives a power failure. Only tests and demos switch it off; a killed
    /// process loses nothing either way.
    #[serde(default = "yes")]
    pub durable: bool,
    /// Whether this replica works on rounds; one that does not only serves HTTP.
    #[serde(default = "yes")]
    pub worker: bool,
    /// Bounds on time, size and number.
    #[serde(default)]
    pub limits: Limits,
}

/// Without the address of the database, which may have a password in it.
impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = self.database_url.as_ref().map(|_| "(redacted)");
        f.debug_struct("Config")
            .field("listen", &self.listen)
            .field("data_dir", &self.data_dir)
            .field("database_url", &url)
            .field("federation", &self.federation)
            .field("public_url", &self.public_url)
            .field("durable", &self.durable)
            .field("worker", &self.worker)
            .field("limits", &self.limits)
            .finish()
    }
}

/// Bounds that protect the server; none of them is part of the protocol.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Open connections at a time.
    pub connections: usize,
    /// Uploads of submissions at a time; each holds at most one part of a payload in memory.
    pub uploads: usize,
    /// Of these, uploads of one device in one round: one, and one that is sent again while the server still
    /// waits for the one before.
    pub uploads_per_device: usize,
    /// Milliseconds until the head of a request must be there.
    pub head_timeout_ms: u64,
    /// Milliseconds between two pieces of a body.
    pub idle_timeout_ms: u64,
    /// Milliseconds for a whole body.
    pub body_timeout_ms: u64,
    /// Bytes of a body that must arrive in every second, on average, once `idle_timeout_ms` is over.
    pub body_bytes_per_second: u64,
    /// Milliseconds that a client may take none of an answer's bytes.
    pub write_timeout_ms: u64,
    /// Connections to the database.
    pub database_connections: u32,
    /// Milliseconds that a worker's lease lasts; a killed worker's job waits this long.
    pub lease_ms: u64,
    /// Milliseconds between two looks at the database when nothing in this process changed.
    pub poll_ms: u64,
    /// Seconds that an object without a row is kept: longer than any upload.
    pub orphan_age_s: u64,
    /// Seconds between two sweeps for such objects.
    pub sweep_every_s: u64,
    /// Tasks that have not ended, of one organisation.
    pub open_tasks_per_org: u32,
    /// Organisations that did not found the federation; a transcript has room for 4096.
    pub orgs: u32,
    /// Signed requests of one key in a minute.
    pub requests_per_key_per_minute: u32,
    /// Registrations in a minute of all organisations together that are not members yet.
    pub strangers_per_minute: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 4096,
            uploads: 64,
            uploads_per_device: 2,
            head_timeout_ms: 10_000,
            idle_timeout_ms: 10_000,
            body_timeout_ms: 120_000,
            body_bytes_per_second: 4096,
            write_timeout_ms: 30_000,
            database_connections: 16,
            lease_ms: 10_000,
            poll_ms: 200,
            orphan_age_s: 3_600,
            sweep_every_s: 600,
            open_tasks_per_org: 64,
            orgs: 4096,
            requests_per_key_per_minute: 600,
            strangers_per_minute: 120,
        }
    }
}

impl Limits {
    pub(crate) fn lease(&self) -> Duration {
        Duration::from_millis(self.lease_ms)
    }

    pub(crate) fn poll(&self) -> Duration {
        Duration::from_millis(self.poll_ms.max(1))
    }
}

fn default_listen() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 8080))
}

fn yes() -> bool {
    true
}

impl Config {
    /// The defaults with everything below `data_dir`, on a free port of the loopback interface.
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            data_dir: data_dir.into(),
            database_url: None,
            federation: None,
            public_url: None,
            durable: true,
            worker: true,
            limits: Limits::default(),
        }
    }

    /// Reads a TOML text.
    ///
    /// # Errors
    /// Whatever `toml` says, unknown keys included.
    pub fn from_toml(text: &str) -> Result<Self, toml::de::Error> {
        toml::from_str(text)
    }

    /// Scheme and authority of the public address; `None` when there is none, or it is not of the form
    /// `http(s)://host[:port]`.
    pub fn public_address(&self) -> Option<(&str, &str)> {
        let (scheme, rest) = self.public_url.as_deref()?.split_once("://")?;
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        let plain = !authority.is_empty() && !authority.contains(['/', '?', '#', '@', ' ']);
        (plain && matches!(scheme, "http" | "https")).then_some((scheme, authority))
    }

    /// Where `aggregator.pem` and `log.pem` are.
    pub fn keys_dir(&self) -> PathBuf {
        self.data_dir.join("keys")
    }

    /// Where payloads, packages, models and transcripts are.
    pub fn objects_dir(&self) -> PathBuf {
        self.data_dir.join("objects")
    }

    /// Where the embedded Postgres lives when there is no `database_url`.
    pub fn postgres_dir(&self) -> PathBuf {
        self.data_dir.join("postgres")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_file_has_defaults() {
        let config = Config::from_toml("data_dir = '/var/lib/dawn'").expect("parses");
        assert_eq!(config.listen, default_listen());
        assert!(config.durable && config.worker);
        assert_eq!(config.limits.lease_ms, 10_000);
    }

    #[test]
    fn an_unknown_key_is_refused() {
        assert!(Config::from_toml("data_dir = '/x'\ndurabel = false").is_err());
        assert!(Config::from_toml("data_dir = '/x'\n[limits]\nleases = 1").is_err());
    }

    #[test]
    fn the_password_of_the_database_is_not_printed() {
        let mut config = Config::new("/x");
        config.database_url = Some("postgres://dawn:s3cret@db.example/dawn".to_owned());
        let shown = format!("{config:?} {config:#?}");
        assert!(!shown.contains("s3cret") && !shown.contains("db.example"));
        assert!(shown.contains("(redacted)") && shown.contains("lease_ms"));
    }

    #[test]
    fn what_is_written_is_read() {
        let config = Config::new("/x");
        let text = toml::to_string(&config).expect("serialises");
        let again = Config::from_toml(&text).expect("parses");
        assert_eq!(format!("{config:?}"), format!("{again:?}"));
    }
}
