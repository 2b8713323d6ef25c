//! Data, model and bounds of the trainings.

use std::ops::RangeInclusive;

use anyhow::{Result, ensure};
use dawn_crypto::norm::NormParams;
use dawn_crypto::norm::params::Rows;
use dawn_crypto::params::{Dimension, Q, Sigma};
use dawn_learn::data::{PartitionSpec, partition};
use dawn_learn::direction::least_limit;
use dawn_learn::{Dataset, ModelSpec, Preset, Settings, Split};

use super::Plan;
use crate::demo::devices::derive;

/// Organisations of the federation; each has its own mix of labels.
const ORGANISATIONS: usize = 6;

/// Deviations of the noise between what honest updates have along the direction and what is proven (`docs/protocol.md`,
/// section 4.5).
const SLACK_DEVIATIONS: f64 = 10.0;

/// What all trainings of a seed have in common.
pub struct Scene {
    /// One training set a device.
    pub shards: Vec<Dataset>,
    /// Held out; nobody trains on it.
    pub test: Dataset,
    /// The model's shape.
    pub model: ModelSpec,
    /// Training and quantisation.
    pub settings: Settings,
    /// Deviation of a device's noise: the least that masking allows.
    pub sigma: Sigma,
    /// Coordinates.
    pub dimension: Dimension,
    /// The norm proof.
    pub params: NormParams,
    /// What is proven of the product of a vector, noise included, with the direction.
    pub along: RangeInclusive<i64>,
    /// The norm of the direction.
    pub direction_limit: u32,
}

impl Scene {
    /// Splits the data over the devices.
    ///
    /// # Errors
    /// The data does not fit the plan.
    pub fn new(plan: &Plan, split: &Split, seed: u64) -> Result<Self> {
        let (model, clip) = (plan.model, plan.clip_percent);
        ensure!(
            model.inputs() == split.train.inputs(),
            "the model {model} has {} inputs, the {} data has {}",
            model.inputs(),
            plan.data,
            split.train.inputs()
        );
        let train = some_of(&split.train, plan.samples)?;
        let spec = PartitionSpec {
            organisations: ORGANISATIONS.min(plan.devices),
            devices: plan.devices,
            // As in the demo: organisations know different labels, but none only one.
            alpha: 1 << 16,
        };
        let shards = partition(&train, &spec, derive(&[0; 32], "robustness", &[seed]))?;
        let mut settings = Preset::Plain.settings(&model);
        if let Some(epochs) = plan.epochs {
            settings.train.epochs = epochs;
        }
        let clip = u64::from(settings.quantiser.clip) * u64::from(clip) / 100;
        settings.quantiser.clip = u32::try_from(clip)?.max(1);
        let dimension = Dimension::new(model.parameters())?;
        let (clip, sigma) = (settings.quantiser.clip, Sigma::ERROR_MIN);
        let params = NormParams::derive(&dimension, u64::from(clip), sigma, Rows::R256)?;
        // Fine enough that rounding does not turn the direction, and no product wraps around.
        let least = least_limit(dimension.coordinates());
        let longest = u64::from(Q / 4 - 1) / params.max_norm();
        ensure!(
            longest >= u64::from(least),
            "no direction fits such long updates: choose a smaller clip bound"
        );
        let direction_limit = least.saturating_mul(8).min(longest as u32);
        let slack = (SLACK_DEVIATIONS * sigma.to_f64() * f64::from(direction_limit)).ceil() as i64;
        let most = i64::from(clip) * i64::from(direction_limit);
        Ok(Self {
            shards: shards
                .iter()
                .map(|shard| train.subset(&shard.samples))
                .collect::<Result<_, _>>()?,
            test: some_of(&split.test, plan.test_samples)?,
            model,
            settings,
            sigma,
            dimension,
            params,
            along: -slack..=most + slack,
            direction_limit,
        })
    }
}

/// So many samples, evenly from all.
fn some_of(data: &Dataset, samples: Option<usize>) -> Result<Dataset> {
    let count = samples.unwrap_or(data.len()).min(data.len());
    let chosen: Vec<u32> = (0..count)
        .map(|i| (i * data.len() / count) as u32)
        .collect();
    Ok(data.subset(&chosen)?)
}
