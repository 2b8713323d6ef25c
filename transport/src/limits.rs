//! How large each answer may be, in bytes. A server that sends more is cut off, whatever it announced.

use dawn_identity::{FoundingDocument, OrgRegistration, Signed, SignedRoster};
use dawn_protocol::work::MAX_WORK_BYTES;
use dawn_protocol::{Challenge, LogHead, PackagePage, Receipt, RoundAnnouncement, Task};

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;

/// Answers that carry no information beyond their status.
pub const ACKNOWLEDGEMENT: u64 = 64 * KIB;
/// Any JSON document for people.
pub const JSON: u64 = 16 * MIB;
/// A founding document.
pub const FOUNDING_DOCUMENT: u64 = FoundingDocument::MAX_BYTES as u64;
/// A registration.
pub const REGISTRATION: u64 = Signed::<OrgRegistration>::MAX_BYTES as u64;
/// A page of the register.
pub const REGISTER_PAGE: u64 = 16 * MIB;
/// A roster with its signatures.
pub const ROSTER: u64 = SignedRoster::MAX_BYTES as u64;
/// A signed task.
pub const TASK: u64 = Signed::<Task>::MAX_BYTES as u64;
/// A round announcement: m sealing keys and m endorsements.
pub const ANNOUNCEMENT: u64 = RoundAnnouncement::MAX_BYTES as u64;
/// A receipt.
pub const RECEIPT: u64 = Signed::<Receipt>::MAX_BYTES as u64;
/// A steward's list of work: for every round that can be opened, m reports of up to 50,000 outcomes.
pub const WORK: u64 = MAX_WORK_BYTES as u64;
/// A challenge.
pub const CHALLENGE: u64 = Signed::<Challenge>::MAX_BYTES as u64;
/// A page of headers and packages.
pub const PACKAGE_PAGE: u64 = PackagePage::MAX_BYTES as u64;
/// The signed statements of one round.
pub const STATEMENTS: u64 = 128 * MIB;
/// A signed log head.
pub const LOG_HEAD: u64 = Signed::<LogHead>::MAX_BYTES as u64;
/// A page of log entries; an entry has at most 65,535 bytes.
pub const LOG_ENTRIES: u64 = 64 * MIB;
/// The weights of a model: 2^24 of 4 bytes, and the header.
pub const MODEL: u64 = 65 * MIB;
