//! The register: append-only, gapless, in the order of the log.

use dawn_identity::{Entry, FederationEvent, OrgId, RegisterHead, Statement};
use sqlx::{PgConnection, Row};

use super::{
    Store, StoreError, digest, jobs, log, rosters, signed, transaction, unsigned, waiting,
};

/// An entry that was verified against the members before it.
#[derive(Debug, Clone)]
pub struct NewEntry {
    /// The entry.
    pub entry: Entry,
    /// Where the register ended when it was verified.
    pub before: RegisterHead,
    /// Where it ends with it.
    pub after: RegisterHead,
    /// When it was received.
    pub now_ms: u64,
    /// The organisation that comes in with it.
    pub org: Option<NewOrg>,
}

/// The projection of a registration for people.
#[derive(Debug, Clone)]
pub struct NewOrg {
    /// Its name.
    pub name: String,
    /// Its first root key.
    pub root_key: Vec<u8>,
    /// Whether it founded the federation.
    pub founder: bool,
    /// Its signed registration.
    pub registration: Vec<u8>,
}

/// What became of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Appended {
    /// It is in the register.
    Now,
    /// The register does not end any more where the entry was verified: verify it again.
    Moved,
}

/// Where the register ends. With the head of the log locked nobody moves it before the transaction ends.
pub(super) async fn locked_head(
    conn: &mut PgConnection,
) -> Result<Option<RegisterHead>, StoreError> {
    sqlx::query("select 1 from log_head for update")
        .execute(&mut *conn)
        .await?;
    sqlx::query("select position, head from register order by position desc limit 1")
        .fetch_optional(conn)
        .await?
        .map(|row| {
            Ok(RegisterHead {
                entries: unsigned(row.try_get("position")?)?,
                digest: digest(row.try_get("head")?)?,
            })
        })
        .transpose()
}

/// Whether the register still ends there.
pub(super) async fn still_ends(
    conn: &mut PgConnection,
    head: &RegisterHead,
) -> Result<bool, StoreError> {
    let found = locked_head(conn).await?;
    Ok(match found {
        Some(found) => found == *head,
        None => head.entries == 0,
    })
}

/// How many changes of the server's keys are in the register.
pub(super) async fn server_key_changes(conn: &mut PgConnection) -> Result<u64, StoreError> {
    let count: i64 = sqlx::query_scalar("select count(*) from register where kind = $1")
        .bind(FederationEvent::KIND)
        .fetch_one(conn)
        .await?;
    unsigned(count)
}

impl Store {
    /// Appends an entry and logs it, unless the register has moved since it was verified.
    pub async fn append_register(&self, new: &NewEntry) -> Result<Appended, StoreError> {
        transaction!(self, "append_register", |conn| {
            if !still_ends(conn, &new.before).await? {
                return Ok(Appended::Moved);
            }
            let id: OrgId = new.entry.org();
            if let Some(org) = &new.org {
                sqlx::query(
                    "insert into orgs (org, name, root_key, founder, registration, created_ms)
                     values ($1, $2, $3, $4, $5, $6)",
                )
                .bind(&id.as_bytes()[..])
                .bind(&org.name)
                .bind(&org.root_key)
                .bind(org.founder)
                .bind(&org.registration)
                .bind(signed(new.now_ms))
                .execute(&mut *conn)
                .await?;
                waiting::has_come_in(conn, &id).await?;
            }
            let sequence = match &new.entry {
                Entry::Event(event) => Some(signed(event.sequence)),
                Entry::Registration(_) | Entry::Approval(..) | Entry::ServerKey(_) => None,
                Entry::Roster(_, roster) => {
                    rosters::insert(conn, roster, new.now_ms).await?;
                    None
                }
            };
            let index = log::append(conn, new.entry.kind(), None, new.entry.bytes()).await?;
            sqlx::query(
                "insert into register (position, org, sequence, kind, entry, head, log_index, created_ms)
                 values ($1, $2, $3, $4, $5, $6, $7, $8)",
            )
            .bind(signed(new.after.entries))
            .bind(&id.as_bytes()[..])
            .bind(sequence)
            .bind(new.entry.kind())
            .bind(new.entry.bytes())
            .bind(&new.after.digest.0[..])
            .bind(signed(index))
            .bind(signed(new.now_ms))
            .execute(&mut *conn)
            .await?;
            if let Entry::ServerKey(_) = &new.entry {
                // Rounds under the old key end now, whatever becomes of whoever posted it.
                jobs::wake_rounds(conn).await?;
            }
            Ok(Appended::Now)
        })
    }

    /// Entries after a position in their order, at most `limit`.
    pub async fn register_after(
        &self,
        position: u64,
        limit: u32,
    ) -> Result<Vec<Vec<u8>>, StoreError> {
        Ok(sqlx::query_scalar(
            "select entry from register where position > $1 order by position limit $2",
        )
        .bind(signed(position))
        .bind(i64::from(limit))
        .fetch_all(&self.pool)
        .await?)
    }

    /// Whether exactly this is in the register.
    pub async fn registered(&self, org: &OrgId, entry: &[u8]) -> Result<bool, StoreError> {
        Ok(sqlx::query_scalar(
            "select exists(select 1 from register where org = $1 and entry = $2)",
        )
        .bind(&org.as_bytes()[..])
        .bind(entry)
        .fetch_one(&self.pool)
        .await?)
    }
}
