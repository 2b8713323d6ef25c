//! How an organisation comes into the register: by its own registration, or under *approval* only inside what a founder has
//! signed (`docs/identity-formats.md`, sections 5.1 and 5.4). So whoever knows no founder takes no place in it.

use std::collections::BTreeSet;

use crate::event::OrgApproval;
use crate::federation::Admission;
use crate::ids::OrgId;
use crate::keys::PublicKey;
use crate::member::Member;
use crate::members::Members;
use crate::register::{Entry, MAX_GUESTS, RegisterError};
use crate::registration::OrgRegistration;
use crate::signed::{Signed, Verified};

/// Most organisations that one founder has approved and too few others have: so much a stolen root key of a founder can take,
/// until it is replaced.
pub const MAX_OPEN_APPROVALS: usize = 64;

/// An organisation that some founders have approved, and not enough of them yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pending {
    registration: Verified<OrgRegistration>,
    approvals: BTreeSet<OrgId>,
}

impl Pending {
    /// How many founders have approved it.
    pub(crate) fn approvals(&self) -> usize {
        self.approvals.len()
    }

    /// Its root key.
    pub(crate) fn root(&self) -> &PublicKey {
        &self.registration.root
    }

    /// What they have approved.
    pub(crate) fn registration(&self) -> &Verified<OrgRegistration> {
        &self.registration
    }
}

impl Members {
    pub(crate) fn verify_registration(
        &self,
        signed: Signed<OrgRegistration>,
    ) -> Result<Entry, RegisterError> {
        let org = signed.peek().org();
        if self.needs_approval(&org) {
            return Err(RegisterError::Unapproved(org));
        }
        self.verify_newcomer(&signed).map(Entry::Registration)
    }

    /// Whether an organisation comes in by founders' approvals alone.
    pub fn needs_approval(&self, org: &OrgId) -> bool {
        matches!(self.admission, Admission::Approval { .. }) && !self.is_founder(org)
    }

    /// Verifies the registration of an organisation that is not in yet, as far as it does not depend on founders' approvals.
    ///
    /// # Errors
    /// [`RegisterError`].
    pub fn verify_newcomer(
        &self,
        signed: &Signed<OrgRegistration>,
    ) -> Result<Verified<OrgRegistration>, RegisterError> {
        let created = signed.peek().created;
        // What counts is the time at which it was made, the same for everybody who looks later.
        let registration = signed.verify_registration(&self.federation, created)?;
        let org = registration.org();
        let known = self.members.get(&org);
        if known.is_some_and(|member| member.head().is_some()) {
            return Err(RegisterError::Registered(org));
        }
        if known.is_none() {
            self.check_new_root(org, &registration.root)?;
            // One that waits has its place already.
            if !self.pending.contains_key(&org) && self.guests() >= MAX_GUESTS {
                return Err(RegisterError::NoRoom);
            }
        }
        self.check_new_issuer(org, &registration.issuer.peek().key)?;
        Ok(registration)
    }

    pub(crate) fn verify_approval(
        &self,
        signed: Signed<OrgApproval>,
    ) -> Result<Entry, RegisterError> {
        let (org, approver) = (signed.peek().org(), signed.peek().approver);
        if signed.peek().federation() != self.federation {
            return Err(RegisterError::OtherFederation(approver));
        }
        let useless = RegisterError::Approval { org, approver };
        if !self.needs_approval(&org) {
            return Err(useless);
        }
        let root = self.root(&approver).filter(|_| self.is_founder(&approver));
        let root = root.ok_or(useless.clone())?;
        let pending = self.pending.get(&org);
        let another = pending.is_some_and(|pending| {
            pending.approvals.contains(&approver)
                || pending.registration.body_digest() != signed.peek().registration.body_digest()
        });
        if another || self.members.contains_key(&org) {
            return Err(useless);
        }
        let signature = |source| RegisterError::Signature {
            org: approver,
            source: Box::new(source),
        };
        let approval = signed.into_verified(root).map_err(signature)?;
        let registration = self.verify_newcomer(&approval.registration)?;
        let entry = Entry::Approval(Box::new(approval), Box::new(registration));
        // One that lets the organisation in is open no longer.
        if self.comes_in(&entry).is_none() && self.open_approvals(&approver) >= MAX_OPEN_APPROVALS {
            return Err(RegisterError::OpenApprovals(approver));
        }
        Ok(entry)
    }

    /// The registration with which an organisation comes in when this entry, verified with these members, is applied.
    pub fn comes_in(&self, entry: &Entry) -> Option<Verified<OrgRegistration>> {
        match (entry, self.admission) {
            (Entry::Registration(registration), _) => Some(registration.clone()),
            (Entry::Approval(_, registration), Admission::Approval { k }) => {
                let pending = self.pending.get(&registration.org());
                let approvals = pending.map_or(0, Pending::approvals) + 1;
                let first = pending.map_or(&**registration, Pending::registration);
                (approvals >= usize::from(k)).then(|| first.clone())
            }
            _ => None,
        }
    }

    /// How many organisations wait that a founder has approved.
    fn open_approvals(&self, founder: &OrgId) -> usize {
        let open = self.pending.values();
        open.filter(|pending| pending.approvals.contains(founder))
            .count()
    }

    /// Applies an approval that was verified with these members.
    pub(crate) fn approve(&mut self, entry: &Entry) {
        if let Some(registration) = self.comes_in(entry) {
            self.pending.remove(&registration.org());
            self.admit(&registration);
        } else if let Entry::Approval(approval, registration) = entry {
            let pending = self.pending.entry(registration.org());
            let pending = pending.or_insert_with(|| Pending {
                registration: (**registration).clone(),
                approvals: BTreeSet::new(),
            });
            pending.approvals.insert(approval.approver);
        }
    }

    /// What a founder approved counts while the key with which it did counts; what nobody approves any more has no place.
    pub(crate) fn end_approvals(&mut self, founder: &OrgId) {
        self.pending.retain(|_, pending| {
            pending.approvals.remove(founder);
            !pending.approvals.is_empty()
        });
    }

    pub(crate) fn admit(&mut self, registration: &Verified<OrgRegistration>) {
        let member = Member::new(registration.root);
        let member = self.members.entry(registration.org()).or_insert(member);
        member.head = Some(registration.body_digest());
        member.announce(&registration.issuer);
    }
}
