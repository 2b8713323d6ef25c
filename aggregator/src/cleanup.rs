//! What is left to do after a round, and after uploads that broke off.

use dawn_protocol::RoundId;

use crate::app::App;
use crate::clock::now_s;
use crate::round::EngineError;
use crate::store::objects::ObjectKind;
use crate::transcripts;

/// Builds the transcript of a round that is over, then deletes its sealed packages: keys that are stolen
/// later must find nothing to open (docs/protocol.md, section 5). Payloads, answers and scalars stay for
/// auditors.
///
/// # Errors
/// The database or the objects fail; doing it again is harmless.
pub async fn end_of_round(app: &App, id: &RoundId) -> Result<(), EngineError> {
    let deleted = app.payloads.delete_packages(&id.task.0, id.number).await?;
    tracing::debug!(round = %id, deleted, "sealed packages are deleted");
    transcripts::build(app, id).await?;
    app.known.forget(id);
    app.changed();
    Ok(())
}

/// Deletes payloads, packages and answers that no row names and that are older than any upload, nonces that expired, and
/// registrations that nobody has approved for too long.
///
/// # Errors
/// The database or the objects fail.
pub async fn sweep(app: &App) -> Result<(), EngineError> {
    app.store.forget_nonces().await?;
    app.store.forget_waiting().await?;
    let before = now_s().saturating_sub(app.config.limits.orphan_age_s);
    let unfinished = app.payloads.delete_unfinished(before).await?;
    if unfinished > 0 {
        tracing::info!(unfinished, "uploads that a crash broke off are deleted");
    }
    for kind in [
        ObjectKind::Payload,
        ObjectKind::Packages,
        ObjectKind::Answers,
    ] {
        let keys = app.payloads.older_than(kind.folder(), before).await?;
        let deleted = app.store.delete_unnamed(&app.payloads, kind, &keys).await?;
        if deleted > 0 {
            tracing::info!(
                deleted,
                kind = kind.folder(),
                "orphaned objects are deleted"
            );
        }
    }
    Ok(())
}
