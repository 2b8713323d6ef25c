//! Rounds as they are stored. How they move from phase to phase: [`super::transitions`].

use dawn_crypto::digest::Digest;
use dawn_identity::TaskId;
use dawn_protocol::round_id::RoundId;
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};

use super::jobs::{self, JobId, JobKind};
use super::{Store, StoreError, digest, signed, signed32, unsigned, unsigned32};

/// Where a round is (docs/protocol.md, section 4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Stewards publish sealing keys.
    Keying,
    /// Stewards endorse the specification.
    Endorsing,
    /// Devices submit.
    Collecting,
    /// Stewards make the challenge.
    Challenging,
    /// Stewards report on their packages.
    Reporting,
    /// Stewards open.
    Opening,
    /// There is a result.
    Done,
    /// There is none.
    Aborted,
}

impl Phase {
    /// Its name, in the database and for people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Keying => "keying",
            Self::Endorsing => "endorsing",
            Self::Collecting => "collecting",
            Self::Challenging => "challenging",
            Self::Reporting => "reporting",
            Self::Opening => "opening",
            Self::Done => "done",
            Self::Aborted => "aborted",
        }
    }

    pub(super) fn parse(text: &str) -> Result<Self, StoreError> {
        Ok(match text {
            "keying" => Self::Keying,
            "endorsing" => Self::Endorsing,
            "collecting" => Self::Collecting,
            "challenging" => Self::Challenging,
            "reporting" => Self::Reporting,
            "opening" => Self::Opening,
            "done" => Self::Done,
            "aborted" => Self::Aborted,
            _ => return Err(StoreError::Corrupt("unknown phase")),
        })
    }

    /// Whether the round is over.
    pub fn is_over(self) -> bool {
        matches!(self, Self::Done | Self::Aborted)
    }
}

/// A round as stored.
#[derive(Debug, Clone)]
pub struct RoundRow {
    /// Which round.
    pub round: RoundId,
    /// Where it is.
    pub phase: Phase,
    /// When the phase ends at the latest.
    pub deadline_ms: u64,
    /// Digest of the weights that devices train from.
    pub model: Digest,
    /// Submissions stored.
    pub submitted: u32,
    /// Bytes of those.
    pub submitted_bytes: u64,
    /// Accepted by the verdict.
    pub accepted: Option<u32>,
    /// How many submissions got each decision, by its code; empty before the verdict.
    pub decided: Vec<u32>,
    /// Digest of the weights that the round produced.
    pub next_model: Option<Digest>,
    /// Why there is none.
    pub abort_reason: Option<String>,
    /// What the round cost, once there is a verdict.
    pub charge_micro_rho: Option<u64>,
    /// Digest of the public scalars, once they are computed.
    pub scalars: Option<Digest>,
    /// When each phase began: keying, endorsing, collecting, challenging, reporting, opening, the end.
    pub times: [Option<u64>; 7],
}

/// A round that begins.
#[derive(Debug, Clone)]
pub struct NewRound {
    /// Digest of the weights that devices train from.
    pub model: Digest,
    /// Body digest of the terminal statement of the round before.
    pub previous: Option<Digest>,
    /// When it begins.
    pub now_ms: u64,
    /// When keying ends at the latest.
    pub deadline_ms: u64,
}

/// Inserts a round and the job that drives it.
pub(super) async fn insert_round(
    conn: &mut PgConnection,
    id: &RoundId,
    new: &NewRound,
) -> Result<(), StoreError> {
    sqlx::query(
        "insert into rounds (task, number, phase, deadline_ms, model, previous, keying_ms)
         values ($1, $2, 'keying', $3, $4, $5, $6)",
    )
    .bind(&id.task.as_bytes()[..])
    .bind(signed32(id.number))
    .bind(signed(new.deadline_ms))
    .bind(&new.model.0[..])
    .bind(new.previous.map(|digest| digest.0.to_vec()))
    .bind(signed(new.now_ms))
    .execute(&mut *conn)
    .await?;
    jobs::wake(conn, &job(JobKind::Round, id)).await
}

pub(super) fn job(kind: JobKind, id: &RoundId) -> JobId {
    JobId {
        kind,
        task: id.task.0,
        number: id.number,
    }
}

impl Store {
    /// One round.
    pub async fn round(&self, id: &RoundId) -> Result<Option<RoundRow>, StoreError> {
        sqlx::query("select * from rounds where task = $1 and number = $2")
            .bind(&id.task.as_bytes()[..])
            .bind(signed32(id.number))
            .fetch_optional(&self.pool)
            .await?
            .as_ref()
            .map(round_row)
            .transpose()
    }

    /// Rounds of a task that have begun, in their order, with numbers above `after`.
    pub async fn rounds_of(
        &self,
        task: &TaskId,
        after: u32,
        limit: u32,
    ) -> Result<Vec<RoundRow>, StoreError> {
        sqlx::query("select * from rounds where task = $1 and number > $2 order by number limit $3")
            .bind(&task.as_bytes()[..])
            .bind(signed32(after))
            .bind(i64::from(limit))
            .fetch_all(&self.pool)
            .await?
            .iter()
            .map(round_row)
            .collect()
    }

    /// Remembers the digest of the public scalars of a round, whose object is there.
    pub async fn set_scalars(&self, id: &RoundId, scalars: &Digest) -> Result<(), StoreError> {
        sqlx::query("update rounds set scalars = $3 where task = $1 and number = $2")
            .bind(&id.task.as_bytes()[..])
            .bind(signed32(id.number))
            .bind(&scalars.0[..])
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// What the rounds of a task up to a number were charged, in micro-rho, and how many of them were.
    pub async fn charged_until(
        &self,
        task: &TaskId,
        number: u32,
    ) -> Result<(u64, u32), StoreError> {
        let (sum, count): (i64, i32) = sqlx::query_as(
            "select coalesce(sum(charge_micro_rho), 0)::bigint, count(charge_micro_rho)::integer
             from rounds where task = $1 and number <= $2",
        )
        .bind(&task.as_bytes()[..])
        .bind(signed32(number))
        .fetch_one(&self.pool)
        .await?;
        Ok((unsigned(sum)?, unsigned32(count)?))
    }

    /// The newest round of a task.
    pub async fn newest_round(&self, task: &TaskId) -> Result<Option<RoundRow>, StoreError> {
        sqlx::query("select * from rounds where task = $1 order by number desc limit 1")
            .bind(&task.as_bytes()[..])
            .fetch_optional(&self.pool)
            .await?
            .as_ref()
            .map(round_row)
            .transpose()
    }
}

pub(super) fn round_row(row: &PgRow) -> Result<RoundRow, StoreError> {
    let time = |column: &str| -> Result<Option<u64>, StoreError> {
        row.try_get::<Option<i64>, _>(column)?
            .map(unsigned)
            .transpose()
    };
    Ok(RoundRow {
        round: RoundId::new(
            TaskId(digest(row.try_get("task")?)?),
            unsigned32(row.try_get("number")?)?,
        ),
        phase: Phase::parse(row.try_get("phase")?)?,
        deadline_ms: unsigned(row.try_get("deadline_ms")?)?,
        model: digest(row.try_get("model")?)?,
        submitted: unsigned32(row.try_get("submitted")?)?,
        submitted_bytes: unsigned(row.try_get("submitted_bytes")?)?,
        accepted: row
            .try_get::<Option<i32>, _>("accepted")?
            .map(unsigned32)
            .transpose()?,
        decided: row
            .try_get::<Option<Vec<i32>>, _>("decided")?
            .unwrap_or_default()
            .into_iter()
            .map(unsigned32)
            .collect::<Result<_, _>>()?,
        next_model: row
            .try_get::<Option<Vec<u8>>, _>("next_model")?
            .map(|bytes| digest(&bytes))
            .transpose()?,
        abort_reason: row.try_get("abort_reason")?,
        charge_micro_rho: time("charge_micro_rho")?,
        scalars: row
            .try_get::<Option<Vec<u8>>, _>("scalars")?
            .map(|bytes| digest(&bytes))
            .transpose()?,
        times: [
            time("keying_ms")?,
            time("endorsing_ms")?,
            time("collecting_ms")?,
            time("challenging_ms")?,
            time("reporting_ms")?,
            time("opening_ms")?,
            time("ended_ms")?,
        ],
    })
}
