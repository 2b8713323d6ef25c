//! A party's copy of the register, which it can look at as of any place.

use dawn_crypto::digest::Digest;

use crate::federation::VerifiedFederation;
use crate::members::Members;
use crate::register::{Entry, RegisterError, RegisterHead};

/// All entries that a party has seen, verified, and the members that follow. It only grows: what somebody shows later has to
/// continue it.
#[derive(Clone, Debug)]
pub struct Register {
    founders: Members,
    entries: Vec<Entry>,
    /// Digest of the head after each entry.
    heads: Vec<Digest>,
    members: Members,
}

impl Register {
    /// An empty one.
    pub fn new(federation: &VerifiedFederation) -> Self {
        let founders = Members::founders_of(federation);
        Self {
            members: founders.clone(),
            founders,
            entries: Vec::new(),
            heads: Vec::new(),
        }
    }

    /// Verifies the next entry and takes it.
    ///
    /// # Errors
    /// [`RegisterError`]; nothing changes then.
    pub fn push(&mut self, entry: &[u8]) -> Result<&Entry, RegisterError> {
        let entry = self.members.push(entry)?;
        self.heads.push(self.members.head().digest);
        self.entries.push(entry);
        Ok(&self.entries[self.entries.len() - 1])
    }

    /// Where it ends.
    pub fn head(&self) -> RegisterHead {
        self.members.head()
    }

    /// The members after all entries.
    pub fn members(&self) -> &Members {
        &self.members
    }

    /// The entries in their order.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Whether a place is one of this register.
    pub fn contains(&self, head: &RegisterHead) -> bool {
        let known = match head.entries.checked_sub(1) {
            None => Some(&self.founders.head.digest),
            Some(last) => usize::try_from(last)
                .ok()
                .and_then(|last| self.heads.get(last)),
        };
        known == Some(&head.digest)
    }

    /// The members as of a place; `None` when it is not one of this register, or lies beyond its end.
    pub fn at(&self, head: &RegisterHead) -> Option<Members> {
        if *head == self.head() {
            return Some(self.members.clone());
        }
        if !self.contains(head) {
            return None;
        }
        let mut members = self.founders.clone();
        // Verified in this order before.
        for entry in self
            .entries
            .iter()
            .take(usize::try_from(head.entries).ok()?)
        {
            members.apply(entry);
        }
        Some(members)
    }
}
