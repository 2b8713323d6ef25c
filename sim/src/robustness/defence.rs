//! What is done with what devices send.

use std::fmt;
use std::str::FromStr;

use dawn_learn::robust::{Aggregation, RobustRule};

/// A way to make a mean of vectors of whom some are an attacker's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Defence {
    /// Everything is added.
    Undefended,
    /// What passes the norm proof is added.
    Norm,
    /// What passes the norm proof and does not point against the last accepted update is added.
    Direction,
    /// What passes the norm proof is added in groups, and a robust rule makes a mean of the groups' means.
    Groups {
        /// How the groups' means become one.
        rule: GroupRule,
        /// Whether every group's mean is mixed with those of its nearest neighbours before.
        mixing: bool,
    },
}

/// The robust rules, without their parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupRule {
    /// The median of every coordinate.
    Median,
    /// The mean of every coordinate without the largest and smallest.
    TrimmedMean,
    /// The point with the smallest sum of distances.
    GeometricMedian,
}

/// Every defence with its name.
pub const DEFENCES: [(&str, Defence); 9] = [
    ("undefended", Defence::Undefended),
    ("norm", Defence::Norm),
    ("norm+direction", Defence::Direction),
    ("median", groups(GroupRule::Median, false)),
    ("trimmed-mean", groups(GroupRule::TrimmedMean, false)),
    (
        "geometric-median",
        groups(GroupRule::GeometricMedian, false),
    ),
    ("median+mixing", groups(GroupRule::Median, true)),
    ("trimmed-mean+mixing", groups(GroupRule::TrimmedMean, true)),
    (
        "geometric-median+mixing",
        groups(GroupRule::GeometricMedian, true),
    ),
];

const fn groups(rule: GroupRule, mixing: bool) -> Defence {
    Defence::Groups { rule, mixing }
}

/// Iterations of the geometric median.
const ITERATIONS: u8 = 16;

impl GroupRule {
    /// The rule for so many groups of which a third, rounded down, may be an attacker's.
    pub fn over(self, groups: usize, mixing: bool) -> RobustRule {
        let bad = bad_groups(groups);
        let cut = u8::try_from(bad).unwrap_or(u8::MAX).max(1);
        RobustRule {
            aggregation: match self {
                Self::Median => Aggregation::Median,
                Self::TrimmedMean => Aggregation::TrimmedMean { cut },
                Self::GeometricMedian => Aggregation::GeometricMedian {
                    iterations: ITERATIONS,
                },
            },
            mixing: mixing.then(|| u8::try_from(groups - bad).unwrap_or(u8::MAX)),
        }
    }
}

/// The most groups that rules are made to bear.
pub fn bad_groups(groups: usize) -> usize {
    groups.saturating_sub(1) / 3
}

impl FromStr for Defence {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = DEFENCES.iter().find(|(name, _)| *name == text);
        found.map(|(_, defence)| *defence).ok_or_else(|| {
            let names: Vec<&str> = DEFENCES.iter().map(|(name, _)| *name).collect();
            format!("there is no defence {text:?}: use {}", names.join(", "))
        })
    }
}

impl fmt::Display for Defence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = DEFENCES.iter().find(|(_, defence)| defence == self);
        f.write_str(name.map_or("", |(name, _)| name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        for (name, defence) in DEFENCES {
            assert_eq!(defence.to_string(), name);
            assert_eq!(name.parse(), Ok(defence));
        }
        assert!("hope".parse::<Defence>().is_err());
    }

    #[test]
    fn rules_fit_their_number_of_groups() {
        for groups in 4..=20 {
            for (_, defence) in DEFENCES {
                if let Defence::Groups { rule, mixing } = defence {
                    rule.over(groups, mixing).check(groups).unwrap();
                }
            }
        }
    }
}
