//! The same learning in f32, to measure ours against.
//!
//! | module | explains |
//! |---|---|
//! | [`twin`] | a network in f32: the same initial weights, batches, steps and rule |
//! | [`product`] | the matrix product that it is made of |
//! | `baselines` | the twin with the products of two crates, and candle (feature `bench`) |

#[cfg(feature = "bench")]
pub(crate) mod baselines;
pub mod product;
pub mod twin;
