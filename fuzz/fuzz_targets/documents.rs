//! See `dawn_fuzz::targets`.
#![no_main]

dawn_fuzz::fuzz!(documents, dawn_fuzz::targets::change_cbor);
