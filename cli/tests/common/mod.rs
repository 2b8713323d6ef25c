//! A small federation of real processes for the end-to-end tests.
// Every test uses a part of it.
#![allow(dead_code)]

pub mod follower;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use dawn_client::{Client, OpenRound};
use dawn_crypto::params::Sigma;
use dawn_identity::{DeviceId, Signed, StewardId, TaskId, to_canonical};
use dawn_learn::data::{PartitionSpec, digits, partition};
use dawn_learn::{Dataset, Preset};
use dawn_protocol::{Deadlines, PROTOCOL_VERSION, Policy, PrivacyPlan, RoundId, Task};
use dawn_sim::demo::federation::{Founded, found, write_key};
use dawn_sim::demo::observe::Observed;
use dawn_sim::demo::server::Stage;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;
use tempfile::TempDir;

/// A round draws only from devices that were enrolled eleven minutes before it (docs/protocol.md, section 4.10).
const ENROLLED_BEFORE: u64 = 700;

/// Server, stewards and devices of one task with one round.
pub struct Testbed {
    pub stage: Stage,
    pub founded: Founded,
    pub task: TaskId,
    /// The folder of the device at index `i` is `device-i` in `scratch`.
    pub clients: Vec<(Client, Dataset)>,
    pub points: BTreeMap<StewardId, u8>,
    pub scratch: TempDir,
}

impl Testbed {
    /// Founds a federation and posts a task whose round collects for `collecting_ms`.
    pub async fn open(orgs: u8, devices: usize, collecting_ms: u32) -> Self {
        Self::with_rounds(orgs, devices, collecting_ms, 1).await
    }

    /// The same with more rounds, of which each is closed when all devices have submitted.
    pub async fn with_rounds(orgs: u8, devices: usize, collecting_ms: u32, rounds: u32) -> Self {
        Self::with_task(orgs, devices, |task| {
            task.rounds = rounds;
            task.deadlines.collecting_ms = collecting_ms;
            if rounds > 1 {
                task.policy.target_submissions = devices as u32;
            }
        })
        .await
    }

    /// The same with a task that is changed before it is posted.
    pub async fn with_task(orgs: u8, devices: usize, change: impl FnOnce(&mut Task)) -> Self {
        let scratch = tempfile::tempdir().unwrap();
        let binary = Path::new(env!("CARGO_BIN_EXE_dawn"));
        let mut stage = Stage::open(binary, scratch.path()).await.unwrap();
        let mut rng = ChaCha20Rng::from_seed([7; 32]);
        let now = now();
        let founded = found(stage.api(), orgs, now, &mut rng).await.unwrap();
        let all = founded.members.len();
        stage.start_stewards(&founded, all).unwrap();
        let owner = &founded.members[0].organisation;
        let model = "logistic:64-10".parse().unwrap();
        let settings = Preset::Plain.settings(&model);
        let mut task = Task {
            version: PROTOCOL_VERSION,
            name: "end to end".into(),
            owner: owner.id(),
            issuer: owner.certificate().clone(),
            federation: founded.founding.digest(),
            roster: founded.roster.peek().digest(),
            model,
            initial_seed: [3; 32],
            train: settings.train,
            quantiser: settings.quantiser,
            sigma_error: Sigma::ERROR_MIN,
            rounds: 1,
            policy: Policy {
                min_accepted: 4,
                min_honest: 3,
                min_organisations: 2,
                max_org_share_permille: 700,
                max_submissions: 100,
                target_submissions: 100,
            },
            deadlines: Deadlines {
                keying_ms: 60_000,
                endorsing_ms: 2_000,
                collecting_ms: 60_000,
                challenging_ms: 60_000,
                reporting_ms: 120_000,
                opening_ms: 120_000,
                grace_ms: 3_000,
            },
            privacy: PrivacyPlan {
                budget_micro_rho: None,
                delta_exponent: 5,
            },
            data_source: "digits".into(),
            created: now,
            projections: 128,
            options: Default::default(),
        };
        change(&mut task);
        let split = digits().unwrap();
        let spec = PartitionSpec {
            organisations: orgs.into(),
            devices,
            alpha: 1 << 16,
        };
        let shards = partition(&split.train, &spec, [5; 32]).unwrap();
        let mut clients = Vec::new();
        for (index, shard) in shards.iter().enumerate() {
            let device = founded
                .enrol(
                    shard.organisation,
                    &format!("device-{index}"),
                    now - ENROLLED_BEFORE,
                    &mut rng,
                )
                .unwrap();
            // As `dawn device enrol` leaves it, so that `dawn client` finds what the device has kept.
            let folder = scratch.path().join(format!("device-{index}"));
            std::fs::create_dir(&folder).unwrap();
            write_key(&folder.join("device.pem"), &device.key).unwrap();
            let credential = to_canonical(&device.chain);
            std::fs::write(folder.join("credential.cbor"), credential).unwrap();
            let document = founded.founding.to_bytes();
            std::fs::write(folder.join("federation.cbor"), document).unwrap();
            let client = Client::builder()
                .server(stage.url())
                .federation(founded.founding.clone(), founded.founding.digest())
                .device(device.chain, device.key)
                .state_dir(folder.join("state"))
                .build()
                .unwrap();
            clients.push((client, split.train.subset(&shard.samples).unwrap()));
        }
        let signed = Signed::sign(&task, owner.issuer()).unwrap();
        stage
            .api()
            .post_task(&signed, owner.issuer())
            .await
            .unwrap();
        let points = founded
            .members
            .iter()
            .map(|m| m.steward_id())
            .zip(1u8..)
            .collect();
        Self {
            stage,
            founded,
            task: task.id(),
            clients,
            points,
            scratch,
        }
    }

    /// Every device's open round, verified by the device.
    pub async fn open_rounds(&self) -> Vec<OpenRound> {
        let mut rounds = Vec::new();
        for (client, _) in &self.clients {
            let mut participation = client.join(self.task).await.unwrap();
            let open = loop {
                if let Some(open) = participation
                    .next_round(Duration::from_secs(30))
                    .await
                    .unwrap()
                {
                    break open;
                }
            };
            rounds.push(open);
        }
        rounds
    }

    /// The phase of round 1, as people are told.
    pub async fn phase(&self) -> String {
        let status = self.stage.api().task_status(&self.task).await.unwrap();
        status["rounds"][0]["phase"]
            .as_str()
            .unwrap_or("none")
            .to_owned()
    }

    /// Waits until round 1 is in one of these phases.
    pub async fn wait_for(&mut self, phases: &[&str]) -> String {
        let begun = Instant::now();
        loop {
            self.stage.check_alive().unwrap();
            let phase = self.phase().await;
            if phases.contains(&phase.as_str()) {
                return phase;
            }
            assert!(
                begun.elapsed() < Duration::from_secs(240),
                "stuck in {phase}"
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until a round is in one of these phases; gives its status.
    pub async fn round(&mut self, number: usize, until: &[&str]) -> serde_json::Value {
        let begun = Instant::now();
        loop {
            self.stage.check_alive().unwrap();
            let status = self.stage.api().task_status(&self.task).await.unwrap();
            let mut rounds = status["rounds"].as_array().unwrap().iter();
            let round = rounds.find(|round| round["number"] == number).cloned();
            let round = round.unwrap_or_default();
            if until.contains(&round["phase"].as_str().unwrap_or("none")) {
                return round;
            }
            assert!(
                begun.elapsed() < Duration::from_secs(240),
                "round {number} is stuck: {round}"
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Every device trains and submits in the round that is open.
    pub async fn submit(&self) {
        for (open, (_, data)) in self.open_rounds().await.into_iter().zip(&self.clients) {
            let rng = &mut rand_core::UnwrapErr(getrandom::SysRng);
            let update = open.train(data, rng).unwrap();
            open.submit(update, rng).await.unwrap();
        }
    }

    /// The devices whose submissions are in the sum, from the transcript.
    pub async fn accepted(&self) -> Vec<DeviceId> {
        let path = self.scratch.path().join("transcript");
        let mut file = tokio::fs::File::create(&path).await.unwrap();
        let round = RoundId::new(self.task, 1);
        self.stage
            .api()
            .download_transcript(&round, 1 << 30, &mut file)
            .await
            .unwrap();
        drop(file);
        let observed = Observed::read(&path, &self.points).unwrap();
        assert!(
            observed.opened_sum(&self.points).unwrap().is_some(),
            "the round has no sum"
        );
        observed.accepted()
    }

    /// What an auditor says about the running service.
    pub async fn audit(&self) -> String {
        let options = dawn_audits::Options {
            federation: Some(self.founded.founding.digest()),
            ..dawn_audits::Options::default()
        };
        let dir = self.scratch.path().join("audit");
        let report = dawn_audits::verify_service(self.stage.url(), &[self.task], &dir, &options)
            .await
            .unwrap();
        report.summary()
    }
}

fn now() -> u64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_secs()
}
