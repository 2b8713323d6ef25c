//! dawn-sim
