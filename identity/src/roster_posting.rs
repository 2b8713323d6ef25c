//! How a roster gets its place in the register, and with it its epoch (`docs/identity-formats.md`, section 7.3).

use std::sync::Arc;

use dawn_crypto::digest::Digest;
use minicbor::{Decode, Encode};

use crate::ids::OrgId;
use crate::members::Members;
use crate::register::{Entry, MAX_EPOCHS, RegisterError};
use crate::roster::{SignedRoster, VerifiedRoster};
use crate::rule::BrokenRule;
use crate::signed::{Signed, Statement};

/// An organisation puts the roster of the next epoch into the register. Signed by its current root key, with which it has
/// signed the roster as well.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct RosterPosting {
    /// The organisation.
    #[n(0)]
    pub org: OrgId,
    /// Digest of the federation's founding document.
    #[n(1)]
    pub federation: Digest,
    /// The roster with its signatures.
    #[n(2)]
    pub roster: SignedRoster,
    /// When it was made, unix seconds. For people: what counts is the place in the register.
    #[n(3)]
    pub created: u64,
}

impl Statement for RosterPosting {
    const KIND: &'static str = "roster-posting";
    const MAX_BYTES: usize = SignedRoster::MAX_BYTES + 128;

    fn check(&self) -> Result<(), BrokenRule> {
        self.roster.check()?;
        BrokenRule::unless(
            self.roster.peek().federation == self.federation,
            "a roster is posted to the federation that it is of",
        )?;
        let signers = self.roster.signatures();
        BrokenRule::unless(
            signers.iter().any(|signature| signature.org == self.org),
            "whoever posts a roster has signed it",
        )
    }
}

impl Members {
    /// Verifies a roster as of here: it is of the next epoch, and counts under the root keys that are current now. A key that
    /// was replaced before signs nothing, whenever the signature was made.
    pub(crate) fn verify_posting(
        &self,
        signed: &Signed<RosterPosting>,
    ) -> Result<Entry, RegisterError> {
        let RosterPosting {
            org,
            federation,
            roster,
            ..
        } = signed.peek();
        if *federation != self.federation {
            return Err(RegisterError::OtherFederation(*org));
        }
        let root = self.root(org).ok_or(RegisterError::NotAMember(*org))?;
        let posting = signed
            .verify(root)
            .map_err(|source| RegisterError::Signature {
                org: *org,
                source: Box::new(source),
            })?;
        let (newest, found) = (self.rosters.len() as u64, roster.peek().epoch);
        if newest.checked_add(1) != Some(found) {
            return Err(RegisterError::Epoch { newest, found });
        }
        if self.rosters.len() >= MAX_EPOCHS {
            return Err(RegisterError::NoEpochs);
        }
        let roster = roster.verify(self)?;
        Ok(Entry::Roster(posting, Arc::new(roster)))
    }

    /// The rosters of all epochs, the first one first.
    pub fn rosters(&self) -> &[Arc<VerifiedRoster>] {
        &self.rosters
    }

    /// The roster of the newest epoch.
    pub fn newest_roster(&self) -> Option<&Arc<VerifiedRoster>> {
        self.rosters.last()
    }

    /// The roster with this digest.
    pub fn roster(&self, digest: &Digest) -> Option<&Arc<VerifiedRoster>> {
        self.rosters
            .iter()
            .find(|roster| roster.digest() == *digest)
    }

    /// Which roster is in force as of here for what names the roster with this digest: the newest one that *continues* it
    /// ([`VerifiedRoster::continues`]). None when the register has no such roster.
    pub fn roster_in_force(&self, named: &Digest) -> Option<&Arc<VerifiedRoster>> {
        let first = self.roster(named)?;
        self.rosters
            .iter()
            .rev()
            .find(|roster| roster.continues(first))
    }
}
