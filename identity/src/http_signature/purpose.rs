//! What administrative requests are for. The tag keeps a signature for one purpose from serving another.

use std::fmt;

/// The purpose of an administrative request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Purpose {
    /// `POST /v1/federation`, by a founder's root key.
    Found,
    /// `POST /v1/orgs`, by the root key that registers.
    Register,
    /// `POST /v1/orgs/{org}/keys`, by the organisation's root key.
    Rotate,
    /// `POST /v1/orgs/{org}/revocations`, by the organisation's root key, or for devices its issuer key.
    Revoke,
    /// `POST /v1/orgs/{org}/approvals`, by the root key of the founder that approves.
    Approve,
    /// `PUT /v1/orgs/{org}/steward`, by the organisation's root key.
    EnrolSteward,
    /// `POST /v1/rosters`, by the root key of an organisation that signed the roster.
    PostRoster,
    /// `POST /v1/federation/keys`, by the root key of the founder that posts the change.
    ReplaceServerKey,
    /// `POST /v1/tasks`, by the owner's root or issuer key.
    CreateTask,
}

impl Purpose {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Found,
        Self::Register,
        Self::Rotate,
        Self::Revoke,
        Self::Approve,
        Self::EnrolSteward,
        Self::PostRoster,
        Self::ReplaceServerKey,
        Self::CreateTask,
    ];

    /// The `tag` of its signatures.
    pub const fn tag(self) -> &'static str {
        match self {
            Self::Found => "dawn-federation-found",
            Self::Register => "dawn-org-register",
            Self::Rotate => "dawn-org-rotate",
            Self::Revoke => "dawn-org-revoke",
            Self::Approve => "dawn-org-approve",
            Self::EnrolSteward => "dawn-steward-enrol",
            Self::PostRoster => "dawn-roster-post",
            Self::ReplaceServerKey => "dawn-server-key-replace",
            Self::CreateTask => "dawn-task-create",
        }
    }
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.tag())
    }
}
