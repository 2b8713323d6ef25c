//! Proofs that a masked vector is not too long, without seeing it (`docs/protocol.md`, sections 4.3 and 4.6).
//!
//! | module | explains |
//! |---|---|
//! | [`projection`] | the ternary matrix R, in both directions, and the public side of the linear check |

pub mod projection;
