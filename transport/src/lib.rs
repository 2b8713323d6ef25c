//! The bounded HTTP client that devices, stewards and auditors share.
//!
//! A server is never trusted with the caller's memory or time: every body is read chunk by chunk under a cap
//! that the caller's side chose, every call has a deadline, redirects are not followed, and what arrives is
//! decoded as the one canonical CBOR encoding or refused. Every call of the REST surface is idempotent, so all
//! of them are repeated with exponential backoff and jitter when a connection fails or a server is overloaded.
//!
//! What arrives is *unverified*: signatures, digests and sets are the caller's to check.
//!
//! | file | explains |
//! |---|---|
//! | [`api`] | the client, and how one exchange is done and repeated |
//! | [`members`] | founding document, organisations, stewards, rosters |
//! | [`tasks`] | tasks, the open round, models |
//! | [`rounds`] | submissions, a steward's work, packages, statements, answers, transcripts |
//! | [`log`] | the log of signed statements |
//! | [`tlog`], [`export`] | the log in the formats of C2SP, and as plain files |
//! | [`signing`] | signed requests, for administration |
//! | [`limits`] | how large each answer may be |
//! | [`backoff`] | when to try again |
//! | [`problem`] | RFC 9457 problem documents |
//! | [`error`] | what can go wrong |

pub mod api;
pub mod backoff;
mod body;
mod codec;
pub mod error;
pub mod export;
pub mod limits;
pub mod log;
pub mod members;
pub mod problem;
pub mod rounds;
pub mod signing;
pub mod tasks;
pub mod tlog;

pub use api::{Api, Settings};
pub use backoff::{Backoff, RetryPolicy};
pub use error::TransportError;
pub use export::ExportError;
pub use members::AggregatorInfo;
pub use problem::Problem;
pub use rounds::SubmissionBody;
pub use tasks::RoundPoll;
