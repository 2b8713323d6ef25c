//! Following the rounds: killing a steward, fetching each transcript, comparing what was opened with
//! the truth, and the table.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use dawn_crypto::shamir::Threshold;
use dawn_identity::{StewardId, TaskId};
use dawn_learn::{Model, evaluate};
use dawn_protocol::dp::{self, Spending};
use dawn_protocol::{RoundId, Task, Terminal, Verdict, digests};
use dawn_transport::Api;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tempfile::TempDir;
use tokio::task::JoinSet;

use super::DemoOptions;
use super::devices::{Behaviour, Uploaded, Uploads, true_sum};
use super::federation::Founded;
use super::observe::Observed;
use super::own::{self, Heads};
use super::plain::{PlainRun, round_way};
use super::server::Stage;
use super::setting::{DELTA_EXPONENT, Setting};
use super::summary::{RoundRow, table_header};
use crate::attack::Coalition;

/// Largest transcript that the demo downloads.
const MAX_TRANSCRIPT_BYTES: u64 = 64 << 30;

/// Follows the rounds of one task.
pub struct Follower<'a> {
    options: &'a DemoOptions,
    setting: &'a Setting,
    task: &'a Task,
    task_id: TaskId,
    threshold: Threshold,
    points: BTreeMap<StewardId, u8>,
    names: BTreeMap<StewardId, String>,
    model: Model,
    plain: PlainRun,
    undefended: Option<PlainRun>,
    uploads: Uploads,
    coalition: Arc<Coalition>,
    scratch: TempDir,
    /// The layers that devices keep to themselves, by device.
    heads: Heads,
    sum_errors: u64,
    opened: u32,
}

impl<'a> Follower<'a> {
    /// Begins before the first round.
    pub fn new(
        options: &'a DemoOptions,
        setting: &'a Setting,
        founded: &Founded,
        task: &'a Task,
        model: Model,
        uploads: Uploads,
        coalition: Arc<Coalition>,
    ) -> Result<Self> {
        let stewards = founded
            .members
            .iter()
            .map(super::federation::Member::steward_id);
        let names = founded
            .members
            .iter()
            .map(|m| {
                (
                    m.steward_id(),
                    format!("the steward of {}", m.organisation.name()),
                )
            })
            .collect();
        let plain = |purpose| {
            let seed = options.seed_for(purpose);
            PlainRun::new(model.clone(), task, setting.public.as_ref(), seed)
        };
        Ok(Self {
            options,
            setting,
            task,
            task_id: task.id(),
            threshold: founded.roster.peek().threshold,
            points: stewards.zip(1u8..).collect(),
            names,
            plain: plain("plain rounding"),
            undefended: (!options.attacks.is_empty()).then(|| plain("undefended rounding")),
            model,
            uploads,
            coalition,
            scratch: TempDir::new()?,
            heads: Heads::new(),
            sum_errors: 0,
            opened: 0,
        })
    }

    /// Coordinates so far in which the opened sum differs from the true one.
    pub fn sum_errors(&self) -> u64 {
        self.sum_errors
    }

    /// The accuracy on people that take no part, given that on the test set; none where the data has no people.
    pub fn unseen(&self, accuracy: f64) -> Option<f64> {
        let people = !self.setting.shares.unseen.is_empty();
        people.then_some(accuracy)
    }

    /// The same after their devices have trained once on samples of their own.
    pub fn adapted(&self) -> Result<Option<f64>> {
        let (shares, seed) = (&self.setting.shares, self.options.seed_for("adapting"));
        let all = own::adapted(&self.model, &self.task.train, &shares.unseen, seed)?;
        Ok(all.map(|evaluation| evaluation.accuracy()))
    }

    /// Follows all rounds to their end.
    pub async fn follow(
        &mut self,
        stage: &mut Stage,
        devices: &mut JoinSet<Result<()>>,
    ) -> Result<Vec<RoundRow>> {
        self.options.say(&table_header());
        let bar = self.bar();
        let mut rows = Vec::new();
        for number in 1..=self.options.rounds {
            bar.set_message(format!("round {number}"));
            let status = self.wait_for_end(number, stage, devices).await?;
            let row = self.account(number, &status, stage.api()).await?;
            bar.inc(1);
            bar.suspend(|| self.options.say(&row.line()));
            rows.push(row);
        }
        bar.finish_and_clear();
        Ok(rows)
    }

    fn bar(&self) -> ProgressBar {
        let bar = ProgressBar::new(u64::from(self.options.rounds));
        if !self.options.progress {
            bar.set_draw_target(ProgressDrawTarget::hidden());
        }
        if let Ok(style) = ProgressStyle::with_template("{bar:40} {pos}/{len} {msg} {elapsed}") {
            bar.set_style(style);
        }
        bar
    }

    /// Waits until a round has ended. Kills the steward when the round that is chosen for it is
    /// collecting.
    async fn wait_for_end(
        &mut self,
        number: u32,
        stage: &mut Stage,
        devices: &mut JoinSet<Result<()>>,
    ) -> Result<serde_json::Value> {
        let d = &self.task.deadlines;
        let longest = d.keying_ms
            + d.endorsing_ms
            + d.collecting_ms
            + d.challenging_ms
            + d.reporting_ms
            + d.opening_ms;
        let deadline =
            Instant::now() + Duration::from_millis(u64::from(longest)) + Duration::from_secs(60);
        let mut kill = number == self.options.kill_steward_in;
        while Instant::now() < deadline {
            stage.check_alive()?;
            while let Some(stopped) = devices.try_join_next() {
                if let Err(error) = stopped? {
                    bail!("a device stopped: {error:#}");
                }
            }
            let status = stage.api().task_status(&self.task_id).await?;
            let round = status["rounds"]
                .as_array()
                .and_then(|rounds| rounds.iter().find(|r| r["number"] == number));
            match round.and_then(|r| r["phase"].as_str()) {
                Some("done" | "aborted") => return Ok(round.cloned().unwrap_or_default()),
                Some("collecting") if kill => {
                    let point = stage.kill_last_steward()?;
                    self.options.say(&format!(
                        "      steward {point} is killed for good in round {number}"
                    ));
                    kill = false;
                }
                _ => {}
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        bail!("round {number} did not end in time; the logs are beside the report")
    }

    /// Downloads a round's transcript, compares it with what the devices sent, and trains the plain
    /// twin on the same devices.
    async fn account(
        &mut self,
        number: u32,
        status: &serde_json::Value,
        api: &Api,
    ) -> Result<RoundRow> {
        let path = self.scratch.path().join(format!("round-{number}"));
        let mut file = tokio::fs::File::create(&path).await?;
        api.download_transcript(
            &RoundId::new(self.task_id, number),
            MAX_TRANSCRIPT_BYTES,
            &mut file,
        )
        .await
        .with_context(|| format!("downloading the transcript of round {number}"))?;
        tokio::io::AsyncWriteExt::flush(&mut file).await?;
        drop(file);
        let observed = Observed::read(&path, &self.points)?;
        std::fs::remove_file(&path)?;
        let sent = self.uploads.take(number);
        let accepted = observed.accepted();
        let mut outcome = "opened".to_string();
        let mut culprits = Vec::new();
        let mut vectors: Vec<&Uploaded> = Vec::new();
        match &observed.terminal {
            Terminal::Aborted(aborted) => outcome = format!("given up: {}", aborted.peek().reason),
            Terminal::Result(result) => {
                for device in &accepted {
                    vectors.push(
                        sent.get(device)
                            .context("a device is in the sum that never sent anything")?,
                    );
                }
                let opened = observed
                    .opened_sum(&self.points)?
                    .context("a result without a sum")?;
                let truth = true_sum(vectors.iter().copied(), opened.len());
                let most = self.stewards_noise(&observed);
                self.sum_errors += opened
                    .iter()
                    .zip(&truth)
                    .filter(|(a, b)| i64::from(**a).abs_diff(**b) > most)
                    .count() as u64;
                // A statement that differs from what its own openings open is as wrong. With groups it names the sums
                // of all groups, which the audit recomputes; here their total is known.
                let named = self.task.options.groups.is_none();
                let differs = digests::sum_digest(&opened) != result.peek().sum;
                self.sum_errors += u64::from(named && differs);
                let bytes = api
                    .model(
                        &result.peek().model,
                        Model::encoded_len(self.setting.model) as u64,
                    )
                    .await?;
                self.model = Model::from_bytes(&bytes)?;
                self.opened += 1;
                culprits = result
                    .peek()
                    .culprits
                    .iter()
                    .map(|c| self.names.get(c).cloned().unwrap_or_default())
                    .collect();
            }
        }
        let way = round_way(self.task, self.setting.public.as_ref(), number)?;
        self.heads.append(&mut self.uploads.take_heads(number));
        let shares = &self.setting.shares;
        let (shards, test) = (&shares.devices, &shares.test);
        let accuracy_own = own::on_own(&way, &self.model, &self.heads, &shares.own)?;
        let coalition = &*self.coalition;
        let twin = |upload: &Uploaded, attack| {
            let device = Behaviour {
                index: upload.index,
                attack,
                data: &shards[upload.index],
                coalition,
            };
            (device, upload.training_seed)
        };
        // As if nobody were malicious: those that are train honestly, and count.
        let honest = vectors
            .iter()
            .copied()
            .filter(|upload| upload.attack.is_none());
        let closed = observed.devices.iter().filter_map(|id| sent.get(id));
        let would_be = closed.clone().filter(|upload| upload.attack.is_some());
        let twins = honest.chain(would_be).map(|upload| twin(upload, None));
        let accuracy_plain = self.plain.round(number, twins, test)?;
        let all = closed.map(|upload| twin(upload, upload.attack));
        let accuracy_undefended = match &mut self.undefended {
            Some(run) => Some(run.round(number, all, test)?),
            None => None,
        };
        let submitted = (observed.devices.len() - observed.candidates) as u32;
        let bytes: u64 = sent.values().map(|u| u.bytes).sum();
        let phases_ms = phases(status);
        Ok(RoundRow {
            round: number,
            submitted,
            accepted: accepted.len() as u32,
            rejected: submitted - accepted.len() as u32,
            rejections: observed.rejections(),
            verdicts: observed.verdicts(|device| {
                let attack = sent.get(device).and_then(|upload| upload.attack);
                attack.map_or_else(|| "honest".to_owned(), |attack| attack.to_string())
            }),
            dropped: self.options.devices - submitted,
            accuracy: evaluate(&self.model, test)?.accuracy(),
            accuracy_own: accuracy_own.map(|evaluation| evaluation.accuracy()),
            evaluation: serde_json::from_value(status["evaluation"].clone())?,
            accuracy_plain,
            accuracy_undefended,
            epsilon: self.epsilon()?,
            seconds: phases_ms.iter().map(|(_, ms)| *ms as f64 / 1000.0).sum(),
            bytes_per_device: bytes / (sent.len() as u64).max(1),
            outcome,
            culprits,
            liars: self.names_of(observed.liars()),
            phases_ms,
        })
    }

    /// The names of the stewards at these points.
    fn names_of(&self, points: &[u8]) -> Vec<String> {
        let named = self.points.iter().filter(|(_, at)| points.contains(at));
        let named = named.filter_map(|(steward, _)| self.names.get(steward).cloned());
        named.collect()
    }

    /// How far the opened sum may be from the sum over devices: stewards keep their noise to themselves. Twelve deviations:
    /// it is farther in no run that anybody sees, and a wrong opening is farther almost everywhere.
    fn stewards_noise(&self, observed: &Observed) -> u64 {
        let stewards = observed.verdict.as_ref().map_or(0, Verdict::noise_count);
        let sigma = self
            .task
            .options
            .noise
            .map_or(0.0, |noise| noise.sigma.to_f64());
        (12.0 * sigma * f64::from(stewards).sqrt()) as u64
    }

    /// What the opened rounds have spent so far.
    fn epsilon(&self) -> Result<Option<f64>> {
        let noise = self
            .task
            .counted_noise(dp::honest_stewards(&self.threshold));
        let charge = noise.charge_micro_rho(self.task.quantiser.clip)?;
        let spending = Spending {
            micro_rho: charge.saturating_mul(u64::from(self.opened)),
            rounds: self.opened,
            padded_dimension: self.task.dimension()?.padded(),
            noise,
        };
        Ok(dp::epsilon(&spending, DELTA_EXPONENT))
    }
}

fn phases(status: &serde_json::Value) -> Vec<(String, u64)> {
    [
        "keying",
        "endorsing",
        "collecting",
        "challenging",
        "reporting",
        "opening",
    ]
    .iter()
    .filter_map(|name| Some(((*name).to_string(), status["phase_ms"][*name].as_u64()?)))
    .collect()
}
