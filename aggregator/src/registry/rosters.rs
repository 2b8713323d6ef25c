//! Rosters of stewards.

use dawn_identity::{Roster, RosterPosting, Signed, SignedRoster};

use super::Stored;
use super::orgs::{refused, register_entry};
use crate::app::App;
use crate::problem::Problem;
use crate::store::orgs::StewardRow;

/// Takes a roster into the register.
///
/// # Errors
/// Malformed, not of the next epoch, not signed as it has to be with the keys that count now, or with a steward that its
/// organisation has not enrolled with its keys, or has revoked.
pub async fn add_roster(app: &App, bytes: &[u8]) -> Result<Stored, Problem> {
    let signed = Signed::<RosterPosting>::from_bytes(bytes).map_err(Problem::malformed)?;
    match new_roster(app, signed.peek().roster.peek(), bytes).await {
        // Whoever posts again dates again, and may bring other signatures: it is the same roster.
        Err(_) if is_registered(app, signed.peek().roster.peek()).await? => Ok(Stored::Already),
        stored => stored,
    }
}

async fn is_registered(app: &App, roster: &Roster) -> Result<bool, Problem> {
    let stored = app.store.roster_of_epoch(roster.epoch).await?;
    let stored = stored.and_then(|stored| SignedRoster::from_bytes(&stored).ok());
    Ok(stored.is_some_and(|stored| stored.peek().digest() == roster.digest()))
}

async fn new_roster(app: &App, roster: &Roster, bytes: &[u8]) -> Result<Stored, Problem> {
    let members = app.members().await?;
    if let Err(error) = members.verify_entry(bytes) {
        return refused(app, bytes, error).await;
    }
    for entry in &roster.stewards {
        let enrolled = app.store.steward(&entry.id()).await?;
        let same = |row: &StewardRow| {
            row.org == entry.org && row.vrf_key.as_deref() == Some(&entry.vrf.as_bytes()[..])
        };
        if !enrolled.as_ref().is_some_and(same) {
            return Err(Problem::invalid(format!(
                "organisation {} has not enrolled steward {} with this VRF key",
                entry.org,
                entry.id()
            )));
        }
    }
    let stored = register_entry(app, bytes).await?;
    if stored == Stored::Now {
        tracing::info!(roster = %roster.digest(), epoch = roster.epoch, "a roster is in the register");
    }
    Ok(stored)
}
