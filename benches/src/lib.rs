//! dawn-benches
