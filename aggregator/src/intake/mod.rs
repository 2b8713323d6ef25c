//! Submissions of devices (docs/protocol.md, section 4.4): read in the order of the wire, refused at the
//! first broken rule, durable before the receipt.

mod opening;
mod payload;
mod places;
mod report;
mod submission;

pub use opening::{MOST_OPENING_BYTES, OPENING_MAGIC, opening};
pub use places::Places;
pub use report::{MOST_REPORT_BYTES, REPORT_MAGIC, report};
pub use submission::{Receipted, submit};
