//! How many rows there are: what measurements and tests look at.

use sqlx::Row;

use super::{Store, StoreError, unsigned};

impl Store {
    /// Bytes of the database.
    pub async fn bytes(&self) -> Result<i64, StoreError> {
        Ok(
            sqlx::query_scalar("select pg_database_size(current_database())")
                .fetch_one(&self.pool)
                .await?,
        )
    }

    /// Rows of every table, counted one after the other, in the order of their names.
    pub async fn rows(&self) -> Result<Vec<(String, u64)>, StoreError> {
        sqlx::query(
            "select table_name::text as name, (xpath('/row/c/text()', query_to_xml(
                 format('select count(*) as c from %I', table_name), false, true, '')))[1]::text::bigint as rows
             from information_schema.tables
             where table_schema = 'public' and table_type = 'BASE TABLE' order by table_name",
        )
        .fetch_all(&self.pool)
        .await?
        .iter()
        .map(|row| Ok((row.try_get("name")?, unsigned(row.try_get("rows")?)?)))
        .collect()
    }
}
