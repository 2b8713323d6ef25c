//! The server's command line.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Stdio};

use super::account::Account;
use super::binaries::Binaries;
use super::cluster::DataDir;
use super::config::EmbeddedConfig;
use super::error::{PostgresError, io};
use super::socket;

/// Starts `postgres` on an existing cluster.
pub(super) fn spawn(
    config: &EmbeddedConfig,
    dir: &DataDir,
    account: &Account,
    binaries: &Binaries,
    socket_dir: &Path,
) -> Result<Child, PostgresError> {
    let log = dir.open_log()?;
    let also_log = log.try_clone().map_err(io("open", &dir.log_path()))?;
    let mut command = account.command(&binaries.postgres);
    // `-D` comes first: it is how a later supervisor recognises the process (pid_file::holder).
    command.arg("-D").arg(dir.cluster());
    for (name, value) in settings(config, socket_dir) {
        command.arg("-c").arg(format!("{name}={value}"));
    }
    command.stdin(Stdio::null()).stdout(also_log).stderr(log);
    if config.durable {
        // Ctrl-C in a terminal goes to the supervisor's process group; it decides when to stop Postgres. A
        // test's Postgres stays in the group, so that it ends with a test run that is broken off.
        command.process_group(0);
    }
    command.spawn().map_err(io(
        "run (as an unprivileged user, when root)",
        &binaries.postgres,
    ))
}

/// Given on the command line, so that a newer version of this program is not bound by what an older one
/// wrote into the cluster. Anything else may be set in the cluster's `postgresql.conf`.
fn settings(config: &EmbeddedConfig, socket_dir: &Path) -> Vec<(&'static str, String)> {
    let fixed = [
        ("listen_addresses", ""),
        ("unix_socket_permissions", "0700"),
        ("logging_collector", "off"),
        ("log_destination", "stderr"),
        ("log_timezone", "UTC"),
        ("timezone", "UTC"),
        // Short statements only: compiling and parallel workers (which need /dev/shm) never pay.
        ("jit", "off"),
        ("max_parallel_workers_per_gather", "0"),
        ("shared_buffers", "64MB"),
    ];
    let careless = [
        ("fsync", "off"),
        ("synchronous_commit", "off"),
        ("full_page_writes", "off"),
        ("wal_level", "minimal"),
        ("max_wal_senders", "0"),
    ];
    let mut all: Vec<(&'static str, String)> = vec![
        ("port", socket::PORT.to_string()),
        ("unix_socket_directories", socket::setting(socket_dir)),
        ("max_connections", config.max_connections.to_string()),
    ];
    let careless = careless.iter().filter(|_| !config.durable);
    all.extend(
        fixed
            .iter()
            .chain(careless)
            .map(|(name, value)| (*name, (*value).to_owned())),
    );
    all
}
