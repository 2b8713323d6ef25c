//! dawn-audits
