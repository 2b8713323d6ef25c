//! The whole system in one place: the demo federation, and the attackers of the tests.

pub mod demo;
