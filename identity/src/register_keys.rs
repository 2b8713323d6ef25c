//! One key, one purpose (`docs/identity-formats.md`, section 1), as far as the register shows whose a key is.

use crate::ids::{OrgId, StewardId};
use crate::keys::PublicKey;
use crate::member::Member;
use crate::members::Members;
use crate::register::RegisterError;
use crate::roster::RosterEntry;

impl RosterEntry {
    /// Whether a key is the steward's, or that of its parts of beacons.
    fn has(&self, key: &PublicKey) -> bool {
        self.steward == *key || self.vrf.as_bytes() == key.as_bytes()
    }
}

impl Members {
    /// One root key, one organisation, for ever; never the federation's own, and never one of a steward's in a roster.
    pub(crate) fn check_new_root(&self, org: OrgId, key: &PublicKey) -> Result<(), RegisterError> {
        let in_use = self.server.contains(key)
            || self.is_root(key, Some(org))
            || self.seated().any(|entry| entry.has(key))
            || self.has_revoked_steward(&org, key);
        unless(in_use, org, key)
    }

    /// Neither the federation's own nor one of the organisation's own stewards. Those of others are not compared: nobody shows
    /// that he holds the issuer key that he announces, so a stranger's certificate for it means nothing, and whoever brings a
    /// roster must not be able to keep another's issuer from being announced.
    pub(crate) fn check_new_issuer(
        &self,
        org: OrgId,
        key: &PublicKey,
    ) -> Result<(), RegisterError> {
        let mut own = self.seated().filter(|entry| entry.org == org);
        let in_use = self.server.contains(key)
            || own.any(|entry| entry.has(key))
            || self.has_revoked_steward(&org, key);
        unless(in_use, org, key)
    }

    /// Whether the keys of a steward are not those of another purpose: the federation's, a root key of a founder or of one of
    /// these organisations, or an issuer key of its own organisation. The root keys of other members are not compared, or the
    /// owner of a steward could undo a signed roster by registering the steward's key as one more organisation; nor are other
    /// issuers, which anybody may name.
    pub fn may_seat(&self, entry: &RosterEntry, among: &[RosterEntry]) -> bool {
        let orgs = || {
            self.founders
                .iter()
                .chain(among.iter().map(|other| &other.org))
        };
        let mut roots = orgs()
            .filter_map(|org| self.members.get(org))
            .flat_map(Member::roots);
        let mut issuers = self
            .members
            .get(&entry.org)
            .into_iter()
            .flat_map(|member| &member.issuers)
            .map(|issuer| &issuer.key);
        !self.server.all().any(|key| entry.has(key))
            && !roots.any(|key| entry.has(key))
            && !issuers.any(|key| entry.has(key))
    }

    /// Neither one of the server's, nor anybody's root key, nor in a roster, nor a founder's issuer, now or before. Other members'
    /// issuer keys are not compared: they come without proof of possession, so that whoever reads a proposed key could keep it
    /// out by announcing it.
    pub(crate) fn is_somebodys(&self, key: &PublicKey) -> bool {
        let issues = |member: &Member| self.is_founder(&member.org) && member.has_announced(key);
        self.server.contains(key)
            || self.seated().any(|entry| entry.has(key))
            || self.is_root(key, None)
            || self.members.values().any(issues)
    }

    /// Whether a key is or was anybody's root key, also of who waits to be let in, but for one that waits.
    fn is_root(&self, key: &PublicKey, but: Option<OrgId>) -> bool {
        let others = self.pending.iter().filter(|(org, _)| Some(**org) != but);
        let pending = others.map(|(_, pending)| pending.root());
        let mut roots = self.members.values().flat_map(Member::roots).chain(pending);
        roots.any(|root| root == key)
    }

    /// The stewards of all rosters.
    fn seated(&self) -> impl Iterator<Item = &RosterEntry> {
        self.rosters.iter().flat_map(|roster| roster.stewards())
    }

    fn has_revoked_steward(&self, org: &OrgId, key: &PublicKey) -> bool {
        let member = self.members.get(org);
        let revoked = member.map(|member| &member.revoked_stewards);
        revoked.is_some_and(|revoked| revoked.contains(&StewardId::of(org, key)))
    }
}

fn unless(in_use: bool, org: OrgId, key: &PublicKey) -> Result<(), RegisterError> {
    if in_use {
        return Err(RegisterError::KeyInUse { org, key: key.id() });
    }
    Ok(())
}
