//! Whose keys count: the founders' and those of the organisations that were let in, as of a place in the register.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use dawn_crypto::digest::Digest;

use crate::federation::{Admission, VerifiedFederation};
use crate::federation_event::ServerKeys;
use crate::ids::OrgId;
use crate::keys::PublicKey;
use crate::member::Member;
use crate::register::RegisterHead;
use crate::register_admission::Pending;
use crate::register_room::Used;
use crate::registration::OrgRegistration;
use crate::roster::VerifiedRoster;
use crate::signed::Verified;

/// A federation's members after some entries of its register ([`Members::push`]). The founders are members from the start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Members {
    pub(crate) federation: Digest,
    pub(crate) admission: Admission,
    /// The aggregator's and the log's, which serve nothing else.
    pub(crate) server: ServerKeys,
    pub(crate) founders: BTreeSet<OrgId>,
    /// How many founders sign a roster.
    pub(crate) roster_quorum: u16,
    pub(crate) members: BTreeMap<OrgId, Member>,
    /// Approved by some founders, and not by enough of them yet.
    pub(crate) pending: BTreeMap<OrgId, Pending>,
    /// The room that the events of each organisation have taken.
    pub(crate) used: BTreeMap<OrgId, Used>,
    /// The rosters of all epochs, from 1.
    pub(crate) rosters: Vec<Arc<VerifiedRoster>>,
    pub(crate) head: RegisterHead,
}

impl Members {
    /// The founders, before anything was registered.
    pub fn founders_of(federation: &VerifiedFederation) -> Self {
        let founders = federation.founders.iter().map(|founder| founder.root);
        let members: BTreeMap<_, _> = founders
            .map(|root| (OrgId::of(&root), Member::new(root)))
            .collect();
        Self {
            federation: federation.digest(),
            admission: federation.admission,
            server: ServerKeys::founded(federation),
            founders: members.keys().copied().collect(),
            roster_quorum: federation.roster_quorum,
            members,
            pending: BTreeMap::new(),
            used: BTreeMap::new(),
            rosters: Vec::new(),
            head: RegisterHead::empty(&federation.digest()),
        }
    }

    /// Digest of the founding document.
    pub fn federation(&self) -> Digest {
        self.federation
    }

    /// The place in the register that this is as of.
    pub fn head(&self) -> RegisterHead {
        self.head
    }

    /// A member, also one that has left.
    pub fn get(&self, org: &OrgId) -> Option<&Member> {
        self.members.get(org)
    }

    /// The current root key of a member that has not left.
    pub fn root(&self, org: &OrgId) -> Option<&PublicKey> {
        let member = self.members.get(org).filter(|member| !member.is_revoked());
        member.map(Member::root)
    }

    /// Whether an organisation founded the federation.
    pub fn is_founder(&self, org: &OrgId) -> bool {
        self.founders.contains(org)
    }

    /// How many organisations did not found the federation, those that some founders have approved included.
    pub fn guests(&self) -> usize {
        self.members.len() - self.founders.len() + self.pending.len()
    }

    /// How many founders have approved an organisation that waits for more.
    pub fn approvals(&self, org: &OrgId) -> usize {
        self.pending.get(org).map_or(0, Pending::approvals)
    }

    /// What founders have approved of an organisation that waits for more of them.
    pub fn pending(&self, org: &OrgId) -> Option<&Verified<OrgRegistration>> {
        self.pending.get(org).map(Pending::registration)
    }

    /// The organisations that some founders have approved and too few, in the order of their identifiers.
    pub fn all_pending(&self) -> impl Iterator<Item = &Verified<OrgRegistration>> {
        self.pending.values().map(Pending::registration)
    }

    /// All members in the order of their identifiers, also those that have left.
    pub fn iter(&self) -> impl Iterator<Item = &Member> {
        self.members.values()
    }
}
