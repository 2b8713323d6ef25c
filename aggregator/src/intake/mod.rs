//! Submissions of devices (docs/protocol.md, section 4.4): read in the order of the wire, refused at the
//! first broken rule, durable before the receipt.

mod payload;
mod places;
mod submission;

pub use places::Places;
pub use submission::{Receipted, submit};
