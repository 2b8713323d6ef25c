//! The device's clock. Only deadlines and the validity of certificates depend on it: a wrong clock
//! makes a device miss rounds, never submit twice.

use std::time::{SystemTime, UNIX_EPOCH};

/// Unix time in milliseconds; 0 when the clock is before 1970.
pub(crate) fn unix_millis() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Unix time in seconds.
pub(crate) fn unix_seconds() -> u64 {
    unix_millis() / 1000
}
