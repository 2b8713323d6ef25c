//! The log as tiles, and its checkpoints with the cosignatures of stewards. Appending: [`super::log`].

use dawn_crypto::digest::Digest;
use dawn_identity::{PublicKey, Statement, StewardId};
use dawn_protocol::tlog::tile::{Bundle, HEIGHT, TileId, TileSet, WIDTH};
use dawn_protocol::{Challenge, Closed, RoundSpec, Verdict};
use sqlx::{PgConnection, Row};

use super::log::parse_frontier;
use super::{Store, StoreError, digest, signed, transaction, unsigned};

/// Serialises the choice of the next checkpoint; nothing else is locked with it.
const NEXT_CHECKPOINT: i64 = 0x6461_776e_6c6f_6701;

/// Most cosignatures of one checkpoint that are shown.
const MOST_COSIGNATURES: i64 = 48;

/// What stewards answer only when it is in a log that they have cosigned (docs/protocol.md, section 4.6.1).
const ANSWERED: [&str; 4] = [
    RoundSpec::KIND,
    Closed::KIND,
    Challenge::KIND,
    Verdict::KIND,
];

/// A size of the log that stewards are asked to cosign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CheckpointRow {
    /// Number of entries.
    pub size: u64,
    /// Root over them.
    pub root: Digest,
    /// When it was chosen.
    pub created_ms: u64,
}

/// What a steward said about a checkpoint.
#[derive(Debug, Clone)]
pub struct CosignatureRow {
    /// Who.
    pub steward: StewardId,
    /// Its key.
    pub key: PublicKey,
    /// Time and signature.
    pub signature: Vec<u8>,
}

/// Whose cosignatures make a checkpoint complete, and how many of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quorum {
    /// Digest of the roster.
    pub roster: Digest,
    /// Its T.
    pub least: u32,
}

impl Store {
    /// The hashes of a tile, which the log has: the caller has compared its width with the size.
    ///
    /// # Errors
    /// The database, or hashes that are missing from it.
    pub async fn tile(&self, tile: &TileId) -> Result<Vec<Digest>, StoreError> {
        let first = tile.index.saturating_mul(WIDTH);
        let end = first.saturating_add(u64::from(tile.width));
        let query = if tile.level == 0 {
            sqlx::query_scalar(
                "select leaf from log where $1 = 0 and index >= $2 and index < $3 order by index",
            )
        } else {
            sqlx::query_scalar(
                "select hash from log_nodes where height = $1 and index >= $2 and index < $3 order by index",
            )
        };
        let hashes: Vec<Vec<u8>> = query
            .bind(i16::from(tile.level * HEIGHT))
            .bind(signed(first))
            .bind(signed(end))
            .fetch_all(&self.pool)
            .await?;
        if hashes.len() != usize::from(tile.width) {
            return Err(StoreError::Corrupt("hashes of the log are missing"));
        }
        hashes.iter().map(|hash| digest(hash)).collect()
    }

    /// Several tiles.
    ///
    /// # Errors
    /// As [`Store::tile`].
    pub async fn tiles(
        &self,
        wanted: impl IntoIterator<Item = TileId>,
    ) -> Result<TileSet, StoreError> {
        let mut tiles = TileSet::new();
        for tile in wanted {
            let hashes = self.tile(&tile).await?;
            tiles.insert(tile, hashes);
        }
        Ok(tiles)
    }

    /// Entries of a bundle from the `skip`th on, at most `limit`.
    pub async fn bundle_part(
        &self,
        bundle: &Bundle,
        skip: u16,
        limit: u16,
    ) -> Result<Vec<Vec<u8>>, StoreError> {
        let first = bundle.first().saturating_add(u64::from(skip));
        let end = bundle.first().saturating_add(u64::from(bundle.width));
        let end = end.min(first.saturating_add(u64::from(limit)));
        Ok(sqlx::query_scalar(
            "select envelope from log where index >= $1 and index < $2 order by index",
        )
        .bind(signed(first))
        .bind(signed(end))
        .fetch_all(&self.pool)
        .await?)
    }

    /// Number of entries.
    pub async fn log_size(&self) -> Result<u64, StoreError> {
        let size: i64 = sqlx::query_scalar("select size from log_head")
            .fetch_one(&self.pool)
            .await?;
        unsigned(size)
    }

    /// The checkpoint that stewards should cosign next; `None` when the log is empty.
    ///
    /// It stays the same for everybody until it is complete, so that there is a quorum for one and the same checkpoint
    /// while the log grows under it. It moves on before only when the log has a statement that stewards must answer
    /// ([`ANSWERED`]), or when it is older than `patience_ms` because stewards are away: never because of what somebody asks,
    /// which anybody may.
    ///
    /// # Errors
    /// The database.
    pub async fn next_checkpoint(
        &self,
        quorum: Option<&Quorum>,
        now_ms: u64,
        patience_ms: u64,
    ) -> Result<Option<CheckpointRow>, StoreError> {
        transaction!(self, "next_checkpoint", |conn| {
            sqlx::query("select pg_advisory_xact_lock($1)")
                .bind(NEXT_CHECKPOINT)
                .execute(&mut *conn)
                .await?;
            let head = sqlx::query("select size, frontier from log_head")
                .fetch_one(&mut *conn)
                .await?;
            let size = unsigned(head.try_get("size")?)?;
            if size == 0 {
                return Ok(None);
            }
            if let Some(latest) = latest(conn).await? {
                // What the log has got since its size was read is for the next one who asks.
                if size <= latest.size {
                    return Ok(Some(latest));
                }
                let old = latest.created_ms.saturating_add(patience_ms) <= now_ms;
                let waits = !old && !is_complete(conn, latest.size, quorum).await?;
                if waits && !is_answered_after(conn, latest.size).await? {
                    return Ok(Some(latest));
                }
            }
            let root = parse_frontier(size, head.try_get("frontier")?)?.root();
            sqlx::query("insert into log_checkpoints (size, root, created_ms) values ($1, $2, $3)")
                .bind(signed(size))
                .bind(&root.0[..])
                .bind(signed(now_ms))
                .execute(conn)
                .await?;
            Ok(Some(CheckpointRow {
                size,
                root,
                created_ms: now_ms,
            }))
        })
    }

    /// The checkpoint of a size that stewards were asked to cosign.
    pub async fn checkpoint(&self, size: u64) -> Result<Option<CheckpointRow>, StoreError> {
        sqlx::query("select size, root, created_ms from log_checkpoints where size = $1")
            .bind(signed(size))
            .fetch_optional(&self.pool)
            .await?
            .as_ref()
            .map(checkpoint_row)
            .transpose()
    }

    /// The newest checkpoint that is complete.
    pub async fn witnessed(&self, quorum: &Quorum) -> Result<Option<CheckpointRow>, StoreError> {
        sqlx::query(
            "select size, root, created_ms from log_checkpoints
             where (select count(*) from log_cosignatures
                    join roster_stewards on roster_stewards.steward = log_cosignatures.steward
                     and roster_stewards.roster = $1
                    where log_cosignatures.size = log_checkpoints.size) >= $2
             order by size desc limit 1",
        )
        .bind(&quorum.roster.0[..])
        .bind(i64::from(quorum.least))
        .fetch_optional(&self.pool)
        .await?
        .as_ref()
        .map(checkpoint_row)
        .transpose()
    }

    /// Keeps a cosignature that was verified; the first of a steward for a size stays. Whether it is new.
    ///
    /// # Errors
    /// The database.
    pub async fn add_cosignature(
        &self,
        size: u64,
        steward: &StewardId,
        signature: &[u8],
    ) -> Result<bool, StoreError> {
        let inserted = sqlx::query(
            "insert into log_cosignatures (size, steward, signature) values ($1, $2, $3)
             on conflict do nothing",
        )
        .bind(signed(size))
        .bind(&steward.as_bytes()[..])
        .bind(signature)
        .execute(&self.pool)
        .await?;
        Ok(inserted.rows_affected() == 1)
    }

    /// The cosignatures of a checkpoint; those of the newest roster's stewards first.
    pub async fn cosignatures(&self, size: u64) -> Result<Vec<CosignatureRow>, StoreError> {
        sqlx::query(
            "select c.steward, s.steward_key, c.signature
             from log_cosignatures c join stewards s on s.steward = c.steward
             where c.size = $1
             order by (select max(epoch) from rosters join roster_stewards r on r.roster = rosters.digest
                       where r.steward = c.steward) desc nulls last, c.steward
             limit $2",
        )
        .bind(signed(size))
        .bind(MOST_COSIGNATURES)
        .fetch_all(&self.pool)
        .await?
        .iter()
        .map(|row| {
            let key: Vec<u8> = row.try_get("steward_key")?;
            Ok(CosignatureRow {
                steward: StewardId(digest(row.try_get("steward")?)?),
                key: PublicKey::from_bytes(&key)
                    .map_err(|_| StoreError::Corrupt("a steward's key is none"))?,
                signature: row.try_get("signature")?,
            })
        })
        .collect()
    }
}

async fn latest(conn: &mut PgConnection) -> Result<Option<CheckpointRow>, StoreError> {
    sqlx::query("select size, root, created_ms from log_checkpoints order by size desc limit 1")
        .fetch_optional(conn)
        .await?
        .as_ref()
        .map(checkpoint_row)
        .transpose()
}

/// Whether the log has something after its first `size` entries that stewards answer only when they have cosigned it.
async fn is_answered_after(conn: &mut PgConnection, size: u64) -> Result<bool, StoreError> {
    let kinds = ANSWERED.map(str::to_owned).to_vec();
    Ok(
        sqlx::query_scalar("select exists (select from log where index >= $1 and kind = any($2))")
            .bind(signed(size))
            .bind(kinds)
            .fetch_one(conn)
            .await?,
    )
}

/// Without a roster nobody cosigns, and there is nothing to wait for.
async fn is_complete(
    conn: &mut PgConnection,
    size: u64,
    quorum: Option<&Quorum>,
) -> Result<bool, StoreError> {
    let Some(quorum) = quorum else {
        return Ok(true);
    };
    let cosigned: i64 = sqlx::query_scalar(
        "select count(*) from log_cosignatures
         join roster_stewards on roster_stewards.steward = log_cosignatures.steward
          and roster_stewards.roster = $1
         where log_cosignatures.size = $2",
    )
    .bind(&quorum.roster.0[..])
    .bind(signed(size))
    .fetch_one(conn)
    .await?;
    Ok(cosigned >= i64::from(quorum.least))
}

fn checkpoint_row(row: &sqlx::postgres::PgRow) -> Result<CheckpointRow, StoreError> {
    Ok(CheckpointRow {
        size: unsigned(row.try_get("size")?)?,
        root: digest(row.try_get("root")?)?,
        created_ms: unsigned(row.try_get("created_ms")?)?,
    })
}
