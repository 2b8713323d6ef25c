//! See `dawn_fuzz::targets`.
#![no_main]

dawn_fuzz::fuzz!(transcript, dawn_fuzz::targets::change_transcript);
