//! Whole rounds, and what happens to everything in them that is wrong.

#![allow(
    clippy::unwrap_used,
    reason = "a helper of a test may panic as the test may"
)]

mod accounting;
mod containers;
mod contexts;
mod known_answers;
mod opening;
mod packages;
mod preparing;
mod shares;
mod statements;
mod tasks;
mod transcripts;
mod whole_round;
mod world;
