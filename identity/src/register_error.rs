//! Why an entry cannot follow in the register.

use crate::envelope::EnvelopeError;
use crate::ids::{KeyId, OrgId};
use crate::issuer::IssuerError;
use crate::keys::KeyError;
use crate::registration::RegistrationError;
use crate::roster::RosterError;
use crate::server_key::ServerKeyError;

/// Why an entry cannot follow.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegisterError {
    /// Not an entry.
    #[error("register: {0}")]
    Envelope(#[from] EnvelopeError),
    /// A statement of another kind.
    #[error("register: a statement of kind {0} does not belong into it")]
    Kind(String),
    /// The registration does not count.
    #[error(transparent)]
    Registration(Box<RegistrationError>),
    /// The organisation has registered before.
    #[error("organisation {0} has registered before; its keys change by rotation")]
    Registered(OrgId),
    /// A key already serves, or has served, as a root key or the federation's own.
    #[error("organisation {org} uses key {key}, which serves or has served another purpose")]
    KeyInUse {
        /// The organisation.
        org: OrgId,
        /// The key.
        key: KeyId,
    },
    /// Of another federation.
    #[error("organisation {0} speaks to another federation")]
    OtherFederation(OrgId),
    /// Not a member, not registered, or it has left.
    #[error("organisation {0} is not a registered member, or has left")]
    NotAMember(OrgId),
    /// Not the next event.
    #[error(
        "organisation {org}: event {found} does not follow event {last}, or names another one before it; fetch the newest state and sign again"
    )]
    Sequence {
        /// The organisation.
        org: OrgId,
        /// Number of its last event.
        last: u64,
        /// The number found.
        found: u64,
    },
    /// Not signed by a key that may.
    #[error("organisation {org}: {source}")]
    Signature {
        /// The organisation.
        org: OrgId,
        /// What is wrong.
        source: Box<EnvelopeError>,
    },
    /// The new root key has not consented.
    #[error("organisation {org}: the new root key has not consented: {source}")]
    Proof {
        /// The organisation.
        org: OrgId,
        /// What is wrong.
        source: KeyError,
    },
    /// The announced issuer does not count.
    #[error(transparent)]
    Issuer(Box<IssuerError>),
    /// It changes nothing.
    #[error("organisation {0}: the event changes nothing, that was revoked or announced before")]
    Nothing(OrgId),
    /// There is no organisation to approve, the approver is no founder, or it has approved before.
    #[error("organisation {org} needs no approval of {approver}, with this registration")]
    Approval {
        /// The organisation.
        org: OrgId,
        /// Who approves.
        approver: OrgId,
    },
    /// Nobody has approved it yet.
    #[error(
        "organisation {0} comes in by the approvals of founders alone, which bring its registration into the register"
    )]
    Unapproved(OrgId),
    /// A founder has approved many that too few others approve.
    #[error(
        "founder {0} has approved 64 organisations that too few other founders approve, which is the most; it goes on when the others do, or with another root key, which ends these approvals"
    )]
    OpenApprovals(OrgId),
    /// The roster does not count with the members as of here.
    #[error(transparent)]
    Roster(Box<RosterError>),
    /// Not the roster of the next epoch.
    #[error(
        "the newest roster is of epoch {newest}, this one of epoch {found}: the next one is of epoch {newest} plus one, and a roster that is there stays"
    )]
    Epoch {
        /// The newest epoch; 0 before the first.
        newest: u64,
        /// The epoch of this roster.
        found: u64,
    },
    /// The change of the server's keys does not count as of here.
    #[error(transparent)]
    ServerKey(Box<ServerKeyError>),
    /// No room for another roster.
    #[error("the register has as many rosters as it can have")]
    NoEpochs,
    /// No room.
    #[error("organisation {0} has as many events as one may have; only leaving is possible")]
    Full(OrgId),
    /// No room for another organisation.
    #[error("the federation has as many members as it can have")]
    NoRoom,
}

impl From<IssuerError> for RegisterError {
    fn from(error: IssuerError) -> Self {
        Self::Issuer(Box::new(error))
    }
}

impl From<RegistrationError> for RegisterError {
    fn from(error: RegistrationError) -> Self {
        Self::Registration(Box::new(error))
    }
}

impl From<ServerKeyError> for RegisterError {
    fn from(error: ServerKeyError) -> Self {
        Self::ServerKey(Box::new(error))
    }
}

impl From<RosterError> for RegisterError {
    fn from(error: RosterError) -> Self {
        Self::Roster(Box::new(error))
    }
}
