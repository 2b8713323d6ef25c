//! Malicious devices: what they send instead of their update, and how they try to prove it.
//!
//! A vector that is within the task's bound is proven honestly: nobody can tell it from another, and the most
//! that it does is what a vector of that length can do. For a longer one there is no proof, so they forge one.

use std::fmt;
use std::str::FromStr;

use anyhow::Result;
use dawn_crypto::norm::projection::Projection;
use dawn_crypto::norm::{Hidden, NormParams, NormProof, NormSeeds};
use dawn_crypto::params::Q;
use dawn_learn::Dataset;
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng as _, SeedableRng as _};

/// What malicious devices do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attack {
    /// Their update, a hundred times as long as it may be.
    Scale,
    /// Their update, reversed and a hundred times as long: it undoes what all others have learnt.
    SignFlip,
    /// Their update, reversed and as long as an update may be: within the bound, and proven honestly.
    WithinBound,
    /// They train on wrong labels: within the bound, and proven honestly.
    LabelFlip,
    /// Gaussian noise that is a hundred times as long as an update may be.
    Gaussian,
    /// Every coordinate is half the modulus: two of them add up to nearly nothing.
    HalfModulus,
    /// Uniform elements of the field.
    Random,
    /// A few coordinates whose squares, modulo q, add up to little.
    Wrap,
    /// A long update with its true projections, written with digits that are none.
    ForgedDigits,
    /// A long update with the proof of an honest one.
    ForeignProof,
}

/// Every attack with its name.
const NAMES: [(&str, Attack); 10] = [
    ("scale", Attack::Scale),
    ("sign-flip", Attack::SignFlip),
    ("within-bound", Attack::WithinBound),
    ("label-flip", Attack::LabelFlip),
    ("gaussian", Attack::Gaussian),
    ("half-modulus", Attack::HalfModulus),
    ("random", Attack::Random),
    ("wrap", Attack::Wrap),
    ("forged-digits", Attack::ForgedDigits),
    ("foreign-proof", Attack::ForeignProof),
];

impl FromStr for Attack {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = NAMES.iter().find(|(name, _)| *name == text);
        found.map(|(_, attack)| *attack).ok_or_else(|| {
            let names: Vec<&str> = NAMES.iter().map(|(name, _)| *name).collect();
            format!("there is no attack {text:?}: use {}", names.join(", "))
        })
    }
}

impl fmt::Display for Attack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = NAMES.iter().find(|(_, attack)| attack == self);
        f.write_str(name.map_or("", |(name, _)| name))
    }
}

/// How much longer than honest ones long vectors are.
const STRETCH: i32 = 100;
/// The largest magnitude of an element of the field.
const HALF: i32 = (Q / 2) as i32;

impl Attack {
    /// What a malicious device trains on.
    pub fn data(self, data: &Dataset) -> Result<Dataset> {
        if self != Self::LabelFlip {
            return Ok(data.clone());
        }
        let most = data
            .labels()
            .iter()
            .copied()
            .max()
            .unwrap_or_default()
            .max(9);
        let labels = data.labels().iter().map(|label| most - label).collect();
        let rows = (0..data.len()).flat_map(|sample| data.row(sample).to_vec());
        Ok(Dataset::new(
            rows.collect(),
            data.inputs(),
            data.exponent(),
            labels,
        )?)
    }

    /// What it sends instead of its update.
    pub fn update(self, honest: &[i32], clip: u32, seed: [u8; 32]) -> Vec<i32> {
        let mut rng = ChaCha20Rng::from_seed(seed);
        let stretched = |x: &i32| x.saturating_mul(STRETCH).clamp(-HALF, HALF);
        match self {
            Self::LabelFlip => honest.to_vec(),
            Self::WithinBound => of_length(honest, -f64::from(clip)),
            Self::SignFlip => of_length(honest, -f64::from(STRETCH) * f64::from(clip)),
            Self::Scale | Self::ForgedDigits | Self::ForeignProof => {
                of_length(honest, f64::from(STRETCH) * f64::from(clip))
            }
            Self::Gaussian => {
                let deviation = f64::from(clip) / (honest.len() as f64).sqrt();
                let noise = honest.iter().map(|_| {
                    // Twelve uniform numbers: near enough for an attacker.
                    let sum: f64 = (0..12)
                        .map(|_| f64::from(rng.next_u32()) / 2f64.powi(32))
                        .sum();
                    ((sum - 6.0) * deviation).ceil() as i32
                });
                noise.map(|x| stretched(&x)).collect()
            }
            Self::HalfModulus => vec![HALF; honest.len()],
            Self::Random => {
                let uniform = honest
                    .iter()
                    .map(|_| (rng.next_u64() % u64::from(Q)) as i64);
                uniform.map(|x| (x - i64::from(HALF)) as i32).collect()
            }
            Self::Wrap => {
                // 65536^2 is 2^20 - 1 modulo q.
                let mut long = honest.to_vec();
                long.iter_mut().take(16).for_each(|x| *x = 1 << 16);
                long
            }
        }
    }

    /// The digits that it proves about, for the vector (all padded coordinates) that it masks.
    pub fn digits(self, params: &NormParams, context: &[u8], hidden: Hidden<'_>) -> Vec<u32> {
        if self == Self::ForgedDigits {
            return stray_digits(params, context, hidden.v);
        }
        // A vector that can be proven about is proven as it is, and else a shorter one in its place.
        let mut claimed = hidden.v.to_vec();
        loop {
            let hidden = Hidden {
                v: &claimed,
                ..hidden
            };
            match NormProof::digits(params, context, hidden) {
                Ok(digits) => return digits.to_vec(),
                Err(_) => claimed.iter_mut().for_each(|x| *x /= 2),
            }
        }
    }
}

/// A vector stretched to a length, with the opposite direction when that is negative.
fn of_length(x: &[i32], length: f64) -> Vec<i32> {
    let norm = x.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
    let factor = length / norm.max(1.0);
    let stretched = x.iter().map(|x| (f64::from(*x) * factor) as i32);
    stretched.map(|x| x.clamp(-HALF, HALF)).collect()
}

/// The true projections, each in the first digit of its row, and what makes the norm right in the first digit of
/// the slack: everything holds but that they are digits.
fn stray_digits(params: &NormParams, context: &[u8], v: &[i32]) -> Vec<u32> {
    let modulus = i64::from(Q);
    let seed = NormSeeds::new(context, &[]).projection;
    let projected = Projection::new(seed.0, params.rows()).and_then(|matrix| matrix.project(v));
    let projected = projected.map(|z| z.to_vec()).unwrap_or_default();
    let (half, per_row) = (1i64 << (params.range_bits() - 1), params.digits_per_row());
    let mut digits = vec![0; params.digits()];
    for (row, z) in digits.chunks_exact_mut(per_row).zip(projected) {
        row[0] = (i64::from(z) + half).rem_euclid(modulus) as u32;
    }
    // Without their upper digits all projections are in the lowest interval.
    let lowest = 1023i64 * 1023 * params.rows() as i64;
    let slack = (i64::from(params.bound()) - lowest).rem_euclid(modulus);
    digits[params.rows() * per_row] = slack as u32;
    digits
}

/// Which devices are malicious: exactly `round(devices * share)` of them, the same in every round.
pub fn malicious(devices: usize, share: f64, seed: [u8; 32]) -> Vec<bool> {
    let mut rng = ChaCha20Rng::from_seed(seed);
    let mut chosen = vec![false; devices];
    let mut left = (devices as f64 * share).round() as usize;
    for (place, chosen) in chosen.iter_mut().enumerate() {
        // Each with the probability that leaves the right number for the others.
        if rng.next_u64() % ((devices - place) as u64) < left as u64 {
            *chosen = true;
            left -= 1;
        }
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exactly_the_asked_for_share_is_malicious() {
        for (devices, share, count) in [(100, 0.2, 20), (10, 0.0, 0), (7, 1.0, 7), (3, 0.5, 2)] {
            let chosen = malicious(devices, share, [9; 32]);
            assert_eq!(chosen.len(), devices);
            assert_eq!(chosen.iter().filter(|c| **c).count(), count);
        }
    }

    #[test]
    fn names_are_read_as_they_are_written() {
        for (name, attack) in NAMES {
            assert_eq!(attack.to_string(), name);
            assert_eq!(name.parse(), Ok(attack));
        }
        assert!("tickle".parse::<Attack>().is_err());
    }

    #[test]
    fn what_is_sent_is_long_but_for_what_stays_within_the_bound() {
        let honest: Vec<i32> = (0..3000).map(|i| i % 7 - 3).collect();
        let clip = 500;
        for (name, attack) in NAMES {
            let sent = attack.update(&honest, clip, [1; 32]);
            let norm = sent
                .iter()
                .map(|x| f64::from(*x).powi(2))
                .sum::<f64>()
                .sqrt();
            let short = matches!(attack, Attack::WithinBound | Attack::LabelFlip);
            assert_eq!(norm <= f64::from(clip), short, "{name}: {norm}");
            assert_eq!(sent.len(), honest.len());
        }
    }
}
