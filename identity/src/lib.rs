//! Who is who: keys, organisations, devices, stewards, the federation's founding document and its
//! rosters, and the signed envelope that every statement of the protocol travels in.
//!
//! Everything here is pure ([`key_file`] apart, which reads files): no I/O, no clock (times are parameters, in unix seconds) and no
//! generator of its own (randomness is a parameter). The wire formats, bounds and labels are in
//! `docs/identity-formats.md`, the identity chapter of `docs/protocol.md`.
//!
//! | module | explains |
//! |---|---|
//! | [`ids`] | the identifiers, each a labelled digest |
//! | [`keys`], [`pem`], [`jwk`] | Ed25519 keys, signatures, and their standard text forms |
//! | [`passphrase`], [`key_file`] | secret keys at rest |
//! | [`canonical`] | the one encoding of every value |
//! | [`rule`] | bounds on names and lists, and how a broken one is reported |
//! | [`envelope`] | one COSE_Sign1 envelope, whatever it carries |
//! | [`signed`] | typed statements: [`Statement`], [`Signed`], [`Verified`] |
//! | [`issuer`], [`credential`], [`chain`] | root key -> issuer certificate -> device credential |
//! | [`device_vrf`](mod@device_vrf) | the key by which a device is selected |
//! | [`enrolment`], [`device_batch`] | many devices at once, and their file |
//! | [`registration`], [`steward`] | how an organisation and its steward present themselves |
//! | [`event`], [`register`], [`register_copy`] | how keys change and trust is taken back, in one order for all |
//! | [`federation`], [`member`], [`members`], [`roster`] | who founded the federation, who is in it, who opens |
//! | [`ServerKeyChange`], [`FederationEvent`] | how the keys of the aggregator and of the log are replaced |
//! | [`http_signature`] | signed HTTP requests (RFC 9421) |
//! | [`organisation`], [`online_issuer`] | an organisation's side: it makes all of the above; and the part of it that is online |
//!
//! Chain of trust: a device or steward pins the digest of the [`FoundingDocument`]. From it follow
//! the founders' root keys; from those the [`SignedRoster`]; from an organisation's root key its
//! issuer and from the issuer its devices. Nothing that the aggregator says is on that path.

pub mod canonical;
pub mod chain;
pub mod credential;
pub mod device_batch;
pub mod device_vrf;
pub mod enrolment;
pub mod envelope;
pub mod event;
pub mod federation;
mod federation_event;
pub mod founding_claim;
pub mod http_signature;
pub mod ids;
pub mod issuer;
pub mod jwk;
pub mod key_file;
pub mod keys;
pub mod member;
pub mod members;
pub mod online_issuer;
pub mod organisation;
pub mod passphrase;
pub mod pem;
pub mod register;
mod register_admission;
pub mod register_copy;
mod register_error;
mod register_keys;
mod register_room;
pub mod registration;
pub mod roster;
pub mod roster_posting;
pub mod rule;
mod server_key;
pub mod signed;
pub mod steward;

pub use canonical::{DecodeError, from_canonical, from_canonical_bounded, to_canonical};
pub use chain::{ChainError, CredentialChain, VerifiedDevice};
pub use credential::{DeviceCredential, attestation_digest};
pub use dawn_crypto::digest::Digest;
pub use device_batch::{BatchError, BatchReader, BatchWriter, EnrolledDevice};
pub use device_vrf::device_vrf;
pub use enrolment::EnrolmentPlan;
pub use envelope::{Envelope, EnvelopeError};
pub use event::{Change, OrgApproval, OrgEvent};
pub use federation::{
    Admission, Federation, FederationError, FounderEntry, FoundingDocument, VerifiedFederation,
};
pub use federation_event::FederationEvent;
pub use founding_claim::FoundingClaim;
pub use ids::{DeviceId, KeyId, OrgId, SessionId, StewardId, TaskId};
pub use issuer::{IssuerCertificate, IssuerError};
pub use jwk::Thumbprint;
pub use keys::{KeyError, PublicKey, SecretKey, Signature};
pub use member::{Member, Revoked};
pub use members::Members;
pub use online_issuer::OnlineIssuer;
pub use organisation::{DeviceRequest, Organisation, OrganisationError, Validity};
pub use passphrase::Passphrase;
pub use register::{Entry, RegisterError, RegisterHead};
pub use register_admission::MAX_OPEN_APPROVALS;
pub use register_copy::Register;
pub use registration::{OrgRegistration, RegistrationError};
pub use roster::{Roster, RosterEntry, RosterError, RosterSignature, SignedRoster, VerifiedRoster};
pub use roster_posting::RosterPosting;
pub use rule::BrokenRule;
pub use server_key::{
    MAX_SERVER_KEY_CHANGES, ServerKey, ServerKeyChange, ServerKeyError, ServerRole,
    SignedServerKeyChange,
};
pub use signed::{Signed, Statement, Verified};
pub use steward::{EnrolmentError, StewardEnrolment};
