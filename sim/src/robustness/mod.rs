//! What the bounds buy: the final accuracy of a training under attack, by share of attackers and by defence.
//!
//! Rounds are computed in the clear, so that hundreds of runs are affordable: the same integer training, clipping,
//! rounding, noise, addition modulo q and update rule as in a round of the protocol, and what is accepted is decided by
//! the predicate that the proofs are about, of the vector itself. Masks, shares and signatures change none of it
//! (`dawn demo --attack` runs them).
//!
//! | module | explains |
//! |---|---|
//! | [`defence`] | what is done with what devices send |
//! | [`scene`] | data, model, bounds |
//! | [`clear`] | one training |
//! | [`plan`] | all of them |
//! | [`tables`] | what is shown |

pub mod clear;
pub mod defence;
pub mod plan;
pub mod scene;
pub mod tables;

pub use defence::Defence;
pub use plan::{Cell, Plan, Results};
