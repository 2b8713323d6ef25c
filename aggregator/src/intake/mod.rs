//! Submissions of devices (docs/protocol.md, section 4.4): read in the order of the wire, refused at the
//! first broken rule, durable before the receipt.

mod payload;
mod submission;

pub use submission::{Receipted, submit};
