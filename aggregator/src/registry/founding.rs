//! The founding document.

use dawn_identity::FoundingDocument;

use super::Stored;
use crate::app::App;
use crate::clock::now_ms;
use crate::problem::Problem;
use crate::store::federation::Founded;

/// Takes the founding document of the federation, once.
///
/// # Errors
/// Not one, not signed by every founder, not for this aggregator, or another one is served already.
pub async fn found(app: &App, bytes: &[u8]) -> Result<Stored, Problem> {
    let document = FoundingDocument::from_bytes(bytes).map_err(Problem::malformed)?;
    let federation = document.verify().map_err(Problem::invalid)?;
    if federation.aggregator != app.keys.aggregator.public()
        || federation.log != app.keys.log.public()
    {
        return Err(Problem::invalid(
            "the founding document names other keys than this aggregator's; they are at GET /v1/aggregator",
        ));
    }
    if app
        .config
        .federation
        .is_some_and(|pinned| pinned != federation.digest())
    {
        return Err(Problem::forbidden(
            "this aggregator is configured for another federation",
        ));
    }
    match app
        .store
        .found(&federation.digest(), bytes, now_ms())
        .await?
    {
        Founded::Now => {
            tracing::info!(federation = %federation.digest(), name = federation.name, "the federation is founded");
            app.changed();
            Ok(Stored::Now)
        }
        Founded::Already => Ok(Stored::Already),
        Founded::Other(digest) => Err(Problem::conflict(format!(
            "this aggregator serves federation {digest}"
        ))),
    }
}
