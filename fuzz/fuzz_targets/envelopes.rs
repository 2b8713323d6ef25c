//! See `dawn_fuzz::targets`.
#![no_main]

dawn_fuzz::fuzz!(envelopes, dawn_fuzz::targets::change_cbor);
