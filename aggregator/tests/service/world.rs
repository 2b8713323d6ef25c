//! A federation with its own Postgres, and aggregators over it.

use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use dawn_aggregator::keys::Keys;
use dawn_aggregator::postgres::{EmbeddedConfig, EmbeddedPostgres};
use dawn_aggregator::{Aggregator, Config, Running};
use dawn_crypto::params::Sigma;
use dawn_crypto::shamir::Threshold;
use dawn_crypto::vrf::VrfSecretKey;
use dawn_identity::organisation::{Organisation, Validity};
use dawn_identity::{
    Admission, Federation, FoundingDocument, Roster, RosterEntry, RosterPosting, RosterSignature,
    SecretKey, Signed, SignedRoster, TaskId, VerifiedFederation,
};
use dawn_learn::{ModelSpec, Quantiser, TrainSpec};
use dawn_protocol::{Deadlines, PROTOCOL_VERSION, Policy, PrivacyPlan, RoundId, Task, TaskContext};
use dawn_transport::Api;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use sqlx::{Connection, PgConnection};
use tempfile::TempDir;

use crate::devices::Device;
use crate::stewards::Steward;

/// Long enough that no test waits for a deadline that it does not mean to.
pub const LONG_MS: u32 = 120_000;

pub struct World {
    pub dir: TempDir,
    pub postgres: EmbeddedPostgres,
    pub rng: ChaCha20Rng,
    pub orgs: Vec<Organisation>,
    pub steward_keys: Vec<SecretKey>,
    pub federation: VerifiedFederation,
    pub roster: SignedRoster,
    /// The rosters of the epochs before.
    pub former: Vec<SignedRoster>,
    /// When everything was signed: signing again later gives the same bytes.
    created: u64,
}

/// The VRF key of the steward with this key.
pub fn vrf_key(steward: &SecretKey) -> VrfSecretKey {
    let mut seed = *steward.to_seed();
    seed[0] ^= 1;
    VrfSecretKey::from_seed(&seed)
}

pub fn now_s() -> u64 {
    dawn_aggregator::clock::now_s()
}

fn validity() -> Validity {
    Validity::starting(now_s() - 3600, 365 * 86_400)
}

impl World {
    /// Three organisations with a steward each, none malicious.
    pub async fn new() -> Self {
        Self::with(3, 0).await
    }

    pub async fn with(m: u8, f: u8) -> Self {
        Self::with_admission(m, f, Admission::Open).await
    }

    pub async fn with_admission(m: u8, f: u8, admission: Admission) -> Self {
        let dir = tempfile::Builder::new()
            .prefix("dawn-test-")
            .permissions(std::fs::Permissions::from_mode(0o755))
            .tempdir()
            .unwrap();
        let postgres = EmbeddedPostgres::start(&EmbeddedConfig {
            durable: false,
            ..EmbeddedConfig::new(dir.path().join("postgres"))
        })
        .await
        .unwrap();
        let mut rng = ChaCha20Rng::seed_from_u64(7);
        let keys = Keys::open_or_create(&dir.path().join("data/keys")).unwrap();
        let orgs: Vec<_> = (0..m)
            .map(|i| Organisation::generate(&format!("org {i}"), validity(), &mut rng).unwrap())
            .collect();
        let federation = Federation {
            name: "test federation".to_owned(),
            founders: orgs.iter().map(Organisation::founder_entry).collect(),
            aggregator: keys.aggregator.public(),
            log: keys.log.public(),
            admission,
            roster_quorum: u16::from(m) / 2 + 1,
            created: now_s(),
        };
        let all: Vec<_> = orgs.iter().collect();
        let document = FoundingDocument::found(federation, &all).unwrap();
        let federation = document.verify().unwrap();
        let steward_keys: Vec<_> = orgs.iter().map(|_| SecretKey::generate(&mut rng)).collect();
        let roster = roster(
            &federation,
            &orgs,
            &steward_keys,
            Threshold::new(m, f).unwrap(),
            1,
        );
        Self {
            dir,
            postgres,
            rng,
            orgs,
            steward_keys,
            federation,
            roster,
            former: Vec::new(),
            created: now_s(),
        }
    }

    pub fn config(&self) -> Config {
        let mut config = Config::new(self.dir.path().join("data"));
        config.database_url = Some(self.postgres.url().to_owned());
        config.durable = false;
        config.limits.lease_ms = 600;
        config.limits.poll_ms = 50;
        config.limits.database_connections = 8;
        config.limits.requests_per_key_per_minute = 100_000;
        config
    }

    pub async fn start(&self) -> Running {
        Aggregator::start(self.config()).await.unwrap()
    }

    /// Started, with everybody registered.
    pub async fn start_enrolled(&self) -> (Running, Api) {
        let running = self.start().await;
        let api = api(&running);
        self.enrol(&api).await;
        (running, api)
    }

    pub async fn enrol(&self, api: &Api) {
        api.post_federation(self.federation.document(), self.orgs[0].root())
            .await
            .unwrap();
        for (org, steward) in self.orgs.iter().zip(&self.steward_keys) {
            let digest = self.federation.digest();
            let registration = org.register(&digest, self.created).unwrap();
            api.register_org(&registration, org.root()).await.unwrap();
            let vrf = vrf_key(steward);
            let enrolment = org
                .enrol_steward(&digest, steward, vrf.public(), self.created)
                .unwrap();
            api.enrol_steward(&org.id(), &enrolment, org.root())
                .await
                .unwrap();
        }
        api.post_roster(&self.posting(&self.roster), self.orgs[0].root())
            .await
            .unwrap();
    }

    /// The first organisation puts a roster into the register.
    pub fn posting(&self, roster: &SignedRoster) -> Signed<RosterPosting> {
        self.orgs[0].post_roster(roster, now_s()).unwrap()
    }

    /// A task of the first organisation: a model of 15 parameters, long deadlines, 2 rounds, 4 devices.
    pub fn task(&self, tweak: impl FnOnce(&mut Task)) -> Signed<Task> {
        let mut task = Task {
            version: PROTOCOL_VERSION,
            name: "test task".to_owned(),
            owner: self.orgs[0].id(),
            issuer: self.orgs[0].certificate().clone(),
            federation: self.federation.digest(),
            roster: self.roster.peek().digest(),
            model: ModelSpec::Logistic {
                inputs: 4,
                classes: 3,
            },
            initial_seed: [9; 32],
            train: TrainSpec {
                epochs: 1,
                batch: 8,
                learning_rate: 1 << 14,
                momentum: 0,
                dropout: None,
                rounding: None,
            },
            quantiser: Quantiser {
                update_shift: 10,
                clip: 1000,
            },
            sigma_error: Sigma::ERROR_MIN,
            rounds: 2,
            policy: Policy {
                min_accepted: 2,
                min_honest: 2,
                min_organisations: 1,
                max_org_share_permille: 1000,
                max_submissions: 8,
                target_submissions: 4,
            },
            deadlines: Deadlines {
                keying_ms: LONG_MS,
                endorsing_ms: LONG_MS,
                collecting_ms: LONG_MS,
                challenging_ms: LONG_MS,
                reporting_ms: LONG_MS,
                opening_ms: LONG_MS,
                grace_ms: 100,
            },
            privacy: PrivacyPlan {
                budget_micro_rho: None,
                delta_exponent: 6,
            },
            data_source: "test data".to_owned(),
            created: self.created,
            projections: 128,
            options: Default::default(),
        };
        tweak(&mut task);
        Signed::sign(&task, self.orgs[0].issuer()).unwrap()
    }

    pub fn context(&self, task: &Signed<Task>) -> TaskContext {
        let mut members = dawn_identity::Members::founders_of(&self.federation);
        for roster in self.former.iter().chain([&self.roster]) {
            members.push(self.posting(roster).bytes()).unwrap();
        }
        TaskContext::verify(&self.federation, &members, task).unwrap()
    }

    pub fn stewards(&self, context: &TaskContext) -> Vec<Steward> {
        self.steward_keys
            .iter()
            .zip(&self.orgs)
            .enumerate()
            .map(|(i, (key, org))| {
                Steward::new(
                    context,
                    org.id(),
                    SecretKey::from_seed(&key.to_seed()),
                    100 + i as u64,
                )
            })
            .collect()
    }

    /// A device of an organisation.
    pub fn device(&mut self, org: usize) -> Device {
        let key = SecretKey::generate(&mut self.rng);
        let chain = self.orgs[org]
            .issue_device(&key.public(), "device", validity())
            .unwrap();
        Device::new(self.orgs[org].id(), key, chain)
    }

    pub fn devices(&mut self, count: usize) -> Vec<Device> {
        let orgs = self.orgs.len();
        (0..count).map(|i| self.device(i % orgs)).collect()
    }

    /// Numbers of rows of every table, to see that nothing was stored.
    pub async fn rows(&self) -> Vec<(String, i64)> {
        let mut connection = PgConnection::connect(self.postgres.url()).await.unwrap();
        let rows = sqlx::query_as(
            "select table_name::text, (xpath('/row/c/text()', query_to_xml(
                 format('select count(*) as c from %I', table_name), false, true, '')))[1]::text::bigint
             from information_schema.tables
             where table_schema = 'public' and table_type = 'BASE TABLE' and table_name not in ('jobs', 'used_nonces')
             order by table_name",
        )
        .fetch_all(&mut connection)
        .await
        .unwrap();
        connection.close().await.unwrap();
        rows
    }

    pub async fn number(&self, sql: &'static str) -> i64 {
        let mut connection = PgConnection::connect(self.postgres.url()).await.unwrap();
        let number = sqlx::query_scalar(sql)
            .fetch_one(&mut connection)
            .await
            .unwrap();
        connection.close().await.unwrap();
        number
    }

    pub async fn count_statements(&self, kind: &str) -> i64 {
        let mut connection = PgConnection::connect(self.postgres.url()).await.unwrap();
        let count = sqlx::query_scalar("select count(*) from statements where kind = $1")
            .bind(kind)
            .fetch_one(&mut connection)
            .await
            .unwrap();
        connection.close().await.unwrap();
        count
    }

    pub async fn run_sql(&self, sql: &'static str) {
        let mut connection = PgConnection::connect(self.postgres.url()).await.unwrap();
        sqlx::query(sql).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    }

    /// Files below the object directory.
    pub fn objects(&self, folder: &str) -> usize {
        fn count(dir: &std::path::Path) -> usize {
            let Ok(entries) = std::fs::read_dir(dir) else {
                return 0;
            };
            entries
                .map(|entry| entry.unwrap().path())
                .map(|path| if path.is_dir() { count(&path) } else { 1 })
                .sum()
        }
        count(&self.dir.path().join("data/objects").join(folder))
    }
}

pub fn roster(
    federation: &VerifiedFederation,
    orgs: &[Organisation],
    steward_keys: &[SecretKey],
    threshold: Threshold,
    epoch: u64,
) -> SignedRoster {
    let roster = Roster {
        federation: federation.digest(),
        epoch,
        threshold,
        stewards: orgs
            .iter()
            .zip(steward_keys)
            .map(|(org, key)| RosterEntry {
                org: org.id(),
                steward: key.public(),
                vrf: vrf_key(key).public().clone(),
            })
            .collect(),
        created: now_s(),
    };
    let signatures: Vec<RosterSignature> = orgs.iter().map(|org| roster.sign(org.root())).collect();
    SignedRoster::assemble(roster, signatures).unwrap()
}

pub fn api(running: &Running) -> Api {
    Api::new(&running.url()).unwrap()
}

/// The phase of a round as people see it, with its abort reason.
pub async fn phase(api: &Api, task: &TaskId, number: u32) -> (String, Option<String>) {
    let status = api.task_status(task).await.unwrap();
    let round = status["rounds"]
        .as_array()
        .unwrap()
        .iter()
        .find(|round| round["number"] == number)
        .cloned();
    round.map_or((String::from("none"), None), |round| {
        (
            round["phase"].as_str().unwrap().to_owned(),
            round["abort_reason"].as_str().map(str::to_owned),
        )
    })
}

/// Waits until a round is in a phase.
pub async fn wait_for_phase(api: &Api, id: &RoundId, wanted: &str) {
    let begun = Instant::now();
    loop {
        let (found, reason) = phase(api, &id.task, id.number).await;
        if found == wanted {
            return;
        }
        assert!(
            begun.elapsed() < Duration::from_secs(60),
            "round {id} is {found} ({reason:?}), not {wanted}"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
