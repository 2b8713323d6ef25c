//! dawn-aggregator
