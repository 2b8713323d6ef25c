//! The founding document.

use std::sync::Arc;

use dawn_identity::{FoundingClaim, FoundingDocument, VerifiedFederation};

use super::Stored;
use crate::app::App;
use crate::clock::now_ms;
use crate::contexts::ContextError;
use crate::problem::Problem;
use crate::store::federation::Founded;

/// What a founding document is to this aggregator, by the digest of its body.
#[derive(Debug)]
pub enum Founding {
    /// The federation that it serves.
    Served(Arc<VerifiedFederation>),
    /// The one that the operator chose; it is not served yet.
    Pinned,
    /// One that nobody here knows, where none is served and none chosen.
    Unknown,
}

/// What a founding document is to this aggregator. Of one that it would not take no key is decoded: anybody can invent those.
///
/// # Errors
/// Not one, not for this aggregator, or another one is pinned or served.
pub async fn check_founding(app: &App, bytes: &[u8]) -> Result<Founding, Problem> {
    let claim = FoundingClaim::read(bytes).map_err(Problem::malformed)?;
    let served = match app.federation().await {
        // The same again, also when its keys were replaced since.
        Ok(served) if served.digest() == claim.digest => return Ok(Founding::Served(served)),
        Ok(served) => Some(served),
        Err(ContextError::NoFederation) => None,
        Err(error) => return Err(error.into()),
    };
    if claim.aggregator != *app.keys.aggregator.public().as_bytes()
        || claim.log != *app.keys.log.public().as_bytes()
    {
        return Err(Problem::invalid(
            "the founding document names other keys than this aggregator's; they are at GET /v1/aggregator",
        ));
    }
    let pinned = app.config.federation;
    if pinned.is_some_and(|pinned| pinned != claim.digest) {
        return Err(Problem::forbidden(
            "this aggregator is configured for another federation",
        ));
    }
    match served {
        Some(served) => Err(Problem::conflict(format!(
            "this aggregator serves federation {}",
            served.digest()
        ))),
        None if pinned.is_some() => Ok(Founding::Pinned),
        None => Ok(Founding::Unknown),
    }
}

/// Takes the founding document of the federation, once.
///
/// # Errors
/// As [`check_founding`], or not signed by every founder.
pub async fn found(app: &App, bytes: &[u8]) -> Result<Stored, Problem> {
    check_founding(app, bytes).await?;
    let document = FoundingDocument::from_bytes(bytes).map_err(Problem::malformed)?;
    let federation = document.verify().map_err(Problem::invalid)?;
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
        // Whoever else founded at this moment was faster.
        Founded::Other(digest) => Err(Problem::conflict(format!(
            "this aggregator serves federation {digest}"
        ))),
    }
}
