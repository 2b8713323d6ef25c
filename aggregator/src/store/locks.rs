//! All advisory locks: a class for each use, so that no two uses ever wait for each other.
//!
//! They are of the form with two numbers, which shares no key with that of one 64-bit number
//! (PostgreSQL manual, section 13.3.5); the lock of the migrations is of that other form.

use dawn_identity::Thumbprint;
use sqlx::PgConnection;

use super::StoreError;

/// What a transaction holds until it ends.
#[derive(Debug, Clone, Copy)]
pub(super) enum Lock<'a> {
    /// The names of objects: shared by transactions that write one, exclusive for the sweep.
    Objects,
    /// The requests of all strangers in the last minute.
    Strangers,
    /// The places of organisations that wait for approval.
    Waiting,
    /// The requests of one key in the last minute. Keys whose thumbprints begin alike share a lock, and wait for each
    /// other's few statements.
    Key(&'a Thumbprint),
}

impl Lock<'_> {
    fn class_and_key(self) -> (i32, i32) {
        match self {
            Self::Objects => (1, 0),
            Self::Strangers => (2, 0),
            Self::Waiting => (4, 0),
            Self::Key(thumbprint) => {
                let mut prefix = [0; 4];
                prefix.copy_from_slice(&thumbprint.as_bytes()[..4]);
                (3, i32::from_le_bytes(prefix))
            }
        }
    }

    /// Waits until nobody else holds it.
    pub(super) async fn exclusive(self, conn: &mut PgConnection) -> Result<(), StoreError> {
        self.take("select pg_advisory_xact_lock($1, $2)", conn)
            .await
    }

    /// Waits until nobody else holds it exclusively.
    pub(super) async fn shared(self, conn: &mut PgConnection) -> Result<(), StoreError> {
        self.take("select pg_advisory_xact_lock_shared($1, $2)", conn)
            .await
    }

    async fn take(self, query: &'static str, conn: &mut PgConnection) -> Result<(), StoreError> {
        let (class, key) = self.class_and_key();
        sqlx::query(query)
            .bind(class)
            .bind(key)
            .execute(conn)
            .await?;
        Ok(())
    }
}
