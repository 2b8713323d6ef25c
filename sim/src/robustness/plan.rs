//! Which trainings there are, and what came of them.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Result, ensure};
use dawn_learn::ModelSpec;
use serde::Serialize;

use super::clear::{Case, Outcome};
use super::defence::{DEFENCES, Defence};
use super::scene::Scene;
use crate::attack::{ATTACKS, Attack};
use crate::demo::DataSource;

/// The attacks that differ in what is added; all others have one of these vectors, or are refused whatever they mask.
pub const VECTORS: [Attack; 10] = [
    Attack::Scale,
    Attack::SignFlip,
    Attack::Gaussian,
    Attack::HalfModulus,
    Attack::Random,
    Attack::Wrap,
    Attack::WithinBound,
    Attack::Ipm,
    Attack::Alie,
    Attack::LabelFlip,
];

/// The trainings of a measurement.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What is learnt from.
    pub data: DataSource,
    /// The folder of the data, when it is not where a package installs it.
    pub data_dir: Option<PathBuf>,
    /// The model.
    pub model: ModelSpec,
    /// The most training samples; all when absent.
    pub samples: Option<usize>,
    /// The most test samples; all when absent.
    pub test_samples: Option<usize>,
    /// Epochs of local training; the preset's when absent.
    pub epochs: Option<u16>,
    /// The clip bound in per cent of the preset's.
    pub clip_percent: u32,
    /// Devices.
    pub devices: usize,
    /// Rounds of a training.
    pub rounds: u32,
    /// Groups of the robust rules.
    pub groups: usize,
    /// The first seed, and how many.
    pub seeds: (u64, u64),
    /// What malicious devices do.
    pub attacks: Vec<Attack>,
    /// Their shares, without 0, which is always there.
    pub shares: Vec<f64>,
    /// What is done about it.
    pub defences: Vec<Defence>,
}

/// What came of the trainings of one attack, share and defence.
#[derive(Clone, Debug, Serialize)]
pub struct Cell {
    /// The attack; none at a share of 0.
    pub attack: Option<String>,
    /// The share of malicious devices.
    pub share: f64,
    /// The defence.
    pub defence: String,
    /// Mean final accuracy over the seeds, 0..=1.
    pub accuracy: f64,
    /// The lowest of them.
    pub lowest: f64,
    /// The highest of them.
    pub highest: f64,
    /// Share of the malicious submissions that were accepted.
    pub malicious_accepted: f64,
    /// Mean norm of what honest devices would send, in clip bounds.
    pub honest_length: f64,
    /// Honest submissions that were refused, of all seeds.
    pub honest_refused: u32,
    /// Honest submissions that lost what they had against the direction, of all seeds.
    pub honest_turned: u32,
}

/// All of a measurement.
#[derive(Clone, Debug, Serialize)]
pub struct Results {
    /// The data set.
    pub data: String,
    /// The model.
    pub model: String,
    /// Its parameters.
    pub parameters: usize,
    /// Training samples of all devices.
    pub samples: usize,
    /// Devices.
    pub devices: usize,
    /// Rounds of a training.
    pub rounds: u32,
    /// Epochs of local training.
    pub epochs: u16,
    /// The clip bound C.
    pub clip: u32,
    /// What an accepted vector's norm is at most, in clip bounds.
    pub longest: f64,
    /// Groups of the robust rules.
    pub groups: usize,
    /// Seeds.
    pub seeds: Vec<u64>,
    /// Trainings.
    pub trainings: u32,
    /// Seconds of all of them.
    pub seconds: f64,
    /// One per attack, share and defence; those without attackers first.
    pub cells: Vec<Cell>,
}

impl Plan {
    /// All attacks, defences and shares of the issue on a data set.
    pub fn full(data: DataSource) -> Self {
        let (model, devices) = match data {
            DataSource::Digits => (data.model(false), 50),
            DataSource::Fashion => (data.model(true), 50),
            DataSource::Watch => (data.model(false), 50),
        };
        Self {
            data,
            data_dir: None,
            model,
            samples: None,
            test_samples: None,
            epochs: None,
            clip_percent: 100,
            devices,
            rounds: 10,
            groups: 10,
            seeds: (1, 1),
            attacks: VECTORS.to_vec(),
            shares: vec![0.1, 0.2, 0.3],
            defences: DEFENCES.iter().map(|(_, defence)| *defence).collect(),
        }
    }

    fn check(&self) -> Result<()> {
        ensure!(
            (4..=5_000).contains(&self.devices),
            "--devices must be between 4 and 5000"
        );
        ensure!(
            (1..=1_000).contains(&self.rounds),
            "--rounds must be between 1 and 1000"
        );
        ensure!(
            (4..=self.devices / 2).contains(&self.groups),
            "--groups must be between 4 and half of the devices"
        );
        ensure!(
            (1..=100).contains(&self.clip_percent),
            "--clip-percent must be between 1 and 100"
        );
        ensure!(self.seeds.1 >= 1, "--seeds must be at least 1");
        ensure!(
            self.shares.iter().all(|share| (0.0..0.5).contains(share)),
            "--shares must be at least 0 and below 0.5"
        );
        Ok(())
    }

    fn cases(&self) -> Vec<Case> {
        let groups = self.groups;
        let case = |attack, share, defence| Case {
            attack,
            share,
            defence,
            groups,
        };
        let honest = self.defences.iter().map(|d| case(None, 0.0, *d));
        let mut cases: Vec<Case> = honest.collect();
        for (_, attack) in ATTACKS {
            if self.attacks.contains(&attack) {
                for share in self.shares.iter().filter(|share| **share > 0.0) {
                    cases.extend(self.defences.iter().map(|d| case(Some(attack), *share, *d)));
                }
            }
        }
        cases
    }

    /// Trains all of it; `each` is shown every cell when it is there.
    ///
    /// # Errors
    /// A plan that cannot be, or data that cannot be read.
    pub fn run(&self, mut each: impl FnMut(&Cell)) -> Result<Results> {
        self.check()?;
        let begun = Instant::now();
        let split = self.data.load(self.data_dir.as_deref())?;
        let seeds: Vec<u64> = (self.seeds.0..self.seeds.0 + self.seeds.1).collect();
        let scenes = seeds.iter().map(|seed| Scene::new(self, &split, *seed));
        let scenes = scenes.collect::<Result<Vec<_>>>()?;
        let (mut cells, mut trainings) = (Vec::new(), 0);
        // What came of cases that are the same training.
        let mut known: Vec<(Case, Vec<Outcome>)> = Vec::new();
        for case in self.cases() {
            let same = known
                .iter()
                .find(|(other, _)| case.is_the_same_training(other));
            let outcomes = match same {
                Some((_, outcomes)) => outcomes.clone(),
                None => {
                    let trained = scenes.iter().zip(&seeds);
                    let trained =
                        trained.map(|(scene, seed)| scene.train(case, self.rounds, *seed));
                    trainings += seeds.len() as u32;
                    trained.collect::<Result<Vec<_>>>()?
                }
            };
            let cell = Cell::of(&case, &outcomes);
            each(&cell);
            cells.push(cell);
            known.push((case, outcomes));
        }
        let scene = &scenes[0];
        let clip = scene.settings.quantiser.clip;
        Ok(Results {
            data: self.data.to_string(),
            model: self.model.to_string(),
            parameters: self.model.parameters(),
            samples: scene.shards.iter().map(dawn_learn::Dataset::len).sum(),
            devices: self.devices,
            rounds: self.rounds,
            epochs: scene.settings.train.epochs,
            clip,
            longest: scene.params.max_norm() as f64 / f64::from(clip),
            groups: self.groups,
            trainings,
            seeds,
            seconds: begun.elapsed().as_secs_f64(),
            cells,
        })
    }
}

impl Cell {
    fn of(case: &Case, outcomes: &[Outcome]) -> Self {
        let accuracies = || outcomes.iter().map(|outcome| outcome.accuracy);
        let total = |of: fn(&Outcome) -> u32| outcomes.iter().map(of).sum::<u32>();
        Self {
            attack: case.attack.map(|attack| attack.to_string()),
            share: case.share,
            defence: case.defence.to_string(),
            accuracy: accuracies().sum::<f64>() / outcomes.len().max(1) as f64,
            lowest: accuracies().fold(1.0, f64::min),
            highest: accuracies().fold(0.0, f64::max),
            malicious_accepted: f64::from(total(|o| o.malicious_accepted))
                / f64::from(total(|o| o.malicious).max(1)),
            honest_length: outcomes.iter().map(|o| o.honest_lengths.0).sum::<f64>()
                / f64::from(total(|o| o.honest_lengths.1).max(1)),
            honest_refused: total(|o| o.honest_refused),
            honest_turned: total(|o| o.honest_turned),
        }
    }
}

impl Results {
    /// The cell of an attack at a share under a defence; the one without attackers at a share of 0.
    pub fn cell(&self, attack: &str, share: f64, defence: &str) -> Option<&Cell> {
        self.cells.iter().find(|cell| {
            cell.defence == defence
                && (cell.share - share).abs() < 1e-9
                && (share == 0.0 || cell.attack.as_deref() == Some(attack))
        })
    }
}
