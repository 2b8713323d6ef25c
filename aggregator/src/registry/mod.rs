//! Who takes part: verifies and stores the founding document, registrations, enrolments, rosters
//! and tasks
//! (docs/protocol.md, section 2).

mod founding;
mod orgs;
mod rosters;
mod server_keys;
mod tasks;

pub use founding::{Founding, check_founding, found};
pub use orgs::{approve_org, enrol_steward, known_registration, register_entry, register_org};
pub use rosters::add_roster;
pub use server_keys::replace_server_key;
pub use tasks::{MOST_TASK_BYTES, add_task, task_parts};

use crate::problem::Problem;
use crate::store::orgs::Inserted;

/// Whether something is new or was there before; both are success.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stored {
    /// 201.
    Now,
    /// 200.
    Already,
}

impl Stored {
    fn from_insert(inserted: Inserted, other: &str, full: &str) -> Result<Self, Problem> {
        match inserted {
            Inserted::Now => Ok(Self::Now),
            Inserted::Already => Ok(Self::Already),
            Inserted::Other => Err(Problem::conflict(other)),
            Inserted::Full => Err(Problem::quota(full)),
        }
    }
}
