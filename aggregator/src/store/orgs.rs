//! Organisations and the stewards that they enrol.

use dawn_identity::{OrgId, StewardId};
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
    /// When it was enrolled.
    pub created_ms: u64,
}

/// What became of an insert that may happen once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inserted {
    /// It is stored now.
    Now,
    /// The same was stored before.
    Already,
    /// Something else is stored under that name, and stays.
    Other,
    /// The federation is full.
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
            let inserted = sqlx::query(
                "insert into stewards (steward, org, steward_key, enrolment, created_ms, vrf_key)
                 values ($1, $2, $3, $4, $5, $6) on conflict do nothing",
            )
            .bind(&row.steward.as_bytes()[..])
            .bind(&row.org.as_bytes()[..])
            .bind(&row.steward_key)
            .bind(enrolment)
            .bind(signed(row.created_ms))
            .bind(&row.vrf_key)
            .execute(&mut *conn)
            .await?
            .rows_affected();
            if inserted == 0 {
                let stored: Vec<u8> =
                    sqlx::query_scalar("select enrolment from stewards where steward = $1")
                        .bind(&row.steward.as_bytes()[..])
                        .fetch_one(conn)
                        .await?;
                return Ok(if stored == enrolment {
                    Inserted::Already
                } else {
                    Inserted::Other
                });
            }
            log::append(conn, "steward-enrolment", None, enrolment).await?;
            Ok(Inserted::Now)
        })
    }

    /// The stewards that an organisation has enrolled, oldest first.
    pub async fn stewards_of(&self, org: &OrgId) -> Result<Vec<StewardRow>, StoreError> {
        sqlx::query(
            "select steward, org, steward_key, vrf_key, created_ms from stewards where org = $1
             order by created_ms, steward",
        )
        .bind(&org.as_bytes()[..])
        .fetch_all(&self.pool)
        .await?
        .iter()
        .map(steward_row)
        .collect()
    }

    /// One steward.
    pub async fn steward(&self, steward: &StewardId) -> Result<Option<StewardRow>, StoreError> {
        sqlx::query(
            "select steward, org, steward_key, vrf_key, created_ms from stewards where steward = $1",
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
        created_ms: unsigned(row.try_get("created_ms")?)?,
    })
}
