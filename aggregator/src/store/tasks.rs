//! Tasks.

use dawn_crypto::digest::Digest;
use dawn_identity::{OrgId, TaskId};
use dawn_protocol::round_id::RoundId;
use sqlx::Row;
use sqlx::postgres::PgRow;

use super::orgs::Inserted;
use super::rounds::{NewRound, insert_round};
use super::{Store, StoreError, digest, log, signed, signed32, transaction, unsigned, unsigned32};

/// A task as stored.
#[derive(Debug, Clone)]
pub struct TaskRow {
    /// Its identifier.
    pub task: TaskId,
    /// Its name, for people.
    pub name: String,
    /// Whose it is.
    pub owner: OrgId,
    /// Its roster.
    pub roster: Digest,
    /// How many rounds it has.
    pub rounds: u32,
    /// The signed task.
    pub signed_task: Vec<u8>,
    /// When it was accepted.
    pub created_ms: u64,
    /// When its last round ended.
    pub ended_ms: Option<u64>,
}

/// What the ledger that people look at is opened with.
#[derive(Debug, Clone)]
pub struct NewBudget {
    /// The data that the task spends privacy on.
    pub data_source: String,
    /// The most that may be spent.
    pub limit_micro_rho: Option<u64>,
}

impl Store {
    /// Stores a task, logs it, and begins its first round.
    pub async fn add_task(
        &self,
        row: &TaskRow,
        budget: &NewBudget,
        first: &NewRound,
        most_open: u32,
    ) -> Result<Inserted, StoreError> {
        transaction!(self, "add_task", |conn| {
            let stored: Option<bool> = sqlx::query_scalar("select true from tasks where task = $1")
                .bind(&row.task.as_bytes()[..])
                .fetch_optional(&mut *conn)
                .await?;
            if stored.is_some() {
                return Ok(Inserted::Already);
            }
            // The row of the owner serialises its tasks, so that the limit is exact.
            sqlx::query("select 1 from orgs where org = $1 for no key update")
                .bind(&row.owner.as_bytes()[..])
                .execute(&mut *conn)
                .await?;
            let open: i64 = sqlx::query_scalar(
                "select count(*) from tasks where owner = $1 and ended_ms is null",
            )
            .bind(&row.owner.as_bytes()[..])
            .fetch_one(&mut *conn)
            .await?;
            if open >= i64::from(most_open) {
                return Ok(Inserted::Full);
            }
            let inserted = sqlx::query(
                "insert into tasks (task, name, owner, roster, rounds, signed_task, created_ms)
                 values ($1, $2, $3, $4, $5, $6, $7) on conflict do nothing",
            )
            .bind(&row.task.as_bytes()[..])
            .bind(&row.name)
            .bind(&row.owner.as_bytes()[..])
            .bind(&row.roster.0[..])
            .bind(signed32(row.rounds))
            .bind(&row.signed_task)
            .bind(signed(row.created_ms))
            .execute(&mut *conn)
            .await?
            .rows_affected();
            if inserted == 0 {
                return Ok(Inserted::Already);
            }
            sqlx::query(
                "insert into budget (task, data_source, limit_micro_rho, updated_ms) values ($1, $2, $3, $4)",
            )
            .bind(&row.task.as_bytes()[..])
            .bind(&budget.data_source)
            .bind(budget.limit_micro_rho.map(signed))
            .bind(signed(row.created_ms))
            .execute(&mut *conn)
            .await?;
            log::append(conn, "task", None, &row.signed_task).await?;
            insert_round(conn, &RoundId::new(row.task, 1), first).await?;
            Ok(Inserted::Now)
        })
    }

    /// How many tasks of an organisation have not ended.
    pub async fn open_tasks(&self, owner: &OrgId) -> Result<u64, StoreError> {
        let open: i64 =
            sqlx::query_scalar("select count(*) from tasks where owner = $1 and ended_ms is null")
                .bind(&owner.as_bytes()[..])
                .fetch_one(&self.pool)
                .await?;
        unsigned(open)
    }

    /// One task.
    pub async fn task(&self, task: &TaskId) -> Result<Option<TaskRow>, StoreError> {
        sqlx::query(
            "select task, name, owner, roster, rounds, signed_task, created_ms, ended_ms from tasks where task = $1",
        )
        .bind(&task.as_bytes()[..])
        .fetch_optional(&self.pool)
        .await?
        .as_ref()
        .map(task_row)
        .transpose()
    }

    /// The newest tasks.
    pub async fn tasks(&self, limit: u32) -> Result<Vec<TaskRow>, StoreError> {
        sqlx::query(
            "select task, name, owner, roster, rounds, signed_task, created_ms, ended_ms from tasks
             order by created_ms desc, task limit $1",
        )
        .bind(i64::from(limit))
        .fetch_all(&self.pool)
        .await?
        .iter()
        .map(task_row)
        .collect()
    }
}

fn task_row(row: &PgRow) -> Result<TaskRow, StoreError> {
    Ok(TaskRow {
        task: TaskId(digest(row.try_get("task")?)?),
        name: row.try_get("name")?,
        owner: OrgId(digest(row.try_get("owner")?)?),
        roster: digest(row.try_get("roster")?)?,
        rounds: unsigned32(row.try_get("rounds")?)?,
        signed_task: row.try_get("signed_task")?,
        created_ms: unsigned(row.try_get("created_ms")?)?,
        ended_ms: row
            .try_get::<Option<i64>, _>("ended_ms")?
            .map(unsigned)
            .transpose()?,
    })
}
