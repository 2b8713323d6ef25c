//! The service against a real Postgres over real HTTP.

#![allow(clippy::unwrap_used)]

mod devices;
mod raw;
mod stage;
mod stewards;
mod world;

mod aborts;
mod administration;
mod admissions;
mod distillation;
mod epochs;
mod forgeries;
mod founding;
mod groups;
mod heads;
mod hostile;
mod lifecycle;
mod locks;
mod log;
mod log_killed;
mod noise;
mod places;
mod proofs;
mod registry;
mod replaced_at_once;
mod replicas;
mod restart;
mod rotated;
mod rounds;
mod server_keys;
mod slow;
mod submissions;
mod sweep;
mod tlog;
