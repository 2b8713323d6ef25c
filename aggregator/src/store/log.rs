//! The log: every signed statement once, in one gapless order, with the Merkle tree over them.
//!
//! An append belongs to the transaction that changes the state, and locks the row of the head: what is
//! visible is logged, what is logged is visible, and there are no holes. The locks of the other tables come
//! first (see [`super`]), so appends cannot deadlock with each other.

use dawn_crypto::digest::Digest;
use dawn_crypto::merkle::{self, Frontier};
use dawn_protocol::round_id::RoundId;
use sqlx::{PgConnection, Row};

use super::{Store, StoreError, signed, signed32, unsigned};

/// An entry as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogRow {
    /// Place in the log, from 0.
    pub index: u64,
    /// What kind of statement.
    pub kind: String,
    /// The bytes that were signed and their signature.
    pub envelope: Vec<u8>,
}

/// Appends one entry; answers its index.
pub(super) async fn append(
    conn: &mut PgConnection,
    kind: &str,
    round: Option<&RoundId>,
    envelope: &[u8],
) -> Result<u64, StoreError> {
    let head = sqlx::query("select size, frontier from log_head for update")
        .fetch_one(&mut *conn)
        .await?;
    let size = unsigned(head.try_get("size")?)?;
    let mut frontier = parse_frontier(size, head.try_get("frontier")?)?;
    let leaf = merkle::leaf_hash(envelope);
    frontier.push(leaf);
    sqlx::query(
        "insert into log (index, leaf, kind, task, number, envelope) values ($1, $2, $3, $4, $5, $6)",
    )
    .bind(signed(size))
    .bind(&leaf.0[..])
    .bind(kind)
    .bind(round.map(|round| round.task.as_bytes().to_vec()))
    .bind(round.map(|round| signed32(round.number)))
    .bind(envelope)
    .execute(&mut *conn)
    .await?;
    sqlx::query("update log_head set size = $1, frontier = $2")
        .bind(signed(size + 1))
        .bind(frontier_bytes(&frontier))
        .execute(conn)
        .await?;
    Ok(size)
}

fn parse_frontier(size: u64, bytes: &[u8]) -> Result<Frontier, StoreError> {
    let (chunks, rest) = bytes.as_chunks::<32>();
    if !rest.is_empty() {
        return Err(StoreError::Corrupt(
            "the frontier of the log is not whole digests",
        ));
    }
    let peaks = chunks.iter().copied().map(Digest).collect();
    Frontier::from_parts(size, peaks)
        .map_err(|_| StoreError::Corrupt("the frontier of the log does not fit its size"))
}

fn frontier_bytes(frontier: &Frontier) -> Vec<u8> {
    frontier.subtrees().iter().flat_map(|peak| peak.0).collect()
}

/// Says to all replicas that something changed that is not in the log.
pub(super) async fn bump(conn: &mut PgConnection) -> Result<(), StoreError> {
    sqlx::query("update log_head set revision = revision + 1")
        .execute(conn)
        .await?;
    Ok(())
}

impl Store {
    /// A number that grows with every phase and statement, at whichever replica.
    pub async fn revision(&self) -> Result<i64, StoreError> {
        let revision = sqlx::query_scalar("select size + revision from log_head")
            .fetch_one(&self.pool)
            .await?;
        Ok(revision)
    }

    /// Size and root of the log.
    pub async fn log_head(&self) -> Result<(u64, Digest), StoreError> {
        let head = sqlx::query("select size, frontier from log_head")
            .fetch_one(&self.pool)
            .await?;
        let size = unsigned(head.try_get("size")?)?;
        let frontier = parse_frontier(size, head.try_get("frontier")?)?;
        Ok((size, frontier.root()))
    }

    /// Entries from an index on, at most `limit`.
    pub async fn log_entries(&self, from: u64, limit: u32) -> Result<Vec<LogRow>, StoreError> {
        sqlx::query(
            "select index, kind, envelope from log where index >= $1 order by index limit $2",
        )
        .bind(signed(from))
        .bind(i64::from(limit))
        .fetch_all(&self.pool)
        .await?
        .iter()
        .map(log_row)
        .collect()
    }

    /// The entries of one round, in their order.
    pub async fn round_entries(&self, round: &RoundId) -> Result<Vec<LogRow>, StoreError> {
        sqlx::query(
            "select index, kind, envelope from log where task = $1 and number = $2 order by index",
        )
        .bind(&round.task.as_bytes()[..])
        .bind(signed32(round.number))
        .fetch_all(&self.pool)
        .await?
        .iter()
        .map(log_row)
        .collect()
    }
}

fn log_row(row: &sqlx::postgres::PgRow) -> Result<LogRow, StoreError> {
    Ok(LogRow {
        index: unsigned(row.try_get("index")?)?,
        kind: row.try_get("kind")?,
        envelope: row.try_get("envelope")?,
    })
}
