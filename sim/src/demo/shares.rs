//! Who has which data: what each device learns from, what it holds out of its own, and what nobody learns from.

use std::path::Path;

use anyhow::{Result, ensure};
use dawn_learn::Dataset;
use dawn_learn::data::{Arm, Origin, PartitionSpec, Shard, partition, partition_by_user, watch};

use super::DemoOptions;
use super::setting::DataSource;

/// Where `dawn data fetch watch` puts the data when it is not told.
pub const WATCH_FOLDER: &str = "watch";

/// The data of a demo.
pub struct Shares {
    /// What each device learns from.
    pub devices: Vec<Dataset>,
    /// Which member each device belongs to.
    pub owners: Vec<usize>,
    /// What each device holds out of its own data; empty data sets when nobody holds anything out.
    pub own: Vec<Dataset>,
    /// Held out; nobody learns from it. Of data with natural users all samples of those that take no part.
    pub test: Dataset,
    /// Devices of people that take no part: what they would learn from, and what they would be judged with.
    pub unseen: Vec<(Dataset, Dataset)>,
}

impl Shares {
    /// Splits the data over the devices: by people where it has any, else unevenly by lot.
    pub fn split(options: &DemoOptions, holds_out: bool) -> Result<Self> {
        match options.data {
            DataSource::Watch => Self::by_people(options),
            _ => Self::by_lot(options, holds_out),
        }
    }

    fn by_lot(options: &DemoOptions, holds_out: bool) -> Result<Self> {
        let split = options.data.load(options.data_dir.as_deref())?;
        let spec = PartitionSpec {
            organisations: usize::from(options.organisations),
            devices: options.devices as usize,
            // Organisations know different labels, but none only one.
            alpha: 1 << 16,
        };
        let shards: Vec<Shard> = partition(&split.train, &spec, options.seed_for("partition"))?;
        // Every fifth sample: a device has at least four, so that there is always something to learn from.
        let is_held_out = |place: usize| holds_out && place % 5 == 3;
        let part = |shard: &Shard, held_out| {
            let samples = shard.samples.iter().enumerate();
            let samples = samples.filter(|(place, _)| is_held_out(*place) == held_out);
            let samples: Vec<u32> = samples.map(|(_, sample)| *sample).collect();
            split.train.subset(&samples)
        };
        let parts = |held_out| {
            let parts = shards.iter().map(|shard| part(shard, held_out));
            parts.collect::<Result<Vec<_>, _>>()
        };
        Ok(Self {
            devices: parts(false)?,
            own: parts(true)?,
            owners: shards.iter().map(|shard| shard.organisation).collect(),
            test: split.test,
            unseen: Vec::new(),
        })
    }

    /// A device an arm of everybody but the people that take no part. Devices hold out the ends of their recordings.
    fn by_people(options: &DemoOptions) -> Result<Self> {
        let folder = options.data_dir.as_deref();
        let data = watch(folder.unwrap_or_else(|| Path::new(WATCH_FOLDER)))?;
        let unseen = |origin: &Origin| options.unseen.contains(&origin.person);
        let early = (0u32..).zip(&data.origins);
        let early = early.filter(|(_, origin)| !unseen(origin) && !origin.late);
        let early = early.map(|(sample, origin)| (sample, (origin.person, origin.arm)));
        let shards = partition_by_user(early, usize::from(options.organisations))?;
        ensure!(
            shards.len() == options.devices as usize,
            "the watch data has {} devices of people that are not --unseen: leave --devices out",
            shards.len()
        );
        let of = |person: u8, arm: Arm, late: bool| {
            let wanted = |o: &Origin| (o.person, o.arm, o.late) == (person, arm, late);
            data.windows.subset(&data.select(wanted))
        };
        let mut without = Vec::new();
        for person in &options.unseen {
            for arm in [Arm::Left, Arm::Right] {
                without.push((of(*person, arm, false)?, of(*person, arm, true)?));
            }
        }
        let test = data.select(unseen);
        ensure!(
            !test.is_empty(),
            "--unseen names nobody of the watch data's people, who are 1 to 10"
        );
        let own = shards
            .iter()
            .map(|((person, arm), _)| of(*person, *arm, true));
        Ok(Self {
            own: own.collect::<Result<_, _>>()?,
            owners: shards.iter().map(|(_, shard)| shard.organisation).collect(),
            devices: shards
                .iter()
                .map(|(_, shard)| data.windows.subset(&shard.samples))
                .collect::<Result<_, _>>()?,
            test: data.windows.subset(&test)?,
            unseen: without,
        })
    }
}
