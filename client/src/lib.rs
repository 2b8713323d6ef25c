//! dawn-client
