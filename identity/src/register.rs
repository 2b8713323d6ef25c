//! The register: registrations, approvals, events, rosters and server keys of a federation in one order, which everybody folds into the
//! same [`Members`] (`docs/identity-formats.md`, section 5.5).
//!
//! Its head is a digest over all of it. A round's specification and its closing name one each, so that stewards, devices and
//! auditors judge with the same members as the aggregator, whenever they look.

use std::sync::Arc;

use dawn_crypto::digest::{Digest, hash, labels};
use minicbor::bytes::ByteVec;
use minicbor::{Decode, Encode};

use crate::canonical::{DecodeError, from_canonical};
use crate::envelope::Envelope;
use crate::event::{Change, OrgApproval, OrgEvent};
use crate::federation_event::FederationEvent;
use crate::ids::OrgId;
use crate::member::Member;
use crate::members::Members;
use crate::register_admission::MAX_OPEN_APPROVALS;
use crate::register_room::Room;
use crate::registration::OrgRegistration;
use crate::roster::VerifiedRoster;
use crate::roster_posting::RosterPosting;
use crate::server_key::MAX_SERVER_KEY_CHANGES;
use crate::signed::{Signed, Statement, Verified};

pub use crate::register_error::RegisterError;

/// Most bytes of an entry.
pub const MAX_ENTRY_BYTES: usize = Signed::<OrgEvent>::MAX_BYTES;
/// Most events of an organisation that did not found the federation, and most bytes of them together: those that its root key
/// signs. Issuer keys have half as much, of their own, so that who has stolen one cannot use up the root's.
const GUEST: (u64, usize) = (63, 48 << 10);
/// The same of a founder.
const FOUNDER: (u64, usize) = (1023, 1 << 20);
/// Most root keys that may have taken over from another, one after the other: a roster's signature is tried under all.
pub const MAX_ROOT_ROTATIONS: usize = 16;
/// Most revocations of issuers and stewards of one organisation: they have room of their own, whatever else it has said.
pub const MAX_URGENT: u64 = 64;
/// Most organisations that did not found the federation.
pub const MAX_GUESTS: usize = 4096;
/// Most rosters.
pub const MAX_EPOCHS: usize = 1024;
/// Most approvals: those that let all guests in, and those of each of a founder's root keys that never did.
const MAX_APPROVALS: u64 = 64 * (MAX_GUESTS + (MAX_ROOT_ROTATIONS + 1) * MAX_OPEN_APPROVALS) as u64;
/// Most entries of a register: those of all guests and founders, with registrations and the founders' approvals of guests, and
/// rosters.
pub const MAX_ENTRIES: u64 = 64 * (1024 + 512)
    + 4096 * (64 + 32)
    + MAX_APPROVALS
    + (64 + 4096) * (MAX_URGENT + MAX_ROOT_ROTATIONS as u64)
    + MAX_EPOCHS as u64
    + MAX_SERVER_KEY_CHANGES;
/// Most bytes of a register.
pub const MAX_BYTES: u64 = (64 << 20)
    + (32 << 20)
    + 4096 * (72 << 10)
    + (64 + 4096) * (1024 + (MAX_URGENT + MAX_ROOT_ROTATIONS as u64) * 512)
    + MAX_APPROVALS * Signed::<OrgApproval>::MAX_BYTES as u64
    + (MAX_EPOCHS * Signed::<RosterPosting>::MAX_BYTES) as u64
    + MAX_SERVER_KEY_CHANGES * Signed::<FederationEvent>::MAX_BYTES as u64;

/// A place in a federation's register: how many entries come before it, and a digest over them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct RegisterHead {
    /// Number of entries.
    #[n(0)]
    pub entries: u64,
    /// The federation's digest when there are none; else `hash(REGISTER, digest before, LE64(entries), envelope digest)`.
    #[n(1)]
    pub digest: Digest,
}

impl RegisterHead {
    /// Before the first entry.
    pub fn empty(federation: &Digest) -> Self {
        Self {
            entries: 0,
            digest: *federation,
        }
    }

    /// After one more entry.
    pub fn after(&self, envelope: &Digest) -> Self {
        let entries = self.entries.saturating_add(1);
        let fields: [&[u8]; 3] = [&self.digest.0, &entries.to_le_bytes(), &envelope.0];
        Self {
            entries,
            digest: hash(labels::REGISTER, &fields),
        }
    }
}

/// The entries in a page of `GET /v1/register`, not verified.
///
/// # Errors
/// [`DecodeError`].
pub fn page(bytes: &[u8]) -> Result<Vec<Vec<u8>>, DecodeError> {
    let entries: Vec<ByteVec> = from_canonical(bytes)?;
    Ok(entries.into_iter().map(Into::into).collect())
}

/// A verified entry, to be applied to the members that it was verified with.
#[derive(Clone, Debug)]
pub enum Entry {
    /// An organisation registers.
    Registration(Verified<OrgRegistration>),
    /// A founder approves one, whose registration it brings along.
    Approval(Box<Verified<OrgApproval>>, Box<Verified<OrgRegistration>>),
    /// One changes.
    Event(Verified<OrgEvent>),
    /// The roster of the next epoch, verified with the members as of here.
    Roster(Verified<RosterPosting>, Arc<VerifiedRoster>),
    /// Another key of the server takes over.
    ServerKey(Verified<FederationEvent>),
}

impl Entry {
    /// The organisation that it is about.
    pub fn org(&self) -> OrgId {
        match self {
            Self::Registration(registration) => registration.org(),
            Self::Approval(_, registration) => registration.org(),
            Self::Event(event) => event.org,
            Self::Roster(posting, _) => posting.org,
            Self::ServerKey(event) => event.org,
        }
    }

    /// The kind of its statement.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Registration(_) => OrgRegistration::KIND,
            Self::Approval(..) => OrgApproval::KIND,
            Self::Event(_) => OrgEvent::KIND,
            Self::Roster(..) => RosterPosting::KIND,
            Self::ServerKey(_) => FederationEvent::KIND,
        }
    }

    /// The envelope.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Registration(registration) => registration.signed().bytes(),
            Self::Approval(approval, _) => approval.signed().bytes(),
            Self::Event(event) => event.signed().bytes(),
            Self::Roster(posting, _) => posting.signed().bytes(),
            Self::ServerKey(event) => event.signed().bytes(),
        }
    }

    /// Digest of the envelope.
    pub fn envelope_digest(&self) -> Digest {
        match self {
            Self::Registration(registration) => registration.signed().envelope_digest(),
            Self::Approval(approval, _) => approval.signed().envelope_digest(),
            Self::Event(event) => event.signed().envelope_digest(),
            Self::Roster(posting, _) => posting.signed().envelope_digest(),
            Self::ServerKey(event) => event.signed().envelope_digest(),
        }
    }
}

impl Members {
    /// Verifies the next entry of the register and applies it.
    ///
    /// # Errors
    /// [`RegisterError`]; nothing changes then.
    pub fn push(&mut self, entry: &[u8]) -> Result<Entry, RegisterError> {
        let entry = self.verify_entry(entry)?;
        self.apply(&entry);
        Ok(entry)
    }

    /// Verifies what is to be the next entry.
    ///
    /// # Errors
    /// [`RegisterError`].
    pub fn verify_entry(&self, bytes: &[u8]) -> Result<Entry, RegisterError> {
        let envelope = Envelope::parse(bytes, MAX_ENTRY_BYTES)?;
        match envelope.kind() {
            OrgRegistration::KIND => self.verify_registration(Signed::from_envelope(envelope)?),
            OrgApproval::KIND => self.verify_approval(Signed::from_envelope(envelope)?),
            OrgEvent::KIND => self.verify_event(Signed::from_envelope(envelope)?),
            RosterPosting::KIND => self.verify_posting(&Signed::from_envelope(envelope)?),
            FederationEvent::KIND => self.verify_federation_event(Signed::from_envelope(envelope)?),
            other => Err(RegisterError::Kind(other.to_owned())),
        }
    }

    fn verify_event(&self, signed: Signed<OrgEvent>) -> Result<Entry, RegisterError> {
        let event = signed.peek();
        let org = event.org;
        let member = self.members.get(&org).filter(|member| !member.revoked);
        let (member, head) = member
            .and_then(|member| Some((member, member.head?)))
            .ok_or(RegisterError::NotAMember(org))?;
        if event.federation != self.federation {
            return Err(RegisterError::OtherFederation(org));
        }
        if event.sequence != member.sequence + 1 || event.previous != head {
            return Err(RegisterError::Sequence {
                org,
                last: member.sequence,
                found: event.sequence,
            });
        }
        // A stolen device should not have to wait until somebody fetches the root key.
        let by_issuer = match event.change {
            Change::RevokeDevices { .. } => member.issuer_with(&signed.signer()),
            _ => None,
        };
        let key = by_issuer.unwrap_or(&member.root);
        let event = signed
            .into_verified(key)
            .map_err(|source| RegisterError::Signature {
                org,
                source: Box::new(source),
            })?;
        let (most, most_bytes) = if self.is_founder(&org) {
            FOUNDER
        } else {
            GUEST
        };
        let used = self.used.get(&org).copied().unwrap_or_default();
        let bytes = event.signed().bytes().len();
        let room = match Room::of(&event.change, by_issuer.is_some()) {
            Room::Own => true,
            Room::Urgent => used.urgent < MAX_URGENT,
            Room::Issuer => used.issuer.fits(bytes, most / 2, most_bytes / 2),
            Room::Root => used.root.fits(bytes, most, most_bytes),
        };
        if !room {
            return Err(RegisterError::Full(org));
        }
        self.check_change(member, &event.change)?;
        Ok(Entry::Event(event))
    }

    fn check_change(&self, member: &Member, change: &Change) -> Result<(), RegisterError> {
        let org = member.org;
        let new = match change {
            Change::Root { key, proof } => {
                if member.former.len() >= MAX_ROOT_ROTATIONS {
                    return Err(RegisterError::Full(org));
                }
                self.check_new_root(org, key)?;
                if member.has_announced(key) {
                    return Err(RegisterError::KeyInUse { org, key: key.id() });
                }
                let fields: [&[u8]; 3] = [&self.federation.0, org.as_bytes(), key.as_bytes()];
                key.verify_labelled(labels::ROOT_PROOF, &fields, proof)
                    .map_err(|source| RegisterError::Proof { org, source })?;
                true
            }
            Change::Issuer { certificate } => {
                // Whether it counts now is not the question; the root key must be the current one.
                certificate.verify_issuer(&org, &member.root, certificate.peek().not_before)?;
                self.check_new_issuer(org, &certificate.peek().key)?;
                member.verify_issuer(certificate, certificate.peek().not_before)?;
                !member.announced.contains(&certificate.envelope_digest())
            }
            Change::RevokeDevices { devices } => devices
                .iter()
                .any(|device| !member.revoked_devices.contains(device)),
            Change::RevokeIssuer { issuer } => !member.revoked_issuers.contains(issuer),
            Change::RevokeSteward { steward } => !member.revoked_stewards.contains(steward),
            Change::RevokeOrganisation => true,
        };
        if new {
            Ok(())
        } else {
            Err(RegisterError::Nothing(org))
        }
    }

    /// Applies an entry that was verified with these members.
    pub(crate) fn apply(&mut self, entry: &Entry) {
        match entry {
            Entry::Registration(registration) => self.admit(registration),
            Entry::Approval(..) => self.approve(entry),
            Entry::Event(event) => {
                if let Some(member) = self.members.get_mut(&event.org) {
                    let by_issuer = event.signed().signer() != member.root.id();
                    let bytes = event.signed().bytes().len();
                    let used = self.used.entry(event.org).or_default();
                    match Room::of(&event.change, by_issuer) {
                        Room::Own => {}
                        Room::Urgent => used.urgent += 1,
                        Room::Issuer => used.issuer.add(bytes),
                        Room::Root => used.root.add(bytes),
                    }
                    member.sequence = event.sequence;
                    member.head = Some(event.body_digest());
                    change(member, &event.change);
                }
                if matches!(
                    event.change,
                    Change::Root { .. } | Change::RevokeOrganisation
                ) {
                    self.end_approvals(&event.org);
                }
            }
            Entry::Roster(_, roster) => self.rosters.push(Arc::clone(roster)),
            Entry::ServerKey(event) => self.server.apply(event),
        }
        self.head = self.head.after(&entry.envelope_digest());
    }
}

fn change(member: &mut Member, change: &Change) {
    match change {
        Change::Root { key, .. } => {
            let former = std::mem::replace(&mut member.root, *key);
            member.former.push(former);
        }
        Change::Issuer { certificate } => member.announce(certificate),
        Change::RevokeDevices { devices } => member.revoked_devices.extend(devices),
        Change::RevokeIssuer { issuer } => {
            member.revoked_issuers.insert(*issuer);
        }
        Change::RevokeSteward { steward } => {
            member.revoked_stewards.insert(*steward);
        }
        Change::RevokeOrganisation => member.revoked = true,
    }
}
