//! The same training without masks and noise, as the yardstick: same split, same devices in each
//! round, same rounding to integers, but the updates are added in the clear.

use anyhow::Result;
use dawn_learn::{Dataset, Model, Quantiser, TrainSpec, apply_update, evaluate, train};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;

/// A model that follows the rounds of the demo in the clear.
pub struct PlainRun {
    model: Model,
    train: TrainSpec,
    quantiser: Quantiser,
    rng: ChaCha20Rng,
}

impl PlainRun {
    /// Starts from the task's initial model.
    pub fn new(model: Model, train: TrainSpec, quantiser: Quantiser, seed: [u8; 32]) -> Self {
        Self {
            model,
            train,
            quantiser,
            rng: ChaCha20Rng::from_seed(seed),
        }
    }

    /// One round with the devices that the private round accepted; each trains with the seed that
    /// it used there. Gives the accuracy on `test` afterwards.
    pub fn round<'a>(
        &mut self,
        devices: impl Iterator<Item = (&'a Dataset, [u8; 32])>,
        test: &Dataset,
    ) -> Result<f64> {
        let mut sum = vec![0i64; self.model.weights().len()];
        let mut count = 0u32;
        for (data, seed) in devices {
            let delta = train(&self.model, data, &self.train, seed)?;
            let update = self.quantiser.quantise(&delta, &mut self.rng)?;
            for (total, value) in sum.iter_mut().zip(&update) {
                *total += i64::from(*value);
            }
            count += 1;
        }
        if count > 0 {
            self.model = apply_update(&self.model, &sum, count, self.quantiser.update_shift)?;
        }
        Ok(evaluate(&self.model, test)?.accuracy())
    }
}
