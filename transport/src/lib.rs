//! dawn-transport
