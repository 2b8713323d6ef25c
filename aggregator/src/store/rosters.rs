//! Rosters of stewards, one per epoch: what the register says, by epoch and by steward.

use dawn_identity::VerifiedRoster;
use sqlx::PgConnection;

use super::{Store, StoreError, signed};

/// Notes a roster, in the transaction that appends it to the register.
pub(super) async fn insert(
    conn: &mut PgConnection,
    roster: &VerifiedRoster,
    now_ms: u64,
) -> Result<(), StoreError> {
    let id = roster.digest();
    sqlx::query("insert into rosters (digest, epoch, roster, created_ms) values ($1, $2, $3, $4)")
        .bind(&id.0[..])
        .bind(signed(roster.epoch()))
        .bind(roster.signed().to_bytes())
        .bind(signed(now_ms))
        .execute(&mut *conn)
        .await?;
    for (point, entry) in (1_i16..).zip(roster.stewards()) {
        sqlx::query("insert into roster_stewards (roster, point, steward) values ($1, $2, $3)")
            .bind(&id.0[..])
            .bind(point)
            .bind(&entry.id().as_bytes()[..])
            .execute(&mut *conn)
            .await?;
    }
    Ok(())
}

impl Store {
    /// The roster of an epoch.
    pub async fn roster_of_epoch(&self, epoch: u64) -> Result<Option<Vec<u8>>, StoreError> {
        let roster = sqlx::query_scalar("select roster from rosters where epoch = $1")
            .bind(signed(epoch))
            .fetch_optional(&self.pool)
            .await?;
        Ok(roster)
    }
}
