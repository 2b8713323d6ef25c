//! Which objects rows name, and the removal of those that no row does.
//!
//! A row that names an object commits under a shared advisory lock after looking for the object once more;
//! the sweep deletes under the exclusive one after looking for the row once more. So neither a row without
//! its object nor the deletion of a named object can happen, however slow an upload is.

use dawn_crypto::digest::Digest;
use sqlx::PgConnection;

use super::locks::Lock;
use super::{Store, StoreError, transaction};
use crate::payloads::{ObjectKey, Payloads};

/// Objects that are deleted under one lock.
const BATCH: usize = 32;

/// Objects that are looked up at a time, without a lock.
const LOOKED_UP: usize = 1000;

/// Kinds of objects that are swept. Weights are not: one that no row names is what a round was about to
/// produce when its worker was killed, and the next worker produces the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ObjectKind {
    /// Masked vectors.
    Payload,
    /// Sealed packages.
    Packages,
    /// Answers of stewards.
    Answers,
}

impl ObjectKind {
    /// The folder.
    pub fn folder(self) -> &'static str {
        match self {
            Self::Payload => "payloads",
            Self::Packages => "packages",
            Self::Answers => "answers",
        }
    }
}

/// Those of `keys` that no row names at the moment.
async fn unnamed<'a>(
    conn: &mut PgConnection,
    kind: ObjectKind,
    keys: &'a [ObjectKey],
) -> Result<Vec<&'a ObjectKey>, StoreError> {
    // A name that is not a digest was not written by this program: leave it alone.
    let named: Vec<_> = keys
        .iter()
        .filter_map(|key| Some((key, key.file_name().parse::<Digest>().ok()?)))
        .collect();
    let digests: Vec<Vec<u8>> = named.iter().map(|(_, digest)| digest.0.to_vec()).collect();
    let query = match kind {
        ObjectKind::Payload => {
            "select array(select position::bigint from unnest($1::bytea[]) with ordinality as asked (digest, position)
                          where not exists (select 1 from submissions where payload = asked.digest))"
        }
        ObjectKind::Answers => {
            "select array(select position::bigint from unnest($1::bytea[]) with ordinality as asked (digest, position)
                          where not exists (select 1 from answers where answers.digest = asked.digest))"
        }
        ObjectKind::Packages => {
            "select array(select position::bigint from unnest($1::bytea[]) with ordinality as asked (digest, position)
                          where not exists (
                              select 1 from submissions join rounds using (task, number)
                              where header_digest = asked.digest and rounds.ended_ms is null))"
        }
    };
    let positions: Vec<i64> = sqlx::query_scalar(query)
        .bind(&digests)
        .fetch_one(conn)
        .await?;
    Ok(positions
        .into_iter()
        .filter_map(|position| named.get(usize::try_from(position).ok()?.checked_sub(1)?))
        .map(|(key, _)| *key)
        .collect())
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
        for some in keys.chunks(LOOKED_UP) {
            // Most are named: they are told apart before the lock, which uploads wait for.
            let mut conn = self.pool.acquire().await?;
            let candidates: Vec<ObjectKey> = unnamed(&mut conn, kind, some)
                .await?
                .into_iter()
                .cloned()
                .collect();
            drop(conn);
            for batch in candidates.chunks(BATCH) {
                deleted += self.delete_batch(payloads, kind, batch).await?;
            }
        }
        Ok(deleted)
    }

    async fn delete_batch(
        &self,
        payloads: &Payloads,
        kind: ObjectKind,
        batch: &[ObjectKey],
    ) -> Result<usize, StoreError> {
        transaction!(self, "delete_unnamed", |conn| {
            Lock::Objects.exclusive(conn).await?;
            let mut deleted = 0;
            for key in unnamed(conn, kind, batch).await? {
                if payloads.delete(key).await.is_ok() {
                    deleted += 1;
                }
            }
            Ok(deleted)
        })
    }
}
