//! The device population of the demo: who drops out where, and what each device does in a round.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use dawn_client::{Client, ClientError, OpenRound, PreparedSubmission};
use dawn_identity::{DeviceId, FoundingDocument, TaskId};
use dawn_learn::{Dataset, Evaluation, Head, Model, RoundWay};
use dawn_protocol::prepare::PreparedSubmission as Message;
use dawn_protocol::{RoundId, Task};
use rand_chacha::ChaCha20Rng;
use rand_core::{CryptoRng, Rng as _, SeedableRng as _};
use tokio::sync::Semaphore;

use super::breaking::break_upload;
use super::federation::Device;
use super::own::Heads;
use crate::attack::{Allies, Attack, Coalition};

/// Where a device fails in a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DropOut {
    /// It never asks for the round.
    Absent,
    /// It trains and masks, and loses its power before the first byte leaves.
    BeforeUpload,
    /// Its connection breaks in the middle of the upload.
    DuringUpload,
    /// It uploads everything and is gone before the receipt arrives: its update counts.
    AfterUpload,
}

const KINDS: [DropOut; 4] = [
    DropOut::Absent,
    DropOut::BeforeUpload,
    DropOut::DuringUpload,
    DropOut::AfterUpload,
];

/// Chooses which devices fail in a round, and where: exactly `round(devices * rate)` of them.
pub fn drop_outs(devices: usize, rate: f64, seed: [u8; 32]) -> Vec<Option<DropOut>> {
    let mut rng = ChaCha20Rng::from_seed(seed);
    let mut order: Vec<usize> = (0..devices).collect();
    for i in (1..devices).rev() {
        order.swap(i, (rng.next_u64() % (i as u64 + 1)) as usize);
    }
    let failing = (devices as f64 * rate).round() as usize;
    let mut plan = vec![None; devices];
    for &device in order.iter().take(failing) {
        plan[device] = Some(KINDS[(rng.next_u32() % 4) as usize]);
    }
    plan
}

/// What the demo knows of a submission, to compare with what was opened.
pub struct Uploaded {
    /// Index of the device.
    pub index: usize,
    /// `v = x + e`, one value per coordinate: what the sum must consist of.
    pub vector: Vec<i32>,
    /// What the device did, when it is malicious.
    pub attack: Option<Attack>,
    /// The seed of its training.
    pub training_seed: [u8; 32],
    /// Bytes of its upload.
    pub bytes: u64,
}

/// Uploads by round and device, and the heads that devices have kept, shared between the devices and the demo.
#[derive(Clone, Default)]
pub struct Uploads(
    Arc<Mutex<BTreeMap<(u32, DeviceId), Uploaded>>>,
    Arc<Mutex<BTreeMap<u32, Heads>>>,
);

impl Uploads {
    fn add(&self, round: u32, device: DeviceId, upload: Uploaded) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert((round, device), upload);
    }

    fn keep_head(&self, round: u32, index: usize, head: Head) {
        let mut all = self.1.lock().unwrap_or_else(PoisonError::into_inner);
        all.entry(round).or_default().insert(index, head);
    }

    /// Takes the heads that devices kept in a round.
    pub fn take_heads(&self, round: u32) -> Heads {
        let mut all = self.1.lock().unwrap_or_else(PoisonError::into_inner);
        all.remove(&round).unwrap_or_default()
    }

    /// Takes what was recorded for a round.
    pub fn take(&self, round: u32) -> BTreeMap<DeviceId, Uploaded> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let keys: Vec<_> = all.keys().filter(|(r, _)| *r == round).copied().collect();
        keys.into_iter()
            .filter_map(|key| Some((key.1, all.remove(&key)?)))
            .collect()
    }
}

/// What all devices of the demo share.
pub struct World {
    /// The aggregator's address.
    pub server: String,
    /// The task that they take part in.
    pub task: TaskId,
    /// Who fails where: one list per round, one entry per device.
    pub plan: Vec<Vec<Option<DropOut>>>,
    /// What they sent.
    pub uploads: Uploads,
    /// Two cores play all devices: so many may compute at once.
    pub cores: Arc<Semaphore>,
    /// What each device does, when it is malicious.
    pub attacks: Vec<Option<Attack>>,
    /// What malicious devices know together.
    pub coalition: Arc<Coalition>,
    /// Seed of everything that the demo chooses.
    pub seed: [u8; 32],
}

/// A device with its client library and its data.
pub struct Player {
    index: usize,
    id: DeviceId,
    client: Client,
    data: Arc<Dataset>,
    /// What it does not learn from.
    held_out: Arc<Dataset>,
    world: Arc<World>,
    /// Its last submission, when it is malicious.
    last: Arc<Mutex<Option<Message>>>,
}

impl Player {
    /// Puts the client library into a device.
    pub fn new(
        index: usize,
        device: Device,
        founding: &FoundingDocument,
        state: &Path,
        (data, held_out): (Arc<Dataset>, Arc<Dataset>),
        world: Arc<World>,
    ) -> Result<Self> {
        let id = device.chain.claimed_device();
        let client = Client::builder()
            .server(&world.server)
            .federation(founding.clone(), founding.digest())
            .device(device.chain, device.key)
            .state_dir(state.join(format!("device-{index}")))
            .build()
            .with_context(|| format!("setting up device {index}"))?;
        Ok(Self {
            index,
            id,
            client,
            data,
            held_out,
            world,
            last: Arc::default(),
        })
    }

    /// Takes part in every round until the task ends, failing as planned.
    pub async fn live(self) -> Result<()> {
        let mut participation = self.client.join(self.world.task).await?;
        loop {
            let open = match participation.next_round(Duration::from_secs(30)).await {
                Ok(Some(open)) => open,
                Ok(None) => continue,
                Err(ClientError::NotSelected { .. }) => continue,
                Err(ClientError::Ended(_)) => return Ok(()),
                Err(error) => return Err(error.into()),
            };
            let RoundId { number, .. } = open.id();
            let fail = self.planned(number);
            if fail == Some(DropOut::Absent) {
                continue;
            }
            // A device that comes too late is one more drop-out, not the end of the demo.
            if let Err(error) = self.play(open, fail).await {
                tracing::warn!(device = self.index, round = number, "dropped: {error:#}");
            }
        }
    }

    fn planned(&self, round: u32) -> Option<DropOut> {
        *self.world.plan.get(round as usize - 1)?.get(self.index)?
    }

    async fn play(&self, open: OpenRound, fail: Option<DropOut>) -> Result<()> {
        let number = open.id().number;
        let (index, data) = (self.index, Arc::clone(&self.data));
        let held_out = Arc::clone(&self.held_out);
        let seed = derive(
            &self.world.seed,
            "device",
            &[u64::from(number), index as u64],
        );
        let attack = self.world.attacks.get(index).copied().flatten();
        let coalition = Arc::clone(&self.world.coalition);
        let last = Arc::clone(&self.last);
        let permit = Arc::clone(&self.world.cores).acquire_owned().await?;
        let (open, prepared, upload, head) = tokio::task::spawn_blocking(move || -> Result<_> {
            let device = Behaviour {
                index,
                attack,
                data: &data,
                coalition: &coalition,
            };
            let (prepared, upload) = prepare(&open, &device, &held_out, seed, &last)?;
            drop(permit);
            let head = open.own_head()?;
            Ok((open, prepared, upload, head))
        })
        .await??;
        self.world.uploads.keep_head(number, index, head);
        if fail == Some(DropOut::BeforeUpload) {
            return Ok(());
        }
        // Recorded before it is sent: a device that is gone before its receipt may well be in the sum.
        self.world.uploads.add(number, self.id, upload);
        match fail {
            Some(DropOut::DuringUpload) => {
                let half = prepared.wire().len() / 2;
                break_upload(
                    &self.world.server,
                    &open.id(),
                    &self.id,
                    prepared.wire(),
                    half,
                )
                .await
            }
            Some(DropOut::AfterUpload) => {
                let all = prepared.wire().len();
                break_upload(
                    &self.world.server,
                    &open.id(),
                    &self.id,
                    prepared.wire(),
                    all,
                )
                .await
            }
            _ => {
                open.send(&prepared).await?;
                Ok(())
            }
        }
    }
}

/// Trains, masks, proves and signs. The demo is shown the vector that is hidden, to compare it with what is opened,
/// and seeds the device's generator; a real device's generator is the system's, and it shows nobody.
fn prepare(
    open: &OpenRound,
    device: &Behaviour<'_>,
    held_out: &Dataset,
    seed: [u8; 32],
    last: &Mutex<Option<Message>>,
) -> Result<(PreparedSubmission, Uploaded)> {
    let task = open.verified().task();
    let dimension = open.verified().dimension();
    let training_seed = derive(&seed, "training", &[]);
    let mut rng = ChaCha20Rng::from_seed(derive(&seed, "secrets", &[]));
    let (prepared, mut vector) = match device.attack {
        None => {
            let mut vector = Vec::with_capacity(dimension.padded());
            let data = (device.data, held_out);
            let update = open.train_in_order(training_seed, data, &mut rng)?;
            let shown = |block: &[i32]| vector.extend_from_slice(block);
            (open.prepare_observed(&update, &mut rng, shown)?, vector)
        }
        Some(attack) => {
            let way = open.verified().way();
            // What it keeps to itself is of no use to it.
            let mut head = way.fresh_head(open.model());
            let round = (&way, open.model(), &mut head);
            let sent = device.update(round, task, training_seed, &mut rng)?;
            let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
            let mut vector = Vec::new();
            let prepared = open.prepare_with(|round, credential, key| {
                let crafted =
                    attack.craft(round, credential, key, &sent, last.as_ref(), &mut rng)?;
                vector = crafted.vector;
                *last = Some(crafted.message.clone());
                Ok(crafted.message)
            })?;
            (prepared, vector)
        }
    };
    vector.truncate(dimension.coordinates());
    let bytes = prepared.wire().len() as u64;
    Ok((
        prepared,
        Uploaded {
            index: device.index,
            vector,
            attack: device.attack,
            training_seed,
            bytes,
        },
    ))
}

/// What a device does with its data.
pub struct Behaviour<'a> {
    /// Its number.
    pub index: usize,
    /// What it does instead of what it should.
    pub attack: Option<Attack>,
    /// What it has.
    pub data: &'a Dataset,
    /// What it knows of others, when it is malicious.
    pub coalition: &'a Coalition,
}

impl Behaviour<'_> {
    /// The integers that it sends, without noise.
    pub fn update<R: CryptoRng>(
        &self,
        (way, model, head): (&RoundWay, &Model, &mut Head),
        task: &Task,
        training_seed: [u8; 32],
        rng: &mut R,
    ) -> Result<Vec<i32>> {
        // What devices say of the model changes nothing about it.
        let evaluation = Evaluation::default();
        let spec = &task.train;
        let Some(attack) = self.attack else {
            let delta = way.train(model, head, self.data, spec, training_seed)?;
            return Ok(task.vector(&delta, &evaluation, rng)?);
        };
        let data = attack.data(self.data)?;
        let delta = way.train(model, head, &data, spec, training_seed)?;
        let honest = task.vector(&delta, &evaluation, rng)?;
        let allies = if attack.colludes() {
            self.coalition.allies(way, model, task)?
        } else {
            Arc::new(Allies::alone(&honest, 1))
        };
        let seed = derive(&training_seed, "attack", &[]);
        Ok(attack.update(&honest, &allies, task.quantiser.clip, seed))
    }
}

/// A seed that follows from the demo's seed, a purpose and numbers.
pub fn derive(seed: &[u8; 32], purpose: &str, numbers: &[u64]) -> [u8; 32] {
    let numbers: Vec<u8> = numbers.iter().flat_map(|n| n.to_le_bytes()).collect();
    let digest = dawn_crypto::digest::hash(
        dawn_crypto::digest::labels::SIMULATION,
        &[seed, purpose.as_bytes(), &numbers],
    );
    digest.0
}

/// Sums what the accepted devices sent, coordinate by coordinate.
pub fn true_sum<'a>(accepted: impl Iterator<Item = &'a Uploaded>, dimension: usize) -> Vec<i64> {
    let mut sum = vec![0i64; dimension];
    for upload in accepted {
        for (total, value) in sum.iter_mut().zip(&upload.vector) {
            *total += i64::from(*value);
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exactly_the_asked_for_share_fails() {
        for (devices, rate, failing) in [(100, 0.2, 20), (10, 0.0, 0), (7, 1.0, 7), (3, 0.5, 2)] {
            let plan = drop_outs(devices, rate, [9; 32]);
            assert_eq!(plan.len(), devices);
            assert_eq!(plan.iter().flatten().count(), failing);
        }
        assert_ne!(drop_outs(100, 0.2, [1; 32]), drop_outs(100, 0.2, [2; 32]));
    }

    #[test]
    fn seeds_depend_on_everything() {
        let seed = derive(&[1; 32], "a", &[1, 2]);
        assert_ne!(seed, derive(&[2; 32], "a", &[1, 2]));
        assert_ne!(seed, derive(&[1; 32], "b", &[1, 2]));
        assert_ne!(seed, derive(&[1; 32], "a", &[2, 1]));
    }
}
