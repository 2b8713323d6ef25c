//! Attacks as code: what malicious devices and stewards do, for the demo, for tests and for measurements
//! (`docs/attacks.md` says what comes of each).
//!
//! | module | explains |
//! |---|---|
//! | [`vectors`] | what is masked instead of the update |
//! | [`coalition`] | what malicious devices know together |
//! | [`digits`] | what is proven about it |
//! | [`device`] | a device's submission, with everything else that may be wrong about it |
//! | [`steward`] | what malicious stewards do |
//! | [`lying`] | one that does it over HTTP |

pub mod coalition;
pub mod device;
pub mod digits;
pub mod lying;
pub mod steward;
pub mod vectors;

use std::fmt;
use std::str::FromStr;

use dawn_learn::Dataset;
use dawn_learn::data::DataError;
use dawn_protocol::prepare::Tampering;
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng as _, SeedableRng as _};

pub use coalition::{Allies, Coalition};
pub use steward::StewardAttack;

/// What malicious devices do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Attack {
    /// Their update, a hundred times as long as it may be.
    Scale,
    /// Their update, reversed and a hundred times as long: it undoes what all others have learnt.
    SignFlip,
    /// Their update, reversed and as long as an update may be: within the bound, and proven honestly.
    WithinBound,
    /// They train on wrong labels: within the bound, and proven honestly.
    LabelFlip,
    /// A little is enough (Baruch et al. 2019): the mean of their own honest updates, moved by as many deviations as
    /// hide among the others. Within the bound, and proven honestly.
    Alie,
    /// Inner product manipulation (Xie et al. 2020): the mean of their own honest updates, reversed and halved.
    Ipm,
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
    /// An update of three times the bound with its true projections, whose squares no slack makes up for.
    WrongSlack,
    /// A long update with the proof of an honest one.
    ForeignProof,
    /// A long update under a key that is chosen after the projection, so that it has the projection of a short one.
    LateKey,
    /// One steward's share is beside the polynomial of the others.
    OffPolynomial1,
    /// Those of two are.
    OffPolynomial2,
    /// Those of three are.
    OffPolynomial3,
    /// Two stewards get each other's packages.
    SwappedPackages,
    /// One steward gets a package that does not open, and complains.
    BadPackage,
    /// The packages and the payload of the round before, under a new header.
    Replay,
}

/// Every attack with its name.
pub const ATTACKS: [(&str, Attack); 20] = [
    ("scale", Attack::Scale),
    ("sign-flip", Attack::SignFlip),
    ("within-bound", Attack::WithinBound),
    ("label-flip", Attack::LabelFlip),
    ("alie", Attack::Alie),
    ("ipm", Attack::Ipm),
    ("gaussian", Attack::Gaussian),
    ("half-modulus", Attack::HalfModulus),
    ("random", Attack::Random),
    ("wrap", Attack::Wrap),
    ("forged-digits", Attack::ForgedDigits),
    ("wrong-slack", Attack::WrongSlack),
    ("foreign-proof", Attack::ForeignProof),
    ("late-key", Attack::LateKey),
    ("off-polynomial-1", Attack::OffPolynomial1),
    ("off-polynomial-2", Attack::OffPolynomial2),
    ("off-polynomial-3", Attack::OffPolynomial3),
    ("swapped-packages", Attack::SwappedPackages),
    ("bad-package", Attack::BadPackage),
    ("replay", Attack::Replay),
];

impl FromStr for Attack {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = ATTACKS.iter().find(|(name, _)| *name == text);
        found.map(|(_, attack)| *attack).ok_or_else(|| {
            let names: Vec<&str> = ATTACKS.iter().map(|(name, _)| *name).collect();
            format!("there is no attack {text:?}: use {}", names.join(", "))
        })
    }
}

impl fmt::Display for Attack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = ATTACKS.iter().find(|(_, attack)| attack == self);
        f.write_str(name.map_or("", |(name, _)| name))
    }
}

impl Attack {
    /// What a malicious device trains on.
    ///
    /// # Errors
    /// None for a data set that exists.
    pub fn data(self, data: &Dataset) -> Result<Dataset, DataError> {
        if self != Self::LabelFlip {
            return Ok(data.clone());
        }
        let highest = data.labels().iter().copied().max().unwrap_or_default();
        let most = highest.max(9);
        let labels = data.labels().iter().map(|label| most - label).collect();
        let rows = (0..data.len()).flat_map(|sample| data.row(sample).to_vec());
        Dataset::new(rows.collect(), data.inputs(), data.exponent(), labels)
    }

    /// Whether what it masks is longer than anything that the norm proof lets pass.
    pub fn is_beyond_the_bound(self) -> bool {
        matches!(
            self,
            Self::Scale
                | Self::SignFlip
                | Self::Gaussian
                | Self::HalfModulus
                | Self::Random
                | Self::Wrap
                | Self::ForgedDigits
                | Self::WrongSlack
                | Self::ForeignProof
                | Self::LateKey
        )
    }

    /// Whether it needs what all malicious devices know together.
    pub fn colludes(self) -> bool {
        matches!(self, Self::Alie | Self::Ipm)
    }

    /// What is wrong about its shares, commitments and packages.
    pub fn tampering(self) -> Tampering {
        match self {
            Self::LateKey => Tampering::LateKey,
            Self::OffPolynomial1 => Tampering::MovedShares(1),
            Self::OffPolynomial2 => Tampering::MovedShares(2),
            Self::OffPolynomial3 => Tampering::MovedShares(3),
            Self::SwappedPackages => Tampering::SwappedPackages,
            Self::BadPackage => Tampering::SpoiltPackage,
            _ => Tampering::None,
        }
    }
}

/// What each device does: exactly `round(devices * share)` of them are malicious, the same in every round; the attacks
/// go round among them.
pub fn assigned(
    devices: usize,
    share: f64,
    attacks: &[Attack],
    seed: [u8; 32],
) -> Vec<Option<Attack>> {
    let mut rng = ChaCha20Rng::from_seed(seed);
    let mut kinds = attacks.iter().cycle();
    let mut left = (devices as f64 * share).round() as usize;
    let choose = |place: usize| {
        // Each with the probability that leaves the right number for the others.
        if rng.next_u64() % ((devices - place) as u64) < left as u64 {
            left -= 1;
            return kinds.next().copied();
        }
        None
    };
    (0..devices).map(choose).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exactly_the_asked_for_share_is_malicious() {
        let kinds = [Attack::Scale, Attack::Wrap];
        for (devices, share, count) in [(100, 0.2, 20), (10, 0.0, 0), (7, 1.0, 7), (4, 0.5, 2)] {
            let chosen = assigned(devices, share, &kinds, [9; 32]);
            assert_eq!(chosen.len(), devices);
            assert_eq!(chosen.iter().flatten().count(), count);
            let of = |kind| chosen.iter().flatten().filter(|a| **a == kind).count();
            assert_eq!(of(Attack::Scale), count.div_ceil(2));
            assert_eq!(of(Attack::Wrap), count / 2);
        }
        let none = assigned(3, 0.5, &[], [9; 32]);
        assert_eq!(none, [None; 3]);
    }

    #[test]
    fn names_are_read_as_they_are_written() {
        for (name, attack) in ATTACKS {
            assert_eq!(attack.to_string(), name);
            assert_eq!(name.parse(), Ok(attack));
        }
        assert!("tickle".parse::<Attack>().is_err());
    }
}
