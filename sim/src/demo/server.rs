//! The stage: the aggregator and the stewards as processes, in a temporary folder.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use dawn_aggregator::Config;
use dawn_steward::{StewardConfig, vrf_key};
use dawn_transport::Api;
use tempfile::TempDir;

use super::federation::{Founded, write_key};
use super::processes::Process;

/// How long the server may take to be ready: it makes a database cluster first.
const READY_WITHIN: Duration = Duration::from_secs(90);

const AGGREGATOR_CONFIG: &str = "aggregator.toml";
const STEWARD_CONFIG: &str = "steward.toml";

/// Server and stewards. Everything stops when it goes out of scope.
pub struct Stage {
    api: Api,
    url: String,
    // Before the folder: processes stop before their files go.
    stewards: Vec<Option<Process>>,
    aggregator: Option<Process>,
    folder: TempDir,
    logs: PathBuf,
    binary: PathBuf,
    killed: u32,
}

impl Stage {
    /// Starts the aggregator on a free port of the loopback interface, with its own private
    /// Postgres, and waits until it is ready. `binary` is `dawn`; logs go to `logs`.
    pub async fn open(binary: &Path, logs: &Path) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("dawn-").tempdir()?;
        // As root, Postgres runs as another user, who must be able to pass through this folder.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o711))?;
        let listen = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let config = Config {
            listen,
            // What is here is gone with its temporary folder: no need to wait for the disk.
            durable: false,
            ..Config::new(folder.path().join("aggregator"))
        };
        fs::write(
            folder.path().join(AGGREGATOR_CONFIG),
            toml::to_string(&config)?,
        )?;
        let url = format!("http://{listen}");
        let mut stage = Self {
            api: Api::new(&url)?,
            url,
            stewards: Vec::new(),
            aggregator: None,
            folder,
            logs: logs.into(),
            binary: binary.into(),
            killed: 0,
        };
        stage.start_aggregator().await?;
        Ok(stage)
    }

    /// Starts the aggregator, for the first time or after it was killed, and waits until it answers.
    pub async fn start_aggregator(&mut self) -> Result<()> {
        let config = self.folder.path().join(AGGREGATOR_CONFIG);
        let log = self.logs.join("aggregator.log");
        let mut process = Process::spawn(
            "the aggregator",
            &self.binary,
            &[
                "aggregator",
                "run",
                "--config",
                &config.display().to_string(),
            ],
            &log,
        )?;
        let begun = Instant::now();
        loop {
            process.check_alive()?;
            let asked = tokio::time::timeout(Duration::from_secs(2), self.api.aggregator()).await;
            if matches!(asked, Ok(Ok(_))) {
                self.aggregator = Some(process);
                return Ok(());
            }
            if begun.elapsed() > READY_WITHIN {
                bail!(
                    "the aggregator was not ready within {} s",
                    READY_WITHIN.as_secs()
                );
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// Kills the aggregator with SIGKILL.
    pub fn kill_aggregator(&mut self) -> Result<()> {
        self.aggregator
            .take()
            .context("the aggregator is not running")?
            .kill()
    }

    /// The folder of the aggregator's keys.
    pub fn keys(&self) -> PathBuf {
        self.folder.path().join("aggregator/keys")
    }

    /// The client of the aggregator.
    pub fn api(&self) -> &Api {
        &self.api
    }

    /// Where the aggregator listens.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Starts a steward process for each of the first `honest` members.
    pub fn start_stewards(&mut self, founded: &Founded, honest: usize) -> Result<()> {
        for (index, member) in founded.members.iter().take(honest).enumerate() {
            let root = self.steward_folder(index);
            fs::create_dir_all(&root)?;
            let vrf_key_file = root.join("vrf.key");
            vrf_key::create(&vrf_key_file, &member.vrf)?;
            let config = StewardConfig {
                aggregator: self.url.clone(),
                data_dir: root.join("data"),
                guard_dir: root.join("guard"),
                federation: founded.founding.digest(),
                key_file: write_key(&root.join("steward.pem"), &member.steward)?,
                vrf_key_file,
                org: member.organisation.id(),
                budgets: Default::default(),
                restated_spending: Default::default(),
                poll_wait_seconds: 20,
            };
            fs::write(root.join(STEWARD_CONFIG), toml::to_string(&config)?)?;
            self.stewards.push(None);
            self.start_steward(index)?;
        }
        Ok(())
    }

    /// Starts one steward (counted from 0), for the first time or after it was killed.
    pub fn start_steward(&mut self, index: usize) -> Result<()> {
        let config = self.steward_folder(index).join(STEWARD_CONFIG);
        self.stewards[index] = Some(Process::spawn(
            &format!("steward {}", index + 1),
            &self.binary,
            &["steward", "run", "--config", &config.display().to_string()],
            &self.logs.join(format!("steward-{}.log", index + 1)),
        )?);
        Ok(())
    }

    fn steward_folder(&self, index: usize) -> PathBuf {
        self.folder.path().join(format!("steward-{}", index + 1))
    }

    /// Kills a steward (counted from 0) with SIGKILL.
    pub fn kill_steward(&mut self, index: usize) -> Result<()> {
        let steward = self.stewards.get_mut(index).and_then(Option::take);
        self.killed += 1;
        steward.context("that steward is not running")?.kill()
    }

    /// Kills the last steward and says which it was, counted from 1.
    pub fn kill_last_steward(&mut self) -> Result<usize> {
        let count = self.stewards.len();
        self.kill_steward(count.saturating_sub(1))?;
        Ok(count)
    }

    /// How many times a steward was killed.
    pub fn killed(&self) -> u32 {
        self.killed
    }

    /// Fails when a process that should be running is not.
    pub fn check_alive(&mut self) -> Result<()> {
        let all = self
            .aggregator
            .iter_mut()
            .chain(self.stewards.iter_mut().flatten());
        all.into_iter().try_for_each(Process::check_alive)
    }

    /// Stops everything in order.
    pub fn close(mut self) -> Result<()> {
        for steward in self.stewards.iter_mut().flatten() {
            steward.terminate(Duration::from_secs(5))?;
        }
        match &mut self.aggregator {
            Some(aggregator) => aggregator.terminate(Duration::from_secs(20)),
            None => Ok(()),
        }
    }
}
