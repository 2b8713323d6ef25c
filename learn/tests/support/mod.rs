//! Federated averaging in one process, without masks: what the protocol computes when nobody misbehaves.

#![allow(clippy::unwrap_used)]

use dawn_learn::data::{PartitionSpec, digits, partition};
use dawn_learn::{Dataset, Evaluation, Model, ModelSpec, Settings, apply_update, evaluate, train};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// A federation that learns the digits.
pub struct Federation {
    pub model: ModelSpec,
    pub settings: Settings,
    pub organisations: usize,
    pub devices: usize,
    /// Devices of each round, chosen at random.
    pub participants: usize,
    pub rounds: u32,
    /// Concentration of labels, in units of 2^-16.
    pub alpha: u32,
    /// Standard deviation of the noise on a coordinate of a round's sum, in units of an update.
    pub noise: f64,
}

impl Federation {
    /// 100 devices of 6 organisations, 10 rounds, all devices in every round; each adds only the smallest error that
    /// masking allows, 6.37 units (`docs/protocol.md`, section 3).
    pub fn plain(model: ModelSpec, settings: Settings) -> Self {
        Self {
            model,
            settings,
            organisations: 6,
            devices: 100,
            participants: 100,
            rounds: 10,
            alpha: 1 << 16,
            noise: 6.37 * 100f64.sqrt(),
        }
    }

    /// 80 of 100 devices in every round, and noise of 2.2 times the clip bound on the sum: epsilon about 8 for every
    /// device over 10 rounds, at delta 1e-5.
    pub fn private(model: ModelSpec, settings: Settings) -> Self {
        let noise = 2.2 * f64::from(settings.quantiser.clip);
        Self {
            participants: 80,
            noise,
            ..Self::plain(model, settings)
        }
    }

    /// Learns, and evaluates on the test images after every round.
    pub fn run(&self, seed: u8) -> Vec<Evaluation> {
        let data = digits().unwrap();
        let spec = PartitionSpec {
            organisations: self.organisations,
            devices: self.devices,
            alpha: self.alpha,
        };
        let shards = partition(&data.train, &spec, [seed; 32]).unwrap();
        let local: Vec<Dataset> = shards
            .iter()
            .map(|shard| data.train.subset(&shard.samples).unwrap())
            .collect();
        let mut rng = ChaCha20Rng::seed_from_u64(seed.into());
        let mut model = Model::initial(self.model, [seed; 32]).unwrap();
        let Settings {
            train: train_spec,
            quantiser,
        } = self.settings;
        let mut history = Vec::new();
        for _ in 0..self.rounds {
            let mut sum = vec![0i64; self.model.parameters()];
            for device in choose(self.participants, self.devices, &mut rng) {
                let mut train_seed = [0; 32];
                rng.fill_bytes(&mut train_seed);
                let delta = train(&model, &local[device], &train_spec, train_seed).unwrap();
                for (sum, x) in sum
                    .iter_mut()
                    .zip(quantiser.quantise(&delta, &mut rng).unwrap())
                {
                    *sum += i64::from(x);
                }
            }
            for sum in &mut sum {
                *sum += (self.noise * normal(&mut rng)).round() as i64;
            }
            let count = u32::try_from(self.participants).unwrap();
            model = apply_update(&model, &sum, count, quantiser.update_shift).unwrap();
            history.push(evaluate(&model, &data.test).unwrap());
        }
        history
    }
}

/// `count` different devices.
fn choose(count: usize, devices: usize, rng: &mut ChaCha20Rng) -> Vec<usize> {
    let mut keyed: Vec<(u64, usize)> = (0..devices)
        .map(|device| (rng.next_u64(), device))
        .collect();
    keyed.sort_unstable();
    keyed
        .into_iter()
        .map(|(_, device)| device)
        .take(count)
        .collect()
}

/// A standard normal number (Box and Muller).
fn normal(rng: &mut ChaCha20Rng) -> f64 {
    let mut uniform = || (rng.next_u64() >> 11) as f64 / 2f64.powi(53);
    (-2.0 * (1.0 - uniform()).ln()).sqrt() * (2.0 * std::f64::consts::PI * uniform()).cos()
}
