//! The founding document that this aggregator serves.

use dawn_crypto::digest::Digest;
use sqlx::Row;

use super::{Store, StoreError, digest, log, signed, transaction};

/// What became of a founding document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Founded {
    /// It is the federation from now on.
    Now,
    /// It was already.
    Already,
    /// Another one was there before.
    Other(Digest),
}

impl Store {
    /// Stores the one founding document and logs it.
    pub async fn found(
        &self,
        id: &Digest,
        document: &[u8],
        now_ms: u64,
    ) -> Result<Founded, StoreError> {
        transaction!(self, "found", |conn| {
            let inserted = sqlx::query(
                "insert into federation (digest, document, created_ms) values ($1, $2, $3) on conflict do nothing",
            )
            .bind(&id.0[..])
            .bind(document)
            .bind(signed(now_ms))
            .execute(&mut *conn)
            .await?
            .rows_affected();
            if inserted == 1 {
                log::append(conn, "federation", None, document).await?;
                return Ok(Founded::Now);
            }
            let stored: Vec<u8> = sqlx::query_scalar("select digest from federation")
                .fetch_one(conn)
                .await?;
            let stored = digest(&stored)?;
            Ok(if stored == *id {
                Founded::Already
            } else {
                Founded::Other(stored)
            })
        })
    }

    /// The founding document, if there is one.
    pub async fn founding_document(&self) -> Result<Option<Vec<u8>>, StoreError> {
        let row = sqlx::query("select document from federation")
            .fetch_optional(&self.pool)
            .await?;
        Ok(row.map(|row| row.try_get("document")).transpose()?)
    }
}
