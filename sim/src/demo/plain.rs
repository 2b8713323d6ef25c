//! The same training without masks and noise, as the yardstick: same split, same devices in each
//! round, same rounding to integers, but the updates are added in the clear. With the malicious devices as they
//! would be if they were honest, or with everything that they send.

use std::sync::Arc;

use anyhow::Result;
use dawn_learn::{Dataset, Model, PublicSet, RoundWay, evaluate};
use dawn_protocol::Task;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;

use super::devices::Behaviour;
use super::own::Heads;
use crate::attack::device::centred;

/// A model that follows the rounds of the demo in the clear.
pub struct PlainRun {
    model: Model,
    heads: Heads,
    task: Task,
    public: Option<Arc<PublicSet>>,
    rng: ChaCha20Rng,
}

/// What a round of the task trains, sends and applies; of a distillation with its public set.
pub fn round_way(task: &Task, public: Option<&Arc<PublicSet>>, number: u32) -> Result<RoundWay> {
    let way = task.round_way(number)?;
    Ok(match public {
        Some(set) => way.with_public_set(Arc::clone(set))?,
        None => way,
    })
}

impl PlainRun {
    /// Starts from the task's initial model.
    pub fn new(model: Model, task: &Task, public: Option<&Arc<PublicSet>>, seed: [u8; 32]) -> Self {
        Self {
            model,
            heads: Heads::new(),
            task: task.clone(),
            public: public.cloned(),
            rng: ChaCha20Rng::from_seed(seed),
        }
    }

    /// One round with these devices; each trains with the seed that it used in the private round. The sum is
    /// one modulo q, as masked sums are. Gives the accuracy on `test` afterwards.
    pub fn round<'a>(
        &mut self,
        number: u32,
        devices: impl Iterator<Item = (Behaviour<'a>, [u8; 32])>,
        test: &Dataset,
    ) -> Result<f64> {
        let way = round_way(&self.task, self.public.as_ref(), number)?;
        let mut sum = vec![0i64; self.task.dimension()?.coordinates()];
        let mut count = 0u32;
        for (device, seed) in devices {
            let fresh = || way.fresh_head(&self.model);
            let head = self.heads.entry(device.index).or_insert_with(fresh);
            let round = (&way, &self.model, head);
            let update = device.update(round, &self.task, seed, &mut self.rng)?;
            for (total, value) in sum.iter_mut().zip(&update) {
                *total += i64::from(*value);
            }
            count += 1;
        }
        if count > 0 {
            let sum: Vec<i32> = sum.into_iter().map(centred).collect();
            let shift = self.task.quantiser.update_shift;
            let updates = &sum[..way.dimension()];
            self.model = way.apply(&self.model, updates, count.into(), shift)?;
        }
        Ok(evaluate(&self.model, test)?.accuracy())
    }
}
