//! One training in the clear, under one attack and one defence.

use anyhow::Result;
use dawn_crypto::gaussian::Gaussian;
use dawn_crypto::norm::{Hidden, NormProof};
use dawn_learn::direction::direction;
use dawn_learn::robust::GroupSum;
use dawn_learn::{
    Dataset, Model, along as without_what_opposes, apply_mean, apply_update, evaluate, train,
};
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng as _, SeedableRng as _};

use super::defence::Defence;
use super::scene::Scene;
use crate::attack::device::centred;
use crate::attack::vectors::norm;
use crate::attack::{Allies, Attack, assigned};
use crate::demo::devices::derive;

/// Who attacks, and what is done about it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Case {
    /// What malicious devices do.
    pub attack: Option<Attack>,
    /// Their share.
    pub share: f64,
    /// What is done with what devices send.
    pub defence: Defence,
    /// Groups of the robust rules.
    pub groups: usize,
}

impl Case {
    /// Whether both leave the same devices in every sum, and so are the same training: vectors that no norm proof lets
    /// pass are in none of them, whatever they are.
    pub fn is_the_same_training(&self, other: &Self) -> bool {
        let refused = |case: &Self| {
            case.defence != Defence::Undefended
                && case.attack.is_some_and(Attack::is_beyond_the_bound)
        };
        let differs = self.share != other.share || self.groups != other.groups;
        !differs && self.defence == other.defence && refused(self) && refused(other)
    }
}

/// What came of a training.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Outcome {
    /// Accuracy on the held-out test set after the last round, 0..=1.
    pub accuracy: f64,
    /// Submissions of malicious devices.
    pub malicious: u32,
    /// Those of them that were accepted.
    pub malicious_accepted: u32,
    /// Submissions of honest devices that were refused.
    pub honest_refused: u32,
    /// Sum of the norms of what honest devices would send, in clip bounds, and their number.
    pub honest_lengths: (f64, u32),
    /// Submissions of honest devices whose update lost what it had against the direction.
    pub honest_turned: u32,
}

struct Device {
    attack: Option<Attack>,
    data: Dataset,
}

/// The state of a training.
struct Training<'a> {
    scene: &'a Scene,
    case: Case,
    seed: [u8; 32],
    devices: Vec<Device>,
    model: Model,
    /// The direction of the last update; none before there was one.
    row: Option<Vec<i32>>,
    outcome: Outcome,
}

impl Scene {
    /// Trains for so many rounds.
    ///
    /// # Errors
    /// The data does not fit the model.
    pub fn train(&self, case: Case, rounds: u32, seed: u64) -> Result<Outcome> {
        let seed = derive(&[0; 32], "robustness", &[seed]);
        let kinds: Vec<Attack> = case.attack.into_iter().collect();
        let malicious = derive(&seed, "malicious devices", &[]);
        let attacks = assigned(self.shards.len(), case.share, &kinds, malicious);
        let devices = attacks
            .into_iter()
            .zip(&self.shards)
            .map(|(attack, shard)| {
                let data = attack.map_or_else(|| Ok(shard.clone()), |attack| attack.data(shard))?;
                Ok(Device { attack, data })
            });
        let mut training = Training {
            scene: self,
            case,
            seed,
            devices: devices.collect::<Result<_>>()?,
            model: Model::initial(self.model, derive(&seed, "initial model", &[]))?,
            row: None,
            outcome: Outcome::default(),
        };
        for round in 1..=rounds {
            training.round(u64::from(round))?;
        }
        training.outcome.accuracy = evaluate(&training.model, &self.test)?.accuracy();
        Ok(training.outcome)
    }
}

impl Training<'_> {
    fn round(&mut self, round: u64) -> Result<()> {
        let mut accepted = Vec::new();
        let sent = self.updates(round)?;
        for (index, mut x) in (0u64..).zip(sent) {
            let honest = self.devices[index as usize].attack.is_none();
            if honest {
                let clip = f64::from(self.scene.settings.quantiser.clip);
                let (sum, count) = self.outcome.honest_lengths;
                self.outcome.honest_lengths = (sum + norm(&x) / clip, count + 1);
            }
            if honest && let Some(row) = self.opposed(&x) {
                // What the client library does.
                x = without_what_opposes(row, &x, self.scene.settings.quantiser.clip);
                self.outcome.honest_turned += 1;
            }
            let v = self.noisy(&x, round, index);
            let counts = self.passes(&v, round, index)?;
            self.outcome.malicious += u32::from(!honest);
            self.outcome.malicious_accepted += u32::from(!honest && counts);
            self.outcome.honest_refused += u32::from(honest && !counts);
            if counts {
                accepted.push(v);
            }
        }
        let next = self.next_model(accepted, round)?;
        if next != self.model {
            let limit = self.scene.direction_limit;
            self.row = Some(direction(&self.model, &next, limit)?);
        }
        self.model = next;
        Ok(())
    }

    /// What every device masks, noise aside.
    fn updates(&self, round: u64) -> Result<Vec<Vec<i32>>> {
        let settings = &self.scene.settings;
        let honest = self.devices.iter().zip(0u64..).map(|(device, index)| {
            let order = derive(&self.seed, "training", &[round, index]);
            let delta = train(&self.model, &device.data, &settings.train, order)?;
            let rounding = derive(&self.seed, "rounding", &[round, index]);
            let rng = &mut ChaCha20Rng::from_seed(rounding);
            Ok(settings.quantiser.quantise(&delta, rng)?)
        });
        let mut updates = honest.collect::<Result<Vec<Vec<i32>>>>()?;
        let malicious = |device: &&Device| device.attack.is_some();
        if self.devices.iter().any(|device| malicious(&device)) {
            let own = updates.iter().zip(&self.devices);
            let own = own.filter(|(_, device)| malicious(device));
            let own: Vec<Vec<i32>> = own.map(|(update, _)| update.clone()).collect();
            let allies = Allies::of(&own, self.devices.len());
            for (index, device) in self.devices.iter().enumerate() {
                if let Some(attack) = device.attack {
                    let seed = derive(&self.seed, "attack", &[round, index as u64]);
                    let clip = settings.quantiser.clip;
                    updates[index] = attack.update(&updates[index], &allies, clip, seed);
                }
            }
        }
        Ok(updates)
    }

    /// The direction, where it is asked for and the update is against it.
    fn opposed(&self, x: &[i32]) -> Option<&[i32]> {
        let row = self.row.as_deref()?;
        let asked = self.case.defence == Defence::Direction;
        (asked && along(row, x) < 0).then_some(row)
    }

    /// `x + e` modulo q.
    fn noisy(&self, x: &[i32], round: u64, index: u64) -> Vec<i32> {
        let rng = &mut ChaCha20Rng::from_seed(derive(&self.seed, "noise", &[round, index]));
        let mut v = vec![0; self.scene.dimension.padded()];
        Gaussian::new(self.scene.sigma).fill(rng, &mut v);
        for (v, x) in v.iter_mut().zip(x) {
            *v = centred(i64::from(*v) + i64::from(*x));
        }
        v
    }

    /// Whether a submission that masks `v` and is proven as well as it can be is accepted.
    fn passes(&self, v: &[i32], round: u64, index: u64) -> Result<bool> {
        let params = &self.scene.params;
        if self.case.defence == Defence::Undefended {
            return Ok(true);
        }
        // It would pass with probability 2^-70.
        if norm(v) > params.max_norm() as f64 {
            return Ok(false);
        }
        // Otherwise the projections of a submission decide, as they do in the protocol.
        let context = derive(&self.seed, "projection", &[round, index]);
        if NormProof::digits(params, &context, Hidden::vector(v)).is_err() {
            return Ok(false);
        }
        Ok(match (&self.row, self.case.defence) {
            (Some(row), Defence::Direction) => self.scene.along.contains(&along(row, v)),
            _ => true,
        })
    }

    /// The model after what was accepted.
    fn next_model(&self, mut accepted: Vec<Vec<i32>>, round: u64) -> Result<Model> {
        let shift = self.scene.settings.quantiser.update_shift;
        if accepted.is_empty() {
            return Ok(self.model.clone());
        }
        let Defence::Groups { rule, mixing } = self.case.defence else {
            let count = accepted.len() as u32;
            return Ok(apply_update(
                &self.model,
                &self.sum(&accepted),
                count,
                shift,
            )?);
        };
        // Drawn after everything is fixed, as from a beacon.
        let lots = derive(&self.seed, "groups", &[round]);
        shuffle(&mut accepted, &mut ChaCha20Rng::from_seed(lots));
        let groups = self.case.groups.min(accepted.len());
        let (count, from) = (accepted.len(), |group: usize| {
            group * accepted.len() / groups
        });
        let members: Vec<&[Vec<i32>]> = (0..groups)
            .map(|group| &accepted[from(group)..from(group + 1).min(count)])
            .collect();
        let sums: Vec<Vec<i32>> = members.iter().map(|members| self.sum(members)).collect();
        let sums: Vec<GroupSum<'_>> = sums
            .iter()
            .zip(&members)
            .map(|(sum, members)| GroupSum {
                sum,
                members: members.len() as u32,
            })
            .collect();
        let mean = rule.over(groups, mixing).estimate(&sums)?;
        let (numerators, denominator) = (&mean.numerators, mean.denominator);
        Ok(apply_mean(&self.model, numerators, denominator, shift)?)
    }

    /// The sum modulo q of the coordinates of the update.
    fn sum(&self, vectors: &[Vec<i32>]) -> Vec<i32> {
        let mut sum = vec![0i64; self.scene.dimension.coordinates()];
        for vector in vectors {
            for (total, value) in sum.iter_mut().zip(vector) {
                *total += i64::from(*value);
            }
        }
        sum.into_iter().map(centred).collect()
    }
}

/// The product with a row, which is zero beyond its end.
fn along(row: &[i32], x: &[i32]) -> i64 {
    let products = row.iter().zip(x);
    products.map(|(g, x)| i64::from(*g) * i64::from(*x)).sum()
}

fn shuffle<T>(items: &mut [T], rng: &mut ChaCha20Rng) {
    for i in (1..items.len()).rev() {
        items.swap(i, (rng.next_u64() % (i as u64 + 1)) as usize);
    }
}
