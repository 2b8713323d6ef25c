//! The transitions between the phases of a round.
//!
//! Each locks the row of the round and looks at its phase first: of two workers that take the same step one
//! wins, and the other finds it done. What a phase rests on - the statements that were weighed - is counted
//! under the lock, so a statement that slipped in is never logged and ignored.

use dawn_crypto::digest::Digest;
use dawn_identity::RegisterHead;
use dawn_protocol::round_id::RoundId;
use sqlx::PgConnection;

use super::jobs::{self, JobKind};
use super::rounds::{NewRound, Phase, insert_round, job};
use super::statements::{OwnStatement, count_statements, insert_own};
use super::{Store, StoreError, digest, register, signed, signed32, transaction};

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

/// How collecting ends.
pub enum Closing<'a> {
    /// With a root.
    Closed {
        /// Signs the closing, which names the end of the register; called with the log locked.
        sign: Box<dyn FnOnce(RegisterHead) -> Result<OwnStatement, StoreError> + Send + 'a>,
        /// When challenging ends.
        deadline_ms: u64,
    },
    /// With the end of the round.
    Ended(Box<Ending>),
}

/// A submission's leaf, and the point of the steward whose noise it is.
pub type Leaf = (Digest, Option<i16>);

/// Decides from the leaves how collecting ends.
pub type Decide<'a> = dyn Fn(&[Leaf]) -> Result<Closing<'a>, StoreError> + Sync + 'a;

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

impl Store {
    /// Keying ends: the specification is signed from exactly `keys` sealing keys.
    pub async fn specify(
        &self,
        id: &RoundId,
        spec: &OwnStatement,
        session: &Digest,
        (keys, register): (u32, &RegisterHead),
        now_ms: u64,
        deadline_ms: u64,
    ) -> Result<Moved, StoreError> {
        transaction!(self, "specify", |conn| {
            if !lock_in(conn, id, Phase::Keying).await?
                || count_statements(conn, id, "sealing-key").await? != keys
            {
                return Ok(Moved::No);
            }
            if !register::still_ends(conn, register).await? {
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

    /// Collecting ends: `decide` gets the leaves of all stored submissions sorted by device, each with the point of the
    /// steward whose noise it is, and answers with the closing or, when they are too few, with the end of the round. The
    /// closing names the end of the register, `empty` when nothing is in it.
    ///
    /// What takes long with many submissions comes before the log is locked: everybody else waits for that lock.
    pub async fn close_round(
        &self,
        id: &RoundId,
        empty: &RegisterHead,
        decide: &Decide<'_>,
        now_ms: u64,
    ) -> Result<Moved, StoreError> {
        transaction!(self, "close_round", |conn| {
            if !lock_in(conn, id, Phase::Collecting).await? {
                return Ok(Moved::No);
            }
            let leaves: Vec<(Vec<u8>, Option<i16>)> = sqlx::query_as(
                "select leaf, noise_point from submissions where task = $1 and number = $2 order by device",
            )
            .bind(&id.task.as_bytes()[..])
            .bind(signed32(id.number))
            .fetch_all(&mut *conn)
            .await?;
            let leaves = leaves
                .iter()
                .map(|(leaf, noise)| Ok((digest(leaf)?, *noise)))
                .collect::<Result<Vec<Leaf>, StoreError>>()?;
            let (sign, deadline_ms) = match decide(&leaves)? {
                Closing::Closed { sign, deadline_ms } => (sign, deadline_ms),
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
            // From here on nothing comes into the register: what was there counts, what comes later does not.
            let register = register::locked_head(conn).await?.unwrap_or(*empty);
            let statement = sign(register)?;
            sqlx::query(
                "update rounds set phase = 'challenging', challenging_ms = $3, deadline_ms = $4
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

    /// Challenging ends: the challenge is signed from exactly `shares` parts of the beacon.
    pub async fn challenge_round(
        &self,
        id: &RoundId,
        challenge: &OwnStatement,
        shares: u32,
        now_ms: u64,
        deadline_ms: u64,
    ) -> Result<Moved, StoreError> {
        transaction!(self, "challenge_round", |conn| {
            if !lock_in(conn, id, Phase::Challenging).await?
                || count_statements(conn, id, "beacon-share").await? != shares
            {
                return Ok(Moved::No);
            }
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
            insert_own(conn, id, challenge, now_ms).await?;
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
