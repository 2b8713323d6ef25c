//! A real steward against an aggregator that does as the test says: honest rounds, lies, restarts, restores.

mod asking;
mod beacons;
mod budget;
mod challenges;
mod directions;
mod drawing;
mod explained;
mod founding;
mod garbage;
mod groups;
mod histories;
mod http;
mod lies;
mod noise;
mod once;
mod registers;
mod replaced;
mod reporting;
mod restored;
mod rounds;
mod scalars;
mod selection;
mod server;
mod server_keys;
mod split_openings;
mod splits;
mod whole;
mod witness;
mod world;

use std::sync::OnceLock;
use std::time::{SystemTime, UNIX_EPOCH};

/// When everything happens, unix seconds: now, because over HTTP the steward reads the real clock.
fn now() -> u64 {
    static NOW: OnceLock<u64> = OnceLock::new();
    let read = || {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .expect("after 1970")
            .as_secs()
    };
    *NOW.get_or_init(read)
}
