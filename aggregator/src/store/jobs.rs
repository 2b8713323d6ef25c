//! Work for the workers of all replicas, leased with `FOR UPDATE SKIP LOCKED`.
//!
//! A lease is a token and an expiry by the database's clock. A worker that is killed leaves its lease to
//! expire; one that is merely slow may find that another has taken over: what it then writes is refused by
//! the phase of the round, and its release by the token.

use dawn_crypto::digest::Digest;
use dawn_protocol::RoundId;
use sqlx::{PgConnection, Row};
use std::time::Duration;

use super::rounds::job;
use super::{Store, StoreError, signed, signed32, unsigned32};

/// What there is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum JobKind {
    /// Look at the round and take its next step.
    Round,
    /// Delete what a finished round no longer needs, and build its transcript.
    Cleanup,
    /// Delete objects that no row names.
    Sweep,
}

impl JobKind {
    /// Its name in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Round => "round",
            Self::Cleanup => "cleanup",
            Self::Sweep => "sweep",
        }
    }

    fn parse(text: &str) -> Result<Self, StoreError> {
        match text {
            "round" => Ok(Self::Round),
            "cleanup" => Ok(Self::Cleanup),
            "sweep" => Ok(Self::Sweep),
            _ => Err(StoreError::Corrupt("unknown kind of job")),
        }
    }
}

/// Which job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct JobId {
    /// What to do.
    pub kind: JobKind,
    /// In which task; zeros when the job belongs to none.
    pub task: Digest,
    /// In which round; 0 when the job belongs to none.
    pub number: u32,
}

/// A job that this worker may do until the lease expires.
#[derive(Debug, Clone)]
pub struct Lease {
    /// The job.
    pub id: JobId,
    /// How often it was begun since it last ended well.
    pub attempts: u32,
    token: Vec<u8>,
    wakes: i64,
}

/// Inserts a job or wakes it when it is there.
pub(super) async fn wake(conn: &mut PgConnection, id: &JobId) -> Result<(), StoreError> {
    sqlx::query(
        "insert into jobs (kind, task, number) values ($1, $2, $3)
         on conflict (kind, task, number) do update
         set run_after = least(jobs.run_after, clock_timestamp()), wakes = jobs.wakes + 1",
    )
    .bind(id.kind.as_str())
    .bind(&id.task.0[..])
    .bind(signed32(id.number))
    .execute(conn)
    .await?;
    Ok(())
}

/// Removes a job whose work is done for good.
pub(super) async fn remove(conn: &mut PgConnection, id: &JobId) -> Result<(), StoreError> {
    sqlx::query("delete from jobs where kind = $1 and task = $2 and number = $3")
        .bind(id.kind.as_str())
        .bind(&id.task.0[..])
        .bind(signed32(id.number))
        .execute(conn)
        .await?;
    Ok(())
}

/// Has all rounds looked at.
pub(super) async fn wake_rounds(conn: &mut PgConnection) -> Result<(), StoreError> {
    sqlx::query(
        "update jobs set run_after = least(run_after, clock_timestamp()), wakes = wakes + 1 where kind = $1",
    )
    .bind(JobKind::Round.as_str())
    .execute(conn)
    .await?;
    Ok(())
}

impl Store {
    /// Makes sure that a job exists without waking one that waits.
    pub async fn ensure_job(&self, id: &JobId) -> Result<(), StoreError> {
        sqlx::query(
            "insert into jobs (kind, task, number) values ($1, $2, $3) on conflict do nothing",
        )
        .bind(id.kind.as_str())
        .bind(&id.task.0[..])
        .bind(signed32(id.number))
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Has a round looked at soon.
    pub async fn wake_round(&self, id: &RoundId) -> Result<(), StoreError> {
        let job = job(JobKind::Round, id);
        wake(&mut *self.pool.acquire().await?, &job).await
    }

    /// Takes the job that has waited longest, if one is due and nobody holds it.
    pub async fn lease_job(
        &self,
        token: [u8; 16],
        lease: Duration,
    ) -> Result<Option<Lease>, StoreError> {
        let row = sqlx::query(
            "update jobs set lease_token = $1, attempts = attempts + 1,
                 lease_until = clock_timestamp() + $2 * interval '1 millisecond'
             where (kind, task, number) in (
                 select kind, task, number from jobs
                 where run_after <= clock_timestamp()
                   and (lease_until is null or lease_until < clock_timestamp())
                 order by run_after limit 1 for update skip locked)
             returning kind, task, number, attempts, wakes",
        )
        .bind(&token[..])
        .bind(millis(lease))
        .fetch_optional(&self.pool)
        .await?;
        row.map(|row| {
            Ok(Lease {
                id: JobId {
                    kind: JobKind::parse(row.try_get("kind")?)?,
                    task: super::digest(row.try_get("task")?)?,
                    number: unsigned32(row.try_get("number")?)?,
                },
                attempts: unsigned32(row.try_get("attempts")?)?,
                token: token.to_vec(),
                wakes: row.try_get("wakes")?,
            })
        })
        .transpose()
    }

    /// Prolongs a lease; `false` when it is no longer ours.
    pub async fn renew_lease(&self, lease: &Lease, duration: Duration) -> Result<bool, StoreError> {
        let done = sqlx::query(
            "update jobs set lease_until = clock_timestamp() + $5 * interval '1 millisecond'
             where kind = $1 and task = $2 and number = $3 and lease_token = $4",
        )
        .bind(lease.id.kind.as_str())
        .bind(&lease.id.task.0[..])
        .bind(signed32(lease.id.number))
        .bind(&lease.token)
        .bind(millis(duration))
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Gives a job back, to be looked at again after `delay`, or at once when somebody woke it meanwhile.
    pub async fn release_job(
        &self,
        lease: &Lease,
        delay: Duration,
        error: Option<&str>,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "update jobs set lease_token = null, lease_until = null, last_error = $7,
                 attempts = case when $7::text is null then 0 else attempts end,
                 run_after = case when wakes <> $5 and $7::text is null then clock_timestamp()
                                  else clock_timestamp() + $6 * interval '1 millisecond' end
             where kind = $1 and task = $2 and number = $3 and lease_token = $4",
        )
        .bind(lease.id.kind.as_str())
        .bind(&lease.id.task.0[..])
        .bind(signed32(lease.id.number))
        .bind(&lease.token)
        .bind(lease.wakes)
        .bind(millis(delay))
        .bind(error)
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Ends a job that will not be needed again, when it is still ours.
    pub async fn finish_job(&self, lease: &Lease) -> Result<(), StoreError> {
        sqlx::query(
            "delete from jobs where kind = $1 and task = $2 and number = $3 and lease_token = $4",
        )
        .bind(lease.id.kind.as_str())
        .bind(&lease.id.task.0[..])
        .bind(signed32(lease.id.number))
        .bind(&lease.token)
        .execute(&self.pool)
        .await?;
        Ok(())
    }
}

fn millis(duration: Duration) -> f64 {
    // Bound as a double: Postgres multiplies intervals by doubles.
    signed(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)) as f64
}
