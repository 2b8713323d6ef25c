//! dawn-identity
