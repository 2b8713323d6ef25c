//! What the identities must guarantee, proven on hostile inputs. One binary, one module a subject.
#![allow(clippy::unwrap_used)]

mod admissions;
mod batches;
mod canonical;
mod credentials;
mod envelopes;
mod federations;
mod fixture;
mod http_signature_rules;
mod http_signatures;
mod key_files;
mod keys;
mod purposes;
mod register_rules;
mod registers;
mod registrations;
mod roster_places;
mod rosters;
mod server_keys;
mod signed_request;
mod story;
mod vectors;
