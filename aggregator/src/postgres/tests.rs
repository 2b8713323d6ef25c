//! Against the installed Postgres, as root and as an ordinary user alike.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use sqlx::{Connection, PgConnection};
use tempfile::TempDir;

use super::account::{Account, is_root};
use super::binaries::{self, parse_version};
use super::pid_file::{Holder, PidFile, holder};
use super::{EmbeddedConfig, EmbeddedPostgres, PostgresError, socket};

/// A directory that an unprivileged account may enter.
fn open_dir() -> TempDir {
    tempfile::Builder::new()
        .prefix("dawn-test-")
        .permissions(std::fs::Permissions::from_mode(0o755))
        .tempdir()
        .unwrap()
}

fn config(dir: &Path) -> EmbeddedConfig {
    EmbeddedConfig {
        durable: false,
        ..EmbeddedConfig::new(dir.join("postgres"))
    }
}

async fn number(url: &str, sql: &'static str) -> i64 {
    let mut connection = PgConnection::connect(url).await.unwrap();
    let number = sqlx::query_scalar(sql)
        .fetch_one(&mut connection)
        .await
        .unwrap();
    connection.close().await.unwrap();
    number
}

async fn execute(url: &str, sql: &'static str) {
    let mut connection = PgConnection::connect(url).await.unwrap();
    sqlx::query(sql).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

fn alive(pid: i32, cluster: &Path) -> bool {
    holder(pid, cluster) == Holder::Ours
}

#[tokio::test]
async fn starts_serves_stops_and_keeps_what_was_committed() {
    let dir = open_dir();
    let config = EmbeddedConfig::new(dir.path().join("made/when/missing"));
    let cluster = config.data_dir.join("cluster");
    let mut server = EmbeddedPostgres::start(&config).await.unwrap();
    let (url, pid) = (server.url().to_owned(), server.pid());
    assert!(server.is_running());
    assert_eq!(number(&url, "SELECT 41::bigint + 1").await, 42);
    execute(&url, "CREATE TABLE kept (n bigint)").await;
    execute(&url, "INSERT INTO kept VALUES (7)").await;

    let mut connection = PgConnection::connect(&url).await.unwrap();
    let (encoding, fsync, addresses): (String, String, String) = sqlx::query_as(
        "SELECT current_setting('server_encoding'), current_setting('fsync'), current_setting('listen_addresses')",
    )
    .fetch_one(&mut connection)
    .await
    .unwrap();
    assert_eq!(
        (encoding.as_str(), fsync.as_str(), addresses.as_str()),
        ("UTF8", "on", "")
    );
    drop(connection);

    // The socket is in a directory that only its owner may enter, and no process of ours is root's.
    let socket_dir = PidFile::read(&cluster)
        .unwrap()
        .unwrap()
        .socket_dir
        .unwrap();
    assert_eq!(
        std::fs::metadata(&socket_dir).unwrap().mode() & 0o777,
        0o700
    );
    assert_ne!(std::fs::metadata(&cluster).unwrap().uid(), 0);

    server.stop().await.unwrap();
    assert!(!alive(pid, &cluster) && !socket_dir.exists());
    assert!(PgConnection::connect(&url).await.is_err());

    let again = EmbeddedPostgres::start(&config).await.unwrap();
    assert_eq!(number(again.url(), "SELECT n FROM kept").await, 7);
    let pid = again.pid();
    drop(again);
    assert!(!alive(pid, &cluster));
}

#[tokio::test]
async fn second_supervisor_is_refused_and_an_orphan_adopted() {
    let dir = open_dir();
    let config = config(dir.path());
    let cluster = config.data_dir.join("cluster");
    let first = EmbeddedPostgres::start(&config).await.unwrap();
    let pid = first.pid();
    assert!(matches!(
        EmbeddedPostgres::start(&config).await,
        Err(PostgresError::InUse { .. })
    ));
    execute(first.url(), "CREATE TABLE kept (n bigint)").await;
    first.leave_running();
    assert!(alive(pid, &cluster));

    let second = EmbeddedPostgres::start(&config).await.unwrap();
    assert_eq!(second.pid(), pid);
    assert_eq!(number(second.url(), "SELECT count(*) FROM kept").await, 0);
    second.stop().await.unwrap();
    assert!(!alive(pid, &cluster));
}

/// The other half of the next test: supervises until it is killed.
#[tokio::test]
#[ignore = "run by orphan_of_a_killed_supervisor_is_adopted in a process of its own"]
async fn supervise_until_killed() {
    let Ok(dir) = std::env::var("DAWN_TEST_SUPERVISE") else {
        return;
    };
    let server = EmbeddedPostgres::start(&config(Path::new(&dir)))
        .await
        .unwrap();
    std::fs::write(Path::new(&dir).join("up"), server.pid().to_string()).unwrap();
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn orphan_of_a_killed_supervisor_is_adopted() {
    let dir = open_dir();
    let mut supervisor = Command::new(std::env::current_exe().unwrap())
        .args([
            "--ignored",
            "--exact",
            "postgres::tests::supervise_until_killed",
        ])
        .env("DAWN_TEST_SUPERVISE", dir.path())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let up = dir.path().join("up");
    let deadline = Instant::now() + Duration::from_secs(60);
    let pid: i32 = loop {
        match std::fs::read_to_string(&up).map(|text| text.parse()) {
            Ok(Ok(pid)) => break pid,
            _ => assert!(Instant::now() < deadline, "the supervisor did not come up"),
        }
        assert!(supervisor.try_wait().unwrap().is_none());
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    supervisor.kill().unwrap(); // SIGKILL
    supervisor.wait().unwrap();

    let config = config(dir.path());
    let adopted = EmbeddedPostgres::start(&config).await.unwrap();
    assert_eq!(adopted.pid(), pid);
    assert_eq!(number(adopted.url(), "SELECT 1::bigint").await, 1);
    drop(adopted);
    assert!(!alive(pid, &config.data_dir.join("cluster")));
}

#[tokio::test]
async fn killed_postmaster_and_reused_pid_do_not_prevent_a_start() {
    let dir = open_dir();
    let config = config(dir.path());
    let cluster = config.data_dir.join("cluster");
    let pid_path = cluster.join("postmaster.pid");
    let mut server = EmbeddedPostgres::start(&config).await.unwrap();
    execute(server.url(), "CREATE TABLE kept (n bigint)").await;
    execute(server.url(), "CHECKPOINT").await;
    let killed = server.pid();
    let pid = rustix::process::Pid::from_raw(killed).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    while server.is_running() {
        assert!(Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    drop(server);

    // The stale file is still there; its number now belongs to this very process.
    let text = std::fs::read_to_string(&pid_path).unwrap();
    assert_eq!(PidFile::parse(&text).unwrap().pid, killed);
    let (_, rest) = text.split_once('\n').unwrap();
    let reused = format!("{}\n{rest}", std::process::id());
    std::fs::write(&pid_path, reused).unwrap();
    let own = i32::try_from(std::process::id()).unwrap();
    assert_eq!(holder(own, &cluster), Holder::Unrelated);

    let server = EmbeddedPostgres::start(&config).await.unwrap();
    assert_ne!(server.pid(), killed);
    assert_eq!(number(server.url(), "SELECT count(*) FROM kept").await, 0);
    server.stop().await.unwrap();
}

#[tokio::test]
async fn postgres_that_somebody_else_started_is_left_alone() {
    let dir = open_dir();
    let config = config(dir.path());
    let cluster = config.data_dir.join("cluster");
    EmbeddedPostgres::start(&config)
        .await
        .unwrap()
        .stop()
        .await
        .unwrap();
    // A second cluster's postmaster, named in the first one's pid file.
    let other = EmbeddedPostgres::ephemeral().await.unwrap();
    std::fs::write(cluster.join("postmaster.pid"), format!("{}\n", other.pid())).unwrap();
    let refused = EmbeddedPostgres::start(&config).await;
    assert!(
        matches!(refused, Err(PostgresError::StartedElsewhere { pid, .. }) if pid == other.pid())
    );
    assert_eq!(number(other.url(), "SELECT 1::bigint").await, 1);
}

#[tokio::test]
async fn ephemeral_leaves_nothing_behind() {
    let server = EmbeddedPostgres::ephemeral().await.unwrap();
    assert_eq!(number(server.url(), "SELECT 1::bigint").await, 1);
    let data = server.temporary_dir().unwrap().to_path_buf();
    assert!(data.join("cluster").exists());
    drop(server);
    assert!(!data.exists());
}

#[tokio::test]
async fn missing_and_old_postgres_name_the_command() {
    let dir = open_dir();
    let mut config = config(dir.path());
    config.bin_dirs = Some(vec![dir.path().to_path_buf()]);
    let error = EmbeddedPostgres::start(&config).await.unwrap_err();
    let text = error.to_string();
    assert!(
        matches!(error, PostgresError::NotInstalled { .. }),
        "{text}"
    );
    assert!(text.contains("install"), "{text}");

    let old = dir.path().join("old");
    std::fs::create_dir(&old).unwrap();
    for program in ["initdb", "postgres"] {
        let path = old.join(program);
        std::fs::write(
            &path,
            format!("#!/bin/sh\necho '{program} (PostgreSQL) 12.4'\n"),
        )
        .unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    let error = binaries::find(Some(std::slice::from_ref(&old)), None).unwrap_err();
    assert!(error.to_string().contains("only 12"), "{error}");
}

#[tokio::test]
async fn cluster_of_another_version_is_not_opened() {
    let dir = open_dir();
    let config = config(dir.path());
    EmbeddedPostgres::start(&config)
        .await
        .unwrap()
        .stop()
        .await
        .unwrap();
    std::fs::write(config.data_dir.join("cluster/PG_VERSION"), "99\n").unwrap();
    assert!(matches!(
        EmbeddedPostgres::start(&config).await,
        Err(PostgresError::OtherVersion { cluster: 99, .. })
    ));
}

#[test]
fn usual_places_suffice_without_path() {
    let usual = Path::new("/usr/lib/postgresql");
    let Ok(entries) = std::fs::read_dir(usual) else {
        return; // not a Debian: nothing to compare with
    };
    let dirs: Vec<PathBuf> = entries.flatten().map(|e| e.path().join("bin")).collect();
    if let Ok(found) = binaries::find(Some(&dirs), None) {
        assert!(found.major >= binaries::OLDEST && found.postgres.starts_with(usual));
    }
}

#[test]
fn versions_are_parsed() {
    let parse = |version: &str| parse_version(&format!("initdb (PostgreSQL) {version}\n"));
    assert_eq!(parse("15.13 (Debian 15.13-0+deb12u1)"), Some(15));
    assert_eq!(parse("17beta1"), Some(17));
    assert_eq!(parse("9.6.24"), Some(9));
    assert_eq!(parse("devel"), None);
    assert_eq!(parse_version("GNU bash 5.2"), None);
}

#[tokio::test]
async fn too_long_socket_path_is_refused_before_anything_starts() {
    let dir = open_dir();
    let mut config = config(dir.path());
    config.socket_dir = Some(dir.path().join("s".repeat(100)));
    let error = EmbeddedPostgres::start(&config).await.unwrap_err();
    assert!(
        matches!(error, PostgresError::SocketPathTooLong { .. }),
        "{error}"
    );
    assert!(!config.data_dir.join("cluster").exists());
}

#[tokio::test]
async fn socket_directory_of_ones_own_choice() {
    let dir = open_dir();
    let mut config = config(dir.path());
    let chosen = dir.path().join("a, \"b\" 100%");
    config.socket_dir = Some(chosen.clone());
    let server = EmbeddedPostgres::start(&config).await.unwrap();
    assert_eq!(number(server.url(), "SELECT 1::bigint").await, 1);
    assert!(chosen.join(".s.PGSQL.5432").exists());
    server.stop().await.unwrap();
    assert!(!chosen.exists());

    std::fs::create_dir(&chosen).unwrap();
    std::fs::set_permissions(&chosen, std::fs::Permissions::from_mode(0o777)).unwrap();
    let error = EmbeddedPostgres::start(&config).await.unwrap_err();
    assert!(
        matches!(error, PostgresError::SocketDirNotPrivate { .. }),
        "{error}"
    );
}

#[tokio::test]
async fn closed_parent_is_named_when_root() {
    if !is_root() {
        return; // an ordinary user runs Postgres itself and reaches what it reaches
    }
    let dir = open_dir();
    let closed = dir.path().join("closed");
    std::fs::create_dir(&closed).unwrap();
    std::fs::set_permissions(&closed, std::fs::Permissions::from_mode(0o700)).unwrap();
    let error = EmbeddedPostgres::start(&config(&closed)).await.unwrap_err();
    let PostgresError::NotTraversable { dir: named, .. } = &error else {
        panic!("{error}");
    };
    assert_eq!(named, &closed.canonicalize().unwrap());
    assert!(error.to_string().contains("chmod o+x"), "{error}");
    // The directory that is given may itself be closed: it is made searchable for the account.
    let mut own = config(dir.path());
    own.data_dir = closed;
    EmbeddedPostgres::start(&own)
        .await
        .unwrap()
        .stop()
        .await
        .unwrap();
}

#[test]
fn accounts_come_from_the_user_list() {
    let users =
        "root:x:0:0::/root:/bin/sh\nnobody:x:65534:65533::/:/bin/false\nevil:x:0:0::/:/bin/sh\n";
    assert_eq!(Account::from_passwd(users, "postgres"), None);
    let nobody = Account::from_passwd(users, "nobody").unwrap();
    assert_eq!((nobody.uid, nobody.gid), (65534, 65533));
    assert_eq!(
        Account::from_passwd(users, "evil"),
        None,
        "root under another name"
    );
}

#[test]
fn pid_files_are_parsed_with_suspicion() {
    let text = "123\n/data\n1700000000\n5432\n/tmp/s\n\n  5432001  6\nready   \n";
    let file = PidFile::parse(text).unwrap();
    assert_eq!((file.pid, file.ready), (123, true));
    assert_eq!(file.socket_dir.as_deref(), Some(Path::new("/tmp/s")));
    assert!(
        !PidFile::parse("123\n/data\n1\n5432\n/tmp/s\n\n1\nstarting\n")
            .unwrap()
            .ready
    );
    for nonsense in ["", "\n", "-5\n", "0\n", "1\n", "x\n", "99999999999\n"] {
        assert_eq!(PidFile::parse(nonsense), None, "{nonsense:?}");
    }
}

#[test]
fn url_survives_odd_directories() {
    let url = socket::url(Path::new("/tmp/a b?c&d#e%"), "dawn");
    let options: sqlx::postgres::PgConnectOptions = url.parse().unwrap();
    assert_eq!(options.get_socket().unwrap(), Path::new("/tmp/a b?c&d#e%"));
    assert_eq!(
        (options.get_database(), options.get_port()),
        (Some("dawn"), 5432)
    );
}
