//! What stewards and devices fetch, and what stewards bring back (docs/protocol.md, sections 4.1, 4.6, 4.7).

mod announcement;
mod packages;
mod statements;
mod work;

pub use announcement::{Announced, announcement, wait_for_round};
pub use packages::package_page;
pub use statements::{StewardKind, put_statement};
pub(crate) use statements::{count_statement, store_statement, verify_opening, verify_report};
pub use work::wait_for_work;

use std::time::Duration;

use tokio::time::Instant;

/// The longest that a request may wait, in seconds.
pub const MOST_WAIT_S: u64 = 60;

/// When a request that may wait `seconds` gives up.
fn wait_until(seconds: Option<u64>) -> Instant {
    Instant::now() + Duration::from_secs(seconds.unwrap_or(0).min(MOST_WAIT_S))
}
