//! The log of signed statements: append-only and gapless.

use dawn_identity::Signed;
use dawn_protocol::{LogEntry, LogHead};

use crate::api::{Api, Call};
use crate::codec::{parse_entries, parse_signed};
use crate::error::TransportError;
use crate::limits;

/// Most entries that one page may be asked for.
pub const MAX_ENTRIES: u32 = 1000;

impl Api {
    /// `GET /v1/log/head`. Unverified.
    ///
    /// # Errors
    /// [`TransportError`].
    pub async fn log_head(&self) -> Result<Signed<LogHead>, TransportError> {
        let answer = self
            .call(Call::get("v1/log/head", limits::LOG_HEAD))
            .await?;
        parse_signed(&answer.body, "log head")
    }

    /// `GET /v1/log/entries`: at most `limit` (and [`MAX_ENTRIES`]) entries beginning with index `from`; they are checked
    /// to be consecutive from there, nothing else is.
    ///
    /// # Errors
    /// [`TransportError`].
    pub async fn log_entries(
        &self,
        from: u64,
        limit: u32,
    ) -> Result<Vec<LogEntry>, TransportError> {
        let limit = limit.min(MAX_ENTRIES);
        let query = [("from", from), ("limit", u64::from(limit))];
        let answer = self
            .call(Call::get("v1/log/entries", limits::LOG_ENTRIES).query(&query))
            .await?;
        let entries = parse_entries(&answer.body, limit as usize, "page of log entries")?;
        let consecutive = entries
            .iter()
            .zip(from..)
            .all(|(entry, index)| entry.index == index);
        if !consecutive {
            let why = "the entries are not the consecutive ones that were asked for".to_owned();
            return Err(TransportError::Malformed {
                what: "page of log entries",
                why,
            });
        }
        Ok(entries)
    }
}
