//! See `dawn_fuzz::targets`.
#![no_main]

dawn_fuzz::fuzz!(register);
