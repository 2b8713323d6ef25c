//! The log: every signed statement once, in one gapless order, with the Merkle tree over them.
//!
//! An append belongs to the transaction that changes the state, and locks the row of the head: what is
//! visible is logged, what is logged is visible, and there are no holes. The locks of the other tables come
//! first (see [`super`]), so appends cannot deadlock with each other.

use dawn_crypto::digest::Digest;
use dawn_crypto::merkle::{self, Frontier};
use dawn_protocol::round_id::RoundId;
use dawn_protocol::tlog::tile::HEIGHT;
use sqlx::{PgConnection, Row};

use super::{Store, StoreError, signed, signed32, transaction, unsigned};

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

/// An entry that is to be appended.
#[derive(Debug, Clone, Copy)]
pub(super) struct NewEntry<'a> {
    pub(super) kind: &'a str,
    pub(super) round: Option<&'a RoundId>,
    pub(super) envelope: &'a [u8],
}

/// Appends one entry; answers its index.
pub(super) async fn append(
    conn: &mut PgConnection,
    kind: &str,
    round: Option<&RoundId>,
    envelope: &[u8],
) -> Result<u64, StoreError> {
    let entry = NewEntry {
        kind,
        round,
        envelope,
    };
    append_all(conn, &[entry]).await
}

/// Appends entries, one after the other under one lock of the head; answers the index of the first.
pub(super) async fn append_all(
    conn: &mut PgConnection,
    entries: &[NewEntry<'_>],
) -> Result<u64, StoreError> {
    let head = sqlx::query("select size, frontier from log_head for update")
        .fetch_one(&mut *conn)
        .await?;
    let first = unsigned(head.try_get("size")?)?;
    let mut frontier = parse_frontier(first, head.try_get("frontier")?)?;
    let mut leaves = Vec::with_capacity(entries.len());
    // What tiles above the first level are made of.
    let mut nodes = Vec::new();
    for entry in entries {
        let leaf = merkle::leaf_hash(entry.envelope);
        frontier.push_with(leaf, |height, hash| {
            if height.is_multiple_of(HEIGHT) {
                nodes.push((height, hash));
            }
        });
        // A subtree ends with the leaf that completes it.
        let end = frontier.size();
        for (height, hash) in nodes.drain(..) {
            sqlx::query("insert into log_nodes (height, index, hash) values ($1, $2, $3)")
                .bind(i16::from(height))
                .bind(signed((end >> height) - 1))
                .bind(&hash.0[..])
                .execute(&mut *conn)
                .await?;
        }
        leaves.push(leaf.0.to_vec());
    }
    insert_entries(conn, first, leaves, entries).await?;
    sqlx::query("update log_head set size = $1, frontier = $2")
        .bind(signed(frontier.size()))
        .bind(frontier_bytes(&frontier))
        .execute(conn)
        .await?;
    Ok(first)
}

async fn insert_entries(
    conn: &mut PgConnection,
    first: u64,
    leaves: Vec<Vec<u8>>,
    entries: &[NewEntry<'_>],
) -> Result<(), StoreError> {
    let indices = (first..).take(entries.len()).map(signed);
    let rounds = entries.iter().map(|entry| entry.round);
    sqlx::query(
        "insert into log (index, leaf, kind, task, number, envelope)
         select * from unnest($1::bigint[], $2::bytea[], $3::text[], $4::bytea[], $5::integer[], $6::bytea[])",
    )
    .bind(indices.collect::<Vec<_>>())
    .bind(leaves)
    .bind(entries.iter().map(|entry| entry.kind).collect::<Vec<_>>())
    .bind(rounds.clone().map(|round| round.map(|id| id.task.as_bytes().to_vec())).collect::<Vec<_>>())
    .bind(rounds.map(|round| round.map(|id| signed32(id.number))).collect::<Vec<_>>())
    .bind(entries.iter().map(|entry| entry.envelope).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    Ok(())
}

pub(super) fn parse_frontier(size: u64, bytes: &[u8]) -> Result<Frontier, StoreError> {
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

    /// Appends entries that belong to no other change, in one transaction, and answers the index of the first: what is
    /// measured. A change of the state appends in its own transaction.
    pub async fn append_entries(
        &self,
        kind: &str,
        envelopes: &[Vec<u8>],
    ) -> Result<u64, StoreError> {
        let entries: Vec<NewEntry<'_>> = envelopes
            .iter()
            .map(|envelope| NewEntry {
                kind,
                round: None,
                envelope,
            })
            .collect();
        transaction!(self, "append_entries", |conn| {
            append_all(conn, &entries).await
        })
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
