//! The whole system in one place: the demo federation, its attackers, and what defences against them buy.
//!
//! | module | explains |
//! |---|---|
//! | [`demo`] | a federation of processes on one machine, with failures and attackers |
//! | [`attack`] | what malicious devices and stewards do |
//! | [`datasets`] | data sets that are fetched |
//! | [`robustness`] | the accuracy of trainings under attack, by defence |
//! | [`svg`] | drawing |

pub mod attack;
pub mod datasets;
pub mod demo;
pub mod robustness;
pub mod svg;
