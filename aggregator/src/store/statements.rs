//! Signed statements of rounds: those of stewards, at most one of a kind each, and the aggregator's own.

use dawn_crypto::digest::Digest;
use dawn_identity::StewardId;
use dawn_protocol::round_id::RoundId;
use sqlx::{PgConnection, Row};

use super::jobs::{self, JobKind};
use super::locks::Lock;
use super::rounds::{Phase, job};
use super::{
    Store, StoreError, digest, log, register, signed, signed32, transaction, unsigned, unsigned32,
};
use crate::payloads::{ObjectKey, Payloads};

/// A statement of the aggregator, ready to be stored.
#[derive(Debug, Clone)]
pub struct OwnStatement {
    /// Its kind.
    pub kind: &'static str,
    /// The signed bytes.
    pub envelope: Vec<u8>,
    /// Digest of its body.
    pub body: Digest,
    /// Number of the last change of the server's keys when it was signed.
    pub era: u64,
}

/// A statement of a steward whose signature was verified.
#[derive(Debug, Clone)]
pub struct StewardStatement<'a> {
    /// Of which round.
    pub round: RoundId,
    /// Its kind.
    pub kind: &'static str,
    /// By whom.
    pub steward: StewardId,
    /// The signed bytes.
    pub envelope: &'a [u8],
    /// Digest of its body.
    pub body: Digest,
    /// Phases in which it may be made.
    pub phases: &'static [Phase],
    /// What comes with it.
    pub beside: Option<Beside<'a>>,
}

/// What comes with a statement and is stored with it.
#[derive(Debug, Clone, Copy)]
pub enum Beside<'a> {
    /// The answers of a report; their object must exist.
    Answers(Answers<'a>),
    /// The sums over groups of an opening.
    GroupSums(&'a [u8]),
}

/// The answers that come with a report.
#[derive(Debug, Clone, Copy)]
pub struct Answers<'a> {
    /// Their digest.
    pub digest: Digest,
    /// Their length.
    pub bytes: u64,
    /// Where they are. They are looked for again under a lock that the sweep of orphans excludes.
    pub payloads: &'a Payloads,
}

/// A statement as stored.
#[derive(Debug, Clone)]
pub struct StatementRow {
    /// Its kind.
    pub kind: String,
    /// By whom; `None` for the aggregator.
    pub steward: Option<StewardId>,
    /// The signed bytes.
    pub envelope: Vec<u8>,
    /// When it arrived.
    pub received_ms: u64,
}

/// What became of a steward's statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    /// Stored and logged.
    Now,
    /// The same body was stored before.
    Already,
    /// Another body was stored before, and stays; this one is kept as evidence.
    Conflict,
    /// The round is in another phase.
    WrongPhase(Phase),
    /// The answers vanished between the write and the commit; the caller may send them again.
    ObjectsGone,
    /// There is no such round.
    NoRound,
}

/// Stores and logs a statement of the aggregator, unless its key was replaced since it was signed: in the log everything
/// after that is under the new key.
pub(super) async fn insert_own(
    conn: &mut PgConnection,
    id: &RoundId,
    statement: &OwnStatement,
    now_ms: u64,
) -> Result<(), StoreError> {
    insert(
        &mut *conn,
        id,
        statement.kind,
        &[],
        &statement.envelope,
        &statement.body,
        now_ms,
    )
    .await?;
    // With the head of the log locked, which appending did, no change of the keys comes in.
    if register::server_key_changes(conn).await? != statement.era {
        return Err(StoreError::KeyReplaced);
    }
    Ok(())
}

async fn insert(
    conn: &mut PgConnection,
    id: &RoundId,
    kind: &str,
    steward: &[u8],
    envelope: &[u8],
    body: &Digest,
    now_ms: u64,
) -> Result<(), StoreError> {
    let index = log::append(conn, kind, Some(id), envelope).await?;
    sqlx::query(
        "insert into statements (task, number, kind, steward, envelope, body_digest, received_ms, log_index)
         values ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(&id.task.as_bytes()[..])
    .bind(signed32(id.number))
    .bind(kind)
    .bind(steward)
    .bind(envelope)
    .bind(&body.0[..])
    .bind(signed(now_ms))
    .bind(signed(index))
    .execute(conn)
    .await?;
    Ok(())
}

async fn insert_answers(
    conn: &mut PgConnection,
    id: &RoundId,
    steward: &[u8],
    answers: &Answers<'_>,
) -> Result<(), StoreError> {
    sqlx::query(
        "insert into answers (task, number, steward, digest, bytes) values ($1, $2, $3, $4, $5)",
    )
    .bind(&id.task.as_bytes()[..])
    .bind(signed32(id.number))
    .bind(steward)
    .bind(&answers.digest.0[..])
    .bind(signed(answers.bytes))
    .execute(conn)
    .await?;
    Ok(())
}

async fn insert_group_sums(
    conn: &mut PgConnection,
    id: &RoundId,
    steward: &[u8],
    sums: &[u8],
) -> Result<(), StoreError> {
    sqlx::query("insert into group_sums (task, number, steward, sums) values ($1, $2, $3, $4)")
        .bind(&id.task.as_bytes()[..])
        .bind(signed32(id.number))
        .bind(steward)
        .bind(sums)
        .execute(conn)
        .await?;
    Ok(())
}

pub(super) async fn count_statements(
    conn: &mut PgConnection,
    id: &RoundId,
    kind: &str,
) -> Result<u32, StoreError> {
    let count: i32 = sqlx::query_scalar(
        "select count(*)::integer from statements where task = $1 and number = $2 and kind = $3",
    )
    .bind(&id.task.as_bytes()[..])
    .bind(signed32(id.number))
    .bind(kind)
    .fetch_one(conn)
    .await?;
    unsigned32(count)
}

/// Keeps the first proof that a party said two things.
pub(super) async fn keep_evidence(
    conn: &mut PgConnection,
    id: &RoundId,
    kind: &str,
    party: &[u8],
    envelope: &[u8],
    now_ms: u64,
) -> Result<(), StoreError> {
    sqlx::query(
        "insert into equivocations (task, number, kind, party, envelope, received_ms)
         values ($1, $2, $3, $4, $5, $6) on conflict do nothing",
    )
    .bind(&id.task.as_bytes()[..])
    .bind(signed32(id.number))
    .bind(kind)
    .bind(party)
    .bind(envelope)
    .bind(signed(now_ms))
    .execute(conn)
    .await?;
    Ok(())
}

impl Store {
    /// Stores and logs a steward's statement, and wakes the round.
    pub async fn put_statement(
        &self,
        statement: &StewardStatement<'_>,
        now_ms: u64,
    ) -> Result<Put, StoreError> {
        let id = &statement.round;
        let steward = &statement.steward.as_bytes()[..];
        transaction!(self, "put_statement", |conn| {
            if matches!(statement.beside, Some(Beside::Answers(_))) {
                Lock::Objects.shared(conn).await?;
            }
            // Alone with the round: two statements of one steward cannot pass each other, and no phase ends
            // between the check and the insert.
            let phase: Option<String> = sqlx::query_scalar(
                "select phase from rounds where task = $1 and number = $2 for no key update",
            )
            .bind(&id.task.as_bytes()[..])
            .bind(signed32(id.number))
            .fetch_optional(&mut *conn)
            .await?;
            let Some(phase) = phase else {
                return Ok(Put::NoRound);
            };
            let stored: Option<Vec<u8>> = sqlx::query_scalar(
                "select body_digest from statements where task = $1 and number = $2 and kind = $3 and steward = $4",
            )
            .bind(&id.task.as_bytes()[..])
            .bind(signed32(id.number))
            .bind(statement.kind)
            .bind(steward)
            .fetch_optional(&mut *conn)
            .await?;
            if let Some(stored) = stored {
                if stored == statement.body.0 {
                    return Ok(Put::Already);
                }
                keep_evidence(
                    conn,
                    id,
                    statement.kind,
                    steward,
                    statement.envelope,
                    now_ms,
                )
                .await?;
                return Ok(Put::Conflict);
            }
            let phase = Phase::parse(&phase)?;
            if !statement.phases.contains(&phase) {
                return Ok(Put::WrongPhase(phase));
            }
            match &statement.beside {
                Some(Beside::Answers(answers)) => {
                    let key = ObjectKey::answers(&id.task.0, id.number, &answers.digest);
                    if !answers.payloads.exists(&key).await.unwrap_or(false) {
                        return Ok(Put::ObjectsGone);
                    }
                    insert_answers(conn, id, steward, answers).await?;
                }
                Some(Beside::GroupSums(sums)) => insert_group_sums(conn, id, steward, sums).await?,
                None => {}
            }
            insert(
                conn,
                id,
                statement.kind,
                steward,
                statement.envelope,
                &statement.body,
                now_ms,
            )
            .await?;
            jobs::wake(conn, &job(JobKind::Round, id)).await?;
            Ok(Put::Now)
        })
    }

    /// The body digest of the statement of one kind that a steward has made in a round.
    pub async fn said(
        &self,
        id: &RoundId,
        kind: &str,
        steward: &StewardId,
    ) -> Result<Option<Digest>, StoreError> {
        let body: Option<Vec<u8>> = sqlx::query_scalar(
            "select body_digest from statements where task = $1 and number = $2 and kind = $3 and steward = $4",
        )
        .bind(&id.task.as_bytes()[..])
        .bind(signed32(id.number))
        .bind(kind)
        .bind(&steward.as_bytes()[..])
        .fetch_optional(&self.pool)
        .await?;
        body.map(|body| digest(&body)).transpose()
    }

    /// The sums over groups that a steward's opening of a round came with.
    pub async fn group_sums(
        &self,
        id: &RoundId,
        steward: &StewardId,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(sqlx::query_scalar(
            "select sums from group_sums where task = $1 and number = $2 and steward = $3",
        )
        .bind(&id.task.as_bytes()[..])
        .bind(signed32(id.number))
        .bind(&steward.as_bytes()[..])
        .fetch_optional(&self.pool)
        .await?)
    }

    /// Whether a report of this round came with answers of this digest.
    pub async fn has_answers(&self, id: &RoundId, answers: &Digest) -> Result<bool, StoreError> {
        Ok(sqlx::query_scalar(
            "select exists(select 1 from answers where task = $1 and number = $2 and digest = $3)",
        )
        .bind(&id.task.as_bytes()[..])
        .bind(signed32(id.number))
        .bind(&answers.0[..])
        .fetch_one(&self.pool)
        .await?)
    }

    /// The statements of one kind in a round, in the order in which they were logged.
    pub async fn statements(
        &self,
        id: &RoundId,
        kind: &str,
    ) -> Result<Vec<StatementRow>, StoreError> {
        sqlx::query(
            "select kind, steward, envelope, received_ms from statements
             where task = $1 and number = $2 and kind = $3 order by log_index",
        )
        .bind(&id.task.as_bytes()[..])
        .bind(signed32(id.number))
        .bind(kind)
        .fetch_all(&self.pool)
        .await?
        .iter()
        .map(statement_row)
        .collect()
    }

    /// When the statements of one kind arrived, earliest first.
    pub async fn statement_times(&self, id: &RoundId, kind: &str) -> Result<Vec<u64>, StoreError> {
        let times: Vec<i64> = sqlx::query_scalar(
            "select received_ms from statements where task = $1 and number = $2 and kind = $3 order by received_ms",
        )
        .bind(&id.task.as_bytes()[..])
        .bind(signed32(id.number))
        .bind(kind)
        .fetch_all(&self.pool)
        .await?;
        times.into_iter().map(unsigned).collect()
    }

    /// The statement with which a round ended, and its kind.
    pub async fn terminal(&self, id: &RoundId) -> Result<Option<StatementRow>, StoreError> {
        sqlx::query(
            "select kind, steward, envelope, received_ms from statements
             where task = $1 and number = $2 and kind in ('result', 'aborted')",
        )
        .bind(&id.task.as_bytes()[..])
        .bind(signed32(id.number))
        .fetch_optional(&self.pool)
        .await?
        .as_ref()
        .map(statement_row)
        .transpose()
    }

    /// Rounds that are not over and may have this steward in their roster, with its point there, and which kinds of
    /// statement it has made in them. Which roster a round has, its specification says.
    pub async fn desk(&self, steward: &StewardId) -> Result<Vec<DeskRow>, StoreError> {
        sqlx::query(
            "select rounds.*, seat.point,
                 array(select kind from statements
                       where statements.task = rounds.task and statements.number = rounds.number
                         and statements.steward = $1) as said,
                 (select count(*)::integer from submissions
                  where submissions.task = rounds.task and submissions.number = rounds.number
                    and submissions.noise_point = seat.point) as noise
             from rounds
             join tasks on tasks.task = rounds.task
             join rosters named on named.digest = tasks.roster
             join lateral (
                 select distinct roster_stewards.point
                 from roster_stewards join rosters on rosters.digest = roster_stewards.roster
                 where roster_stewards.steward = $1 and rosters.epoch >= named.epoch
             ) seat on true
             where rounds.phase not in ('done', 'aborted')
             order by rounds.deadline_ms, rounds.task, rounds.number",
        )
        .bind(&steward.as_bytes()[..])
        .fetch_all(&self.pool)
        .await?
        .iter()
        .map(|row| {
            let point: i16 = row.try_get("point")?;
            Ok(DeskRow {
                round: super::rounds::round_row(row)?,
                point: u8::try_from(point)
                    .map_err(|_| StoreError::Corrupt("a point is not a byte"))?,
                said: row.try_get("said")?,
                noise: super::unsigned32(row.try_get("noise")?)?,
            })
        })
        .collect()
    }
}

/// A round in which a steward may have something to do.
#[derive(Debug, Clone)]
pub struct DeskRow {
    /// The round.
    pub round: super::rounds::RoundRow,
    /// The steward's evaluation point.
    pub point: u8,
    /// Kinds of statement that it has made.
    pub said: Vec<String>,
    /// How many candidates of its noise are stored.
    pub noise: u32,
}

fn statement_row(row: &sqlx::postgres::PgRow) -> Result<StatementRow, StoreError> {
    let steward: Vec<u8> = row.try_get("steward")?;
    Ok(StatementRow {
        kind: row.try_get("kind")?,
        steward: if steward.is_empty() {
            None
        } else {
            Some(StewardId(digest(&steward)?))
        },
        envelope: row.try_get("envelope")?,
        received_ms: unsigned(row.try_get("received_ms")?)?,
    })
}
