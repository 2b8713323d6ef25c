//! Rosters of stewards.

use dawn_identity::SignedRoster;

use super::Stored;
use crate::app::App;
use crate::clock::now_ms;
use crate::problem::Problem;
use crate::store::orgs::StewardRow;

/// Takes a roster that the organisations signed.
///
/// # Errors
/// Malformed, too few signatures, a steward that its organisation has not enrolled with its keys, or the epoch has
/// another roster.
pub async fn add_roster(app: &App, bytes: &[u8]) -> Result<Stored, Problem> {
    let federation = app.federation().await?;
    let signed = SignedRoster::from_bytes(bytes).map_err(Problem::malformed)?;
    let members = app.members().await?;
    let roster = signed
        .verify(&federation, &members)
        .map_err(Problem::invalid)?;
    // What was revoked counts in rosters that are there, as far as they go; into new ones it does not come.
    for signature in signed.signatures() {
        if members.root(&signature.org).is_none() {
            return Err(Problem::forbidden(format!(
                "organisation {} has left, and signs no new roster",
                signature.org
            )));
        }
    }
    let mut stewards = Vec::new();
    for (point, entry) in (1_u8..).zip(roster.stewards()) {
        if let Some(member) = members.get(&entry.org) {
            member
                .check_steward(&entry.id())
                .map_err(Problem::forbidden)?;
        }
        stewards.push((point, entry.id()));
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
    // Without gaps: whoever looks for the newest one asks for one after the other.
    let newest = app
        .store
        .newest_epoch()
        .await?
        .map_or(0, |(epoch, _)| epoch);
    if roster.epoch() > newest + 1 {
        return Err(Problem::invalid(format!(
            "the newest epoch is {newest}: the next roster is of epoch {}",
            newest + 1
        )));
    }
    let inserted = app
        .store
        .add_roster(&roster.digest(), roster.epoch(), bytes, &stewards, now_ms())
        .await?;
    let stored = Stored::from_insert(
        inserted,
        "this epoch has another roster, and it stays",
        "this server takes no more rosters",
    )?;
    if stored == Stored::Now {
        tracing::info!(roster = %roster.digest(), epoch = roster.epoch(), "a roster is stored");
        app.changed();
    }
    Ok(stored)
}
