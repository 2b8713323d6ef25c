//! Splitting a data set over the devices of several organisations: by natural users, or unevenly by labels.
//!
//! In integers, so that the same seed gives the same partition everywhere. The Dirichlet distribution is drawn as a
//! Pólya urn: of a class, the next sample goes to an organisation with a probability proportional to `alpha` plus
//! the number that it already has. The counts are exactly those of first drawing proportions from a symmetric
//! Dirichlet(alpha) and then assigning samples by them, and no logarithm is needed.

use super::{DataError, Dataset};
use crate::randomness::{Stream, index, labels, permutation};
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::vec;
use alloc::vec::Vec;

/// Every device gets at least this many samples.
pub const MIN_SAMPLES: usize = 4;

/// One sample weighs this much in the urn.
const ONE: u64 = 1 << 16;

/// Sizes of devices within an organisation differ up to this factor (above the minimum).
const SIZE_SPREAD: u64 = 8;

/// How a data set is split.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartitionSpec {
    /// Organisations, 1 to 1024.
    pub organisations: usize,
    /// Devices of all organisations together; device `i` belongs to organisation `i % organisations`.
    pub devices: usize,
    /// Concentration of the Dirichlet distribution over organisations, in units of 2^-16. Small: every organisation
    /// knows few labels. Large: all know the same.
    pub alpha: u32,
}

/// The samples of one device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shard {
    /// The organisation that the device belongs to.
    pub organisation: usize,
    /// Indices into the data set.
    pub samples: Vec<u32>,
}

/// Splits all samples over the devices: labels by a Dirichlet distribution per organisation, sizes uneven between
/// devices, at least [`MIN_SAMPLES`] for each. Every sample goes to exactly one device.
///
/// # Errors
/// Fewer devices than organisations, or fewer than [`MIN_SAMPLES`] samples a device; or the data has targets instead of labels.
pub fn partition(
    data: &Dataset,
    spec: &PartitionSpec,
    seed: [u8; 32],
) -> Result<Vec<Shard>, DataError> {
    let PartitionSpec {
        organisations,
        devices,
        alpha,
    } = *spec;
    if organisations == 0 || organisations > 1024 || devices < organisations || alpha == 0 {
        return Err(DataError::Shape(format!(
            "{devices} devices cannot be split over {organisations} organisations with alpha {alpha}/65536"
        )));
    }
    if data.targets().is_some() {
        let what = "a data set with targets has no labels to be split by";
        return Err(DataError::Shape(what.into()));
    }
    if devices
        .checked_mul(MIN_SAMPLES)
        .is_none_or(|least| least > data.len())
    {
        let samples = data.len();
        return Err(DataError::Shape(format!(
            "{samples} samples are fewer than {MIN_SAMPLES} for each of {devices} devices"
        )));
    }
    let devices_of = |organisation: usize| (devices - organisation).div_ceil(organisations);
    let mut pools = deal_labels(data, organisations, alpha, &seed);
    let needs: Vec<usize> = (0..organisations)
        .map(|organisation| devices_of(organisation) * MIN_SAMPLES)
        .collect();
    even_out(&mut pools, &needs);

    let mut shards: Vec<Shard> = (0..devices)
        .map(|device| Shard {
            organisation: device % organisations,
            samples: Vec::new(),
        })
        .collect();
    for (organisation, pool) in pools.into_iter().enumerate() {
        let mut stream = Stream::new(labels::PARTITION, &seed, 1 << 32 | organisation as u64);
        let own: Vec<usize> = (organisation..devices).step_by(organisations).collect();
        let weights: Vec<u64> = own.iter().map(|_| 1 + stream.below(SIZE_SPREAD)).collect();
        for (place, sample) in shuffled(&pool, &seed, 2 << 32 | organisation as u64)
            .into_iter()
            .enumerate()
        {
            let chosen = if place < own.len() * MIN_SAMPLES {
                place % own.len()
            } else {
                draw(&weights, &mut stream)
            };
            shards[own[chosen]].samples.push(sample);
        }
    }
    Ok(shards)
}

/// Gives every user of the data a device with exactly their samples, for data that has natural users.
///
/// `users` names the user of each sample that is dealt, in any order: samples that are left out go to nobody, so that people or times can be
/// held out. Devices are in the order of the users; device `i` belongs to organisation `i % organisations`. The samples of a device keep
/// the order in which they were named.
///
/// # Errors
/// No organisation or more than 1024, fewer users than organisations, or a user with fewer than [`MIN_SAMPLES`] samples.
pub fn partition_by_user<U: Ord>(
    users: impl IntoIterator<Item = (u32, U)>,
    organisations: usize,
) -> Result<Vec<(U, Shard)>, DataError> {
    let mut by_user: BTreeMap<U, Vec<u32>> = BTreeMap::new();
    for (sample, user) in users {
        by_user.entry(user).or_default().push(sample);
    }
    let devices = by_user.len();
    if organisations == 0 || organisations > 1024 || devices < organisations {
        return Err(DataError::Shape(format!(
            "{devices} users cannot be split over {organisations} organisations"
        )));
    }
    let least = by_user.values().map(Vec::len).min().unwrap_or(0);
    if least < MIN_SAMPLES {
        return Err(DataError::Shape(format!(
            "a user has {least} samples, fewer than {MIN_SAMPLES}"
        )));
    }
    let shard = |(device, (user, samples))| {
        let organisation = device % organisations;
        let shard = Shard {
            organisation,
            samples,
        };
        (user, shard)
    };
    Ok(by_user.into_iter().enumerate().map(shard).collect())
}

/// The samples of every organisation.
fn deal_labels(data: &Dataset, organisations: usize, alpha: u32, seed: &[u8; 32]) -> Vec<Vec<u32>> {
    let mut pools = vec![Vec::new(); organisations];
    let all: Vec<u32> = (0..u32::try_from(data.len()).unwrap_or(u32::MAX)).collect();
    let order = shuffled(&all, seed, 3 << 32);
    for class in 0..=u8::MAX {
        let mut stream = Stream::new(labels::PARTITION, seed, u64::from(class));
        let mut urn = vec![u64::from(alpha); organisations];
        for &sample in order
            .iter()
            .filter(|&&sample| data.labels()[sample as usize] == class)
        {
            let organisation = draw(&urn, &mut stream);
            urn[organisation] += ONE;
            pools[organisation].push(sample);
        }
    }
    pools
}

/// Moves samples from the organisation with most to spare to those that have too few for their devices.
fn even_out(pools: &mut [Vec<u32>], needs: &[usize]) {
    for organisation in 0..pools.len() {
        while pools[organisation].len() < needs[organisation] {
            let spare = |&other: &usize| {
                (
                    pools[other].len().saturating_sub(needs[other]),
                    core::cmp::Reverse(other),
                )
            };
            let richest = (0..pools.len()).max_by_key(spare).unwrap_or(organisation);
            let Some(sample) = pools[richest].pop().filter(|_| richest != organisation) else {
                return;
            };
            pools[organisation].push(sample);
        }
    }
}

fn shuffled(samples: &[u32], seed: &[u8; 32], step: u64) -> Vec<u32> {
    let mut order = Vec::new();
    permutation(
        labels::PARTITION,
        seed,
        step,
        &mut order,
        u32::try_from(samples.len()).unwrap_or(u32::MAX),
    );
    order
        .into_iter()
        .map(|entry| samples[index(entry)])
        .collect()
}

/// An index with a probability proportional to its weight.
fn draw(weights: &[u64], stream: &mut Stream) -> usize {
    let mut left = stream.below(weights.iter().sum());
    for (index, &weight) in weights.iter().enumerate() {
        if left < weight {
            return index;
        }
        left -= weight;
    }
    weights.len() - 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::digits;

    fn split(alpha: u32, seed: u8) -> Vec<Shard> {
        let spec = PartitionSpec {
            organisations: 6,
            devices: 100,
            alpha,
        };
        partition(&digits().unwrap().train, &spec, [seed; 32]).unwrap()
    }

    #[test]
    fn every_sample_has_one_device_and_every_device_a_few() {
        for alpha in [1, 1 << 13, 1 << 16, u32::MAX] {
            let shards = split(alpha, 1);
            let mut all: Vec<u32> = shards
                .iter()
                .flat_map(|shard| shard.samples.clone())
                .collect();
            all.sort_unstable();
            assert!(all.into_iter().eq(0..1438), "{alpha}");
            assert!(
                shards
                    .iter()
                    .all(|shard| shard.samples.len() >= MIN_SAMPLES),
                "{alpha}"
            );
            assert!(
                shards
                    .iter()
                    .enumerate()
                    .all(|(device, shard)| shard.organisation == device % 6)
            );
        }
        assert_eq!(split(1 << 16, 1), split(1 << 16, 1));
        assert_ne!(split(1 << 16, 1), split(1 << 16, 2));
    }

    /// Largest share of a label that one organisation holds, averaged over labels.
    fn concentration(shards: &[Shard]) -> f64 {
        let data = digits().unwrap().train;
        let mut counts = [[0u32; 6]; 10];
        for shard in shards {
            for &sample in &shard.samples {
                counts[usize::from(data.labels()[sample as usize])][shard.organisation] += 1;
            }
        }
        let share = |row: &[u32; 6]| {
            f64::from(row.iter().copied().max().unwrap()) / f64::from(row.iter().sum::<u32>())
        };
        counts.iter().map(share).sum::<f64>() / 10.0
    }

    #[test]
    fn a_small_alpha_concentrates_labels() {
        assert!(concentration(&split(1 << 12, 3)) > 0.6);
        assert!(concentration(&split(1 << 26, 3)) < 0.3);
    }

    #[test]
    fn device_sizes_are_uneven() {
        let sizes: Vec<usize> = split(1 << 16, 4)
            .iter()
            .map(|shard| shard.samples.len())
            .collect();
        assert!(
            sizes.iter().max().unwrap() >= &(3 * sizes.iter().min().unwrap()),
            "{sizes:?}"
        );
    }

    #[test]
    fn users_keep_their_samples() {
        let users = ["b", "a", "c", "a", "b"];
        let dealt = || (0u32..).zip((0..20).map(|place| users[place % 5]));
        // Every third sample is held out.
        let shards = partition_by_user(dealt().filter(|(s, _)| s % 3 > 0), 2);
        assert!(shards.is_err(), "c has three samples left");
        let shards = partition_by_user(dealt().filter(|(s, u)| s % 3 > 0 && *u != "c"), 2).unwrap();
        let found: Vec<_> = shards.iter().map(|(u, s)| (*u, s.organisation)).collect();
        assert_eq!(found, [("a", 0), ("b", 1)]);
        assert_eq!(shards[0].1.samples, [1, 8, 11, 13, 16]);
        assert_eq!(shards[1].1.samples, [4, 5, 10, 14, 19]);
        assert_eq!(partition_by_user(dealt(), 3).unwrap().len(), 3);
    }

    #[test]
    fn users_that_are_too_few_are_refused() {
        let user = |samples: u32| (0..samples).map(|sample| (sample, 1));
        for (samples, organisations, error) in [
            (0, 1, "0 users cannot be split over 1 organisations"),
            (4, 2, "1 users cannot be split over 2 organisations"),
            (4, 0, "1 users cannot be split over 0 organisations"),
            (3, 1, "a user has 3 samples, fewer than 4"),
        ] {
            let found = partition_by_user(user(samples), organisations).unwrap_err();
            assert_eq!(found.to_string(), error);
        }
        assert!(partition_by_user(user(4), 1).is_ok());
    }

    #[test]
    fn impossible_partitions_are_refused() {
        let data = digits().unwrap().train;
        for (organisations, devices, alpha) in [
            (0, 1, 1),
            (6, 5, 1),
            (6, 400, 1),
            (6, 100, 0),
            (6, usize::MAX, 1),
        ] {
            assert!(
                partition(
                    &data,
                    &PartitionSpec {
                        organisations,
                        devices,
                        alpha
                    },
                    [0; 32]
                )
                .is_err()
            );
        }
        let empty = Dataset::new(vec![], 3, 0, vec![]).unwrap();
        assert!(
            partition(
                &empty,
                &PartitionSpec {
                    organisations: 1,
                    devices: 1,
                    alpha: 1
                },
                [0; 32]
            )
            .is_err()
        );
    }
}
