//! The identifiers, each a digest under its own label, so that no identifier of one kind can be
//! taken for one of another (`docs/identity-formats.md`, section 1).
//!
//! An identifier is a name, not a proof: anyone may write one down. What binds it to a key or a
//! statement is recomputing it, which the functions here do.

use std::fmt;
use std::str::FromStr;

use dawn_crypto::digest::{Digest, hash, labels};
use serde::{Deserialize, Serialize};

use crate::keys::PublicKey;

macro_rules! digest_ids {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        ///
        /// Text form: 64 lower-case hexadecimal digits. CBOR: a 32-byte byte string. JSON: the text.
        #[derive(
            Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash,
            minicbor::Encode, minicbor::Decode, Serialize, Deserialize,
        )]
        #[cbor(transparent)]
        #[serde(transparent)]
        pub struct $name(#[n(0)] pub Digest);

        impl $name {
            /// The 32 bytes of the digest.
            pub fn as_bytes(&self) -> &[u8; 32] {
                &self.0.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }

        impl FromStr for $name {
            type Err = <Digest as FromStr>::Err;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }
    )*};
}

digest_ids! {
    /// An Ed25519 key: `hash(KEY_ID, key)`. The `kid` of every envelope.
    KeyId;
    /// An organisation: `hash(ORG_ID, root key)`.
    OrgId;
    /// A device: `hash(DEVICE_ID, organisation, device key)`.
    DeviceId;
    /// A steward: `hash(STEWARD_ID, organisation, steward key)`.
    StewardId;
    /// A task: `hash(TASK_ID, body)`, where body is the payload of the signed task, without the
    /// signature (so signing the same task again does not make another task).
    TaskId;
    /// One attempt at one round: the body digest of the round's specification
    /// (`docs/protocol.md`, section 4.1).
    SessionId;
}

impl KeyId {
    /// The identifier of a key.
    pub fn of(key: &PublicKey) -> Self {
        Self(hash(labels::KEY_ID, &[key.as_bytes()]))
    }
}

impl OrgId {
    /// The identifier of the organisation with this root key.
    pub fn of(root: &PublicKey) -> Self {
        Self(hash(labels::ORG_ID, &[root.as_bytes()]))
    }
}

impl DeviceId {
    /// The identifier of an organisation's device.
    pub fn of(org: &OrgId, device: &PublicKey) -> Self {
        Self(hash(
            labels::DEVICE_ID,
            &[org.as_bytes(), device.as_bytes()],
        ))
    }
}

impl StewardId {
    /// The identifier of an organisation's steward.
    pub fn of(org: &OrgId, steward: &PublicKey) -> Self {
        Self(hash(
            labels::STEWARD_ID,
            &[org.as_bytes(), steward.as_bytes()],
        ))
    }
}

impl TaskId {
    /// The identifier of the task with this body: the canonical bytes of the task, which are the
    /// payload of its envelope.
    pub fn of(body: &[u8]) -> Self {
        Self(hash(labels::TASK_ID, &[body]))
    }
}
