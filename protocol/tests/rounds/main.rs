//! Whole rounds, and what happens to everything in them that is wrong.

#![allow(
    clippy::unwrap_used,
    reason = "a helper of a test may panic as the test may"
)]

mod accounting;
mod beacons;
mod containers;
mod contexts;
mod detached;
mod evaluations;
mod forging;
mod functionals;
mod groups;
mod known_answers;
mod noise;
mod norms;
mod opening;
mod packages;
mod places;
mod preparing;
mod reporting;
mod selection;
mod server_keys;
mod shares;
mod statements;
mod tampered;
mod tasks;
mod transcripts;
mod vectors;
mod ways;
mod whole_round;
mod world;
