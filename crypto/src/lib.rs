//! dawn-crypto
