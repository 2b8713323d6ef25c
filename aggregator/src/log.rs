//! The head of the log, signed. The entries and their order: [`crate::store::log`].

use dawn_identity::{Digest, SecretKey, Signed};
use dawn_protocol::log::LogHead;

use crate::app::App;
use crate::clock::now_ms;
use crate::contexts::ContextError;
use crate::problem::Problem;

/// Heads that are kept so that one size gets one signature.
const KEPT: usize = 64;

/// Where the log ends, and its key there. A key that was replaced signs no log that says so, and whoever reads a log that does not
/// say so yet knows only that one.
///
/// # Errors
/// The database is away, or the key is not here.
pub(crate) async fn end(app: &App) -> Result<(u64, Digest, &SecretKey), Problem> {
    loop {
        let before = key(app).await?;
        let (size, root) = app.store.log_head().await?;
        let after = key(app).await?;
        if before.public() == after.public() {
            return Ok((size, root, after));
        }
    }
}

/// Before there is a federation, nobody has named a key.
async fn key(app: &App) -> Result<&SecretKey, ContextError> {
    match app.log_key().await {
        Err(ContextError::NoFederation) => Ok(&app.keys.log),
        key => key,
    }
}

/// The signed head of the log as it is now. The same replica answers the same bytes while the log does not
/// grow.
///
/// # Errors
/// The database is away.
pub async fn signed_head(app: &App) -> Result<Vec<u8>, Problem> {
    let mut heads = app.heads.lock().await;
    let (size, root, key) = end(app).await?;
    if let Some(head) = heads.get(&size) {
        return Ok(head.clone());
    }
    let head = LogHead {
        size,
        root,
        time_ms: now_ms(),
    };
    let signed = Signed::sign(&head, key)
        .map_err(|_| Problem::internal("the head of the log cannot be signed"))?;
    if heads.len() >= KEPT {
        heads.clear();
    }
    heads.insert(size, signed.bytes().to_vec());
    Ok(signed.bytes().to_vec())
}
