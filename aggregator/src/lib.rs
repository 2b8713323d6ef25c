//! The service of the federation: takes registrations, tasks, submissions and statements over HTTP, drives
//! the rounds, and keeps the log. It is trusted for liveness only: privacy rests on the stewards, and
//! everything that it decides follows from signed statements that anyone can judge again
//! (docs/protocol.md, section 2).
//!
//! | module | explains |
//! |---|---|
//! | [`running`], [`config`], [`keys`] | starting and stopping, what an operator chooses, the two keys |
//! | [`http`] | the REST surface, one file per resource |
//! | [`nonces`] | the nonces of signed requests |
//! | [`problem`] | refusals, as RFC 9457 problem documents |
//! | [`registry`] | who takes part: federation, organisations, stewards, rosters, tasks |
//! | [`intake`] | submissions of devices |
//! | [`desk`] | what stewards fetch and bring back |
//! | [`round`], [`worker`] | what drives a round, and the leased jobs that do it |
//! | [`cleanup`], [`transcripts`] | what is left after a round |
//! | [`contexts`] | federation, tasks and rounds as verified values |
//! | [`status`], [`log`], [`tlog`], [`metrics`] | what people, auditors and machines look at |
//! | [`store`], [`payloads`] | Postgres, and the objects beside it |
//! | [`postgres`] | the private Postgres when there is no other |

pub mod app;
pub mod cleanup;
pub mod clock;
pub mod config;
pub mod contexts;
pub mod desk;
pub mod http;
pub mod intake;
pub mod keys;
pub mod log;
pub mod metrics;
pub mod nonces;
pub mod payloads;
pub mod postgres;
pub mod problem;
pub mod registry;
pub mod round;
pub mod running;
mod signer;
pub mod status;
pub mod store;
pub mod tlog;
pub mod transcripts;
mod worker;

pub use config::{Config, Limits};
pub use running::{Aggregator, Running, StartError};
