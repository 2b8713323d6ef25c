//! The demo: six organisations learn together on one machine, through a real server, with real
//! failures, and an auditor confirms every round.
//!
//! | module | explains |
//! |---|---|
//! | [`options`] | what can be chosen |
//! | [`federation`] | the members, founded and registered over REST |
//! | [`setting`] | data, model, way of learning, and the task with its noise |
//! | [`shares`] | who has which data |
//! | [`own`] | how well devices do with models of their own |
//! | [`processes`] | server and stewards as processes that can be killed |
//! | [`server`] | starting and stopping them all |
//! | [`devices`], [`breaking`] | the device population and how it fails |
//! | [`filter`] | what is asked of updates beside their norm |
//! | [`observe`] | reading a round's transcript |
//! | [`rounds`] | following the rounds and comparing them with the truth |
//! | [`plain`] | the same training without masks and noise: without attackers, and without a defence |
//! | [`summary`], [`report`] | what is shown |

pub mod breaking;
pub mod devices;
pub mod federation;
pub mod filter;
pub mod observe;
pub mod options;
pub mod own;
pub mod plain;
pub mod processes;
pub mod report;
pub mod rounds;
pub mod server;
pub mod setting;
pub mod shares;
pub mod summary;

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result};
use dawn_learn::Model;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

pub use federation::tolerated;
pub use filter::Filter;
pub use options::{DemoGroups, DemoOptions};
pub use setting::{DataSource, NoiseBy};
pub use summary::DemoSummary;

use crate::attack::{self, Coalition};
use devices::{Player, Uploads, World, drop_outs};
use rounds::Follower;
use server::Stage;
use setting::Setting;

/// The demo enrols its devices just before it posts its task, and dates their credentials back by so many seconds, as if
/// their organisations had enrolled them in good time: a task that selects devices draws among those that were there before
/// it (`docs/protocol.md`, section 4.10). No other command does.
const ENROLLED_BEFORE: u64 = 3600;

/// Runs the demo. Progress goes to standard error.
///
/// # Errors
/// Whatever keeps it from finishing; what was written so far stays in the output folder.
pub async fn run(options: DemoOptions) -> Result<DemoSummary> {
    let begun = Instant::now();
    options.check()?;
    let out = options.prepare_output()?;
    let setting = Setting::prepare(&options)?;
    let mut rng = ChaCha20Rng::from_seed(options.seed_for("members"));

    options.say(&format!(
        "starting the aggregator, {} organisations, {} devices",
        options.organisations, options.devices
    ));
    let mut stage = Stage::open(&options.binary, &out.logs).await?;
    let api = stage.api().clone();
    let now = unix_seconds();
    let founded = federation::found(&api, options.organisations, now, &mut rng).await?;
    let honest = founded.members.len() - usize::from(!options.steward_attacks.is_empty());
    stage.start_stewards(&founded, honest)?;
    let owner = &founded.members[0].organisation;
    let roster = founded.roster.peek().digest();
    let threshold = founded.roster.peek().threshold;
    let task = setting.task(
        &options,
        founded.founding.digest(),
        roster,
        owner,
        &threshold,
        now,
    )?;
    let task_id = task.peek().id();
    let described = options.describe(&setting, task.peek());
    options.say(&format!("setting: {described}"));
    options.explain_columns();

    let attacks = attack::assigned(
        options.devices as usize,
        options.byzantine,
        &options.attacks,
        options.seed_for("malicious devices"),
    );
    let malicious = setting.shares.devices.iter().zip(&attacks);
    let malicious = malicious.filter(|(_, attack)| attack.is_some());
    let coalition = Arc::new(Coalition::new(
        malicious
            .map(|(shard, _)| Arc::new(shard.clone()))
            .collect(),
        attacks.len(),
        options.seed_for("coalition"),
    ));
    let uploads = Uploads::default();
    let world = Arc::new(World {
        server: stage.url().to_owned(),
        task: task_id,
        plan: (1..=options.rounds)
            .map(|r| {
                drop_outs(
                    options.devices as usize,
                    options.dropout,
                    options.seed_for(&format!("drop-outs {r}")),
                )
            })
            .collect(),
        uploads: uploads.clone(),
        cores: Arc::new(Semaphore::new(
            std::thread::available_parallelism().map_or(2, usize::from),
        )),
        coalition: Arc::clone(&coalition),
        attacks,
        seed: options.seed_for("devices"),
    });
    let state = tempfile::tempdir()?;
    let mut players = Vec::new();
    let data = setting.shares.devices.iter().zip(&setting.shares.own);
    for (index, (shard, held_out)) in data.enumerate() {
        let device = founded.enrol(
            setting.shares.owners[index],
            &format!("device-{index}"),
            now - ENROLLED_BEFORE,
            &mut rng,
        )?;
        players.push(Player::new(
            index,
            device,
            &founded.founding,
            state.path(),
            (Arc::new(shard.clone()), Arc::new(held_out.clone())),
            Arc::clone(&world),
        )?);
    }
    match &setting.public {
        None => api.post_task(&task, owner.issuer()).await,
        Some(set) => {
            let set = set.to_bytes();
            api.post_task_with(&task, &set, owner.issuer()).await
        }
    }
    .context("posting the task")?;
    let mut devices = JoinSet::new();
    if !options.steward_attacks.is_empty() {
        let seed = options.seed_for("malicious steward");
        let liar = founded.lying_steward(&task, options.steward_attacks.clone(), seed)?;
        devices.spawn(liar.live(api.clone()));
    }
    for player in players {
        devices.spawn(player.live());
    }

    let model = Model::initial(setting.model, task.peek().initial_seed)?;
    let mut follower = Follower::new(
        &options,
        &setting,
        &founded,
        task.peek(),
        model,
        uploads,
        coalition,
    )?;
    let rows = follower.follow(&mut stage, &mut devices).await?;

    options.say("auditing every round from its transcript");
    let trusted = dawn_audits::Options {
        federation: Some(founded.founding.digest()),
        ..dawn_audits::Options::default()
    };
    let audit =
        dawn_audits::verify_service(stage.url(), &[task_id], &out.transcripts, &trusted).await?;
    let stewards_offline = stage.killed();
    devices.abort_all();
    stage.close()?;

    let last = rows.last().context("the task had no round")?;
    let summary = DemoSummary {
        way: options.way.clone(),
        dimension: task.peek().dimension()?.coordinates(),
        accuracy: last.accuracy,
        accuracy_own: last.accuracy_own,
        accuracy_unseen: follower.unseen(last.accuracy),
        accuracy_unseen_adapted: follower.adapted()?,
        bytes_per_device: mean_bytes(&rows),
        evaluation: last.evaluation,
        accuracy_plain: last.accuracy_plain,
        accuracy_undefended: last.accuracy_undefended,
        attack: options.attack_names(),
        byzantine: options.byzantine,
        filter: options.filter.map(|filter| filter.to_string()),
        epsilon: last.epsilon,
        delta: 10f64.powi(-i32::from(setting::DELTA_EXPONENT)),
        sum_errors: follower.sum_errors(),
        stewards: u32::from(options.organisations),
        stewards_offline,
        audit: audit.summary(),
        transcript: out.transcripts.display().to_string(),
        report: out.report.display().to_string(),
        logs: out.logs.display().to_string(),
        federation: founded.founding.digest().to_string(),
        check: options.check_command(&out.transcripts, &founded.founding.digest()),
        setting: described,
        seconds: begun.elapsed().as_secs_f64(),
        rounds: rows,
    };
    std::fs::write(&out.report, report::html(&summary))?;
    std::fs::write(&out.summary, serde_json::to_vec_pretty(&summary)?)?;
    Ok(summary)
}

/// Mean bytes of an upload, over the rounds.
fn mean_bytes(rows: &[summary::RoundRow]) -> u64 {
    let total: u64 = rows.iter().map(|row| row.bytes_per_device).sum();
    total / (rows.len() as u64).max(1)
}

fn unix_seconds() -> u64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |d| d.as_secs())
}
