//! dawn-steward
