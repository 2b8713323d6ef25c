//! What malicious stewards do.

use std::fmt;
use std::str::FromStr;

/// What a malicious steward does in a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StewardAttack {
    /// Its answer about every submission is beside the polynomial.
    WrongAnswers,
    /// It says of every package that it does not open.
    ComplainAboutAll,
    /// It publishes a sealing key, so that everybody counts on it, and never speaks again.
    Silent,
    /// It reports honestly, and opens with another sum than that of its shares.
    WrongOpening,
}

/// Every one with its name.
pub const STEWARD_ATTACKS: [(&str, StewardAttack); 4] = [
    ("wrong-answers", StewardAttack::WrongAnswers),
    ("complain-about-all", StewardAttack::ComplainAboutAll),
    ("silent", StewardAttack::Silent),
    ("wrong-opening", StewardAttack::WrongOpening),
];

impl FromStr for StewardAttack {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = STEWARD_ATTACKS.iter().find(|(name, _)| *name == text);
        found.map(|(_, attack)| *attack).ok_or_else(|| {
            let names: Vec<&str> = STEWARD_ATTACKS.iter().map(|(name, _)| *name).collect();
            format!("stewards have no attack {text:?}: use {}", names.join(", "))
        })
    }
}

impl fmt::Display for StewardAttack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = STEWARD_ATTACKS.iter().find(|(_, attack)| attack == self);
        f.write_str(name.map_or("", |(name, _)| name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        for (name, attack) in STEWARD_ATTACKS {
            assert_eq!(attack.to_string(), name);
            assert_eq!(name.parse(), Ok(attack));
        }
        assert!("tickle".parse::<StewardAttack>().is_err());
    }
}
