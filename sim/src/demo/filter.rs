//! What a demo's task asks of updates beside their norm.

use std::fmt;
use std::str::FromStr;

use dawn_protocol::Functional;

/// A filter on updates that nobody sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filter {
    /// None points against the last accepted update (docs/protocol.md, section 4.5).
    Direction,
}

impl Filter {
    /// What the task asks for.
    pub fn functional(self) -> Functional {
        match self {
            Self::Direction => Functional::Direction,
        }
    }
}

impl FromStr for Filter {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "direction" => Ok(Self::Direction),
            _ => Err(format!("there is no filter {text:?}: use direction")),
        }
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Direction => f.write_str("direction"),
        }
    }
}
