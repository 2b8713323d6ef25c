//! Registrations of organisations and enrolments of stewards.

use dawn_identity::{Members, OrgId, OrgRegistration, Signed, StewardEnrolment};

use super::Stored;
use crate::app::App;
use crate::clock::{now_ms, now_s};
use crate::contexts::root_key;
use crate::problem::Problem;
use crate::store::StoreError;
use crate::store::orgs::{Inserted, OrgRow, StewardRow};

/// Takes a self-signed registration.
///
/// # Errors
/// Malformed, not signed by its root key, for another federation, not admitted, or the root key is
/// registered with another name or issuer.
pub async fn register_org(app: &App, bytes: &[u8]) -> Result<(OrgId, Stored), Problem> {
    let federation = app.federation().await?;
    let signed = Signed::<OrgRegistration>::from_bytes(bytes).map_err(Problem::malformed)?;
    let registration = signed
        .verify_registration(&federation.digest(), now_s())
        .map_err(Problem::invalid)?;
    let org = registration.org();
    let members =
        Members::with_admitted(&federation, &[registration.root]).map_err(Problem::forbidden)?;
    let row = OrgRow {
        org,
        name: registration.name.clone(),
        root_key: registration.root.as_bytes().to_vec(),
        founder: members.is_founder(&org),
        registration: bytes.to_vec(),
        created_ms: now_ms(),
    };
    let mut inserted = app.store.register_org(&row, app.config.limits.orgs).await?;
    if inserted == Inserted::Other && same_but_for_its_date(app, &registration).await? {
        inserted = Inserted::Already;
    }
    let stored = Stored::from_insert(
        inserted,
        "this root key is registered with other contents, and they stay",
        "the federation has as many members as this server takes",
    )?;
    if stored == Stored::Now {
        tracing::info!(%org, name = row.name, "an organisation registered");
        app.changed();
    }
    Ok((org, stored))
}

/// Whether what is registered says the same as this, which was signed at another time: whoever registers
/// twice signs twice. The first stays.
async fn same_but_for_its_date(app: &App, again: &OrgRegistration) -> Result<bool, Problem> {
    let Some(row) = app.store.org(&again.org()).await? else {
        return Ok(false);
    };
    let stored = Signed::<OrgRegistration>::from_bytes(&row.registration)
        .map_err(|_| StoreError::Corrupt("a stored registration does not decode"))?;
    let dated = OrgRegistration {
        created: stored.peek().created,
        ..again.clone()
    };
    Ok(dated == *stored.peek())
}

/// Takes the enrolment of a steward of `org`, signed by its root key.
///
/// # Errors
/// Unknown organisation, malformed, a signature or the proof of possession is wrong.
pub async fn enrol_steward(app: &App, org: &OrgId, bytes: &[u8]) -> Result<Stored, Problem> {
    let federation = app.federation().await?;
    let row = app
        .store
        .org(org)
        .await?
        .ok_or_else(|| Problem::not_found("no such organisation is registered"))?;
    let root = root_key(&row.root_key)?;
    let signed = Signed::<StewardEnrolment>::from_bytes(bytes).map_err(Problem::malformed)?;
    let enrolment = signed
        .verify_enrolment(&root, &federation.digest())
        .map_err(Problem::invalid)?;
    let row = StewardRow {
        steward: enrolment.id(),
        org: *org,
        steward_key: enrolment.steward.as_bytes().to_vec(),
        vrf_key: Some(enrolment.vrf.as_bytes().to_vec()),
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
        "the federation has as many members as this server takes",
    )?;
    if stored == Stored::Now {
        tracing::info!(%org, steward = %row.steward, "a steward is enrolled");
        app.changed();
    }
    Ok(stored)
}
