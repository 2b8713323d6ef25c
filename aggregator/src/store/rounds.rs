//! Rounds and the transitions between their phases.
//!
//! Every transition locks the row of the round and looks at its phase first: of two workers that take the
//! same step one wins, and the other finds it done. What a phase rests on - the statements that were
//! weighed - is counted under the lock, so a statement that slipped in is never logged and ignored.

use dawn_crypto::digest::Digest;
use dawn_identity::TaskId;
use dawn_protocol::round_id::RoundId;
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};

use super::jobs::{self, JobId, JobKind};
use super::statements::{OwnStatement, count_statements, insert_own};
use super::{Store, StoreError, digest, signed, signed32, transaction, unsigned, unsigned32};

/// Where a round is (docs/protocol.md, section 4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Stewards publish sealing keys.
    Keying,
    /// Stewards endorse the specification.
    Endorsing,
    /// Devices submit.
    Collecting,
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
    /// When each phase began: keying, endorsing, collecting, reporting, opening, the end.
    pub times: [Option<u64>; 6],
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

/// What became of a transition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moved {
    /// It happened.
    Yes,
    /// The round was elsewhere already, or more had arrived: look again.
    No,
}

/// Locks the round's row; whether it is in this phase.
async fn lock_in(conn: &mut PgConnection, id: &RoundId, phase: Phase) -> Result<bool, StoreError> {
    let found: Option<String> =
        sqlx::query_scalar("select phase from rounds where task = $1 and number = $2 for update")
            .bind(&id.task.as_bytes()[..])
            .bind(signed32(id.number))
            .fetch_optional(conn)
            .await?;
    Ok(found.as_deref() == Some(phase.as_str()))
}

/// How a round ends.
#[derive(Debug, Clone)]
pub struct Ending {
    /// The result, or the reason that there is none.
    pub statement: OwnStatement,
    /// `Done` or `Aborted`.
    pub phase: Phase,
    /// The weights that the round produced.
    pub next_model: Option<Digest>,
    /// Why there are none.
    pub abort_reason: Option<&'static str>,
    /// The round that follows; none after the last.
    pub next: Option<NewRound>,
    /// When.
    pub now_ms: u64,
}

async fn end_round(
    conn: &mut PgConnection,
    id: &RoundId,
    ending: &Ending,
) -> Result<(), StoreError> {
    sqlx::query(
        "update rounds set phase = $3, ended_ms = $4, deadline_ms = $4, next_model = $5, abort_reason = $6
         where task = $1 and number = $2",
    )
    .bind(&id.task.as_bytes()[..])
    .bind(signed32(id.number))
    .bind(ending.phase.as_str())
    .bind(signed(ending.now_ms))
    .bind(ending.next_model.map(|digest| digest.0.to_vec()))
    .bind(ending.abort_reason)
    .execute(&mut *conn)
    .await?;
    if let Some(next) = &ending.next {
        insert_round(conn, &id.next(), next).await?;
    } else {
        sqlx::query("update tasks set ended_ms = $2 where task = $1")
            .bind(&id.task.as_bytes()[..])
            .bind(signed(ending.now_ms))
            .execute(&mut *conn)
            .await?;
    }
    insert_own(conn, id, &ending.statement, ending.now_ms).await?;
    jobs::remove(conn, &job(JobKind::Round, id)).await?;
    jobs::wake(conn, &job(JobKind::Cleanup, id)).await
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

    /// Keying ends: the specification is signed from exactly `keys` sealing keys.
    pub async fn specify(
        &self,
        id: &RoundId,
        spec: &OwnStatement,
        session: &Digest,
        keys: u32,
        now_ms: u64,
        deadline_ms: u64,
    ) -> Result<Moved, StoreError> {
        transaction!(self, "specify", |conn| {
            if !lock_in(conn, id, Phase::Keying).await?
                || count_statements(conn, id, "sealing-key").await? != keys
            {
                return Ok(Moved::No);
            }
            sqlx::query(
                "update rounds set phase = 'endorsing', endorsing_ms = $3, deadline_ms = $4, session = $5
                 where task = $1 and number = $2",
            )
            .bind(&id.task.as_bytes()[..])
            .bind(signed32(id.number))
            .bind(signed(now_ms))
            .bind(signed(deadline_ms))
            .bind(&session.0[..])
            .execute(&mut *conn)
            .await?;
            insert_own(conn, id, spec, now_ms).await?;
            Ok(Moved::Yes)
        })
    }

    /// Endorsing ends: devices may submit.
    pub async fn collect(
        &self,
        id: &RoundId,
        now_ms: u64,
        deadline_ms: u64,
    ) -> Result<Moved, StoreError> {
        transaction!(self, "collect", |conn| {
            if !lock_in(conn, id, Phase::Endorsing).await? {
                return Ok(Moved::No);
            }
            sqlx::query(
                "update rounds set phase = 'collecting', collecting_ms = $3, deadline_ms = $4
                 where task = $1 and number = $2",
            )
            .bind(&id.task.as_bytes()[..])
            .bind(signed32(id.number))
            .bind(signed(now_ms))
            .bind(signed(deadline_ms))
            .execute(&mut *conn)
            .await?;
            super::log::bump(conn).await?;
            Ok(Moved::Yes)
        })
    }

    /// Collecting ends: `decide` gets the leaves of all stored submissions sorted by device and answers
    /// with the closing or, when they are too few, with the end of the round.
    pub async fn close_round(
        &self,
        id: &RoundId,
        decide: &(dyn Fn(&[Digest]) -> Result<Closing, StoreError> + Sync),
        now_ms: u64,
    ) -> Result<Moved, StoreError> {
        transaction!(self, "close_round", |conn| {
            if !lock_in(conn, id, Phase::Collecting).await? {
                return Ok(Moved::No);
            }
            let leaves: Vec<Vec<u8>> = sqlx::query_scalar(
                "select leaf from submissions where task = $1 and number = $2 order by device",
            )
            .bind(&id.task.as_bytes()[..])
            .bind(signed32(id.number))
            .fetch_all(&mut *conn)
            .await?;
            let leaves = leaves
                .iter()
                .map(|leaf| digest(leaf))
                .collect::<Result<Vec<_>, _>>()?;
            let (statement, deadline_ms) = match decide(&leaves)? {
                Closing::Closed {
                    statement,
                    deadline_ms,
                } => (statement, deadline_ms),
                Closing::Ended(ending) => {
                    end_round(conn, id, &ending).await?;
                    return Ok(Moved::Yes);
                }
            };
            sqlx::query(
                "update submissions set position = ranked.position from (
                     select device, (row_number() over (order by device) - 1)::integer as position
                     from submissions where task = $1 and number = $2) as ranked
                 where submissions.task = $1 and submissions.number = $2 and submissions.device = ranked.device",
            )
            .bind(&id.task.as_bytes()[..])
            .bind(signed32(id.number))
            .execute(&mut *conn)
            .await?;
            sqlx::query(
                "update rounds set phase = 'reporting', reporting_ms = $3, deadline_ms = $4
                 where task = $1 and number = $2",
            )
            .bind(&id.task.as_bytes()[..])
            .bind(signed32(id.number))
            .bind(signed(now_ms))
            .bind(signed(deadline_ms))
            .execute(&mut *conn)
            .await?;
            insert_own(conn, id, &statement, now_ms).await?;
            Ok(Moved::Yes)
        })
    }

    /// Reporting ends: the verdict over exactly `reports` reports, charged to the ledger of the task.
    pub async fn judge_round(&self, id: &RoundId, verdict: &Judging) -> Result<Moved, StoreError> {
        transaction!(self, "judge_round", |conn| {
            if !lock_in(conn, id, Phase::Reporting).await?
                || count_statements(conn, id, "report").await? != verdict.reports
            {
                return Ok(Moved::No);
            }
            let mut decided = vec![0_i32; 256];
            for decision in &verdict.decisions {
                decided[usize::from(*decision)] += 1;
            }
            while decided.last() == Some(&0) {
                decided.pop();
            }
            sqlx::query(
                "update submissions set decision = get_byte($3, position)
                 where task = $1 and number = $2 and position < length($3)",
            )
            .bind(&id.task.as_bytes()[..])
            .bind(signed32(id.number))
            .bind(&verdict.decisions)
            .execute(&mut *conn)
            .await?;
            sqlx::query(
                "update rounds set phase = 'opening', opening_ms = $3, deadline_ms = $4, accepted = $5,
                     charge_micro_rho = $6, decided = $7
                 where task = $1 and number = $2",
            )
            .bind(&id.task.as_bytes()[..])
            .bind(signed32(id.number))
            .bind(signed(verdict.now_ms))
            .bind(signed(verdict.deadline_ms))
            .bind(signed32(verdict.accepted))
            .bind(signed(verdict.charge_micro_rho))
            .bind(&decided)
            .execute(&mut *conn)
            .await?;
            super::budget::charge(conn, &id.task, verdict.charge_micro_rho, verdict.now_ms).await?;
            insert_own(conn, id, &verdict.statement, verdict.now_ms).await?;
            Ok(Moved::Yes)
        })
    }

    /// A round ends in the phase `from`, with exactly `count` statements of `kind` weighed.
    pub async fn finish_round(
        &self,
        id: &RoundId,
        from: Phase,
        weighed: (&'static str, u32),
        ending: &Ending,
    ) -> Result<Moved, StoreError> {
        transaction!(self, "finish_round", |conn| {
            if !lock_in(conn, id, from).await?
                || count_statements(conn, id, weighed.0).await? != weighed.1
            {
                return Ok(Moved::No);
            }
            end_round(conn, id, ending).await?;
            Ok(Moved::Yes)
        })
    }
}

/// How collecting ends.
#[derive(Debug, Clone)]
pub enum Closing {
    /// With a root.
    Closed {
        /// The signed closing.
        statement: OwnStatement,
        /// When reporting ends.
        deadline_ms: u64,
    },
    /// With the end of the round.
    Ended(Ending),
}

/// What a verdict changes.
#[derive(Debug, Clone)]
pub struct Judging {
    /// The signed verdict.
    pub statement: OwnStatement,
    /// One byte a submission, in root order.
    pub decisions: Vec<u8>,
    /// How many are accepted.
    pub accepted: u32,
    /// Reports that were weighed.
    pub reports: u32,
    /// What the round costs.
    pub charge_micro_rho: u64,
    /// When.
    pub now_ms: u64,
    /// When opening ends.
    pub deadline_ms: u64,
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
        times: [
            time("keying_ms")?,
            time("endorsing_ms")?,
            time("collecting_ms")?,
            time("reporting_ms")?,
            time("opening_ms")?,
            time("ended_ms")?,
        ],
    })
}
