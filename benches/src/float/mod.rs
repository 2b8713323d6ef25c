//! The same learning in f32, to measure ours against.
//!
//! | module | explains |
//! |---|---|
//! | [`twin`] | a network in f32: the same initial weights, batches, steps and rule |
//! | `layer` | its layers, dense and convolutions |
//! | [`product`] | the matrix product that it is made of |
//! | `baselines` | the twin with the products of two crates, and candle (feature `bench`) |

#[cfg(feature = "bench")]
pub(crate) mod baselines;
mod layer;
pub mod product;
pub mod twin;
