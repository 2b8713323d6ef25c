//! dawn-learn
