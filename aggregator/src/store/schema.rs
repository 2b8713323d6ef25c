//! The migrations, compiled in, and the refusal of a schema that they do not describe.

use sqlx::PgPool;
use sqlx::migrate::{MigrateError, Migrator};

use super::StoreError;

static MIGRATIONS: Migrator = sqlx::migrate!("../migrations");

/// Brings an older schema up to date under an advisory lock, so that replicas may start together.
pub(super) async fn migrate(pool: &PgPool) -> Result<(), StoreError> {
    MIGRATIONS.run(pool).await.map_err(|error| match error {
        MigrateError::VersionMissing(version) | MigrateError::VersionTooNew(version, _) => StoreError::Schema(format!(
            "the database has migration {version}, which this program does not know: it was used by a newer \
             version; start that version, or restore a backup from before the upgrade"
        )),
        MigrateError::VersionMismatch(version) => StoreError::Schema(format!(
            "migration {version} of the database differs from the one in this program: the database belongs to \
             another build; use that build or an empty database"
        )),
        MigrateError::Dirty(version) => StoreError::Schema(format!(
            "migration {version} was interrupted; restore a backup or remove its row from _sqlx_migrations"
        )),
        other => StoreError::Schema(format!("the migrations cannot be applied: {other}")),
    })
}
