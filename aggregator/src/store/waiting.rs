//! Organisations that wait for founders to let them in. Strangers write here, so the table has few places, and forgets.

use dawn_identity::OrgId;
use sqlx::{PgConnection, Row};

use super::locks::Lock;
use super::orgs::Inserted;
use super::{Store, StoreError, digest, transaction, unsigned};

/// Most organisations that wait.
pub const MOST_WAITING: u32 = 1024;

/// Days that one waits.
pub const WAITING_DAYS: u32 = 30;

/// An organisation that waits.
#[derive(Debug, Clone)]
pub struct WaitingOrg {
    /// Its identifier.
    pub org: OrgId,
    /// The signed registration.
    pub registration: Vec<u8>,
    /// When it registered.
    pub created_ms: u64,
}

/// Deletes those that have waited too long, and those that are in: a registration may arrive while its organisation is let in.
async fn forget(conn: &mut PgConnection) -> Result<u64, StoreError> {
    Ok(sqlx::query(
        "delete from waiting_orgs
         where created_ms <= (select database_ms()) - $1::bigint * 86400000
            or exists (select from orgs where orgs.org = waiting_orgs.org)",
    )
    .bind(i64::from(WAITING_DAYS))
    .execute(conn)
    .await?
    .rows_affected())
}

/// It waits no longer.
pub(super) async fn has_come_in(conn: &mut PgConnection, org: &OrgId) -> Result<(), StoreError> {
    sqlx::query("delete from waiting_orgs where org = $1")
        .bind(&org.as_bytes()[..])
        .execute(conn)
        .await?;
    Ok(())
}

impl Store {
    /// Lets an organisation wait. The first registration of one stays while it waits.
    pub async fn let_wait(&self, org: &OrgId, registration: &[u8]) -> Result<Inserted, StoreError> {
        transaction!(self, "let_wait", |conn| {
            // The lock makes counting and inserting one step, for strangers alone.
            Lock::Waiting.exclusive(conn).await?;
            forget(conn).await?;
            let stored: Option<Vec<u8>> =
                sqlx::query_scalar("select registration from waiting_orgs where org = $1")
                    .bind(&org.as_bytes()[..])
                    .fetch_optional(&mut *conn)
                    .await?;
            if let Some(stored) = stored {
                return Ok(match stored == registration {
                    true => Inserted::Already,
                    false => Inserted::Other,
                });
            }
            let waiting: i64 = sqlx::query_scalar("select count(*) from waiting_orgs")
                .fetch_one(&mut *conn)
                .await?;
            if waiting >= i64::from(MOST_WAITING) {
                return Ok(Inserted::Full);
            }
            sqlx::query(
                "insert into waiting_orgs (org, registration, created_ms) values ($1, $2, database_ms())",
            )
            .bind(&org.as_bytes()[..])
            .bind(registration)
            .execute(conn)
            .await?;
            Ok(Inserted::Now)
        })
    }

    /// One that waits.
    pub async fn waiting(&self, org: &OrgId) -> Result<Option<WaitingOrg>, StoreError> {
        sqlx::query("select org, registration, created_ms from waiting_orgs where org = $1")
            .bind(&org.as_bytes()[..])
            .fetch_optional(&self.pool)
            .await?
            .as_ref()
            .map(row)
            .transpose()
    }

    /// All that wait, in the order of their registration.
    pub async fn all_waiting(&self) -> Result<Vec<WaitingOrg>, StoreError> {
        sqlx::query(
            "select org, registration, created_ms from waiting_orgs order by created_ms, org",
        )
        .fetch_all(&self.pool)
        .await?
        .iter()
        .map(row)
        .collect()
    }

    /// Forgets those that have waited too long; says how many there were.
    pub async fn forget_waiting(&self) -> Result<u64, StoreError> {
        transaction!(self, "forget_waiting", |conn| { forget(conn).await })
    }
}

fn row(row: &sqlx::postgres::PgRow) -> Result<WaitingOrg, StoreError> {
    Ok(WaitingOrg {
        org: OrgId(digest(row.try_get("org")?)?),
        registration: row.try_get("registration")?,
        created_ms: unsigned(row.try_get("created_ms")?)?,
    })
}
