//! dawn-protocol
