//! The register, to which anybody adds anything: what honest parties said in another order, what they sign besides, and what
//! nobody signed. Whatever comes,
//!
//! - what is refused changes nothing, and what is taken has been signed with a key that counted before it;
//! - an entry changes the organisation that it is about and no other, and takes back no revocation;
//! - one root key is of one organisation, epochs have no gaps, and a copy that is folded again is the same at every place.

use std::collections::BTreeSet;
use std::sync::OnceLock;

use arbitrary::{Arbitrary, Unstructured};
use dawn_crypto::digest::Digest;
use dawn_identity::{
    Change, DeviceId, Entry, Envelope, FederationEvent, IssuerCertificate, KeyId, Members,
    OrgEvent, OrgId, PublicKey, Register, RegisterHead, Roster, RosterPosting, SecretKey,
    ServerKey, ServerKeyChange, ServerRole, Signed, SignedRoster, SignedServerKeyChange, StewardId,
};
use dawn_protocol::MAX_STATEMENT_BYTES;

use crate::cbor::{self, Dice};
use crate::world::{NOW, Plan, World};

/// What is said next; places are taken modulo what there is.
#[derive(Arbitrary, Clone, Debug)]
enum Step {
    /// What an honest party said.
    Honest(u8),
    /// The same with something changed, signed by who signed it.
    Resigned(u8, u32),
    /// The same with something changed that nobody signed.
    Changed(u8, u32),
    /// An event that is next in its organisation's history.
    Event {
        org: u8,
        change: Kind,
        by: Option<u8>,
    },
    /// A roster of the next epoch, with so many signatures, and a change of it that is signed too.
    Roster {
        signed: u8,
        by: u8,
        change: Option<u32>,
    },
    /// The next change of the server's keys, with the signatures of these of the organisations.
    ServerKey { key: u8, log: bool, by: u8 },
}

/// What an event changes; the numbers say to or of what.
#[derive(Arbitrary, Clone, Copy, Debug)]
enum Kind {
    Root(u8),
    Issuer(u8),
    Devices(u8),
    RevokeIssuer(u8),
    RevokeSteward(u8),
    RevokeOrganisation,
}

const MAX_STEPS: usize = 12;
/// Devices that are revoked; those of the base are among them.
const DEVICES: u8 = 8;

/// Input: how many of the honest entries are left out at the end, then steps.
pub fn register(data: &[u8]) -> bool {
    run(&mut Unstructured::new(data)).unwrap_or(false)
}

fn run(input: &mut Unstructured<'_>) -> arbitrary::Result<bool> {
    let left_out = input.int_in_range(0..=base().register.len())?;
    let mut told = honest_entries(base().register.len() - left_out);
    for _ in 0..MAX_STEPS {
        if input.is_empty() {
            break;
        }
        if let Some(bytes) = said(&Step::arbitrary(input)?, &told.members) {
            told.tell(&bytes);
        }
    }
    told.look_back();
    Ok(true)
}

/// A register that has so many entries of the base.
fn honest_entries(count: usize) -> Told {
    static ALL: OnceLock<Vec<Told>> = OnceLock::new();
    let all = ALL.get_or_init(|| {
        let mut all = vec![Told::new()];
        for entry in &base().register {
            let mut told = all[all.len() - 1].clone();
            assert!(told.tell(entry), "an honest entry is refused");
            all.push(told);
        }
        all
    });
    all[count].clone()
}

/// A register with the members as of every place.
#[derive(Clone)]
struct Told {
    register: Register,
    members: Members,
    before: Vec<Members>,
}

impl Told {
    fn new() -> Self {
        let members = Members::founders_of(&base().federation);
        Self {
            register: Register::new(&base().federation),
            before: vec![members.clone()],
            members,
        }
    }

    /// Whether the entry was taken.
    fn tell(&mut self, bytes: &[u8]) -> bool {
        let before = self.members.clone();
        let copied = self.register.push(bytes).map(drop);
        let entry = self.members.push(bytes);
        assert_eq!(entry.as_ref().map(drop), copied.as_ref().map(drop));
        assert_eq!(self.register.members(), &self.members);
        let Ok(entry) = entry else {
            assert_eq!(self.members, before);
            return false;
        };
        assert_eq!(entry.bytes(), bytes);
        assert_eq!(
            self.members.head(),
            before.head().after(&entry.envelope_digest())
        );
        signed_by_who_counts(&entry, &before);
        changes_one(&entry, &before, &self.members);
        keys_are_apart(&self.members);
        let epochs = self.members.rosters().iter().map(|roster| roster.epoch());
        assert!(epochs.eq(1..=self.members.rosters().len() as u64));
        self.before.push(self.members.clone());
        true
    }

    fn look_back(&self) {
        for members in &self.before {
            assert_eq!(self.register.at(&members.head()).as_ref(), Some(members));
            let RegisterHead { entries, digest } = members.head();
            let other = RegisterHead {
                entries: entries + 1,
                digest,
            };
            assert_eq!(self.register.at(&other), None);
        }
    }
}

fn signed_by_who_counts(entry: &Entry, before: &Members) {
    let root = |org: &OrgId| before.root(org).map(PublicKey::id);
    match entry {
        Entry::Registration(said) => assert_eq!(said.signer(), said.root.id()),
        Entry::Approval(said, registration) => {
            assert_eq!(Some(said.signer()), root(&said.approver));
            assert_eq!(registration.signer(), registration.root.id());
            assert_eq!(registration.signed(), &said.registration);
            assert!(before.is_founder(&said.approver) && before.get(&said.org()).is_none());
            let approved = before.pending(&said.org());
            assert!(approved.is_none_or(|known| known.body_digest() == registration.body_digest()));
        }
        Entry::ServerKey(said) => {
            assert!(before.is_founder(&said.org));
            assert_eq!(Some(said.signer()), root(&said.org));
            assert!(said.change.signatures().len() >= usize::from(base().federation.roster_quorum));
        }
        Entry::Roster(said, roster) => {
            assert_eq!(Some(said.signer()), root(&said.org));
            assert_eq!(roster.signed(), &said.roster);
        }
        Entry::Event(said) => {
            let member = before.get(&said.org).expect("a member");
            let by_issuer = member.issuers().any(|key| key.id() == said.signer())
                && matches!(said.change, Change::RevokeDevices { .. });
            assert!(by_issuer || Some(said.signer()) == root(&said.org));
            assert_eq!(said.sequence, member.sequence() + 1);
            assert_eq!(Some(said.previous), member.head());
        }
    }
}

/// Others are as they were, and what was revoked stays so.
fn changes_one(entry: &Entry, before: &Members, after: &Members) {
    for member in before.iter() {
        let now = after.get(&member.org()).expect("nobody is forgotten");
        if member.org() != entry.org() || matches!(entry, Entry::Roster(..) | Entry::ServerKey(_)) {
            assert_eq!(now, member);
        }
        let rotated = |entry: &Entry| match entry {
            Entry::Event(said) => matches!(said.change, Change::Root { .. }),
            _ => false,
        };
        assert!(now.root() == member.root() || rotated(entry));
        assert!(
            member
                .roots()
                .all(|root| now.roots().any(|other| other == root))
        );
        assert!(now.is_revoked() || !member.is_revoked());
        for device in (0..DEVICES).map(device) {
            assert!(member.check_device(&device).is_ok() || now.check_device(&device).is_err());
        }
        for steward in 0..4 {
            let steward = steward_of(member.org(), steward);
            assert!(member.check_steward(&steward).is_ok() || now.check_steward(&steward).is_err());
        }
    }
    if let Entry::Event(said) = entry {
        let member = after.get(&said.org).expect("a member");
        match &said.change {
            Change::Root { key, .. } => assert_eq!(member.root(), key),
            Change::Issuer { certificate } => {
                assert!(member.issuers().any(|key| *key == certificate.peek().key));
            }
            Change::RevokeDevices { devices } => {
                assert!(
                    devices
                        .iter()
                        .all(|device| member.check_device(device).is_err())
                );
            }
            Change::RevokeIssuer { issuer } => {
                assert!(member.issuers().all(|key| key.id() != *issuer));
            }
            Change::RevokeSteward { steward } => assert!(member.check_steward(steward).is_err()),
            Change::RevokeOrganisation => assert_eq!(after.root(&said.org), None),
        }
    }
    assert!(after.rosters().starts_with(before.rosters()));
    // A key of the server is replaced by nothing else, and one at a time.
    let keys = |members: &Members| [members.aggregators().to_vec(), members.logs().to_vec()];
    for (now, then) in keys(after).iter().zip(keys(before)) {
        assert!(now.starts_with(&then));
    }
    let count = |members: &Members| keys(members).concat().len();
    let replaces = usize::from(matches!(entry, Entry::ServerKey(_)));
    assert_eq!(count(after), count(before) + replaces);
}

fn keys_are_apart(members: &Members) {
    let server = members.aggregators().iter().chain(members.logs());
    let mut seen = BTreeSet::new();
    for key in server {
        assert!(seen.insert(key.id()), "one key of the server, two purposes");
    }
    let waiting = members.all_pending().map(|waiting| &waiting.root);
    for root in members
        .iter()
        .flat_map(|member| member.roots())
        .chain(waiting)
    {
        assert!(seen.insert(root.id()), "one root key, two organisations");
    }
    for entry in members
        .rosters()
        .iter()
        .flat_map(|roster| roster.stewards())
    {
        let member = members.get(&entry.org).expect("a member");
        let used = member.roots().chain(member.issuers());
        let beacon = entry.vrf.as_bytes();
        assert!(
            used.copied()
                .all(|key| key != entry.steward && key.as_bytes() != beacon),
            "a steward's key serves its organisation otherwise"
        );
    }
}

fn device(number: u8) -> DeviceId {
    DeviceId(Digest([number; 32]))
}

fn steward_of(org: OrgId, number: u8) -> StewardId {
    StewardId::of(&org, &SecretKey::from_seed(&[90 + number; 32]).public())
}

fn base() -> &'static World {
    static BASE: OnceLock<World> = OnceLock::new();
    BASE.get_or_init(|| {
        let plan = Plan {
            organisations: 3,
            faulty: 0,
            guests: 2,
            devices: 1,
            eventful: true,
            ..Plan::default()
        };
        World::with(11, &plan)
    })
}

/// Every key that somebody in the register has or may get.
fn keys() -> &'static [&'static SecretKey] {
    static NEW: OnceLock<Vec<SecretKey>> = OnceLock::new();
    static KEYS: OnceLock<Vec<&SecretKey>> = OnceLock::new();
    KEYS.get_or_init(|| {
        let orgs = base().organisations.iter().chain(&base().guests);
        let own = orgs.flat_map(|org| [org.root(), org.issuer()]);
        let stewards = &base().stewards;
        // The first two are the other issuer and the other root key of the base.
        let new = NEW.get_or_init(|| {
            let new = (77..89).map(|seed| SecretKey::from_seed(&[seed; 32]));
            new.collect()
        });
        own.chain(new)
            .chain(stewards)
            .chain([&base().aggregator, &base().log])
            .collect()
    })
}

fn key_at(place: u8) -> &'static SecretKey {
    keys()[usize::from(place) % keys().len()]
}

fn key_of(id: &KeyId) -> Option<&'static SecretKey> {
    keys().iter().copied().find(|key| key.public().id() == *id)
}

fn org_at(place: u8) -> OrgId {
    let all = base().organisations.iter().chain(&base().guests);
    let all: Vec<OrgId> = all.map(|org| org.id()).collect();
    all[usize::from(place) % all.len()]
}

fn said(step: &Step, members: &Members) -> Option<Vec<u8>> {
    let honest = |place: u8| &base().register[usize::from(place) % base().register.len()];
    Some(match step {
        Step::Honest(place) => honest(*place).clone(),
        Step::Changed(place, dice) => cbor::mutate(honest(*place), &mut Dice::new((*dice).into()))?,
        Step::Resigned(place, dice) => {
            let envelope = Envelope::parse(honest(*place), MAX_STATEMENT_BYTES).ok()?;
            let payload = cbor::mutate(envelope.payload(), &mut Dice::new((*dice).into()))?;
            let key = key_of(&envelope.signer())?;
            let envelope = Envelope::seal(envelope.kind(), payload, key).ok()?;
            envelope.bytes().to_vec()
        }
        Step::Event { org, change, by } => event(org_at(*org), *change, *by, members)?,
        Step::Roster { signed, by, change } => {
            let mut roster = base().roster.peek().clone();
            roster.epoch = members.rosters().len() as u64 + 1;
            if let Some(dice) = change {
                let changed = cbor::mutate(
                    &dawn_identity::to_canonical(&roster),
                    &mut Dice::new((*dice).into()),
                )?;
                roster = dawn_identity::from_canonical::<Roster>(&changed).ok()?;
            }
            let orgs = (0..5).map(org_at).take(usize::from(*signed));
            let signatures = orgs.filter_map(|org| {
                let root = members.get(&org)?.root().id();
                Some(roster.sign_for(org, key_of(&root)?))
            });
            let signatures = signatures.collect();
            let org = org_at(*by);
            let posting = RosterPosting {
                org,
                federation: roster.federation,
                roster: SignedRoster::assemble(roster, signatures).ok()?,
                created: NOW,
            };
            let root = members.get(&org)?.root().id();
            Signed::sign(&posting, key_of(&root)?)
                .ok()?
                .bytes()
                .to_vec()
        }
        Step::ServerKey { key, log, by } => {
            let federation = base().federation.digest();
            let (last, previous) = members.last_server_key_change();
            let role = match log {
                true => ServerRole::Log,
                false => ServerRole::Aggregator,
            };
            let change = ServerKeyChange {
                federation,
                sequence: last + 1,
                previous,
                new: ServerKey::prove(&federation, role, key_at(*key)),
                created: NOW,
            };
            let orgs = (0..5).filter(|place| by & (1 << place) != 0).map(org_at);
            let signatures = orgs.filter_map(|org| {
                let root = members.get(&org)?.root().id();
                Some(change.sign_for(org, key_of(&root)?))
            });
            let signatures: Vec<_> = signatures.collect();
            let org = signatures.first()?.org;
            let event = FederationEvent {
                org,
                change: SignedServerKeyChange::assemble(change, signatures).ok()?,
            };
            let root = members.get(&org)?.root().id();
            Signed::sign(&event, key_of(&root)?).ok()?.bytes().to_vec()
        }
    })
}

fn event(org: OrgId, change: Kind, by: Option<u8>, members: &Members) -> Option<Vec<u8>> {
    let federation = base().federation.digest();
    let member = members.get(&org)?;
    let root = key_of(&member.root().id())?;
    let change = match change {
        Kind::Root(new) => Change::Root {
            key: key_at(new).public(),
            proof: OrgEvent::prove_root(&federation, &org, key_at(new)),
        },
        Kind::Issuer(new) => {
            let certificate = IssuerCertificate {
                org,
                key: key_at(new).public(),
                not_before: NOW - 1000,
                not_after: NOW + 1_000_000,
                serial: u64::from(new),
            };
            Change::Issuer {
                certificate: Signed::sign(&certificate, root).ok()?,
            }
        }
        Kind::Devices(number) => Change::RevokeDevices {
            devices: vec![device(number % DEVICES)],
        },
        Kind::RevokeIssuer(key) => Change::RevokeIssuer {
            issuer: key_at(key).public().id(),
        },
        Kind::RevokeSteward(number) => Change::RevokeSteward {
            steward: steward_of(org, number % 4),
        },
        Kind::RevokeOrganisation => Change::RevokeOrganisation,
    };
    let event = OrgEvent {
        org,
        federation,
        sequence: member.sequence() + 1,
        previous: member.head()?,
        created: NOW,
        change,
    };
    let key = by.map_or(root, key_at);
    Some(Signed::sign(&event, key).ok()?.bytes().to_vec())
}
