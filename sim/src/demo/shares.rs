//! Who has which data: what each device learns from, what it holds out of its own, and what nobody learns from.

use std::path::Path;

use anyhow::{Result, ensure};
use dawn_learn::data::{Arm, Origin, PartitionSpec, Shard, partition, partition_by_user, watch};
use dawn_learn::{Dataset, PublicSet, Way};

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
    /// Of a distillation: samples that everybody has without labels, and no device learns from.
    pub public: Option<PublicSet>,
}

/// Which samples are public: so many of them, spread evenly over all. The others, and they.
fn set_apart(samples: Vec<u32>, public: u32) -> Result<(Vec<u32>, Vec<u32>)> {
    let (all, public) = (samples.len(), public as usize);
    ensure!(
        public <= all / 2,
        "--way distillation takes {public} of the {all} samples that devices would learn from: leave them at least half"
    );
    // The place of a sample grows over a multiple of all with every public one.
    let (apart, rest): (Vec<_>, Vec<_>) = (0..)
        .zip(samples)
        .partition(|(place, _)| (place + 1) * public / all > place * public / all);
    let samples = |of: Vec<(usize, u32)>| of.into_iter().map(|(_, sample)| sample).collect();
    Ok((samples(rest), samples(apart)))
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
        let mut split = options.data.load(options.data_dir.as_deref())?;
        let public = Way::public_samples(&options.way)?;
        let public = match public {
            None => None,
            Some(count) => {
                let all = (0..u32::try_from(split.train.len())?).collect();
                let (rest, public) = set_apart(all, count)?;
                let public = PublicSet::new(&split.train.subset(&public)?)?;
                split.train = split.train.subset(&rest)?;
                Some(public)
            }
        };
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
            public,
        })
    }

    /// A device an arm of everybody but the people that take no part. Devices hold out the ends of their recordings.
    fn by_people(options: &DemoOptions) -> Result<Self> {
        let folder = options.data_dir.as_deref();
        let data = watch(folder.unwrap_or_else(|| Path::new(WATCH_FOLDER)))?;
        let unseen = |origin: &Origin| options.unseen.contains(&origin.person);
        let mut early = data.select(|origin| !unseen(origin) && !origin.late);
        let mut public = None;
        if let Some(count) = Way::public_samples(&options.way)? {
            let (rest, apart) = set_apart(early, count)?;
            early = rest;
            public = Some(PublicSet::new(&data.windows.subset(&apart)?)?);
        }
        let early = early.into_iter().map(|sample| {
            let origin = &data.origins[sample as usize];
            (sample, (origin.person, origin.arm))
        });
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
            public,
        })
    }
}
