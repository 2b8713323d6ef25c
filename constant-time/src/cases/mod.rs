//! What is run with secrets marked. Every case ends with the assertion that what it made is still secret: one
//! whose secrets were lost on the way would be clean and show nothing.

pub mod device;
pub mod noise;
pub mod norm;
pub mod opening;
pub mod planted;
pub mod sealing;
pub mod shares;
pub mod vrf;

use crate::marks;

/// A case: its name, and what to run.
pub type Case = (&'static str, fn());

/// What must be clean.
pub const CASES: &[&[Case]] = &[
    noise::CASES,
    shares::CASES,
    sealing::CASES,
    norm::CASES,
    device::CASES,
    opening::CASES,
    vrf::CASES,
];

/// Asserts that `values` depend on secrets.
fn still_secret<T>(values: &[T]) {
    assert!(marks::is_secret(values), "the secrets were lost on the way");
}
