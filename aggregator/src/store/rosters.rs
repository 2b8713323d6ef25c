//! Rosters of stewards, one per epoch.

use dawn_crypto::digest::Digest;
use dawn_identity::StewardId;

use super::orgs::Inserted;
use super::{Store, StoreError, digest, log, signed, transaction, unsigned};

impl Store {
    /// Stores a roster and logs it; an epoch has one roster.
    pub async fn add_roster(
        &self,
        id: &Digest,
        epoch: u64,
        roster: &[u8],
        stewards: &[(u8, StewardId)],
        now_ms: u64,
    ) -> Result<Inserted, StoreError> {
        transaction!(self, "add_roster", |conn| {
            let inserted = sqlx::query(
                "insert into rosters (digest, epoch, roster, created_ms) values ($1, $2, $3, $4)
                 on conflict do nothing",
            )
            .bind(&id.0[..])
            .bind(signed(epoch))
            .bind(roster)
            .bind(signed(now_ms))
            .execute(&mut *conn)
            .await?
            .rows_affected();
            if inserted == 0 {
                // The digest is that of the body: other signatures under the same roster change nothing.
                let stored: Option<Vec<u8>> =
                    sqlx::query_scalar("select digest from rosters where epoch = $1")
                        .bind(signed(epoch))
                        .fetch_optional(conn)
                        .await?;
                return Ok(if stored.as_deref() == Some(&id.0[..]) {
                    Inserted::Already
                } else {
                    Inserted::Other
                });
            }
            for (point, steward) in stewards {
                sqlx::query(
                    "insert into roster_stewards (roster, point, steward) values ($1, $2, $3)",
                )
                .bind(&id.0[..])
                .bind(i16::from(*point))
                .bind(&steward.as_bytes()[..])
                .execute(&mut *conn)
                .await?;
            }
            log::append(conn, "roster", None, roster).await?;
            Ok(Inserted::Now)
        })
    }

    /// Number and digest of the newest epoch.
    pub async fn newest_epoch(&self) -> Result<Option<(u64, Digest)>, StoreError> {
        let newest: Option<(i64, Vec<u8>)> =
            sqlx::query_as("select epoch, digest from rosters order by epoch desc limit 1")
                .fetch_optional(&self.pool)
                .await?;
        newest
            .map(|(epoch, id)| Ok((unsigned(epoch)?, digest(&id)?)))
            .transpose()
    }

    /// The roster of an epoch.
    pub async fn roster_of_epoch(&self, epoch: u64) -> Result<Option<Vec<u8>>, StoreError> {
        let roster = sqlx::query_scalar("select roster from rosters where epoch = $1")
            .bind(signed(epoch))
            .fetch_optional(&self.pool)
            .await?;
        Ok(roster)
    }

    /// The roster with this digest.
    pub async fn roster(&self, id: &Digest) -> Result<Option<Vec<u8>>, StoreError> {
        let roster = sqlx::query_scalar("select roster from rosters where digest = $1")
            .bind(&id.0[..])
            .fetch_optional(&self.pool)
            .await?;
        Ok(roster)
    }
}
