//! The privacy ledger that people look at, one row a task. Stewards keep their own (docs/protocol.md,
//! section 4.8); nothing is protected by this one.

use dawn_identity::TaskId;
use sqlx::PgConnection;

use super::{Store, StoreError, signed, unsigned};

/// Adds the charge of a verdict.
pub(super) async fn charge(
    conn: &mut PgConnection,
    task: &TaskId,
    micro_rho: u64,
    now_ms: u64,
) -> Result<(), StoreError> {
    sqlx::query(
        "update budget set spent_micro_rho = spent_micro_rho + $2, rounds = rounds + 1, updated_ms = $3
         where task = $1",
    )
    .bind(&task.as_bytes()[..])
    .bind(signed(micro_rho))
    .bind(signed(now_ms))
    .execute(conn)
    .await?;
    Ok(())
}

impl Store {
    /// What a task has spent, in micro-rho.
    pub async fn spent_micro_rho(&self, task: &TaskId) -> Result<u64, StoreError> {
        let spent: Option<i64> =
            sqlx::query_scalar("select spent_micro_rho from budget where task = $1")
                .bind(&task.as_bytes()[..])
                .fetch_optional(&self.pool)
                .await?;
        unsigned(spent.unwrap_or(0))
    }
}
