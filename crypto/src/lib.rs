//! The computations of Dawn: pure, without I/O, clock or hidden randomness (a generator is always a
//! parameter). Sections cited below are those of `docs/protocol.md`; every label, input layout and
//! counter layout is in `docs/crypto-table.md`.
//!
//! | module | explains | section |
//! |---|---|---|
//! | [`params`] | the numbers, why they are what they are, dimensions, deviations | 3 |
//! | [`field`] | arithmetic modulo q | 3 |
//! | [`ring`] | `F_q[X]/(X^2048 + 1)` and its transform, behind a backend seam | 3 |
//! | [`backend`] | which instructions compute, and that all give the same bytes | - |
//! | [`declassify`] | where what was computed from secrets becomes public | - |
//! | [`expand`] | seeds to uniform field elements | 3, 4.2 |
//! | [`gaussian`] | constant-time discrete Gaussians | 3, 4.8 |
//! | [`noise`] | a fast generator for the noise | - |
//! | [`mask`] | masking, unmasking, the payload's encoding and digest | 4.2, 4.7 |
//! | [`shamir`] | thresholds, key shares, reconstruction, correction of wrong answers | 3, 4.2, 4.7 |
//! | [`commit`] | commitments to key shares | 4.3 |
//! | [`norm`] | proofs that a masked vector is not too long | 4.3, 4.6 |
//! | [`seal`] | packages sealed to a steward | 4.3 |
//! | [`digest`] | labelled hashes and the one table of labels | 3 |
//! | [`merkle`] | RFC 6962 trees | 4.6 |
//! | [`vrf`] | a verifiable random function | 4.6 (planned) |
//! | [`secret`] | vectors that are wiped | - |

pub mod backend;
pub mod commit;
pub mod declassify;
pub mod digest;
pub mod expand;
pub mod field;
pub mod gaussian;
mod keystream;
pub mod mask;
pub mod merkle;
pub mod noise;
pub mod norm;
pub mod params;
pub mod ring;
pub mod seal;
pub mod secret;
pub mod shamir;
pub mod vrf;

#[cfg(test)]
mod known_answers;
