//! Which objects rows name, and the removal of those that no row does.
//!
//! A row that names an object commits under a shared advisory lock after looking for the object once more;
//! the sweep deletes under the exclusive one after looking for the row once more. So neither a row without
//! its object nor the deletion of a named object can happen, however slow an upload is.

use dawn_crypto::digest::Digest;
use sqlx::PgConnection;

use super::{Store, StoreError, transaction};
use crate::payloads::{ObjectKey, Payloads};

/// "dawn", as the key of the advisory lock.
const LOCK: i64 = 0x6461_776e;

/// Objects that are deleted under one lock.
const BATCH: usize = 32;

/// Kinds of objects that are swept. Weights are not: one that no row names is what a round was about to
/// produce when its worker was killed, and the next worker produces the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ObjectKind {
    /// Masked vectors.
    Payload,
    /// Sealed packages.
    Packages,
}

impl ObjectKind {
    /// The folder.
    pub fn folder(self) -> &'static str {
        match self {
            Self::Payload => "payloads",
            Self::Packages => "packages",
        }
    }
}

pub(super) async fn lock_shared(conn: &mut PgConnection) -> Result<(), StoreError> {
    sqlx::query("select pg_advisory_xact_lock_shared($1)")
        .bind(LOCK)
        .execute(conn)
        .await?;
    Ok(())
}

async fn is_named(
    conn: &mut PgConnection,
    kind: ObjectKind,
    digest: &Digest,
) -> Result<bool, StoreError> {
    let query = match kind {
        ObjectKind::Payload => "select exists (select 1 from submissions where payload = $1)",
        ObjectKind::Packages => {
            "select exists (select 1 from submissions join rounds using (task, number)
                            where header_digest = $1 and rounds.ended_ms is null)"
        }
    };
    Ok(sqlx::query_scalar(query)
        .bind(&digest.0[..])
        .fetch_one(conn)
        .await?)
}

impl Store {
    /// Deletes those of `keys` that no row names; says how many.
    pub async fn delete_unnamed(
        &self,
        payloads: &Payloads,
        kind: ObjectKind,
        keys: &[ObjectKey],
    ) -> Result<usize, StoreError> {
        let mut deleted = 0;
        for batch in keys.chunks(BATCH) {
            deleted += transaction!(self, "delete_unnamed", |conn| {
                sqlx::query("select pg_advisory_xact_lock($1)")
                    .bind(LOCK)
                    .execute(&mut *conn)
                    .await?;
                let mut deleted = 0;
                for key in batch {
                    // A name that is not a digest was not written by this program: leave it alone.
                    let Ok(digest) = key.file_name().parse::<Digest>() else {
                        continue;
                    };
                    if !is_named(conn, kind, &digest).await? && payloads.delete(key).await.is_ok() {
                        deleted += 1;
                    }
                }
                Ok(deleted)
            })?;
        }
        Ok(deleted)
    }
}
