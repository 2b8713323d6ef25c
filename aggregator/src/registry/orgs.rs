//! Organisations: their registrations, their events, the approvals of founders, and the enrolments of their stewards.

use dawn_identity::register::MAX_ENTRY_BYTES;
use dawn_identity::{
    Envelope, FederationEvent, Members, OrgApproval, OrgEvent, OrgId, OrgRegistration,
    RegisterError, RosterEntry, RosterError, ServerKeyError, Signed, Statement, StewardEnrolment,
};

use super::Stored;
use crate::app::App;
use crate::clock::{now_ms, now_s};
use crate::problem::Problem;
use crate::store::StoreError;
use crate::store::orgs::{Inserted, MOST_STEWARDS, StewardRow};
use crate::store::register::{Appended, NewEntry, NewOrg};

/// Takes a self-signed registration.
///
/// # Errors
/// Malformed, not signed by its root key, for another federation, or the root key is registered with another name or
/// issuer, or is another organisation's.
pub async fn register_org(app: &App, bytes: &[u8]) -> Result<(OrgId, Stored), Problem> {
    let federation = app.federation().await?;
    let signed = Signed::<OrgRegistration>::from_bytes(bytes).map_err(Problem::malformed)?;
    let registration = signed
        .verify_registration(&federation.digest(), now_s())
        .map_err(Problem::invalid)?;
    let org = registration.org();
    let stored = match is_known(app, &registration).await? {
        true => Stored::Already,
        false => match new_registration(app, &signed, bytes).await {
            // Registered twice at once.
            Err(_) if is_known(app, &registration).await? => Stored::Already,
            stored => stored?,
        },
    };
    if stored == Stored::Now {
        tracing::info!(%org, name = registration.name, "an organisation registered");
    }
    Ok((org, stored))
}

/// Whether the same is registered, perhaps signed at another time: whoever registers twice signs twice. The first stays.
async fn is_known(app: &App, registration: &OrgRegistration) -> Result<bool, Problem> {
    let Some(known) = known_registration(app, &registration.org()).await? else {
        return Ok(false);
    };
    let known = Signed::<OrgRegistration>::from_bytes(&known)
        .map_err(|_| StoreError::Corrupt("a stored registration does not decode"))?;
    let dated = OrgRegistration {
        created: known.peek().created,
        ..registration.clone()
    };
    match dated == *known.peek() {
        true => Ok(true),
        false => Err(Problem::conflict(OTHER_CONTENTS)),
    }
}

async fn new_registration(
    app: &App,
    signed: &Signed<OrgRegistration>,
    bytes: &[u8],
) -> Result<Stored, Problem> {
    let org = signed.peek().org();
    let members = app.members().await?;
    check_room(app, &members, &org)?;
    if !members.needs_approval(&org) {
        return append(app, bytes).await;
    }
    // What founders could not approve takes no place from others.
    if let Err(error) = members.verify_newcomer(signed) {
        return Err(problem(error));
    }
    let waiting = app.store.let_wait(&org, bytes).await?;
    Stored::from_insert(waiting, OTHER_CONTENTS, NO_PLACE_TO_WAIT)
}

const OTHER_CONTENTS: &str =
    "this root key is registered with other contents, and they stay: keys change by rotation";

const NO_PLACE_TO_WAIT: &str = "as many organisations wait for the approval of founders as this server keeps. Give your registration to a founder yourself: `dawn federation registration --out FILE` writes it, `dawn org approve --registration FILE` approves it. Places get free when organisations are let in, and after 30 days";

/// What an organisation has registered with, whether it is in or waits for founders.
///
/// # Errors
/// The database fails.
pub async fn known_registration(app: &App, org: &OrgId) -> Result<Option<Vec<u8>>, Problem> {
    // In the order in which one moves on, so that none is missed that moves meanwhile.
    let waiting = app.store.waiting(org).await?;
    let members = app.members().await?;
    let pending = members.pending(org);
    let row = app.store.org(org).await?;
    Ok(row
        .map(|row| row.registration)
        .or_else(|| pending.map(|pending| pending.signed().bytes().to_vec()))
        .or_else(|| waiting.map(|waiting| waiting.registration)))
}

/// Guests cannot take the founders' places, nor more than the operator gives.
fn check_room(app: &App, members: &Members, org: &OrgId) -> Result<(), Problem> {
    let has_a_place = members.is_founder(org) || members.pending(org).is_some();
    if !has_a_place && members.guests() >= app.config.limits.orgs as usize {
        return Err(Problem::quota(
            "the federation has as many members as this server takes",
        ));
    }
    Ok(())
}

/// Takes a founder's approval of an organisation, whose registration it brings along.
///
/// # Errors
/// As [`register_entry`], or there is no room for another organisation.
pub async fn approve_org(app: &App, bytes: &[u8]) -> Result<Stored, Problem> {
    let signed = Signed::<OrgApproval>::from_bytes(bytes).map_err(Problem::malformed)?;
    let org = signed.peek().org();
    let members = app.members().await?;
    if members.get(&org).is_none() {
        check_room(app, &members, &org)?;
    }
    let stored = append(app, bytes).await?;
    if stored == Stored::Now {
        tracing::info!(%org, founder = %signed.peek().approver, "a founder approved an organisation");
    }
    Ok(stored)
}

/// Takes an event of an organisation or a roster.
///
/// # Errors
/// It does not follow what the register says of the organisation, or breaks a rule.
pub async fn register_entry(app: &App, bytes: &[u8]) -> Result<Stored, Problem> {
    let stored = append(app, bytes).await?;
    if stored == Stored::Now {
        tracing::info!("the register has another entry");
    }
    Ok(stored)
}

/// Times that an entry is verified again because others came in before it.
const ATTEMPTS: u32 = 200;

/// Brings an entry into the register: verified against what is before it, and appended only when that is still the end. Of
/// many at once, at whichever replica, each sees those before it: one history, and none is lost.
async fn append(app: &App, bytes: &[u8]) -> Result<Stored, Problem> {
    for _ in 0..ATTEMPTS {
        let members = app.members().await?;
        let entry = match members.verify_entry(bytes) {
            Ok(entry) => entry,
            Err(error) => return refused(app, bytes, error).await,
        };
        let org = members.comes_in(&entry).map(|registration| NewOrg {
            name: registration.name.clone(),
            root_key: registration.root.as_bytes().to_vec(),
            founder: members.is_founder(&registration.org()),
            registration: registration.signed().bytes().to_vec(),
        });
        let new = NewEntry {
            org,
            before: members.head(),
            after: members.head().after(&entry.envelope_digest()),
            entry,
            now_ms: now_ms(),
        };
        match app.store.append_register(&new).await? {
            Appended::Now => {
                app.changed();
                return Ok(Stored::Now);
            }
            Appended::Moved => {}
        }
    }
    Err(Problem::unavailable(
        "too many others change something at this moment; try again",
    ))
}

/// The same again is fine; everything else says what is wrong.
pub(super) async fn refused(
    app: &App,
    bytes: &[u8],
    error: RegisterError,
) -> Result<Stored, Problem> {
    if let Ok(envelope) = Envelope::parse(bytes, MAX_ENTRY_BYTES) {
        let org = match envelope.kind() {
            OrgEvent::KIND => Signed::<OrgEvent>::from_envelope(envelope)
                .ok()
                .map(|signed| signed.peek().org),
            OrgRegistration::KIND => Signed::<OrgRegistration>::from_envelope(envelope)
                .ok()
                .map(|signed| signed.peek().org()),
            FederationEvent::KIND => Signed::<FederationEvent>::from_envelope(envelope)
                .ok()
                .map(|signed| signed.peek().org),
            OrgApproval::KIND => Signed::<OrgApproval>::from_envelope(envelope)
                .ok()
                .map(|signed| signed.peek().org()),
            _ => None,
        };
        if let Some(org) = org
            && app.store.registered(&org, bytes).await?
        {
            return Ok(Stored::Already);
        }
    }
    Err(problem(error))
}

fn problem(error: RegisterError) -> Problem {
    match error {
        RegisterError::Envelope(_) | RegisterError::Kind(_) => Problem::malformed(error),
        RegisterError::NotAMember(_) | RegisterError::Unapproved(_) => Problem::forbidden(error),
        RegisterError::Registered(_)
        | RegisterError::KeyInUse { .. }
        | RegisterError::Sequence { .. }
        | RegisterError::Nothing(_)
        | RegisterError::Approval { .. } => Problem::conflict(error),
        RegisterError::Epoch { newest, found } if found <= newest => Problem::conflict(error),
        RegisterError::Full(_)
        | RegisterError::NoRoom
        | RegisterError::NoEpochs
        | RegisterError::OpenApprovals(_) => Problem::quota(error),
        RegisterError::ServerKey(ref why) => match **why {
            ServerKeyError::Sequence { .. } | ServerKeyError::KeyInUse(_) => {
                Problem::conflict(error)
            }
            ServerKeyError::NotAFounder(_) => Problem::forbidden(error),
            _ => Problem::invalid(error),
        },
        RegisterError::Roster(ref why) if matches!(**why, RosterError::Revoked(_)) => {
            Problem::forbidden(error)
        }
        RegisterError::Registration(_)
        | RegisterError::OtherFederation(_)
        | RegisterError::Signature { .. }
        | RegisterError::Proof { .. }
        | RegisterError::Issuer(_)
        | RegisterError::Roster(_)
        | RegisterError::Epoch { .. } => Problem::invalid(error),
    }
}

/// Takes the enrolment of a steward of `org`, signed by its root key.
///
/// # Errors
/// Unknown organisation, malformed, a signature or the proof of possession is wrong, or the root key has enrolled as many as
/// it may.
pub async fn enrol_steward(app: &App, org: &OrgId, bytes: &[u8]) -> Result<Stored, Problem> {
    let federation = app.federation().await?;
    let members = app.members().await?;
    let member = members
        .get(org)
        .filter(|member| member.head().is_some())
        .ok_or_else(|| Problem::not_found("no such organisation is registered"))?;
    let signed = Signed::<StewardEnrolment>::from_bytes(bytes).map_err(Problem::malformed)?;
    let enrolment = signed
        .verify_enrolment(org, member.root(), &federation.digest())
        .map_err(Problem::invalid)?;
    member
        .check_steward(&enrolment.id())
        .map_err(Problem::forbidden)?;
    let entry = RosterEntry {
        org: *org,
        steward: enrolment.steward,
        vrf: enrolment.vrf.clone(),
    };
    // No roster would seat it.
    if !members.may_seat(&entry, std::slice::from_ref(&entry)) {
        return Err(Problem::conflict(
            "a key of this steward serves another purpose: the federation's, a root key, or an issuer of its organisation; make it keys of its own",
        ));
    }
    let row = StewardRow {
        steward: enrolment.id(),
        org: *org,
        steward_key: enrolment.steward.as_bytes().to_vec(),
        vrf_key: Some(enrolment.vrf.as_bytes().to_vec()),
        root: Some(member.root().id()),
        created_ms: now_ms(),
    };
    let mut inserted = app.store.enrol_steward(&row, bytes).await?;
    if inserted == Inserted::Other {
        // Of the same organisation and key, for this federation, verified: besides the VRF key only the date
        // can differ.
        let stored = app.store.steward(&row.steward).await?;
        if stored.is_some_and(|stored| stored.vrf_key == row.vrf_key) {
            inserted = Inserted::Already;
        }
    }
    let stored = Stored::from_insert(
        inserted,
        "this steward is enrolled with other contents, and they stay",
        &format!(
            "this root key has enrolled {MOST_STEWARDS} stewards, which is the most; replace it (dawn org rotate --root) to enrol more"
        ),
    )?;
    if stored == Stored::Now {
        tracing::info!(%org, steward = %row.steward, "a steward is enrolled");
        app.changed();
    }
    Ok(stored)
}
