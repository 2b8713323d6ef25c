//! What malicious devices know together: the updates that they would send if they were honest.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use dawn_learn::{Dataset, Evaluation, Model, RoundWay};
use dawn_protocol::Task;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;

use crate::demo::devices::derive;

/// Mean and deviation, coordinate by coordinate, of the updates that the malicious devices would honestly send: what
/// they take for the honest devices' own.
#[derive(Clone, Debug, PartialEq)]
pub struct Allies {
    /// The mean.
    pub mean: Vec<f64>,
    /// The standard deviation.
    pub deviation: Vec<f64>,
    /// How many they are.
    pub malicious: usize,
    /// How many devices there are.
    pub devices: usize,
}

impl Allies {
    /// Those of these updates, of `devices` devices in all.
    pub fn of(updates: &[Vec<i32>], devices: usize) -> Self {
        let count = updates.len().max(1) as f64;
        let length = updates.first().map_or(0, Vec::len);
        let column = |at: usize| updates.iter().map(move |update| f64::from(update[at]));
        let mean: Vec<f64> = (0..length)
            .map(|at| column(at).sum::<f64>() / count)
            .collect();
        let variance = |at: usize| column(at).map(|x| (x - mean[at]).powi(2)).sum::<f64>() / count;
        Self {
            deviation: (0..length).map(|at| variance(at).sqrt()).collect(),
            mean,
            malicious: updates.len(),
            devices,
        }
    }

    /// A malicious device on its own.
    pub fn alone(honest: &[i32], devices: usize) -> Self {
        Self::of(&[honest.to_vec()], devices)
    }

    /// `mean - z deviation`, with the largest z that leaves enough honest devices further away for a majority (Baruch
    /// et al. 2019, section 3).
    pub fn a_little(&self) -> Vec<f64> {
        let z = self.hidden_deviations();
        let pairs = self.mean.iter().zip(&self.deviation);
        pairs
            .map(|(mean, deviation)| mean - z * deviation)
            .collect()
    }

    fn hidden_deviations(&self) -> f64 {
        let (n, m) = (self.devices as f64, self.malicious as f64);
        let supporters = ((n / 2.0).floor() + 1.0 - m).max(0.0);
        normal_quantile(((n - m - supporters) / (n - m).max(1.0)).clamp(0.5, 0.999)).max(0.0)
    }
}

/// The quantile of the standard normal distribution, for probabilities from one half on: bisection of its series.
fn normal_quantile(probability: f64) -> f64 {
    let (mut low, mut high) = (0.0f64, 6.0f64);
    for _ in 0..60 {
        let middle = (low + high) / 2.0;
        if normal_below(middle) < probability {
            low = middle;
        } else {
            high = middle;
        }
    }
    low
}

/// `1/2 + phi(x) (x + x^3/3 + x^5/(3 5) + ...)`.
fn normal_below(x: f64) -> f64 {
    let (mut term, mut sum) = (x, x);
    for k in 1..200 {
        term *= x * x / f64::from(2 * k + 1);
        sum += term;
    }
    0.5 + sum * (-x * x / 2.0).exp() / std::f64::consts::TAU.sqrt()
}

/// The malicious devices' data.
pub struct Coalition {
    shards: Vec<Arc<Dataset>>,
    devices: usize,
    seed: [u8; 32],
    /// The last models that they learnt from: that of the rounds, and that of the undefended twin.
    learnt: Mutex<Vec<(Model, Arc<Allies>)>>,
}

impl Coalition {
    /// These, of so many devices.
    pub fn new(shards: Vec<Arc<Dataset>>, devices: usize, seed: [u8; 32]) -> Self {
        Self {
            shards,
            devices,
            seed,
            learnt: Mutex::default(),
        }
    }

    /// What they know about honest updates of a model. Computed once a model.
    ///
    /// # Errors
    /// When the data does not fit the model.
    pub fn allies(&self, way: &RoundWay, model: &Model, task: &Task) -> Result<Arc<Allies>> {
        let mut learnt = self.learnt.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, known)) = learnt.iter().find(|(known, _)| known == model) {
            return Ok(Arc::clone(known));
        }
        let mut updates = Vec::new();
        for (index, shard) in (0u64..).zip(&self.shards) {
            let order = derive(&self.seed, "coalition's training", &[index]);
            let delta = way.train(model, &mut way.fresh_head(model), shard, &task.train, order)?;
            let rounding = derive(&self.seed, "coalition's rounding", &[index]);
            let rng = &mut ChaCha20Rng::from_seed(rounding);
            updates.push(task.vector(&delta, &Evaluation::default(), rng)?);
        }
        let allies = Arc::new(Allies::of(&updates, self.devices));
        if learnt.len() >= 2 {
            learnt.remove(0);
        }
        learnt.push((model.clone(), Arc::clone(&allies)));
        Ok(allies)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_the_tables() {
        for (probability, expected) in [
            (0.5, 0.0),
            (0.6125, 0.2858),
            (0.975, 1.95996),
            (0.999, 3.0902),
        ] {
            let found = normal_quantile(probability);
            assert!((found - expected).abs() < 1e-3, "{probability}: {found}");
        }
    }

    #[test]
    fn a_little_is_so_many_deviations_below_the_mean() {
        // 20 of 100: 31 of 80 honest ones have to be further away.
        let updates: Vec<Vec<i32>> = (0..20)
            .map(|i| vec![100, if i % 2 == 0 { 10 } else { -10 }])
            .collect();
        let allies = Allies::of(&updates, 100);
        assert_eq!((allies.mean[1], allies.deviation[1]), (0.0, 10.0));
        let moved = allies.a_little();
        assert_eq!(moved[0], 100.0);
        assert!((moved[1] + 2.858).abs() < 0.01, "{moved:?}");
    }
}
