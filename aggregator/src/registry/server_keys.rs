//! Changes of the server's keys.

use dawn_identity::{FederationEvent, Signed};

use super::Stored;
use super::orgs::register_entry;
use crate::app::App;
use crate::problem::Problem;

/// Takes another key of the aggregator or of the log into the register. From then on a process without it signs nothing, and
/// the rounds that were specified under the old key of the aggregator are aborted.
///
/// # Errors
/// Malformed, not the next change, not signed by enough founders, or of a key that is somebody's.
pub async fn replace_server_key(app: &App, bytes: &[u8]) -> Result<Stored, Problem> {
    let signed = Signed::<FederationEvent>::from_bytes(bytes).map_err(Problem::malformed)?;
    let change = signed.peek().change.peek();
    let stored = match register_entry(app, bytes).await {
        Ok(stored) => stored,
        // Another founder has posted the same, perhaps at this moment.
        Err(problem) => {
            let (_, last) = app.members().await?.last_server_key_change();
            return match last == change.digest() {
                true => Ok(Stored::Already),
                false => Err(problem),
            };
        }
    };
    if stored == Stored::Now {
        let (role, key) = (change.new.role(), change.new.key().id());
        tracing::warn!(%role, %key, "a key of the server is replaced");
        if let Err(error) = app.check_keys().await {
            tracing::error!(%error, "this process does not have it");
        }
        app.changed();
    }
    Ok(stored)
}
