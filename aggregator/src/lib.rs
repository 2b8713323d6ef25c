//! dawn-aggregator

pub mod postgres;
