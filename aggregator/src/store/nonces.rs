//! Nonces that were taken: each once, at whichever replica. The rows count requests as well, so that one table limits both.

use dawn_identity::Thumbprint;
use dawn_identity::http_signature::Purpose;

use super::{Store, StoreError, signed, transaction, unsigned};
use crate::nonces::Nonce;

/// What became of a nonce.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// It was taken now.
    Now,
    /// It was taken before.
    Before,
    /// The key, or strangers together, sent too many requests in the last minute.
    TooMany,
}

/// How many requests may be taken in a minute, for whom.
#[derive(Debug, Clone, Copy)]
pub enum Quota {
    /// Of this key.
    Key(u32),
    /// For this purpose, of all strangers together.
    Strangers(u32),
}

/// A minute, in milliseconds.
const MINUTE: u64 = 60_000;

/// In the place of a key, for the lock on all strangers.
const STRANGERS: i64 = 0x6461_776e;

impl Store {
    /// Takes a nonce for a request whose signature verifies, unless it was taken or the quota is used up.
    pub async fn take_nonce(
        &self,
        nonce: &Nonce,
        key: &Thumbprint,
        purpose: Purpose,
        quota: Quota,
        now_ms: u64,
    ) -> Result<Taken, StoreError> {
        transaction!(self, "take_nonce", |conn| {
            let since = signed(now_ms.saturating_sub(MINUTE));
            // The lock makes counting and inserting one step.
            let (lock, most) = match quota {
                Quota::Key(most) => {
                    let mut prefix = [0; 8];
                    prefix.copy_from_slice(&key.as_bytes()[..8]);
                    (i64::from_le_bytes(prefix), most)
                }
                Quota::Strangers(most) => (STRANGERS, most),
            };
            sqlx::query("select pg_advisory_xact_lock($1)")
                .bind(lock)
                .execute(&mut *conn)
                .await?;
            let count: i64 = match quota {
                Quota::Key(_) => {
                    sqlx::query_scalar(
                        "select count(*) from used_nonces where key = $1 and used_ms > $2 and not stranger",
                    )
                    .bind(&key.as_bytes()[..])
                    .bind(since)
                    .fetch_one(&mut *conn)
                    .await?
                }
                Quota::Strangers(_) => {
                    sqlx::query_scalar(
                        "select count(*) from used_nonces where used_ms > $1 and stranger",
                    )
                    .bind(since)
                    .fetch_one(&mut *conn)
                    .await?
                }
            };
            if unsigned(count)? >= u64::from(most) {
                return Ok(Taken::TooMany);
            }
            let inserted = sqlx::query(
                "insert into used_nonces (nonce, key, purpose, stranger, used_ms, expires_ms)
                 values ($1, $2, $3, $4, $5, $6) on conflict do nothing",
            )
            .bind(&nonce.id[..])
            .bind(&key.as_bytes()[..])
            .bind(purpose.tag())
            .bind(matches!(quota, Quota::Strangers(_)))
            .bind(signed(now_ms))
            .bind(signed(nonce.expires_ms))
            .execute(conn)
            .await?
            .rows_affected();
            Ok(if inserted == 1 {
                Taken::Now
            } else {
                Taken::Before
            })
        })
    }

    /// Whether a nonce was taken.
    pub async fn nonce_was_taken(&self, nonce: &Nonce) -> Result<bool, StoreError> {
        Ok(
            sqlx::query_scalar("select exists (select from used_nonces where nonce = $1)")
                .bind(&nonce.id[..])
                .fetch_one(&self.pool)
                .await?,
        )
    }

    /// Forgets nonces that do not count any more; says how many there were.
    pub async fn forget_nonces(&self, now_ms: u64) -> Result<u64, StoreError> {
        // As long as a minute is counted, though a nonce may have been taken in its last moment.
        let before = signed(now_ms.saturating_sub(MINUTE));
        Ok(sqlx::query("delete from used_nonces where expires_ms < $1")
            .bind(before)
            .execute(&self.pool)
            .await?
            .rows_affected())
    }
}
