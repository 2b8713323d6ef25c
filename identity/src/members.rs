//! Whose root keys count: the founders' and those of the organisations that were let in.

use std::collections::BTreeMap;

use crate::federation::{Admission, VerifiedFederation};
use crate::ids::OrgId;
use crate::keys::PublicKey;

/// The root keys of a federation's members. Founders come from the founding document; others are
/// added as they register.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Members {
    admission: Admission,
    founders: BTreeMap<OrgId, PublicKey>,
    admitted: BTreeMap<OrgId, PublicKey>,
}

/// Why an organisation is not let in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MembersError {
    /// The federation asks for approvals of founders, and there are none with this organisation.
    #[error("organisation {org} needs the approval of {approvals} founders")]
    NeedsApproval {
        /// The organisation.
        org: OrgId,
        /// How many founders must approve.
        approvals: u16,
    },
    /// The aggregator's or the log's key cannot be an organisation's root key.
    #[error("organisation {0} uses a key of the federation itself as its root key")]
    FederationKey(OrgId),
}

impl Members {
    /// The founders.
    pub fn founders_of(federation: &VerifiedFederation) -> Self {
        let founders = federation
            .founders
            .iter()
            .map(|founder| (OrgId::of(&founder.root), founder.root))
            .collect();
        Self {
            admission: federation.admission,
            founders,
            admitted: BTreeMap::new(),
        }
    }

    /// The founders and these organisations, given by their root keys. Founders may be among them.
    ///
    /// # Errors
    /// [`MembersError`] for the first that the federation does not let in.
    pub fn with_admitted(
        federation: &VerifiedFederation,
        roots: &[PublicKey],
    ) -> Result<Self, MembersError> {
        let mut members = Self::founders_of(federation);
        for root in roots {
            if *root == federation.aggregator || *root == federation.log {
                return Err(MembersError::FederationKey(OrgId::of(root)));
            }
            members.admit(*root)?;
        }
        Ok(members)
    }

    /// Lets an organisation in that has registered. Letting a member in again changes nothing.
    ///
    /// # Errors
    /// [`MembersError::NeedsApproval`] unless admission is open.
    pub fn admit(&mut self, root: PublicKey) -> Result<OrgId, MembersError> {
        let org = OrgId::of(&root);
        if self.founders.contains_key(&org) {
            return Ok(org);
        }
        match self.admission {
            Admission::Open => {
                self.admitted.insert(org, root);
                Ok(org)
            }
            Admission::Approval { k } => Err(MembersError::NeedsApproval { org, approvals: k }),
        }
    }

    /// The root key of a member.
    pub fn root(&self, org: &OrgId) -> Option<&PublicKey> {
        self.founders.get(org).or_else(|| self.admitted.get(org))
    }

    /// Whether an organisation founded the federation.
    pub fn is_founder(&self, org: &OrgId) -> bool {
        self.founders.contains_key(org)
    }

    /// All members with their root keys: founders first, each group in the order of identifiers.
    pub fn iter(&self) -> impl Iterator<Item = (&OrgId, &PublicKey)> {
        self.founders.iter().chain(&self.admitted)
    }
}
