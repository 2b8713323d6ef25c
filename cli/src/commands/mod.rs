//! One file per noun.

pub mod aggregator;
pub mod audit;
mod audit_watch;
pub mod bench;
mod bench_accuracy;
mod bench_attacks;
mod bench_identity;
mod bench_log;
mod bench_train;
pub mod client;
mod client_prove;
pub mod data;
pub mod demo;
pub mod device;
mod explain;
pub mod federation;
pub mod key;
pub mod log;
pub mod org;
mod org_changes;
mod org_rotation;
pub mod roster;
mod server_keys;
pub mod steward;
pub mod task;
mod task_description;
