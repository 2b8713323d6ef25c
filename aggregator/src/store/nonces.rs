//! Nonces that were taken: each once, at whichever replica. The rows count requests as well, so that one table limits both.
//!
//! The database's clock alone decides what is over: one replica's clock may be wrong, and must neither let a nonce be taken
//! again that another replica still accepts nor count a minute differently.

use dawn_identity::Thumbprint;
use dawn_identity::http_signature::Purpose;
use sqlx::PgExecutor;

use super::locks::Lock;
use super::{Store, StoreError, signed, transaction, unsigned};
use crate::nonces::Nonce;

/// What became of a nonce.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// It was taken now.
    Now,
    /// It was taken before.
    Before,
    /// It is too old by the database's clock.
    Expired,
    /// The key, or strangers together, sent too many requests in the last minute.
    TooMany,
}

/// How many requests may be taken in a minute, for whom.
#[derive(Debug, Clone, Copy)]
pub enum Quota {
    /// Of this key.
    Key(u32),
    /// Of all strangers together.
    Strangers(u32),
}

/// Whether as many requests were taken in the last minute as may be.
async fn used_up(
    executor: impl PgExecutor<'_>,
    key: &Thumbprint,
    quota: Quota,
) -> Result<bool, StoreError> {
    let (count, most): (i64, u32) = match quota {
        Quota::Key(most) => {
            let count = sqlx::query_scalar(
                "select count(*) from used_nonces
                 where key = $1 and used_ms > (select database_ms()) - 60000 and not stranger",
            )
            .bind(&key.as_bytes()[..])
            .fetch_one(executor)
            .await?;
            (count, most)
        }
        Quota::Strangers(most) => {
            let count = sqlx::query_scalar(
                "select count(*) from used_nonces where used_ms > (select database_ms()) - 60000 and stranger",
            )
            .fetch_one(executor)
            .await?;
            (count, most)
        }
    };
    Ok(unsigned(count)? >= u64::from(most))
}

impl Store {
    /// Takes a nonce for a request whose signature verifies, unless it is over, it was taken or the quota is used up.
    pub async fn take_nonce(
        &self,
        nonce: &Nonce,
        key: &Thumbprint,
        purpose: Purpose,
        quota: Quota,
    ) -> Result<Taken, StoreError> {
        // Whoever is far over the quota is refused without waiting for anybody.
        if used_up(&self.pool, key, quota).await? {
            return Ok(Taken::TooMany);
        }
        transaction!(self, "take_nonce", |conn| {
            // The lock makes counting and inserting one step.
            let lock = match quota {
                Quota::Key(_) => Lock::Key(key),
                Quota::Strangers(_) => Lock::Strangers,
            };
            lock.exclusive(conn).await?;
            if used_up(&mut *conn, key, quota).await? {
                return Ok(Taken::TooMany);
            }
            let expired: bool = sqlx::query_scalar("select $1 <= database_ms()")
                .bind(signed(nonce.expires_ms))
                .fetch_one(&mut *conn)
                .await?;
            if expired {
                return Ok(Taken::Expired);
            }
            let inserted = sqlx::query(
                "insert into used_nonces (nonce, key, purpose, stranger, used_ms, expires_ms)
                 values ($1, $2, $3, $4, database_ms(), $5) on conflict do nothing",
            )
            .bind(&nonce.id[..])
            .bind(&key.as_bytes()[..])
            .bind(purpose.tag())
            .bind(matches!(quota, Quota::Strangers(_)))
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
    pub async fn forget_nonces(&self) -> Result<u64, StoreError> {
        // A minute is counted, and a transaction that found a nonce good may commit a little later than it is over: rows
        // stay for two minutes more.
        Ok(sqlx::query(
            "delete from used_nonces where expires_ms < (select database_ms()) - 120000",
        )
        .execute(&self.pool)
        .await?
        .rows_affected())
    }
}
