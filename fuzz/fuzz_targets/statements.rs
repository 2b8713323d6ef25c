//! See `dawn_fuzz::targets`.
#![no_main]

dawn_fuzz::fuzz!(statements, dawn_fuzz::targets::change_cbor);
