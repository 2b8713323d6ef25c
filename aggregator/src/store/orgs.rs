//! Organisations and the stewards that they enrol.

use dawn_identity::{KeyId, OrgId, StewardId};
use sqlx::Row;
use sqlx::postgres::PgRow;

use super::{Store, StoreError, digest, log, signed, transaction, unsigned};

/// An organisation as stored.
#[derive(Debug, Clone)]
pub struct OrgRow {
    /// Its identifier.
    pub org: OrgId,
    /// Its name, for people.
    pub name: String,
    /// Its root key.
    pub root_key: Vec<u8>,
    /// Whether it founded the federation.
    pub founder: bool,
    /// The signed registration.
    pub registration: Vec<u8>,
    /// When it registered.
    pub created_ms: u64,
}

/// An enrolled steward as stored.
#[derive(Debug, Clone)]
pub struct StewardRow {
    /// Its identifier.
    pub steward: StewardId,
    /// Whose it is.
    pub org: OrgId,
    /// Its key.
    pub steward_key: Vec<u8>,
    /// The key of its parts of beacons; `None` when an older version enrolled it.
    pub vrf_key: Option<Vec<u8>>,
    /// Identifier of the root key that enrolled it; `None` when an older version did.
    pub root: Option<KeyId>,
    /// When it was enrolled.
    pub created_ms: u64,
}

/// Most stewards that one root key enrols. An organisation seats one at a time; a root key that was stolen, and is
/// replaced, has used up its own places only.
pub const MOST_STEWARDS: u32 = 64;

/// What became of an insert that may happen once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inserted {
    /// It is stored now.
    Now,
    /// The same was stored before.
    Already,
    /// Something else is stored under that name, and stays.
    Other,
    /// There is no room for more.
    Full,
}

impl Store {
    /// All organisations in the order of their registration.
    pub async fn orgs(&self) -> Result<Vec<OrgRow>, StoreError> {
        sqlx::query(
            "select org, name, root_key, founder, registration, created_ms from orgs order by created_ms, org",
        )
        .fetch_all(&self.pool)
        .await?
        .iter()
        .map(org_row)
        .collect()
    }

    /// One organisation.
    pub async fn org(&self, org: &OrgId) -> Result<Option<OrgRow>, StoreError> {
        sqlx::query(
            "select org, name, root_key, founder, registration, created_ms from orgs where org = $1",
        )
        .bind(&org.as_bytes()[..])
        .fetch_optional(&self.pool)
        .await?
        .as_ref()
        .map(org_row)
        .transpose()
    }

    /// Stores an enrolment and logs it.
    pub async fn enrol_steward(
        &self,
        row: &StewardRow,
        enrolment: &[u8],
    ) -> Result<Inserted, StoreError> {
        transaction!(self, "enrol_steward", |conn| {
            // The row of the organisation serialises its enrolments, so that the limit is exact.
            sqlx::query("select 1 from orgs where org = $1 for no key update")
                .bind(&row.org.as_bytes()[..])
                .execute(&mut *conn)
                .await?;
            let stored: Option<Vec<u8>> =
                sqlx::query_scalar("select enrolment from stewards where steward = $1")
                    .bind(&row.steward.as_bytes()[..])
                    .fetch_optional(&mut *conn)
                    .await?;
            if let Some(stored) = stored {
                return Ok(if stored == enrolment {
                    Inserted::Already
                } else {
                    Inserted::Other
                });
            }
            let root = row.root.map(|root| root.as_bytes().to_vec());
            let enrolled: i64 =
                sqlx::query_scalar("select count(*) from stewards where org = $1 and root = $2")
                    .bind(&row.org.as_bytes()[..])
                    .bind(&root)
                    .fetch_one(&mut *conn)
                    .await?;
            if enrolled >= i64::from(MOST_STEWARDS) {
                return Ok(Inserted::Full);
            }
            sqlx::query(
                "insert into stewards (steward, org, steward_key, enrolment, created_ms, vrf_key, root)
                 values ($1, $2, $3, $4, $5, $6, $7)",
            )
            .bind(&row.steward.as_bytes()[..])
            .bind(&row.org.as_bytes()[..])
            .bind(&row.steward_key)
            .bind(enrolment)
            .bind(signed(row.created_ms))
            .bind(&row.vrf_key)
            .bind(&root)
            .execute(&mut *conn)
            .await?;
            log::append(conn, "steward-enrolment", None, enrolment).await?;
            Ok(Inserted::Now)
        })
    }

    /// The newest [`MOST_STEWARDS`] stewards that an organisation has enrolled, oldest first.
    pub async fn stewards_of(&self, org: &OrgId) -> Result<Vec<StewardRow>, StoreError> {
        sqlx::query(
            "select * from (
                 select steward, org, steward_key, vrf_key, root, created_ms from stewards where org = $1
                 order by created_ms desc, steward desc limit $2
             ) as newest order by created_ms, steward",
        )
        .bind(&org.as_bytes()[..])
        .bind(i64::from(MOST_STEWARDS))
        .fetch_all(&self.pool)
        .await?
        .iter()
        .map(steward_row)
        .collect()
    }

    /// One steward.
    pub async fn steward(&self, steward: &StewardId) -> Result<Option<StewardRow>, StoreError> {
        sqlx::query(
            "select steward, org, steward_key, vrf_key, root, created_ms from stewards where steward = $1",
        )
        .bind(&steward.as_bytes()[..])
        .fetch_optional(&self.pool)
        .await?
        .as_ref()
        .map(steward_row)
        .transpose()
    }
}

fn org_row(row: &PgRow) -> Result<OrgRow, StoreError> {
    Ok(OrgRow {
        org: OrgId(digest(row.try_get("org")?)?),
        name: row.try_get("name")?,
        root_key: row.try_get("root_key")?,
        founder: row.try_get("founder")?,
        registration: row.try_get("registration")?,
        created_ms: unsigned(row.try_get("created_ms")?)?,
    })
}

fn steward_row(row: &PgRow) -> Result<StewardRow, StoreError> {
    Ok(StewardRow {
        steward: StewardId(digest(row.try_get("steward")?)?),
        org: OrgId(digest(row.try_get("org")?)?),
        steward_key: row.try_get("steward_key")?,
        vrf_key: row.try_get("vrf_key")?,
        root: row
            .try_get::<Option<&[u8]>, _>("root")?
            .map(digest)
            .transpose()?
            .map(KeyId),
        created_ms: unsigned(row.try_get("created_ms")?)?,
    })
}
