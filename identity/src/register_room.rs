//! How much room an organisation's events have in the register. What takes trust back from a key must always have some, also
//! when whoever has stolen another key says as much as that one may.

use crate::event::Change;

/// Events so far, and their bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Spent {
    events: u64,
    bytes: usize,
}

impl Spent {
    pub(crate) fn fits(&self, bytes: usize, most: u64, most_bytes: usize) -> bool {
        self.events < most && self.bytes.saturating_add(bytes) <= most_bytes
    }

    pub(crate) fn add(&mut self, bytes: usize) {
        self.events += 1;
        self.bytes = self.bytes.saturating_add(bytes);
    }
}

/// What an organisation has used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Used {
    pub(crate) root: Spent,
    pub(crate) issuer: Spent,
    pub(crate) urgent: u64,
}

/// Whose room an event takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Room {
    /// None that is counted here: leaving ends everything, and root keys have a bound of their own.
    Own,
    /// That of revocations of issuers and stewards.
    Urgent,
    /// That of what issuer keys sign.
    Issuer,
    /// That of what the root key signs.
    Root,
}

impl Room {
    pub(crate) fn of(change: &Change, by_issuer: bool) -> Self {
        match change {
            Change::RevokeOrganisation | Change::Root { .. } => Self::Own,
            Change::RevokeIssuer { .. } | Change::RevokeSteward { .. } => Self::Urgent,
            Change::Issuer { .. } | Change::RevokeDevices { .. } if by_issuer => Self::Issuer,
            Change::Issuer { .. } | Change::RevokeDevices { .. } => Self::Root,
        }
    }
}
