//! How well devices do with models of their own: on what they held out, and when they have taken no part.

use std::collections::BTreeMap;

use anyhow::Result;
use dawn_learn::{Dataset, Evaluation, Head, Model, RoundWay, TrainSpec, evaluate};

use super::devices::derive;

/// Heads of devices, by their number; of those that have trained.
pub type Heads = BTreeMap<usize, Head>;

/// All devices' evaluations together, each of its own model on the samples that it held out. None when nothing was.
pub fn on_own(
    way: &RoundWay,
    model: &Model,
    heads: &Heads,
    own: &[Dataset],
) -> Result<Option<Evaluation>> {
    let mut all = Evaluation::default();
    for (index, data) in own.iter().enumerate() {
        let fresh = way.fresh_head(model);
        let own = way.personal(model, heads.get(&index).unwrap_or(&fresh))?;
        add(&mut all, evaluate(&own, data)?);
    }
    Ok((all.total > 0).then_some(all))
}

/// Devices that have taken no part train once from the published model on their own samples, all weights, as the task's devices
/// do, and are judged on their other samples.
pub fn adapted(
    model: &Model,
    spec: &TrainSpec,
    unseen: &[(Dataset, Dataset)],
    seed: [u8; 32],
) -> Result<Option<Evaluation>> {
    let mut all = Evaluation::default();
    for (index, (train, test)) in (0u64..).zip(unseen) {
        let order = derive(&seed, "adapting", &[index]);
        let delta = dawn_learn::train(model, train, spec, order)?;
        let own = dawn_learn::apply_mean(model, delta.values(), 1, 0)?;
        add(&mut all, evaluate(&own, test)?);
    }
    Ok((all.total > 0).then_some(all))
}

fn add(all: &mut Evaluation, one: Evaluation) {
    all.correct += one.correct;
    all.total += one.total;
    all.loss += one.loss;
}
