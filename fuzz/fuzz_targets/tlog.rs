//! See `dawn_fuzz::targets`.
#![no_main]

dawn_fuzz::fuzz!(tlog, dawn_fuzz::targets::change_tlog);
