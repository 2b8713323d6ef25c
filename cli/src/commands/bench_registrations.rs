//! `dawn bench registrations`: a crowd of strangers registers, each with keys of its own and signatures that verify. How many of
//! them are taken, what that leaves in the database, and how much memory the server takes for it.

use std::collections::BTreeMap;
use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Args;
use dawn_aggregator::Config;
use dawn_aggregator::metrics::Metrics;
use dawn_aggregator::postgres::{EmbeddedConfig, EmbeddedPostgres};
use dawn_aggregator::store::Store;
use dawn_identity::http_signature::{Parameters, Purpose, RequestParts, sign};
use dawn_identity::{
    Admission, Digest, Federation, FoundingDocument, OrgId, OrgRegistration, Organisation,
    SecretKey, Signed, Validity,
};
use dawn_transport::Api;
use rand_core::UnwrapErr;
use serde::Serialize;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

use crate::files;

const CBOR: &str = "application/cbor";
/// Longest answer that is read.
const MAX_ANSWER_BYTES: usize = 64 << 10;

#[derive(Args)]
pub struct Options {
    /// Registrations to send.
    #[arg(long, default_value_t = 1_000_000)]
    count: u64,
    /// Stops after so many seconds, however many were sent.
    #[arg(long, default_value_t = 600)]
    seconds: u64,
    /// Connections.
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u64).range(1..=256))]
    connections: u64,
    /// Where founders let in, by so many of them; else whoever registers is in.
    #[arg(long)]
    approvals: Option<u16>,
    /// Registrations of strangers that the server takes in a minute; its default when absent.
    #[arg(long)]
    strangers_per_minute: Option<u32>,
    /// One line of JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Measured {
    sent: u64,
    /// By status of the answer.
    answers: BTreeMap<u16, u64>,
    seconds: f64,
    per_second: f64,
    strangers_per_minute: u32,
    approvals: u16,
    /// Rows of the tables that have grown, and by how many.
    rows_written: BTreeMap<String, u64>,
    register_entries_written: u64,
    server_kib_before: u64,
    server_kib_most: u64,
    database_bytes_written: i64,
}

/// The server's process; it ends with this.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Server {
    /// A figure of its memory, in KiB.
    fn memory(&self, name: &str) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let figure = line.and_then(|line| line.trim_start_matches(':').split_whitespace().next());
        Ok(figure
            .context("the system tells no memory of processes")?
            .parse()?)
    }
}

async fn start(dir: &Path, config: &Config) -> Result<(Server, Api)> {
    let file = dir.join("aggregator.toml");
    fs::write(&file, toml::to_string(config)?)?;
    let child = Command::new(std::env::current_exe()?)
        .args(["aggregator", "run", "--config"])
        .arg(&file)
        .env_remove("DATABASE_URL")
        .env_remove(dawn_identity::key_file::PASSPHRASE_FILE)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let server = Server(child);
    let api = Api::new(&format!("http://{}", config.listen))?;
    for _ in 0..300 {
        let asked = tokio::time::timeout(Duration::from_secs(2), api.aggregator()).await;
        if matches!(asked, Ok(Ok(_))) {
            return Ok((server, api));
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    bail!("the server is not ready after a minute");
}

/// Founds a federation of one; gives its digest.
async fn found(api: &Api, approvals: Option<u16>) -> Result<Digest> {
    let info = api.aggregator().await?;
    let validity = Validity::starting(files::now() - 60, 86_400);
    let rng = &mut UnwrapErr(getrandom::SysRng);
    let founder = Organisation::generate("Founder", validity, rng)?;
    let federation = Federation {
        name: "Measured".to_owned(),
        founders: vec![founder.founder_entry()],
        aggregator: info.aggregator_key,
        log: info.log_key,
        admission: approvals.map_or(Admission::Open, |k| Admission::Approval { k }),
        roster_quorum: 1,
        created: files::now(),
    };
    let document = FoundingDocument::found(federation, &[&founder])?;
    api.post_federation(&document, founder.root()).await?;
    let digest = document.digest();
    api.register_org(&founder.register(&digest, files::now())?, founder.root())
        .await?;
    Ok(digest)
}

/// A stranger's root key and registration. The issuer's key is the same for all: making it would only slow the crowd down.
fn stranger(
    federation: &Digest,
    issuer: &SecretKey,
) -> Result<(SecretKey, Signed<OrgRegistration>)> {
    let root = SecretKey::generate(&mut UnwrapErr(getrandom::SysRng));
    let validity = Validity::starting(files::now() - 60, 86_400);
    let org = OrgId::of(&root.public());
    let registration = OrgRegistration {
        name: format!("stranger {org}").chars().take(32).collect(),
        root: root.public(),
        issuer: Organisation::certify(&org, &root, &issuer.public(), validity, 1)?,
        federation: *federation,
        created: files::now(),
    };
    let signed = Signed::sign(&registration, &root)?;
    Ok((root, signed))
}

/// One connection, that stays open as long as the server lets it.
struct Connection {
    to: SocketAddr,
    stream: Option<BufReader<TcpStream>>,
}

impl Connection {
    /// Sends a request; gives status and body.
    async fn ask(&mut self, head: &str, body: &[u8]) -> Result<(u16, Vec<u8>)> {
        for attempt in 0..3 {
            let mut stream = match self.stream.take() {
                Some(stream) => stream,
                None => BufReader::new(TcpStream::connect(self.to).await?),
            };
            let exchange =
                tokio::time::timeout(Duration::from_secs(60), exchange(&mut stream, head, body));
            match exchange.await? {
                Ok((status, answer, stays)) => {
                    self.stream = stays.then_some(stream);
                    return Ok((status, answer));
                }
                Err(error) if attempt == 2 => return Err(error),
                Err(_) => {}
            }
        }
        bail!("no answer")
    }

    async fn nonce(&mut self) -> Result<String> {
        let head = format!("GET /v1/nonce HTTP/1.1\r\nhost: {}\r\n\r\n", self.to);
        let (_, body) = self.ask(&head, b"").await?;
        let info: serde_json::Value = serde_json::from_slice(&body)?;
        let nonce = info["nonce"]
            .as_str()
            .context("the server gives no nonce")?;
        Ok(nonce.to_owned())
    }

    async fn register(
        &mut self,
        nonce: &str,
        root: &SecretKey,
        registration: &Signed<OrgRegistration>,
    ) -> Result<u16> {
        let authority = self.to.to_string();
        let parts = RequestParts {
            method: "POST",
            scheme: "http",
            authority: &authority,
            path: "/v1/orgs",
            query: None,
            headers: &[],
        };
        let parameters = Parameters {
            tag: Purpose::Register.tag(),
            nonce,
            created: files::now(),
            expires: files::now() + 240,
        };
        let body = registration.bytes();
        let signed = sign(&parts, CBOR, body, &parameters, root)?;
        let head = format!(
            "POST /v1/orgs HTTP/1.1\r\nhost: {authority}\r\ncontent-type: {CBOR}\r\ncontent-length: {}\r\ncontent-digest: {}\r\nsignature-input: {}\r\nsignature: {}\r\n\r\n",
            body.len(),
            signed.content_digest,
            signed.signature_input,
            signed.signature,
        );
        Ok(self.ask(&head, body).await?.0)
    }
}

async fn exchange(
    stream: &mut BufReader<TcpStream>,
    head: &str,
    body: &[u8],
) -> Result<(u16, Vec<u8>, bool)> {
    let mut request = head.as_bytes().to_vec();
    request.extend_from_slice(body);
    stream.get_mut().write_all(&request).await?;
    let (mut status, mut length, mut stays, mut line) = (0, 0, true, String::new());
    loop {
        line.clear();
        if stream.read_line(&mut line).await? == 0 {
            bail!("the server has closed the connection");
        }
        let text = line.trim_end().to_ascii_lowercase();
        if text.is_empty() {
            break;
        }
        if let Some(rest) = text.strip_prefix("http/1.1 ") {
            status = rest.split(' ').next().unwrap_or_default().parse()?;
        } else if let Some(rest) = text.strip_prefix("content-length:") {
            length = rest.trim().parse::<usize>()?;
        } else if text == "connection: close" {
            stays = false;
        }
    }
    if length > MAX_ANSWER_BYTES {
        bail!("an answer of {length} bytes");
    }
    let mut answer = vec![0; length];
    stream.read_exact(&mut answer).await?;
    Ok((status, answer, stays))
}

/// What all connections share.
struct Crowd {
    to: SocketAddr,
    federation: Digest,
    issuer: SecretKey,
    sent: AtomicU64,
    count: u64,
    until: Instant,
}

/// Sends until there are enough, or the time is over; gives the answers by status. A nonce is good until it was taken.
async fn send(crowd: Arc<Crowd>) -> Result<BTreeMap<u16, u64>> {
    let mut connection = Connection {
        to: crowd.to,
        stream: None,
    };
    let mut answers = BTreeMap::new();
    let mut nonce = (connection.nonce().await?, Instant::now());
    while Instant::now() < crowd.until && crowd.sent.fetch_add(1, Ordering::Relaxed) < crowd.count {
        if nonce.1.elapsed() > Duration::from_secs(200) {
            nonce = (connection.nonce().await?, Instant::now());
        }
        let (root, registration) = stranger(&crowd.federation, &crowd.issuer)?;
        let status = connection.register(&nonce.0, &root, &registration).await?;
        *answers.entry(status).or_insert(0) += 1;
        if status != 429 {
            nonce = (connection.nonce().await?, Instant::now());
        }
    }
    Ok(answers)
}

async fn measure(options: &Options) -> Result<Measured> {
    let dir = tempfile::Builder::new().prefix("dawn-crowd-").tempdir()?;
    // As root, Postgres runs as another user, who must be able to pass through this folder.
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o711))?;
    let database =
        EmbeddedPostgres::start(&EmbeddedConfig::new(dir.path().join("postgres"))).await?;
    let mut config = Config::new(dir.path().join("data"));
    config.listen = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    config.database_url = Some(database.url().to_owned());
    if let Some(most) = options.strangers_per_minute {
        config.limits.strangers_per_minute = most;
    }
    let (server, api) = start(dir.path(), &config).await?;
    let federation = found(&api, options.approvals).await?;
    let store = Store::connect(database.url(), true, 2, Arc::new(Metrics::default())).await?;
    let before: BTreeMap<_, _> = store.rows().await?.into_iter().collect();
    let bytes_before = store.bytes().await?;
    let server_kib_before = server.memory("VmRSS")?;
    let began = Instant::now();
    let crowd = Arc::new(Crowd {
        to: config.listen,
        federation,
        issuer: SecretKey::generate(&mut UnwrapErr(getrandom::SysRng)),
        sent: AtomicU64::new(0),
        count: options.count,
        until: began + Duration::from_secs(options.seconds),
    });
    let tasks: Vec<_> = (0..options.connections)
        .map(|_| tokio::spawn(send(Arc::clone(&crowd))))
        .collect();
    let mut answers = BTreeMap::new();
    for task in tasks {
        for (status, count) in task.await?? {
            *answers.entry(status).or_insert(0) += count;
        }
    }
    let seconds = began.elapsed().as_secs_f64();
    let sent: u64 = answers.values().sum();
    let server_kib_most = server.memory("VmHWM")?;
    let after = store.rows().await?;
    let grown = after.into_iter().filter_map(|(table, rows)| {
        let more = rows.saturating_sub(before.get(&table).copied().unwrap_or(0));
        (more > 0).then_some((table, more))
    });
    let rows_written: BTreeMap<_, _> = grown.collect();
    Ok(Measured {
        sent,
        answers,
        seconds,
        per_second: sent as f64 / seconds,
        strangers_per_minute: config.limits.strangers_per_minute,
        approvals: options.approvals.unwrap_or(0),
        register_entries_written: rows_written.get("register").copied().unwrap_or(0),
        rows_written,
        server_kib_before,
        server_kib_most,
        database_bytes_written: store.bytes().await? - bytes_before,
    })
}

/// Measures against a server of its own with a Postgres of its own, on the loopback interface.
pub async fn run(options: Options) -> Result<ExitCode> {
    let measured = measure(&options).await?;
    if options.json {
        println!("{}", serde_json::to_string(&measured)?);
        return Ok(ExitCode::SUCCESS);
    }
    println!(
        "{} registrations sent in {:.1} s, {:.0} a second; the server takes {} of strangers in a minute",
        measured.sent, measured.seconds, measured.per_second, measured.strangers_per_minute
    );
    for (status, count) in &measured.answers {
        println!("  answered {status}                   {count:>12}");
    }
    for (table, rows) in &measured.rows_written {
        println!("  rows more in {table:<18} {rows:>12}");
    }
    let (before, most) = (measured.server_kib_before, measured.server_kib_most);
    println!("  server's memory, KiB           {before:>12} before, {most} at most");
    let bytes = measured.database_bytes_written;
    println!("  bytes more of the database     {bytes:>12}");
    Ok(ExitCode::SUCCESS)
}
