//! Submissions: one of a device in a round, with the receipt that it got.

use dawn_crypto::digest::Digest;
use dawn_identity::{DeviceId, OrgId};
use dawn_protocol::round_id::RoundId;
use sqlx::Row;

use super::jobs::{self, JobKind};
use super::locks::Lock;
use super::rounds::{Phase, job};
use super::statements::keep_evidence;
use super::{Store, StoreError, digest, signed, signed32, transaction, unsigned, unsigned32};
use crate::payloads::{ObjectKey, Payloads};

/// A verified submission whose objects are durable.
#[derive(Debug, Clone)]
pub struct NewSubmission {
    /// In which round.
    pub round: RoundId,
    /// By whom: a device, or a candidate of a steward's noise.
    pub device: DeviceId,
    /// Of which organisation.
    pub org: OrgId,
    /// The point of the steward whose noise it is; none of a device.
    pub noise_point: Option<u8>,
    /// The signed header.
    pub header: Vec<u8>,
    /// Digest of its envelope.
    pub header_digest: Digest,
    /// Its leaf under the root.
    pub leaf: Digest,
    /// Digest of the payload.
    pub payload: Digest,
    /// The signed receipt.
    pub receipt: Vec<u8>,
    /// When it was received.
    pub received_ms: u64,
    /// Bytes of the whole container.
    pub bytes: u64,
    /// Most submissions of the round.
    pub most: u32,
    /// Collecting ends early at this many; 0 for never.
    pub target: u32,
    /// Most submissions of the organisation's devices.
    pub quota: Option<u32>,
}

/// What is stored of a device in a round.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredSubmission {
    /// Digest of the header's envelope.
    pub header_digest: Digest,
    /// The receipt.
    pub receipt: Vec<u8>,
}

/// What became of a submission.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Submitted {
    /// Stored.
    Now {
        /// Whether it may have been the one that ends collecting.
        target_reached: bool,
    },
    /// Something of this device was stored before.
    Before(StoredSubmission),
    /// Collecting is over, or has not begun.
    WrongPhase(Phase),
    /// The round is full.
    Full,
    /// The organisation has as many submissions as its quota.
    OverQuota,
    /// An object vanished between the write and the commit; the caller may send it again.
    ObjectsGone,
    /// There is no such round.
    NoRound,
}

/// A closed submission, in root order.
#[derive(Debug, Clone)]
pub struct HeaderRow {
    /// Place in the root order.
    pub position: u32,
    /// The signed header.
    pub header: Vec<u8>,
    /// Digest of its envelope.
    pub header_digest: Digest,
    /// Digest of the payload.
    pub payload: Digest,
}

impl Store {
    /// What is stored of a device in a round.
    pub async fn submission(
        &self,
        id: &RoundId,
        device: &DeviceId,
    ) -> Result<Option<StoredSubmission>, StoreError> {
        sqlx::query("select header_digest, receipt from submissions where task = $1 and number = $2 and device = $3")
            .bind(&id.task.as_bytes()[..])
            .bind(signed32(id.number))
            .bind(&device.as_bytes()[..])
            .fetch_optional(&self.pool)
            .await?
            .as_ref()
            .map(stored)
            .transpose()
    }

    /// How many submissions an organisation's devices have in a round.
    pub async fn submissions_of(&self, id: &RoundId, org: &OrgId) -> Result<u64, StoreError> {
        unsigned(of_organisation(&self.pool, id, org).await?)
    }

    /// Stores a submission while the round collects. Its objects must exist: they are looked for again
    /// under a lock that the sweep of orphans excludes.
    pub async fn add_submission(
        &self,
        new: &NewSubmission,
        payloads: &Payloads,
    ) -> Result<Submitted, StoreError> {
        let id = &new.round;
        transaction!(self, "add_submission", |conn| {
            Lock::Objects.shared(conn).await?;
            let row = sqlx::query(
                "select phase, deadline_ms, submitted from rounds where task = $1 and number = $2 for no key update",
            )
            .bind(&id.task.as_bytes()[..])
            .bind(signed32(id.number))
            .fetch_optional(&mut *conn)
            .await?;
            let Some(row) = row else {
                return Ok(Submitted::NoRound);
            };
            let before = sqlx::query(
                "select header_digest, receipt from submissions where task = $1 and number = $2 and device = $3",
            )
            .bind(&id.task.as_bytes()[..])
            .bind(signed32(id.number))
            .bind(&new.device.as_bytes()[..])
            .fetch_optional(&mut *conn)
            .await?;
            if let Some(before) = before {
                return Ok(Submitted::Before(stored(&before)?));
            }
            let phase = Phase::parse(row.try_get("phase")?)?;
            let deadline: i64 = row.try_get("deadline_ms")?;
            if phase != Phase::Collecting || signed(new.received_ms) >= deadline {
                return Ok(Submitted::WrongPhase(phase));
            }
            let noise = new.noise_point.is_some();
            let count = unsigned32(row.try_get("submitted")?)? + u32::from(!noise);
            if !noise && count > new.most {
                return Ok(Submitted::Full);
            }
            if let Some(quota) = new.quota.filter(|_| !noise) {
                // Under the lock of the round's row: nobody else is counted meanwhile.
                if of_organisation(&mut *conn, id, &new.org).await? >= i64::from(quota) {
                    return Ok(Submitted::OverQuota);
                }
            }
            let packages = ObjectKey::packages(&id.task.0, id.number, &new.header_digest);
            for key in [ObjectKey::payload(&new.payload), packages] {
                if !payloads.exists(&key).await.unwrap_or(false) {
                    return Ok(Submitted::ObjectsGone);
                }
            }
            sqlx::query(
                "insert into submissions (task, number, device, org, header, header_digest, leaf, payload, receipt,
                     received_ms, bytes, noise_point)
                 values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
            )
            .bind(&id.task.as_bytes()[..])
            .bind(signed32(id.number))
            .bind(&new.device.as_bytes()[..])
            .bind(&new.org.as_bytes()[..])
            .bind(&new.header)
            .bind(&new.header_digest.0[..])
            .bind(&new.leaf.0[..])
            .bind(&new.payload.0[..])
            .bind(&new.receipt)
            .bind(signed(new.received_ms))
            .bind(signed(new.bytes))
            .bind(new.noise_point.map(i16::from))
            .execute(&mut *conn)
            .await?;
            sqlx::query(
                "update rounds set submitted = submitted + $4, submitted_bytes = submitted_bytes + $3
                 where task = $1 and number = $2",
            )
            .bind(&id.task.as_bytes()[..])
            .bind(signed32(id.number))
            .bind(signed(new.bytes))
            .bind(i32::from(!noise))
            .execute(&mut *conn)
            .await?;
            let target_reached = noise || new.target > 0 && count >= new.target;
            if target_reached {
                jobs::wake(conn, &job(JobKind::Round, id)).await?;
            }
            Ok(Submitted::Now { target_reached })
        })
    }

    /// When the noise of each steward that has submitted all its `candidates` was complete, earliest first, unix
    /// milliseconds.
    pub async fn noise_times(&self, id: &RoundId, candidates: u8) -> Result<Vec<u64>, StoreError> {
        let times: Vec<i64> = sqlx::query_scalar(
            "select max(received_ms) from submissions where task = $1 and number = $2 and noise_point is not null
             group by noise_point having count(*) >= $3 order by 1",
        )
        .bind(&id.task.as_bytes()[..])
        .bind(signed32(id.number))
        .bind(i64::from(candidates))
        .fetch_all(&self.pool)
        .await?;
        times.into_iter().map(unsigned).collect()
    }

    /// Keeps the proof that a device signed two submissions of one round.
    pub async fn keep_submission_evidence(
        &self,
        id: &RoundId,
        device: &DeviceId,
        header: &[u8],
        now_ms: u64,
    ) -> Result<(), StoreError> {
        transaction!(self, "keep_submission_evidence", |conn| {
            keep_evidence(
                conn,
                id,
                "submission",
                &device.as_bytes()[..],
                header,
                now_ms,
            )
            .await
        })
    }

    /// Headers of a closed round in root order, from a place on.
    pub async fn headers(
        &self,
        id: &RoundId,
        from: u32,
        limit: u32,
    ) -> Result<Vec<HeaderRow>, StoreError> {
        sqlx::query(
            "select position, header, header_digest, payload from submissions
             where task = $1 and number = $2 and position >= $3 order by position limit $4",
        )
        .bind(&id.task.as_bytes()[..])
        .bind(signed32(id.number))
        .bind(signed32(from))
        .bind(i64::from(limit))
        .fetch_all(&self.pool)
        .await?
        .iter()
        .map(|row| {
            Ok(HeaderRow {
                position: unsigned32(row.try_get("position")?)?,
                header: row.try_get("header")?,
                header_digest: digest(row.try_get("header_digest")?)?,
                payload: digest(row.try_get("payload")?)?,
            })
        })
        .collect()
    }

    /// Whether a submission under the root of a closed round has a payload with this digest.
    pub async fn has_payload(&self, id: &RoundId, payload: &Digest) -> Result<bool, StoreError> {
        Ok(sqlx::query_scalar(
            "select exists(select 1 from submissions
                 where task = $1 and number = $2 and payload = $3 and position is not null)",
        )
        .bind(&id.task.as_bytes()[..])
        .bind(signed32(id.number))
        .bind(&payload.0[..])
        .fetch_one(&self.pool)
        .await?)
    }

    /// Header and payload digest of all submissions of a round in the order of devices, which is the root
    /// order, beginning after `after`; closed or not.
    pub async fn submissions_after(
        &self,
        id: &RoundId,
        after: Option<&DeviceId>,
        limit: u32,
    ) -> Result<Vec<(DeviceId, Vec<u8>, Digest)>, StoreError> {
        sqlx::query(
            "select device, header, payload from submissions
             where task = $1 and number = $2 and device > $3 order by device limit $4",
        )
        .bind(&id.task.as_bytes()[..])
        .bind(signed32(id.number))
        .bind(after.map_or(&[][..], |device| &device.as_bytes()[..]))
        .bind(i64::from(limit))
        .fetch_all(&self.pool)
        .await?
        .iter()
        .map(|row| {
            Ok((
                DeviceId(digest(row.try_get("device")?)?),
                row.try_get("header")?,
                digest(row.try_get("payload")?)?,
            ))
        })
        .collect()
    }
}

async fn of_organisation(
    on: impl sqlx::PgExecutor<'_>,
    id: &RoundId,
    org: &OrgId,
) -> Result<i64, StoreError> {
    Ok(sqlx::query_scalar(
        "select count(*) from submissions where task = $1 and number = $2 and org = $3 and noise_point is null",
    )
    .bind(&id.task.as_bytes()[..])
    .bind(signed32(id.number))
    .bind(&org.as_bytes()[..])
    .fetch_one(on)
    .await?)
}

fn stored(row: &sqlx::postgres::PgRow) -> Result<StoredSubmission, StoreError> {
    Ok(StoredSubmission {
        header_digest: digest(row.try_get("header_digest")?)?,
        receipt: row.try_get("receipt")?,
    })
}
